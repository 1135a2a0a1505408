"""One job: its tasks by party, why each waits, and what came of it."""

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
from nodeconsole.viewmodels.display import task_status
from nodeconsole.viewmodels.job import (
    head_lines,
    overview_lines,
    parties_of,
    party_key,
    task_cells,
    task_columns,
    task_lines,
)
from nodeconsole.viewmodels.jobs import job_name
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import short_id
from nodeconsole.viewmodels.waiting import why_line
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.sheet import Sheet
from nodeconsole.widgets.table import VirtualTable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail, TaskRow

_SECTIONS = ("task", "overview")


class JobScreen(Moves, ConsoleScreen):
    """With `logs`, the log of the most interesting task opens as soon as the job is here."""

    SCOPES: ClassVar[tuple[str, ...]] = ("job", "move", GLOBAL)
    DEFAULT_CSS = """
    JobScreen #tasks { height: 1fr; min-height: 4; }
    JobScreen #panel { height: 8; }
    JobScreen #rule { color: $role-dim; }
    """

    def __init__(self, session: Session, job_id: str, *, logs: bool = False) -> None:
        super().__init__(session)
        self._job_id = job_id
        self._detail: JobDetail | None = None
        self._parties: tuple[str, ...] = ()
        self._section = 0
        self._open_logs = logs

    def body(self) -> Iterable[Widget]:
        yield Bar(id="head")
        yield Bar(id="parties")
        yield Bar(id="reason")
        table: VirtualTable[TaskRow] = VirtualTable(
            lambda task: task.name, lambda task: task_cells(task, self._parties, self.session.display()), id="tasks"
        )
        yield table
        yield Bar(id="rule")
        yield Sheet(id="panel")

    @property
    def main(self) -> VirtualTable[TaskRow]:
        return self.query_one("#tasks", VirtualTable)

    @property
    def _panel(self) -> Sheet:
        return self.query_one("#panel", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        left = [Span(f" {self.session.text('jobs.title')} > ", "dim"), Span(short_id(self._job_id), "accent")]
        if self._detail is not None:
            left.append(Span(f"  {job_name(self._detail.job)}"))
        return tuple(left), ()

    def why(self) -> Line:
        task = self.main.item
        if task is None:
            return ()
        reason = next((share.reason for share in task.shares if share.reason), "")
        return why_line(task.name, task.waiting, reason, task_status(task), self.session.display())

    def offered(self) -> Sequence[str]:
        if self._detail is None:
            return ()
        task = self.main.item
        return [*self._detail.job.actions, *(task.actions if task else ())]

    def repaint_body(self) -> None:
        detail = self._detail
        if detail is None:
            return
        display = self.session.display()
        cut = display.glyphs.cut
        for name, line in zip(("head", "parties", "reason"), head_lines(detail, display), strict=True):
            self._bar(name).show(line, cut=cut)
            self._bar(name).display = bool(line)
        self.main.set_columns(task_columns(detail, display), cursor=display.glyphs.cursor, cut=cut)
        self.main.show(detail.tasks, empty=(display.text("job.no_tasks"),))
        self._repaint_panel()

    def _repaint_panel(self) -> None:
        detail, display = self._detail, self.session.display()
        if detail is None:
            return
        width = max(20, self._panel.view_width - 2)
        section = _SECTIONS[self._section]
        if section == "task" and self.main.item is not None:
            lines = task_lines(self.main.item, detail, display, width)
        else:
            lines = overview_lines(detail, display, width)
        title: list[Span] = [Span(f" {display.glyphs.rule * 2} ", "dim")]
        for name in _SECTIONS:
            title.append(Span(display.text(f"job.section.{name}"), "accent" if name == section else "dim"))
            title.append(Span(f" {display.glyphs.rule * 2} ", "dim"))
        title.append(Span(display.glyphs.rule * self.size.width, "dim"))
        self._bar("rule").show(title, cut=display.glyphs.rule)
        self._panel.show([(Span(" "), *line) for line in lines])

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and self._job_id not in changes.jobs:
            return True
        detail = await self.session.ask(lambda client: client.job(self._job_id))
        if detail is None:
            return False
        first = self._detail is None
        self._detail = detail
        self._job_id = detail.job.job_id
        self._parties = parties_of(detail)
        self.retranslate()
        if first:
            self._go_to_interesting_task(detail)
            self._section = _SECTIONS.index("overview") if detail.results else 0
            self._repaint_panel()
        if self._open_logs:
            self._open_logs = False
            self.act_job_logs()
        return True

    def _go_to_interesting_task(self, detail: JobDetail) -> None:
        """The one that failed, else runs, else ran last."""
        failed = [task for task in detail.tasks if task.state == "FAILED"]
        running = [task for task in detail.tasks if task.state == "RUNNING"]
        started = sorted((task for task in detail.tasks if task.started_ms), key=lambda task: task.started_ms or 0)
        for tasks in (failed, running, started[::-1]):
            if tasks:
                self.main.move_to_key(tasks[0].name)
                return

    def on_virtual_table_moved(self) -> None:
        self._repaint_panel()
        self.repaint_chrome()

    def on_virtual_table_opened(self) -> None:
        self.act_job_logs()

    # Actions.

    def act_job_section(self) -> None:
        self._section = (self._section + 1) % len(_SECTIONS)
        self._panel.first()
        self._repaint_panel()

    def act_panel_down(self) -> None:
        self._panel.move(3)

    def act_panel_up(self) -> None:
        self._panel.move(-3)

    def act_list_problem(self) -> None:
        self._problem(1)

    def act_list_problem_before(self) -> None:
        self._problem(-1)

    def _problem(self, step: int) -> None:
        if not self.main.find(lambda task: task.state == "FAILED", step):
            self.session.say(self.session.text("message.no_problem"), "dim")

    def act_job_logs(self, *names: str) -> None:
        from nodeconsole.screens.log import LogScreen  # noqa: PLC0415 - loaded when it is asked for

        if names and not self.main.move_to_key(names[0]):
            self.session.say(self.session.text("message.no_task", name=names[0]), "warn")
            return
        task = self.main.item
        if task is not None:
            local = [party_key(share) for share in task.shares if share.local]
            self.app.push_screen(LogScreen(self.session, self._job_id, task.name, local))

    def act_job_spec(self, *_: str) -> None:
        from nodeconsole.screens.document import open_specification  # noqa: PLC0415

        if self._detail is not None:
            open_specification(self, self.session, self._detail)

    def _open_card(self) -> None:
        from nodeconsole.screens.card import CardScreen  # noqa: PLC0415

        self.app.push_screen(CardScreen(self.session, self._job_id))

    def act_job_approve(self, *_: str) -> None:
        self._open_card()

    def act_job_reject(self, *_: str) -> None:
        self._open_card()

    def act_job_stop(self, *arguments: str) -> None:
        """The task under the cursor if it can be stopped by itself and is named or running; else the job."""
        if self._detail is None:
            return
        task = arguments[0] if arguments else self._stoppable_task()
        ask_stop(self, self.session, self._detail.job, task)

    def _stoppable_task(self) -> str:
        task = self.main.item
        return task.name if task is not None and "stop" in task.actions else ""
