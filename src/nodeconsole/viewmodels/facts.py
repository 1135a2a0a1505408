"""Facts about one thing: a column of labels, and values wrapped beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells, printable, wrap
from nodeconsole.viewmodels.times import moment

if TYPE_CHECKING:
    from nodeconsole.viewmodels.display import Display

LABEL = 14


def fact_lines(facts: Iterable[tuple[str, str]], width: int, role: Role = "") -> list[Line]:
    """Labels and printable values, in lines of at most `width` cells; what has no value is left out."""
    lines: list[Line] = []
    for label, value in facts:
        if not value:
            continue
        for number, part in enumerate(wrap(value, width - LABEL)):
            shown = label if number == 0 else ""
            lines.append((Span(shown + " " * (LABEL - cells(shown)), "dim"), Span(part, role)))
    return lines


def when(at_ms: int | None, display: Display) -> str:
    """Date and time, or `-`."""
    return moment(at_ms, display.zone) if at_ms else "-"


def bullets(items: Iterable[str], width: int, role: Role) -> list[Line]:
    """One or more lines per item, each item marked."""
    lines: list[Line] = []
    for item in items:
        parts = wrap(item, width - 4)
        lines += [(Span("  - " if i == 0 else "    ", "dim"), Span(part, role)) for i, part in enumerate(parts)]
    return lines


def grouped(fingerprint: str) -> str:
    """A fingerprint in groups of four, as people compare it."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))


def votes_text(approvals: Sequence[str], needed: int, display: Display) -> str:
    """`1 of 2 persons (ann), still needed: 1 more`; empty where one person is enough."""
    if needed < 2:
        return ""
    names = " ".join(printable(actor.removeprefix("operator:")) for actor in approvals)
    counted = display.text("card.approved", given=len(approvals), needed=needed, names=display.aside(names))
    return display.clauses((counted, display.text("card.missing", n=needed - len(approvals))))
