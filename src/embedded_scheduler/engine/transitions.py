"""The one door: every change of state of a job, task, share or approval goes through `fire`, of a contract or grant
through `fire_agreement`.

`advance` is what a use case calls: it applies a reaction, lets the planner follow up, and leaves effects in the outbox,
all inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.clock import Mint
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
    Transition,
)
from embedded_scheduler.domain.evolution import evolve, noted
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.lifecycle import (
    APPROVAL,
    JOB,
    SHARE,
    TASK,
    AgreementState,
    AgreementTrigger,
    Lifecycle,
)
from embedded_scheduler.domain.planner import plan
from embedded_scheduler.domain.snapshot import JobSnapshot, PeerTraits
from embedded_scheduler.errors import Conflict, NotFound
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import jobs, ledger, outbox, sentences
from embedded_scheduler.store.database import Tx


@dataclass(frozen=True, slots=True)
class Cause:
    """Who brought a change about: `operator:<who>`, `peer:<node id>`, `platform`, `component`, `node`."""

    actor: str
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What `advance` needs beside the transaction."""

    self_node: str
    traits: Callable[[str], PeerTraits]
    mint: Mint
    copies: jobs.Copies


Reaction = Callable[[JobSnapshot], Sequence[Decision]]


def advance(tx: Tx, scene: Scene, job_id: str, cause: Cause, react: Reaction | None = None) -> JobSnapshot:
    """Apply what `react` decides, then plan until nothing is left to do. Returns the job as it is afterwards.

    `NotFound` when the job is not known here; what `react` raises undoes the transaction.
    """
    before = jobs.snapshot(tx, job_id, self_node=scene.self_node, traits=scene.traits, copies=scene.copies)
    if before is None:
        raise NotFound(say("job_unknown", job=shorten(job_id)))
    snapshot = before
    for decision in react(snapshot) if react is not None else ():
        snapshot = apply(tx, scene, snapshot, decision, cause)
    while step := plan(snapshot):
        for decision in step:
            snapshot = apply(tx, scene, snapshot, decision, cause)
    if snapshot is not before:
        return scene.copies.replace(tx, snapshot)
    return snapshot


def apply(tx: Tx, scene: Scene, snapshot: JobSnapshot, decision: Decision, cause: Cause) -> JobSnapshot:
    """Carry out one decision in the database; the snapshot after it."""
    if isinstance(decision, FireJob | FireTask | FireShare | FireApproval):
        fire(tx, snapshot, decision, cause)
    else:
        _carry(tx, scene, snapshot, decision, cause)
    return evolve(snapshot, decision, tx.now_ms)


def fire(tx: Tx, snapshot: JobSnapshot, transition: Transition, cause: Cause) -> None:
    """Append the event and compare-and-set the state, in that order; the database's guards demand both."""
    job_id = snapshot.spec.job_id
    match transition:
        case FireJob(trigger, reason, outcome):
            row = JOB.row(snapshot.state, trigger)
            data = {"outcome": outcome.value} if outcome else {}
            seq = _event(tx, "job", job_id, job_id, row.event, row.source, row.target, cause, reason, data)
            changed = tx.run(
                "jobs.set_state",
                job_id=job_id,
                source=row.source.value,
                target=row.target.value,
                seq=seq,
                now_ms=tx.now_ms,
                outcome=outcome.value if outcome else None,
                reason=str(reason),
                terminal=JOB.is_terminal(row.target),
            )
        case FireTask(name, trigger, reason):
            task_row = TASK.row(snapshot.tasks[name].state, trigger)
            subject_id = f"{job_id}/{name}"
            seq = _event(
                tx, "task", subject_id, job_id, task_row.event, task_row.source, task_row.target, cause, reason, {}
            )
            terminal = TASK.is_terminal(task_row.target)
            changed = tx.run(
                "jobs.set_task_state",
                job_id=job_id,
                name=name,
                source=task_row.source.value,
                target=task_row.target.value,
                seq=seq,
                now_ms=tx.now_ms,
                terminal=terminal,
            )
            if terminal:
                tx.run("jobs.count_done", job_id=job_id)
        case FireShare(name, party, trigger, outcome, reason):
            current = next(share for share in snapshot.tasks[name].shares if share.party == party)
            share_row = SHARE.row(current.state, trigger)
            subject_id = f"{job_id}/{name}/{party.key}"
            data = {"node_id": party.node_id, **({"outcome": outcome.value} if outcome else {})}
            seq = _event(
                tx,
                "share",
                subject_id,
                job_id,
                share_row.event,
                share_row.source,
                share_row.target,
                cause,
                reason,
                data,
            )
            changed = tx.run(
                "jobs.set_share_state",
                job_id=job_id,
                task_name=name,
                role=party.role,
                idx=party.index,
                source=share_row.source.value,
                target=share_row.target.value,
                seq=seq,
                now_ms=tx.now_ms,
                outcome=outcome.value if outcome else None,
                reason=str(reason),
            )
        case FireApproval(node_id, trigger, reason):
            approval_row = APPROVAL.row(snapshot.approvals[node_id].state, trigger)
            subject_id = f"{job_id}/{node_id}"
            seq = _event(
                tx,
                "approval",
                subject_id,
                job_id,
                approval_row.event,
                approval_row.source,
                approval_row.target,
                cause,
                reason,
                {},
            )
            changed = tx.run(
                "jobs.set_approval_state",
                job_id=job_id,
                node_id=node_id,
                source=approval_row.source.value,
                target=approval_row.target.value,
                seq=seq,
                now_ms=tx.now_ms,
                reason=str(reason),
                actor=cause.actor,
            )
    if changed.rowcount != 1:
        raise Conflict(say("changed_meanwhile", what=job_id))


