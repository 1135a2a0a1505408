"""The home screen: who needs whom, what runs, how the machine is, how jobs went, who answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.panes import PanesScreen
from nodeconsole.screens.session import Session
from nodeconsole.screens.snoozing import snoozed
from nodeconsole.viewmodels import pulse
from nodeconsole.viewmodels.attention import attention_rows
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.panes import PaneRow
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count
from nodeconsole.widgets.bar import Bar

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_pulse import Overview, ResourceReport, ResourceSample

_HOURS = (24, 168)
_PAUSE = 2.0
"""Seconds between two times of asking, however much happens."""
_SAMPLE_MS = 2_000
_ANEW_MS = 15_000
"""So often it is asked although nothing happened: partners fall silent and tasks get stuck without an event."""
_KEPT_SAMPLES = 180


class PulseScreen(PanesScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("pulse", "panes", "move", GLOBAL)
    PANES: ClassVar[tuple[str, ...]] = ("attention", "jobs", "running", "peers", "node", "flows", "recent")
    TALL: ClassVar[str] = "recent"
    ROWS: ClassVar[str] = "4fr 3fr 5fr 3fr"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._hours = _HOURS[0]
        self._known: Overview | None = None
        self._report: ResourceReport | None = None
        self._samples: list[ResourceSample] = []
        self._asked_ms = 0
        self._sampled_ms = 0

    def body(self) -> Iterable[Widget]:
        yield from super().body()
        yield Bar(id="latest")

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        last = pulse.window_text(self._hours, self.session.display())
        return (Span(f" {text('pulse.title')}", "accent"),), (Span(f"{last}  {text('pulse.window')} ", "dim"),)

    def pane_rows(self, name: str, width: int, height: int) -> tuple[Line, list[PaneRow]]:  # noqa: ARG002
        display, seen, session = self.session.display(), self._known, self.session
        title: Line = self.heading(name)
        match name:
            case "attention":
                found = seen.attention if seen is not None else None
                if found is not None and found.items:
                    title += (Span(f" {count(len(found.items) + found.left_out)}", "wait"),)
                return title, attention_rows(found, display, snoozed(self.session))
            case "jobs":
                return title, pulse.job_rows(session.status, seen.statistics if seen else None, display, width)
            case "running":
                return title, pulse.running_rows(seen.running if seen else None, display, width)
            case "peers":
                return title, pulse.peer_rows(seen.peers if seen else None, display, width)
            case "node":
                return title, pulse.node_rows(self._report, self._samples, display, width)
            case "recent":
                return title, pulse.recent_rows(seen.recent if seen else None, display)
            case _:
                return title, pulse.flow_rows(seen.statistics if seen else None, display, width)

    def repaint_body(self) -> None:
        super().repaint_body()
        display = self.session.display()
        recent = self._known.recent if self._known is not None else []
        latest = self.query_one("#latest", Bar)
        latest.display = self.TALL not in self.panes
        latest.show(pulse.recent_line(recent, display, self.size.width), cut=display.glyphs.cut)

    # What the node says.

    def tick(self) -> None:
        super().tick()
        if not self.session.online:
            return
        now_ms = self.session.now_ms()
        if now_ms - self._asked_ms >= _ANEW_MS:
            self.changed(Changes(subjects=frozenset({"pulse"})))
        if now_ms - self._sampled_ms >= _SAMPLE_MS:
            self._sampled_ms = now_ms
            self.work("resources", self._sample)

    async def reload(self, changes: Changes) -> bool:  # noqa: ARG002 - everything that happens shows here somewhere
        self._asked_ms = self.session.now_ms()
        seen = await self.session.ask(lambda client: client.overview(hours=self._hours))
        if seen is None:
            return False
        self._known, self._loaded = seen, True
        if self._report is None:
            await self._sample()
        self.retranslate()
        # The next round waits, and takes what happened meanwhile with it.
        await asyncio.sleep(_PAUSE)
        return True

    async def _sample(self) -> None:
        after = self._samples[-1].at_ms if self._samples else 0
        report = await self.session.ask(lambda client: client.resources(after=after))
        if report is None:
            return
        self._report = report
        self._samples = [*self._samples, *report.samples][-_KEPT_SAMPLES:]
        if self._whole:
            self.repaint_body()

    # What one does there.

    def act_pulse_window(self, *_: str) -> None:
        """Day or week."""
        self._hours = _HOURS[(_HOURS.index(self._hours) + 1) % len(_HOURS)]
        self.work("recount", self._recount)
        self.repaint_chrome()

    async def _recount(self) -> None:
        hours = self._hours
        found = await self.session.ask(lambda client: client.statistics(hours=hours))
        if found is not None and self._known is not None:
            self._known.statistics = found
            self.retranslate()
