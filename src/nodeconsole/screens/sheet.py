"""Lines to read that a view model makes: they follow width, language and signs, and are of one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.widgets.sheet import Sheet


class LinesScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("move", GLOBAL)

    Maker = Callable[[int], Sequence[Line]]
    """The lines for a width in cells."""

    def __init__(self, session: Session, title: Callable[[], str], lines: Maker) -> None:
        super().__init__(session)
        self._crumb = title
        self._lines = lines

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="lines")

    @property
    def main(self) -> Sheet:
        return self.query_one("#lines", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        return (Span(f" {self._crumb()}", "accent"),), ()

    def repaint_body(self) -> None:
        lines = self._lines(max(20, self.main.view_width - 2))
        self.main.show([(Span(" "), *line) for line in lines])
