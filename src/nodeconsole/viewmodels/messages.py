"""What was sent to partners, one line each: how far it has come and, where it hangs, why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.viewmodels.contracts import is_undelivered
from nodeconsole.viewmodels.facts import fact_lines, when
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Column, Line, Role, Span
from nodeconsole.viewmodels.text import count, printable
from nodeconsole.viewmodels.times import age, span_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_grants import MessageRow
    from nodeconsole.viewmodels.display import Display

_SIGNS: dict[str, tuple[str, Role]] = {
    "queued": ("pending", "wait"),
    "sent": ("waiting", "warn"),
    "stored": ("ready", ""),
    "opened": ("ready", "run"),
    "decided": ("ok", "ok"),
    "refused": ("bad", "bad"),
    "withdrawn": ("rejected", "dim"),
}


def receipt(message: MessageRow, display: Display) -> Span:
    """Sign and word of how far it has come."""
    sign, role = _SIGNS.get(message.state, ("unknown", ""))
    word = display.catalogue.get(f"receipt.{message.state}", printable(message.state))
    return Span(f"{getattr(display.glyphs, sign)} {word}", role)


def message_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("id", text("messages.column.id"), 5, right=True, drop=4),
        Column("to", text("messages.column.to"), 10, flex=1, most=24),
        Column("what", text("messages.column.what"), 20, flex=2, most=40),
        Column("about", text("messages.column.about"), 12, flex=1, most=40, drop=2),
        Column("state", text("messages.column.state"), 17),
        Column("tries", text("messages.column.tries"), 5, right=True, drop=3),
        Column("next", text("messages.column.next"), 5, right=True, drop=1),
        Column("age", text("messages.column.age"), 5, right=True),
    )


def message_cells(message: MessageRow, display: Display) -> Line:
    waits = is_undelivered(message) and message.next_ms
    return (
        Span(str(message.id), "dim"),
        Span(printable(message.node_id), "strong"),
        Span(printable(message.operation)),
        Span(printable(message.subject), "dim"),
        receipt(message, display),
        Span(count(message.attempts) if message.attempts else "", "dim"),
        Span(span_text(message.next_ms - display.now_ms) if waits and message.next_ms else "", "dim"),
        Span(age(message.created_ms, display.now_ms), "dim"),
    )


def message_why(message: MessageRow, display: Display) -> Line:
    """How far it has come, and what is in its way."""
    badge = receipt(message, display)
    if message.last_error and (is_undelivered(message) or message.state == "refused"):
        return (badge, Span(f"  {told(message, 'last_error', display)}", "warn"))
    meaning = display.catalogue.get(f"messages.meaning.{message.state}", "")
    return (badge, Span(f"  {meaning}", "dim"))


def message_facts(message: MessageRow, display: Display, width: int) -> list[Line]:
    text = display.text
    facts = [
        (text("messages.subject"), printable(message.subject)),
        (text("messages.sent"), when(message.created_ms, display)),
        (text("messages.opened"), when(message.opened_ms, display) if message.opened_ms else ""),
        (text("messages.error"), told(message, "last_error", display)),
        (text("messages.next"), when(message.next_ms, display) if message.next_ms and is_undelivered(message) else ""),
    ]
    return fact_lines(facts, width)
