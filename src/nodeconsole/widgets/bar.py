"""One line of text with a left and a right part."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from nodeconsole.viewmodels.spans import Span
from nodeconsole.widgets.painted import Ground, Painted, PaintedLine, fit_line


class Bar(Painted):
    """When it is too narrow, the right part keeps its place and the left one is cut."""

    DEFAULT_CSS = """
    Bar { height: 1; overflow: hidden; }
    """

    def __init__(self, *, ground: Ground = "", id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._left: tuple[Span, ...] = ()
        self._right: tuple[Span, ...] = ()
        self._ground: Ground = ground
        self._cut = ".."

    def show(self, left: Sequence[Span], right: Sequence[Span] = (), *, cut: str = "..") -> None:
        self._left, self._right, self._cut = tuple(left), tuple(right), cut
        self.repaint()

    def painted_line(self, y: int, width: int) -> PaintedLine:  # noqa: ARG002 - there is one line
        taken = sum(cell_len(span.text) for span in self._right)
        if taken + 1 > width:
            return PaintedLine(fit_line(self._left, width, self._cut), self._ground)
        left = fit_line(self._left, width - taken - (1 if taken else 0), self._cut)
        blank = width - taken - sum(cell_len(span.text) for span in left)
        return PaintedLine((*left, Span(" " * blank), *self._right), self._ground)
