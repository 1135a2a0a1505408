"""Jobs over several engines: the verbs, the planner, delivery, watching and recovery together."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.cluster import Cluster, document

from embedded_scheduler.config import Approval, Limits, Timing
from embedded_scheduler.domain.lifecycle import ApprovalState, JobState, Outcome, TaskState
from embedded_scheduler.domain.snapshot import PeerTraits
from embedded_scheduler.domain.waiting import explain_job
from embedded_scheduler.engine import jobs
from embedded_scheduler.engine.ports import Delivery, Outgoing, Reply
from embedded_scheduler.errors import Conflict, Forbidden, InvalidRequest, NotFound, Refused
from embedded_scheduler.spi.runner import Exit
from embedded_scheduler.store import ledger

TWO = {"guest": ["alice"], "host": ["bob"]}
THREE = {"guest": ["alice"], "host": ["bob", "carol"]}


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Cluster]:
    found = Cluster(tmp_path)
    yield found
    await found.stop_all()


async def submit(net: Cluster, job: dict[str, Any], at: str = "alice") -> str:
    return (await jobs.submit(net.engines[at], job, actor="platform", trace_id="")).job_id


async def succeeded(net: Cluster, job_id: str, *nodes: str) -> None:
    for node in nodes:
        job = await net.over(node, job_id)
        assert (job.state, job.outcome) == (JobState.FINISHED, Outcome.SUCCEEDED), f"{node}: {job.reason}"


async def test_a_chain_over_two_nodes_succeeds_and_both_agree(net: Cluster) -> None:
    for node in ("alice", "bob"):
        await net.start(node)
    job_id = await submit(net, document(("a",), ("b", "a"), ("c", "b"), roles=TWO))
    await succeeded(net, job_id, "alice", "bob")
    assert len(net.runners["alice"].launches) == len(net.runners["bob"].launches) == 3
    for engine in net.engines.values():
        report = await engine.db.read(ledger.verify)
        assert report.ok, report.fault


async def test_a_third_node_coordinates_and_has_no_part_in_the_computation(net: Cluster) -> None:
    for node in ("alice", "bob", "carol"):
        await net.start(node)
    roles = {**TWO, "arbiter": ["carol"]}
    job = document(("a",), ("b", "a"), roles=roles, coordinator="carol")
    job["config"]["task_params"] = {"guest": {"0": {"a": {}, "b": {}}}, "host": {"0": {"a": {}, "b": {}}}}
    job_id = await submit(net, job)
    await succeeded(net, job_id, "alice", "bob", "carol")
    assert (await net.view("alice", job_id)).coordinator == "carol"
    assert net.runners["carol"].launches == []


async def test_one_node_in_two_roles_runs_both(net: Cluster) -> None:
    await net.start("alice")
    await net.start("bob")
    job_id = await submit(net, document(("a",), roles={"guest": ["alice"], "host": ["bob", "alice"]}))
    await succeeded(net, job_id, "alice", "bob")
    assert len(net.runners["alice"].launches) == 2
    starts = [m for source, m in net.sent if m.operation == "job/start"]
    assert [m.node_id for m in starts] == ["bob"]


async def test_callback_mode(net: Cluster) -> None:
    await net.start("alice", timing=Timing(poll_first=60, poll_longest=60))
    await net.start("bob")
    job_id = await submit(net, document(("a",), ("b", "a"), roles=TWO, sync_type="callback"))
    await succeeded(net, job_id, "alice", "bob")
    assert not [m for source, m in net.sent if m.operation == "task/poll"]


async def test_a_signed_callback_needs_no_poll_in_poll_mode_and_an_unsigned_one_does(net: Cluster) -> None:
    alice = await net.start("alice", timing=Timing(poll_first=60, poll_longest=60))
    await net.start("bob")
    net.runners["alice"].result = net.runners["bob"].result = lambda _: None
    job_id = await submit(net, document(("a",), roles=TWO))
    running = await net.until("alice", job_id, lambda s: s.tasks["a"].state is TaskState.RUNNING)
    task_id = running.tasks["a"].task_id

    def polls() -> int:
        return sum(m.operation == "task/poll" for _, m in net.sent)

    async def share_of_bob() -> TaskState:
        shares = (await net.view("alice", job_id)).tasks["a"].shares
        return next(share.state for share in shares if share.party.node_id == "bob")

    await jobs.callback(alice, task_id, "SUCCESS", "guest", source="bob", proven=True)
    assert await share_of_bob() is not TaskState.SUCCESS, "the guest is alice"
    before = polls()
    await jobs.callback(alice, task_id, "SUCCESS", "host", source="bob")
    assert await share_of_bob() is not TaskState.SUCCESS
    await net.until("alice", job_id, lambda _: polls() > before)
    assert await share_of_bob() is not TaskState.SUCCESS, "bob itself says that it goes on"
    await jobs.callback(alice, task_id, "SUCCESS", "host", source="bob", proven=True)
    assert await share_of_bob() is TaskState.SUCCESS
    await jobs.callback(alice, task_id, "FAILED", "host", source="bob", proven=True)
    assert await share_of_bob() is TaskState.SUCCESS, "never back"
    shares = (await net.view("alice", job_id)).tasks["a"].shares
    assert TaskState.SUCCESS not in [share.state for share in shares if share.party.node_id == "alice"]


async def test_the_operator_decides_and_the_coordinator_learns_it(net: Cluster) -> None:
    await net.start("alice")
    await net.start("bob")
    net.partners["bob"].policy["alice"] = "manual"
    job_id = await submit(net, document(("a",), roles=TWO))
    waiting = await net.view("bob", job_id)
    assert waiting.state is JobState.PENDING
    wait = explain_job(waiting)
    assert wait is not None
    assert wait.kind == "decision"
    assert explain_job(await net.view("alice", job_id)).blocked_by == "bob"  # type: ignore[union-attr]
    await jobs.decide(net.engines["bob"], job_id, approve=True, reason="fine", actor="operator:li")
    await succeeded(net, job_id, "alice", "bob")
    await jobs.decide(net.engines["bob"], job_id, approve=True, reason="again", actor="operator:li")
    with pytest.raises(Conflict):
        await jobs.decide(net.engines["bob"], job_id, approve=False, reason="", actor="operator:li")


async def test_a_rejection_by_one_of_three_ends_the_job_everywhere(net: Cluster) -> None:
    for node in ("alice", "bob", "carol"):
        await net.start(node)
    net.partners["carol"].policy["alice"] = "manual"
    job_id = await submit(net, document(("a",), roles=THREE))
    await jobs.decide(net.engines["carol"], job_id, approve=False, reason="no budget", actor="operator:li")
    for node in ("alice", "bob", "carol"):
        job = await net.over(node, job_id)
        assert job.state is JobState.REJECTED
    assert "refused by carol: no budget" in (await net.view("carol", job_id)).reason
    assert "carol" in (await net.view("alice", job_id)).reason
    assert not any(runner.launches for runner in net.runners.values())


async def test_a_create_refused_by_one_leaves_nothing_open_anywhere(net: Cluster) -> None:
    for node in ("alice", "bob"):
        await net.start(node)
    net.strangers["carol"] = lambda message: (
        Reply(Delivery.REFUSED, {}, "no such algorithm")
        if message.operation == "job/create"
        else Reply(Delivery.OK, {})
    )
    with pytest.raises(Refused, match="no such algorithm"):
        await submit(net, document(("a",), roles=THREE))
    job_id = next(iter(await jobs.job_list(net.engines["alice"], None)))
    assert (await net.over("alice", job_id)).state is JobState.REJECTED
    assert (await net.over("bob", job_id)).state is JobState.REJECTED
    assert not [m for _, m in net.sent if m.node_id == "carol" and m.operation == "job/stop"]


async def test_a_failed_share_ends_the_job_and_what_still_runs(net: Cluster) -> None:
    await net.start("alice")
    await net.start("bob")
    net.runners["alice"].result = lambda _: None
    net.runners["bob"].result = lambda _: Exit(3)
    job_id = await submit(net, document(("a",), ("b", "a"), roles=TWO))
    for node in ("alice", "bob"):
        job = await net.over(node, job_id)
        assert (job.state, job.outcome) == (JobState.FINISHED, Outcome.FAILED)
    assert len(net.runners["alice"].terminations) == 1
    assert (await net.view("bob", job_id)).tasks["a"].shares[0].reason == "exit code 3"
    assert (await net.view("alice", job_id)).tasks["b"].state is TaskState.PENDING


async def test_stopping_a_job_ends_every_process_and_repeating_it_changes_nothing(net: Cluster) -> None:
    await net.start("alice")
    await net.start("bob")
    for runner in net.runners.values():
        runner.result = lambda _: None
    job_id = await submit(net, document(("a",), ("b", "a"), roles=TWO))
    await net.until("bob", job_id, lambda s: s.tasks["a"].state is TaskState.RUNNING)
    await net.until("alice", job_id, lambda s: s.tasks["a"].shares[0].state is TaskState.RUNNING)
    await jobs.stop_all(net.engines["alice"], job_id, "", actor="operator:li", reason="wrong data")
    for node in ("alice", "bob"):
        job = await net.over(node, job_id)
        assert (job.state, job.outcome) == (JobState.FINISHED, Outcome.STOPPED)
        assert len(net.runners[node].terminations) == 1
    assert "wrong data" in (await net.view("bob", job_id)).reason
    await jobs.stop_all(net.engines["alice"], job_id, "", actor="operator:li")
    await jobs.stop_all(net.engines["alice"], job_id, "a", actor="operator:li")
    assert (await net.view("alice", job_id)).outcome is Outcome.STOPPED


async def test_a_participant_can_have_the_job_stopped_through_its_coordinator(net: Cluster) -> None:
    await net.start("alice")
    await net.start("bob")
    for runner in net.runners.values():
        runner.result = lambda _: None
    job_id = await submit(net, document(("a",), roles=TWO))
    await net.until("bob", job_id, lambda s: s.tasks["a"].state is TaskState.RUNNING)
    await jobs.stop_all(net.engines["bob"], job_id, "", actor="operator:bo")
    for node in ("alice", "bob"):
        assert (await net.over(node, job_id)).outcome is Outcome.STOPPED


async def test_stopping_a_task_stops_all_after_it_and_nothing_else(net: Cluster) -> None:
    await net.start("alice")
    await net.start("bob")
    for runner in net.runners.values():
        runner.result = lambda _: None
    job_id = await submit(net, document(("a",), ("b", "a"), ("x",), ("y", "x"), roles=TWO))
    await net.until("bob", job_id, lambda s: all(s.tasks[n].state is TaskState.RUNNING for n in "ax"))
    await jobs.stop_all(net.engines["alice"], job_id, "a", actor="platform")
    await net.until("bob", job_id, lambda s: s.tasks["a"].state is TaskState.FAILED)
    for node, runner in net.runners.items():
        stopped = list(runner.terminations)
        assert len(stopped) == 1, node
        runner.result = lambda _: Exit(0)
        running = await net.view(node, job_id)
        for attempt in runner.launches:
            if attempt not in stopped:
                runner.end(attempt, Exit(0))
        assert running.tasks["b"].state is TaskState.PENDING
    for node in ("alice", "bob"):
        job = await net.over(node, job_id)
        assert job.outcome is Outcome.STOPPED
        assert job.tasks["y"].state is TaskState.SUCCESS
        assert job.tasks["b"].state is TaskState.PENDING


async def test_more_shares_than_slots_wait_their_turn(net: Cluster) -> None:
    await net.start("alice", limits=Limits(concurrent_attempts=2))
    runner = net.runners["alice"]
    runner.result = lambda _: None
    job_id = await submit(net, document(*[(f"t{i}",) for i in range(6)], roles={"guest": ["alice"]}))
    done: list[str] = []
    while len(done) < 6:
        fresh = [a for a in runner.launches if a not in done]
        assert len(fresh) <= 2
        for attempt in fresh:
            runner.end(attempt, Exit(0))
            done.append(attempt)
        await net.until("alice", job_id, lambda s: len(runner.launches) >= min(6, len(done) + 1))
    await succeeded(net, job_id, "alice")


@pytest.mark.parametrize("seed", range(6))
async def test_lost_doubled_and_unanswered_messages_change_nothing(net: Cluster, seed: int) -> None:
    rng = random.Random(seed)
    for node in ("alice", "bob", "carol"):
        await net.start(node)
    net.fault = lambda source, message: rng.choice(["", "", "lost", "unanswered", "twice"])
    job_id = await submit(net, document(("a",), ("b", "a"), ("c", "a"), ("d", "b", "c"), roles=THREE))
    await succeeded(net, job_id, "alice", "bob", "carol")
    assert all(len(runner.launches) == len(set(runner.launches)) == 4 for runner in net.runners.values())


@pytest.mark.parametrize("node", ["alice", "bob"])
async def test_a_node_that_goes_away_in_the_middle_takes_up_its_work(net: Cluster, node: str) -> None:
    await net.start("alice")
    await net.start("bob")
    for runner in net.runners.values():
        runner.result = lambda _: None
    job_id = await submit(net, document(("a",), ("b", "a"), roles=TWO))
    await net.until(node, job_id, lambda s: s.tasks["a"].state is TaskState.RUNNING)
    await net.stop(node)
    for runner in net.runners.values():
        runner.result = lambda _: Exit(0)
        for attempt in list(runner.launches):
            runner.end(attempt, Exit(0))
    await net.start(node)
    await succeeded(net, job_id, "alice", "bob")


async def test_a_partner_that_stays_away_fails_its_task_after_the_stated_time(net: Cluster) -> None:
    await net.start("alice", timing=Timing(poll_first=0.02, poll_longest=0.05, partner_lost=0.2, submit_wait=1))
    answers: dict[str, Reply] = {"job/create": Reply(Delivery.OK, {"status": "READY"})}

    def carol(message: Outgoing) -> Reply:
        if message.operation == "task/poll":
            return Reply(Delivery.FAILED, {}, "connection refused")
        return answers.get(message.operation, Reply(Delivery.OK, {}))

    net.strangers["carol"] = carol
    job_id = await submit(net, document(("a",), roles={"guest": ["alice"], "host": ["carol"]}))
    job = await net.over("alice", job_id)
    assert job.outcome is Outcome.FAILED
    assert "carol has not reported" in job.reason
    assert "timing.partner_lost" in job.reason


async def test_lost_poll_answers_alone_fail_nothing(net: Cluster) -> None:
    await net.start("alice")
    polls = 0

    def carol(message: Outgoing) -> Reply:
        nonlocal polls
        if message.operation == "job/create":
            return Reply(Delivery.OK, {"status": "READY"})
        if message.operation != "task/poll":
            return Reply(Delivery.OK, {})
        polls += 1
        answers = {1: Reply(Delivery.FAILED, {}, "garbage"), 2: Reply(Delivery.OK, {"status": "SOMETHING"})}
        return answers.get(polls, Reply(Delivery.OK, {"status": "SUCCESS"}))

    net.strangers["carol"] = carol
    job_id = await submit(net, document(("a",), roles={"guest": ["alice"], "host": ["carol"]}))
    await succeeded(net, job_id, "alice")
    assert polls == 3


class TestOtherVendorsCoordinate:
    """The call sequences that running implementations send (digest §8, §9)."""

    async def drive(self, net: Cluster) -> Any:
        bob = await net.start("bob")
        net.strangers["fate"] = lambda message: Reply(Delivery.OK, {"job_status": "RUNNING", "status": {}})
        return bob

    def job(self) -> dict[str, Any]:
        return document(("a",), ("b", "a"), ("c", "b"), roles={"guest": ["fate"], "host": ["bob"]}, initiator="fate")

    async def test_a_stop_after_every_finished_task_does_not_end_the_job(self, net: Cluster) -> None:
        bob = await self.drive(net)
        net.partners["bob"].peer_traits["fate"] = PeerTraits(approval_channel=False, callback=False)
        assert await jobs.create(bob, "2023101615", self.job(), source="fate", trace_id="") == "READY"
        await jobs.start(bob, "2023101615", source="fate")
        for name in ("a", "b", "c"):
            await jobs.start_task(bob, "2023101615", f"uuid-{name}", name, source="fate")
            await net.until("bob", "2023101615", lambda s, n=name: s.tasks[n].state is TaskState.SUCCESS)
            assert (await jobs.poll(bob, f"uuid-{name}", "", source="fate"))[0] == "SUCCESS"
            await jobs.stop(bob, "2023101615", name, source="fate")
        assert (await net.view("bob", "2023101615")).state is JobState.RUNNING
        net.strangers["fate"] = lambda message: Reply(
            Delivery.OK, {"job_status": "FINISHED", "status": dict.fromkeys("abc", "SUCCESS")}
        )
        await jobs.stop(bob, "2023101615", "", source="fate")
        await succeeded(net, "2023101615", "bob")

    async def test_a_coordinator_that_never_says_that_it_is_over_is_asked(self, net: Cluster) -> None:
        bob = await self.drive(net)
        net.partners["bob"].peer_traits["fate"] = PeerTraits(approval_channel=False, callback=False)
        await jobs.create(bob, "kus-1", self.job(), source="fate", trace_id="")
        await jobs.start(bob, "kus-1", source="fate")
        await jobs.start_task(bob, "kus-1", "kus-1-a", "a", source="fate")
        await net.until("bob", "kus-1", lambda s: s.tasks["a"].state is TaskState.SUCCESS)
        net.strangers["fate"] = lambda message: Reply(
            Delivery.OK, {"job_status": "FAILED", "status": {"kus-1-a": "SUCCESS"}}
        )
        assert (await net.over("bob", "kus-1")).outcome is Outcome.FAILED

    async def test_task_stop_ends_one_task(self, net: Cluster) -> None:
        bob = await self.drive(net)
        net.runners["bob"].result = lambda _: None
        await jobs.create(bob, "kus-1", self.job(), source="fate", trace_id="")
        await jobs.start(bob, "kus-1", source="fate")
        await jobs.start_task(bob, "kus-1", "kus-1-a", "a", source="fate")
        await net.until("bob", "kus-1", lambda s: s.tasks["a"].state is TaskState.RUNNING)
        await jobs.stop_task(bob, "kus-1-a", source="fate")
        await jobs.stop_task(bob, "kus-1-a", source="fate")
        await net.until("bob", "kus-1", lambda s: s.tasks["a"].state is TaskState.FAILED)
        assert (await jobs.poll(bob, "kus-1-a", "host", source="fate"))[0] == "FAILED"

    async def test_manual_approval_is_impossible_without_a_channel_for_it(self, net: Cluster) -> None:
        bob = await self.drive(net)
        net.partners["bob"].peer_traits["fate"] = PeerTraits(approval_channel=False, callback=False)
        net.partners["bob"].policy["fate"] = "manual"
        with pytest.raises(Refused, match="by hand"):
            await jobs.create(bob, "kus-1", self.job(), source="fate", trace_id="")
        with pytest.raises(NotFound):
            await net.view("bob", "kus-1")


class TestRepeatsAndContradictions:
    @pytest.fixture
    async def bob(self, net: Cluster) -> Any:
        net.strangers["alice"] = lambda message: Reply(Delivery.OK, {"job_status": "RUNNING", "status": {}})
        net.strangers["mallory"] = lambda message: Reply(Delivery.OK, {})
        engine = await net.start("bob")
        net.runners["bob"].result = lambda _: None
        return engine

    async def create(self, bob: Any, **changes: Any) -> str:
        job = {**document(("a",), ("b", "a"), roles=TWO), **changes}
        return await jobs.create(bob, "job-1", job, source="alice", trace_id="")

    async def test_create_again_with_the_same_content_succeeds(self, bob: Any) -> None:
        assert await self.create(bob) == await self.create(bob) == "READY"

    async def test_create_again_with_other_content_is_refused(self, bob: Any) -> None:
        await self.create(bob)
        with pytest.raises(Conflict):
            await self.create(bob, **{"dag": document(("z",), roles=TWO)["dag"]})

    async def test_start_and_task_start_again_start_once(self, net: Cluster, bob: Any) -> None:
        await self.create(bob)
        for _ in range(2):
            await jobs.start(bob, "job-1", source="alice")
            await jobs.start_task(bob, "job-1", "task-a", "a", source="alice")
        await net.until("bob", "job-1", lambda s: s.tasks["a"].state is TaskState.RUNNING)
        assert len(net.runners["bob"].launches) == 1
        with pytest.raises(Conflict):
            await jobs.start_task(bob, "job-1", "task-other", "a", source="alice")

    async def test_poll_right_after_task_start_has_a_status(self, bob: Any) -> None:
        await self.create(bob)
        await jobs.start_task(bob, "job-1", "task-a", "a", source="alice")
        assert (await jobs.poll(bob, "task-a", "host", source="alice"))[0] in ("READY", "RUNNING")

    async def test_a_create_overtaken_by_its_stop_stays_dead(self, bob: Any) -> None:
        with pytest.raises(NotFound):
            await jobs.stop(bob, "job-1", "", source="alice")
        with pytest.raises(Conflict, match="stopped before"):
            await self.create(bob)

    async def test_third_nodes_learn_nothing(self, bob: Any) -> None:
        await self.create(bob)
        await jobs.start_task(bob, "job-1", "task-a", "a", source="alice")
        for call in (
            jobs.start(bob, "job-1", source="mallory"),
            jobs.stop(bob, "job-1", "", source="mallory"),
            jobs.start_task(bob, "job-1", "task-b", "b", source="mallory"),
            jobs.status_all(bob, "job-1", source="mallory"),
            jobs.poll(bob, "task-a", "", source="mallory"),
            jobs.stop_task(bob, "task-a", source="mallory"),
            jobs.status_all(bob, "job-unknown", source="mallory"),
        ):
            with pytest.raises(NotFound):
                await call
        with pytest.raises(Forbidden):
            await jobs.create(bob, "job-2", document(("a",), roles=TWO), source="nobody", trace_id="")

    async def test_a_stranger_with_a_task_id_does_not_learn_the_jobs_id(self, bob: Any) -> None:
        await self.create(bob)
        await jobs.start_task(bob, "job-1", "task-a", "a", source="alice")
        for call in (
            jobs.poll(bob, "task-a", "", source="mallory"),
            jobs.callback(bob, "task-a", "SUCCESS", "", source="mallory"),
            jobs.stop_task(bob, "task-a", source="mallory"),
            jobs.stop_task(bob, "task-a", source=""),
        ):
            with pytest.raises(NotFound, match="task 'task-a'") as caught:
                await call
            assert "job-1" not in caught.value.message
        for nobody in (jobs.start(bob, "job-1", source=""), jobs.stop(bob, "job-1", "", source="")):
            with pytest.raises(NotFound):
                await nobody

    async def test_who_decides_by_hand_about_a_partner_does_so_whoever_coordinates(
        self, net: Cluster, bob: Any
    ) -> None:
        net.partners["bob"].policy["mallory"] = "manual"
        job = document(("a",), roles={"guest": ["mallory"], "host": ["bob"]}, initiator="mallory")
        assert await jobs.create(bob, "job-1", job, source="alice", trace_id="") == "PENDING"
        net.partners["bob"].policy["mallory"] = "auto"
        assert await jobs.create(bob, "job-2", job, source="alice", trace_id="") == "READY"

    async def test_nobody_else_creates_a_job_in_this_nodes_name(self, net: Cluster, bob: Any) -> None:
        job = document(("a",), roles={"guest": ["bob"], "host": ["alice"]}, initiator="bob")
        with pytest.raises(Forbidden, match="has not submitted"):
            await jobs.create(bob, "job-1", job, source="alice", trace_id="")
        with pytest.raises(NotFound):
            await net.view("bob", "job-1")

    async def test_tasks_do_not_start_before_the_approval(self, net: Cluster, bob: Any) -> None:
        net.partners["bob"].policy["alice"] = "manual"
        assert await self.create(bob) == "PENDING"
        for call in (
            jobs.start(bob, "job-1", source="alice"),
            jobs.start_task(bob, "job-1", "task-a", "a", source="alice"),
        ):
            with pytest.raises(Conflict):
                await call
        assert (await net.view("bob", "job-1")).approvals["bob"].state is ApprovalState.PENDING

    async def test_a_task_that_is_not_in_the_job(self, bob: Any) -> None:
        await self.create(bob)
        with pytest.raises(NotFound):
            await jobs.start_task(bob, "job-1", "task-x", "x", source="alice")


async def test_submitting_nonsense_is_refused_with_the_reason(net: Cluster) -> None:
    alice = await net.start("alice")
    with pytest.raises(InvalidRequest, match="no partner of this node"):
        await submit(net, document(("a",), roles={"guest": ["alice"], "host": ["zoe"]}))
    with pytest.raises(InvalidRequest, match="jobs submitted here start at alice"):
        await submit(net, document(("a",), roles=TWO, initiator="bob"))
    job = document(("a",), roles={"guest": ["alice"]})
    job["dag"]["components"][0]["componentName"] = "nothing"
    with pytest.raises(Refused, match="not registered"):
        await submit(net, job)
    assert await jobs.job_list(alice, None) == {}


async def test_own_jobs_can_need_a_decision_too(net: Cluster) -> None:
    alice = await net.start("alice", approval=Approval(own_jobs="manual"))
    job_id = await submit(net, document(("a",), roles={"guest": ["alice"]}))
    assert (await net.view("alice", job_id)).state is JobState.PENDING
    await jobs.decide(alice, job_id, approve=True, reason="", actor="operator:li")
    await succeeded(net, job_id, "alice")
