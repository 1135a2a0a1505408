"""What a message or a local event means for a job, as decisions. Pure; the planner then says what follows.

A reaction that returns nothing is a repeated or late message: it changes nothing and is answered with success.
"""

from __future__ import annotations

from collections.abc import Iterator

from embedded_scheduler.domain.effects import (
    CallPeer,
    CancelTask,
    Decision,
    FireApproval,
    FireJob,
    FireShare,
    FireTask,
    LaunchShare,
    NameTask,
    RecordVerdict,
    RequestStop,
)
from embedded_scheduler.domain.failure import Failure
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
from embedded_scheduler.domain.party import Party, matches_role
from embedded_scheduler.domain.snapshot import JobSnapshot, Share, TaskView
from embedded_scheduler.errors import Conflict, NotFound
from embedded_scheduler.sentences import Words, say


def decide(s: JobSnapshot, node_id: str, *, approve: bool, reason: Words) -> list[Decision]:
    """A node's decision on the job: the operator's here, or a partner's by `audit_confirm` (control layer §3.10).

    The same decision again changes nothing; the opposite one is a `Conflict`.
    """
    approval = s.approvals.get(node_id)
    if approval is None:
        raise Conflict(say("no_decision", node=node_id, job=s.spec.job_id))
    wanted = ApprovalState.APPROVED if approve else ApprovalState.REJECTED
    if approval.state is wanted:
        return []
    if approval.state is not ApprovalState.PENDING:
        raise Conflict(say("decided_already", job=s.spec.job_id, state=approval.state.lower(), node=node_id))
    if JOB.is_terminal(s.state):
        raise Conflict(say("job_state_already", job=s.spec.job_id, state=s.state))
    return [FireApproval(node_id, ApprovalTrigger.APPROVE if approve else ApprovalTrigger.REJECT, reason)]


def start(s: JobSnapshot) -> list[Decision]:
    """`job/start` from the coordinator (control layer §3.3)."""
    if s.state is JobState.READY:
        return [FireJob(JobTrigger.START)]
    if s.state is JobState.RUNNING:
        return []
    raise Conflict(say("job_cannot_start", job=s.spec.job_id, state=s.state))


def start_task(s: JobSnapshot, task_id: str, task_name: str) -> list[Decision]:
    """`task/start` from the coordinator (control layer §3.4): run this node's shares. It implies `job/start`."""
    if task_name not in s.tasks:
        raise NotFound(say("job_without_task", job=s.spec.job_id, task=task_name))
    task = s.tasks[task_name]
    if task.task_id:
        if task.task_id == task_id:
            return []
        raise Conflict(say("task_runs_as", task=task_name, job=s.spec.job_id, id=task.task_id))
    if s.state not in (JobState.READY, JobState.RUNNING) or task.cancelled or s.stop_reason:
        raise Conflict(say("task_cannot_start", job=s.spec.job_id, state=s.state, task=task_name))
    decisions: list[Decision] = [FireJob(JobTrigger.START)] if s.state is JobState.READY else []
    decisions += [NameTask(task_name, task_id), FireTask(task_name, TaskTrigger.RELEASE)]
    for share in task.shares:
        decisions.append(FireShare(task_name, share.party, TaskTrigger.RELEASE))
        decisions.append(LaunchShare(task_name, share.party))
    return decisions


def stop(s: JobSnapshot, task_name: str, reason: Words) -> list[Decision]:
    """`job/stop` (control layer §3.6): a task and all after it, or the whole job when `task_name` is empty.

    What has ended stays as it is: partners send this for a task that succeeded, and as their only end-of-job signal.
    """
    if task_name and task_name not in s.tasks:
        raise NotFound(say("job_without_task", job=s.spec.job_id, task=task_name))
    if JOB.is_terminal(s.state):
        return []
    if not task_name:
        return [] if s.stop_reason else [RequestStop(reason)]
    if TASK.is_terminal(s.tasks[task_name].state):
        return []
    if not s.coordinates and not s.tasks[task_name].shares:
        # FATE-Flow tells every node when a task has ended, success included, and this node cannot know how it ended.
        # Nothing after it runs here yet, and the coordinator will not start what it stopped.
        return []
    after = s.spec.flow.downstream_of(task_name)
    names = [name for name in s.spec.flow.order if name == task_name or name in after]
    open_names = [n for n in names if not TASK.is_terminal(s.tasks[n].state) and not s.tasks[n].cancelled]
    decisions: list[Decision] = [CancelTask(name) for name in open_names]
    if s.coordinates:
        involved = {share.party.node_id for name in open_names for share in s.tasks[name].shares}
        body = {"job_id": s.spec.job_id, "task_name": task_name}
        decisions += [
            CallPeer(node, "job/stop", f"stop:{task_name}:{node}", body)
            for node in s.remote_nodes
            if node in involved and f"stop:{task_name}:{node}" not in s.calls
        ]
    return decisions


def stop_one(s: JobSnapshot, task_name: str) -> list[Decision]:
    """`task/stop`, which a Kuscia node sends: this task alone."""
    task = s.tasks[task_name]
    if JOB.is_terminal(s.state) or TASK.is_terminal(task.state) or task.cancelled:
        return []
    return [CancelTask(task_name)]


