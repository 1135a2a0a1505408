"""Lifecycles as tables. A state changes only along a row; everything else is derived from the rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from embedded_scheduler.errors import IllegalTransition
from embedded_scheduler.sentences import say

S = TypeVar("S", bound=StrEnum)
T = TypeVar("T", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Row(Generic[S, T]):
    """One permitted change: in `source`, `trigger` leads to `target` and is recorded as `event`."""

    source: S
    trigger: T
    target: S
    event: str


class Lifecycle(Generic[S, T]):
    """The rows of one subject kind, with what follows from them."""

    def __init__(self, kind: str, initial: S, rows: Iterable[Row[S, T]]) -> None:
        self.kind = kind
        self.initial = initial
        self.rows = tuple(rows)
        self._by_key = {(row.source, row.trigger): row for row in self.rows}
        if len(self._by_key) != len(self.rows):
            raise ValueError(f"lifecycle {kind}: two rows for one state and trigger")
        self._sources = frozenset(row.source for row in self.rows)

    def row(self, state: S, trigger: T) -> Row[S, T]:
        """The row to follow, or `IllegalTransition` naming state and trigger."""
        found = self._by_key.get((state, trigger))
        if found is None:
            raise IllegalTransition(say("illegal_transition", kind=self.kind, state=state, trigger=trigger))
        return found

    def allows(self, state: S, trigger: T) -> bool:
        return (state, trigger) in self._by_key

    def is_terminal(self, state: S) -> bool:
        """No row leads out of it."""
        return state not in self._sources


class JobState(StrEnum):
    """The specification's words (control layer §3.7)."""

    PENDING = "PENDING"
    READY = "READY"
    REJECTED = "REJECTED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"


class JobTrigger(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    START = "start"
    FINISH = "finish"


class Outcome(StrEnum):
    """Why a job is FINISHED, or a task is over: data beside the state, never a state."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


JOB: Lifecycle[JobState, JobTrigger] = Lifecycle(
    "job",
    JobState.PENDING,
    [
        Row(JobState.PENDING, JobTrigger.APPROVE, JobState.READY, "job.approved"),
        Row(JobState.PENDING, JobTrigger.REJECT, JobState.REJECTED, "job.rejected"),
        Row(JobState.PENDING, JobTrigger.FINISH, JobState.FINISHED, "job.finished"),
        # A participant that approved learns later that another one refused.
        Row(JobState.READY, JobTrigger.REJECT, JobState.REJECTED, "job.rejected"),
        Row(JobState.READY, JobTrigger.START, JobState.RUNNING, "job.started"),
        Row(JobState.READY, JobTrigger.FINISH, JobState.FINISHED, "job.finished"),
        Row(JobState.RUNNING, JobTrigger.FINISH, JobState.FINISHED, "job.finished"),
    ],
)


class TaskState(StrEnum):
    """The specification's words (control layer §3.8). Also the state of one party's share of a task."""

    PENDING = "PENDING"
    READY = "READY"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


class TaskTrigger(StrEnum):
    RELEASE = "release"
    RUN = "run"
    SUCCEED = "succeed"
    FAIL = "fail"


def _task_rows() -> list[Row[TaskState, TaskTrigger]]:
    rows = [Row(TaskState.PENDING, TaskTrigger.RELEASE, TaskState.READY, "released")]
    rows += [Row(s, TaskTrigger.RUN, TaskState.RUNNING, "running") for s in (TaskState.PENDING, TaskState.READY)]
    for state in (TaskState.PENDING, TaskState.READY, TaskState.RUNNING):
        # A partner's short task may be over before we ever saw it run.
        rows.append(Row(state, TaskTrigger.SUCCEED, TaskState.SUCCESS, "succeeded"))
        rows.append(Row(state, TaskTrigger.FAIL, TaskState.FAILED, "failed"))
    return rows


def _named(kind: str) -> list[Row[TaskState, TaskTrigger]]:
    return [Row(r.source, r.trigger, r.target, f"{kind}.{r.event}") for r in _task_rows()]


TASK: Lifecycle[TaskState, TaskTrigger] = Lifecycle("task", TaskState.PENDING, _named("task"))
SHARE: Lifecycle[TaskState, TaskTrigger] = Lifecycle("share", TaskState.PENDING, _named("share"))
"""One party's share of a task. Same words as the task, whose state is the aggregate of its shares."""


class ApprovalState(StrEnum):
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


class ApprovalTrigger(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    WITHDRAW = "withdraw"


APPROVAL: Lifecycle[ApprovalState, ApprovalTrigger] = Lifecycle(
    "approval",
    ApprovalState.PENDING,
    [
        Row(ApprovalState.PENDING, ApprovalTrigger.APPROVE, ApprovalState.APPROVED, "approval.approved"),
        Row(ApprovalState.PENDING, ApprovalTrigger.REJECT, ApprovalState.REJECTED, "approval.rejected"),
        # The job ended before this node decided.
        Row(ApprovalState.PENDING, ApprovalTrigger.WITHDRAW, ApprovalState.WITHDRAWN, "approval.withdrawn"),
    ],
)


class AgreementState(StrEnum):
    """The management layer's words, of contracts and of every resource request (§1.3, §2.4 …); never reinterpreted."""

    APPLIED = "APPLIED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    TERMINATED = "TERMINATED"


class AgreementTrigger(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    TERMINATE = "terminate"


def _agreement(kind: str) -> Lifecycle[AgreementState, AgreementTrigger]:
    state, trigger = AgreementState, AgreementTrigger
    return Lifecycle(
        kind,
        state.APPLIED,
        [
            Row(state.APPLIED, trigger.APPROVE, state.APPROVED, f"{kind}.approved"),
            Row(state.APPLIED, trigger.REJECT, state.REJECTED, f"{kind}.rejected"),
            Row(state.APPROVED, trigger.TERMINATE, state.TERMINATED, f"{kind}.terminated"),
        ],
    )


CONTRACT = _agreement("contract")
"""Two nodes agree to work together, and with which keys."""
GRANT = _agreement("grant")
"""One node asks another for a dataset, project, flow, job or model."""

AnyLifecycle = (
    Lifecycle[JobState, JobTrigger]
    | Lifecycle[TaskState, TaskTrigger]
    | Lifecycle[ApprovalState, ApprovalTrigger]
    | Lifecycle[AgreementState, AgreementTrigger]
)
LIFECYCLES: dict[str, AnyLifecycle] = {
    "job": JOB,
    "task": TASK,
    "share": SHARE,
    "approval": APPROVAL,
    "contract": CONTRACT,
    "grant": GRANT,
}
