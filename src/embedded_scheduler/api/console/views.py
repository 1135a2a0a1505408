"""From what the node knows to what the console shows. Pure: rows and snapshots in, messages out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from embedded_scheduler.domain.component import ComponentManifest, DataPort
from embedded_scheduler.domain.lifecycle import (
    APPROVAL,
    JOB,
    TASK,
    ApprovalTrigger,
    JobState,
    TaskState,
)
from embedded_scheduler.domain.pack import pack_of
from embedded_scheduler.domain.snapshot import CallState, JobSnapshot, Share, TaskView
from embedded_scheduler.domain.table_metadata import TableMetadata
from embedded_scheduler.domain.waiting import FindPutOff, Wait, explain_job, explain_task, nothing_put_off
from embedded_scheduler.engine.compatibility import IN_THE_WAY, Finding
from embedded_scheduler.engine.components import BUILTIN
from embedded_scheduler.engine.results import Output
from embedded_scheduler.engine.space import StoringJob
from embedded_scheduler.engine.traffic import Traffic
from embedded_scheduler.engine.watchdog import Stuck
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.spi.storage import Stored
from embedded_scheduler.store.attempts import Attempt
from embedded_scheduler.store.components import Component
from embedded_scheduler.store.datasets import Dataset
from embedded_scheduler.store.jobs import JobHead
from embedded_scheduler.store.ledger import EventRecord
from embedded_scheduler.wire.console import (
    ApprovalRow,
    ColumnRow,
    ComponentMatch,
    ComponentRow,
    DatasetJob,
    DatasetRow,
    EventRow,
    JobRow,
    PortRow,
    ResultRow,
    ShareRow,
    StopRow,
    TaskRow,
    Waiting,
    said,
)
from embedded_scheduler.wire.console import Stuck as StuckRow
from embedded_scheduler.wire.console_space import JobSpaceRow
from embedded_scheduler.wire.console_tasks import AttemptRow, LimitRow, LinkRow, TrafficRow


@dataclass(frozen=True, slots=True)
class Times:
    """When a task started and ended (epoch ms)."""

    started_ms: int | None
    ended_ms: int | None


@dataclass(frozen=True, slots=True)
class Decided:
    """One row of the approvals."""

    node_id: str
    state: str
    reason: str
    decided_by: str
    since_ms: int


def job_row(
    head: JobHead,
    snapshot: JobSnapshot | None,
    expires_ms: int = 0,
    still: Sequence[Still] = (),
    put_off: FindPutOff = nothing_put_off,
) -> JobRow:
    """`snapshot` None = the job is over: nothing waits and nothing can be done. `expires_ms`: how long a request waits
    for this node's decision; 0 = for ever. `still`: what runs here without a sign of life. `put_off`: what of it could
    not start here yet."""
    wait = _expiring(explain_job(snapshot, put_off), expires_ms) if snapshot is not None else None
    return JobRow(
        job_id=head.job_id,
        flow_id=head.flow_id,
        state=head.state.value,
        outcome=head.outcome.value if head.outcome else None,
        reason=head.reason,
        initiator=head.initiator,
        coordinator=head.coordinator,
        parties=list(head.parties),
        components=list(head.components),
        tasks_done=head.tasks_done,
        tasks_total=head.tasks_total,
        created_ms=head.created_ms,
        started_ms=head.started_ms,
        ended_ms=head.ended_ms,
        updated_seq=head.state_seq,
        needs_decision=needs_decision(snapshot) if snapshot is not None else False,
        waiting=waiting(wait, still),
        stuck=list(dict.fromkeys(stuck.task_name for stuck, _ in still)) if snapshot is not None else [],
        actions=job_actions(snapshot) if snapshot is not None else [],
        cursor=str(head.position),
    )


def _expiring(wait: Wait | None, expires_ms: int) -> Wait | None:
    if wait is None or wait.kind != "decision" or not expires_ms:
        return wait
    at_ms = wait.since_ms + expires_ms
    # The machine's own time: the console runs here too.
    at = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone()
    return replace(wait, next=say("next_expires", at=f"{at:%m-%d %H:%M}"), next_ms=at_ms)


def needs_decision(s: JobSnapshot) -> bool:
    """This node's operator has to decide."""
    own = s.approvals.get(s.self_node)
    return own is not None and not JOB.is_terminal(s.state) and APPROVAL.allows(own.state, ApprovalTrigger.APPROVE)