def ask_coordinator_to_stop(s: JobSnapshot, task_name: str, reason: Words) -> list[Decision]:
    """A participant's wish (`job/stop_all`): the coordinator is told; for a whole job the own part ends at once."""
    if s.coordinates:
        return stop(s, task_name, reason)
    if task_name and task_name not in s.tasks:
        raise NotFound(say("job_without_task", job=s.spec.job_id, task=task_name))
    key = f"stop_all:{task_name}"
    if JOB.is_terminal(s.state) or key in s.calls:
        return []
    body = {"job_id": s.spec.job_id, **({"task_name": task_name} if task_name else {})}
    ask: list[Decision] = [CallPeer(s.coordinator, "job/stop_all", key, body)]
    return ask if task_name else [*ask, *stop(s, "", reason)]


def share_running(s: JobSnapshot, task_name: str, party: Party) -> list[Decision]:
    """The runner started this share, or its component says so."""
    share = _share(s.tasks[task_name], party)
    if TASK.allows(share.state, TaskTrigger.RUN):
        return [FireShare(task_name, party, TaskTrigger.RUN)]
    return []


def share_ended(s: JobSnapshot, task_name: str, party: Party, *, ok: bool, reason: Words) -> list[Decision]:
    """The share's process is gone."""
    share = _share(s.tasks[task_name], party)
    if TASK.is_terminal(share.state):
        return []
    if ok:
        return [FireShare(task_name, party, TaskTrigger.SUCCEED, Outcome.SUCCEEDED)]
    stopped = share.terminating
    outcome = Outcome.STOPPED if stopped else Outcome.FAILED
    return [FireShare(task_name, party, TaskTrigger.FAIL, outcome, say("stopped") if stopped else reason)]


def partner_status(
    s: JobSnapshot, task_name: str, node_id: str, role: str, status: TaskState, failure: Failure | None = None
) -> list[Decision]:
    """What a partner says of its shares, by answer to a poll or by callback. Terminal states stay (digest §10).

    `failure`: why it failed, where the partner says so.
    """
    decisions: list[Decision] = []
    for share in s.tasks[task_name].shares:
        mine = share.party.node_id == node_id and matches_role(share.party, role)
        if not mine or TASK.is_terminal(share.state) or share.state is TaskState.PENDING:
            continue
        decisions += _towards(task_name, share, status, failure)
    return decisions


def _towards(task_name: str, share: Share, status: TaskState, failure: Failure | None) -> Iterator[Decision]:
    if status is TaskState.SUCCESS:
        yield FireShare(task_name, share.party, TaskTrigger.SUCCEED, Outcome.SUCCEEDED)
    elif status is TaskState.FAILED:
        node = share.party.node_id
        reason = say("says_failed_because", node=node, why=failure.words) if failure else say("says_failed", node=node)
        yield FireShare(task_name, share.party, TaskTrigger.FAIL, Outcome.FAILED, reason)
    elif status is TaskState.RUNNING and TASK.allows(share.state, TaskTrigger.RUN):
        yield FireShare(task_name, share.party, TaskTrigger.RUN)


def partner_lost(s: JobSnapshot, task_name: str, node_id: str, reason: Words) -> list[Decision]:
    """A partner gave no usable answer for too long: its shares count as failed."""
    return [
        FireShare(task_name, share.party, TaskTrigger.FAIL, Outcome.FAILED, reason)
        for share in s.tasks[task_name].shares
        if share.party.node_id == node_id and not TASK.is_terminal(share.state)
    ]


def verdict(
    s: JobSnapshot, state: JobState, tasks: list[TaskState], outcome: Outcome | None, reason: Words
) -> list[Decision]:
    """The coordinator's answer to `job/status_all`; when it says the job is over, the own part ends too.

    `tasks` are the states it lists; the outcome follows from them when it does not state one.
    """
    if JOB.is_terminal(s.state) or s.verdict_final or not JOB.is_terminal(state):
        return []
    if state is JobState.FINISHED and outcome is None and tasks:
        failed = TaskState.FAILED in tasks
        whole = len(tasks) >= len(s.tasks) and all(task is TaskState.SUCCESS for task in tasks)
        outcome = Outcome.FAILED if failed else Outcome.SUCCEEDED if whole else Outcome.STOPPED
    if state is JobState.REJECTED:
        outcome = None
    said = RecordVerdict(state, outcome, reason, final=True)
    return [said, RequestStop(say("coordinator_says", node=s.coordinator, state=state))]


def coordinator_forgot(s: JobSnapshot, reason: Words) -> list[Decision]:
    """The coordinator has said for long that it does not know the job: nobody will ever end it, so this node does."""
    unknown = verdict_unknown(s, reason)
    return [*unknown, RequestStop(reason)] if unknown and not s.stop_reason else unknown


def verdict_unknown(s: JobSnapshot, reason: Words) -> list[Decision]:
    """The coordinator's word cannot be had: close with what this node knows."""
    if JOB.is_terminal(s.state) or s.verdict_final:
        return []
    return [RecordVerdict(s.verdict_state, s.verdict_outcome, reason, final=True)]


def _share(task: TaskView, party: Party) -> Share:
    return next(share for share in task.shares if share.party == party)
