"""A line one types into, on a screen that has keys of its own."""

from __future__ import annotations

from typing import Protocol

from textual import events
from textual.binding import Binding
from textual.widgets import Input

_EDITING = {
    key: binding.action for binding in Input.BINDINGS if isinstance(binding, Binding) for key in binding.key.split(",")
}
"""What keys that are no letters do within a line."""


class Heir(Protocol):
    """Who gets what was typed behind the end of a line."""

    def take_behind(self, key: events.Key) -> None: ...

    def line_gone(self) -> None:
        """No key will come from it any more."""


class Line(Input):
    """Enter and Escape end it. What was typed behind them, before the focus was elsewhere, is kept for its heir."""

    over = False
    """It has been ended."""
    awaited = 0
    """Keys that were handed to it and that it has not seen yet."""
    _behind: tuple[events.Key, ...] = ()
    _heir: Heir | None = None

    def leave_to(self, heir: Heir) -> None:
        """What was typed behind its end, and what still comes. To be called when the focus is elsewhere."""
        behind, self._behind, self._heir = self._behind, (), heir
        for key in behind:
            heir.take_behind(key)

    def takes(self, event: events.Key) -> bool:
        """Whether the key means something else here than for any line."""
        if event.key == "enter":
            # At once, not when the key has found no other meaning.
            self.over = True
            self.post_message(self.Submitted(self, self.value))
            return True
        self.over = event.key == "escape"
        return False

    async def _on_key(self, event: events.Key) -> None:
        self.awaited = max(0, self.awaited - 1)
        if self.over and self._heir is not None:
            self._heir.take_behind(event)
        elif self.over:
            self._behind += (event,)
        elif not self.takes(event):
            action = _EDITING.get(event.key)
            if action is None:
                return
            # Textual's way through all that lies around it takes turns in which further letters come first.
            await self.run_action(action)
        event.stop()
        event.prevent_default()

    def on_unmount(self) -> None:
        self.awaited = 0
        if self._heir is not None:
            self._heir.line_gone()
