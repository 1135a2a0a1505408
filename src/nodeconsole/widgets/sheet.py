"""Lines to read: a card, a help page, the facts about something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.geometry import Size

from nodeconsole.viewmodels.spans import Line
from nodeconsole.widgets.painted import EMPTY, Painted, PaintedLine, labelled


class Sheet(Painted):
    """Scrolls by lines; the lines are expected to be wrapped by whoever made them."""

    DEFAULT_CSS = """
    Sheet { height: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._lines: tuple[Line, ...] = ()
        self._labels: Mapping[int, str] = {}

    def show(self, lines: Sequence[Line]) -> None:
        """Replace the text; the place where one was reading stays if there still is something."""
        self._lines = tuple(lines)
        size = Size(0, len(self._lines))
        if size != self.virtual_size:
            self.virtual_size = size
        self.repaint()

    @property
    def lines(self) -> tuple[Line, ...]:
        return self._lines

    def painted_line(self, y: int, width: int) -> PaintedLine:  # noqa: ARG002 - lines are wrapped already
        number = round(self.scroll_y) + y
        line = PaintedLine(self._lines[number]) if number < len(self._lines) else EMPTY
        return labelled(line, self._labels[number]) if number in self._labels else line

    @property
    def visible_lines(self) -> tuple[int, int]:
        """The number of the first visible line, and the one after the last."""
        top = round(self.scroll_y)
        return top, min(len(self._lines), top + self.view_height)

    def label_lines(self, labels: Mapping[int, str]) -> None:
        """Letters over the beginnings of lines, by number."""
        self._labels = labels
        self.repaint()

    def move(self, lines: int) -> None:
        """Scroll by so many lines."""
        self.scroll_to_line(round(self.scroll_y) + lines)

    def bring_into_view(self, line: int) -> None:
        """Scroll as far as it takes to see a line, with a little of what is around it."""
        top, height = round(self.scroll_y), self.view_height
        margin = min(3, height // 4)
        if line < top + margin:
            self.scroll_to_line(line - margin)
        elif line >= top + height - margin:
            self.scroll_to_line(line - height + margin + 1)
        self.repaint()

    def page(self, pages: int) -> None:
        self.move(pages * max(1, self.view_height - 1))

    def first(self) -> None:
        self.scroll_to_line(0)

    def last(self) -> None:
        self.scroll_to_line(len(self._lines))
