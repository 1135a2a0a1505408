"""Whole runs of random jobs on a simulated network: every node uses the real rules, messages get lost and doubled."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.effects import CallPeer, Decision, DropCall, LaunchShare, NoteCall, TerminateShare
from embedded_scheduler.domain.evolution import evolve
from embedded_scheduler.domain.identifiers import task_id_for
from embedded_scheduler.domain.job import JobSpec, parse_job
from embedded_scheduler.domain.lifecycle import JOB, TASK, ApprovalState, JobState, Outcome, TaskState
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.planner import combined_state, plan
from embedded_scheduler.domain.snapshot import ApprovalView, CallState, JobSnapshot, PeerTraits, Share, TaskView
from embedded_scheduler.domain.waiting import explain_job, explain_task
from embedded_scheduler.errors import Conflict, NotFound

JOB_ID = "job-0"


@dataclass
class Plan:
    """One random case."""

    nodes: int
    edges: list[list[int]]
    separate_coordinator: bool
    approvals: dict[str, bool]
    failing: set[tuple[str, str]]
    stop_at: int | None
    stop_task: int | None
    approval_channel: bool
    callback: bool
    loss: float
    seed: int


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    size = draw(st.integers(1, 6))
    edges = [draw(st.lists(st.integers(0, i - 1), max_size=2, unique=True)) if i else [] for i in range(size)]
    nodes = draw(st.integers(2, 4))
    names = [f"n{i}" for i in range(nodes)]
    calm = draw(st.booleans())
    return Plan(
        nodes=nodes,
        edges=edges,
        separate_coordinator=draw(st.booleans()),
        approvals={name: calm or draw(st.integers(0, 9)) > 0 for name in names},
        failing=set() if calm else {(f"t{draw(st.integers(0, size - 1))}", draw(st.sampled_from(names)))},
        stop_at=None if calm else draw(st.none() | st.integers(0, 60)),
        stop_task=draw(st.none() | st.integers(0, size - 1)),
        approval_channel=draw(st.booleans()),
        callback=draw(st.booleans()),
        loss=draw(st.sampled_from([0.0, 0.1, 0.4])),
        seed=draw(st.integers(0, 2**32)),
    )


@dataclass
class Message:
    source: str
    target: str
    call: CallPeer


@dataclass
class Node:
    """One node's job and the processes that run on it."""

    node_id: str
    snapshot: JobSnapshot | None = None
    bodies: dict[str, CallPeer] = field(default_factory=dict)
    running: dict[tuple[str, Party], str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    history: list[JobState] = field(default_factory=list)
    tombstones: set[str] = field(default_factory=set)


class World:
    """A network whose messages arrive in any order, maybe twice, maybe never, maybe without the answer coming back."""

    def __init__(self, case: Plan) -> None:
        self.case = case
        self.rng = random.Random(case.seed)
        self.now = 0
        names = [f"n{i}" for i in range(case.nodes)]
        self.coordinator = "n0" if not case.separate_coordinator else "c"
        self.spec = _spec(case, names)
        self.nodes = {name: Node(name) for name in {*names, self.coordinator}}
        self.late: list[Message] = []
        self._insert(self.nodes[self.coordinator])

    def _insert(self, node: Node) -> None:
        coordinates = node.node_id == self.coordinator
        members = self.spec.nodes if coordinates else (node.node_id,)
        tasks = {}
        for name in self.spec.flow.order:
            shares = tuple(
                Share(party, TaskState.PENDING)
                for party in self.spec.parties_of(name)
                if coordinates or party.node_id == node.node_id
            )
            tasks[name] = TaskView(name, "", TaskState.PENDING, False, 0, shares)
        traits = PeerTraits(approval_channel=self.case.approval_channel, callback=self.case.callback)
        node.snapshot = JobSnapshot(
            self_node=node.node_id,
            coordinator=self.coordinator,
            spec=self.spec,
            state=JobState.PENDING,
            since_ms=0,
            tasks=tasks,
            approvals={name: ApprovalView(name, ApprovalState.PENDING, "", 0) for name in members},
            peers={name: traits for name in self.nodes if name != node.node_id},
            may_have_failed=False,
        )
        self.apply(node, [])

    def apply(self, node: Node, decisions: Sequence[Decision]) -> None:
        assert node.snapshot is not None
        queue = list(decisions)
        for _ in range(10_000):
            if not queue:
                queue = plan(node.snapshot)
                if not queue:
                    # Looking at the tasks that changed is as good as looking at all of them.
                    assert plan(replace(node.snapshot, touched=None, may_have_failed=True)) == []
                    node.snapshot = replace(node.snapshot, touched={})
                    _check_explained(node.snapshot)
                    return
            decision = queue.pop(0)
            before = node.snapshot
            node.snapshot = evolve(before, decision, self.now)
            self._check_step(node, before, decision)
        raise AssertionError("the planner does not come to rest")

    def _check_step(self, node: Node, before: JobSnapshot, decision: Decision) -> None:
        after = node.snapshot
        assert after is not None
        node.history.append(after.state)
        if JOB.is_terminal(before.state):
            assert after.state is before.state
            assert after.outcome is before.outcome
        for name, task in before.tasks.items():
            if TASK.is_terminal(task.state):
                assert after.tasks[name].state is task.state
            for old, new in zip(task.shares, after.tasks[name].shares, strict=True):
                if TASK.is_terminal(old.state):
                    assert new.state is old.state
        match decision:
            case CallPeer():
                assert decision.key not in before.calls
                node.bodies[decision.key] = decision
            case DropCall():
                node.bodies.pop(decision.key, None)
            case LaunchShare(task, party):
                assert (task, party) not in node.running
                self._check_inputs(task)
                node.running[task, party] = "launch"
                node.started.append(task)
            case TerminateShare(task, party):
                node.running[task, party] = "terminate"
            case _:
                pass

    def _check_inputs(self, task: str) -> None:
        """No task starts before what it reads: at the coordinator, every producer has succeeded."""
        driver = self.nodes[self.coordinator].snapshot
        assert driver is not None
        for up in self.spec.flow.node(task).upstream:
            assert driver.tasks[up].state is TaskState.SUCCESS

    # -- what can happen next ---------------------------------------------------------------------------------------

    def step(self) -> bool:
        """One random thing; False when nothing can happen any more."""
        self.now += 1
        options: list[Any] = []
        for node in self.nodes.values():
            snapshot = node.snapshot
            if snapshot is None:
                continue
            seen: set[str] = set()
            for call in snapshot.calls.values():
                # One lane per partner: calls of one job arrive in order.
                if call.state is CallState.WAITING and call.node_id not in seen:
                    seen.add(call.node_id)
                    options.append(("deliver", node, call.key))
            options += [("process", node, key) for key in node.running]
            own = snapshot.approvals.get(node.node_id)
            if own and own.state is ApprovalState.PENDING and not JOB.is_terminal(snapshot.state):
                options.append(("decide", node, None))
            if snapshot.coordinates and not JOB.is_terminal(snapshot.state):
                options += [
                    ("poll", node, (t.name, s)) for t in snapshot.tasks.values() for s in self._askable(node, t)
                ]
        options += [("late", None, index) for index in range(len(self.late))]
        if not options:
            return False
        kind, node, detail = self.rng.choice(options)
        getattr(self, f"_{kind}")(node, detail)
        return True

    def _askable(self, node: Node, task: TaskView) -> list[Share]:
        return [
            s
            for s in task.shares
            if s.party.node_id != node.node_id
            and s.state in (TaskState.READY, TaskState.RUNNING)
            and (call := node.snapshot.calls.get(f"task:{task.name}:{s.party.node_id}"))  # type: ignore[union-attr]
            and call.state is CallState.ACKNOWLEDGED
        ]

    def _deliver(self, node: Node, key: str) -> None:
        assert node.snapshot is not None
        call = node.snapshot.calls[key]
        message = Message(node.node_id, call.node_id, node.bodies[key])
        tried = replace(call, attempts=call.attempts + 1)
        if self.rng.random() < self.case.loss:  # the request is lost, or arrives much later
            if self.rng.random() < 0.5:
                self.late.append(message)
            self._set_call(node, tried)
            return
        answer = self._receive(message)
        if self.rng.random() < self.case.loss:  # the answer is lost
            self._set_call(node, tried)
            return
        if key == "verdict":
            self._verdict(node, tried, answer)
            return
        state = CallState.REFUSED if isinstance(answer, Exception) else CallState.ACKNOWLEDGED
        self._set_call(node, replace(tried, state=state, last_error=str(answer) if state is CallState.REFUSED else ""))
        if call.operation == "job/create" and answer == "READY":
            approval = node.snapshot.approvals[call.node_id]
            if approval.state is ApprovalState.PENDING and not JOB.is_terminal(node.snapshot.state):
                self.apply(node, reactions.decide(node.snapshot, call.node_id, approve=True, reason=""))

    def _set_call(self, node: Node, call: Any) -> None:
        assert node.snapshot is not None
        self.apply(node, [NoteCall(call.key, call.state, call.last_error, self.now)])

    def _verdict(self, node: Node, tried: Any, answer: Any) -> None:
        assert node.snapshot is not None
        if isinstance(answer, Exception):
            self._set_call(node, replace(tried, state=CallState.REFUSED))
            self.apply(node, reactions.verdict_unknown(node.snapshot, str(answer)))
            return
        state, outcome = answer
        if not JOB.is_terminal(state):
            self._set_call(node, tried)
            return
        self._set_call(node, replace(tried, state=CallState.ACKNOWLEDGED))
        self.apply(node, reactions.verdict(node.snapshot, state, [], outcome, ""))

    def _late(self, _: Node | None, index: int) -> None:
        self._receive(self.late.pop(index))

    def _receive(self, message: Message) -> Any:
        """What the target makes of a message; its answer, or the error it answers with. Sometimes it arrives twice."""
        answer = self._handle(message)
        if self.rng.random() < self.case.loss:
            self._handle(message)
        return answer

    def _handle(self, message: Message) -> Any:
        node = self.nodes[message.target]
        body = message.call.body
        try:
            match message.call.operation:
                case "job/create":
                    return self._on_create(node)
                case "job/status_all":
                    assert node.snapshot is not None
                    return node.snapshot.state, node.snapshot.outcome
                case "job/stop" if node.snapshot is None:
                    node.tombstones.add(message.source)
                    raise NotFound("no such job")
            if node.snapshot is None:
                raise NotFound("no such job")
            self.apply(node, self._reaction(node.snapshot, message, body))
        except (Conflict, NotFound) as error:
            return error
        return None

    def _on_create(self, node: Node) -> str:
        if node.snapshot is None:
            if self.coordinator in node.tombstones:
                raise Conflict("stopped before it was created")
            self._insert(node)
            assert node.snapshot is not None
            if not self.case.approval_channel:
                self.apply(node, reactions.decide(node.snapshot, node.node_id, approve=True, reason="policy"))
        assert node.snapshot is not None
        own = node.snapshot.approvals[node.node_id]
        if own.state is ApprovalState.REJECTED:
            raise Conflict("refused")
        return "READY" if own.state is ApprovalState.APPROVED else "PENDING"

    def _reaction(self, s: JobSnapshot, message: Message, body: dict[str, Any]) -> list[Decision]:
        match message.call.operation:
            case "job/start":
                return reactions.start(s)
            case "task/start":
                return reactions.start_task(s, body["task_id"], body["task_name"])
            case "job/stop":
                return reactions.stop(s, body.get("task_name", ""), "the coordinator says so")
            case "job/audit_confirm":
                return reactions.decide(s, message.source, approve=body["status"] == "READY", reason="")
            case "task/callback":
                name = next(t.name for t in s.tasks.values() if t.task_id == body["task_id"])
                status = TaskState(body["status"])
                return reactions.partner_status(s, name, message.source, body["role"], status)
        raise AssertionError(message.call.operation)

    def _process(self, node: Node, key: tuple[str, Party]) -> None:
        assert node.snapshot is not None
        task, party = key
        stage = node.running[key]
        if stage == "launch" and self.rng.random() < 0.5:
            node.running[key] = "runs"
            self.apply(node, reactions.share_running(node.snapshot, task, party))
            return
        del node.running[key]
        ok = stage != "terminate" and (task, node.node_id) not in self.case.failing
        self.apply(node, reactions.share_ended(node.snapshot, task, party, ok=ok, reason="exit code 1"))

    def _decide(self, node: Node, _: None) -> None:
        assert node.snapshot is not None
        approve = self.case.approvals.get(node.node_id, True)
        self.apply(node, reactions.decide(node.snapshot, node.node_id, approve=approve, reason="operator"))

    def _poll(self, node: Node, asked: tuple[str, Share]) -> None:
        assert node.snapshot is not None
        if self.rng.random() < self.case.loss:
            return
        name, share = asked
        there = self.nodes[share.party.node_id].snapshot
        if there is None or not there.tasks[name].task_id:
            return
        states = [s.state for s in there.tasks[name].shares if s.party.role == share.party.role]
        status = combined_state(states)
        if status in (TaskState.PENDING, TaskState.READY) and JOB.is_terminal(there.state):
            status = TaskState.FAILED
        self.apply(node, reactions.partner_status(node.snapshot, name, share.party.node_id, share.party.role, status))

    def stop(self) -> None:
        node = self.nodes[self.coordinator]
        assert node.snapshot is not None
        name = "" if self.case.stop_task is None else f"t{self.case.stop_task}"
        self.apply(node, reactions.stop(node.snapshot, name, "the operator says so"))


def _check_explained(s: JobSnapshot) -> None:
    """Whatever is not over says what it waits for, and by whom it is held up."""
    wait = explain_job(s)
    assert (wait is None) == JOB.is_terminal(s.state)
    waits = [wait, *(explain_task(s, task) for task in s.tasks.values())]
    for each in waits:
        assert each is None or (each.blocked_by and each.on and each.text)
    for task in s.tasks.values():
        over = TASK.is_terminal(task.state) or task.cancelled or JOB.is_terminal(s.state)
        assert (explain_task(s, task) is None) == over


def _spec(case: Plan, names: list[str]) -> JobSpec:
    components = [
        {
            "name": f"t{i}",
            "componentName": "probe",
            "input": [{"key": f"t{up}.out", "type": "dataset"} for up in ups],
            "output": [{"key": "out", "type": "dataset"}],
        }
        for i, ups in enumerate(case.edges)
    ]
    role = {"guest": [names[0]], "host": names[1:]}
    config = {"initiator": {"role": "guest", "node_id": names[0]}, "role": role}
    return parse_job(JOB_ID, {"dag": {"components": components}, "config": config})


@settings(max_examples=300, deadline=None)
@given(plans())
def test_every_run_ends_and_all_nodes_agree(case: Plan) -> None:
    world = World(case)
    for count in range(20_000):
        if count == case.stop_at:
            world.stop()
        if not world.step():
            break
    driver = world.nodes[world.coordinator].snapshot
    assert driver is not None
    assert JOB.is_terminal(driver.state), f"rests in {driver.state}: {explain_job(driver)}"
    for node in world.nodes.values():
        assert not node.running
        if node.snapshot is None:
            continue
        assert JOB.is_terminal(node.snapshot.state), f"{node.node_id} rests in {node.snapshot.state}"
        assert (node.snapshot.state, node.snapshot.outcome) == (driver.state, driver.outcome)
        assert len(node.started) == len(set(node.started))
        assert all(a.state is not ApprovalState.PENDING for a in node.snapshot.approvals.values())


@settings(max_examples=100, deadline=None)
@given(plans())
def test_an_undisturbed_job_succeeds_everywhere(case: Plan) -> None:
    case.failing.clear()
    case.approvals.clear()
    case.stop_at = None
    world = World(case)
    while world.step():
        for node in world.nodes.values():
            if node.snapshot is not None and not JOB.is_terminal(node.snapshot.state):
                wait = explain_job(node.snapshot)
                assert wait is not None
                assert wait.text
                for task in node.snapshot.tasks.values():
                    if not TASK.is_terminal(task.state):
                        assert explain_task(node.snapshot, task) is not None
    for node in world.nodes.values():
        assert node.snapshot is not None or node.node_id not in world.spec.nodes
        if node.snapshot is not None:
            assert node.snapshot.outcome is Outcome.SUCCEEDED
            own = [task for task in node.snapshot.tasks.values() if task.shares]
            assert all(task.state is TaskState.SUCCESS for task in own)
            assert all(task.task_id == task_id_for(JOB_ID, task.name) for task in own)
