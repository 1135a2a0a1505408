"""The brain of a job: a pure function from what is known to what is to be done next.

`plan` is called again after its decisions were applied, until it has nothing more to say; so a rule states one step and
relies on nothing having happened since. All rules are idempotent: an effect that exists is not asked for again.

A rule about single tasks looks at `touched_tasks` alone, so that a small step in a large job costs little. That is
right as long as it depends on the task, its calls, the tasks it reads from, and facts whose change touches all (see
`evolve`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from embedded_scheduler.domain.effects import (
    CallPeer,
    Decision,
    DropCall,
    FireApproval,
    FireJob,
    FireShare,
    FireTask,
    LaunchShare,
    NameTask,
    RequestStop,
    TerminateShare,
)
from embedded_scheduler.domain.flow import FlowNode
from embedded_scheduler.domain.identifiers import task_id_for
from embedded_scheduler.domain.lifecycle import (
    JOB,
    TASK,
    ApprovalState,
    ApprovalTrigger,
    JobState,
    JobTrigger,
    Outcome,
    TaskState,
    TaskTrigger,
)
from embedded_scheduler.domain.snapshot import Call, CallState, JobSnapshot, Share, TaskView
from embedded_scheduler.sentences import Words, say

ENDED_SIGNAL = "job/stop"


def plan(snapshot: JobSnapshot) -> list[Decision]:
    """The next step: decisions that are valid in the given order. Empty = nothing to do until something happens."""
    rules = _COORDINATOR if snapshot.coordinates else _PARTICIPANT
    for rule in rules[snapshot.state]:
        decisions = list(rule(snapshot))
        if decisions:
            return decisions
    return []


# -- rules that hold everywhere ---------------------------------------------------------------------------------------


def _aggregate(s: JobSnapshot) -> Iterator[Decision]:
    """A task's state follows from its shares: any FAILED, else all SUCCESS, else any that runs or ran."""
    for task in s.touched_tasks:
        if TASK.is_terminal(task.state) or not task.task_id:
            continue
        states = {share.state for share in task.shares}
        if TaskState.FAILED in states:
            failed = next(share for share in task.shares if share.state is TaskState.FAILED)
            yield FireTask(task.name, TaskTrigger.FAIL, _fault_of(failed))
        elif states <= {TaskState.SUCCESS}:
            yield FireTask(task.name, TaskTrigger.SUCCEED)
        elif task.state is not TaskState.RUNNING and states & {TaskState.RUNNING, TaskState.SUCCESS}:
            yield FireTask(task.name, TaskTrigger.RUN)


def _alive(s: JobSnapshot, share: Share) -> bool:
    """A process of this share may exist on this node."""
    return s.is_local(share) and share.launched and not TASK.is_terminal(share.state)


def _halt_task(s: JobSnapshot, task: TaskView, reason: Words) -> Iterator[Decision]:
    for share in task.shares:
        if TASK.is_terminal(share.state):
            continue
        if _alive(s, share):
            if not share.terminating:
                yield TerminateShare(task.name, share.party, reason)
        elif share.state is not TaskState.PENDING:
            yield FireShare(task.name, share.party, TaskTrigger.FAIL, Outcome.STOPPED, reason)


def _halt_cancelled(s: JobSnapshot) -> Iterator[Decision]:
    for task in s.touched_tasks:
        if task.cancelled:
            yield from _halt_task(s, task, say("stopped_on_request"))


def _any_alive(s: JobSnapshot) -> bool:
    return any(_alive(s, share) for task in s.tasks.values() for share in task.shares)


def _withdraw_approvals(s: JobSnapshot) -> Iterator[Decision]:
    for approval in s.approvals.values():
        if approval.state is ApprovalState.PENDING:
            yield FireApproval(approval.node_id, ApprovalTrigger.WITHDRAW, say("job_is_over"))


# -- the coordinator --------------------------------------------------------------------------------------------------


def _end_calls(s: JobSnapshot) -> Iterator[Decision]:
    """Tell every node that may know the job that it is over; take back what was not sent yet."""
    for call in s.calls.values():
        if call.state is CallState.WAITING and call.operation in ("job/create", "job/start", "task/start"):
            yield DropCall(call.key)
    for node in s.remote_nodes:
        create = s.calls.get(_create_key(node))
        if s.outcome is Outcome.SUCCEEDED and not s.traits(node).end_signal:
            continue
        if create is not None and _may_have_arrived(create) and _end_key(node) not in s.calls:
            yield CallPeer(node, ENDED_SIGNAL, _end_key(node), {"job_id": s.spec.job_id})


