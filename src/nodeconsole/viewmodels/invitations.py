"""Codes that were given to partners: which can still be used, which were, how often somebody guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.viewmodels.spans import Column, Line, Role, Span
from nodeconsole.viewmodels.text import printable
from nodeconsole.viewmodels.times import age, span_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_contracts import InvitationRow
    from nodeconsole.viewmodels.display import Display

OPEN = "open"
_SIGNS: dict[str, tuple[str, Role]] = {OPEN: ("wait", "wait"), "used": ("ok", "ok"), "wrong": ("bad", "bad")}


def invitation_state(row: InvitationRow, now_ms: int) -> str:
    """`open`, `expired`, or how it ended in one word: `used`, `revoked`, `wrong` (too many wrong proofs)."""
    if row.ended:
        return row.ended.split()[0].lower()
    return OPEN if row.expires_ms > now_ms else "expired"


def invitation_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("id", text("invitations.column.id"), 14, flex=1, most=24),
        Column("state", text("invitations.column.state"), 14),
        Column("left", text("invitations.column.left"), 6, right=True),
        Column("wrong", text("invitations.column.wrong"), 8, right=True, drop=2),
        Column("age", text("invitations.column.age"), 6, right=True, drop=3),
        Column("by", text("invitations.column.by"), 10, flex=1, most=24, drop=1),
        Column("address", text("invitations.column.address"), 20, flex=2, most=60, drop=4),
    )


def invitation_cells(row: InvitationRow, display: Display) -> Line:
    state = invitation_state(row, display.now_ms)
    sign, role = _SIGNS.get(state, ("stopped", "dim"))
    word = display.catalogue.get(f"invitations.state.{state}", printable(row.ended))
    return (
        Span(printable(row.id), "strong" if state == OPEN else "dim"),
        Span(f"{getattr(display.glyphs, sign)} {word}", role),
        Span(span_text(row.expires_ms - display.now_ms) if state == OPEN else "", "dim"),
        Span(str(row.wrong or ""), "warn"),
        Span(age(row.created_ms, display.now_ms), "dim"),
        Span(printable(row.created_by.removeprefix("operator:")), "dim"),
        Span(printable(row.address), "dim"),
    )
