"""Why it waits: every kind of wait, as the coordinator and as a participant see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from tests.support.cluster import document

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.effects import CallPeer, Decision, NoteCall
from embedded_scheduler.domain.evolution import evolve
from embedded_scheduler.domain.identifiers import task_id_for
from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.domain.lifecycle import ApprovalState, JobState, Outcome, TaskState
from embedded_scheduler.domain.planner import plan
from embedded_scheduler.domain.snapshot import ApprovalView, CallState, JobSnapshot, Share, TaskView
from embedded_scheduler.domain.waiting import PutOff, Wait, explain_job, explain_task
from embedded_scheduler.sentences import say

SPEC = parse_job("job-1", document(("a",), ("b", "a"), roles={"guest": ["alice"], "host": ["bob"]}))
GUEST, HOST = SPEC.parties
NEXT_MS = 99_000
FAILS = "is not delivered after 1 tries (connection refused); tried again by itself"

Step = Callable[[JobSnapshot], Sequence[Decision]]


def planned(s: JobSnapshot, now_ms: int) -> JobSnapshot:
    """What follows at once."""
    while step := plan(s):
        for decision in step:
            s = evolve(s, decision, now_ms)
    return s


def job(self_node: str, *steps: Step) -> JobSnapshot:
    """The job at a node after `steps`, the planner having its say after each. The clock shows 1000, 2000, … ms."""
    coordinates = self_node == "alice"
    tasks = {
        node.name: TaskView(
            node.name,
            "",
            TaskState.PENDING,
            False,
            0,
            tuple(Share(p, TaskState.PENDING) for p in SPEC.parties if coordinates or p.node_id == self_node),
        )
        for node in SPEC.flow.nodes
    }
    approvals = {
        n: ApprovalView(n, ApprovalState.PENDING, "", 0) for n in (SPEC.nodes if coordinates else (self_node,))
    }
    s = JobSnapshot(self_node, "alice", SPEC, JobState.PENDING, 0, tasks=tasks, approvals=approvals)
    s = planned(s, 0)
    for number, step in enumerate(steps, 1):
        for decision in step(s):
            s = evolve(s, decision, number * 1000)
        s = planned(s, number * 1000)
    return s


def approve(node: str) -> Step:
    return lambda s: reactions.decide(s, node, approve=True, reason="")


def reject(node: str) -> Step:
    return lambda s: reactions.decide(s, node, approve=False, reason="no")


def delivered(key: str) -> Step:
    return lambda s: [NoteCall(key, CallState.ACKNOWLEDGED, "", 0)]


def undelivered(key: str) -> Step:
    return lambda s: [NoteCall(key, CallState.WAITING, "connection refused", NEXT_MS)]


def runs(task: str, party: int = 0) -> Step:
    return lambda s: reactions.share_running(s, task, SPEC.parties[party])


def ends(task: str, party: int = 0, *, ok: bool = True) -> Step:
    return lambda s: reactions.share_ended(s, task, SPEC.parties[party], ok=ok, reason="exit code 3")


def stop(task: str = "") -> Step:
    return lambda s: reactions.ask_coordinator_to_stop(s, task, "stopped by li")


def partner(task: str, status: TaskState) -> Step:
    return lambda s: reactions.partner_status(s, task, "bob", "host", status)


def started(task: str) -> Step:
    return lambda s: reactions.start_task(s, task_id_for("job-1", task), task)


CREATED = (approve("alice"), delivered("create:bob"))
RUNNING = (*CREATED, approve("bob"), delivered("start:bob"))
JOINED = (approve("bob"), delivered("confirm"))


@dataclass(frozen=True)
class Case:
    name: str
    node: str
    steps: tuple[Step, ...]
    kind: str
    text: str
    since_ms: int
    next_ms: int | None = None
    actions: tuple[str, ...] = ()
    task: str = ""
    put_off: PutOff | None = None
    """What is known of every share that this node is to start."""


AWAY = PutOff("the engine is away: start it", "try 3", NEXT_MS)
CASES = [
    # -- at the coordinator
    Case("own decision", "alice", (), "decision", "waits for you: approve or reject", 0, None,
         ("approve", "reject")),
    Case("create under way", "alice", (approve("alice"),), "delivery", "waits for bob: its answer to job/create", 0),
    Case("create fails", "alice", (approve("alice"), undelivered("create:bob"), undelivered("create:bob")), "delivery",
         "waits for bob: job/create is not delivered after 2 tries (connection refused); tried again by itself", 0,
         NEXT_MS, ("stop",)),
    Case("partner decides", "alice", CREATED, "partner_decision", "waits for bob: their approval", 0, None, ("stop",)),
    Case("start under way", "alice", RUNNING[:3], "delivery", "waits for bob: its answer to job/start", 3000),
    Case("start fails", "alice", (*RUNNING[:3], undelivered("start:bob")), "delivery",
         f"waits for bob: job/start {FAILS}", 3000,
         NEXT_MS, ("stop",)),
    Case("no slot yet", "alice", (*RUNNING, delivered("task:a:bob")), "slot",
         "waits for this node: to start a; starts by itself", 4000, None, ("logs", "stop")),
    Case("put off", "alice", (*RUNNING, delivered("task:a:bob")), "put_off",
         "waits for this node: to start a: the engine is away: start it; try 3", 4000, NEXT_MS, ("logs", "stop"), "",
         AWAY),
    Case("what runs is not put off", "alice", (*RUNNING, runs("a"), delivered("task:a:bob")), "running",
         "waits for host.0 (bob): to report on a; asked again by itself", 4000, None, (), "", AWAY),
    Case("the partner is not told yet", "alice", (*RUNNING, runs("a")), "delivery",
         "waits for bob: its answer to task/start", 4000),
    Case("the partner cannot be told", "alice", (*RUNNING, runs("a"), undelivered("task:a:bob")), "delivery",
         f"waits for bob: task/start {FAILS}", 4000,
         NEXT_MS, ("stop",), "a"),
    Case("it runs here", "alice", (*RUNNING, runs("a"), delivered("task:a:bob"), partner("a", TaskState.SUCCESS)),
         "running", "waits for guest.0 (alice): a runs", 5000, None, ("logs", "stop"), "a"),
    Case("it runs there", "alice", (*RUNNING, ends("a"), delivered("task:a:bob"), partner("a", TaskState.RUNNING)),
         "running", "waits for host.0 (bob): a runs", 7000, None, ("logs", "stop")),
    Case("the partner has not said", "alice", (*RUNNING, ends("a"), delivered("task:a:bob")), "running",
         "waits for host.0 (bob): to report on a; asked again by itself", 4000),
    Case("a task needs another", "alice", (*RUNNING, runs("a")), "upstream",
         "waits for task a: its output; starts by itself", 0, None, (), "b"),
    Case("a task before the job runs", "alice", CREATED, "partner_decision", "waits for bob: their approval", 0, None,
         ("stop",), "b"),
    Case("a stop ends what runs", "alice", (*RUNNING, runs("a"), stop()), "stopping",
         "waits for this node: guest.0 of a to end; forced after the grace time", 5000),
    Case("a stop, seen from a task that will not start", "alice", (*RUNNING, runs("a"), stop()), "stopping",
         "waits for this node: guest.0 of a to end; forced after the grace time", 5000, None, (), "b"),
    Case("a failure there ends what runs here", "alice",
         (*RUNNING, runs("a"), delivered("task:a:bob"), partner("a", TaskState.FAILED)), "stopping",
         "waits for this node: guest.0 of a to end; forced after the grace time", 5000),
    Case("a cancelled task still runs", "alice", (*RUNNING, runs("a"), delivered("task:a:bob"), stop("a")), "stopping",
         "waits for this node: guest.0 of a to end; forced after the grace time", 5000),
    # -- at a participant
    Case("own decision there", "bob", (), "decision", "waits for you: approve or reject", 0, None,
         ("approve", "reject")),
    Case("the approval is not told yet", "bob", (approve("bob"),), "delivery",
         "waits for alice: its answer to job/audit_confirm", 1000),
    Case("the approval cannot be told", "bob", (approve("bob"), undelivered("confirm")), "delivery",
         f"waits for alice: job/audit_confirm {FAILS}",
         1000, NEXT_MS, ("stop",)),
    Case("the rejection cannot be told", "bob", (reject("bob"), undelivered("confirm")), "delivery",
         f"waits for alice: job/audit_confirm {FAILS}",
         1000, NEXT_MS, ("stop",)),
    Case("the others decide", "bob", JOINED, "start",
         "waits for alice: the other parties' approval and the start; starts by itself", 1000, None, ("stop",)),
    Case("no task was started", "bob", (*JOINED, reactions.start), "start",
         "waits for alice: the next task; starts by itself", 3000, None, ("stop",)),
    Case("a task was not started", "bob", (*JOINED, reactions.start), "start",
         "waits for alice: to start task b; nothing to do here", 0, None, ("stop",), "b"),
    Case("no slot there", "bob", (*JOINED, started("a")), "slot", "waits for this node: to start a; starts by itself",
         3000, None, ("logs", "stop"), "a"),
    Case("put off there", "bob", (*JOINED, started("a")), "put_off",
         "waits for this node: to start a: the engine is away: start it; try 3", 3000, NEXT_MS, ("logs", "stop"), "a",
         AWAY),
    Case("own part runs", "bob", (*JOINED, started("a"), runs("a", 1)), "running", "waits for host.0 (bob): a runs",
         4000, None, ("logs", "stop")),
    Case("the end is not told yet", "bob", (*JOINED, started("a"), ends("a", 1)), "delivery",
         "waits for alice: its answer to task/callback", 4000),
    Case("the end cannot be told", "bob", (*JOINED, started("a"), ends("a", 1), undelivered("callback:a:host")),
         "delivery",
         f"waits for alice: task/callback {FAILS}",
         4000, NEXT_MS, ("stop",)),
    Case("own part failed", "bob", (*JOINED, started("a"), ends("a", 1, ok=False), delivered("callback:a:host")),
         "verdict",
         "waits for alice: to end the job: task a failed here; asked again by itself", 4000, None, ("stop",)),
    Case("a stop ends own part", "bob", (*JOINED, started("a"), runs("a", 1), stop()), "stopping",
         "waits for this node: host.0 of a to end; forced after the grace time", 4000),
    Case("the wish to stop cannot be told", "bob", (*JOINED, reactions.start, stop(), undelivered("stop_all:")),
         "delivery",
         f"waits for alice: job/stop_all {FAILS}",
         4000, NEXT_MS, ("stop",)),
    Case("the outcome is not known yet", "bob", (*JOINED, reactions.start, stop(), delivered("stop_all:")), "verdict",
         "waits for alice: the outcome of the job; asked again by itself", 3000),
    Case("the outcome cannot be had", "bob",
         (*JOINED, reactions.start, stop(), delivered("stop_all:"), undelivered("verdict")), "delivery",
         f"waits for alice: job/status_all {FAILS}",
         4000, NEXT_MS, ("stop",)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_why_it_waits(case: Case) -> None:
    s = job(case.node, *case.steps)

    def find(task: str, party: str) -> PutOff | None:
        assert party == ("guest.0" if case.node == "alice" else "host.0")
        return case.put_off if task == "a" else None

    wait = explain_task(s, s.tasks[case.task], find) if case.task else explain_job(s, find)
    assert wait is not None
    assert (wait.kind, wait.text) == (case.kind, case.text)
    assert (wait.since_ms, wait.next_ms, wait.actions) == (case.since_ms, case.next_ms, case.actions)


def test_the_table_has_every_kind() -> None:
    documented = (Wait.__doc__ or "").split("stable key: ")[1].split(".")[0]
    assert {case.kind for case in CASES} == {word.strip() for word in documented.split(",")}


def test_an_initiator_that_let_another_node_drive_waits_for_it() -> None:
    spec = parse_job("job-2", document(("a",), roles={"guest": ["alice"]}, coordinator="carol"))
    tasks = {"a": TaskView("a", "", TaskState.PENDING, False, 0, (Share(spec.parties[0], TaskState.PENDING),))}
    approvals = {"alice": ApprovalView("alice", ApprovalState.PENDING, "", 0)}
    s = JobSnapshot("alice", "carol", spec, JobState.PENDING, 0, tasks=tasks, approvals=approvals)
    s = evolve(s, CallPeer("carol", "job/create_all", "create_all"), 5)
    for decision in reactions.decide(s, "alice", approve=True, reason="own job"):
        s = evolve(s, decision, 5)
    assert explain_job(s) == Wait("delivery", "carol", say("wait_answer", operation="job/create_all"), 5)
    s = evolve(s, NoteCall("create_all", CallState.ACKNOWLEDGED, "", 0), 6)
    wait = explain_job(s)
    assert wait is not None
    assert (wait.kind, wait.blocked_by) == ("start", "carol")


def test_what_is_over_waits_for_nothing() -> None:
    done = job("alice", *RUNNING, ends("a"), delivered("task:a:bob"), partner("a", TaskState.SUCCESS), ends("b"),
               delivered("task:b:bob"), partner("b", TaskState.SUCCESS))  # fmt: skip
    assert (done.state, done.outcome) == (JobState.FINISHED, Outcome.SUCCEEDED)
    assert explain_job(done) is None
    assert all(explain_task(done, task) is None for task in done.tasks.values())
    cancelled = job("alice", *RUNNING, runs("a"), stop("a"))
    assert explain_task(cancelled, cancelled.tasks["b"]) is None


def test_a_long_list_of_names_is_cut() -> None:
    names = [f"t{number}" for number in range(40)]
    spec = parse_job("job-3", document(*((n,) for n in names), ("z", *names), roles={"guest": ["alice"]}))
    tasks = {
        n.name: TaskView(n.name, "", TaskState.PENDING, False, 0, (Share(spec.parties[0], TaskState.PENDING),))
        for n in spec.flow.nodes
    }
    approvals = {"alice": ApprovalView("alice", ApprovalState.APPROVED, "", 0)}
    s = planned(JobSnapshot("alice", "alice", spec, JobState.PENDING, 0, tasks=tasks, approvals=approvals), 0)
    wait = explain_task(s, s.tasks["z"])
    assert wait is not None
    assert str(wait.blocked_by) == "task t0, t1, t2 and 37 more"