def _may_have_arrived(call: Call) -> bool:
    return call.state is CallState.ACKNOWLEDGED or (call.state is not CallState.REFUSED and call.attempts > 0)


def _create_key(node: str) -> str:
    return f"create:{node}"


def _start_key(node: str) -> str:
    return f"start:{node}"


def _end_key(node: str) -> str:
    return f"end:{node}"


def task_start_key(task: str, node: str) -> str:
    """Key of the call that starts a task at a node."""
    return f"task:{task}:{node}"


def _create_everywhere(s: JobSnapshot) -> Iterator[Decision]:
    body = {"job_id": s.spec.job_id, **s.spec.document}
    for node in s.remote_nodes:
        if _create_key(node) not in s.calls:
            yield CallPeer(node, "job/create", _create_key(node), body)


def _refused_creates(s: JobSnapshot) -> Iterator[Decision]:
    for node in s.remote_nodes:
        create = s.calls.get(_create_key(node))
        if create is None or s.approvals[node].state is not ApprovalState.PENDING:
            continue
        if create.state is CallState.REFUSED:
            yield FireApproval(node, ApprovalTrigger.REJECT, create.last_error)
        elif create.state is CallState.ACKNOWLEDGED and not s.traits(node).approval_channel:
            yield FireApproval(node, ApprovalTrigger.APPROVE, say("accepted_at_create"))


def _collect_approvals(s: JobSnapshot) -> Iterator[Decision]:
    refusal = next((a for a in s.approvals.values() if a.state is ApprovalState.REJECTED), None)
    if refusal is not None:
        yield FireJob(JobTrigger.REJECT, _refused_by(refusal.node_id, refusal.reason))
    elif all(a.state is ApprovalState.APPROVED for a in s.approvals.values()):
        yield FireJob(JobTrigger.APPROVE)


def _stop_before_start(s: JobSnapshot) -> Iterator[Decision]:
    if s.stop_reason:
        yield FireJob(JobTrigger.FINISH, s.stop_reason, Outcome.STOPPED)


def _start_everywhere(s: JobSnapshot) -> Iterator[Decision]:
    starts = [s.calls.get(_start_key(node)) for node in s.remote_nodes]
    missing = [node for node, call in zip(s.remote_nodes, starts, strict=True) if call is None]
    for node in missing:
        yield CallPeer(node, "job/start", _start_key(node), {"job_id": s.spec.job_id})
    if missing:
        return
    refused = next((call for call in starts if call and call.state is CallState.REFUSED), None)
    if refused is not None:
        yield FireJob(
            JobTrigger.FINISH, say("did_not_start", node=refused.node_id, why=refused.last_error), Outcome.FAILED
        )
    elif all(call and call.state is CallState.ACKNOWLEDGED for call in starts):
        yield FireJob(JobTrigger.START)


def _refused_task_starts(s: JobSnapshot) -> Iterator[Decision]:
    for task in s.touched_tasks:
        if TASK.is_terminal(task.state):
            continue
        for share in task.shares:
            call = s.calls.get(task_start_key(task.name, share.party.node_id))
            if call and call.state is CallState.REFUSED and not TASK.is_terminal(share.state):
                yield FireShare(task.name, share.party, TaskTrigger.FAIL, Outcome.FAILED, call.last_error)


def failed_task(s: JobSnapshot) -> TaskView | None:
    """The task whose failure ends the job, if there is one."""
    if not s.may_have_failed:
        return None
    return next((t for t in s.tasks.values() if t.state is TaskState.FAILED and not t.cancelled), None)


