"""Rows of the list of logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.viewmodels.facts import fact_lines, when
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import printable, short_id, size
from nodeconsole.viewmodels.times import age, duration

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_logs import LogRow
    from nodeconsole.viewmodels.display import Display


def log_key(row: LogRow) -> str:
    return f"{row.job_id} {row.task} {row.party}"


def log_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("job", text("logs.column.job"), 12),
        Column("flow", text("logs.column.flow"), 16, flex=2, most=32, drop=1),
        Column("task", text("logs.column.task"), 12, flex=3),
        Column("party", text("logs.column.party"), 9),
        Column("state", text("logs.column.state"), 10),
        Column("size", text("logs.column.size"), 9, right=True, drop=3),
        Column("age", text("logs.column.age"), 5, right=True),
        Column("time", text("logs.column.time"), 6, right=True, drop=2),
    )


def log_status(row: LogRow) -> str:
    """One word, as of a task."""
    if row.ended_ms is None:
        return "running" if row.started_ms else "ready"
    return "done" if row.exit_code == 0 else "failed"


def log_cells(row: LogRow, display: Display) -> Line:
    return (
        Span(short_id(row.job_id), "dim"),
        Span(printable(row.flow_id)),
        Span(printable(row.task), "strong"),
        Span(printable(row.party), "dim"),
        display.badge(log_status(row)),
        Span(size(row.size_bytes), "dim"),
        Span(age(row.started_ms, display.now_ms), "dim"),
        Span(duration(row.started_ms, row.ended_ms, display.now_ms)),
    )


def log_facts(row: LogRow, display: Display, width: int) -> list[Line]:
    """About one log, wrapped to `width`."""
    text = display.text
    facts = [
        (text("logs.fact.job"), f"{printable(row.job_id)} {printable(row.flow_id)}".rstrip()),
        (text("logs.fact.task"), f"{printable(row.task)} {printable(row.party)}"),
        (text("logs.fact.attempt"), str(row.number)),
        (text("logs.fact.started"), when(row.started_ms, display)),
        (text("logs.fact.ended"), when(row.ended_ms, display) if row.ended_ms else ""),
        (text("logs.fact.exit"), "" if row.exit_code is None else str(row.exit_code)),
    ]
    return fact_lines(facts, width)
