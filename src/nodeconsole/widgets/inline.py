"""A line that is edited where it stands, over the table that shows it."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.geometry import Offset, Region
from textual.message import Message

from nodeconsole.widgets.line import Line


class InlineEditor(Line):
    """Posts `Done` with where to go next, or `Given up`. It takes pasted text whole, as one line."""

    DEFAULT_CSS = """
    InlineEditor { position: absolute; width: 20; height: 1; background: $panel; color: $foreground; }
    """

    @dataclass
    class Done(Message):
        """`step`: rows to go on; `submit`: the form is to be submitted."""

        step: int = 0
        submit: bool = False

    class GivenUp(Message):
        """What was typed is not wanted."""

    class Stepped(Message):
        """The next (1) or previous (-1) number is wanted."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, value: str, place: Region, *, number: bool, secret: bool) -> None:
        super().__init__(value, id="inline", compact=True, password=secret, select_on_focus=False)
        self._place = place
        self._number = number
        self.cursor_blink = False

    def on_mount(self) -> None:
        self.put(self._place)
        self.focus()

    def put(self, place: Region) -> None:
        """Over these cells of the parent."""
        self.styles.offset = (place.x, place.y)
        self.styles.width = max(8, place.width)

    @property
    def cursor_screen_offset(self) -> Offset:
        """Where the terminal's cursor stands, and an input method draws: on the cell of ours, also at the end."""
        offset = super().cursor_screen_offset
        return offset - (1, 0) if self.cursor_position >= len(self.value) else offset

    def takes(self, event: events.Key) -> bool:
        steps = {"enter": 0, "tab": 1, "shift+tab": -1, "up": -1, "down": 1}
        if self._number and event.key in ("up", "down"):
            self.post_message(self.Stepped(1 if event.key == "up" else -1))
        elif event.key == "escape":
            self._end(self.GivenUp())
        elif event.key in steps:
            self._end(self.Done(steps[event.key]))
        elif event.key == "f10":
            self._end(self.Done(submit=True))
        else:
            return False
        return True

    def _end(self, message: Message) -> None:
        self.over = True
        self.post_message(message)

    def _on_paste(self, event: events.Paste) -> None:
        super()._on_paste(events.Paste(" ".join(event.text.splitlines())))
        event.prevent_default()
        event.stop()
