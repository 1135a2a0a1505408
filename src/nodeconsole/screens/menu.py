"""What can be done to the row under the cursor, with the keys for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical

from nodeconsole.actions import Action, KeyMap, key_name
from nodeconsole.screens.overlay import Overlay
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.widgets.table import VirtualTable


class MenuScreen(Overlay[Action | None]):
    """Dismissed with the action whose key was pressed, or on which Enter was; None on Esc.

    What the node does not offer now is there too, dimmed: choosing it says why.
    """

    DEFAULT_CSS = """
    MenuScreen { align: center middle; background: $background 60%; }
    MenuScreen Vertical { width: 72; max-width: 100%; height: auto; max-height: 90%; background: $surface;
        border: round $role-dim; }
    MenuScreen VirtualTable { background: $surface; }
    """
    _STEPS: ClassVar[dict[str, int]] = {"down": 1, "up": -1, "j": 1, "k": -1}

    def __init__(
        self, session: Session, actions: Sequence[Action], keymap: KeyMap, possible: Callable[[Action], bool]
    ) -> None:
        super().__init__()
        self.session = session
        self._actions = sorted(actions, key=lambda action: action.writes)
        self._keymap = keymap
        self._possible = possible

    def compose(self) -> ComposeResult:
        with Vertical():
            yield VirtualTable[Action](lambda action: action.id, self._cells, id="actions")

    @property
    def _table(self) -> VirtualTable[Action]:
        return self.query_one("#actions", VirtualTable)

    def _cells(self, action: Action) -> Line:
        possible = self._possible(action)
        said = self.session.text(f"help.{action.id}")
        return (Span(self._key(action), "key" if possible else "dim"), Span(said, "" if possible else "dim"))

    def _key(self, action: Action) -> str:
        return key_name(self._keymap.keys_of(action)[0])

    def prepare(self) -> None:
        text, glyphs = self.session.text, self.session.glyphs
        columns = (Column("key", text("palette.key"), 8), Column("what", text("palette.what"), 30, flex=1, most=60))
        self._table.styles.height = len(self._actions) + 1
        self._table.set_columns(columns, cursor=glyphs.cursor, cut=glyphs.cut)
        self._table.show(self._actions)

    def on_virtual_table_opened(self) -> None:
        self.dismiss(self._table.item)

    def on_key(self, event: events.Key) -> None:
        name = event.character if event.is_printable and event.character else event.key
        event.stop()
        event.prevent_default()
        if name in ("escape", "q", "x"):
            self.dismiss(None)
        elif name == "enter":
            self.dismiss(self._table.item)
        elif name in self._STEPS:
            self._table.move(self._STEPS[name])
        else:
            chosen = next((a for a in self._actions if name in self._keymap.keys_of(a)), None)
            if chosen is not None:
                self.dismiss(chosen)
