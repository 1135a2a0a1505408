"""The line that says why something is not over yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.facts import when
from nodeconsole.viewmodels.sentences import sentence
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.times import age, span_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import Said, Waiting
    from nodeconsole.viewmodels.display import Display


def waiting_text(waiting: Waiting, display: Display) -> str:
    """By whom, on what, since when, what happens next by itself."""
    said = waiting.said
    by, on = (
        sentence(said.get("blocked_by"), waiting.blocked_by, display),
        sentence(said.get("on"), waiting.on, display),
    )
    line = display.text("waiting.line", by=by, on=on, age=age(waiting.since_ms, display.now_ms))
    if waiting.next:
        line += display.text("waiting.next", next=sentence(said.get("next"), waiting.next, display))
    if waiting.next_ms and not _says_when(said.get("next")):
        line += display.text("waiting.in", span=span_text(waiting.next_ms - display.now_ms))
    return line


def _says_when(said: Said | None) -> bool:
    """The sentence has the moment in it."""
    return said is not None and "at" in said.facts


def waiting_facts(waiting: Waiting, display: Display) -> list[tuple[str, str]]:
    """The same, one thing after another, with the moments; for the lines of a page."""
    text, said = display.text, waiting.said
    then = sentence(said.get("next"), waiting.next, display) if waiting.next else ""
    if waiting.next_ms and not _says_when(said.get("next")):
        span = text("waiting.in", span=span_text(waiting.next_ms - display.now_ms))
        then = f"{then}{span} ({when(waiting.next_ms, display)})"
    return [
        (text("waiting.who"), sentence(said.get("blocked_by"), waiting.blocked_by, display)),
        (text("waiting.on"), sentence(said.get("on"), waiting.on, display)),
        (text("waiting.since"), f"{when(waiting.since_ms, display)}  {age(waiting.since_ms, display.now_ms)}"),
        (text("waiting.then"), then),
    ]


def overdue(waits: Iterable[Waiting | None], now_ms: int) -> bool:
    """Whether something was to happen by itself before now: what is shown of it is old."""
    return any(wait is not None and wait.next_ms is not None and wait.next_ms < now_ms for wait in waits)


def why_line(name: str, waiting: Waiting | None, reason: str, status: str, display: Display) -> Line:
    """What is to be said about the thing under the cursor: why it waits, or why it ended as it did (`reason`, fit to be
    shown); may be empty."""
    badge = display.badge(status)
    if waiting is not None:
        return (Span(f"{name} ", "strong"), Span(waiting_text(waiting, display), "wait"))
    if reason:
        return (Span(f"{name} ", "strong"), Span(display.labelled(badge.text, ""), badge.role), Span(reason))
    return (Span(f"{name} ", "strong"), Span(badge.text, badge.role))
