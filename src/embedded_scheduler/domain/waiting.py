"""Why something is not over yet: blocked by whom, on what, since when, what comes next, what the operator can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from embedded_scheduler.domain.lifecycle import JOB, TASK, ApprovalState, JobState, TaskState
from embedded_scheduler.domain.planner import failed_task
from embedded_scheduler.domain.snapshot import Call, CallState, JobSnapshot, Share, TaskView
from embedded_scheduler.sentences import Words, say


@dataclass(frozen=True, slots=True)
class Wait:
    """`text` is the whole line in English; the other members carry its parts for other languages and for programs.
    In `blocked_by` a plain string names nodes.

    `kind` is a stable key: decision, partner_decision, delivery, running, upstream, start, verdict, stopping, slot,
    put_off.
    `next_ms` is when something happens by itself (epoch ms), if that is known. `actions` are names of actions.
    """

    kind: str
    blocked_by: Words
    on: Words
    since_ms: int
    next: Words = ""
    next_ms: int | None = None
    actions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        line = f"waits for {self.blocked_by}: {self.on}"
        return f"{line}; {self.next}" if self.next else line


@dataclass(frozen=True, slots=True)
class PutOff:
    """A share that this node was to start and could not yet. `why` says what is missing, and what to do about it."""

    why: Words
    next: Words
    next_ms: int | None = None


FindPutOff = Callable[[str, str], PutOff | None]
"""By task name and party key: what keeps a share from starting here; None = nothing is known."""


def nothing_put_off(task_name: str, party_key: str) -> PutOff | None:  # noqa: ARG001 - one signature
    return None


def explain_job(s: JobSnapshot, put_off: FindPutOff = nothing_put_off) -> Wait | None:
    """Why the job is not over; None when it is."""
    if JOB.is_terminal(s.state):
        return None
    if _is_ending(s):
        return _stopping(s)
    if s.state is JobState.PENDING:
        return _pending(s)
    if s.state is JobState.READY:
        return _ready(s)
    return _running(s, put_off)


def explain_task(s: JobSnapshot, task: TaskView, put_off: FindPutOff = nothing_put_off) -> Wait | None:
    """Why the task is not over; None when it is, or when it will not run any more."""
    if TASK.is_terminal(task.state) or task.cancelled or JOB.is_terminal(s.state):
        return None
    if _is_ending(s) or s.state is not JobState.RUNNING:
        return explain_job(s, put_off)
    if task.state is TaskState.PENDING:
        missing = [up for up in s.spec.flow.node(task.name).upstream if s.tasks[up].state is not TaskState.SUCCESS]
        if missing and s.coordinates:
            return Wait(
                "upstream", say("by_tasks", tasks=tuple(missing)), say("wait_output"), task.since_ms, say("next_starts")
            )
        return _coordinator_starts(s, task)
    lagging = [share for share in task.shares if not TASK.is_terminal(share.state)]
    blocked = next((share for share in lagging if share.state is not TaskState.RUNNING), None)
    return _share_wait(s, task, blocked or lagging[0], put_off) if lagging else None


def _is_ending(s: JobSnapshot) -> bool:
    """Nothing will be started any more."""
    return bool(s.stop_reason) or (s.coordinates and failed_task(s) is not None)


def _coordinator_starts(s: JobSnapshot, task: TaskView) -> Wait:
    on = say("wait_start_task", task=task.name)
    return Wait("start", s.coordinator, on, task.since_ms, say("next_nothing"), None, ("stop",))


def _share_wait(s: JobSnapshot, task: TaskView, share: Share, put_off: FindPutOff) -> Wait:
    node = share.party.node_id
    call = s.calls.get(f"task:{task.name}:{node}")
    if call is not None and call.state is CallState.WAITING:
        return _delivery(call)
    party = say("by_party", party=share.party.key, node=node)
    if share.state is TaskState.RUNNING:
        on = say("wait_runs", task=task.name)
        return Wait("running", party, on, share.since_ms, "", None, ("logs", "stop"))
    if share.launched and (found := put_off(task.name, share.party.key)) is not None:
        on = say("wait_put_off", task=task.name, why=found.why)
        actions = ("logs", "stop")
        return Wait("put_off", say("by_this_node"), on, share.since_ms, found.next, found.next_ms, actions)
    if s.is_local(share):
        on, then = say("wait_to_start", task=task.name), say("next_starts")
        return Wait("slot", say("by_this_node"), on, share.since_ms, then, None, ("logs", "stop"))
    return Wait("running", party, say("wait_report", task=task.name), share.since_ms, say("next_asked"))


def _pending(s: JobSnapshot) -> Wait:
    own = s.approvals.get(s.self_node)
    if own is not None and own.state is ApprovalState.PENDING:
        return Wait("decision", say("by_you"), say("wait_decide"), own.since_ms, "", None, ("approve", "reject"))
    undelivered = _first_waiting(s, ("job/create", "job/create_all", "job/audit_confirm"))
    if undelivered is not None:
        return _delivery(undelivered)
    others = [a for a in s.approvals.values() if a.state is ApprovalState.PENDING]
    if others:
        names = ", ".join(a.node_id for a in others)
        since = min(a.since_ms for a in others)
        return Wait("partner_decision", names, say("wait_approval"), since, "", None, ("stop",))
    return Wait("start", s.coordinator, say("wait_decisions"), s.since_ms, "", None, ("stop",))


def _ready(s: JobSnapshot) -> Wait:
    undelivered = _first_waiting(s, ("job/start", "job/audit_confirm"))
    if undelivered is not None:
        return _delivery(undelivered)
    on = say("wait_start" if s.coordinates else "wait_approval_and_start")
    return Wait("start", s.coordinator, on, s.since_ms, say("next_starts"), None, ("stop",))


def _running(s: JobSnapshot, put_off: FindPutOff) -> Wait:
    if put_off is not nothing_put_off and (failing := _failing_here(s, put_off)) is not None:
        return failing
    for task in s.tasks.values():
        if task.state in (TaskState.READY, TaskState.RUNNING) and (wait := explain_task(s, task, put_off)) is not None:
            return wait
    if ending := _ending_here(s):
        return ending
    undelivered = _first_waiting(s, ("task/callback", "job/stop_all"))
    if undelivered is not None:
        return _delivery(undelivered)
    failed = next((t for t in s.tasks.values() if t.state is TaskState.FAILED and not t.cancelled), None)
    if failed is not None:
        on = say("wait_verdict", task=failed.name)
        return Wait("verdict", s.coordinator, on, failed.since_ms, say("next_asked"), None, ("stop",))
    return Wait("start", s.coordinator, say("wait_next_task"), s.since_ms, say("next_starts"), None, ("stop",))


def _failing_here(s: JobSnapshot, put_off: FindPutOff) -> Wait | None:
    """What is tried again and again. Somebody may have to see to it, while the rest of the job goes on by itself."""
    ready = (task for task in s.tasks.values() if task.state is TaskState.READY)
    waits = (explain_task(s, task, put_off) for task in ready)
    return next((wait for wait in waits if wait is not None and wait.kind == "put_off" and wait.next_ms), None)


def _stopping(s: JobSnapshot) -> Wait:
    if ending := _ending_here(s):
        return ending
    # What tells or asks the coordinator goes in one lane: the call that fails keeps back those behind it.
    failing = next((c for c in s.calls.values() if c.state is CallState.WAITING and c.last_error), None)
    if failing is not None:
        return _delivery(failing)
    return Wait("verdict", s.coordinator, say("wait_outcome"), s.since_ms, say("next_asked"))


def _ending_here(s: JobSnapshot) -> Wait | None:
    alive = [
        (say("wait_share", party=share.party.key, task=task.name), share.since_ms)
        for task in s.tasks.values()
        for share in task.shares
        if share.launched and s.is_local(share) and not TASK.is_terminal(share.state)
    ]
    if not alive:
        return None
    on, since = say("wait_to_end", shares=tuple(share for share, _ in alive)), min(since for _, since in alive)
    return Wait("stopping", say("by_this_node"), on, since, say("next_forced"))


def _first_waiting(s: JobSnapshot, operations: tuple[str, ...]) -> Call | None:
    return next((c for c in s.calls.values() if c.state is CallState.WAITING and c.operation in operations), None)


def _delivery(call: Call) -> Wait:
    if not call.attempts:
        return Wait("delivery", call.node_id, say("wait_answer", operation=call.operation), call.since_ms)
    on = say("wait_undelivered", operation=call.operation, tries=call.attempts, error=call.last_error)
    return Wait("delivery", call.node_id, on, call.since_ms, say("next_tried"), call.next_ms, ("stop",))
