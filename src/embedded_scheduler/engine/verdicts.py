"""Reads what a coordinator says of a job in its answer to `job/status_all`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.effects import Decision
from embedded_scheduler.domain.lifecycle import JobState, Outcome, TaskState
from embedded_scheduler.domain.snapshot import JobSnapshot

_OVER: Mapping[str, tuple[JobState, Outcome | None]] = {
    "REJECTED": (JobState.REJECTED, None),
    "FINISHED": (JobState.FINISHED, None),
    # Task words that running implementations use for a job that is over.
    "SUCCESS": (JobState.FINISHED, Outcome.SUCCEEDED),
    "FAILED": (JobState.FINISHED, Outcome.FAILED),
}


def verdict_of(s: JobSnapshot, data: Mapping[str, Any]) -> list[Decision] | None:
    """What follows from the answer; None = the job is not over there."""
    tasks = data.get("status")
    words = [str(word).upper() for word in tasks.values()] if isinstance(tasks, Mapping) else []
    known = [TaskState(word) for word in words if word in TaskState.__members__]
    word = str(data.get("job_status") or "").upper() or _word_from_tasks(s, known)
    if word not in _OVER:
        return None
    state, outcome = _OVER[word]
    said, reason = data.get("outcome"), data.get("reason")
    if isinstance(said, str) and said in {o.value for o in Outcome}:
        outcome = Outcome(said)
    return reactions.verdict(s, state, known, outcome, reason if isinstance(reason, str) else "")


def _word_from_tasks(s: JobSnapshot, tasks: list[TaskState]) -> str:
    """A coordinator that leaves `job_status` out (Kuscia): there, one failed task ends the job."""
    if TaskState.FAILED in tasks:
        return "FAILED"
    if len(tasks) >= len(s.tasks) and all(task is TaskState.SUCCESS for task in tasks):
        return "SUCCESS"
    return ""
