"""Secrets are driven through a pair of working nodes, and looked for everywhere afterwards."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import serialization
from tests.support.callers import SCHEDULE
from tests.support.hosted import Hosted, hosted
from tests.support.probe_jobs import probe_job

from embedded_scheduler.home import Home
from embedded_scheduler.security.invitation import decode
from embedded_scheduler.wire.console import PeerRequest

CANARY = "canary-7f3a91c0-of-a-connector"


@dataclass(frozen=True, slots=True)
class Hidden:
    """A secret, and the files below the home that may hold it."""

    what: str
    value: bytes
    own: frozenset[str] = frozenset()


def places(home: Home, answers: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """Everything that may be read by somebody later: files, and what the node answered or runs."""
    for path in home.path.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(home.path)), path.read_bytes()
    yield from ((f"answer {number}", answer) for number, answer in enumerate(answers))


def command_lines() -> Iterator[tuple[str, bytes]]:
    """Of every process of this user: what `ps` shows."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == os.geteuid():
                    yield f"argv of {entry.name}", (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended


def spellings(raw: bytes) -> tuple[bytes, ...]:
    return raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"="), base64.urlsafe_b64encode(raw).rstrip(b"=")


def key_secrets(home: Home) -> list[Hidden]:
    """The node's signing key, as its file has it and as raw bytes in the spellings in use."""
    found: list[Hidden] = []
    for path in home.identity.iterdir():
        data = path.read_bytes()
        if b"PRIVATE KEY" not in data:
            continue
        own = frozenset({str(path.relative_to(home.path))})
        key = serialization.load_pem_private_key(data, None)
        raw = key.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        body = b"".join(data.splitlines()[1:-1])
        found += [Hidden("private key", form, own) for form in (body, *spellings(raw))]
    assert found
    return found


async def job_over(node: Hosted, job_id: str) -> None:
    async with node.client() as client, asyncio.timeout(30):
        while (await client.job(job_id)).job.state != "FINISHED":
            await asyncio.sleep(0.05)


async def test_no_secret_is_anywhere_but_in_its_own_place(tmp_path: Path) -> None:
    answers: list[bytes] = []

    async def keep(response: httpx.Response) -> None:
        answers.append(str(response.headers).encode() + await response.aread())

    async with hosted(tmp_path / "alice", tls="off", settings="timing.submit_wait = 0.2\nlog_level = 'debug'") as node:
        home = node.home
        hidden = key_secrets(home)
        seen: list[tuple[str, bytes]] = []
        async with node.client() as client:
            await client.add_peer(PeerRequest(node_id="bob", url="http://127.0.0.1:9", approval="auto", signing="off"))
            token = (await client.create_token("platform")).text
            code = (await client.invite()).code
            await client.put_secret("db", CANARY)
            made = probe_job({"guest": "alice"}, {"a": []}, parameters={"a": {"sleep": 0.3}})
            job_id = (await client.submit(made)).job_id
            while not list(home.runs.glob("*")):
                await asyncio.sleep(0.01)
            seen += command_lines()
            await job_over(node, job_id)
        hidden += [
            Hidden("secret value", CANARY.encode()),
            Hidden("secret value in base64", base64.b64encode(CANARY.encode())),
            Hidden("token", token.encode()),
            *(Hidden("secret of an invitation", form) for form in spellings(decode(code).secret)),
            Hidden("attempt key", (home.path / "attempt.key").read_bytes().strip(), frozenset({"attempt.key"})),
        ]
        socket = httpx.AsyncHTTPTransport(uds=str(home.socket))
        async with (
            httpx.AsyncClient(base_url="http://node", transport=socket, event_hooks={"response": [keep]}) as console,
            httpx.AsyncClient(base_url=node.url, event_hooks={"response": [keep]}, trust_env=False) as partner,
            httpx.AsyncClient(base_url=node.platform_url, event_hooks={"response": [keep]}, trust_env=False) as own,
        ):
            for path in ("status", "doctor", "jobs", f"jobs/{job_id}", "peers", "secrets", "tokens", "events?after=0",
                         "contracts", "invitations", "identity"):  # fmt: skip
                await console.get(f"/v1/console/{path}")
            # Whoever shows a secret in the wrong place does not find it in an answer, nor in the log.
            for shown in (token, CANARY, code):
                body = json.dumps({"job_id": shown, "flow_id": shown}).encode()
                await partner.post(f"{SCHEDULE}/job/start", content=body, headers={"x-source-node-id": "eve"})
                bearer = {"Authorization": f"Bearer {shown}x"}
                await own.post("/v1/platform/schedule/job/query_job_list", content=b"{}", headers=bearer)
        assert len(answers) > 12
        seen += command_lines()
        seen += places(home, answers)
        found = [
            (where, secret.what)
            for where, content in seen
            for secret in hidden
            if where not in secret.own and secret.value in content
        ]
        assert found == []
        assert any(b"alice" in content for _, content in seen), "the search looks at what is there"
