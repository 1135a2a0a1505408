"""Attempts that run out of something, between two real nodes: what is recognised, shown here, and told there."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from tests.support.granting import Pair, fresh, running_pair
from tests.support.hosted import Hosted, hosted
from tests.support.nodes import eventually
from tests.support.probe_jobs import fan, probe_job
from tests.support.self_descriptions import component

from embedded_scheduler.wire.console import JobDetail
from embedded_scheduler.wire.console_tasks import AttemptRow
from nodeconsole.client import ClientError, NodeClient
from nodeconsole.i18n.catalogue import load
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.glyphs import SAFE
from nodeconsole.viewmodels.sentences import sentence, told

ZH = Display(load("zh_CN"), SAFE, 0, UTC, "alice")

PROGRAM = f"""#!{sys.executable} -I
import os, signal, sys, time
what = os.environ.get("runtime.component.parameter.what", "")
if what == "memory":
    held = bytearray(2 << 30)
elif what == "disk":
    with open("big", "wb") as file:
        file.write(b"x" * (64 << 20))
elif what == "signal":
    os.kill(os.getpid(), signal.SIGSEGV)
elif what == "exit":
    print("secret path /etc/passwd"); sys.exit(3)
elif what == "sleep":
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "fails"
    path.write_text(PROGRAM)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, program: Path) -> Iterator[dict[str, Hosted]]:
    settings = (
        f'components.allow_exec = ["{program}"]\ncomponents.sandbox = "off"\nlimits.attempt_memory = 0.5\n'
        "limits.attempt_disk = 0.01\nlimits.memory = 4\ntiming.poll_first = 0.2\ntiming.retry_first = 0.05\n"
        "timing.stop_grace = 0.5\n"
    )
    with running_pair(tmp_path_factory.mktemp("failures"), settings=settings) as running:
        yield running


@pytest.fixture
async def pair(nodes: dict[str, Hosted], tmp_path: Path, program: Path) -> AsyncIterator[Pair]:
    async with fresh(nodes, tmp_path) as found:
        for client in (found.alice, found.bob):
            await client.register_component(f"exec:{program}", component())
        yield found


def job(what: str, *, resources: dict[str, float] | None = None) -> dict[str, Any]:
    """At bob alone the component fails; alice's part only starts."""
    document = probe_job({"guest": "alice", "host": "bob"}, fan(1))
    document["dag"]["components"][0] |= {"componentName": "thing", "provider": "acme", "version": "1"}
    document["config"]["task_params"]["host"]["0"]["probe_0"] = {"what": what}
    document["config"]["job_params"]["host"] = {"0": {"resources": resources or {}}}
    return document


async def over(client: NodeClient, job_id: str) -> JobDetail:
    async def look() -> JobDetail | None:
        found = await client.job(job_id)
        return found if found.job.state == "FINISHED" else None

    return await eventually(look, what=f"{job_id} is over", within=30, pause=0.05)


async def attempt_of(client: NodeClient, job_id: str) -> AttemptRow:
    return (await client.task(job_id, "probe_0")).attempts[0]


@pytest.mark.parametrize(
    ("what", "cause", "local", "told"),
    [
        ("memory", "memory", "out of memory (limit 0.5 GiB, set by the node", "out of memory (exit code 1)"),
        ("disk", "disk", "no room on the disk (limit 0.01 GiB, set by the node)", "no room on its disk (exit code 1)"),
        ("signal", "signal", "ended by SIGSEGV", "ended by a signal"),
        ("exit", "exit", "exit code 3", "failed (exit code 3)"),
    ],
)
async def test_what_ran_out_is_recognised_and_told_as_a_class(
    pair: Pair, what: str, cause: str, local: str, told: str
) -> None:
    submitted = await pair.alice.submit(job(what))
    here, there = await over(pair.bob, submitted.job_id), await over(pair.alice, submitted.job_id)
    run = await attempt_of(pair.bob, submitted.job_id)
    assert run.cause == cause
    assert local in here.tasks[0].shares[0].reason
    assert {limit.kind: (limit.value, limit.origin) for limit in run.limits} == {
        "memory": (0.5, "node"),
        "disk": (0.01, "node"),
    }
    assert run.peak_bytes
    assert run.peak_bytes > 1 << 20
    share = next(share for share in there.tasks[0].shares if share.node_id == "bob")
    assert share.reason == f"bob says FAILED: {told}"
    assert "/etc/passwd" not in f"{there.job.reason}{share.reason}"


