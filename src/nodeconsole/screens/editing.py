"""Longer texts: in a window of the console, or in the operator's own editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import TextArea

from nodeconsole.programs import environment_for_others
from nodeconsole.screens.overlay import Overlay
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.spans import Span
from nodeconsole.viewmodels.text import printable
from nodeconsole.widgets.bar import Bar


class TextScreen(Overlay[str | None]):
    """Dismissed with the text, or None."""

    DEFAULT_CSS = """
    TextScreen { align: center middle; background: $background 60%; }
    TextScreen Vertical { width: 90%; height: 80%; background: $surface; border: round $role-dim; }
    TextScreen Bar { background: $surface; }
    TextScreen TextArea { height: 1fr; background: $panel; color: $foreground; border: none; padding: 0 1; }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "give_up", show=False, priority=True),
        Binding("f10,ctrl+s", "take", show=False, priority=True),
    ]

    def __init__(self, session: Session, title: str, value: str, hint: str = "") -> None:
        super().__init__()
        self.session = session
        self._title, self._value, self._hint = title, value, hint

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Bar(id="title")
            yield TextArea(self._value, compact=True, soft_wrap=True, tab_behavior="indent")
            yield Bar(id="hint")

    def prepare(self) -> None:
        area = self.query_one(TextArea)
        area.cursor_blink = False
        area.move_cursor(area.document.end)
        area.focus()
        cut = self.session.glyphs.cut
        self.query_one("#title", Bar).show((Span(f" {printable(self._title)}", "accent"),), cut=cut)
        hint = self._hint or self.session.text("text.hint")
        self.query_one("#hint", Bar).show((Span(f" {hint}", "dim"),), cut=cut)

    def action_take(self) -> None:
        self.dismiss(self.query_one(TextArea).text)

    def action_give_up(self) -> None:
        self.dismiss(None)


class NoEditor(Exception):
    """The text cannot be edited outside; the sentence says why."""


def edit_outside(app: App[Any], text: str, *, suffix: str = ".txt") -> str:
    """The text as it comes out of `$VISUAL`, `$EDITOR` or `vi`. The console waits meanwhile."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    # Its own directory: what is in it is for nobody else.
    with tempfile.TemporaryDirectory(prefix="nodeconsole-") as directory:
        file = Path(directory) / f"value{suffix}"
        file.write_text(text, "utf-8")
        try:
            with app.suspend():
                code = subprocess.run(  # noqa: S603 - the operator's own
                    [*command, str(file)], env=environment_for_others(), check=False
                ).returncode
        except (OSError, SuspendNotSupported) as error:
            raise NoEditor(f"{command[0]}: {getattr(error, 'strerror', None) or error}") from None
        if code:
            raise NoEditor(f"{command[0]}: {code}")
        edited = file.read_text("utf-8", "replace")
    # Editors end a file with a line break that nobody typed.
    return edited if text.endswith("\n") else edited.removesuffix("\n")
