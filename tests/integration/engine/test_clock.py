"""The wall clock jumps: nothing waits for it, nothing is given up because of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.cluster import Cluster, HandRunner, document

from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.config import Timing
from embedded_scheduler.domain.lifecycle import JobState, Outcome, TaskState
from embedded_scheduler.engine import jobs
from embedded_scheduler.engine.ports import Outgoing
from embedded_scheduler.engine.retention import AT_ONCE, Retention
from embedded_scheduler.spi.runner import Exit, RunHandle
from embedded_scheduler.store import inbox

HOUR_MS = 3_600_000
TWO = {"guest": ["alice"], "host": ["bob"]}
QUICK = Timing(poll_first=0.05, poll_longest=0.2, retry_first=0.01, retry_longest=0.1, submit_wait=0.01)


class JumpingClock:
    """The machine's clock, wrong by `off_ms`; its monotonic side goes on undisturbed, as the machine's does."""

    off_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.off_ms

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
async def net(tmp_path: Path, clock: JumpingClock) -> AsyncIterator[Cluster]:
    found = Cluster(tmp_path)
    found.clock = clock
    for node in ("alice", "bob"):
        await found.start(node, timing=QUICK)
    yield found
    await found.stop_all()


async def submit(net: Cluster, *edges: tuple[str, ...]) -> str:
    job = document(*edges, roles=TWO)
    return (await jobs.submit(net.engines["alice"], job, actor="platform", trace_id="")).job_id


@pytest.mark.parametrize("jump_ms", [-HOUR_MS, DAY_MS])
async def test_a_call_that_waits_for_its_next_try_does_not_wait_for_the_clock(
    net: Cluster, clock: JumpingClock, jump_ms: int
) -> None:
    net.fault = lambda source, message: "lost" if message.operation == "job/create" else ""
    job_id = await submit(net, ("a",), ("b", "a"))
    await net.until("alice", job_id, lambda s: s.calls["create:bob"].attempts >= 2)
    clock.off_ms = jump_ms
    net.engines["alice"].wake()
    net.fault = lambda source, message: ""
    for node in ("alice", "bob"):
        assert (await net.over(node, job_id)).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("jump_ms", [-HOUR_MS, DAY_MS])
async def test_a_job_that_runs_does_not_notice(net: Cluster, clock: JumpingClock, jump_ms: int) -> None:
    for runner in net.runners.values():
        runner.result = lambda _: None
    job_id = await submit(net, ("a",), ("b", "a"))
    for node in ("alice", "bob"):
        await net.until(node, job_id, lambda s: s.tasks["a"].state is TaskState.RUNNING)
    clock.off_ms = jump_ms
    for runner in net.runners.values():
        runner.result = lambda _: Exit(0)
        runner.end(runner.launches[0], Exit(0))
    for node in ("alice", "bob"):
        job = await net.over(node, job_id)
        assert (job.state, job.outcome) == (JobState.FINISHED, Outcome.SUCCEEDED)


async def test_a_day_forward_does_not_make_a_silent_coordinator_lost(net: Cluster, clock: JumpingClock) -> None:
    """bob is told of the end, asks for the outcome and gets no answer just then: it asks again, and agrees."""

    def fault(source: str, message: Outgoing) -> str:
        return "lost" if message.operation == "job/status_all" else ""

    net.fault = fault
    net.runners["bob"].result = lambda _: Exit(7)
    job_id = await submit(net, ("a",))
    await net.until("bob", job_id, lambda s: "verdict" in s.calls and s.calls["verdict"].attempts >= 1)
    clock.off_ms = DAY_MS
    tries = (await net.view("bob", job_id)).calls["verdict"].attempts
    await net.until("bob", job_id, lambda s: s.calls["verdict"].attempts >= tries + 2)
    assert (await net.view("bob", job_id)).state is JobState.RUNNING
    net.fault = lambda source, message: ""
    bob, alice = await net.over("bob", job_id), await net.over("alice", job_id)
    assert (bob.outcome, bob.reason) == (alice.outcome, alice.reason)


async def test_retention_goes_by_age_and_survives_both_jumps(net: Cluster, clock: JumpingClock) -> None:
    engine = net.engines["alice"]
    days = engine.settings.retention.runs_days
    old = [await submit(net, ("a",)) for _ in range(3)]
    for job_id in old:
        await net.over("alice", job_id)
    answered = {"source": "bob", "nonce": "n", "operation": "job/create", "body_hash": "h", "answer": "{}"}
    await engine.db.write(lambda tx: inbox.remember(tx, **answered))
    sweep = Retention(engine).sweep

    clock.off_ms = -HOUR_MS
    assert await sweep() == 0
    clock.off_ms = DAY_MS
    assert await sweep() == 0
    assert await engine.db.read(lambda r: inbox.recall(r, "bob", "n", "job/create")) is not None
    assert all((engine.home.logs / job_id).exists() for job_id in old)

    clock.off_ms = (days + 1) * DAY_MS
    assert await sweep() == 3
    assert await engine.db.read(lambda r: inbox.recall(r, "bob", "n", "job/create")) is None
    assert not any((engine.home.logs / job_id).exists() for job_id in old)
    assert (await net.view("alice", old[0])).outcome is Outcome.SUCCEEDED


async def test_retention_reaches_every_old_job_and_one_that_resists_keeps_nobody_back(
    net: Cluster, clock: JumpingClock
) -> None:
    class Clinging(HandRunner):
        clings_to = ""

        async def forget(self, handle: RunHandle) -> None:
            if handle.attempt_id == self.clings_to:
                raise PermissionError(f"{handle.attempt_id} belongs to another user")
            await super().forget(handle)

    await net.stop("alice")
    runner = net.runners["alice"] = Clinging()
    engine = await net.start("alice", timing=QUICK)
    # Folders of nobody's, more than are looked at together.
    for number in range(AT_ONCE * 2):
        (engine.home.logs / f"job-{number:032x}").mkdir(parents=True)
    ids = [await submit(net, ("a",)) for _ in range(3)]
    for job_id in ids:
        await net.over("alice", job_id)
    runner.clings_to = runner.launches[0]
    clock.off_ms = (engine.settings.retention.runs_days + 1) * DAY_MS
    assert await Retention(engine).sweep() == 2
    runner.clings_to = ""
    assert await Retention(engine).sweep() == 1
    assert await Retention(engine).sweep() == 0