def job_actions(s: JobSnapshot) -> list[str]:
    """What the operator can do to the job now."""
    actions = ["approve", "reject"] if needs_decision(s) else []
    if not JOB.is_terminal(s.state) and not s.stop_reason:
        actions.append("stop")
    return actions


def task_row(
    s: JobSnapshot,
    task: TaskView,
    times: Times,
    attempts: Sequence[Attempt],
    still: Sequence[Still] = (),
    put_off: FindPutOff = nothing_put_off,
) -> TaskRow:
    """`still`: what of the task runs here without a sign of life. `put_off`: what could not start here yet."""
    node = s.spec.flow.node(task.name)
    return TaskRow(
        name=task.name,
        task_id=task.task_id,
        component=node.component.name or node.component.code,
        provider=node.component.provider,
        version=node.component.version,
        state=task.state.value,
        cancelled=task.cancelled,
        since_ms=task.since_ms,
        started_ms=times.started_ms,
        ended_ms=times.ended_ms,
        upstream=list(node.upstream),
        shares=[share_row(s, share, attempts) for share in task.shares],
        waiting=waiting(explain_task(s, task, put_off), still),
        stuck=[stuck_row(*found) for found in still],
        actions=task_actions(s, task, attempts),
    )


def task_actions(s: JobSnapshot, task: TaskView, attempts: Sequence[Attempt]) -> list[str]:
    actions = ["logs"] if attempts else []
    stoppable = s.state is JobState.RUNNING and not s.stop_reason and not task.cancelled
    if stoppable and not TASK.is_terminal(task.state):
        actions.append("stop")
    return actions


def share_row(s: JobSnapshot, share: Share, attempts: Sequence[Attempt]) -> ShareRow:
    """`attempts` are those of the share's task; the newest of this party counts."""
    own = [attempt for attempt in attempts if attempt.is_of(share.party)]
    attempt = own[-1] if own and s.is_local(share) else None
    return ShareRow(
        role=share.party.role,
        index=share.party.index,
        node_id=share.party.node_id,
        state=share.state.value,
        outcome=share.outcome.value if share.outcome else None,
        reason=share.reason,
        since_ms=share.since_ms,
        exit_code=attempt.exit_code if attempt else None,
        attempt_id=attempt.attempt_id if attempt else "",
        runner=attempt.runner if attempt else "",
        where=_where(attempt) if attempt else "",
        local=s.is_local(share),
        started_ms=attempt.launched_ms if attempt else None,
        ended_ms=_share_end(share, attempt),
    )


def _share_end(share: Share, attempt: Attempt | None) -> int | None:
    if attempt is not None:
        return attempt.ended_ms
    return share.since_ms if share.state in (TaskState.SUCCESS, TaskState.FAILED) else None


def _where(attempt: Attempt) -> str:
    return str(attempt.handle.get("where") or "")


def attempt_row(attempt: Attempt, ready_ms: int | None, measured: Traffic | None) -> AttemptRow:
    """`ready_ms` is of the share; a later attempt was not waiting since then."""
    return AttemptRow(
        attempt_id=attempt.attempt_id,
        party=f"{attempt.role}.{attempt.index}",
        number=attempt.number,
        runner=attempt.runner,
        where=_where(attempt),
        ready_ms=ready_ms if attempt.number <= 1 else None,
        created_ms=attempt.created_ms,
        launched_ms=attempt.launched_ms,
        called_ms=attempt.called_ms,
        ended_ms=attempt.ended_ms,
        exit_code=attempt.exit_code,
        exit_signal=attempt.exit_signal,
        reason=attempt.exit_error,
        reported=attempt.callback,
        traffic=_traffic_row(measured) if measured else None,
        cause=attempt.cause,
        limits=[LimitRow(kind=one.kind, value=one.value, origin=one.origin, asked=one.asked) for one in attempt.limits],
        peak_bytes=attempt.peak_bytes,
    )


