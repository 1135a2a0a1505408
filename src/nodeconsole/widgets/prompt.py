"""The line one types into: filter, search, command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from nodeconsole.widgets.line import Line


class Prompt(Horizontal):
    """Posts `Typed` while typing and `Entered` on Enter. `kind` tells the screen what it asked for.

    What is typed replaces `value`, unless it is only `begun`.
    """

    DEFAULT_CSS = """
    Prompt { height: 1; background: $ground-bar; }
    Prompt Static { width: auto; color: $role-key; text-style: bold; background: $ground-bar; }
    Prompt Input { width: 1fr; background: $ground-bar; color: $foreground; }
    """

    @dataclass
    class Typed(Message):
        kind: str
        text: str

    @dataclass
    class Entered(Message):
        kind: str
        text: str

    def __init__(
        self, kind: str, label: str, value: str = "", words: Sequence[str] = (), *, begun: bool = False
    ) -> None:
        super().__init__()
        self.kind = kind
        self._label = label
        suggester = SuggestFromList(words, case_sensitive=False) if words else None
        # Made here, not in `compose`: keys may come, and the prompt be closed, before it has been composed.
        self.line = Line(value, compact=True, suggester=suggester, select_on_focus=not begun)
        self.line.cursor_blink = False

    def compose(self) -> ComposeResult:
        yield Static(f" {self._label} ", markup=False)
        yield self.line

    def on_mount(self) -> None:
        self.line.focus()

    def fill(self, text: str) -> None:
        """Replace what was typed."""
        self.line.value = text
        self.line.cursor_position = len(text)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Typed(self.kind, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Entered(self.kind, event.value))
