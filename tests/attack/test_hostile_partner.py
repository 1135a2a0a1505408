"""A partner with a contract and the right key that sends what it likes, to every endpoint of a real node that runs its
job: each message is answered in the envelope, none with a fault of ours, and the node goes on."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from tests.support.callers import unverified
from tests.support.hosted import Hosted, started
from tests.support.probe_jobs import probe_job
from tests.support.trust import add_trust, certificate_of

from embedded_scheduler.api.family import Endpoint
from embedded_scheduler.api.interconn import node as node_family
from embedded_scheduler.api.interconn import resources, schedule
from embedded_scheduler.config import Home
from embedded_scheduler.domain.identifiers import task_id_for
from embedded_scheduler.provision import provision
from embedded_scheduler.security.identity import load_identity
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, render_headers
from embedded_scheduler.wire.bfia.signature import SignedRequest, Signer

ENDPOINTS: list[Endpoint[Any]] = [
    *schedule.family.endpoints,
    *resources.family.endpoints,
    *node_family.family.endpoints,
]
QUICK = "limits.refusal_seconds = 0.0\ntiming.retry_longest = 0.5\nlimits.partner_requests_per_second = 100000\n"
DEEP: Any = {"a": [{"b": [None] * 3}]}
for _ in range(25):
    DEEP = {"x": [DEEP]}
HOSTILE: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    -(2**63) - 1,
    1.5,
    1e308,
    "",
    " ",
    "..",
    "../../../etc/passwd",
    "a\0b",
    "a\nb",
    "\x1b[2J\x1b]0;title\x07",
    "\u202ereversed",
    "😀" * 300,
    "x" * 100_000,
    "%00%s%n{0}{x!r}",
    "'; DROP TABLE jobs; --",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"": ""},
    {"a": {"b": "c"}},
    [1] * 5_000,
    DEEP,
]
FAILURES: list[Any] = [
    {"stage": "run", "class": "exit", "exit_code": 3},
    {"stage": "run", "class": "exit", "exit_code": 10**18},
    {"stage": "run", "class": "exit", "exit_code": True, "more": "x" * 1000},
    {"stage": ["run"], "class": {"exit": 1}, "exit_code": "3"},
    {"stage": "run\n", "class": "EXIT"},
]


@dataclass(frozen=True, slots=True)
class Partner:
    """Signs whatever it sends, by the key that its contract names."""

    http: httpx.AsyncClient
    signer: Signer

    async def send(self, method: str, path: str, members: Mapping[str, Any]) -> dict[str, Any]:
        said = PartnerHeaders(
            source="bob",
            target="alice",
            nonce=secrets.token_hex(8),
            trace_id="t",
            timestamp=f"{time.time_ns() // 10**6}",
        )
        query, body = "", b""
        if method == "GET":
            query = urlencode(
                [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in members.items()]
            )
        else:
            body = json.dumps(members).encode()
        signature = self.signer.sign(SignedRequest(method, path, query, said, body).message())
        headers = render_headers(said, signature=signature, writes=method != "GET")
        answer = await self.http.request(method, f"{path}?{query}" if query else path, content=body, headers=headers)
        found: dict[str, Any] = answer.json()
        assert answer.status_code == 200, (path, answer.status_code)
        assert "\n" not in str(found["msg"])
        assert len(str(found["msg"])) < 2000
        return found


@asynccontextmanager
async def partner_of(directory: Path) -> AsyncIterator[tuple[Hosted, Partner]]:
    alice, bob = Home(directory / "alice"), Home(directory / "bob")
    provision(alice, node_id="alice", listen="127.0.0.1:0", platform="127.0.0.1:0", tls="mutual")
    provision(bob, node_id="bob", listen="127.0.0.1:0", platform="127.0.0.1:0", tls="mutual")
    alice.settings_file.write_text(f"{alice.settings_file.read_text()}\n{QUICK}")
    await add_trust(alice, "bob", "https://127.0.0.1:9", certificate_of(bob))
    identity = load_identity(bob.identity)
    async with (
        started(alice) as node,
        httpx.AsyncClient(base_url=node.url, verify=unverified(identity), trust_env=False, timeout=30) as http,
    ):
        yield node, Partner(http, Signer(identity.key))


def _job(job_id: str, **parameters: Any) -> dict[str, Any]:
    parties = {"guest": "bob", "host": "alice"}
    return {
        "job_id": job_id,
        **probe_job(parties, {"probe_0": []}, parameters={"probe_0": parameters}, coordinator="bob"),
    }


def _good(endpoint: Endpoint[Any], job_id: str) -> dict[str, Any]:
    """A body that this endpoint may take."""
    known: dict[str, Any] = {
        **_job(f"new-{secrets.token_hex(4)}" if "create" in endpoint.path else job_id),
        "task_id": task_id_for(job_id, "probe_0"),
        "task_name": "probe_0",
        "role": "host",
        "status": "RUNNING",
        "audit_id": "audit-1",
        "contract_id": "contract-alice-bob",
        "dataset_id": "datasets#none",
        "project_id": "project-1",
        "flow_id": "flow-1",
        "model_id": "model-1",
        "name": "some",
        "page_num": 1,
        "page_size": 10,
        "code": "probe",
        "version": "1.0.0",
        "node_id": "bob",
        "approved": True,
        "kind": "job",
    }
    if "create" in endpoint.path:
        del known["name"], known["version"], known["role"], known["status"]
    wanted = endpoint.request.model_fields
    return {name: known.get(field.alias or name, known.get(name, "x")) for name, field in wanted.items()}


def _bodies(endpoint: Endpoint[Any], job_id: str) -> Iterator[dict[str, Any]]:
    """Good ones, and others with one thing wrong. All values everywhere take two minutes: `EVERYTHING=1`."""
    good, chance = _good(endpoint, job_id), random.Random(endpoint.path)

    def some() -> list[Any]:
        return HOSTILE if os.environ.get("EVERYTHING") else chance.sample(HOSTILE, 3)

    if endpoint.method == "GET":
        # What a query cannot carry is refused by the listener already.
        yield from (good | {name: value} for name in good for value in some() if len(str(value)) < 2000)
        return
    yield good
    yield good | {"unknown": DEEP, "__class__": "x", "failure": DEEP}
    for name in good:
        yield {other: value for other, value in good.items() if other != name}
        yield from (good | {name: value} for value in some())
    if "failure" in good:
        for status in ("FAILED", "SUCCESS", "failed", "nonsense"):
            yield from (good | {"status": status, "failure": value} for value in [*FAILURES, *some()])
    if "create" in endpoint.path:
        for place in (("config",), ("dag",), ("config", "role"), ("config", "job_params"), ("config", "task_params")):
            for value in some():
                made = json.loads(json.dumps(_good(endpoint, job_id)))
                inner = made
                for step in place[:-1]:
                    inner = inner[step]
                inner[place[-1]] = value
                yield made


async def _failed_share(bob: Partner, job_id: str) -> None:
    """A job whose part here has run and failed, which is what most answers are about."""
    task = {"job_id": job_id, "task_id": task_id_for(job_id, "probe_0"), "task_name": "probe_0"}
    for path, body in (("job/create", _job(job_id, fail="3")), ("job/start", {"job_id": job_id}), ("task/start", task)):
        answer = await bob.send("POST", f"/v1/interconn/schedule/{path}", body)
        assert answer["code"] == 200, answer
    async with asyncio.timeout(30):
        while (answer := await bob.send("POST", "/v1/interconn/schedule/task/poll", task))["data"][
            "status"
        ] != "FAILED":
            await asyncio.sleep(0.05)
    assert answer["data"]["failure"] == {"stage": "run", "class": "exit", "exit_code": 3}


@pytest.mark.timeout(120)
async def test_whatever_a_partner_sends_is_answered_and_breaks_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faults: list[Any] = []
    async with partner_of(tmp_path) as (node, bob):
        job_id = "job-1"
        await _failed_share(bob, job_id)

        async def attack(endpoint: Endpoint[Any]) -> None:
            for body in _bodies(endpoint, job_id):
                answer = await bob.send(endpoint.method, endpoint.path, body)
                if answer["code"] == 500:
                    faults.append((endpoint.method, endpoint.path, str(body)[:300], answer["msg"]))

        # What ends the contract, the job or the key comes last.
        last = ("terminate", "node/update", "/stop", "contract/")
        await asyncio.gather(*(attack(each) for each in ENDPOINTS if not any(word in each.path for word in last)))
        for endpoint in (each for each in ENDPOINTS if "/stop" in each.path or "node/update" in each.path):
            await attack(endpoint)
        for endpoint in (each for each in ENDPOINTS if "terminate" in each.path or "contract/" in each.path):
            await attack(endpoint)
        async with node.client() as client:
            health = await client.status()
            assert health.node_id == "alice"
    assert faults == []
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
