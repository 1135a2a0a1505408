"""What a decision does to a snapshot. The store does the same to its rows; property tests hold the two together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from embedded_scheduler.domain.effects import (
    CallPeer,
    CancelTask,
    Decision,
    DropCall,
    FireApproval,
    FireJob,
    FireShare,
    FireTask,
    LaunchShare,
    NameTask,
    NoteCall,
    RecordVerdict,
    RequestStop,
    TerminateShare,
)
from embedded_scheduler.domain.lifecycle import APPROVAL, JOB, SHARE, TASK, TaskState
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.snapshot import Call, CallState, JobSnapshot, Share, TaskView

K = TypeVar("K")
V = TypeVar("V")


def evolve(snapshot: JobSnapshot, decision: Decision, now_ms: int) -> JobSnapshot:
    """The snapshot after `decision`; raises `IllegalTransition` if its lifecycle has no such row."""
    after = _evolved(snapshot, decision, now_ms)
    match decision:
        case FireJob() | RequestStop() | RecordVerdict():
            # Other rules hold from now on, for every task.
            return replace(after, touched=None)
        case (
            FireTask(task)
            | FireShare(task)
            | NameTask(task)
            | CancelTask(task)
            | LaunchShare(task)
            | TerminateShare(task)
        ):
            return _touch(after, task)
        case CallPeer(key=key) | DropCall(key) | NoteCall(key) if after.calls[key].operation == "task/start":
            return _touch(after, started_task(after.calls[key]))
        case _:
            return after


def started_task(call: Call) -> str:
    """The task a `task/start` call is about; its key is `task:<task>:<node>`."""
    return call.key[len("task:") : -len(call.node_id) - 1]


def _touch(snapshot: JobSnapshot, task: str) -> JobSnapshot:
    if snapshot.touched is None or task in snapshot.touched:
        return snapshot
    return replace(snapshot, touched=_put(snapshot.touched, task, None))


def _evolved(snapshot: JobSnapshot, decision: Decision, now_ms: int) -> JobSnapshot:  # noqa: PLR0911 (one row per kind)
    match decision:
        case FireJob(trigger, reason, outcome):
            target = JOB.row(snapshot.state, trigger).target
            return replace(snapshot, state=target, since_ms=now_ms, outcome=outcome, reason=reason or snapshot.reason)
        case FireTask(name, trigger, _):
            task = snapshot.tasks[name]
            target_state = TASK.row(task.state, trigger).target
            changed_task = replace(task, state=target_state, since_ms=now_ms)
            if target_state is TaskState.FAILED and not snapshot.may_have_failed:
                snapshot = replace(snapshot, may_have_failed=True)
            return _with_task(snapshot, changed_task)
        case FireShare(name, party, _, outcome, reason):

            def fired(share: Share) -> Share:
                state = SHARE.row(share.state, decision.trigger).target
                return replace(share, state=state, since_ms=now_ms, outcome=outcome, reason=reason)

            return _with_share(snapshot, name, party, fired)
        case FireApproval(node_id, trigger, reason):
            approval = snapshot.approvals[node_id]
            decided = APPROVAL.row(approval.state, trigger).target
            changed = replace(approval, state=decided, reason=reason, since_ms=now_ms)
            return replace(snapshot, approvals=_put(snapshot.approvals, node_id, changed))
        case NameTask(name, task_id):
            return _with_task(snapshot, replace(snapshot.tasks[name], task_id=task_id))
        case CancelTask(name):
            return _with_task(snapshot, replace(snapshot.tasks[name], cancelled=True))
        case CallPeer(node_id, operation, key, _):
            call = Call(key, node_id, operation, CallState.WAITING, 0, now_ms, now_ms, "")
            return replace(snapshot, calls=_put(snapshot.calls, key, call))
        case DropCall(key):
            dropped = replace(snapshot.calls[key], state=CallState.ABANDONED)
            return replace(snapshot, calls=_put(snapshot.calls, key, dropped))
        case NoteCall(key):
            return replace(snapshot, calls=_put(snapshot.calls, key, noted(snapshot.calls[key], decision)))
        case LaunchShare(name, party):
            return _with_share(snapshot, name, party, lambda share: replace(share, launched=True))
        case TerminateShare(name, party, _):
            return _with_share(snapshot, name, party, lambda share: replace(share, terminating=True))
        case RequestStop(reason):
            return replace(snapshot, stop_reason=snapshot.stop_reason or reason)
        case RecordVerdict(state, outcome, reason, final):
            return replace(
                snapshot, verdict_state=state, verdict_outcome=outcome, verdict_reason=reason, verdict_final=final
            )


def noted(call: Call, note: NoteCall) -> Call:
    """The call after one more try."""
    given_up = call.state is CallState.ABANDONED and note.state is CallState.WAITING
    state = CallState.ABANDONED if given_up else note.state
    return replace(call, state=state, attempts=call.attempts + 1, last_error=note.error, next_ms=note.next_ms)


def _put(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    return {**mapping, key: value}


def _with_task(snapshot: JobSnapshot, task: TaskView) -> JobSnapshot:
    return replace(snapshot, tasks=_put(snapshot.tasks, task.name, task))


def _with_share(snapshot: JobSnapshot, name: str, party: Party, change: Callable[[Share], Share]) -> JobSnapshot:
    task = snapshot.tasks[name]
    shares = tuple(change(share) if share.party == party else share for share in task.shares)
    return _with_task(snapshot, replace(task, shares=shares))
