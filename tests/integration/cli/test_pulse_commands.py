"""`stats`, `attention`, `top` and `ledger list` against a real node, for people and for programs."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from tests.integration.cli.test_commands import run
from tests.support.hosted import Hosted
from tests.support.showcase import serving

from nodeconsole.cli.exits import Exit


@pytest.fixture(scope="module")
def node() -> Iterator[Hosted]:
    with serving() as running:
        yield running


async def test_stats(node: Hosted) -> None:
    done = await run("stats", "--hours", "168", home=node.home)
    assert done.code == Exit.OK
    assert "succeeded 258" in done.out
    assert "psi-fraud-hourly" in done.out
    assert "bob" in done.out
    document = (await run("stats", "--json", home=node.home)).json
    assert len(document["buckets"]) == 24
    assert (await run("stats", "--hours", "0", home=node.home)).code == Exit.USAGE


async def test_attention(node: Hosted) -> None:
    done = await run("attention", home=node.home)
    assert done.code == Exit.OK
    assert "bob asks this node to join risk-join-2026q4" in done.out
    kinds = {item["kind"] for item in (await run("attention", "--json", home=node.home)).json["items"]}
    assert {"job_decision", "contract_decision", "grant_decision", "job_failed", "contract_ends"} <= kinds


async def test_top_once(node: Hosted) -> None:
    done = await run("top", "--once", home=node.home)
    for words in ("alice", "NEEDS YOU", "RUNNING", "PARTNERS", "psi-credit-daily", "122 GiB free"):
        assert words in done.out, words
    assert "\x1b" not in done.out
    document = (await run("top", "--json", home=node.home)).json
    assert {"status", "resources", "attention", "running", "peers"} <= document.keys()


def test_top_lives_in_a_terminal_and_leaves_it_as_it_was(node: Hosted) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "nodeconsole", "top", "--every", "0.1", "--home", str(node.home.path)]
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, start_new_session=True)
    os.close(follower)
    try:
        seen = _read_until(leader, b"PARTNERS")
        # The rest of the first picture; then nothing changes, and nothing is written.
        _read_for(leader, 0.5)
        quiet = _read_for(leader, 0.5)
        os.write(leader, b"q")
        rest = _read_until(leader, b"\x1b[?1049l")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert seen.startswith(b"\x1b[?1049h")
    assert len(quiet) < 200
    assert rest.endswith(b"\x1b[?1049l")


def _read_until(descriptor: int, wanted: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + 20
    while wanted not in seen and time.monotonic() < deadline:
        if select.select([descriptor], [], [], 0.1)[0]:
            seen += os.read(descriptor, 65536)
    assert wanted in seen, seen
    return seen


def _read_for(descriptor: int, seconds: float) -> bytes:
    seen, deadline = b"", time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([descriptor], [], [], left)[0]:
            seen += os.read(descriptor, 65536)
    return seen


async def test_ledger_list(node: Hosted) -> None:
    done = await run("ledger", "list", "--limit", "5", home=node.home)
    assert done.code == Exit.OK
    assert len(done.out.splitlines()) == 6
    approved = (await run("ledger", "list", "--event", "approved", "--partner", "bob", "--json", home=node.home)).json
    assert approved["events"]
    assert all(event["event"].endswith(".approved") for event in approved["events"])
    assert all(event["hash"] for event in approved["events"])
    none = await run("ledger", "list", "--actor", "nobody", home=node.home)
    assert (none.code, none.out) == (Exit.OK, "")
    wrong = await run("ledger", "list", "--since", "soon", home=node.home)
    assert wrong.code == Exit.USAGE
    assert "no moment" in wrong.err
