"""What a filter and an order mean, job by job: the plainest way to say it. The store is compared with this."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from embedded_scheduler.wire.console import JobRow
from embedded_scheduler.wire.query import Kind, Query, Term

_STATUS = ("waiting", "failed", "running", "ready", "pending", "stopped", "rejected", "done")


def statuses_of(job: JobRow) -> set[str]:
    """All words of `status:` that name the job."""
    if job.state != "FINISHED":
        return {job.state.lower()} | ({"waiting"} if job.needs_decision else set())
    outcome = {"succeeded": "done"}.get(job.outcome or "", job.outcome or "")
    return {"finished", outcome} - {""}


def nodes_of(job: JobRow) -> list[str]:
    return [party.split(":", 1)[1] for party in job.parties]


def job_fits(job: JobRow, terms: Query, *, node: str, now_ms: int) -> bool:
    return all(_holds(job, term, node, now_ms) for term in terms)


def _holds(job: JobRow, term: Term, node: str, now_ms: int) -> bool:
    texts = [job.job_id, job.flow_id, *job.components, *nodes_of(job)]
    match term.kind:
        case Kind.STATUS:
            found = bool(statuses_of(job) & set(term.statuses))
        case Kind.WAITING:
            found = job.needs_decision
        case Kind.MINE:
            found = job.initiator == node
        case Kind.AGE:
            return (now_ms - job.created_ms < term.span_ms) == term.less and now_ms - job.created_ms != term.span_ms
        case Kind.TOOK:
            if job.started_ms is None:
                return False
            took = (job.ended_ms or now_ms) - job.started_ms
            return took < term.span_ms if term.less else took > term.span_ms
        case Kind.PARTY:
            found = _any(Term(Kind.PART, term.value), nodes_of(job))
        case Kind.PATTERN:
            found = _any(Term(Kind.PATTERN, term.value, pattern=term.pattern), texts)
        case Kind.FUZZY:
            found = _any(Term(Kind.FUZZY, term.value), texts)
        case _:
            found = _any(Term(Kind.PART, term.value), texts)
    return found != term.negated


def _any(term: Term, texts: Iterable[str]) -> bool:
    return any(term.fits(text) for text in texts)


def by_column(jobs: list[JobRow], by: str, *, falling: bool, now_ms: int) -> list[JobRow]:
    """`jobs`, the newest first, by a column: those without a value last."""

    def value(job: JobRow) -> Any:
        match by:
            case "id":
                return job.job_id
            case "flow":
                return job.flow_id.lower()
            case "parties":
                return " ".join(nodes_of(job)).lower()
            case "age":
                return -job.created_ms
            case "duration":
                return (job.ended_ms or now_ms) - job.started_ms if job.started_ms is not None else None
            case "tasks":
                return job.tasks_done / job.tasks_total if job.tasks_total else None
        return next((rank for rank, word in enumerate(_STATUS) if word in statuses_of(job)), len(_STATUS))

    known = [job for job in jobs if value(job) is not None]
    return sorted(known, key=value, reverse=falling) + [job for job in jobs if value(job) is None]
