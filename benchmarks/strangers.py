"""What a stranger's flood costs a partner: the time of its polls, before and while ten thousand varied requests come.

`python -m benchmarks.strangers ADDRESS` is the sender, a process of its own.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

import httpx
from tests.support.callers import pour
from tests.support.strangers import varied

from benchmarks.pair import GUEST, HOST, Pair
from benchmarks.rows import Row
from benchmarks.serving import POLL, finished_task

REQUESTS = 10_000
CONNECTIONS = 100
_QUIET = 1000
_PAUSE = 0.005


async def measure(nodes: Pair) -> list[Row]:
    """99th percentile of a partner's `task/poll`, and the same while the stranger sends."""
    body = {"task_id": await finished_task(nodes), "role": "host"}
    host = nodes.nodes[HOST]
    headers = {"x-source-node-id": GUEST}
    async with httpx.AsyncClient(base_url=host.url, headers=headers, trust_env=False) as client:
        await _polls(client, body, 100)
        quiet = await _polls(client, body, _QUIET)
        flood = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.strangers", host.listen)
        busy: list[float] = []
        while flood.returncode is None:
            busy += await _polls(client, body, 20)
    if flood.returncode != 0:
        raise RuntimeError("the stranger did not get its requests out")
    note = f"{len(busy)} polls while {REQUESTS} requests came over {CONNECTIONS} connections"
    return [Row("task/poll p99, stranger / quiet", "ms", (_p99(busy),), (_p99(quiet),), aim=2.0, note=note)]


async def _polls(client: httpx.AsyncClient, body: dict[str, str], count: int) -> list[float]:
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        answer = await client.post(POLL, json=body)
        taken.append((time.perf_counter() - began) * 1000)
        if answer.json()["code"] != 200:
            raise RuntimeError(f"the partner was not served: {answer.text}")
        await asyncio.sleep(_PAUSE)
    return taken


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


if __name__ == "__main__":
    asyncio.run(pour(sys.argv[1], varied(REQUESTS, seed=1), connections=CONNECTIONS, tls=False))
