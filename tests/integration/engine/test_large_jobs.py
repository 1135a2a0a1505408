"""Large jobs: a task of a job of hundreds costs about what a task of a small job costs."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from tests.support.cluster import Cluster, document

from embedded_scheduler.domain.lifecycle import JOB, JobState, Outcome
from embedded_scheduler.engine import jobs
from embedded_scheduler.store import outbox

TWO = {"guest": ["alice"], "host": ["bob"]}
SMALL, LARGE = 60, 420


async def cost(net: Cluster, edges: list[tuple[str, ...]]) -> float:
    """Processor seconds of both nodes per task, submission included."""
    began = time.process_time()
    submitted = await jobs.submit(net.engines["alice"], document(*edges, roles=TWO), actor="platform", trace_id="")
    for node in ("alice", "bob"):
        with net.engines[node].bus.job(submitted.job_id) as changed:
            async with asyncio.timeout(120):
                while not JOB.is_terminal((job := await net.view(node, submitted.job_id)).state):
                    await changed.wait(0.5)
        assert (job.state, job.outcome) == (JobState.FINISHED, Outcome.SUCCEEDED), job.reason
    return (time.process_time() - began) / len(edges)


def chain(length: int) -> list[tuple[str, ...]]:
    return [(f"t{n}", *((f"t{n - 1}",) if n else ())) for n in range(length)]


def fan(width: int) -> list[tuple[str, ...]]:
    return [(f"t{n}",) for n in range(width)]


@pytest.mark.parametrize("shape", [chain, fan])
async def test_the_cost_of_a_task_hardly_grows_with_the_job(tmp_path: Path, shape: object) -> None:
    """A look at every task after each step would make ten times the tasks cost six times as much each (measured)."""
    assert callable(shape)
    net = Cluster(tmp_path)
    try:
        for node in ("alice", "bob"):
            await net.start(node)
        await cost(net, shape(10))
        # The better of two: a busy machine only ever adds.
        small = min([await cost(net, shape(SMALL)) for _ in range(2)])
        large = await cost(net, shape(LARGE))
        assert large < small * 2, f"{small * 1000:.1f} ms -> {large * 1000:.1f} ms a task"
        for node in ("alice", "bob"):
            runner = net.runners[node]
            assert len(runner.launches) == len(set(runner.launches)) == 10 + 2 * SMALL + LARGE
    finally:
        await net.stop_all()


async def test_a_wide_job_can_be_stopped_while_most_of_it_waits_for_a_slot(tmp_path: Path) -> None:
    net = Cluster(tmp_path)
    try:
        engine = await net.start("alice")
        net.runners["alice"].result = lambda _: None
        job = document(*fan(LARGE), roles={"guest": ["alice"]})
        job_id = (await jobs.submit(engine, job, actor="platform", trace_id="")).job_id
        await net.until("alice", job_id, lambda s: len(net.watching["alice"].attempts) == 32)
        await jobs.stop_all(engine, job_id, "", actor="operator:x")
        with engine.bus.job(job_id) as changed:
            async with asyncio.timeout(60):
                while not JOB.is_terminal((stopped := await net.view("alice", job_id)).state):
                    await changed.wait(0.5)
        assert stopped.outcome is Outcome.STOPPED
        assert len(net.runners["alice"].launches) == 32
        with engine.bus.subscribe() as news:
            while await engine.db.read(outbox.undelivered_by_target):
                await news.get(0.02)
    finally:
        await net.stop_all()
