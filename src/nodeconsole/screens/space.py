"""What the node's files take, and what of it can be removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from nodeconsole.actions import GLOBAL
from nodeconsole.screens import keeping
from nodeconsole.screens.inventory import InventoryScreen, Kind
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.space import (
    SPACE,
    SpaceRow,
    kinds_line,
    space_cells,
    space_columns,
    space_document,
    space_facts,
    space_rows,
    used_line,
)
from nodeconsole.viewmodels.spans import Line, Span

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_space import JobSpaceRow, SpaceReport
    from nodeconsole.client import NodeClient

_MOST = 500


class SpaceScreen(InventoryScreen):
    """Counted when it is opened, on `r`, and after something was removed."""

    SCOPES: ClassVar[tuple[str, ...]] = ("space", "list", "move", GLOBAL)
    PREVIEW_LINES: ClassVar[int] = 6

    def __init__(self, session: Session) -> None:
        listing: Listing[SpaceRow] = Listing(
            "space",
            lambda row: row.key,
            space_columns,
            space_cells,
            values={
                "total": lambda row, _: -row.total,
                "results": lambda row, _: -row.job.results if row.job is not None else None,
                "logs": lambda row, _: -row.job.logs if row.job is not None else None,
                "working": lambda row, _: -(row.job.runs + row.job.channel) if row.job is not None else None,
                "goes": lambda row, _: row.job.removal_ms if row.job is not None else None,
            },
            facts=space_facts,
            document=space_document,
            link=lambda row: f"job {row.key}" if row.job is not None and row.job.state else "",
        )
        self._report: SpaceReport | None = None
        super().__init__(session, Kind(listing, frozenset({SPACE}), self._load))

    async def _load(self, client: NodeClient) -> Sequence[SpaceRow]:
        self._report = await client.space(limit=_MOST)
        return space_rows(self._report)

    def crumbs(self) -> tuple[Line, Line]:
        left, right = super().crumbs()
        if self._report is None:
            return left, right
        return (*left, Span("  "), *used_line(self._report, self.session.display())), right

    def why(self) -> Line:
        return () if self._report is None else kinds_line(self._report, self.session.display())

    @property
    def job(self) -> JobSpaceRow | None:
        """The job under the cursor."""
        row: SpaceRow | None = self.main.item
        return row.job if row is not None else None

    @property
    def subject(self) -> str:
        return self.job.job_id if self.job is not None else ""

    def offered(self) -> Sequence[str]:
        return self.job.actions if self.job is not None else ()

    def act_list_open(self, *_: str) -> None:
        if self.job is not None and self.job.state:
            from nodeconsole.screens.job import JobScreen  # noqa: PLC0415 - loaded when it is asked for

            self.app.push_screen(JobScreen(self.session, self.job.job_id))
        else:
            super().act_list_open()

    def act_results_keep(self, *_: str) -> None:
        if self.job is not None:
            keeping.keep(self, self.session, self.job.job_id)

    def act_results_release(self, *_: str) -> None:
        if self.job is not None:
            keeping.release(self, self.session, self.job.job_id)

    def act_results_discard(self, *_: str) -> None:
        if self.job is not None:
            keeping.ask_discard(self, self.session, self.job.job_id, self.job.results)
