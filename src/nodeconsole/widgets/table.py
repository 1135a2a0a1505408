"""A table that costs what is visible, however many rows it has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rich.cells import cell_len
from textual import events
from textual.geometry import Region, Size
from textual.message import Message

from nodeconsole.viewmodels.spans import Column, Fitted, Line, Span, fit_columns, wide_columns
from nodeconsole.viewmodels.text import fit
from nodeconsole.widgets.painted import EMPTY, Painted, PaintedLine, labelled

T = TypeVar("T")
_MARK = "*"


@dataclass(frozen=True, slots=True)
class Unseen:
    """How many rows came since one looked there, above and below what is visible."""

    above: int = 0
    below: int = 0


class VirtualTable(Painted, Generic[T]):
    """Rows are any objects; `key` identifies one across reloads, `cells` gives one span per column when it is painted.

    The cursor stays on its key when rows come, go or are sorted, and on its line of the screen when rows appear above
    it (unless all of them fit into the view); `unseen` tells of those that came and are not visible.
    """

    DEFAULT_CSS = """
    VirtualTable { height: 1fr; }
    """

    class Moved(Message):
        """The cursor is on another row (or on none)."""

    class Opened(Message):
        """The row of the cursor was clicked again."""

    class NearEnd(Message):
        """The end of the rows has come close, and there are more to be had."""

    class Scrolled(Message):
        """Another part is visible."""

    @dataclass
    class Headed(Message):
        """The heading of a column was clicked."""

        column: str

    def __init__(
        self,
        key: Callable[[T], str],
        cells: Callable[[T], Line],
        *,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(id=id)
        self._key = key
        self._cells = cells
        self._columns: tuple[Column, ...] = ()
        self._fitted: tuple[int, tuple[Fitted, ...]] = (-1, ())
        self._items: Sequence[T] = ()
        self._places: dict[str, int] = {}
        self._cursor = 0
        self._more = ""
        self._empty: tuple[str, ...] = ()
        self._cursor_sign, self._cut = ">", ".."
        self._sorted: tuple[str, str] = ("", "")
        self._wide = False
        self._skipped = 0
        self._unseen: set[str] = set()
        self._labels: Mapping[str, str] = {}
        self.marks: set[str] = set()
        """Keys of the marked rows, of rows too that are not here now. Call `repaint` after a change."""
        self.range_start: str | None = None
        """Key of the row where a range begins that ends at the cursor."""

    # What it shows.

    def set_columns(
        self,
        columns: Sequence[Column],
        *,
        cursor: str,
        cut: str,
        ordered: tuple[str, str] = ("", ""),
        wide: bool = False,
    ) -> None:
        """Headings and widths, with the signs for the cursor and for text that is cut. `ordered`: the column by which
        rows are sorted, and the sign of the direction. `wide`: all columns, scrolled sideways."""
        before = (self._columns, self._cursor_sign, self._cut, self._sorted, self._wide)
        if (tuple(columns), cursor, cut, ordered, wide) == before:
            return
        self._columns = tuple(columns)
        self._fitted = (-1, ())
        self._cursor_sign, self._cut = cursor, cut
        self._sorted, self._wide = ordered, wide
        self._skipped = min(self._skipped, self._most_skipped) if wide else 0
        self.repaint()

    def show(self, items: Sequence[T], *, more: str = "", empty: Sequence[str] = (), news: bool = False) -> None:
        """Replace the rows. `more` = what to say below the last one when the node has further ones; `empty` = what to
        say instead of rows; `news` = rows that were not there before have just come into being."""
        old_key, old_place, top = self.key, self._cursor, round(self.scroll_y)
        known = self._places
        self._items = items
        self._places = {self._key(item): place for place, item in enumerate(items)}
        self._unseen &= self._places.keys()
        if news and known:
            self._unseen |= self._places.keys() - known.keys()
        self._more, self._empty = more, tuple(empty)
        place = self._places.get(old_key, old_place) if old_key is not None else 0
        self._cursor = max(0, min(place, len(items) - 1))
        size = Size(0, len(items) + 1 + (1 if more else 0))
        if size != self.virtual_size:
            self.virtual_size = size
        if self._cursor != old_place and old_key is not None:
            self.scroll_to_line(top + self._cursor - old_place)
        self._keep_cursor_visible()
        self._look()
        self.repaint()
        if self.key != old_key:
            self.post_message(self.Moved())

    @property
    def items(self) -> Sequence[T]:
        return self._items

    @property
    def item(self) -> T | None:
        """The row of the cursor."""
        return self._items[self._cursor] if 0 <= self._cursor < len(self._items) else None

    @property
    def key(self) -> str | None:
        """The key of the row of the cursor."""
        item = self.item
        return None if item is None else self._key(item)

    @property
    def cursor(self) -> int:
        return self._cursor

    def cell_region(self, column_id: str) -> Region | None:
        """Where in this widget the cursor's row has its cell of a column; None while it cannot be seen."""
        line = self._cursor - round(self.scroll_y) + 1
        left = 2
        for column, _, cells in self._columns_at(self.view_width):
            if column.id == column_id:
                return Region(left, line, cells, 1) if 0 < line < self.view_height else None
            left += cells + 1
        return None

    @property
    def unseen(self) -> Unseen:
        """Rows that came and were not on the screen since."""
        if not self._unseen:
            return Unseen()
        above = sum(self._places[key] < round(self.scroll_y) for key in self._unseen)
        return Unseen(above, len(self._unseen) - above)

    # Marks.

    @property
    def range(self) -> Collection[str]:
        """Keys from the anchor to the cursor."""
        start = self._places.get(self.range_start) if self.range_start is not None else None
        if start is None:
            return ()
        first, last = sorted((start, self._cursor))
        return [self._key(item) for item in self._items[first : last + 1]]

    def _is_marked(self, number: int) -> bool:
        if self._key(self._items[number]) in self.marks:
            return True
        start = self._places.get(self.range_start) if self.range_start is not None else None
        return start is not None and min(start, self._cursor) <= number <= max(start, self._cursor)

    # Movement.

    def move_to(self, place: int) -> None:
        """Put the cursor on a row, as near as there is one."""
        place = max(0, min(place, len(self._items) - 1))
        if place != self._cursor:
            self._cursor = place
            self.post_message(self.Moved())
        self._keep_cursor_visible()
        self.repaint()
        self._ask_for_more()

    def move_to_key(self, key: str) -> bool:
        """Put the cursor on the row of `key`; False when there is none."""
        place = self._places.get(key)
        if place is None:
            return False
        self.move_to(place)
        return True

    def move(self, rows: int) -> None:
        self.move_to(self._cursor + rows)

    def page(self, pages: int) -> None:
        self.move_to(self._cursor + pages * max(1, self._visible_rows - 1))

    def first(self) -> None:
        self.move_to(0)

    def last(self) -> None:
        self.move_to(len(self._items) - 1)

    def find(self, wanted: Callable[[T], bool], step: int) -> bool:
        """Go to the next (`step` 1) or previous (-1) row that is wanted, around the ends."""
        count = len(self._items)
        for distance in range(1, count + 1):
            place = (self._cursor + step * distance) % count
            if wanted(self._items[place]):
                self.move_to(place)
                return True
        return False

    def sideways(self, step: int) -> None:
        """Scroll by columns; only the wide view has any beyond the edge."""
        skipped = max(0, min(self._skipped + step, self._most_skipped)) if self._wide else 0
        if skipped != self._skipped:
            self._skipped = skipped
            self._fitted = (-1, ())
            self.repaint()

    def spots(self) -> Sequence[str]:
        """The keys of the visible rows."""
        top = round(self.scroll_y)
        return [self._key(item) for item in self._items[top : top + self._visible_rows]]

    def put_labels(self, labels: Mapping[str, str], /) -> None:
        """Letters over the beginnings of rows, by key."""
        self._labels = labels
        self.repaint()

    def go_to_spot(self, key: str, /, *, opens: bool) -> None:
        if self.move_to_key(key) and opens:
            self.post_message(self.Opened())

    @property
    def _most_skipped(self) -> int:
        return max(0, len(self._columns) - 2)

    @property
    def _visible_rows(self) -> int:
        return max(1, self.view_height - 1)

    def _keep_cursor_visible(self) -> None:
        top = round(self.scroll_y)
        if self._cursor < top:
            self.scroll_to_line(self._cursor)
        elif self._cursor >= top + self._visible_rows and self.view_height:
            self.scroll_to_line(self._cursor - self._visible_rows + 1)

    def _look(self) -> None:
        """What is visible now is not news any more."""
        if self._unseen:
            top = round(self.scroll_y)
            seen = {self._key(item) for item in self._items[top : top + self._visible_rows]}
            self._unseen -= seen

    def _ask_for_more(self) -> None:
        if self._more and round(self.scroll_y) + 2 * self._visible_rows >= len(self._items):
            self.post_message(self.NearEnd())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._ask_for_more()
        if self._unseen:
            self._look()
            self.post_message(self.Scrolled())

    # Painting.

    def painted_line(self, y: int, width: int) -> PaintedLine:
        if y == 0:
            return self._heading(width)
        number = round(self.scroll_y) + y - 1
        if number < len(self._items):
            return self._row(number, width)
        if self._more and number == len(self._items):
            return PaintedLine((Span(fit(f" {self._more}", width, self._cut), "dim"),))
        if not self._items and 0 <= y - 2 < len(self._empty):
            return PaintedLine((Span(fit(f"   {self._empty[y - 2]}", width, self._cut), "dim" if y > 2 else "strong"),))
        return EMPTY

    def _columns_at(self, width: int) -> tuple[Fitted, ...]:
        if self._fitted[0] != width:
            fitted = (
                wide_columns(self._columns, width - 2, self._skipped)
                if self._wide
                else fit_columns(self._columns, width - 2)
            )
            self._fitted = (width, fitted)
        return self._fitted[1]

    def _heading(self, width: int) -> PaintedLine:
        spans = [Span("  ")]
        for column, _, cells in self._columns_at(width):
            by, sign = self._sorted
            role = "accent" if column.id == by else "dim"
            title = column.title
            if column.id == by:
                title = fit(title, min(cell_len(title), cells - cell_len(sign)), "") + sign
            spans.append(Span(fit(title, cells, "", right=column.right) + " ", role))  # type: ignore[arg-type]
        return PaintedLine(tuple(spans))

    def _row(self, number: int, width: int) -> PaintedLine:
        under_cursor, marked = number == self._cursor, self._is_marked(number)
        values = self._cells(self._items[number])
        spans = [
            Span(fit(self._cursor_sign if under_cursor else "", 1, ""), "key" if under_cursor else ""),
            Span(_MARK if marked else " ", "accent" if marked else ""),
        ]
        for column, place, cells in self._columns_at(width):
            value = values[place] if place < len(values) else Span("")
            spans.append(Span(fit(value.text, cells, self._cut, right=column.right), value.role))
            spans.append(Span(" "))
        line = PaintedLine(tuple(spans), "cursor" if under_cursor else "")
        label = self._labels.get(self._key(self._items[number])) if self._labels else None
        return labelled(line, label) if label else line

    # Mouse and size.

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            self._click_heading(event.x)
            return
        place = round(self.scroll_y) + event.y - 1
        if place >= len(self._items):
            return
        if place == self._cursor:
            self.post_message(self.Opened())
        else:
            self.move_to(place)

    def _click_heading(self, x: int) -> None:
        at = 2
        for column, _, cells in self._columns_at(self.view_width):
            if at <= x < at + cells:
                self.post_message(self.Headed(column.id))
                return
            at += cells + 1

    def on_resize(self) -> None:
        self._keep_cursor_visible()
