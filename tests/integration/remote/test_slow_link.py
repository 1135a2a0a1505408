"""Over 300 ms and 10 kB/s: how long an operator waits, and how much is sent."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.support import slow_link
from tests.support.fake_node import LOG_LINES, FakeNode, job_id
from tests.support.sshd import MISSING, Sshd, sshd

from nodeconsole.client import Link, NodeClient

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with sshd() as daemon:
        daemon.configure(f"ProxyCommand {sys.executable} -S {slow_link.__file__} %h %p")
        for name, value in daemon.environment.items():
            monkeypatch.setenv(name, value)
        yield daemon


async def test_attach_a_job_its_log_and_a_short_answer_beside_a_long_one(slow: Sshd) -> None:
    with TemporaryDirectory(prefix="nc") as directory, FakeNode(Path(directory) / "node.sock") as node:
        link = Link(slow.target(directory))
        async with NodeClient(link) as client:
            took = {}
            began = time.monotonic()
            await client.status()
            took["attach"] = time.monotonic() - began

            began = time.monotonic()
            await client.jobs(limit=100)
            took["jobs"] = time.monotonic() - began

            began = time.monotonic()
            await client.job(job_id(2))
            page = await client.log(job_id(2), "binning", start=-200)
            took["log"] = time.monotonic() - began
            assert page.total == LOG_LINES

            # The whole log, 2 MB, and a question meanwhile.
            stream = client.follow_log(job_id(2), "binning")
            await anext(stream)
            following = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(1.0)
            began = time.monotonic()
            await client.status()
            took["beside a log"] = time.monotonic() - began
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await stream.aclose()

            # At rest: the stream of events is open, and nothing is sent on it.
            events = client.events(after=node.last_seq)
            node.emit("x", "job.x")
            await anext(events)
            await asyncio.sleep(2.5)
            before = link.bytes_in + link.bytes_out
            await asyncio.sleep(1.0)
            assert link.bytes_in + link.bytes_out == before
            await events.aclose()
    # Bounds for a machine that does other things too; on a quiet one these are about half.
    assert took["attach"] < 10.0, took
    assert took["jobs"] < 5.0, took
    assert took["log"] < 5.0, took
    assert took["beside a log"] < 5.0, took
