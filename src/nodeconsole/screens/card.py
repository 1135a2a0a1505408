"""The approval card of one job: everything needed to decide, and the keys that do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.decisions import ask_approve, ask_reject
from nodeconsole.screens.neighbours import Neighbours, OneOfMany
from nodeconsole.screens.session import Session
from nodeconsole.screens.sheet import LinesScreen
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.decisions import card_lines, match_lines, policy_lines
from nodeconsole.viewmodels.differences import difference_lines, difference_summary
from nodeconsole.viewmodels.display import job_status
from nodeconsole.viewmodels.jobs import job_why
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import short_id
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import ComponentMatch, JobDetail

_WARNED = 60
"""Cells that a dialog has for a warning."""


class CardScreen(OneOfMany):
    SCOPES: ClassVar[tuple[str, ...]] = ("card", "one_of_many", "move", GLOBAL)

    def __init__(self, session: Session, job_id: str, neighbours: Neighbours | None = None) -> None:
        super().__init__(session, neighbours)
        self._job_id = job_id
        self._detail: JobDetail | None = None
        self._partners: Sequence[ComponentMatch] | None = None
        """What they have of the components; None = not answered yet."""

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="card")

    @property
    def key(self) -> str:
        return f"job {self._job_id}"

    @property
    def main(self) -> Sheet:
        return self.query_one("#card", Sheet)

    @property
    def subject(self) -> str:
        return self._job_id

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        left = [
            Span(f" {text('approvals.heading')} > ", "dim"),
            Span(f"{short_id(self._job_id)} > {text('card.title')}", "accent"),
        ]
        if self._detail is None:
            return tuple(left), self.place()
        badge = self.session.display().badge(job_status(self._detail.job))
        return (*left, Span("  "), badge), self.place()

    def why(self) -> Line:
        if self._detail is None:
            return ()
        card = self._detail.card
        if card is not None and "approve" in self._detail.job.actions:
            return difference_summary(card.difference, self.session.display())
        return job_why(self._detail.job, self.session.display())

    def offered(self) -> Sequence[str]:
        return self._detail.job.actions if self._detail is not None else ()

    def repaint_body(self) -> None:
        if self._detail is not None:
            width = max(20, self.main.view_width - 2)
            lines = card_lines(self._detail, self.session.display(), width, self._partners)
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
        first = self._detail is None
        self._detail = detail
        self.retranslate()
        if first:
            self.work("partners", self._ask_partners)
        return True

    async def _ask_partners(self) -> None:
        found = await self.session.ask(lambda client: client.job_compatibility(self._job_id))
        self._partners = found.components if found is not None else ()
        self.retranslate()

    def act_card_approve(self, *_: str) -> None:
        if self._detail is not None:
            wrong = [row for row in self._partners or () if row.wrong]
            ask_approve(self, self.session, self._detail.job, match_lines(wrong, self.session.display(), _WARNED))

    def act_card_reject(self, *_: str) -> None:
        if self._detail is not None:
            ask_reject(self, self.session, self._detail.job)

    def act_card_job(self, *_: str) -> None:
        from nodeconsole.screens.job import JobScreen  # noqa: PLC0415 - loaded when it is asked for

        self.app.push_screen(JobScreen(self.session, self._job_id))

    def act_card_spec(self, *_: str) -> None:
        from nodeconsole.screens.document import open_specification  # noqa: PLC0415

        if self._detail is not None:
            open_specification(self, self.session, self._detail)

    def act_card_diff(self, *_: str) -> None:
        detail = self._detail
        if detail is None or detail.card is None:
            return
        found, who = detail.card.difference, detail.card.asker.node_id
        self._read("difference.title", lambda width: difference_lines(found, who, self.session.display(), width))

    def act_card_policy(self, *_: str) -> None:
        detail = self._detail
        if detail is not None:
            self._read("card.policy_title", lambda width: policy_lines(detail, self.session.display(), width))

    def _read(self, title: str, lines: LinesScreen.Maker) -> None:
        crumbs = f"{short_id(self._job_id)} > "
        self.app.push_screen(LinesScreen(self.session, lambda: crumbs + self.session.text(title), lines))
