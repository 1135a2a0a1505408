"""The ledger, newest first: what is typed to narrow it, its columns, and all there is to know of one event."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.document import as_document
from nodeconsole.viewmodels.facts import fact_lines, grouped, when
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Column, Line, Role, Span
from nodeconsole.viewmodels.text import count, printable, subject_name
from nodeconsole.viewmodels.times import age, moment, parse_since

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import EventRow, LedgerReport
    from nodeconsole.viewmodels.display import Display

_TERMS = {"actor": "actor", "subject": "subject", "event": "event", "partner": "partner", "job": "job_id"}
_MOMENTS = {"since": "since_ms", "until": "until_ms"}


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What the node is asked for; it does the filtering."""

    filters: dict[str, str | int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    """What means nothing; it filters nothing and the operator is told."""


def parse_audit(text: str, now_ms: int, zone: tzinfo | None) -> AuditQuery:
    """`actor:ann event:approved partner:bob job:job-1 since:2h until:2026-11-28`; a word alone is a kind or an id."""
    filters: dict[str, str | int] = {}
    unknown: list[str] = []
    for word in text.split():
        name, colon, value = word.partition(":")
        if not colon:
            filters["subject"] = word
        elif name in _TERMS and value:
            filters[_TERMS[name]] = value
        elif name in _MOMENTS and (at_ms := parse_since(value, now_ms, zone)) is not None:
            filters[_MOMENTS[name]] = at_ms
        else:
            unknown.append(word)
    return AuditQuery(filters, tuple(unknown))


def audit_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("seq", text("audit.column.seq"), 7, right=True, drop=4),
        Column("time", text("audit.column.time"), 19),
        Column("age", text("audit.column.age"), 5, right=True, drop=3),
        Column("actor", text("audit.column.actor"), 13, flex=1, most=24),
        Column("event", text("audit.column.event"), 17, flex=1, most=28),
        Column("subject", text("audit.column.subject"), 24, flex=3, most=44),
        Column("reason", text("audit.column.reason"), 12, flex=3, most=60, drop=2),
    )


def audit_cells(event: EventRow, display: Display) -> Line:
    return (
        Span(count(event.seq), "dim"),
        Span(moment(event.at_ms, display.zone)),
        Span(age(event.at_ms, display.now_ms), "dim"),
        Span(printable(event.actor), "strong" if event.actor.startswith("operator:") else ""),
        Span(printable(event.event), _role(event)),
        Span(subject_name(event.subject_id, event.job_id)),
        Span(told(event, "reason", display), "dim"),
    )


_ROLES: dict[str, Role] = {
    "failed": "bad",
    "rejected": "warn",
    "stopped": "warn",
    "terminated": "warn",
    "approved": "ok",
}


def _role(event: EventRow) -> Role:
    return _ROLES.get(event.event.rpartition(".")[2], "")


def audit_facts(event: EventRow, display: Display, width: int) -> list[Line]:
    """Everything that stands in the ledger about it, its place in the chain included."""
    text = display.text
    change = f"{event.source or '-'} {display.glyphs.arrow} {event.target}" if event.target else ""
    facts = [
        (text("audit.event"), printable(event.event)),
        (text("audit.at"), when(event.at_ms, display) + display.aside(age(event.at_ms, display.now_ms))),
        (text("audit.actor"), printable(event.actor)),
        (text("audit.subject"), printable(f"{event.subject} {event.subject_id}")),
        (text("audit.change"), printable(change)),
        (text("audit.job"), printable(event.job_id)),
        (text("audit.reason"), told(event, "reason", display)),
        (text("audit.trace"), printable(event.trace_id)),
        *((printable(name), printable(_value(value))) for name, value in sorted(event.data.items())),
        (text("audit.seq"), count(event.seq)),
        (text("audit.hash"), grouped(printable(event.hash))),
        (text("audit.prev_hash"), grouped(printable(event.prev_hash))),
    ]
    return fact_lines(facts, width)


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def verified(report: LedgerReport, display: Display) -> Span:
    """What became of looking at the whole chain."""
    if report.ok:
        text = display.text("audit.whole", n=count(report.events))
        return Span(f"{display.glyphs.ok} {text}", "ok")
    return Span(f"{display.glyphs.bad} {display.text('audit.broken', fault=printable(report.fault))}", "bad")


AUDIT: Listing[EventRow] = Listing(
    name="audit",
    key=lambda event: str(event.seq),
    columns=audit_columns,
    cells=audit_cells,
    values={
        "seq": lambda event, _: event.seq,
        "time": lambda event, _: event.at_ms,
        "age": lambda event, _: -event.at_ms,
    },
    problem=lambda event: _role(event) in ("bad", "warn"),
    facts=audit_facts,
    document=as_document,
    title=lambda event: event.event,
)
