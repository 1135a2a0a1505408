"""A log of any length: only what is looked at is loaded and painted."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len, chop_cells
from textual import events
from textual.geometry import Size
from textual.message import Message

from nodeconsole.viewmodels.logs import PAGE, Lines, LogBuffer, Margin, line_role, match_spans
from nodeconsole.viewmodels.spans import Role, Span, fit_line
from nodeconsole.viewmodels.text import count
from nodeconsole.widgets.painted import EMPTY, Painted, PaintedLine

_MARGIN = 50
"""Lines around the visible ones that are fetched with them."""
_SIDEWAYS = 20


class VirtualLog(Painted):
    """Shows `Lines`. The cursor is on one line; it follows the end until one goes up, and `follow` takes it up again.

    Wrapped, the position is the first visible *line* and long lines take several rows, so wrapping needs no heights of
    lines that are not here.
    """

    DEFAULT_CSS = """
    VirtualLog { height: 1fr; overflow-y: scroll; }
    """

    @dataclass
    class Missing(Message):
        """Lines that are (nearly) visible are not here; give them to `put`."""

        start: int
        length: int

    class Scrolled(Message):
        """Another part is visible, or following began or ended."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.buffer: Lines = LogBuffer()
        self.following = True
        self.wrapped = False
        self.pattern = ""
        self.cursor = 0
        """The line that keys act on."""
        self.margin = Margin()
        self.rules: dict[int, str] = {}
        """Marks an operator left behind lines: the number of the line, and what the mark says."""
        self._gap_text = "lines {first} - {last} are not loaded yet"
        self._left = 0
        self._own_scroll = False
        self._layout: tuple[tuple[int, ...], list[tuple[int, str, bool]]] = ((), [])

    def set_texts(self, gap: str) -> None:
        """`gap` has the placeholders `first` and `last`."""
        self._gap_text = gap
        self.repaint()

    def show(self, lines: Lines) -> None:
        """Start over with other lines (another level, another party)."""
        self.buffer = lines
        self.cursor, self._left, self.following = 0, 0, True
        self.rules.clear()
        self.grown()

    def grown(self) -> None:
        """The lines have changed."""
        if self.following:
            self.cursor = max(0, self.buffer.total - 1)
        self._changed()

    def _changed(self) -> None:
        height = self.buffer.total + (max(0, self.view_height - 1) if self.wrapped else 0)
        if self.virtual_size.height != height:
            self.virtual_size = Size(0, height)
        if self.following:
            self._to_end()
        self.repaint()
        self._want_visible()

    # Movement.

    @property
    def top(self) -> int:
        """Number of the first visible line."""
        return round(self.scroll_y)

    @property
    def bottom(self) -> int:
        """Number of the last visible line, -1 when there is none."""
        if self.wrapped:
            rows = self._wrapped_rows(self.view_width)
            return rows[-1][0] if rows else -1
        return min(self.buffer.total, self.top + self.view_height) - 1

    def move(self, lines: int) -> None:
        self.move_to(self.cursor + lines)

    def page(self, pages: int) -> None:
        step = pages * (max(1, self.bottom - self.top) if self.wrapped else max(1, self.view_height - 1))
        self._scroll(self.top + step)
        self.move_to(self.cursor + step)

    def first(self) -> None:
        self.move_to(0)

    def last(self) -> None:
        self.follow()

    def move_to(self, number: int) -> None:
        """Put the cursor on a line, as near as there is one. At the last line, what comes is followed."""
        last = max(0, self.buffer.total - 1)
        self.cursor = max(0, min(number, last))
        self.following = self.cursor == last
        self._keep_cursor_visible()
        self.repaint()
        self._want_visible()
        self.post_message(self.Scrolled())

    def follow(self) -> None:
        """Go to the end and stay there."""
        self.move_to(self.buffer.total - 1)
        self._to_end()
        self.repaint()

    def _keep_cursor_visible(self) -> None:
        if self.cursor < self.top:
            self._scroll_by_own(self.cursor)
        elif self.cursor > self.bottom and self.view_height:
            self._scroll_by_own(self._top_for(self.cursor))

    def sideways(self, step: int) -> None:
        """Move the view of long lines; wrapped ones need none."""
        longest = max(0, self.buffer.widest - self.view_width + self.margin.width(self.buffer))
        self._left = 0 if self.wrapped else max(0, min(self._left + step * _SIDEWAYS, longest))
        self.repaint()

    def show_line(self, number: int) -> None:
        """Put the cursor on a line; one that was out of sight comes to stand a third from the top."""
        if not self.top <= number <= self.bottom:
            self._scroll(number - self.view_height // 3)
        self.move_to(number)

    def toggle_wrap(self) -> None:
        self.wrapped = not self.wrapped
        self._left = 0
        self._changed()

    def _scroll(self, top: int) -> None:
        self._scroll_by_own(min(top, self._last_top()))

    def _last_top(self) -> int:
        return max(0, self.buffer.total - (1 if self.wrapped else self.view_height))

    def _scroll_by_own(self, top: int) -> None:
        self._own_scroll = True
        try:
            self.scroll_to_line(top)
        finally:
            self._own_scroll = False

    def _to_end(self) -> None:
        self._scroll_by_own(self._top_for(self.buffer.total - 1))

    def _top_for(self, bottom: int) -> int:
        """The first visible line when `bottom` is to be the last one."""
        if not self.wrapped:
            return max(0, bottom - self.view_height + 1)
        rows, number = 0, bottom + 1
        while number > 0:
            rows += len(self._pieces(number - 1, self.view_width))
            if rows > self.view_height:
                break
            number -= 1
        return max(0, min(number, bottom))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) == round(new_value):
            return
        if not self._own_scroll:
            # The wheel or the scroll bar: the cursor stays in view.
            self.cursor = max(self.top, min(self.cursor, self.bottom))
            self.following = new_value > old_value and self.bottom >= self.buffer.total - 1
        self._want_visible()
        self.post_message(self.Scrolled())

    def on_resize(self) -> None:
        self._changed()

    def _want_visible(self) -> None:
        if not self.view_height:
            return
        first, last = self.top, self.top + self.view_height
        self.buffer.touch(first, last)
        gap = self.buffer.gap(first, last) or self.buffer.gap(max(0, first - _MARGIN), last + _MARGIN)
        if gap is not None:
            self.post_message(self.Missing(*gap))

    # Painting.

    def painted_line(self, y: int, width: int) -> PaintedLine:
        if self.wrapped:
            rows = self._wrapped_rows(width)
            if y >= len(rows):
                return EMPTY
            number, text, first = rows[y]
            return self._line(number, text, 0, width, first=first)
        number = self.top + y
        if number >= self.buffer.total:
            return EMPTY
        return self._line(number, self.buffer.line(number), self._left, width)

    def _line(self, number: int, text: str | None, left: int, width: int, *, first: bool = True) -> PaintedLine:
        if text is None or self.buffer.line(number) is None:
            return PaintedLine((Span(f" ~ {self._gap(number)}", "dim"),))
        role = line_role(self.buffer.line(number) or "")
        head = self.margin.spans(self.buffer, number) if first else (Span(" " * self.margin.width(self.buffer)),)
        spans = self._spans(text, role)
        if number in self.rules:
            spans = self._ruled(spans, self.rules[number], left, width)
        return PaintedLine(spans, "cursor" if number == self.cursor else "", left, head)

    def _ruled(self, spans: tuple[Span, ...], rule: str, left: int, width: int) -> tuple[Span, ...]:
        """A mark stands at the right edge of its line, over what is there."""
        room = width - self.margin.width(self.buffer) + left - cell_len(rule)
        text = fit_line(spans, room, "..")
        return (*text, Span(" " * (room - sum(cell_len(span.text) for span in text))), Span(rule, "wait"))

    def _gap(self, number: int) -> str:
        first = number // PAGE * PAGE
        last = min(first + PAGE, self.buffer.total)
        return self._gap_text.format(first=count(first + 1), last=count(last))

    def _spans(self, text: str, role: Role) -> tuple[Span, ...]:
        spans: list[Span] = []
        at = 0
        for start, end in match_spans(text, self.pattern):
            spans += [Span(text[at:start], role), Span(text[start:end], "match")]
            at = end
        return (*(span for span in spans if span.text), Span(text[at:], role))

    def _pieces(self, number: int, width: int) -> list[str]:
        line = self.buffer.line(number)
        room = width - self.margin.width(self.buffer)
        return (chop_cells(line, max(2, room)) if line else [""]) or [""]

    def _wrapped_rows(self, width: int) -> list[tuple[int, str, bool]]:
        """Number, text, and whether it is the first row of its line."""
        margin = self.margin.width(self.buffer)
        key = (id(self.buffer), self.buffer.revision, self.top, width, self.view_height, margin)
        if self._layout[0] != key:
            rows: list[tuple[int, str, bool]] = []
            number = self.top
            while number < self.buffer.total and len(rows) < self.view_height:
                rows += [(number, piece, place == 0) for place, piece in enumerate(self._pieces(number, width))]
                number += 1
            self._layout = (key, rows[: self.view_height])
        return self._layout[1]

    def on_click(self, event: events.Click) -> None:
        rows = self._wrapped_rows(self.view_width) if self.wrapped else []
        if not self.wrapped:
            self.move_to(self.top + event.y)
        elif event.y < len(rows):
            self.move_to(rows[event.y][0])
