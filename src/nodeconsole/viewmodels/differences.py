"""How a job differs from the last approved run: in one line, and change by change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells, printable, short_id, wrap
from nodeconsole.viewmodels.times import age, moment

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import Changed, JobDifference, TrackRecord
    from nodeconsole.viewmodels.display import Display

_SIGNS: dict[str, Role] = {"+": "warn", "-": "dim", "~": "wait"}
_FEW = 4
"""So many changes are named in one line."""


def change_sign(change: Changed) -> str:
    """`+` new, `-` gone, `~` changed."""
    return "+" if not change.before else "-" if not change.after else "~"


def track_record(record: TrackRecord, who: str, display: Display) -> str:
    """`approved 4 of 4 from bob in 90 days (last 6d ago), 3 of this flow`"""
    decided = record.approved + record.rejected
    if not decided:
        return display.text("difference.no_record", who=printable(who))
    text = display.text("difference.record", n=record.approved, of=decided, who=printable(who))
    if record.last_approved_ms:
        text += " " + display.text("difference.last", age=age(record.last_approved_ms, display.now_ms))
    text += display.text("difference.same_flow", n=record.same_flow)
    return text if record.complete else f"{text} {display.text('difference.incomplete')}"


def difference_summary(found: JobDifference, display: Display) -> Line:
    """The differences in one line; the most important come first."""
    precedent = found.precedent
    if precedent is None:
        return (Span(display.text("difference.first"), "warn"),)
    if not precedent.changes:
        same = display.text("difference.none", job=short_id(precedent.other))
        return (Span(f"{display.glyphs.ok} {same}", "ok"),)
    number = len(precedent.changes) + precedent.more
    heading = display.text("difference.heading", n=number) if number > 1 else display.text("difference.heading_one")
    spans = [Span(heading, "strong")]
    for change in precedent.changes[:_FEW]:
        sign = change_sign(change)
        spans += [Span(f"  {sign} ", _SIGNS[sign]), Span(f"{_aspect(change, display)} {printable(change.name)}")]
    if number > _FEW:
        spans.append(Span(f"  {display.text('difference.more', n=number - _FEW)}", "dim"))
    return tuple(spans)


def difference_lines(found: JobDifference, who: str, display: Display, width: int) -> list[Line]:
    """Everything: what it is compared with, then one entry per change with its values."""
    text, precedent = display.text, found.precedent
    lines: list[Line] = [(Span(part),) for part in wrap(track_record(found.record, who, display), width)]
    if precedent is None:
        return [*lines, *((Span(part, "warn"),) for part in wrap(text("difference.first_long"), width))]
    compared = short_id(precedent.other)
    if precedent.decided_ms:
        by = printable(precedent.decided_by.removeprefix("operator:"))
        compared += "  " + text("difference.decided", at=moment(precedent.decided_ms, display.zone), by=by)
    against = text("difference.against", job=compared)
    lines += [(), *((Span(part, "accent"),) for part in wrap(against, width))]
    if not precedent.changes:
        lines.append((Span(f"  {display.glyphs.ok} {text('difference.same')}", "ok"),))
    for change in precedent.changes:
        lines += _change(change, display, width)
    if precedent.more:
        lines.append((Span(f"  {text('difference.more', n=precedent.more)}", "dim"),))
    return lines


def _change(change: Changed, display: Display, width: int) -> list[Line]:
    sign = change_sign(change)
    where = display.aside(printable(change.where))
    label = f"{_aspect(change, display)} "
    lines: list[Line] = []
    for number, part in enumerate(wrap(f"{printable(change.name)}{where}", width - 4 - cells(label))):
        lead = (Span(f"  {sign} ", _SIGNS[sign]), Span(label, "dim"))
        lines.append((*(lead if number == 0 else (Span(" " * (4 + cells(label))),)), Span(part, "strong")))
    values = [("-", change.before, "dim"), ("+", change.after, "warn")]
    shown = [(mark, value, role) for mark, value, role in values if value and value != change.name]
    for mark, value, role in shown:
        parts = wrap(printable(value), width - 8)
        lines += [(Span(f"      {mark if i == 0 else ' '} ", "dim"), Span(p, role)) for i, p in enumerate(parts)]  # type: ignore[arg-type]
    return lines


def _aspect(change: Changed, display: Display) -> str:
    return display.catalogue.get(f"difference.aspect.{change.aspect}", printable(change.aspect))