async def test_why_a_job_failed_is_said_in_chinese_though_it_was_stored(pair: Pair) -> None:
    submitted = await pair.alice.submit(job("exit"))
    here, there = await over(pair.bob, submitted.job_id), await over(pair.alice, submitted.job_id)
    assert told(there.job, "reason", ZH) == "任务 probe_0 失败：host.0：bob 报告失败（FAILED）：失败（退出码 3）"
    share = next(share for share in there.tasks[0].shares if share.node_id == "bob")
    assert told(share, "reason", ZH) == "bob 报告失败（FAILED）：失败（退出码 3）"
    assert told(here.tasks[0].shares[0], "reason", ZH) == "退出码 3"
    events = (await pair.alice.event_page(job_id=submitted.job_id)).events
    finished = next(event for event in events if event.event == "job.finished")
    assert told(finished, "reason", ZH) == told(there.job, "reason", ZH)


async def test_a_refusal_is_said_in_chinese(pair: Pair) -> None:
    with pytest.raises(ClientError) as refused:
        await pair.alice.revoke_token("nobody")
    assert sentence(refused.value.said, "", ZH) == "没有可撤销的令牌 'nobody'：`nodeconsole token list` 可列出全部令牌"


async def test_limits_say_whose_they_are_and_what_was_asked(pair: Pair) -> None:
    submitted = await pair.alice.submit(job("", resources={"memory": 3, "cpu": 2, "disk": 0.005}))
    await over(pair.alice, submitted.job_id)
    run = await attempt_of(pair.bob, submitted.job_id)
    assert [(limit.kind, limit.value, limit.origin, limit.asked) for limit in run.limits] == [
        ("cpu", 2, "job", None),
        ("memory", 0.5, "node", 3),
        ("disk", 0.005, "job", None),
    ]
    assert run.cause == ""
    again = await pair.alice.submit(job(""))
    await over(pair.alice, again.job_id)
    usual = (await attempt_of(pair.bob, again.job_id)).usual_peak_bytes
    assert usual is not None
    assert usual >= (run.peak_bytes or 0)


async def test_a_component_over_its_time_is_ended(tmp_path: Path, program: Path) -> None:
    settings = f'components.allow_exec = ["{program}"]\nlimits.attempt_hours = 0.0003\ntiming.stop_grace = 0.5\n'
    async with hosted(tmp_path / "alice", settings=settings) as node, node.client() as client:
        await client.register_component(f"exec:{program}", component())
        document = probe_job({"guest": "alice"}, fan(1), parameters={"probe_0": {"what": "sleep"}})
        document["dag"]["components"][0] |= {"componentName": "thing", "provider": "acme", "version": "1"}
        submitted = await client.submit(document)
        found = await over(client, submitted.job_id)
        assert (await attempt_of(client, submitted.job_id)).cause == "time"
        assert "over its time limit of 0.0003 hours, set by the node" in found.tasks[0].shares[0].reason


async def test_what_does_not_fit_waits_its_turn_and_what_never_fits_is_refused(tmp_path: Path) -> None:
    settings = 'limits.memory = 1.5\ncomponents.sandbox = "off"\n'
    async with hosted(tmp_path / "alice", settings=settings) as node, node.client() as client:

        def wanting(memory: float, seconds: float) -> dict[str, Any]:
            document = probe_job({"guest": "alice"}, fan(1), parameters={"probe_0": {"sleep": seconds}})
            document["config"]["job_params"]["guest"] = {"0": {"resources": {"memory": memory}}}
            return document

        with pytest.raises(ClientError, match=r"wants 2\.0 GiB of memory, all components .* get 1\.5 GiB"):
            await client.submit(wanting(2, 0))
        first = await client.submit(wanting(1, 1.0))
        await eventually(lambda: _runs(client, first.job_id), what="the first runs", within=10, pause=0.05)
        second = await client.submit(wanting(1, 0))
        small = await client.submit(wanting(0.25, 0))
        await over(client, small.job_id)
        one, two = await over(client, first.job_id), await over(client, second.job_id)
        assert (one.job.outcome, two.job.outcome) == ("succeeded", "succeeded")
        ended, launched = (await attempt_of(client, first.job_id)), (await attempt_of(client, second.job_id))
        assert ended.ended_ms is not None
        assert launched.launched_ms is not None
        assert launched.launched_ms >= ended.ended_ms
        log = await client.log(second.job_id, "probe_0")
        assert any(
            "waits: it needs 1.0 GiB of memory, 0.5 GiB of 1.5 GiB are free; running: probe_0" in line
            for line in log.lines
        )


async def _runs(client: NodeClient, job_id: str) -> bool:
    return (await client.job(job_id)).tasks[0].state == "RUNNING"
