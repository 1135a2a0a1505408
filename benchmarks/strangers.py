"""What a stranger's flood costs a partner: the time of its polls, before and while the stranger's requests come.

The node wants mutual TLS and signatures, and the stranger is at the partner's own address, the worst case. Three
floods: ten thousand varied requests over many open connections; the same requests with a new connection for each; TLS
handshakes that nothing follows. `python -m benchmarks.strangers KIND ADDRESS` is the sender, a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count, takewhile

import httpx
from tests.support.callers import SigningCaller, pour, unverified
from tests.support.strangers import varied

from benchmarks.pair import GUEST, HOST, Pair
from benchmarks.rows import Row
from benchmarks.serving import finished_task
from embedded_scheduler.security.identity import load_identity
from embedded_scheduler.wire.bfia.signature import Signer

REQUESTS = 10_000
CONNECTIONS = 240
"""Fewer than `limits.connections_per_address`, so that the partner's own has a place."""
RECONNECTING = 50
FLOOD_SECONDS = 10.0
"""Of the floods that have no end of their own."""
_QUIET = 600
_PAUSE = 0.005
_NICENESS = 10
"""Of the sender: a real one does not run on the node's machine."""


async def measure(nodes: Pair) -> list[Row]:
    """99th percentile of a partner's `task/poll` during each flood, over the same without."""
    body = {"task_id": await finished_task(nodes), "role": "host"}
    identity = load_identity(nodes.nodes[GUEST].home.identity)
    host = nodes.nodes[HOST]
    rows = []
    async with httpx.AsyncClient(base_url=host.url, verify=unverified(identity), trust_env=False) as http:
        guest = SigningCaller(http, GUEST, HOST, Signer(identity.key))
        await guest.latencies(200, "/task/poll", body, pause=_PAUSE)
        for kind in FLOODS:
            quiet = await guest.latencies(_QUIET, "/task/poll", body, pause=_PAUSE)
            busy, said = await _polls_during(guest, body, kind, host.listen)
            note = f"{len(busy)} polls while {said}"
            rows.append(Row(f"task/poll p99, {kind} / quiet", "ms", (_p99(busy),), (_p99(quiet),), aim=2.0, note=note))
    return rows


async def _polls_during(guest: SigningCaller, body: dict[str, str], kind: str, address: str) -> tuple[list[float], str]:
    """The latencies of polls until the flood is over, and what its sender says of it."""
    flood = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.strangers", kind, address, stdout=asyncio.subprocess.PIPE
    )
    taken: list[float] = []
    while flood.returncode is None:
        taken += await guest.latencies(20, "/task/poll", body, pause=_PAUSE)
    said, _ = await flood.communicate()
    if flood.returncode != 0:
        raise RuntimeError("the stranger did not get its requests out")
    return taken, said.decode().strip()


def _p99(seconds: list[float]) -> float:
    return 1000 * statistics.quantiles(seconds, n=100)[98]


# -- the sender --------------------------------------------------------------------------------------------------------


async def _requests(address: str) -> str:
    began = time.monotonic()
    await pour(address, _varied(range(REQUESTS)), connections=CONNECTIONS, tls=True)
    return f"{REQUESTS} requests came over {CONNECTIONS} connections in {time.monotonic() - began:.0f} s"


async def _connections(address: str) -> str:
    until = time.monotonic() + FLOOD_SECONDS
    requests = takewhile(lambda _: time.monotonic() < until, _varied(count()))
    closing = (request.replace(b"\r\n", b"\r\nconnection: close\r\n", 1) for request in requests)
    tried = await pour(address, closing, connections=RECONNECTING, tls=True)
    return f"{tried} connections were tried, each for one request"


async def _handshakes(address: str) -> str:
    host, _, port = address.rpartition(":")
    context, until = unverified(), time.monotonic() + FLOOD_SECONDS
    tried = done = 0

    async def work() -> None:
        nonlocal tried, done
        while time.monotonic() < until:
            tried += 1
            with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
                async with asyncio.timeout(5):
                    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
                done += 1
                writer.transport.abort()

    async with asyncio.TaskGroup() as group:
        for _ in range(RECONNECTING):
            group.create_task(work())
    return f"{tried} TLS handshakes were tried, {done} done"


def _varied(numbers: Iterator[int] | range) -> Iterator[bytes]:
    """Varied requests without end, a thousand different ones after the other."""
    for number in numbers:
        if number % 1000 == 0:
            made = varied(1000, seed=number, node=HOST, partner=GUEST)
        yield next(made)


FLOODS: dict[str, Callable[[str], Awaitable[str]]] = {
    "requests": _requests,
    "connections": _connections,
    "handshakes": _handshakes,
}


async def _main(kind: str, address: str) -> None:
    print(await FLOODS[kind](address))


if __name__ == "__main__":
    os.nice(_NICENESS)
    asyncio.run(_main(*sys.argv[1:]))
