"""The main job ends right although a node is killed: at ten random moments, and at each named crash point."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.mesh import mesh
from tests.support.nodes import CRASH_VARIABLE, QUICK, Reviver, eventually
from tests.support.probe_jobs import chain, probe_job

from embedded_scheduler.engine.crashpoints import POINTS
from nodeconsole.demo.steps import Demo

KILLED = -9
MOMENTS = 10
STOPPING = ("terminate.done",)
"""Points that only a job which is stopped comes by."""


@pytest_asyncio.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Demo]:
    """Two running nodes with data and partners; dead ones are started again."""
    made = Demo(tmp_path, within=90.0, on_death=Reviver())
    try:
        await made.create()
        for node in made.nodes.values():
            node.change_settings(QUICK)
        await made.start()
        await made.register()
        yield made
    finally:
        await made.close()


async def intersect(demo: Demo) -> None:
    """One more job on the same nodes, from the submission to the check of its result."""
    demo.flow_id = f"crash-{secrets.token_hex(8)}"
    job_id = await demo.submit()
    await demo.approve(job_id)
    await demo.finished(job_id)
    verdict = await demo.check(job_id)
    assert verdict.right, verdict.problems


async def ledgers_hold(demo: Demo) -> None:
    for role, node in demo.nodes.items():
        async with node.client() as client:
            report = await client.ledger_verify()
        assert report.ok, f"the ledger of the {role} is broken: {report.fault}"


async def test_ten_random_moments(demo: Demo) -> None:
    began = time.monotonic()
    await intersect(demo)
    usual = time.monotonic() - began
    chance = random.Random(20261122)
    for number in range(MOMENTS):
        victim = demo.nodes[("guest", "host")[number % 2]]
        moment = chance.uniform(0.0, usual)

        async def kill(node=victim, after=moment) -> None:
            # The moment itself is what is tested: nothing is waited for.
            await asyncio.sleep(after)
            node.kill()

        async with asyncio.TaskGroup() as group:
            group.create_task(kill())
            group.create_task(intersect(demo))
        if not victim.running:
            await victim.start()
    await ledgers_hold(demo)


@pytest.mark.parametrize("role", ["guest", "host"])
@pytest.mark.parametrize("point", [point for point in POINTS if point not in STOPPING])
async def test_each_crash_point(demo: Demo, point: str, role: str) -> None:
    reviver = Reviver()
    demo._on_death = reviver
    node = demo.nodes[role]
    await node.stop()
    await node.start(environment={CRASH_VARIABLE: point})
    await intersect(demo)
    assert (role, KILLED) in reviver.deaths, f"the {role} never came by {point}"
    await ledgers_hold(demo)


@pytest.mark.parametrize("name", ["alice", "bob"])
@pytest.mark.parametrize("point", STOPPING)
async def test_each_crash_point_of_a_stop(tmp_path: Path, point: str, name: str) -> None:
    async with mesh(tmp_path, "alice", "bob") as net:
        node = net.nodes[name]
        await node.stop()
        await node.start(environment={CRASH_VARIABLE: point})
        job = await net.submit(
            "alice",
            probe_job({"guest": "alice", "host": "bob"}, chain(2), parameters={"probe_0": {"sleep": 3600}}),
        )

        async def runs_everywhere() -> bool:
            details = [await client.job(job) for client in net.clients.values()]
            return all(share.state == "RUNNING" for d in details for share in d.tasks[0].shares if share.local)

        await eventually(runs_everywhere, what="the task runs on both nodes")
        await net.clients["alice"].stop(job, reason="enough")

        async def died() -> bool:
            return not node.running

        await eventually(died, what=f"{name} comes by {point}")
        assert node.exit_code == KILLED
        await node.start()
        assert await net.agreement(job) == ("FINISHED", "stopped")
