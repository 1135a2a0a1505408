"""What is not as safe as it could be, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.standing import warning_lines
from nodeconsole.widgets.sheet import Sheet


class WarningsScreen(Moves, ConsoleScreen):
    """Shows the warnings of the node's status, which comes anew with every event."""

    SCOPES: ClassVar[tuple[str, ...]] = ("move", GLOBAL)

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="warnings")

    @property
    def main(self) -> Sheet:
        return self.query_one("#warnings", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        status = self.session.status
        number = len(status.warnings) if status is not None else 0
        return (Span(f" {self.session.text('warnings.heading')}", "accent"),), (Span(f"{number} ", "dim"),)

    def repaint_body(self) -> None:
        status = self.session.status
        width = max(20, self.main.view_width - 2)
        lines = warning_lines(status.warnings, self.session.display(), width) if status is not None else []
        none: list[Line] = [(Span(self.session.text("warnings.none"), "ok"),)] if status is not None else []
        self.main.show([(Span(" "), *line) for line in lines or none])
