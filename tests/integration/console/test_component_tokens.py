"""What a component's token opens at the platform listener: its own task and its own session, nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.hosted import Hosted, hosted

from embedded_scheduler.wire.ptp import Code
from nodeconsole.client import NodeClient


@dataclass(frozen=True, slots=True)
class Attempt:
    job_id: str
    task_id: str
    session_id: str
    token: str


@dataclass(frozen=True, slots=True)
class Two:
    """A node on which two jobs run, each with one component that waits."""

    node: Hosted
    mine: Attempt
    other: Attempt
    http: httpx.AsyncClient

    async def callback(self, task: Attempt, token: str, status: str = "SUCCESS") -> dict[str, Any]:
        answer = await self.http.post(
            "/v1/platform/schedule/task/callback",
            json={"task_id": task.task_id, "role": "guest.0", "status": status},
            headers={"authorization": f"Bearer {token}"},
        )
        found: dict[str, Any] = answer.json()
        return found

    async def channel(self, verb: str, session: Attempt, token: str, content: bytes = b"") -> dict[str, Any]:
        headers = {
            "x-ptp-session-id": session.session_id,
            "x-ptp-token": token,
            "x-ptp-target-node-id": "alice",
            "content-type": "application/json",
        }
        body = {"topic": "t", "payload": content.decode(), "timeout": 1}
        answer = await self.http.post(f"/v1/interconn/chan/{verb}", content=json.dumps(body), headers=headers)
        found: dict[str, Any] = answer.json()
        return found


def _job() -> dict[str, Any]:
    component = {"name": "probe_0", "componentName": "probe", "provider": "nodeconsole", "version": "1.0.0"}
    return {
        "flow_id": "flow",
        "dag": {"version": "2.0.0", "components": [component | {"input": [], "output": []}]},
        "config": {
            "initiator": {"role": "guest", "node_id": "alice"},
            "role": {"guest": ["alice"]},
            "task_params": {"common": {"probe_0": {"sleep": "600"}}},
        },
    }


async def _running(node: Hosted, client: NodeClient) -> Attempt:
    job_id = (await client.submit(_job())).job_id
    async with asyncio.timeout(20):
        after = 0
        while (detail := await client.job(job_id)).tasks[0].state != "RUNNING":
            async for page in client.events(after):
                after = page.events[-1].seq
                break
    secret = (node.home.path / "attempt.key").read_text().strip().encode()
    with closing(sqlite3.connect(node.home.database)) as database:
        found = database.execute("SELECT attempt_id, session_id FROM attempts WHERE job_id = ?", (job_id,)).fetchone()
    token = hmac.new(secret, f"attempt\n{found[0]}".encode(), hashlib.sha256).hexdigest()
    return Attempt(job_id, detail.tasks[0].task_id, found[1], token)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    async with hosted(tmp_path / "alice") as node, node.client() as client:
        first, second = [await _running(node, client) for _ in range(2)]
        async with httpx.AsyncClient(base_url=node.platform_url, timeout=20) as http:
            yield Two(node, first, second, http)
        for attempt in (first, second):
            await client.stop(attempt.job_id)
        await _ended(client, first, second)


async def _ended(client: NodeClient, *attempts: Attempt) -> None:
    open_jobs = {attempt.job_id for attempt in attempts}
    async with asyncio.timeout(20):
        async for page in client.events():
            for job_id in open_jobs & {event.job_id for event in page.events}:
                if (await client.job(job_id)).job.state == "FINISHED":
                    open_jobs.remove(job_id)
            if not open_jobs:
                return


async def test_a_component_speaks_for_its_own_task_only(two: Two) -> None:
    assert (await two.callback(two.mine, two.mine.token, "RUNNING"))["code"] == 200
    for token in (two.other.token, "-", "x" * 64, two.mine.token[:-1], two.mine.token.upper()):
        assert (await two.callback(two.mine, token))["code"] == 401, token
    with closing(sqlite3.connect(two.node.home.database)) as database:
        said = dict(database.execute("SELECT job_id, callback FROM attempts").fetchall())
    assert said == {two.mine.job_id: "RUNNING", two.other.job_id: ""}


async def test_a_component_reads_and_writes_its_own_session_only(two: Two) -> None:
    assert (await two.channel("push", two.mine, two.mine.token, b"bWluZQ=="))["code"] == Code.OK
    for verb in ("pop", "peek", "push", "release"):
        answer = await two.channel(verb, two.mine, two.other.token, b"eA==")
        assert answer["code"] == Code.FORBIDDEN, verb
        assert "bWluZQ" not in json.dumps(answer)
    assert (await two.channel("pop", two.mine, two.mine.token))["content"] == "bWluZQ=="


async def test_a_component_is_not_the_platform(two: Two) -> None:
    headers = {"authorization": f"Bearer {two.mine.token}"}
    job = {"job_id": two.mine.job_id}
    for path, body in (
        ("job/stop_all", job),
        ("job/status_all", job),
        ("job/create_all", _job()),
        ("job/stop_task", job | {"task_name": "probe_0"}),
        ("component/register", {"imageUrl": "exec:/bin/sh", "component_info": {}}),
    ):
        answer = await two.http.post(f"/v1/platform/schedule/{path}", json=body, headers=headers)
        assert answer.json()["code"] == 401, path
    for path in ("task/get_log", "task/get_log_line", "job/query_job_list"):
        answer = await two.http.get(f"/v1/platform/schedule/{path}", params={"task_id": "x"}, headers=headers)
        assert answer.json()["code"] == 401, path