def _traffic_row(measured: Traffic) -> TrafficRow:
    return TrafficRow(
        waiting_ms=measured.waiting_ms,
        sending_ms=measured.sending_ms,
        partial=measured.partial,
        links=[
            LinkRow(
                node_id=node_id,
                topic=topic,
                received=link.received,
                received_bytes=link.received_bytes,
                sent=link.sent,
                sent_bytes=link.sent_bytes,
            )
            for (node_id, topic), link in measured.links.items()
        ],
    )


def stop_rows(s: JobSnapshot) -> list[StopRow]:
    """Who was told to stop, and how far that has come; empty when nobody asked for it."""
    if not s.stop_reason:
        return []
    own = [share for task in s.tasks.values() for share in task.shares if s.is_local(share)]
    ends = any(share.launched and not TASK.is_terminal(share.state) for share in own)
    told = [call for call in s.calls.values() if call.operation == "job/stop"]
    return [
        StopRow(node_id=s.self_node, state="asked" if ends else "confirmed"),
        *(StopRow(node_id=call.node_id, state=_STOPS[call.state], error=call.last_error) for call in told),
    ]


_STOPS = {
    CallState.WAITING: "asked",
    CallState.ACKNOWLEDGED: "confirmed",
    CallState.REFUSED: "refused",
    CallState.ABANDONED: "abandoned",
}


def approval_row(decided: Decided) -> ApprovalRow:
    return ApprovalRow(
        node_id=decided.node_id,
        state=decided.state,
        reason=decided.reason,
        decided_by=decided.decided_by,
        since_ms=decided.since_ms,
    )


Still = tuple[Stuck, Mapping[str, int]]
"""An attempt without a sign of life, and when each other node of its task gave one."""


def stuck_row(stuck: Stuck, partners_ms: Mapping[str, int]) -> StuckRow:
    return StuckRow(
        attempt_id=stuck.attempt_id,
        party=f"{stuck.role}.{stuck.index}",
        since_ms=stuck.vital.last_ms,
        log_ms=stuck.vital.log_ms,
        channel_ms=stuck.vital.channel_ms,
        cpu_ms=stuck.vital.cpu_ms,
        partners_ms=dict(partners_ms),
    )


def waiting(wait: Wait | None, still: Sequence[Still] = ()) -> Waiting | None:
    """`still` counts only where something is said to run: what waits for something else is not stuck."""
    if wait is None:
        return None
    stuck_ms = min((stuck.vital.last_ms for stuck, _ in still), default=None) if wait.kind == "running" else None
    if stuck_ms is not None:
        # The machine's own time, as for what expires.
        at = datetime.fromtimestamp(stuck_ms / 1000, UTC).astimezone()
        wait = replace(wait, next=say("next_stuck", at=f"{at:%H:%M}"))
    return Waiting(
        stuck_ms=stuck_ms,
        blocked_by=str(wait.blocked_by),
        on=str(wait.on),
        since_ms=wait.since_ms,
        next=str(wait.next),
        next_ms=wait.next_ms,
        actions=list(wait.actions),
        text=wait.text,
        said=said(blocked_by=wait.blocked_by, on=wait.on, next=wait.next),
    )


def event_row(record: EventRecord, *, chain: bool = False) -> EventRow:
    """`chain`: with its place in the chain of hashes, which a stream of events does not need."""
    return EventRow(
        prev_hash=record.prev_hash if chain else "",
        hash=record.hash if chain else "",
        seq=record.seq,
        at_ms=record.at_ms,
        subject=record.subject,
        subject_id=record.subject_id,
        job_id=record.job_id,
        event=record.event,
        source=record.source,
        target=record.target,
        actor=record.actor,
        reason=record.reason,
        trace_id=record.trace_id,
        data=record.data,
    )


