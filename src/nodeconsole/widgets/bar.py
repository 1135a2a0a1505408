"""One line of text with a left and a right part."""

from __future__ import annotations

from collections.abc import Sequence

from nodeconsole.viewmodels.spans import Span, spread
from nodeconsole.widgets.painted import Ground, Painted, PaintedLine


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
        return PaintedLine(spread(self._left, self._right, width, self._cut), self._ground)
