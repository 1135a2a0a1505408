"""A graph of boxes and lines that scrolls both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from textual import events
from textual.geometry import Region, Size
from textual.message import Message

from nodeconsole.viewmodels.graph import EMPTY as NO_LAYOUT
from nodeconsole.viewmodels.graph import Box, Cell, Layout
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells
from nodeconsole.widgets.painted import EMPTY, Painted, PaintedLine

_MARGIN = 2
"""Cells between the graph and the left edge: room for the sign of the cursor."""


class GraphView(Painted):
    """Shows a `Layout` with a cursor on one box. The faces of the boxes change without anything moving; only boxes
    that look different are sent then."""

    DEFAULT_CSS = """
    GraphView { height: 1fr; }
    """

    class Moved(Message):
        """The cursor is on another box."""

    class Opened(Message):
        """The box under the cursor was clicked again."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._layout: Layout = NO_LAYOUT
        self._faces: Mapping[str, tuple[Line, ...]] = {}
        self._by_row: dict[int, list[Box]] = {}
        self._lit: Mapping[Cell, Role] = {}
        self._lines = " " * 16
        self._empty = ""
        self._left = 0
        self._labels: Mapping[str, str] = {}
        self.key = ""
        """The box of the cursor; empty when there is none."""

    @property
    def graph(self) -> Layout:
        return self._layout

    def show(self, layout: Layout, faces: Mapping[str, tuple[Line, ...]], lines: str, *, empty: str = "") -> None:
        """`faces` = per box a line per row, as wide as the box; `lines` = signs by direction (`Glyphs.lines`)."""
        if layout is self._layout and lines == self._lines and layout.boxes:
            changed = [key for key, face in faces.items() if self._faces.get(key) != face]
            self._faces = faces
            for key in changed:
                self._refresh_box(layout.boxes[key])
            return
        self._layout, self._faces, self._lines, self._empty = layout, faces, lines, empty
        self._by_row = {}
        for box in sorted(layout.boxes.values(), key=lambda box: box.x):
            for row in range(box.y, box.y + box.height):
                self._by_row.setdefault(row, []).append(box)
        if self.key not in layout.boxes:
            self.key = next(iter(layout.boxes), "")
        self.virtual_size = Size(0, layout.height)
        self._bring_into_view()
        self.repaint()

    def light(self, lit: Mapping[Cell, Role]) -> None:
        """Cells of lines that stand out, in their role."""
        if lit != self._lit:
            self._lit = lit
            self.repaint()

    def _refresh_box(self, box: Box) -> None:
        top, width = box.y - round(self.scroll_y), self.view_width
        # The sign of the cursor stands beside the box.
        self.refresh(Region(box.x + _MARGIN - self._left - 1, top, box.width + 2, box.height))
        # The rest of its lines is there already.
        for y in range(max(0, top), min(self.view_height, top + box.height)):
            self._sent[y] = self.painted_line(y, width)

    # Movement.

    def go(self, key: str) -> bool:
        """Put the cursor on a box; False when there is none of this name."""
        if key not in self._layout.boxes:
            return False
        if key != self.key:
            self.key = key
            self.post_message(self.Moved())
        self._bring_into_view()
        self.repaint()
        return True

    def step(self, across: int, down: int) -> None:
        """To the nearest box that way."""
        if self.key:
            self.go(self._layout.neighbour(self.key, across, down) or self.key)

    def move(self, rows: int) -> None:
        self.step(0, 1 if rows > 0 else -1)

    def page(self, pages: int) -> None:
        if not self.key:
            return
        here = self._layout.boxes[self.key]
        goal = here.y + pages * max(1, self.view_height - 1)
        nearest = min(self._layout.boxes.values(), key=lambda box: (abs(box.y - goal), abs(box.centre - here.centre)))
        self.go(nearest.key)

    def first(self) -> None:
        self._end(lambda box: (box.y, box.x))

    def last(self) -> None:
        self._end(lambda box: (-box.y, box.x))

    def _end(self, order: Callable[[Box], tuple[int, int]]) -> None:
        if self._layout.boxes:
            self.go(min(self._layout.boxes.values(), key=order).key)

    def spots(self) -> Sequence[str]:
        """The boxes of which some is visible, by rows."""
        top, width, height = round(self.scroll_y), self.view_width, self.view_height
        seen = [
            box
            for box in self._layout.boxes.values()
            if top <= self._middle(box) < top + height
            and box.x - self._left > -_MARGIN
            and box.x + _MARGIN - self._left <= width
        ]
        return [box.key for box in sorted(seen, key=lambda box: (box.y, box.x))]

    def put_labels(self, labels: Mapping[str, str], /) -> None:
        """Letters before boxes, by key."""
        self._labels = labels
        self.repaint()

    def go_to_spot(self, key: str, /, *, opens: bool) -> None:
        if self.go(key) and opens:
            self.post_message(self.Opened())

    def _bring_into_view(self) -> None:
        box = self._layout.boxes.get(self.key)
        if box is None or not self.view_height:
            return
        width, height = self.view_width, self.view_height
        whole = self._layout.width + 2 * _MARGIN
        if whole <= width:
            self._left = -((width - whole) // 2)
        else:
            if box.x + _MARGIN - 2 < max(0, self._left):
                self._left = box.x + _MARGIN - width // 3
            elif box.x + box.width + _MARGIN + 2 > self._left + width:
                self._left = box.x + box.width + _MARGIN - width * 2 // 3
            self._left = max(0, min(self._left, whole - width))
        top = round(self.scroll_y)
        # A row above and below: where its lines come from and go to.
        if box.y - 1 < top:
            self.scroll_to_line(max(0, box.y - 1 - height // 4))
        elif box.y + box.height + 1 > top + height:
            self.scroll_to_line(box.y + box.height + 1 - height + height // 4)

    def on_resize(self) -> None:
        self._bring_into_view()
        self.repaint()

    def on_click(self, event: events.Click) -> None:
        column, row = event.x + self._left - _MARGIN, event.y + round(self.scroll_y)
        for box in self._by_row.get(row, ()):
            if box.x <= column < box.x + box.width:
                if box.key == self.key:
                    self.post_message(self.Opened())
                else:
                    self.go(box.key)

    # Painting.

    def painted_line(self, y: int, width: int) -> PaintedLine:
        row = round(self.scroll_y) + y
        if not self._layout.boxes:
            return PaintedLine((Span(f"   {self._empty}", "strong"),)) if y == 1 else EMPTY
        if row >= self._layout.height:
            return EMPTY
        # One cell to the left of the graph belongs to it: the sign of the cursor.
        at = -1
        spans: list[Span] = [Span(" " * (_MARGIN + at - min(0, self._left)))]
        end = max(0, self._left) + width
        for box in self._by_row.get(row, ()):
            if box.x > end:
                break
            spans += self._between(row, at, box.x)
            spans += self._face(box, row - box.y)
            at = box.x + box.width
        spans += self._between(row, at, max(at, min(self._layout.width + 1, end)))
        return PaintedLine(tuple(span for span in spans if span.text), "", max(0, self._left))

    def _face(self, box: Box, line: int) -> Line:
        face = self._faces.get(box.key, ())
        spans = face[line] if line < len(face) else ()
        blank = box.width - sum(cells(span.text) for span in spans)
        shown = (*spans, Span(" " * blank)) if box.key != self.key else tuple(_chosen(spans, blank))
        second = self._labels.get(box.key, "")[1:] if line == self._middle(box) - box.y else ""
        return (Span(second, "label"), *_without_first_cell(shown)) if second else shown

    def _between(self, row: int, start: int, end: int) -> list[Span]:
        """The cells from `start` to before `end`: lines, and the sign of the cursor beside its box."""
        drawn, marks = self._layout.rows[row], self._marks(row)
        spans: list[Span] = []
        at = start
        for column in sorted(column for column in {*drawn, *marks} if start <= column < end):
            sign, role = marks.get(column) or (self._lines[drawn[column]], self._lit.get((column, row), "dim"))
            spans += [Span(" " * (column - at)), Span(sign, role)]
            at = column + 1
        return [*spans, Span(" " * (end - at))]

    @staticmethod
    def _middle(box: Box) -> int:
        return box.y + (1 if box.height > 1 else 0)

    def _marks(self, row: int) -> dict[int, tuple[str, Role]]:
        marks: dict[int, tuple[str, Role]] = {}
        box = self._layout.boxes.get(self.key)
        if box is not None and row == self._middle(box):
            marks = {box.x - 1: (">", "key"), box.x + box.width: ("<", "key")}
        for one in self._by_row.get(row, ()) if self._labels else ():
            if one.key in self._labels and row == self._middle(one):
                marks[one.x - 1] = (self._labels[one.key][0], "label")
        return marks


def _without_first_cell(spans: Line) -> Line:
    """A face begins with a sign of one cell."""
    first, *rest = (span for span in spans if span.text)
    return (Span(first.text[1:], first.role), *rest)


def _chosen(spans: Line, blank: int) -> list[Span]:
    """The box under the cursor: its words stand out, its state keeps its colour."""
    marked: list[Span] = []
    for span in spans:
        role: Role = "key" if span.text in ("[", "]") else "strong" if span.role == "" else span.role
        marked.append(Span(span.text, role))
    return [*marked, Span(" " * blank)]
