"""Which columns a list shows, in which order, how wide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical

from nodeconsole.screens.keyboard import pressed
from nodeconsole.screens.overlay import Overlay
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.listing import View
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.table import VirtualTable

_WIDEST = 120


class ColumnsScreen(Overlay[View | None]):
    """Dismissed with the view that was chosen, or None."""

    DEFAULT_CSS = """
    ColumnsScreen { align: center middle; background: $background 60%; }
    ColumnsScreen Vertical { width: 60; max-width: 100%; height: auto; max-height: 90%; background: $surface;
        border: round $role-dim; }
    ColumnsScreen VirtualTable { background: $surface; }
    ColumnsScreen Bar { background: $surface; }
    """

    def __init__(self, session: Session, columns: Sequence[Column], view: View) -> None:
        super().__init__()
        self.session = session
        self._own = {column.id: column for column in columns}
        self._view = view
        front = [name for name in view.order if name in self._own]
        self._order = [*front, *(name for name in self._own if name not in front)]
        self._keys: dict[str, Callable[[], None]] = {
            "j": lambda: self._table.move(1),
            "down": lambda: self._table.move(1),
            "k": lambda: self._table.move(-1),
            "up": lambda: self._table.move(-1),
            "space": self._toggle,
            "}": lambda: self._shift(1),
            "{": lambda: self._shift(-1),
            "+": lambda: self._widen(2),
            "-": lambda: self._widen(-2),
            "0": self._reset,
            "enter": lambda: self._end(keep=True),
            "escape": lambda: self._end(keep=False),
            "q": lambda: self._end(keep=False),
        }

    def compose(self) -> ComposeResult:
        with Vertical():
            yield VirtualTable[str](str, self._cells, id="columns")
            yield Bar(id="hint")
            yield Bar(id="hint2")

    @property
    def _table(self) -> VirtualTable[str]:
        return self.query_one("#columns", VirtualTable)

    def _cells(self, name: str) -> Line:
        hidden = name in self._view.hidden
        width = self._view.widths.get(name)
        shown = str(width) if width is not None else self.session.text("columns.auto")
        sign = "[ ]" if hidden else "[x]"
        return (
            Span(sign, "dim" if hidden else "key"),
            Span(self._own[name].title, "dim" if hidden else ""),
            Span(shown),
        )

    def prepare(self) -> None:
        text, glyphs = self.session.text, self.session.glyphs
        columns = (
            Column("shown", "", 4),
            Column("name", text("columns.name"), 20, flex=1),
            Column("width", text("columns.width"), 8, right=True),
        )
        self._table.styles.height = len(self._own) + 1
        self._table.set_columns(columns, cursor=glyphs.cursor, cut=glyphs.cut)
        self._show()
        self.query_one("#hint", Bar).show((Span(f" {text('columns.hint', keys='{ }')}", "dim"),))
        self.query_one("#hint2", Bar).show((Span(f" {text('columns.hint2')}", "dim"),))

    def _show(self) -> None:
        self._table.show(list(self._order))
        self._table.repaint()

    def _toggle(self) -> None:
        name = self._table.key
        hidden = self._view.hidden
        if name is not None and (name in hidden or len(hidden) + 1 < len(self._own)):
            self._view = replace(self._view, hidden=hidden ^ {name})
        self._table.move(1)

    def _shift(self, step: int) -> None:
        place = self._table.cursor
        other = place + step
        if 0 <= other < len(self._order):
            self._order[place], self._order[other] = self._order[other], self._order[place]
            self._view = replace(self._view, order=tuple(self._order))

    def _widen(self, step: int) -> None:
        name = self._table.key
        if name is not None:
            width = self._view.widths.get(name, self._own[name].width) + step
            self._view = replace(self._view, widths={**self._view.widths, name: max(3, min(width, _WIDEST))})

    def _reset(self) -> None:
        self._order = list(self._own)
        self._view = replace(self._view, order=(), hidden=frozenset(), widths={})

    def _end(self, *, keep: bool) -> None:
        self.dismiss(self._view if keep else None)

    def on_key(self, event: events.Key) -> None:
        name = pressed(event)
        event.stop()
        event.prevent_default()
        action = self._keys.get(name)
        if action is not None:
            action()
            if self.is_attached and name not in ("enter", "escape", "q"):
                self._show()
