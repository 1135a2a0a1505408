"""Who may do what about a job: its coordinator, its initiator, its participants, another partner, and a stranger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.hosted import Hosted, hosted
from tests.support.probe_jobs import probe_job

from embedded_scheduler.api.interconn import schedule
from embedded_scheduler.wire.console import PeerRequest

PARTNERS = ("boss", "ines", "carl", "dave")
"""The coordinator, the initiator, another participant, and a partner that has nothing to do with the job."""
STRANGER = "eve"
DRIVERS = frozenset({"boss", "ines"})
MEMBERS = DRIVERS | {"carl"}
SLOW = {"sleep": 60}
RUNNING = {"status": "RUNNING"}
UNKNOWN_JOB, UNKNOWN_TASK = "job-0", "task-0"
PREFIX = "/v1/interconn/schedule"


@dataclass(frozen=True, slots=True)
class Shared:
    """A running node with a running job of others that it takes part in."""

    node: Hosted
    http: httpx.AsyncClient
    job_id: str
    task_id: str

    async def ask(self, who: str, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.http.request(
            method,
            f"{PREFIX}{path}",
            content=json.dumps(body).encode(),
            headers={"x-source-node-id": who, "connection": "close"},
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Shared]:
    async with hosted(tmp_path / "alice", settings="timing.submit_wait = 0.1\nlimits.stranger_burst = 1000\n") as node:
        async with node.client() as client:
            for name in PARTNERS:
                # Nobody listens there: what this node tells them waits.
                await client.add_peer(
                    PeerRequest(node_id=name, url="http://127.0.0.1:9", approval="auto", signing="off")
                )
        async with httpx.AsyncClient(base_url=node.url, trust_env=False) as http:
            found = Shared(node, http, "job-1", "task-1")
            made = probe_job({"guest": "ines", "host": "alice", "arbiter": "carl"}, {"a": []}, parameters={"a": SLOW})
            created = await found.ask("boss", "POST", "/job/create", {"job_id": "job-1", **made})
            assert created["code"] == 200, created
            started = {"job_id": "job-1", "task_id": "task-1", "task_name": "a"}
            assert (await found.ask("boss", "POST", "/task/start", started))["code"] == 200
            async with asyncio.timeout(10):
                while (await found.ask("boss", "POST", "/task/poll", {"task_id": "task-1"}))["data"] != RUNNING:
                    await asyncio.sleep(0.02)
            yield found


Body = Callable[[str, str], dict[str, Any]]
ENDPOINTS: dict[tuple[str, str], tuple[Body, frozenset[str]]] = {
    ("POST", "/job/start"): (lambda job, task: {"job_id": job}, DRIVERS),
    ("POST", "/task/start"): (lambda job, task: {"job_id": job, "task_id": task, "task_name": "a"}, DRIVERS),
    ("GET", "/job/status_all"): (lambda job, task: {"job_id": job}, MEMBERS),
    ("POST", "/job/status_all"): (lambda job, task: {"job_id": job}, MEMBERS),
    ("POST", "/task/poll"): (lambda job, task: {"task_id": task, "role": "host"}, DRIVERS),
    ("POST", "/task/callback"): (lambda job, task: {"task_id": task, "role": "arbiter", "status": "SUCCESS"}, MEMBERS),
    ("POST", "/job/audit_confirm"): (lambda job, task: {"job_id": job, "status": "READY"}, MEMBERS),
    ("POST", "/task/stop"): (lambda job, task: {"task_id": task}, DRIVERS),
    ("POST", "/job/stop"): (lambda job, task: {"job_id": job}, DRIVERS),
    ("POST", "/job/stop_all"): (lambda job, task: {"job_id": job}, MEMBERS),
}
"""For each endpoint how it is asked about a job and a task, and who may. The last ones end the job."""


def test_the_table_names_every_endpoint() -> None:
    named = {(method, PREFIX + path) for method, path in ENDPOINTS}
    created = {("POST", f"{PREFIX}/job/create"), ("POST", f"{PREFIX}/job/create_all")}
    assert {(e.method, e.path) for e in schedule.family.endpoints} == named | created


async def test_members_are_served_and_others_learn_nothing(shared: Shared) -> None:
    ledger = await last_event(shared.node)
    for (method, path), (body, allowed) in ENDPOINTS.items():
        for who in ("dave", STRANGER, *(MEMBERS - allowed)):
            foreign = await shared.ask(who, method, path, body(shared.job_id, shared.task_id))
            unknown = await shared.ask(who, method, path, body(UNKNOWN_JOB, UNKNOWN_TASK))
            assert foreign["code"] == (401 if who == STRANGER else 404), (who, path, foreign)
            assert as_unknown(foreign) == unknown, (who, path)
    assert await last_event(shared.node) == ledger, "nothing of this is an event"
    for (method, path), (body, allowed) in ENDPOINTS.items():
        for who in sorted(allowed):
            answer = await shared.ask(who, method, path, body(shared.job_id, shared.task_id))
            assert answer["code"] == 200, (who, path, answer)


def as_unknown(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer as it would read for the ids that nothing has."""
    text = json.dumps(answer).replace("job-1", UNKNOWN_JOB).replace("task-1", UNKNOWN_TASK)
    return dict(json.loads(text))


async def last_event(node: Hosted) -> int:
    async with node.client() as client:
        return (await client.status()).last_seq


async def test_a_job_of_others_cannot_be_created_again_nor_seen_that_way(shared: Shared) -> None:
    ledger = await last_event(shared.node)
    mine = probe_job({"guest": "dave", "host": "alice"}, {"a": []})
    theirs = probe_job({"guest": "ines", "host": "alice", "arbiter": "carl"}, {"a": []}, parameters={"a": SLOW})
    said = set()
    for who, made in (("dave", mine), ("dave", theirs)):
        for path in ("/job/create", "/job/create_all"):
            answer = await shared.ask(who, "POST", path, {"job_id": shared.job_id, **made})
            if answer["code"] == 403:
                continue  # create_all in the name of another initiator
            assert answer["code"] == 409, answer
            said.add(answer["msg"])
    assert len(said) == 1, said
    assert "boss" not in said.pop()
    assert await last_event(shared.node) == ledger


async def test_nobody_answers_for_another_participant(tmp_path: Path) -> None:
    """At the coordinator: a participant's callback or decision counts for its own share alone."""
    async with hosted(tmp_path / "alice", settings="timing.submit_wait = 0.1\n") as node, node.client() as client:
        for name in ("bob", "carl"):
            await client.add_peer(PeerRequest(node_id=name, url="http://127.0.0.1:9", approval="auto", signing="off"))
        async with httpx.AsyncClient(base_url=node.url, trust_env=False) as http:
            shared = Shared(node, http, "job-1", "")
            made = probe_job({"guest": "bob", "host": "carl", "arbiter": "alice"}, {"a": []}, sync_type="callback")
            answer = await shared.ask("bob", "POST", "/job/create_all", {"job_id": "job-1", **made})
            assert answer["code"] == 200, answer
            for _ in range(2):
                answer = await shared.ask("carl", "POST", "/job/audit_confirm", {"job_id": "job-1", "status": "READY"})
                assert answer["code"] == 200, "carl decides for itself, once or more often"
        detail = await client.job("job-1")
        states = {row.node_id: row.state for row in detail.approvals}
        assert states == {"alice": "APPROVED", "bob": "PENDING", "carl": "APPROVED"}
