"""What happened to the job, oldest first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget

from nodeconsole.screens.job_tabs.tab import JobTab
from nodeconsole.viewmodels.history import event_cells, event_columns, event_subject, event_why
from nodeconsole.viewmodels.spans import Line
from nodeconsole.viewmodels.text import count
from nodeconsole.widgets.table import VirtualTable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import EventRow, JobDetail
    from nodeconsole.screens.job import JobScreen


class EventsTab(JobTab):
    name = "events"

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(screen)
        self._table: VirtualTable[EventRow] = VirtualTable(
            lambda event: str(event.seq), lambda event: event_cells(event, self.session.display()), id="events"
        )

    def widgets(self) -> Iterable[Widget]:
        yield self._table

    @property
    def main(self) -> VirtualTable[EventRow]:
        return self._table

    async def load(self) -> bool:
        return await self.screen.load_events()

    def show(self, _: JobDetail) -> None:
        display = self.session.display()
        self._table.set_columns(event_columns(display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        # At the end one goes on reading what comes; elsewhere the cursor stays where it is.
        at_end = self._table.cursor >= len(self._table.items) - 1
        self._table.show(self.screen.events)
        if at_end:
            self._table.last()

    def note(self) -> str:
        return self.session.text("event.count", n=count(len(self.screen.events)))

    def why(self) -> Line | None:
        event = self._table.item
        return () if event is None else event_why(event, self.session.display())

    def problem(self, step: int) -> bool:
        return self._table.find(lambda event: event.target in ("FAILED", "REJECTED"), step)

    def find(self, text: str) -> None:
        self.find_row(self._table, text, lambda e: " ".join((event_subject(e), e.event, e.actor, e.reason)))

    def opened(self) -> None:
        self.act_events_open()

    def act_events_open(self) -> None:
        event = self._table.item
        if event is not None:
            title = f"{self.session.text('event.title')} {event.seq}"
            self.screen.open_record(title, event.model_dump(mode="json"))
