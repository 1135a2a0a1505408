"""The policy by console API and command line, on a real node."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.cluster import Cluster, document
from tests.support.hosted import Hosted, hosted

from embedded_scheduler.engine import jobs
from embedded_scheduler.home import Home
from embedded_scheduler.provision import provision
from nodeconsole import launcher
from nodeconsole.cli.exits import Exit
from nodeconsole.client import ClientError

REFUSE = """
[[rule]]
name = "not without purpose"
when = {component = "*/probe", purpose = "none"}
then = "refuse"
reason = "say why, {initiator}"

[[rule]]
name = "bob once a day"
when = {partner = "bob", quota = {count = 1, per = "day"}}
then = "approve"
"""


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str


async def run(node: Hosted, *arguments: str) -> Done:
    """One command line by the program's own entry function, in a thread."""

    def call() -> Done:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with redirect_stdout(out), redirect_stderr(err):
            code = launcher.run([*arguments, "--home", str(node.home.path)])
        return Done(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))  # type: ignore[attr-defined]

    async with asyncio.timeout(60):
        done = await asyncio.to_thread(call)
    assert "Traceback" not in done.err, done.err
    return done


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Hosted]:
    """A node on which bob has created two jobs that wait for a decision."""
    home = Home(tmp_path / "alice")
    provision(home, node_id="alice", listen="127.0.0.1:0", platform="127.0.0.1:0")
    past = Cluster(tmp_path)
    engine = await past.start("alice")
    past.strangers["bob"] = lambda message: pytest.fail(f"{message} was sent")
    past.partners["alice"].policy["bob"] = "manual"
    for number in (1, 2):
        given = document(("a",), roles={"guest": ["bob"], "host": ["alice"]}, initiator="bob")
        await jobs.create(engine, f"job-{number}", given, source="bob", trace_id="t")
    await past.stop_all()
    async with hosted(home.path) as running:
        yield running


def own_job(**common: Any) -> dict[str, Any]:
    found = document(("a",), roles={"guest": ["alice"]})
    found["config"]["job_params"]["common"].update(common)
    return found


async def test_show_set_and_a_second_hand(node: Hosted) -> None:
    async with node.client() as client:
        assert (await client.policy()).version == 0
        first = await client.set_policy(REFUSE, expected=0)
        assert (first.version, first.text) == (1, REFUSE)
        assert first.set_by.startswith("operator:")
        with pytest.raises(ClientError) as caught:
            await client.set_policy("", expected=0)
        assert (caught.value.status, caught.value.code) == (409, "conflict")
        with pytest.raises(ClientError, match=r"line 3: rule 1 'x': unknown key 'them'") as caught:
            await client.set_policy('[[rule]]\nname = "x"\nthem = "ask"\n')
        assert caught.value.status == 400
        assert await client.policy() == first


async def test_a_trial_changes_nothing_and_the_policy_decides_as_it_said(node: Hosted) -> None:
    async with node.client() as client:
        last_seq = (await client.status()).last_seq
        tried = await client.test_policy(own_job(purpose="none"), text=REFUSE)
        assert tried.ruling is not None
        assert (tried.ruling.action, tried.ruling.reason) == ("refuse", "say why, alice")
        replay = await client.test_policy(last=5, text=REFUSE)
        assert [(trial.job_id, trial.ruling.action, trial.decided) for trial in replay.jobs] == [
            ("job-2", "ask", "PENDING"),
            ("job-1", "approve", "PENDING"),
        ]
        for wrong in ({}, {"document": own_job(), "last": 3}, {"last": 0}, {"last": 10**6}):
            with pytest.raises(ClientError) as caught:
                await client.test_policy(wrong.get("document"), last=wrong.get("last"))  # type: ignore[arg-type]
            assert caught.value.status == 400
        assert (await client.status()).last_seq == last_seq
        await client.set_policy(REFUSE)
        with pytest.raises(ClientError, match="policy 1: rule 'not without purpose' says refuse: component"):
            await client.submit(own_job(purpose="none"))
        job_id = (await client.submit(own_job(purpose="test"))).job_id
        assert (await client.job(job_id)).policy[-1] == "policy 1: no rule applies"


async def test_a_request_says_when_it_expires(node: Hosted) -> None:
    async with node.client() as client:
        waiting = (await client.job("job-1")).job.waiting
    assert waiting is not None
    assert waiting.next_ms == waiting.since_ms + 168 * 3_600_000
    assert "approve or reject; expires " in waiting.text


async def test_the_command_line(node: Hosted, tmp_path: Path) -> None:
    none = await run(node, "policy", "show")
    assert (none.code, none.out) == (Exit.OK, "")
    assert "no policy is set" in none.err

    file = tmp_path / "policy.toml"
    file.write_text(REFUSE.replace("quota", "qouta"))
    wrong = await run(node, "policy", "set", str(file))
    assert wrong.code == Exit.USAGE
    assert "line 10: rule 2 'bob once a day': unknown key 'when.qouta'" in wrong.err

    file.write_text(REFUSE)
    done = await run(node, "policy", "set", str(file), "--expect", "0")
    assert (done.code, done.out.startswith("policy 1, set ")) == (Exit.OK, True)
    assert (await run(node, "policy", "set", str(file), "--expect", "7")).code == Exit.REFUSED
    assert (await run(node, "policy", "show")).out == REFUSE
    assert json.loads((await run(node, "policy", "show", "--json")).out)["version"] == 1

    job = tmp_path / "job.json"
    job.write_text(json.dumps(own_job(purpose="none")))
    tried = await run(node, "policy", "test", str(job))
    assert tried.out.splitlines()[0] == "refuse"
    assert "the partner is told: refused by policy: say why, alice" in tried.out
    assert json.loads((await run(node, "policy", "test", str(job), "--json")).out)["ruling"]["action"] == "refuse"
    from_bob = document(("a",), roles={"guest": ["bob"], "host": ["alice"]}, initiator="bob")
    job.write_text(json.dumps(from_bob))
    assert (await run(node, "policy", "test", str(job))).out.splitlines()[0] == "approve"
    by_mallory = await run(node, "policy", "test", str(job), "--coordinator", "mallory")
    assert "partner mallory is not bob" in by_mallory.out

    empty = tmp_path / "empty.toml"
    empty.write_text("")
    last = await run(node, "policy", "test", "--last", "10", "--policy", str(empty))
    assert last.out.count("no rule applies") == 2
    assert [line.split()[0] for line in last.out.splitlines()] == ["JOB", "job-2", "job-1"]
    rows = json.loads((await run(node, "policy", "test", "--last", "1", "--json")).out)["jobs"]
    assert [row["job_id"] for row in rows] == ["job-2"]
    assert (await run(node, "policy", "test")).code == Exit.USAGE