def _stop_running(s: JobSnapshot) -> Iterator[Decision]:
    failed = failed_task(s)
    if not s.stop_reason and failed is None:
        return
    if s.stop_reason:
        outcome: Outcome = Outcome.STOPPED
        reason: Words = s.stop_reason
    else:
        assert failed is not None
        why = share_fault(failed)
        outcome = Outcome.FAILED
        reason = say("task_failed", task=failed.name, why=why) if why else say("task_failed_plainly", task=failed.name)
    calls = list(_end_calls(s))
    if calls:
        yield from calls
        return
    halts = [d for task in s.tasks.values() for d in _halt_task(s, task, reason)]
    if halts:
        yield from halts
    elif not _any_alive(s):
        yield FireJob(JobTrigger.FINISH, reason, outcome)


def _refused_by(node_id: str, why: str) -> Words:
    return say("refused_by", node=node_id, why=why) if why else say("refused_by_node", node=node_id)


def _fault_of(share: Share) -> Words:
    return say("about", name=share.party.key, what=share.reason) if share.reason else share.party.key


def share_fault(task: TaskView) -> Words:
    """`guest.0: exit code 1`: the first share that failed by itself."""
    failed = [share for share in task.shares if share.state is TaskState.FAILED]
    own = next((share for share in failed if share.outcome is not Outcome.STOPPED), failed[0] if failed else None)
    return _fault_of(own) if own else ""


def _release(s: JobSnapshot) -> Iterator[Decision]:
    for node in _releasable(s):
        task = s.tasks[node.name]
        if task.cancelled or task.state is not TaskState.PENDING:
            continue
        if all(s.tasks[up].state is TaskState.SUCCESS for up in node.upstream):
            yield from release_task(s, task, task_id_for(s.spec.job_id, task.name))


def _releasable(s: JobSnapshot) -> Iterable[FlowNode]:
    """What the last changes can have made ready: the tasks that changed, and those that read from them."""
    flow = s.spec.flow
    if s.touched is None:
        return flow.nodes
    found = {name: flow.node(name) for name in s.touched}
    for name in s.touched:
        if s.tasks[name].state is TaskState.SUCCESS:
            found.update((reader.name, reader) for reader in flow.readers_of(name))
    return found.values()


def release_task(s: JobSnapshot, task: TaskView, task_id: str) -> Iterator[Decision]:
    """Start a task: own shares here, the others by `task/start` to each of their nodes once (control layer §3.4)."""
    yield NameTask(task.name, task_id)
    yield FireTask(task.name, TaskTrigger.RELEASE)
    told: set[str] = set()
    for share in task.shares:
        if share.state is not TaskState.PENDING:
            continue
        yield FireShare(task.name, share.party, TaskTrigger.RELEASE)
        node = share.party.node_id
        if s.is_local(share):
            yield LaunchShare(task.name, share.party)
        elif node not in told:
            told.add(node)
            body = {"job_id": s.spec.job_id, "task_id": task_id, "task_name": task.name}
            yield CallPeer(node, "task/start", task_start_key(task.name, node), body)


def _finish(s: JobSnapshot) -> Iterator[Decision]:
    if any(not TASK.is_terminal(task.state) and not task.cancelled for task in s.touched_tasks):
        return
    if any(not TASK.is_terminal(task.state) and not task.cancelled for task in s.tasks.values()) or _any_alive(s):
        return
    unfinished = [task.name for task in s.tasks.values() if task.state is not TaskState.SUCCESS]
    if unfinished:
        yield FireJob(JobTrigger.FINISH, say("stopped_tasks", tasks=", ".join(unfinished)), Outcome.STOPPED)
    else:
        yield FireJob(JobTrigger.FINISH, "", Outcome.SUCCEEDED)


_COORDINATOR = {
    JobState.PENDING: (_stop_before_start, _create_everywhere, _refused_creates, _collect_approvals),
    JobState.READY: (_stop_before_start, _start_everywhere),
    JobState.RUNNING: (_refused_task_starts, _aggregate, _stop_running, _halt_cancelled, _release, _finish),
    JobState.REJECTED: (_withdraw_approvals, _end_calls),
    JobState.FINISHED: (_withdraw_approvals, _end_calls),
}


# -- a participant, or an initiator that left the driving to another node ---------------------------------------------


