"""The job list: columns, cells, order, and the line about the job under the cursor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from embedded_scheduler.wire.query import Kind, QueryFault
from nodeconsole.viewmodels.display import job_status
from nodeconsole.viewmodels.document import as_document
from nodeconsole.viewmodels.glyphs import progress
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import printable, short_id
from nodeconsole.viewmodels.times import age, duration
from nodeconsole.viewmodels.waiting import why_line

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobRow
    from nodeconsole.viewmodels.display import Display

_BAR = 5
_STATUS_ORDER = ("waiting", "failed", "running", "ready", "pending", "stopped", "rejected", "done", "finished")


def job_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("id", text("jobs.column.id"), 12),
        Column("flow", text("jobs.column.flow"), 16, flex=3, most=36),
        Column("status", text("jobs.column.status"), 11),
        Column("parties", text("jobs.column.parties"), 13, flex=2, most=40, drop=3),
        Column("tasks", text("jobs.column.tasks"), _BAR + 6, drop=2),
        Column("age", text("jobs.column.age"), 5, right=True, drop=1),
        Column("duration", text("jobs.column.duration"), 6, right=True, drop=4),
    )


def job_cells(job: JobRow, display: Display) -> Line:
    """One cell per column of `job_columns`."""
    status = job_status(job)
    over = status in ("done", "rejected", "stopped", "finished")
    return (
        Span(short_id(job.job_id), "dim" if over else "strong"),
        Span(job_name(job)),
        display.badge(status),
        Span(_parties(job, display), "" if not over else "dim"),
        Span(_tasks(job, display), "run" if status == "running" else "dim"),
        Span(age(job.created_ms, display.now_ms), "dim"),
        Span(duration(job.started_ms, job.ended_ms, display.now_ms), "dim"),
    )


def job_name(job: JobRow) -> str:
    """The flow's id, or what it runs when it has none."""
    return printable(job.flow_id or "+".join(job.components))


def node_names(job: JobRow) -> list[str]:
    """The nodes that hold a role, each once."""
    return [printable(name) for name in dict.fromkeys(party.split(":", 1)[-1] for party in job.parties)]


def _parties(job: JobRow, display: Display) -> str:
    if job.needs_decision:
        return f"{printable(job.initiator)} {display.glyphs.arrow} {printable(display.node_id)}"
    return " ".join(node_names(job))


def _tasks(job: JobRow, display: Display) -> str:
    if not job.tasks_total:
        return ""
    return f"{progress(job.tasks_done, job.tasks_total, _BAR, display.glyphs)} {job.tasks_done}/{job.tasks_total}"


def job_why(job: JobRow, display: Display) -> Line:
    return why_line(short_id(job.job_id), job.waiting, told(job, "reason", display), job_status(job), display)


def _took(job: JobRow, display: Display) -> int | None:
    return (job.ended_ms or display.now_ms) - job.started_ms if job.started_ms else None


def _rank(job: JobRow) -> int:
    status = job_status(job)
    return _STATUS_ORDER.index(status) if status in _STATUS_ORDER else len(_STATUS_ORDER)


def fault_text(fault: QueryFault, display: Display) -> str:
    """What is wrong with a filter, and what its term could be."""
    kind = fault.kind
    # What is wrong with a pattern, its reader says, in English.
    why = fault.why if kind in (None, Kind.PATTERN) else display.text(f"jobs.fault.{kind.value}")
    return display.text("jobs.fault.term", term=printable(fault.term), why=why)


def is_problem(job: JobRow) -> bool:
    """What `e` goes to: a job that failed or waits for a decision here."""
    return job_status(job) in ("failed", "waiting")


def merged(rows: list[JobRow], named: Iterable[str], found: Iterable[JobRow]) -> list[JobRow]:
    """The list (newest first) after the jobs `named` were asked for again and `found` is what still belongs to it."""
    fresh = {row.job_id: row for row in found}
    gone = set(named) - fresh.keys()
    known = {row.job_id for row in rows}
    kept = [fresh.get(row.job_id, row) for row in rows if row.job_id not in gone]
    new = sorted((row for key, row in fresh.items() if key not in known), key=lambda row: -row.created_ms)
    for row in new:
        at = next((i for i, old in enumerate(kept) if old.created_ms <= row.created_ms), len(kept))
        kept.insert(at, row)
    return kept


JOBS: Listing[JobRow] = Listing(
    "jobs",
    lambda job: job.job_id,
    job_columns,
    job_cells,
    values={
        "status": lambda job, _: _rank(job),
        "tasks": lambda job, _: job.tasks_done / job.tasks_total if job.tasks_total else None,
        "age": lambda job, _: -job.created_ms,
        "duration": _took,
    },
    problem=is_problem,
    document=as_document,
    title=job_name,
    link=lambda job: f"job {job.job_id}",
)
