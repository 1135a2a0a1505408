"""The logs of this node: what runs, then what ran last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.log_merge import LogAddress
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.log_list import log_cells, log_columns, log_key
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count
from nodeconsole.widgets.table import VirtualTable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_logs import LogRow


class LogsScreen(Moves, ConsoleScreen):
    """With `chosen`, Enter gives it the log and goes back, instead of opening the log."""

    SCOPES: ClassVar[tuple[str, ...]] = ("logs", "move", GLOBAL)

    def __init__(self, session: Session, *, chosen: Callable[[LogAddress], None] | None = None) -> None:
        super().__init__(session)
        self._give_to = chosen
        self._rows: Sequence[LogRow] = ()

    def body(self) -> Iterable[Widget]:
        table: VirtualTable[LogRow] = VirtualTable(
            log_key, lambda row: log_cells(row, self.session.display()), id="logs"
        )
        yield table

    @property
    def main(self) -> VirtualTable[LogRow]:
        return self.query_one("#logs", VirtualTable)

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        left = [Span(f" {text('logs.heading')}", "accent")]
        if self._give_to is not None:
            left.append(Span(f"  {text('logs.choose')}", "wait"))
        return tuple(left), (Span(f"{count(len(self._rows))} ", "dim"),)

    def repaint_body(self) -> None:
        display = self.session.display()
        self.main.set_columns(log_columns(display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        empty = (display.text("logs.none"), display.text("logs.none_hint")) if self.has_data else ()
        self.main.show(self._rows, empty=empty)

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and not changes.jobs:
            return True
        rows = await self.session.ask(lambda client: client.logs())
        if rows is None:
            return False
        self._rows = rows
        self._loaded = True
        self.retranslate()
        return True

    def on_virtual_table_opened(self) -> None:
        self.act_logs_open()

    def act_logs_open(self) -> None:
        from nodeconsole.screens.log import LogScreen  # noqa: PLC0415 - loaded when it is asked for

        row = self.main.item
        if row is None:
            return
        if self._give_to is not None:
            self.app.pop_screen()
            self._give_to(LogAddress(row.job_id, row.task, row.party))
            return
        self.app.push_screen(LogScreen(self.session, row.job_id, row.task, [row.party]))

    def act_logs_job(self) -> None:
        from nodeconsole.screens.job import JobScreen  # noqa: PLC0415

        if self.main.item is not None:
            self.app.push_screen(JobScreen(self.session, self.main.item.job_id))
