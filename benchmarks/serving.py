"""Requests per second, start to serving, and what an idle node takes."""

from __future__ import annotations

import asyncio
import time

import psutil
from tests.support.probe_jobs import chain, probe_job

from benchmarks.load import Load, generate
from benchmarks.pair import GUEST, HOST, Pair, bare_server, partner_message, usual_message
from benchmarks.rows import Row
from nodeconsole.node_process import NodeProcess

ROUNDS = 5
CONNECTIONS = 16
ROUND_SECONDS = 2.0
IDLE_SECONDS = 10.0
POLL = "/v1/interconn/schedule/task/poll"
_STATUS = "/v1/interconn/schedule/job/status_all"


async def requests(nodes: Pair) -> list[Row]:
    """A partner's `task/poll` and `job/status_all` against the bare echo, in turns."""
    job_id = (await nodes.clients[GUEST].submit(probe_job({"guest": GUEST, "host": HOST}, chain(1)))).job_id
    task_id = await _task_id(nodes, job_id)
    host = nodes.nodes[HOST].listen
    ours = {
        "task/poll": partner_message(host, POLL, {"task_id": task_id, "role": "host"}),
        "job/status_all": partner_message(host, _STATUS, {"job_id": job_id}),
    }
    bare: list[Load] = []
    loads: dict[str, list[Load]] = {name: [] for name in ours}
    for _ in range(ROUNDS):
        bare.append(await _load(nodes.bare, usual_message(nodes.bare)))
        for name, message in ours.items():
            loads[name].append(await _load(host, message))
    return [row for name, measured in loads.items() for row in _load_rows(name, measured, bare)]


async def finished_task(nodes: Pair) -> str:
    """A task of a job that is over at the host."""
    job_id = (await nodes.clients[GUEST].submit(probe_job({"guest": GUEST, "host": HOST}, chain(1)))).job_id
    return await _task_id(nodes, job_id)


async def _task_id(nodes: Pair, job_id: str) -> str:
    while True:
        detail = await nodes.clients[HOST].job(job_id)
        if detail.job.state == "FINISHED":
            return detail.tasks[0].task_id
        await asyncio.sleep(0.02)


async def _load(address: str, message: bytes) -> Load:
    return await generate(address, message, connections=CONNECTIONS, seconds=ROUND_SECONDS)


def _load_rows(name: str, measured: list[Load], bare: list[Load]) -> list[Row]:
    rps, bare_rps = (tuple(load.per_second for load in loads) for loads in (measured, bare))
    p99, bare_p99 = (tuple(load.p99 * 1e3 for load in loads) for loads in (measured, bare))
    return [
        Row(f"{name}, {CONNECTIONS} connections / bare echo", "1/s", rps, bare_rps, aim=0.5, higher_is_better=True),
        Row(f"{name}, p99 / bare echo", "ms", p99, bare_p99, aim=2.0),
    ]


async def starts(node: NodeProcess, rounds: int = ROUNDS) -> list[Row]:
    """Process start to accepting requests, of a node that exists and of the bare server, in turns."""
    ours, bare = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        async with bare_server():
            bare.append(time.perf_counter() - began)
        ours.append(await node.start())
        await node.stop()
    return [Row("start to serving / bare server", "s", tuple(ours), tuple(bare), aim=2.0)]


async def idle(nodes: Pair) -> list[Row]:
    """Processor time and memory of the guest when nothing happens."""
    pid = nodes.nodes[GUEST].pid
    assert pid is not None, "the guest does not run"
    process = psutil.Process(pid)
    before = process.cpu_times()
    began = time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    after, elapsed = process.cpu_times(), time.monotonic() - began
    spent = (after.user + after.system) - (before.user + before.system)
    memory = process.memory_info().rss / 2**20
    return [
        Row(
            "idle processor time",
            "% of a core",
            (100 * spent / elapsed,),
            aim=0.5,
            note=f"{elapsed:.0f} s, resolution 0.1 %",
        ),
        Row("idle memory", "MB", (memory,), aim=93.0, note="resident; after the jobs above"),
    ]
