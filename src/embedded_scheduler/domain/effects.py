"""What the planner decides: changes of state, and effects for the outbox. Plain data, applied by the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from embedded_scheduler.domain.lifecycle import ApprovalTrigger, JobState, JobTrigger, Outcome, TaskTrigger
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.snapshot import CallState
from embedded_scheduler.sentences import Words


@dataclass(frozen=True, slots=True)
class FireJob:
    trigger: JobTrigger
    reason: Words = ""
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class FireTask:
    task: str
    trigger: TaskTrigger
    reason: Words = ""


@dataclass(frozen=True, slots=True)
class FireShare:
    task: str
    party: Party
    trigger: TaskTrigger
    outcome: Outcome | None = None
    reason: Words = ""


@dataclass(frozen=True, slots=True)
class FireApproval:
    node_id: str
    trigger: ApprovalTrigger
    reason: Words = ""


@dataclass(frozen=True, slots=True)
class NameTask:
    """Give a task its network-wide id."""

    task: str
    task_id: str


@dataclass(frozen=True, slots=True)
class CancelTask:
    """The task will not be started (any more): its wire state stays what it is."""

    task: str


@dataclass(frozen=True, slots=True)
class CallPeer:
    """Send `operation` (for example `job/create`) to a partner. `key` is unique per job."""

    node_id: str
    operation: str
    key: str
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DropCall:
    """A message that has become pointless and was not delivered yet."""

    key: str


@dataclass(frozen=True, slots=True)
class NoteCall:
    """One try of a call is over. `state` WAITING = it is tried again at `next_ms`, because of `error` or to ask again.

    A call that was given up while it was under way becomes ACKNOWLEDGED if it arrived all the same.
    """

    key: str
    state: CallState
    error: Words
    next_ms: int


@dataclass(frozen=True, slots=True)
class LaunchShare:
    task: str
    party: Party


@dataclass(frozen=True, slots=True)
class TerminateShare:
    task: str
    party: Party
    reason: Words = ""


@dataclass(frozen=True, slots=True)
class RequestStop:
    """Somebody asked to stop the whole job; the first reason stays."""

    reason: Words


@dataclass(frozen=True, slots=True)
class RecordVerdict:
    """What the coordinator says of the job. `final` = nothing more will be learned."""

    state: JobState | None
    outcome: Outcome | None
    reason: Words
    final: bool


Transition = FireJob | FireTask | FireShare | FireApproval
Effect = (
    NameTask | CancelTask | CallPeer | DropCall | NoteCall | LaunchShare | TerminateShare | RequestStop | RecordVerdict
)
Decision = Transition | Effect
