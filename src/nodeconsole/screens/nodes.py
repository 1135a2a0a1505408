"""Which node to look at: the contexts, and what was looked at in this console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical

from nodeconsole.remote.contexts import Contexts
from nodeconsole.remote.target import Place
from nodeconsole.screens.overlay import Overlay
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.node_list import offered_places, place_cells, place_columns
from nodeconsole.viewmodels.spans import Span
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.table import VirtualTable

Choice = tuple[str, str]


class NodesScreen(Overlay[str | None]):
    """Dismissed with what `:node` takes, or None."""

    DEFAULT_CSS = """
    NodesScreen { align: center top; background: $background 60%; }
    NodesScreen Vertical { width: 76; max-width: 100%; height: 16; max-height: 90%; background: $surface;
        border: round $role-dim; }
    NodesScreen Bar { background: $surface; }
    NodesScreen VirtualTable { background: $surface; }
    """
    _STEPS: ClassVar[dict[str, int]] = {"down": 1, "j": 1, "up": -1, "k": -1, "pagedown": 10, "pageup": -10}

    def __init__(self, session: Session, contexts: Contexts, seen: Sequence[Place], current: Place) -> None:
        super().__init__()
        self.session = session
        self._contexts = contexts
        self._choices = offered_places(contexts, seen)
        self._current = current.label

    def compose(self) -> ComposeResult:
        with Vertical():
            yield VirtualTable[Choice](
                lambda choice: choice[0],
                lambda choice: place_cells(choice, self._current, self._contexts, self.session.display()),
                id="nodes",
            )
            yield Bar(id="hint")

    @property
    def _table(self) -> VirtualTable[Choice]:
        return self.query_one("#nodes", VirtualTable)

    def prepare(self) -> None:
        glyphs = self.session.glyphs
        self._table.set_columns(place_columns(self.session.display()), cursor=glyphs.cursor, cut=glyphs.cut)
        self._table.show(self._choices)
        self.query_one("#hint", Bar).show((Span(f" {self.session.text('nodes.hint')}", "dim"),), cut=glyphs.cut)

    def on_virtual_table_opened(self) -> None:
        self._choose()

    def _choose(self) -> None:
        choice = self._table.item
        self.dismiss(None if choice is None else choice[0])

    def on_key(self, event: events.Key) -> None:
        if event.key in ("escape", "q"):
            self.dismiss(None)
        elif event.key == "enter":
            self._choose()
        elif event.key in self._STEPS:
            self._table.move(self._STEPS[event.key])
        else:
            return
        event.stop()
        event.prevent_default()
