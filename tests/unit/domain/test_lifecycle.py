"""The tables: what they allow, and that terminal states have no way out."""

from __future__ import annotations

from enum import StrEnum

import pytest

from embedded_scheduler.domain.lifecycle import (
    APPROVAL,
    JOB,
    LIFECYCLES,
    TASK,
    ApprovalState,
    JobState,
    JobTrigger,
    Lifecycle,
    Row,
    TaskState,
    TaskTrigger,
)
from embedded_scheduler.errors import IllegalTransition


def test_the_words_are_those_of_the_specification() -> None:
    assert {state.value for state in JobState} == {"PENDING", "READY", "REJECTED", "RUNNING", "FINISHED"}
    assert {state.value for state in TaskState} == {"PENDING", "READY", "RUNNING", "SUCCESS", "FAILED"}


def test_terminal_states_follow_from_the_rows() -> None:
    assert {s for s in JobState if JOB.is_terminal(s)} == {JobState.REJECTED, JobState.FINISHED}
    assert {s for s in TaskState if TASK.is_terminal(s)} == {TaskState.SUCCESS, TaskState.FAILED}
    assert {s for s in ApprovalState if APPROVAL.is_terminal(s)} == set(ApprovalState) - {ApprovalState.PENDING}


@pytest.mark.parametrize("kind", sorted(LIFECYCLES))
def test_every_state_is_reachable_and_every_event_is_named_after_its_kind(kind: str) -> None:
    lifecycle: Lifecycle[StrEnum, StrEnum] = LIFECYCLES[kind]  # type: ignore[assignment]
    reached = {lifecycle.initial}
    for _ in lifecycle.rows:
        reached |= {row.target for row in lifecycle.rows if row.source in reached}
    assert reached == set(type(lifecycle.initial))
    assert all(row.event.startswith(f"{kind}.") for row in lifecycle.rows)


def test_a_missing_row_is_an_error_that_names_state_and_trigger() -> None:
    with pytest.raises(IllegalTransition, match="job in state FINISHED cannot start"):
        JOB.row(JobState.FINISHED, JobTrigger.START)
    assert not TASK.allows(TaskState.SUCCESS, TaskTrigger.FAIL)


def test_two_rows_for_one_state_and_trigger_are_refused() -> None:
    row = Row(JobState.PENDING, JobTrigger.APPROVE, JobState.READY, "job.approved")
    with pytest.raises(ValueError, match="two rows"):
        Lifecycle("job", JobState.PENDING, [row, row])
