"""One task of a job: where its time went, parameters, inputs and outputs, attempts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.decisions import ask_stop
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.job import party_key, task_why
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.task import task_head, task_page
from nodeconsole.viewmodels.text import printable, short_id
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail, Waiting
    from embedded_scheduler.wire.console_tasks import TaskDetail


class TaskScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("task", "move", GLOBAL)

    def __init__(self, session: Session, job_id: str, task: str) -> None:
        super().__init__(session)
        self._job_id, self._task_name = job_id, task
        self._found: TaskDetail | None = None
        self._detail: JobDetail | None = None

    def body(self) -> Iterable[Widget]:
        yield Bar(id="head")
        yield Sheet(id="page")

    @property
    def main(self) -> Sheet:
        return self.query_one("#page", Sheet)

    @property
    def subject(self) -> str:
        return self._job_id

    def waits(self) -> Iterable[Waiting | None]:
        return () if self._found is None else (self._found.task.waiting,)

    def crumbs(self) -> tuple[Line, Line]:
        return (Span(f" {short_id(self._job_id)} > ", "dim"), Span(printable(self._task_name), "accent")), ()

    def why(self) -> Line:
        if self._found is None:
            return ()
        task = self._found.task
        return task_why(task, self.session.display())

    def offered(self) -> Sequence[str]:
        return self._found.task.actions if self._found else ()

    def repaint_body(self) -> None:
        found, detail, display = self._found, self._detail, self.session.display()
        if found is None or detail is None:
            return
        self.bar("head").show(task_head(found.task, display), cut=display.glyphs.cut)
        lines = task_page(found, detail, display, max(20, self.main.view_width - 2))
        self.main.show([(Span(" "), *line) for line in lines])

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and self._job_id not in changes.jobs:
            return True
        detail = await self.session.ask(lambda client: client.job(self._job_id))
        found = await self.session.ask(lambda client: client.task(self._job_id, self._task_name))
        if detail is None or found is None:
            return False
        self._detail, self._found = detail, found
        self.retranslate()
        return True

    def act_task_logs(self) -> None:
        from nodeconsole.screens.log import LogScreen  # noqa: PLC0415 - loaded when it is asked for

        if self._found is not None:
            local = [party_key(share) for share in self._found.task.shares if share.local]
            self.app.push_screen(LogScreen(self.session, self._job_id, self._task_name, local))

    def act_task_stop(self, *_: str) -> None:
        if self._detail is not None:
            ask_stop(self, self.session, self._detail.job, self._task_name)