def fire_agreement(
    tx: Tx,
    lifecycle: Lifecycle[AgreementState, AgreementTrigger],
    subject_id: str,
    state: AgreementState,
    trigger: AgreementTrigger,
    cause: Cause,
    statement: str,
    *,
    reason: Words = "",
    data: Mapping[str, Any] | None = None,
    **key: str,
) -> AgreementState:
    """Move a contract or grant from `state`: the event, then `statement`, a named block that compares and sets.

    `statement` gets `key` and `source`, `target`, `seq`, `now_ms`, `actor`, `reason`. Returns the new state; `Conflict`
    when the row is no longer in `state`.
    """
    row = lifecycle.row(state, trigger)
    seq = _event(tx, lifecycle.kind, subject_id, "", row.event, row.source, row.target, cause, reason, dict(data or {}))
    changed = tx.run(
        statement,
        source=row.source.value,
        target=row.target.value,
        seq=seq,
        now_ms=tx.now_ms,
        actor=cause.actor,
        reason=str(reason),
        **key,
    )
    if changed.rowcount != 1:
        raise Conflict(say("changed_meanwhile", what=subject_id))
    return row.target


def _event(
    tx: Tx,
    subject: str,
    subject_id: str,
    job_id: str,
    event: str,
    source: str,
    target: str,
    cause: Cause,
    reason: Words,
    data: Mapping[str, Any],
) -> int:
    return ledger.append(
        tx,
        subject=subject,
        subject_id=subject_id,
        job_id=job_id,
        event=event,
        source=str(source),
        target=str(target),
        actor=cause.actor,
        reason=reason,
        trace_id=cause.trace_id,
        data=data,
    )


def _carry(tx: Tx, scene: Scene, snapshot: JobSnapshot, effect: Decision, cause: Cause) -> None:
    job_id = snapshot.spec.job_id
    match effect:
        case NameTask(task, task_id):
            tx.run("jobs.name_task", job_id=job_id, name=task, task_id=task_id)
        case CancelTask(task):
            tx.run("jobs.cancel_task", job_id=job_id, name=task)
            ledger.append(
                tx,
                subject="task",
                subject_id=f"{job_id}/{task}",
                job_id=job_id,
                event="task.cancelled",
                actor=cause.actor,
                trace_id=cause.trace_id,
            )
        case RequestStop(reason):
            tx.run("jobs.request_stop", job_id=job_id, reason=str(reason))
            ledger.append(
                tx,
                subject="job",
                subject_id=job_id,
                job_id=job_id,
                event="job.stop_requested",
                actor=cause.actor,
                reason=reason,
                trace_id=cause.trace_id,
            )
        case RecordVerdict(state, outcome, reason, final):
            tx.run(
                "jobs.record_verdict",
                job_id=job_id,
                state=state.value if state else None,
                outcome=outcome.value if outcome else None,
                reason=sentences.keep(tx, reason),
                final=final,
            )
        case CallPeer(node_id, operation, key, body):
            lane = f"{node_id}/{job_id}"
            _queue(tx, scene, job_id, lane, "call", node_id, operation, key, body, cause)
        case DropCall(key):
            outbox.abandon(tx, job_id, key)
        case NoteCall(key, _, error, next_ms):
            call_state = noted(snapshot.calls[key], effect).state
            now = tx.now_ms
            tx.run(
                "jobs.note_call",
                job_id=job_id,
                key=key,
                state=call_state.value,
                error=sentences.keep(tx, error),
                next_ms=next_ms,
                now_ms=now,
            )
        case LaunchShare(task, party):
            attempt = attempt_id(snapshot.tasks[task].task_id, party.key, 1)
            body = {"task": task, "role": party.role, "index": party.index, "number": 1}
            key = jobs.launch_key(task, party)
            _queue(tx, scene, job_id, f"run/{attempt}", "launch", attempt, "launch", key, body, cause)
        case TerminateShare(task, party, reason):
            attempt = attempt_id(snapshot.tasks[task].task_id, party.key, 1)
            body = {"task": task, "role": party.role, "index": party.index, "number": 1, "reason": str(reason)}
            key = jobs.terminate_key(task, party)
            _queue(tx, scene, job_id, f"run/{attempt}", "terminate", attempt, "terminate", key, body, cause)
            # A launch that waits for its next try would keep the order back that ends it.
            outbox.hasten(tx, job_id, jobs.launch_key(task, party))
        case _:
            raise AssertionError(f"not an effect: {effect}")


def attempt_id(task_id: str, party_key: str, number: int) -> str:
    """Deterministic and unique on this node."""
    return f"{task_id}.{party_key}.{number}"


def _queue(
    tx: Tx,
    scene: Scene,
    job_id: str,
    lane: str,
    kind: str,
    target: str,
    operation: str,
    key: str,
    body: Mapping[str, Any],
    cause: Cause,
) -> None:
    outbox.add(
        tx,
        job_id=job_id,
        lane=lane,
        kind=kind,
        target=target,
        operation=operation,
        key=key,
        body=dict(body),
        nonce=scene.mint.nonce(),
        trace_id=cause.trace_id,
        next_ms=tx.now_ms,
    )
