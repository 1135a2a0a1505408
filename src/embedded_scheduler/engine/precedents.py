"""What was decided here before on jobs like one that waits: the last approved run, how it differs, the track record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.domain.comparison import Difference, differences
from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.domain.lifecycle import ApprovalState
from embedded_scheduler.store import datasets, jobs
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.jobs import DecidedJob

WINDOW_MS = 90 * DAY_MS
MOST_LOOKED_AT = 500
"""Earlier jobs of one initiator; what is older than these is not counted, and the record says so."""


@dataclass(frozen=True, slots=True)
class Precedent:
    """The job that `spec` is compared with, and what differs."""

    spec: JobSpec
    decided_ms: int
    decided_by: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """Of one initiator, since `since_ms`; `same_flow` counts approved jobs of the same flow. `complete` false: there
    were more jobs than are looked at."""

    since_ms: int
    approved: int
    rejected: int
    same_flow: int
    last_approved_ms: int | None
    complete: bool


def of_job(reader: Reader, self_node: str, spec: JobSpec, against: str = "") -> tuple[Precedent | None, Record]:
    """`against`: the id of another job to compare with; empty = the last one of the same flow that was approved here,
    or of the same components where the initiator names no flow."""
    head = jobs.head(reader, spec.job_id)
    before = head.position if head is not None else jobs.FIRST_PAGE
    past = jobs.decided_here(reader, self_node, spec.initiator, before=before, limit=MOST_LOOKED_AT)
    similar = [one for one in past if one.state is ApprovalState.APPROVED and _is_like(one, spec)]
    if against:
        found = _compared(reader, spec, against, 0, "")
    elif similar:
        found = _compared(reader, spec, similar[0].job_id, similar[0].decided_ms, similar[0].decided_by)
    else:
        found = None
    return found, _record(past, similar, reader.now_ms - WINDOW_MS)


def _is_like(past: DecidedJob, spec: JobSpec) -> bool:
    if spec.flow_id or past.flow_id:
        return past.flow_id == spec.flow_id
    return set(past.components) == {node.component.name for node in spec.flow.nodes}


def _compared(reader: Reader, spec: JobSpec, job_id: str, decided_ms: int, decided_by: str) -> Precedent | None:
    before = jobs.spec(reader, job_id)
    if before is None:
        return None
    columns = {row.dataset_id: [column.name for column in row.columns] for row in datasets.all(reader)}
    return Precedent(before, decided_ms, decided_by, differences(before, spec, columns))


def _record(past: Sequence[DecidedJob], similar: Sequence[DecidedJob], since_ms: int) -> Record:
    lately = [one for one in past if one.decided_ms >= since_ms]
    approved = [one for one in lately if one.state is ApprovalState.APPROVED]
    return Record(
        since_ms=since_ms,
        approved=len(approved),
        rejected=sum(one.state is ApprovalState.REJECTED for one in lately),
        same_flow=sum(one.decided_ms >= since_ms for one in similar),
        last_approved_ms=approved[0].decided_ms if approved else None,
        complete=len(past) < MOST_LOOKED_AT or len(lately) < len(past),
    )
