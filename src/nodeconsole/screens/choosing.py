"""One or several of a list, found by a few letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from algorithm_components.sdk.forms.model import Choice
from nodeconsole.screens.overlay import Overlay
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import printable
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.table import VirtualTable


class _Finder(Input):
    """Space is no letter where it marks."""

    def _on_key(self, event: events.Key) -> None:  # type: ignore[override]
        screen = self.screen
        if event.key == "space" and isinstance(screen, ChoiceScreen) and screen.several:
            screen.mark()
            event.stop()
            event.prevent_default()


class ChoiceScreen(Overlay[list[str] | None]):
    """Dismissed with the chosen values, or None. Letters find; where `several` can be chosen, Space marks. `values` are
    shown beside their labels unless they say nothing to a person."""

    AUTO_FOCUS = "Input"
    DEFAULT_CSS = """
    ChoiceScreen { align: center middle; background: $background 60%; }
    ChoiceScreen Vertical { width: 74; max-width: 100%; height: auto; max-height: 90%; background: $surface;
        border: round $role-dim; }
    ChoiceScreen Input { background: $panel; color: $foreground; }
    ChoiceScreen VirtualTable { background: $surface; }
    ChoiceScreen Bar { background: $surface; }
    """
    _STEPS: ClassVar[dict[str, int]] = {"down": 1, "up": -1, "pagedown": 10, "pageup": -10}
    _TALLEST = 14

    def __init__(
        self,
        session: Session,
        title: str,
        choices: Sequence[Choice],
        chosen: Sequence[str],
        *,
        several: bool = False,
        values: bool = True,
    ) -> None:
        super().__init__()
        self.session = session
        self._title = title
        self._choices = tuple(choices)
        self._chosen = dict.fromkeys(chosen)
        self.several = several
        self._values = values

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Bar(id="title")
            yield _Finder(compact=True, placeholder=self.session.text("choice.find"))
            yield VirtualTable[Choice](self._key, self._cells, id="choices")
            yield Bar(id="hint")

    def _key(self, choice: Choice) -> str:
        return f"{choice.heading:d}{choice.value}"

    def _cells(self, choice: Choice) -> Line:
        glyphs = self.session.glyphs
        if choice.heading:
            mark = ""
        elif self.several:
            mark = "[x]" if choice.value in self._chosen else "[ ]"
        else:
            mark = glyphs.ok if choice.value in self._chosen else ""
        indent = "  " * choice.depth
        return (
            Span(mark, "ok"),
            Span(f"{indent}{printable(choice.label or choice.value)}", "strong" if choice.heading else ""),
            Span(printable(choice.value) if self._values and choice.shown != choice.value else "", "dim"),
        )

    @property
    def _table(self) -> VirtualTable[Choice]:
        return self.query_one("#choices", VirtualTable)

    def prepare(self) -> None:
        glyphs = self.session.glyphs
        self.query_one(Input).cursor_blink = False
        self.query_one("#title", Bar).show((Span(f" {printable(self._title)}", "accent"),), cut=glyphs.cut)
        hint = "choice.hint_several" if self.several else "choice.hint"
        self.query_one("#hint", Bar).show((Span(f" {self.session.text(hint)}", "dim"),), cut=glyphs.cut)
        columns = [Column("mark", "", 3), Column("label", "", 16, flex=1, most=66)]
        if self._values:
            columns.append(Column("value", "", 16, flex=1))
        self._table.set_columns(columns, cursor=glyphs.cursor, cut=glyphs.cut)
        self._table.styles.height = min(len(self._choices), self._TALLEST) + 1
        self._find("")
        for value in self._chosen:
            if self._table.move_to_key(f"0{value}"):
                break

    def _find(self, pattern: str) -> None:
        wanted = pattern.strip().lower()
        found = [c for c in self._choices if wanted in c.value.lower() or wanted in c.label.lower()]
        self._table.show(found, empty=(self.session.text("choice.none"),))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._find(event.value)

    def on_virtual_table_opened(self) -> None:
        self._take()

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            self.dismiss(None)
        elif event.key in self._STEPS:
            self._table.move(self._STEPS[event.key])
        elif event.key == "enter":
            self._take()
        else:
            return
        event.stop()
        event.prevent_default()

    def mark(self) -> None:
        """Mark or unmark what is under the cursor, and go on."""
        choice = self._table.item
        if choice is None or choice.heading:
            return
        if self._chosen.pop(choice.value, self) is self:
            self._chosen[choice.value] = None
        self._table.move(1)
        self._table.repaint()

    def _take(self) -> None:
        choice = self._table.item
        if self.several:
            self.dismiss([one.value for one in self._choices if one.value in self._chosen and not one.heading])
        elif choice is not None and not choice.heading:
            self.dismiss([choice.value])
