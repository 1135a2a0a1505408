"""Reads what a coordinator says of a job in its answer to `job/status_all`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.effects import Decision
from embedded_scheduler.domain.lifecycle import JobState, Outcome, TaskState
from embedded_scheduler.domain.snapshot import JobSnapshot

_WORDS = {
    "REJECTED": (JobState.REJECTED, None),
    "FINISHED": (JobState.FINISHED, None),
    # Words that running implementations use for a job that is over.
    "SUCCESS": (JobState.FINISHED, Outcome.SUCCEEDED),
    "FAILED": (JobState.FINISHED, Outcome.FAILED),
}


def job_state_of(data: Mapping[str, Any]) -> JobState | None:
    """The state in an answer to `status_all` if it says that the job is over, else None."""
    word = str(data.get("job_status") or "").upper()
    return _WORDS[word][0] if word in _WORDS else None


def verdict_of(s: JobSnapshot, state: JobState, data: Mapping[str, Any]) -> list[Decision]:
    """Decisions that follow from a coordinator's answer to `status_all`."""
    tasks = data.get("status")
    words = [str(word).upper() for word in tasks.values()] if isinstance(tasks, Mapping) else []
    known = [TaskState(word) for word in words if word in TaskState.__members__]
    word = str(data.get("job_status") or "").upper()
    outcome = _WORDS.get(word, (None, None))[1]
    said = data.get("outcome")
    if isinstance(said, str) and said in {o.value for o in Outcome}:
        outcome = Outcome(said)
    reason = data.get("reason")
    return reactions.verdict(s, state, known, outcome, reason if isinstance(reason, str) else "")
