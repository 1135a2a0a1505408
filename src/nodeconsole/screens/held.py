"""The undo window: a confirmed write is held back for a few seconds, in which it can be taken back.

Nothing was sent before the window has passed. When the node does not answer by then, the write is dropped and that is
said: what an operator confirmed minutes ago does not happen by surprise when the node comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable

if TYPE_CHECKING:
    from nodeconsole.screens.session import Session

CarryOut = Callable[[], Coroutine[Any, Any, None]]


@dataclass(eq=False, slots=True)
class _Held:
    """`due` is a moment of the event loop's clock."""

    what: str
    carry_out: CarryOut
    node_id: str
    due: float
    timer: asyncio.TimerHandle | None = None


class HeldWrites:
    """`start` runs a coroutine in a worker that outlives the screen; `seconds` 0 = nothing is held back."""

    def __init__(
        self, session: Session, start: Callable[[Coroutine[Any, Any, None]], object], *, seconds: float
    ) -> None:
        self._session = session
        self._start = start
        self.seconds = seconds
        self._held: list[_Held] = []

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, what: str, carry_out: CarryOut) -> None:
        """Do it when the window has passed. `what` is said meanwhile: `approve job-1a2b`."""
        if self.seconds <= 0:
            self._start(carry_out())
            return
        loop = asyncio.get_running_loop()
        held = _Held(printable(what), carry_out, self._node_id, loop.time() + self.seconds)
        held.timer = loop.call_later(self.seconds, self._due, held)
        self._held.append(held)
        self._session.repaint_chrome()

    def take_back(self) -> str:
        """Drop the newest one and return what it was; empty when nothing is held back."""
        if not self._held:
            return ""
        held = self._held.pop()
        if held.timer is not None:
            held.timer.cancel()
        return held.what

    def line(self, *, short: bool = False) -> Line:
        """What is about to happen, and how it is stopped; empty when nothing is held back."""
        if not self._held:
            return ()
        newest = self._held[-1]
        left = max(0, round(newest.due - asyncio.get_running_loop().time()))
        if short:
            return (Span(f"{self._session.text('undo.short', seconds=left)} ", "wait"),)
        more = f" (+{len(self._held) - 1})" if len(self._held) > 1 else ""
        return (Span(f"{self._session.text('undo.countdown', what=newest.what, seconds=left)}{more}", "wait"),)

    async def flush(self) -> None:
        """Do now what is held back: the console is being left."""
        held, self._held = self._held, []
        for one in held:
            if one.timer is not None:
                one.timer.cancel()
            if self._may(one):
                await one.carry_out()

    @property
    def _node_id(self) -> str:
        return self._session.status.node_id if self._session.status else ""

    def _due(self, held: _Held) -> None:
        if held in self._held:
            self._held.remove(held)
            if self._may(held):
                self._start(held.carry_out())
            self._session.repaint_chrome()

    def _may(self, held: _Held) -> bool:
        session = self._session
        if session.online and self._node_id == held.node_id and not session.read_only:
            return True
        key = "undo.read_only" if session.read_only else "undo.dropped"
        session.say(session.text(key, what=held.what), "bad")
        return False
