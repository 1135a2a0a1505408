"""The component channel between two nodes: a sender at the guest, with several messages under way, and one reader."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support.probe_jobs import chain, probe_job

from benchmarks.load import answer_to, connection, generate, request
from benchmarks.pair import GUEST, HOST, Pair, usual_message
from benchmarks.rows import Row
from embedded_scheduler.wire import ptp
from nodeconsole.client import NodeClient

ROUNDS = 3
BARE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Shape:
    """`count` messages of `size` bytes, `at_once` under way: the reader takes one after the other."""

    name: str
    size: int
    count: int
    at_once: int


LARGE = Shape("8 MB", 8_000_000, 8, 1)
"""Goes out in parts."""
MIDDLE = Shape("1 MB", 950_000, 64, 8)
SMALL = Shape("100 bytes", 100, 800, 8)


async def measure(plain: Pair, trusted: Pair) -> list[Row]:
    """Each shape over plain HTTP and over TLS with signatures in turn."""
    rows = []
    for shape, scale, unit in (
        (LARGE, LARGE.size / 1e6, "MB/s"),
        (MIDDLE, MIDDLE.size / 1e6, "MB/s"),
        (SMALL, 1.0, "1/s"),
    ):
        rates: dict[Pair, list[float]] = {plain: [], trusted: []}
        bare = []
        for _ in range(ROUNDS):
            for nodes, taken in rates.items():
                taken.append(scale * await rate(nodes, shape))
            bare.append(await _exchanges(plain, shape.at_once))
        name = f"channel, messages of {shape.name}"
        without, safe = tuple(rates[plain]), tuple(rates[trusted])
        rows.append(Row(f"{name}, TLS and signatures / without", unit, safe, without, aim=0.4, higher_is_better=True))
        if shape is SMALL:
            rows.append(Row(f"{name} / exchanges of a bare server", unit, without, tuple(bare)))
    return rows


async def _exchanges(nodes: Pair, connections: int) -> float:
    load = await generate(nodes.bare, usual_message(nodes.bare), connections=connections, seconds=BARE_SECONDS)
    return load.per_second


async def rate(nodes: Pair, shape: Shape) -> float:
    """Messages per second, from the first push until the last one was read, on the session of a job that waits."""
    async with waiting_job(nodes) as job_id:
        push = _request(nodes, GUEST, ptp.PUSH_PATH, job_id, HOST, bytes(shape.size))
        pop = _request(nodes, HOST, f"{ptp.POP_PATH}?timeout=30", job_id, GUEST, b"")
        left = iter(range(shape.count))
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(shape.at_once):
                group.create_task(_push(nodes.nodes[GUEST].platform, push, left))
            group.create_task(_pop(nodes.nodes[HOST].platform, pop, shape))
        return shape.count / (time.perf_counter() - began)


@asynccontextmanager
async def waiting_job(nodes: Pair) -> AsyncIterator[str]:
    """A job that waits on both nodes until it is stopped on the way out."""
    made = probe_job({"guest": GUEST, "host": HOST}, chain(1), parameters={"probe_0": {"sleep": 600}})
    job_id = (await nodes.clients[GUEST].submit(made)).job_id
    await asyncio.gather(*(_is_running(client, job_id) for client in nodes.clients.values()))
    try:
        yield job_id
    finally:
        await nodes.clients[GUEST].stop(job_id, "", "measured")


async def _is_running(client: NodeClient, job_id: str) -> None:
    while True:
        detail = await client.job(job_id)
        if detail.tasks and detail.tasks[0].state == "RUNNING":
            return
        await asyncio.sleep(0.02)


def _request(nodes: Pair, at: str, path: str, job_id: str, other: str, body: bytes) -> bytes:
    headers = {"x-ptp-session-id": f"session_{job_id}", "x-ptp-topic": "bench", "x-ptp-target-node-id": other}
    return request("POST", nodes.nodes[at].platform, path, headers, body)


async def _push(address: str, message: bytes, left: Iterator[int]) -> None:
    async with connection(address) as (reader, writer):
        for _ in left:
            writer.write(message)
            await writer.drain()
            _check(await answer_to(reader))


async def _pop(address: str, message: bytes, shape: Shape) -> None:
    async with connection(address) as (reader, writer):
        for _ in range(shape.count):
            writer.write(message)
            answer = await answer_to(reader)
            _check(answer)
            if len(answer) < shape.size:
                raise RuntimeError("a message arrived shorter than it was sent")


def _check(answer: bytes) -> None:
    if ptp.Code.OK.encode() not in answer[:200] + answer[-200:]:
        raise RuntimeError(f"the channel answered {answer[:200]!r}")