def dataset_row(dataset: Dataset) -> DatasetRow:
    return DatasetRow(
        namespace=dataset.namespace,
        name=dataset.name,
        dataset_id=dataset.dataset_id,
        connector=dataset.connector,
        options=dataset.options,
        description=dataset.description,
        columns=[ColumnRow(name=column.name, type=column.type) for column in dataset.columns],
        rows=dataset.rows,
        size_bytes=dataset.size_bytes,
        fingerprint=dataset.fingerprint,
        registered_ms=dataset.registered_ms,
        actions=["rescan", "remove", "publish"],
    )


def _port(port: DataPort) -> PortRow:
    return PortRow(name=port.name, type=port.category, description=port.description, required=port.required)


def dataset_job(head: JobHead, task: str, decision: str) -> DatasetJob:
    """A job that reads a dataset of this node; `decision`: state of this node's approval."""
    return DatasetJob(
        job_id=head.job_id,
        flow_id=head.flow_id,
        task=task,
        state=head.state.value,
        outcome=head.outcome.value if head.outcome else None,
        initiator=head.initiator,
        decision=decision,
        created_ms=head.created_ms,
    )


def component_match(found: Finding) -> ComponentMatch:
    return ComponentMatch(
        node_id=found.node_id,
        tasks=list(found.tasks),
        provider=found.component.provider,
        name=found.component.name or found.component.code,
        version=found.component.version,
        match=found.match.value,
        wrong=found.match in IN_THE_WAY,
        versions=list(found.versions),
        note=found.note,
        sentence=found.sentence,
        said=said(note=found.note, sentence=found.sentence),
    )


def component_row(
    component: Component, manifest: ComponentManifest, why_not: Words, raw: Mapping[str, object] | None = None
) -> ComponentRow:
    """`why_not` empty = it can run here; `raw` is the self-description to include."""
    # It would be registered again at the next start.
    builtin = component.image_url.startswith(BUILTIN)
    return ComponentRow(
        provider=component.provider,
        name=component.name,
        version=component.version,
        code=component.code,
        title=manifest.title,
        description=manifest.description,
        image_url=component.image_url,
        pack=pack_of(component.image_url),
        roles=list(manifest.roles),
        warnings=list(manifest.warnings),
        registered_ms=component.registered_ms,
        runnable=not why_not,
        why_not=str(why_not),
        said=said(why_not=why_not),
        runner=component.runner,
        enabled=component.enabled,
        registered_by=component.registered_by,
        digest=component.digest,
        inputs=[_port(port) for port in manifest.inputs],
        outputs=[_port(port) for port in manifest.outputs],
        parameters=len(manifest.params),
        actions=["disable" if component.enabled else "enable", *([] if builtin else ["register", "unregister"])],
        manifest=dict(raw or {}),
    )


def result_actions(*, over: bool, stored: bool, kept: bool) -> list[str]:
    """What can be done about the results of a job, of which some are `stored` here."""
    keeps = ["release"] if kept else ["keep"] if stored or not over else []
    return [*keeps, *(["discard"] if over and stored else [])]


def job_space(job: StoringJob) -> JobSpaceRow:
    facts, files = job.facts, job.files
    state = facts.state if facts is not None else ""
    over = bool(state) and JOB.is_terminal(JobState(state))
    return JobSpaceRow(
        job_id=job.job_id,
        flow_id=facts.flow_id if facts is not None else "",
        state=state,
        outcome=(facts.outcome or None) if facts is not None else None,
        ended_ms=facts.ended_ms if facts is not None else None,
        results=files.results,
        logs=files.logs,
        runs=files.runs,
        channel=files.channel,
        total=files.total,
        kept=job.kept,
        removal_ms=job.removal_ms,
        actions=result_actions(over=over, stored=files.objects > 0, kept=job.kept) if state else [],
    )


def result_row(output: Output, stored: Stored, described: TableMetadata | None, path: str) -> ResultRow:
    """`described`: what lies beside the table, if anything does."""
    return ResultRow(
        task=output.task,
        party=output.party.key,
        output=output.address.port.key,
        type=output.address.port.type,
        namespace=stored.namespace,
        name=stored.name,
        size=stored.size,
        path=path,
        format=described.file_type if described is not None else "",
        rows=described.count if described is not None else None,
        columns=[ColumnRow(name=name, type=kind) for name, kind in described.columns] if described is not None else [],
    )
