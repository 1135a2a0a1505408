"""All actions of a screen, found by a few letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from nodeconsole.actions import Action, KeyMap, key_name
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.commands import best
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.widgets.table import VirtualTable


class PaletteScreen(ModalScreen[Action | None]):
    """Dismissed with the action that was chosen, or None."""

    AUTO_FOCUS = "Input"
    DEFAULT_CSS = """
    PaletteScreen { align: center top; background: $background 60%; }
    PaletteScreen Vertical { width: 76; max-width: 100%; height: 20; max-height: 90%; background: $surface;
        border: round $role-dim; }
    PaletteScreen Input { background: $panel; color: $foreground; }
    PaletteScreen VirtualTable { background: $surface; }
    """
    _STEPS: ClassVar[dict[str, int]] = {"down": 1, "up": -1, "pagedown": 10, "pageup": -10}

    def __init__(self, session: Session, keymap: KeyMap, possible: Callable[[Action], bool]) -> None:
        super().__init__()
        self.session = session
        self._keymap = keymap
        self._actions = [
            action
            for action in keymap.actions
            if action.scope != "move" and action.id != "app.palette" and possible(action)
        ]

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Input(compact=True, placeholder=self.session.text("palette.placeholder"))
            yield VirtualTable[Action](lambda action: action.id, self._cells, id="actions")

    def _cells(self, action: Action) -> Line:
        keys = self._keymap.keys_of(action)
        command = f":{action.command[0]}" if action.command else ""
        return (
            Span(self.session.text(f"help.{action.id}")),
            Span(key_name(keys[0]) if keys else "", "key"),
            Span(command, "dim"),
        )

    @property
    def _table(self) -> VirtualTable[Action]:
        return self.query_one("#actions", VirtualTable)

    def on_mount(self) -> None:
        if self.session.glyphs.name == "ascii":
            self.query_one(Vertical).styles.border = ("ascii", "white")
        self.query_one(Input).cursor_blink = False
        text, glyphs = self.session.text, self.session.glyphs
        columns = (
            Column("what", text("palette.what"), 30, flex=1),
            Column("key", text("palette.key"), 8),
            Column("command", text("palette.command"), 14),
        )
        self._table.set_columns(columns, cursor=glyphs.cursor, cut=glyphs.cut)
        self._find("")

    def _find(self, pattern: str) -> None:
        names = [f"{self.session.text(f'help.{a.id}')} {' '.join(a.command)} {a.id}" for a in self._actions]
        self._table.show([self._actions[place] for place in best(pattern, names)])
        self._table.first()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._find(event.value)

    def on_input_submitted(self) -> None:
        self.dismiss(self._table.item)

    def on_virtual_table_opened(self) -> None:
        self.dismiss(self._table.item)

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            self.dismiss(None)
        elif event.key in self._STEPS:
            self._table.move(self._STEPS[event.key])
        else:
            return
        event.stop()
        event.prevent_default()