def _own_decision(s: JobSnapshot) -> Iterator[Decision]:
    own = s.approvals.get(s.self_node)
    if own is None or own.state not in (ApprovalState.APPROVED, ApprovalState.REJECTED):
        return
    approved = own.state is ApprovalState.APPROVED
    confirm = s.calls.get("confirm")
    by_message = s.traits(s.coordinator).approval_channel
    if confirm is None and by_message:
        status = JobState.READY if approved else JobState.REJECTED
        body = {"job_id": s.spec.job_id, "status": status.value}
        yield CallPeer(s.coordinator, "job/audit_confirm", "confirm", body)
    if approved:
        yield FireJob(JobTrigger.APPROVE)
    elif not by_message or (confirm is not None and confirm.state is CallState.ACKNOWLEDGED):
        # Not before the coordinator took it: it may have ended the job for another reason, and all are to agree on one.
        yield FireJob(JobTrigger.REJECT, _refused_by(s.self_node, own.reason))
    elif confirm is not None and confirm.state is CallState.REFUSED and not s.stop_reason:
        yield RequestStop(say("both", one=_refused_by(s.self_node, ""), other=confirm.last_error))


def _refused_submission(s: JobSnapshot) -> Iterator[Decision]:
    call = s.calls.get("create_all")
    if call is not None and call.state is CallState.REFUSED:
        yield FireJob(JobTrigger.REJECT, say("coordinator_refused", node=call.node_id, why=call.last_error))


def _ask_verdict(s: JobSnapshot) -> Iterator[Decision]:
    if s.stop_reason and not s.verdict_final and "verdict" not in s.calls:
        yield CallPeer(s.coordinator, "job/status_all", "verdict", {"job_id": s.spec.job_id})


def _halt_all(s: JobSnapshot) -> Iterator[Decision]:
    if s.stop_reason:
        for task in s.tasks.values():
            yield from _halt_task(s, task, s.stop_reason)


def _close(s: JobSnapshot) -> Iterator[Decision]:
    if not s.stop_reason or not s.verdict_final or _any_alive(s):
        return
    if s.verdict_state is JobState.REJECTED and JOB.allows(s.state, JobTrigger.REJECT):
        yield FireJob(JobTrigger.REJECT, s.verdict_reason or s.stop_reason)
        return
    outcome = s.verdict_outcome or _own_outcome(s)
    yield FireJob(
        JobTrigger.FINISH, s.verdict_reason or ("" if outcome is Outcome.SUCCEEDED else s.stop_reason), outcome
    )


def _own_outcome(s: JobSnapshot) -> Outcome:
    """What this node can tell by itself when the coordinator's word cannot be had."""
    own = [share for task in s.tasks.values() for share in task.shares]
    if any(share.outcome is Outcome.FAILED for share in own):
        return Outcome.FAILED
    if own and all(share.state is TaskState.SUCCESS for share in own):
        return Outcome.SUCCEEDED
    return Outcome.STOPPED


def _report(s: JobSnapshot) -> Iterator[Decision]:
    """Tell the coordinator how the own part of each task ended (control layer §3.9), once per role."""
    if not s.traits(s.coordinator).callback:
        return
    for task in s.touched_tasks:
        if not task.task_id or task.cancelled:
            continue
        for role in dict.fromkeys(share.party.role for share in task.shares):
            status = combined_state([share.state for share in task.shares if share.party.role == role])
            key = f"callback:{task.name}:{role}"
            if TASK.is_terminal(status) and key not in s.calls:
                body = {"task_id": task.task_id, "status": status.value, "role": role}
                yield CallPeer(s.coordinator, "task/callback", key, body)


def combined_state(states: list[TaskState]) -> TaskState:
    """One status for several shares: any FAILED; all SUCCESS; RUNNING if any runs or ran; READY; PENDING."""
    if TaskState.FAILED in states:
        return TaskState.FAILED
    if all(state is TaskState.SUCCESS for state in states):
        return TaskState.SUCCESS
    if TaskState.RUNNING in states or TaskState.SUCCESS in states:
        return TaskState.RUNNING
    return TaskState.READY if TaskState.READY in states else TaskState.PENDING


_PARTICIPANT = {
    JobState.PENDING: (_refused_submission, _ask_verdict, _close, _own_decision),
    JobState.READY: (_refused_submission, _ask_verdict, _halt_all, _close),
    JobState.RUNNING: (_aggregate, _report, _ask_verdict, _halt_all, _halt_cancelled, _close),
    JobState.REJECTED: (_withdraw_approvals,),
    JobState.FINISHED: (_withdraw_approvals,),
}
