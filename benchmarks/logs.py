"""Log lines per second from a component to a client that follows."""

from __future__ import annotations

import time
from contextlib import aclosing

import httpx
from tests.support.probe_jobs import chain, probe_job

from benchmarks.pair import GUEST, Pair, event_pages
from benchmarks.rows import Row
from nodeconsole.client import NodeClient

ROUNDS = 3
LINES = 200_000


async def measure(nodes: Pair) -> list[Row]:
    """`probe` writes lines, a subscribed client counts them; beside it the same lines through the bare server."""
    ours, bare = [], []
    for _ in range(ROUNDS):
        bare.append(LINES / await _bare_seconds(nodes.bare))
        ours.append(LINES / await _seconds(nodes))
    note = f"{LINES:,} lines; ours with the start of the component"
    name = "log lines child to client / bare stream"
    return [Row(name, "1/s", tuple(ours), tuple(bare), aim=0.25, higher_is_better=True, note=note)]


async def _seconds(nodes: Pair) -> float:
    client = nodes.clients[GUEST]
    document = probe_job({"guest": GUEST}, chain(1), parameters={"probe_0": {"lines": LINES}})
    newest = (await client.status()).last_seq
    began = time.perf_counter()
    job_id = (await client.submit(document)).job_id
    await _launched(client, job_id, newest)
    seen = 0
    async for page in client.follow_log(job_id, "probe_0"):
        seen += len(page.lines)
    took = time.perf_counter() - began
    if seen < LINES:
        raise RuntimeError(f"the client saw {seen} of {LINES} lines")
    return took


async def _launched(client: NodeClient, job_id: str, after: int) -> None:
    async with aclosing(event_pages(client, after)) as pages:
        async for page in pages:
            if any(event.job_id == job_id and event.event == "share.running" for event in page.events):
                return


async def _bare_seconds(address: str) -> float:
    began = time.perf_counter()
    seen = 0
    async with (
        httpx.AsyncClient(trust_env=False, timeout=60) as http,
        http.stream("GET", f"http://{address}/lines/{LINES}") as response,
    ):
        async for line in response.aiter_lines():
            if line.startswith('data: {"lines"'):
                seen += line.count("INFO line")
    if seen < LINES:
        raise RuntimeError(f"the bare stream carried {seen} of {LINES} lines")
    return time.perf_counter() - began
