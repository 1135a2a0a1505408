"""Why something is not over yet: blocked by whom, on what, since when, what comes next, what the operator can do."""

from __future__ import annotations

from dataclasses import dataclass

from embedded_scheduler.domain.lifecycle import JOB, TASK, ApprovalState, JobState, TaskState
from embedded_scheduler.domain.planner import failed_task
from embedded_scheduler.domain.snapshot import Call, CallState, JobSnapshot, Share, TaskView

_NAMED = 3
"""Names in one line; of a fan of a thousand tasks nobody reads more."""


@dataclass(frozen=True, slots=True)
class Wait:
    """`text` is the whole line in English; the other members carry its parts for other languages and for programs.

    `kind` is a stable key: decision, partner_decision, delivery, running, upstream, start, verdict, stopping, slot.
    `next_ms` is when something happens by itself (epoch ms), if that is known. `actions` are names of actions.
    """

    kind: str
    blocked_by: str
    on: str
    since_ms: int
    next: str = ""
    next_ms: int | None = None
    actions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        line = f"waits for {self.blocked_by}: {self.on}"
        return f"{line}; {self.next}" if self.next else line


def explain_job(s: JobSnapshot) -> Wait | None:
    """Why the job is not over; None when it is."""
    if JOB.is_terminal(s.state):
        return None
    if _is_ending(s):
        return _stopping(s)
    if s.state is JobState.PENDING:
        return _pending(s)
    if s.state is JobState.READY:
        return _ready(s)
    return _running(s)


def explain_task(s: JobSnapshot, task: TaskView) -> Wait | None:
    """Why the task is not over; None when it is, or when it will not run any more."""
    if TASK.is_terminal(task.state) or task.cancelled or JOB.is_terminal(s.state):
        return None
    if _is_ending(s) or s.state is not JobState.RUNNING:
        return explain_job(s)
    if task.state is TaskState.PENDING:
        missing = [up for up in s.spec.flow.node(task.name).upstream if s.tasks[up].state is not TaskState.SUCCESS]
        if missing and s.coordinates:
            return Wait("upstream", "task " + _listed(missing), "its output", task.since_ms, "starts by itself")
        return _coordinator_starts(s, task)
    lagging = [share for share in task.shares if not TASK.is_terminal(share.state)]
    blocked = next((share for share in lagging if share.state is not TaskState.RUNNING), None)
    return _share_wait(s, task, blocked or lagging[0]) if lagging else None


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _is_ending(s: JobSnapshot) -> bool:
    """Nothing will be started any more."""
    return bool(s.stop_reason) or (s.coordinates and failed_task(s) is not None)


def _coordinator_starts(s: JobSnapshot, task: TaskView) -> Wait:
    return Wait(
        "start", s.coordinator, f"to start task {task.name}", task.since_ms, "nothing to do here", None, ("stop",)
    )


def _share_wait(s: JobSnapshot, task: TaskView, share: Share) -> Wait:
    node = share.party.node_id
    call = s.calls.get(f"task:{task.name}:{node}")
    if call is not None and call.state is CallState.WAITING:
        return _delivery(call)
    if share.state is TaskState.RUNNING:
        return Wait(
            "running", f"{share.party.key} ({node})", f"{task.name} runs", share.since_ms, "", None, ("logs", "stop")
        )
    if s.is_local(share):
        return Wait(
            "slot", "this node", f"to start {task.name}", share.since_ms, "starts by itself", None, ("logs", "stop")
        )
    return Wait(
        "running", f"{share.party.key} ({node})", f"to report on {task.name}", share.since_ms, "asked again by itself"
    )


def _pending(s: JobSnapshot) -> Wait:
    own = s.approvals.get(s.self_node)
    if own is not None and own.state is ApprovalState.PENDING:
        return Wait("decision", "your decision", "approve or reject", own.since_ms, "", None, ("approve", "reject"))
    undelivered = _first_waiting(s, ("job/create", "job/create_all", "job/audit_confirm"))
    if undelivered is not None:
        return _delivery(undelivered)
    others = [a for a in s.approvals.values() if a.state is ApprovalState.PENDING]
    if others:
        names = ", ".join(a.node_id for a in others)
        return Wait("partner_decision", names, "their approval", min(a.since_ms for a in others), "", None, ("stop",))
    return Wait("start", s.coordinator, "the decisions of all parties", s.since_ms, "", None, ("stop",))


def _ready(s: JobSnapshot) -> Wait:
    undelivered = _first_waiting(s, ("job/start", "job/audit_confirm"))
    if undelivered is not None:
        return _delivery(undelivered)
    on = "the other parties' approval and the start" if not s.coordinates else "the start"
    return Wait("start", s.coordinator, on, s.since_ms, "starts by itself", None, ("stop",))


def _running(s: JobSnapshot) -> Wait:
    for task in s.tasks.values():
        if task.state in (TaskState.READY, TaskState.RUNNING) and (wait := explain_task(s, task)) is not None:
            return wait
    if ending := _ending_here(s):
        return ending
    undelivered = _first_waiting(s, ("task/callback", "job/stop_all"))
    if undelivered is not None:
        return _delivery(undelivered)
    failed = next((t for t in s.tasks.values() if t.state is TaskState.FAILED and not t.cancelled), None)
    if failed is not None:
        on = f"to end the job: task {failed.name} failed here"
        return Wait("verdict", s.coordinator, on, failed.since_ms, "asked again by itself", None, ("stop",))
    return Wait("start", s.coordinator, "the next task", s.since_ms, "starts by itself", None, ("stop",))


def _stopping(s: JobSnapshot) -> Wait:
    if ending := _ending_here(s):
        return ending
    # What tells or asks the coordinator goes in one lane: the call that fails keeps back those behind it.
    failing = next((c for c in s.calls.values() if c.state is CallState.WAITING and c.last_error), None)
    if failing is not None:
        return _delivery(failing)
    return Wait("verdict", s.coordinator, "the outcome of the job", s.since_ms, "asked again by itself")


def _ending_here(s: JobSnapshot) -> Wait | None:
    alive = [
        (f"{share.party.key} of {task.name}", share.since_ms)
        for task in s.tasks.values()
        for share in task.shares
        if share.launched and s.is_local(share) and not TASK.is_terminal(share.state)
    ]
    if not alive:
        return None
    names, since = _listed([name for name, _ in alive]), min(since for _, since in alive)
    return Wait("stopping", "this node", f"{names} to end", since, "forced after the grace time")


def _first_waiting(s: JobSnapshot, operations: tuple[str, ...]) -> Call | None:
    return next((c for c in s.calls.values() if c.state is CallState.WAITING and c.operation in operations), None)


def _delivery(call: Call) -> Wait:
    if not call.attempts:
        return Wait("delivery", call.node_id, f"its answer to {call.operation}", call.since_ms)
    on = f"{call.operation} is not delivered after {call.attempts} tries ({call.last_error})"
    return Wait("delivery", call.node_id, on, call.since_ms, "tried again by itself", call.next_ms, ("stop",))
