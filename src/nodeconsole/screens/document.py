"""Something to read, line by line: the facts about a row, a job's specification, a record as data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.screen import Screen
from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.document import coloured, json_lines, marked, places, yaml_lines
from nodeconsole.viewmodels.spans import Line, Span, plain
from nodeconsole.viewmodels.text import short_id
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail


class DocumentScreen(Moves, ConsoleScreen):
    """Searched with smart case: a capital letter in the words makes case count."""

    SCOPES: ClassVar[tuple[str, ...]] = ("document", "move", GLOBAL)

    def __init__(self, session: Session, title: str, lines: Sequence[Line]) -> None:
        super().__init__(session)
        self._title = title
        self._lines = tuple(lines)
        self._words = ""
        self._at = -1
        """The line a search stopped at."""

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="document")

    @property
    def main(self) -> Sheet:
        return self.query_one("#document", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        return (Span(f" {self._title}", "accent"),), (Span(f"{self._place()} ", "dim"),)

    def _place(self) -> str:
        if not self._words:
            return str(len(self._lines))
        hits = self._hits()
        at = hits.index(self._at) + 1 if self._at in hits else 0
        return self.session.text("document.hits", at=at, n=len(hits))

    def repaint_body(self) -> None:
        hits = set(self._hits())
        lines = [marked(plain(line), self._words) if i in hits else line for i, line in enumerate(self._lines)]
        self.main.show(lines)

    def _hits(self) -> list[int]:
        return places([plain(line) for line in self._lines], self._words)

    def act_document_search(self, *_: str) -> None:
        self.open_prompt("search", "/", self._words)

    def prompt_entered(self, kind: str, text: str) -> None:
        if kind == "search":
            self._words, self._at = text.strip(), -1
            self._go(1)

    def act_document_next(self, *_: str) -> None:
        self._go(1)

    def act_document_before(self, *_: str) -> None:
        self._go(-1)

    def _go(self, step: int) -> None:
        hits = self._hits()
        if hits:
            beyond = [i for i in hits if (i > self._at if step > 0 else i < self._at)]
            ends = (hits[0], hits[-1])
            self._at = (beyond[0] if step > 0 else beyond[-1]) if beyond else ends[0 if step > 0 else 1]
            self.main.scroll_to_line(self._at - self.main.view_height // 3)
        elif self._words:
            self.session.say(self.session.text("document.not_found"), "dim")
        self.retranslate()

    def act_document_copy(self, *_: str) -> None:
        self.console.copy("\n".join(plain(line) for line in self._lines), self._title)

    def act_document_format(self, *_: str) -> None:
        """Only a record has another form."""


class RecordScreen(DocumentScreen):
    """Data as JSON, or as YAML."""

    def __init__(self, session: Session, title: str, document: object) -> None:
        super().__init__(session, title, ())
        self._document = document
        self._yaml = False
        self._write()

    def _write(self) -> None:
        lines = yaml_lines(self._document) if self._yaml else json_lines(self._document)
        self._lines = tuple((Span(" "), *coloured(line)) for line in lines)

    def act_document_format(self, *_: str) -> None:
        self._yaml = not self._yaml
        self._write()
        self.retranslate()


def open_specification(screen: Screen[None], session: Session, detail: JobDetail) -> None:
    """Show what the job was submitted as."""
    title = f"{short_id(detail.job.job_id)} > {session.text('action.job.spec')}"
    screen.app.push_screen(RecordScreen(session, title, detail.spec))
