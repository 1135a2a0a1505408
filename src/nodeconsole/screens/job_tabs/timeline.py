"""When each party worked on each task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget

from nodeconsole.screens.job_tabs.tab import JobTab
from nodeconsole.viewmodels.history import Stretch, chart_lines, legend, runs_by, stretches
from nodeconsole.viewmodels.spans import Span
from nodeconsole.viewmodels.text import printable
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail
    from nodeconsole.screens.job import JobScreen


class TimelineTab(JobTab):
    name = "timeline"

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(screen)
        self._axis = (Bar(id="axis-words"), Bar(id="axis-marks"))
        self._sheet, self._legend = Sheet(id="timeline"), Bar(id="legend")
        self._rows: list[Stretch] = []
        self._at = ""

    def widgets(self) -> Iterable[Widget]:
        yield from self._axis
        yield self._sheet
        yield self._legend

    @property
    def main(self) -> TimelineTab:
        return self

    async def load(self) -> bool:
        return await self.screen.load_events()

    def show(self, detail: JobDetail) -> None:
        display = self.session.display()
        self._rows = stretches(detail, self.screen.events)
        if self._at.split("/")[0] != self.screen.chosen:
            self._at = f"{self.screen.chosen}/"
        axis, lines = chart_lines(self._rows, detail, display, self._sheet.view_width, self._at)
        for bar, line in zip(self._axis, axis, strict=True):
            bar.show(line, cut="")
        self._sheet.show(lines)
        runs = printable(runs_by(detail, self._at))
        self._legend.show((Span(f" {runs}  " if runs else ""), *legend(display)), cut=display.glyphs.cut)

    def choose(self, task: str) -> None:
        super().choose(task)
        if self._at.split("/")[0] != task:
            self._at = f"{task}/"
        self._sheet.bring_into_view(self._place)

    def spots(self) -> Sequence[str]:
        """The visible rows, by task and party."""
        return [row.key for row in self._rows[slice(*self._sheet.visible_lines)]]

    def put_labels(self, labels: Mapping[str, str], /) -> None:
        """Letters over the beginnings of rows, by key."""
        self._sheet.label_lines({place: labels[row.key] for place, row in enumerate(self._rows) if row.key in labels})

    def go_to_spot(self, key: str, /, *, opens: bool) -> None:
        self._go(next((place for place, row in enumerate(self._rows) if row.key == key), self._place))
        if opens:
            self.screen.act_job_task()

    # Movement.

    @property
    def _place(self) -> int:
        return next((number for number, row in enumerate(self._rows) if row.key == self._at), 0)

    def _go(self, place: int) -> None:
        if not self._rows:
            return
        place = max(0, min(place, len(self._rows) - 1))
        self._at = self._rows[place].key
        self.screen.task_chosen(self._rows[place].task)
        self._sheet.bring_into_view(place)

    def move(self, rows: int) -> None:
        self._go(self._place + rows)

    def page(self, pages: int) -> None:
        self._go(self._place + pages * max(1, self._sheet.view_height - 1))

    def first(self) -> None:
        self._go(0)

    def last(self) -> None:
        self._go(len(self._rows) - 1)
