"""Plots of how jobs went over a day, a week or a month, by flow and by partner."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.panes import PanesScreen
from nodeconsole.screens.saving import save
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels import statistics
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.panes import PaneRow
from nodeconsole.viewmodels.pulse import window_text
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.times import parse_span

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_pulse import Statistics

_HOURS = (24, 168, 720)
_PAUSE = 2.0
"""Seconds between two times of asking, however much happens."""
_SAVE = "statistics.save"


class StatisticsScreen(PanesScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("statistics", "panes", "move", GLOBAL)
    PANES: ClassVar[tuple[str, ...]] = ("ended", "took", "by_flow", "by_partner")
    MOST_COLUMNS = 2

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._hours = _HOURS[0]
        self._found: Statistics | None = None

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        last = window_text(self._hours, self.session.display())
        return (Span(f" {text('statistics.title')}", "accent"),), (
            Span(f"{last}  {text('statistics.window')} ", "dim"),
        )

    def pane_rows(self, name: str, width: int, height: int) -> tuple[Line, list[PaneRow]]:
        found, display = self._found, self.session.display()
        title: Line = self.heading(name)
        if name in ("ended", "took") and found is not None:
            title += (Span(f" {display.text('statistics.per', span=statistics.step_text(found))}", "dim"),)
        match name:
            case "ended":
                return title, statistics.ended_rows(found, display, width, height)
            case "took":
                return title, statistics.took_rows(found, display, width, height)
            case "by_flow":
                return title, statistics.flow_rows(found, display, width)
            case _:
                return title, statistics.partner_rows(found, display, width)

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and "job" not in changes.subjects:
            return True
        hours = self._hours
        found = await self.session.ask(lambda client: client.statistics(hours=hours))
        if found is None:
            return False
        if hours == self._hours:
            self._found, self._loaded = found, True
            self.retranslate()
        await asyncio.sleep(_PAUSE)
        return True

    # What one does there.

    def opened_with(self, *words: str) -> None:
        """`:stats 7d`."""
        hours = statistics.hours_of(parse_span(words[0]))
        if hours is None:
            self.session.say(self.session.text("statistics.bad_span"), "warn")
        else:
            self._count_over(hours)

    def act_statistics_window(self, *_: str) -> None:
        """The next longer window, after the longest the shortest."""
        longer = [hours for hours in _HOURS if hours > self._hours]
        self._count_over(longer[0] if longer else _HOURS[0])

    def _count_over(self, hours: int) -> None:
        self._hours = hours
        self.repaint_chrome()
        self.work("recount", self._recount)

    async def _recount(self) -> None:
        hours = self._hours
        found = await self.session.ask(lambda client: client.statistics(hours=hours))
        if found is not None:
            self._found, self._loaded = found, True
            self.retranslate()

    def act_statistics_save(self, *words: str) -> None:
        """Into a file, as JSON or CSV by its name."""
        if self._found is None:
            return
        if not words:
            label = self.session.text("saving.prompt")
            self.open_prompt(_SAVE, label, f"statistics-{self._hours}h.csv")
            return
        path = Path(" ".join(words)).expanduser()
        as_text = statistics.as_json if path.suffix.lower() == ".json" else statistics.as_csv
        self.work("save", save, self.session, path, as_text(self._found))

    def prompt_entered(self, kind: str, text: str) -> None:
        if kind == _SAVE and text.strip():
            self.act_statistics_save(text.strip())
