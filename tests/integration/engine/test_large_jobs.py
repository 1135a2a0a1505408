"""Jobs of hundreds of tasks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.cluster import Cluster, document

from embedded_scheduler.domain.lifecycle import JOB, JobState, Outcome
from embedded_scheduler.engine import jobs
from embedded_scheduler.store import outbox

TWO = {"guest": ["alice"], "host": ["bob"]}
MANY = 200


def chain(length: int) -> list[tuple[str, ...]]:
    return [(f"t{n}", *((f"t{n - 1}",) if n else ())) for n in range(length)]


def fan(width: int) -> list[tuple[str, ...]]:
    return [(f"t{n}",) for n in range(width)]


@pytest.mark.parametrize("edges", [chain(MANY), fan(MANY)], ids=["chain", "fan"])
async def test_a_job_of_many_tasks_runs_each_of_them_once(tmp_path: Path, edges: list[tuple[str, ...]]) -> None:
    """What a task of a large job costs is measured in `benchmarks/`; here it has to come out right."""
    net = Cluster(tmp_path)
    try:
        for node in ("alice", "bob"):
            await net.start(node)
        submitted = await jobs.submit(net.engines["alice"], document(*edges, roles=TWO), actor="platform", trace_id="")
        for node in ("alice", "bob"):
            with net.engines[node].bus.job(submitted.job_id) as changed:
                async with asyncio.timeout(120):
                    while not JOB.is_terminal((job := await net.view(node, submitted.job_id)).state):
                        await changed.wait(0.5)
            assert (job.state, job.outcome) == (JobState.FINISHED, Outcome.SUCCEEDED), job.reason
            runner = net.runners[node]
            assert len(runner.launches) == len(set(runner.launches)) == MANY
    finally:
        await net.stop_all()


async def test_a_wide_job_can_be_stopped_while_most_of_it_waits_for_a_slot(tmp_path: Path) -> None:
    net = Cluster(tmp_path)
    try:
        engine = await net.start("alice")
        net.runners["alice"].result = lambda _: None
        job = document(*fan(MANY), roles={"guest": ["alice"]})
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
