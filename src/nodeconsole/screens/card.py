"""The approval card of one job: everything needed to decide, and the two keys that do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.decisions import ask_approve, ask_reject
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.decisions import card_lines
from nodeconsole.viewmodels.display import job_status
from nodeconsole.viewmodels.jobs import job_why
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import short_id
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail


class CardScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("card", "move", GLOBAL)

    def __init__(self, session: Session, job_id: str) -> None:
        super().__init__(session)
        self._job_id = job_id
        self._detail: JobDetail | None = None

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="card")

    @property
    def main(self) -> Sheet:
        return self.query_one("#card", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        left = [
            Span(f" {text('jobs.title')} > ", "dim"),
            Span(f"{short_id(self._job_id)} > {text('card.title')}", "accent"),
        ]
        if self._detail is None:
            return tuple(left), ()
        badge = self.session.display().badge(job_status(self._detail.job))
        return (*left, Span("  "), badge), ()

    def why(self) -> Line:
        if self._detail is None:
            return ()
        if "approve" in self._detail.job.actions or "reject" in self._detail.job.actions:
            return (Span(self.session.text("card.decide"), "wait"),)
        return job_why(self._detail.job, self.session.display())

    def offered(self) -> Sequence[str]:
        return self._detail.job.actions if self._detail is not None else ()

    def repaint_body(self) -> None:
        if self._detail is not None:
            width = max(20, self.main.view_width - 2)
            lines = card_lines(self._detail, self.session.display(), width)
            self.main.show([(Span(" "), *line) for line in lines])

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and self._job_id not in changes.jobs:
            return True
        detail = await self.session.ask(lambda client: client.job(self._job_id))
        if detail is None:
            return False
        if detail.card is None and self._detail is not None:
            # Decided, here or elsewhere: what was decided on stays readable.
            detail.card = self._detail.card
        self._detail = detail
        self.retranslate()
        return True

    def act_card_approve(self, *_: str) -> None:
        if self._detail is not None:
            ask_approve(self, self.session, self._detail.job)

    def act_card_reject(self, *_: str) -> None:
        if self._detail is not None:
            ask_reject(self, self.session, self._detail.job)

    def act_card_job(self) -> None:
        from nodeconsole.screens.job import JobScreen  # noqa: PLC0415 - loaded when it is asked for

        self.app.push_screen(JobScreen(self.session, self._job_id))

    def act_card_spec(self, *_: str) -> None:
        from nodeconsole.screens.document import open_specification  # noqa: PLC0415

        if self._detail is not None:
            open_specification(self, self.session, self._detail)
