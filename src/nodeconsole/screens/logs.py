"""The logs of this node: what runs, then what ran last."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nodeconsole.screens.listing import ListingScreen
from nodeconsole.screens.log_merge import LogAddress
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.document import as_document
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.log_list import log_cells, log_columns, log_facts, log_key, log_status
from nodeconsole.viewmodels.spans import Line, Span

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_logs import LogRow

_LOGS: Listing[LogRow] = Listing(
    "logs",
    log_key,
    log_columns,
    log_cells,
    values={
        "size": lambda row, _: row.size_bytes,
        "age": lambda row, _: row.started_ms or 0,
        "time": lambda row, display: (row.ended_ms or display.now_ms) - (row.started_ms or display.now_ms),
    },
    problem=lambda row: log_status(row) == "failed",
    facts=log_facts,
    document=as_document,
    title=lambda row: row.task,
)


class LogsScreen(ListingScreen["LogRow"]):
    """With `chosen`, Enter gives it the log and goes back, instead of opening the log."""

    def __init__(self, session: Session, *, chosen: Callable[[LogAddress], None] | None = None) -> None:
        super().__init__(session)
        self._give_to = chosen

    @property
    def listing(self) -> Listing[LogRow]:
        return _LOGS

    def crumbs(self) -> tuple[Line, Line]:
        left, right = super().crumbs()
        if self._give_to is None:
            return left, right
        return (*left, Span(f"  {self.session.text('logs.choose')}", "wait")), right

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and not changes.jobs:
            return True
        rows = await self.session.ask(lambda client: client.logs())
        if rows is None:
            return False
        self.take_rows(rows)
        return True

    def act_list_open(self, *_: str) -> None:
        from nodeconsole.screens.log import LogScreen  # noqa: PLC0415 - loaded when it is asked for

        row = self.main.item
        if row is None:
            return
        if self._give_to is not None:
            self.app.pop_screen()
            self._give_to(LogAddress(row.job_id, row.task, row.party))
            return
        self.app.push_screen(LogScreen(self.session, row.job_id, row.task, [row.party]))

    def act_list_describe(self, *_: str) -> None:
        from nodeconsole.screens.job import JobScreen  # noqa: PLC0415

        if self.main.item is not None:
            self.app.push_screen(JobScreen(self.session, self.main.item.job_id))
