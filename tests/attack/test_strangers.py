"""Thousands of varied requests of somebody who is no partner, and a partner that sends without end: nothing changes,
and another partner is served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
import sqlite3
import statistics
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from tests.support.callers import pour, signing_caller
from tests.support.hosted import Hosted
from tests.support.strangers import varied
from tests.support.trust import trusted_nodes

from embedded_scheduler.home import Home

REQUESTS = 1000
"""`python -m benchmarks` sends ten thousand, and measures the delay; here the sender takes its time from the node."""
CONNECTIONS = 150
VOLATILE = frozenset({"inbox", "job_versions", "nonces"})
"""What a partner's own requests may change meanwhile."""


def contents(home: Home) -> dict[str, str]:
    """A hash of every table, and the names of the files in the home."""
    connection = sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {
            name: hashlib.sha256(repr(connection.execute(f"SELECT * FROM {name}").fetchall()).encode()).hexdigest()
            for name in tables
            if name not in VOLATILE
        }
    finally:
        connection.close()
    entries = sorted(str(p.relative_to(home.path)) for p in home.path.rglob("*"))
    return {**found, "files": "\n".join(e for e in entries if not e.startswith("node.db-"))}


POLL = {"task_id": "task-1", "role": "host"}


async def test_requests_of_a_stranger_change_nothing_and_shut_nobody_out(tmp_path: Path) -> None:
    async with trusted_nodes(tmp_path, "alice", "bob", settings="limits.refusal_seconds = 0.2\n") as nodes:
        alice = nodes["alice"]
        async with signing_caller(alice, nodes["bob"].home, "bob", "alice") as bob:
            await bob.latencies(30, "/task/poll", POLL)
            quiet = await bob.latencies(100, "/task/poll", POLL, pause=0.002)
            before = contents(alice.home)
            flood = asyncio.create_task(
                asyncio.to_thread(
                    lambda: asyncio.run(
                        pour(alice.running.listen, varied(REQUESTS, seed=1), connections=CONNECTIONS, tls=True)
                    )
                )
            )
            busy = []
            while not flood.done():
                busy += await bob.latencies(10, "/task/poll", POLL, pause=0.002)
            assert await flood == REQUESTS
            assert contents(alice.home) == before
            after = await bob.latencies(50, "/task/poll", POLL, pause=0.002)
        # The sender of the flood runs in this very process, on the same cores: benchmarks measure the strict number.
        assert statistics.median(busy) < 10 * statistics.median(quiet) + 0.05
        assert statistics.median(after) < 2 * statistics.median(quiet) + 0.05
        log = alice.home.node_log.read_text()
        assert "Traceback" not in log
        assert log.count("\n") < 40, log
        assert sum("requests refused" in line for line in log.splitlines()) in (1, 2), "one line a minute"
        await says_how_many(alice)


async def says_how_many(node: Hosted) -> None:
    async with node.client() as client:
        found = [f for f in (await client.doctor()).findings if f.check == "limits"]
    assert len(found) == 1
    assert "requests of strangers" in found[0].text


async def test_what_would_have_to_be_unpacked_is_refused(tmp_path: Path) -> None:
    async with (
        trusted_nodes(tmp_path, "alice", "bob") as nodes,
        signing_caller(nodes["alice"], nodes["bob"].home, "bob", "alice") as bob,
    ):
        body = gzip.compress(json.dumps(POLL).encode())
        for encoding in ("gzip", "br", "deflate, gzip"):
            request = bob.request("/task/poll", body, **{"content-encoding": encoding})
            assert (await bob.http.send(request)).json()["code"] == 415
        assert (await bob.ask("/task/poll", POLL))["code"] == 404


BUSY = """
limits.partner_requests_per_second = 5
limits.partner_burst = 60
limits.partner_concurrent = 16
limits.refusal_seconds = 0.2
"""


async def test_a_partner_that_sends_without_end_does_not_starve_another(tmp_path: Path) -> None:
    async with (
        trusted_nodes(tmp_path, "alice", "bob", "carol", settings=BUSY) as nodes,
        signing_caller(nodes["alice"], nodes["bob"].home, "bob", "alice") as bob,
        signing_caller(nodes["alice"], nodes["carol"].home, "carol", "alice") as carol,
    ):
        quiet = await bob.latencies(15, "/task/poll", POLL, pause=0.06)
        codes: list[int] = []

        async def send_on() -> None:
            for _ in range(8):
                answer = await carol.ask("/task/poll", POLL)
                codes.append(answer["code"])

        async def hold_back() -> None:
            """A body that does not come: the slot is held until this gives up."""
            signed = carol.request("/task/poll", b"{}")
            headers = {**signed.headers, "content-length": "1000"}
            request = carol.http.build_request("POST", signed.url, content=trickle(), headers=headers)
            with contextlib.suppress(httpx.HTTPError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await carol.http.send(request)

        async def trickle() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

        async with asyncio.TaskGroup() as group:
            for _ in range(24):
                group.create_task(send_on())
            for _ in range(10):
                group.create_task(hold_back())
            busy = await bob.latencies(15, "/task/poll", POLL, pause=0.06)
        assert codes.count(404) >= 60, "what it may send is answered"
        assert codes.count(429) > 40, "what is beyond that is not"
        assert statistics.median(busy) < 10 * statistics.median(quiet) + 0.1
        again = await bob.ask("/task/poll", POLL)
        assert again["code"] == 404
        async with nodes["alice"].client() as client:
            found = next(f for f in (await client.doctor()).findings if f.check == "limits")
        assert "of carol" in found.text
        assert "of bob" not in found.text
