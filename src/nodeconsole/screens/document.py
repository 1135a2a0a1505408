"""A document to read, line by line: a job's specification."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.screen import Screen
from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.document import json_lines
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import short_id
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail


class DocumentScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("move", GLOBAL)

    def __init__(self, session: Session, title: str, lines: Sequence[str]) -> None:
        super().__init__(session)
        self._title = title
        self._lines = tuple((Span(f" {line}"),) for line in lines)

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="document")

    @property
    def main(self) -> Sheet:
        return self.query_one("#document", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        return (Span(f" {self._title}", "accent"),), (Span(f"{len(self._lines)} ", "dim"),)

    def repaint_body(self) -> None:
        self.main.show(self._lines)


def open_specification(screen: Screen[None], session: Session, detail: JobDetail) -> None:
    """Show what the job was submitted as."""
    title = f"{short_id(detail.job.job_id)} > {session.text('action.job.spec')}"
    screen.app.push_screen(DocumentScreen(session, title, json_lines(detail.spec)))
