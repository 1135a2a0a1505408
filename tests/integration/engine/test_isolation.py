"""What goes wrong with one partner, one attempt or one effect stays there: everything else goes on."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.cluster import Cluster, HandRunner, document

from embedded_scheduler.config import Limits, Timing
from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.lifecycle import JobState, Outcome, TaskState
from embedded_scheduler.domain.snapshot import CallState
from embedded_scheduler.engine import delivery, jobs, progress
from embedded_scheduler.engine.ports import Delivery, Outgoing, Reply
from embedded_scheduler.engine.supervisor import ServiceState
from embedded_scheduler.engine.transitions import Cause
from embedded_scheduler.errors import Unavailable
from embedded_scheduler.spi.runner import Exit, LaunchSpec, RunHandle
from embedded_scheduler.store import outbox

QUICK = Timing(poll_first=0.05, poll_longest=0.2, retry_first=0.01, retry_longest=0.1, submit_wait=0.01)


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Cluster]:
    found = Cluster(tmp_path)
    yield found
    await found.stop_all()


class Silence:
    """A stranger that takes calls and never answers; `answered` operations it answers like any good partner."""

    def __init__(self, *answered: str) -> None:
        self.answered = answered
        self.hanging = 0
        self.most = 0
        self.released = asyncio.Event()

    async def __call__(self, message: Outgoing) -> Reply:
        if message.operation in self.answered:
            return Reply(Delivery.OK, {"status": "READY"})
        self.hanging += 1
        self.most = max(self.most, self.hanging)
        try:
            await self.released.wait()
        finally:
            self.hanging -= 1
        return Reply(Delivery.FAILED, {}, "no answer within 10 s")


async def submit(net: Cluster, *edges: tuple[str, ...], host: str = "bob") -> str:
    roles = {"guest": ["alice"], **({"host": [host]} if host else {})}
    return (
        await jobs.submit(net.engines["alice"], document(*edges, roles=roles), actor="platform", trace_id="")
    ).job_id


async def succeeded(net: Cluster, job_id: str, *nodes: str) -> None:
    for node in nodes:
        job = await net.over(node, job_id)
        assert (job.state, job.outcome) == (JobState.FINISHED, Outcome.SUCCEEDED), f"{node}: {job.reason}"


async def crashes(net: Cluster, node: str) -> int:
    return sum(health.crashes for health in net.health(node))


async def test_a_partner_that_never_answers_holds_up_its_own_jobs_alone(net: Cluster) -> None:
    """More jobs wait for it than there are places for calls: one that needs bob alone takes no notice."""
    await net.start("alice", timing=QUICK)
    await net.start("bob", timing=QUICK)
    silence = net.strangers["mute"] = Silence()
    stuck = [await submit(net, ("a",), host="mute") for _ in range(delivery.CALLS_AT_ONCE + 8)]
    began = time.monotonic()
    job_id = await submit(net, ("a",), ("b", "a"), ("c", "b"))
    await succeeded(net, job_id, "alice", "bob")
    assert time.monotonic() - began < 5
    assert silence.most == delivery.CALLS_PER_PARTNER
    assert (await net.view("alice", stuck[0])).state is JobState.PENDING
    # Once it has given no answer it is only probed, until it comes back.
    silence.released.set()
    await net.until("alice", stuck[0], lambda s: s.calls["create:mute"].attempts > 0)
    silence.released.clear()
    job_id = await submit(net, ("a",))
    await succeeded(net, job_id, "alice", "bob")
    assert silence.hanging <= delivery.PROBES_PER_PARTNER
    silence.answered = ("job/create", "job/start", "task/start", "job/stop", "task/poll")
    silence.released.set()
    for each in stuck:
        await net.until("alice", each, lambda s: s.state is not JobState.PENDING)


async def test_questions_that_hang_leave_room_for_others(net: Cluster) -> None:
    await net.start("alice", timing=QUICK)
    # bob says nothing by itself: alice has to ask.
    await net.start("bob", timing=QUICK)
    net.fault = lambda source, message: "lost" if message.operation == "task/callback" else ""
    silence = net.strangers["mute"] = Silence("job/create", "job/start", "task/start", "job/stop")
    edges = [(f"t{number}",) for number in range(40)]
    stuck = await submit(net, *edges, host="mute")
    await net.until("alice", stuck, lambda s: all(t.state is TaskState.RUNNING for t in s.tasks.values()))
    job_id = await submit(net, ("a",), ("b", "a"))
    await succeeded(net, job_id, "alice")
    assert 0 < silence.most <= 8


async def test_one_attempt_that_cannot_be_watched_does_not_blind_the_node(net: Cluster) -> None:
    class Broken(HandRunner):
        faults = 3

        async def wait(self, handle: RunHandle) -> Exit:
            if ".guest.0" in handle.attempt_id and self.faults:
                self.faults -= 1
                raise RuntimeError("the process table caught fire")
            return await super().wait(handle)

    runner = net.runners["alice"] = Broken()
    runner.result = lambda _: None
    await net.start("alice", timing=QUICK)
    first = await submit(net, ("a",), host="")
    await net.until("alice", first, lambda s: s.tasks["a"].state is TaskState.RUNNING)
    runner.end(runner.launches[0], Exit(0))
    await succeeded(net, first, "alice")
    assert runner.faults == 0
    assert await crashes(net, "alice") == 0
    async with asyncio.timeout(5):
        while net.watching["alice"].attempts:
            await net.engines["alice"].bus.wakeup("nobody's").wait(0.01)


async def test_an_effect_that_fails_by_our_own_fault_is_put_off_and_disturbs_nothing(net: Cluster) -> None:
    faults = 3

    async def odd(message: Outgoing) -> Reply:
        nonlocal faults
        if message.operation == "job/create" and faults:
            faults -= 1
            raise KeyError("a bug of ours")
        return Reply(Delivery.OK, {"status": "READY"})

    await net.start("alice", timing=QUICK)
    await net.start("bob", timing=QUICK)
    net.strangers["odd"] = odd
    bad, good = await submit(net, ("a",), host="odd"), await submit(net, ("a",))
    await succeeded(net, good, "alice", "bob")
    job = await net.until("alice", bad, lambda s: s.state is JobState.RUNNING)
    assert job.calls["create:odd"].attempts >= 4
    assert faults == 0
    assert await crashes(net, "alice") == 0


async def test_a_full_disk_puts_a_launch_off_and_does_not_fail_the_job(net: Cluster) -> None:
    class Full(HandRunner):
        full = True

        async def launch(self, spec: LaunchSpec) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            await super().launch(spec)

    runner = net.runners["alice"] = Full()
    await net.start("alice", timing=QUICK)
    job_id = await submit(net, ("a",), host="")

    def tried(row: outbox.OutboxRow) -> bool:
        return row.kind == "launch" and row.attempts >= 2 and "No space left" in row.last_error

    async with asyncio.timeout(10):
        while not any(map(tried, await net.engines["alice"].db.read(lambda r: outbox.for_job(r, job_id)))):
            await net.engines["alice"].bus.wakeup("nobody's").wait(0.01)
    assert (await net.view("alice", job_id)).state is JobState.RUNNING
    runner.full = False
    await succeeded(net, job_id, "alice")


async def test_a_launch_that_stays_impossible_fails_after_the_stated_time(net: Cluster) -> None:
    class Never(HandRunner):
        async def launch(self, spec: LaunchSpec) -> None:
            raise Unavailable("no process can be started")

    net.runners["alice"] = Never()
    await net.start("alice", timing=QUICK.model_copy(update={"partner_lost": 0.2}))
    job_id = await submit(net, ("a",), host="")
    job = await net.over("alice", job_id)
    assert job.outcome is Outcome.FAILED
    assert "no process can be started" in job.reason
    log = next((net.root / "alice" / "logs" / job_id).iterdir()).read_text()
    assert "could not start: no process can be started" in log


async def test_a_job_whose_launch_waits_for_a_slot_can_be_stopped(net: Cluster) -> None:
    await net.start("alice", timing=QUICK, limits=Limits(concurrent_attempts=1))
    runner = net.runners["alice"]
    runner.result = lambda _: None
    busy = await submit(net, ("a",), host="")
    await net.until("alice", busy, lambda s: s.tasks["a"].state is TaskState.RUNNING)
    waiting = await submit(net, ("a",), ("b",), host="")
    await net.until("alice", waiting, lambda s: s.state is JobState.RUNNING)
    await jobs.stop_all(net.engines["alice"], waiting, "", actor="operator:x")
    job = await net.over("alice", waiting)
    assert job.outcome is Outcome.STOPPED
    assert len(runner.launches) == 1
    assert (await net.view("alice", busy)).state is JobState.RUNNING
    runner.end(runner.launches[0], Exit(0))
    await succeeded(net, busy, "alice")


async def test_what_a_vanished_caller_asked_for_is_done_without_delay(net: Cluster) -> None:
    """A caller hangs up while its request is being stored: the services hear of the change all the same."""
    await net.start("alice", timing=QUICK)
    net.runners["alice"].result = lambda _: None
    job_id = await submit(net, ("a",), host="")
    await net.until("alice", job_id, lambda s: s.tasks["a"].state is TaskState.RUNNING)
    stop = progress.react(net.engines["alice"], job_id, Cause("operator:x"), lambda s: reactions.stop(s, "", "enough"))
    calling = asyncio.ensure_future(stop)
    # Until its first suspension: by then the transaction is queued, and will be carried out.
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert (await net.over("alice", job_id)).outcome is Outcome.STOPPED


async def test_every_service_runs_at_the_end_of_a_busy_time(net: Cluster) -> None:
    await net.start("alice", timing=QUICK)
    await net.start("bob", timing=QUICK)
    ids = [await submit(net, ("a",), ("b", "a")) for _ in range(10)]
    for job_id in ids:
        await succeeded(net, job_id, "alice", "bob")
    assert {(h.state, h.crashes) for node in ("alice", "bob") for h in net.health(node)} == {(ServiceState.RUNNING, 0)}


async def test_a_job_that_cannot_be_taken_up_does_not_keep_the_node_from_starting(net: Cluster) -> None:
    engine = await net.start("alice", timing=QUICK)
    net.runners["alice"].result = lambda _: None
    bad, good = await submit(net, ("a",), host=""), await submit(net, ("a",), host="")
    for job_id in (bad, good):
        await net.until("alice", job_id, lambda s: s.tasks["a"].state is TaskState.RUNNING)
    # A document that an older version took and this one does not.
    await engine.db.write(
        lambda tx: tx._connection.execute("UPDATE jobs SET document = '{}', digest = 'old' WHERE job_id = ?", [bad])
    )
    await net.stop("alice")
    for attempt in net.runners["alice"].launches:
        net.runners["alice"].end(attempt, Exit(0))
    await net.start("alice", timing=QUICK)
    await succeeded(net, good, "alice")


async def test_a_retried_submission_is_answered_as_before_whatever_became_of_the_partners(net: Cluster) -> None:
    await net.start("alice", timing=QUICK)
    await net.start("bob", timing=QUICK)
    net.strangers["carol"] = Silence("job/create", "job/stop")
    roles = {"guest": ["alice"], "host": ["bob", "carol"]}
    job = document(("a",), roles=roles, coordinator="bob")
    job_id = (await jobs.submit(net.engines["alice"], job, actor="platform", trace_id="")).job_id
    sent = (await net.until("alice", job_id, lambda s: s.calls["create_all"].state is CallState.ACKNOWLEDGED)).spec
    del net.strangers["carol"]
    again = await jobs.create_all(net.engines["bob"], job_id, sent.document, source="alice", trace_id="")
    assert again.nodes.keys() == {"alice", "bob", "carol"}
