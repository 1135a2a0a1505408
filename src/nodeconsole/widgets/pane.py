"""One of several small lists on a screen: a title, rows, and a cursor that shows only in the pane that has the keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from textual import events
from textual.message import Message

from nodeconsole.viewmodels.glyphs import Glyphs
from nodeconsole.viewmodels.panes import PaneRow
from nodeconsole.viewmodels.spans import Line, Role, Span, spread
from nodeconsole.viewmodels.text import cells
from nodeconsole.widgets.painted import EMPTY, Painted, PaintedLine, labelled


class Pane(Painted):
    """The cursor stays on its key when rows come and go. Rows that do not fit are counted in the title."""

    DEFAULT_CSS = """
    Pane { height: 1fr; overflow: hidden; }
    """

    class Moved(Message):
        """The cursor is on another row."""

    class Chosen(Message):
        """The pane was clicked; `again`: on the row that had the cursor already."""

        def __init__(self, pane: Pane, *, again: bool) -> None:
            super().__init__()
            self.pane = pane
            self.again = again

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._glyphs = glyphs
        self._title: Line = ()
        self._rows: Sequence[PaneRow] = ()
        self._cursor = -1
        self._top = 0
        self._active = False
        self._labels: Mapping[str, str] = {}

    def show(self, title: Line, rows: Sequence[PaneRow], glyphs: Glyphs) -> None:
        before = self.row
        key, place = (before.key if before is not None else ""), max(0, self._cursor)
        self._title, self._rows, self._glyphs = title, rows, glyphs
        self._cursor = self._place_of(key, place)
        self._keep_cursor_visible()
        self.repaint()
        if before is not None and (self.row is None or self.row.key != before.key):
            self.post_message(self.Moved())

    def _place_of(self, key: str, place: int) -> int:
        """Where the key is now, else the nearest row that can be chosen; -1 = there is none."""
        chosen = [number for number, row in enumerate(self._rows) if row.key]
        same = next((number for number in chosen if self._rows[number].key == key), None)
        if same is not None:
            return same
        return min(chosen, key=lambda number: abs(number - place), default=-1)

    @property
    def active(self) -> bool:
        """It has the keys."""
        return self._active

    @active.setter
    def active(self, active: bool) -> None:
        self._active = active
        self.repaint()

    @property
    def row(self) -> PaneRow | None:
        """Under the cursor."""
        return self._rows[self._cursor] if 0 <= self._cursor < len(self._rows) else None

    @property
    def room(self) -> int:
        """Lines for rows."""
        return max(1, self.view_height - 1)

    # Movement.

    def move(self, rows: int) -> None:
        chosen = [number for number, row in enumerate(self._rows) if row.key]
        if not chosen:
            self._scroll(self._top + rows)
            return
        at = chosen.index(self._cursor) if self._cursor in chosen else 0
        self._go(chosen[max(0, min(at + rows, len(chosen) - 1))])

    def page(self, pages: int) -> None:
        self.move(pages * max(1, self.room - 1))

    def first(self) -> None:
        self.move(-len(self._rows))

    def last(self) -> None:
        self.move(len(self._rows))

    def find(self, wanted: Callable[[PaneRow], bool], step: int, *, wrap: bool) -> bool:
        """Go to the next (`step` 1) or previous (-1) row that is wanted; `wrap`: from the other end if need be."""
        places = range(self._cursor + step, len(self._rows) if step > 0 else -1, step)
        again = range(len(self._rows)) if step > 0 else range(len(self._rows) - 1, -1, -1)
        for place in (*places, *(again if wrap else ())):
            if 0 <= place < len(self._rows) and self._rows[place].key and wanted(self._rows[place]):
                self._go(place)
                return True
        return False

    def spots(self) -> Sequence[str]:
        """The pane itself, by the empty key, and its visible rows."""
        visible = self._rows[self._top : self._top + self.room]
        return ["", *(row.key for row in visible if row.key)]

    def put_labels(self, labels: Mapping[str, str], /) -> None:
        """Letters over the title and the beginnings of rows, by key."""
        self._labels = labels
        self.repaint()

    def go_to_spot(self, key: str, /, *, opens: bool) -> None:
        place = next((number for number, row in enumerate(self._rows) if key and row.key == key), None)
        if place is not None:
            self._go(place)
        self.post_message(self.Chosen(self, again=opens and place is not None))

    def _go(self, place: int) -> None:
        if place != self._cursor:
            self._cursor = place
            self.post_message(self.Moved())
        self._keep_cursor_visible()
        self.repaint()

    def _scroll(self, top: int) -> None:
        self._top = max(0, min(top, len(self._rows) - self.room))
        self.repaint()

    def _keep_cursor_visible(self) -> None:
        top = max(0, min(self._top, len(self._rows) - self.room))
        if self._cursor >= 0:
            top = max(min(top, self._cursor), self._cursor - self.room + 1)
        self._top = max(0, top)

    def on_resize(self) -> None:
        self._keep_cursor_visible()
        self.repaint()

    def on_click(self, event: events.Click) -> None:
        place = self._top + event.y - 1
        chosen = event.y > 0 and place < len(self._rows) and bool(self._rows[place].key)
        again = chosen and place == self._cursor and self._active
        if chosen:
            self._go(place)
        self.post_message(self.Chosen(self, again=again))

    # Painting.

    def painted_line(self, y: int, width: int) -> PaintedLine:
        if y == 0:
            return self._labelled(self._heading(width), "")
        place = self._top + y - 1
        if place >= len(self._rows):
            return EMPTY
        row = self._rows[place]
        under = self._active and place == self._cursor
        sign = Span(self._glyphs.cursor if under else " ", "accent")
        line = spread(row.line, row.right, max(0, width - 2), self._glyphs.cut)
        painted = PaintedLine((sign, *line), "cursor" if under else "")
        return self._labelled(painted, row.key) if row.key else painted

    def _labelled(self, line: PaintedLine, key: str) -> PaintedLine:
        label = self._labels.get(key)
        return labelled(line, label) if label else line

    def _heading(self, width: int) -> PaintedLine:
        rule, hidden = self._glyphs.rule, len(self._rows) - self.room
        role: Role = "accent" if self._active else "strong"
        title = tuple(Span(span.text, span.role or role) for span in self._title)
        more = f" +{hidden} " if hidden > 0 else ""
        used = 4 + sum(cells(span.text) for span in title) + len(more)
        filler = rule * max(0, width - used - bool(more))
        return PaintedLine(
            (Span(f"{rule}{rule} ", "dim"), *title, Span(f" {filler}{more}{rule if more else ''}", "dim"))
        )
