"""What this console said, with times: a message is on the screen for seconds only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import cells, count, wrap
from nodeconsole.viewmodels.times import clock_seconds
from nodeconsole.widgets.sheet import Sheet

_SEVERITIES = ("bad", "warn", "ok")
_WORD_WIDTH = 8


class NotificationsScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("move", GLOBAL)

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="notifications")

    @property
    def main(self) -> Sheet:
        return self.query_one("#notifications", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        said = count(len(self.session.said))
        return (Span(f" {self.session.text('notifications.title')}", "accent"),), (Span(f"{said} ", "dim"),)

    def repaint_body(self) -> None:
        display = self.session.display()
        width = max(20, self.main.view_width - 20)
        lines: list[Line] = []
        for said in reversed(self.session.said):
            word = display.text(f"notifications.{said.role}") if said.role in _SEVERITIES else ""
            word += " " * (_WORD_WIDTH - cells(word))
            head = f" {clock_seconds(said.at_ms, display.zone)}  "
            for place, part in enumerate(wrap(said.text, width)):
                start = Span(head if not place else " " * len(head), "dim")
                lines.append((start, Span(" " * _WORD_WIDTH if place else word, said.role), Span(part)))
        none: list[Line] = [(Span(f" {display.text('notifications.none')}", "dim"),)]
        self.main.show(lines or none)
