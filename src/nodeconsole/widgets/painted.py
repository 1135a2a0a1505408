"""Base of our line widgets: they say what a line should look like, and only lines that look different are sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip

from nodeconsole.viewmodels.spans import Span
from nodeconsole.widgets.palette import Palette, palette

Ground = Literal["", "cursor", "bar", "found"]


class PaintedLine(NamedTuple):
    """One line of the screen. `left` = cells cut off at the start of `spans` (horizontal scrolling); `head` stands
    before them and stays."""

    spans: tuple[Span, ...]
    ground: Ground = ""
    left: int = 0
    head: tuple[Span, ...] = ()


EMPTY = PaintedLine(())


def labelled(line: PaintedLine, label: str) -> PaintedLine:
    """The line with a label of jump mode over its first cells."""
    return line._replace(left=line.left + len(label), head=(*line.head, Span(label, "label")))


class _WholeCells(ScrollBarRender):
    """Without the blocks of a part of a cell, whose width terminals do not agree about."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "]


class Painted(ScrollView, can_focus=False):
    """Subclasses give `painted_line`; call `repaint` after any change of what it returns.

    All text reaches the terminal as it is: what came from elsewhere must have gone through `printable`.
    """

    DEFAULT_CSS = """
    Painted {
        background: $background;
        color: $foreground;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        scrollbar-size-horizontal: 0;
        scrollbar-background: $background;
        scrollbar-color: $panel;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        overflow-x: hidden;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._sent: dict[int, PaintedLine] = {}
        self._stale = False
        self._palette: Palette = {}

    def notify_style_update(self) -> None:
        super().notify_style_update()
        found = palette(self.app.theme_variables)
        if found is not self._palette:
            self._palette = found
            self.refresh()

    def on_mount(self) -> None:
        self.vertical_scrollbar.renderer = _WholeCells  # type: ignore[misc]

    def painted_line(self, y: int, width: int) -> PaintedLine:
        """What line `y` of the visible part should look like, fitted to `width` cells."""
        raise NotImplementedError

    @property
    def stale(self) -> bool:
        """Whether what is shown may be out of date; it is dimmed then."""
        return self._stale

    @stale.setter
    def stale(self, stale: bool) -> None:
        if stale != self._stale:
            self._stale = stale
            self.refresh()

    @property
    def view_width(self) -> int:
        """Cells per line, without the scroll bar."""
        return self.scrollable_content_region.width

    @property
    def view_height(self) -> int:
        return self.scrollable_content_region.height

    def scroll_to_line(self, line: int) -> None:
        """Make `line` the first visible one, as far as there are lines below it."""
        self.scroll_target_y = self.scroll_y = max(0, min(line, self.max_scroll_y))
        # The scroll bar appears with the next layout only, and does not ask where we are by then.
        self.call_after_refresh(self._place_scroll_bar)

    def _place_scroll_bar(self) -> None:
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = self.scroll_y

    def repaint(self) -> None:
        """Send the visible lines that look different from what was sent last."""
        width = self.view_width
        for y in range(self.view_height):
            if self._sent.get(y) != self.painted_line(y, width):
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        width = self.view_width
        line = self.painted_line(y, width)
        self._sent[y] = line
        return self._strip(line, width)

    def _strip(self, line: PaintedLine, width: int) -> Strip:
        base = self.rich_style
        if line.ground:
            base += self._palette[f"ground-{line.ground}"]
        if self._stale:
            base += Style(dim=True)
        strip = self._segments(line.spans, base)
        if line.left:
            strip = strip.crop(line.left)
        if line.head:
            strip = Strip.join([self._segments(line.head, base), strip])
        return strip.adjust_cell_length(width, base).simplify()

    def _segments(self, spans: Iterable[Span], base: Style) -> Strip:
        looks = self._palette
        return Strip([Segment(span.text, base + looks[span.role] if span.role else base) for span in spans])
