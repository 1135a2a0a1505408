"""What the planner looks at: one job as this node sees it, at one moment. Immutable; built by the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.domain.lifecycle import ApprovalState, JobState, Outcome, TaskState
from embedded_scheduler.domain.party import Party


class CallState(StrEnum):
    """How far a call to a partner (a row of the outbox) has come."""

    WAITING = "waiting"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Call:
    """One message to a partner about this job. `key` makes it unique per job, so planning twice sends once."""

    key: str
    node_id: str
    operation: str
    state: CallState
    attempts: int
    since_ms: int
    next_ms: int
    last_error: str


@dataclass(frozen=True, slots=True)
class Share:
    """One party's share of a task. `launched` = its launch order exists in the outbox of this node."""

    party: Party
    state: TaskState
    outcome: Outcome | None = None
    reason: str = ""
    since_ms: int = 0
    launched: bool = False
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task with the shares this node knows: all of them at the coordinator, its own elsewhere."""

    name: str
    task_id: str
    state: TaskState
    cancelled: bool
    since_ms: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """One node's decision on the job. A participant knows its own alone; the coordinator, everybody's."""

    node_id: str
    state: ApprovalState
    reason: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class PeerTraits:
    """The part of a partner's profile that decides what is sent to it."""

    approval_channel: bool = True
    callback: bool = True
    end_signal: bool = True
    """`job/stop` tells it that a job succeeded; else it asks by itself, and `job/stop` would stop what it runs."""


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """Everything the rules may know. Mappings are never changed in place; `evolve` makes a new snapshot.

    `tasks` is keyed by name in flow order, `approvals` by node id, `calls` by call key, `peers` by node id.
    `stop_reason` non-empty = somebody asked to stop the whole job.
    """

    self_node: str
    coordinator: str
    spec: JobSpec
    state: JobState
    since_ms: int
    outcome: Outcome | None = None
    reason: str = ""
    stop_reason: str = ""
    tasks: Mapping[str, TaskView] = field(default_factory=dict)
    approvals: Mapping[str, ApprovalView] = field(default_factory=dict)
    calls: Mapping[str, Call] = field(default_factory=dict)
    peers: Mapping[str, PeerTraits] = field(default_factory=dict)
    verdict_state: JobState | None = None
    """At a participant: what the coordinator last said of the job."""
    verdict_outcome: Outcome | None = None
    verdict_reason: str = ""
    verdict_final: bool = False
    """The coordinator's word is final, or it cannot be had any more; close with what is known."""
    may_have_failed: bool = field(default=True, compare=False)
    """False = no task is FAILED, so nobody has to look for one."""
    touched: Mapping[str, None] | None = field(default=None, compare=False)
    """Tasks that changed since the planner last found nothing to do; None = look at all of them."""
    revision: int = field(default=0, compare=False)
    """Grows with every change within one run of the node: of two snapshots, the larger is the later."""
    follows: int = field(default=0, compare=False)
    """The revision this one was made from; 0 = not known."""
    news: Mapping[str, None] | None = field(default=None, compare=False)
    """Tasks in which it differs from the revision it follows; None = not known."""

    @property
    def coordinates(self) -> bool:
        return self.coordinator == self.self_node

    @property
    def remote_nodes(self) -> tuple[str, ...]:
        """Participants other than this node."""
        return tuple(node for node in self.spec.nodes if node != self.self_node)

    @property
    def touched_tasks(self) -> Iterable[TaskView]:
        """The tasks for which something may follow now."""
        return self.tasks.values() if self.touched is None else [self.tasks[name] for name in self.touched]

    def traits(self, node_id: str) -> PeerTraits:
        return self.peers.get(node_id, _DEFAULT_TRAITS)

    def is_local(self, share: Share) -> bool:
        return share.party.node_id == self.self_node


_DEFAULT_TRAITS = PeerTraits()
