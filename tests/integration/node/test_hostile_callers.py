"""Bad input and hostile callers against a whole node over real sockets: a clear answer, and nothing changed."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.hosted import Hosted, hosted
from tests.support.probe_jobs import probe_job

from embedded_scheduler.api.interconn import schedule as interconn
from embedded_scheduler.api.platform import schedule as platform
from embedded_scheduler.wire.console import PeerRequest

SMALL = "limits.body_bytes = 100000\nlimits.json_depth = 20\ntiming.submit_wait = 0.2\n"
MIB = 1024 * 1024
LONE = '"\\ud800"'
HUGE = "99999999999999999999"
"""Twenty digits: the decoder lets it pass, SQLite's integers end before."""
TEXTS = ["", ".", "..", "../../etc/passwd", "a/b", "a\\u0000b", "a\\nb", "\\u001b[31m", "\\u202e", "x" * 10_000]


@dataclass(frozen=True, slots=True)
class Door:
    """One way into the node: a family's address, what its caller shows, and its endpoints."""

    name: str
    client: httpx.AsyncClient
    endpoints: tuple[tuple[str, str], ...]

    async def send(self, method: str, path: str, body: bytes = b"", **more: Any) -> httpx.Response:
        return await self.client.request(method, path, content=body, **more)


CONSOLE = (
    ("POST", "/v1/console/jobs"),
    ("POST", "/v1/console/jobs/job-1/approve"),
    ("POST", "/v1/console/jobs/job-1/reject"),
    ("POST", "/v1/console/jobs/job-1/stop"),
    ("POST", "/v1/console/datasets"),
    ("POST", "/v1/console/components"),
    ("POST", "/v1/console/peers"),
)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Hosted]:
    async with hosted(tmp_path / "alice", settings=SMALL) as running:
        async with running.client() as client:
            await client.add_peer(PeerRequest(node_id="bob", url="http://127.0.0.1:9", approval="auto", signing="off"))
        yield running


@pytest.fixture
async def doors(node: Hosted) -> AsyncIterator[list[Door]]:
    token = await node.platform_token()
    socket = httpx.AsyncHTTPTransport(uds=str(node.home.socket))
    async with (
        httpx.AsyncClient(base_url=node.url, headers={"x-source-node-id": "bob"}, trust_env=False) as partner,
        httpx.AsyncClient(
            base_url=node.platform_url, headers={"Authorization": f"Bearer {token}"}, trust_env=False
        ) as own,
        httpx.AsyncClient(base_url="http://node", transport=socket, trust_env=False) as console,
    ):
        yield [
            Door("interconn", partner, tuple((e.method, e.path) for e in interconn.family.endpoints)),
            Door("platform", own, tuple((e.method, e.path) for e in platform.family.endpoints)),
            Door("console", console, CONSOLE),
        ]


async def facts(node: Hosted) -> tuple[int, list[str]]:
    """What must not change: the end of the ledger, and the jobs."""
    async with node.client() as client:
        status = await client.status()
        page = await client.jobs()
    return status.last_seq, [job.job_id for job in page.jobs]


def refusal(door: Door, answer: httpx.Response) -> int:
    """The error's code, after checking its envelope."""
    body = answer.json()
    if door.name == "console":
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(body) >= {"title", "status", "detail", "code"}
        assert answer.status_code == body["status"]
        text = body["detail"]
    else:
        assert set(body) == {"code", "msg", "message", "data"}
        assert body["data"] == {}
        text = body["msg"]
    assert text.isprintable(), text
    assert len(text) < 2100
    return int(body["status"] if door.name == "console" else body["code"])


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "half": b'{"job_id":',
    "list": b"[1]",
    "null": b"null",
    "binary": bytes(range(256)),
    "utf-16": '{"job_id": "a"}'.encode("utf-16"),
    "twice": b'{"job_id": "a", "job_id": "b"}',
    "nan": b'{"job_id": NaN}',
    "deep": b'{"a":' * 30 + b"1" + b"}" * 30,
    "very deep": b'{"a":' + b"[" * 40_000,
    "lone surrogate": f'{{"job_id": {LONE}, "reason": {LONE}, "name": {LONE}}}'.encode(),
    "long integer": b'{"start": ' + b"9" * 4000 + b"}",
    "too large": b'{"x": "' + b"y" * 200_000 + b'"}',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabV\xcaO\x02\x00",
}


async def test_malformed_bodies_change_nothing_at_any_endpoint(node: Hosted, doors: list[Door]) -> None:
    before = await facts(node)
    for door in doors:
        for method, path in door.endpoints:
            for what, body in MALFORMED.items():
                if what == "nothing" and path.endswith("query_job_list"):
                    continue  # nothing is required of this one
                answer = await door.send(method, path, body, headers={"x-nonce": f"n-{what}"})
                code = refusal(door, answer)
                assert code in (400, 413), (door.name, method, path, what, answer.text)
    assert await facts(node) == before
    assert "Traceback" not in node.home.node_log.read_text()


NAMES = ("job_id", "task_id", "task_name", "role", "status", "flow_id", "imageUrl", "start", "log_level")
CONSOLE_NAMES = ("name", "namespace", "connector", "node_id", "url", "profile", "approval", "imageUrl", "reason")
OTHERS = [*(f'"{text}"' for text in TEXTS), HUGE, f"-{HUGE}", "1e308", "true", "null", "[]", "{}", '{"a":[1]}']


def filled(value: str, names: tuple[str, ...]) -> bytes:
    members = ", ".join(f'"{name}": {value}' for name in names)
    return f'{{{members}, "dag": {value}, "config": {value}, "component_info": {value}, "options": {value}}}'.encode()


async def test_wrong_values_everywhere_change_nothing(node: Hosted, doors: list[Door]) -> None:
    before = await facts(node)
    for door in doors:
        names = CONSOLE_NAMES if door.name == "console" else NAMES
        for method, path in door.endpoints:
            for value in OTHERS:
                answer = await door.send(method, path, filled(value, names))
                if door.name != "console" and path.endswith("query_job_list") and answer.json()["code"] == 200:
                    assert answer.json()["data"] == {"job_list": {}}
                    continue
                assert refusal(door, answer) in (400, 404, 413), (door.name, method, path, value[:40], answer.text)
    assert await facts(node) == before
    assert "Traceback" not in node.home.node_log.read_text()


async def test_wrong_methods_and_paths_are_answered_in_the_envelope(node: Hosted, doors: list[Door]) -> None:
    before = await facts(node)
    for door in doors:
        served: dict[str, set[str]] = {}
        for method, path in door.endpoints:
            served.setdefault(path, set()).add(method)
        for path, methods in served.items():
            for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"} - methods:
                # Refused before its body is read, so the connection may be closed behind the answer.
                answer = await door.send(method, path, b"{}", headers={"connection": "close"})
                if door.name == "console" and answer.status_code < 400:
                    continue  # a list is read where a new entry is posted
                assert answer.status_code in (404, 405), (method, path)
                assert refusal(door, answer) == answer.status_code
        for path in ("/", "/favicon.ico", "/v1", "/v1/console%2f..", "/%00", "/%ff", "/..%2f..%2fetc/passwd", "//"):
            answer = await door.send("GET", path)
            assert answer.status_code in (400, 404), path
            assert refusal(door, answer) == answer.status_code
    assert await facts(node) == before


async def test_a_body_of_17_mib_is_refused_without_being_kept(tmp_path: Path) -> None:
    async with hosted(tmp_path / "alice") as node:
        async with node.client() as client:
            await client.add_peer(PeerRequest(node_id="bob", url="http://127.0.0.1:9", approval="auto", signing="off"))
        before = await facts(node)
        body = b'{"x": "' + b"y" * (17 * MIB) + b'"}'
        async with httpx.AsyncClient(headers={"x-source-node-id": "bob"}, trust_env=False, timeout=30) as client:
            for path in ("job/create", "task/poll"):
                answer = await client.post(f"{node.url}/v1/interconn/schedule/{path}", content=body)
                assert answer.json()["code"] == 413
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(node.home.socket)), timeout=30) as own:
            answer = await own.post("http://node/v1/console/jobs", content=body)
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert await facts(node) == before


async def raw(address: str, request: bytes) -> bytes:
    """What comes back until the node closes or 5 s pass; the request is all that is ever sent."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(5):
            return await reader.read(65536)
    finally:
        writer.close()


START = b"POST /v1/interconn/schedule/job/start HTTP/1.1\r\nHost: x\r\nx-node-id: bob\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400),
        (START + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
        (START + b"Content-Length: -1\r\n\r\n", 400),
        (START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (START + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n", 400),
        (
            b"GET /v1/interconn/schedule/job/status_all HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            403,
        ),
    ],
    ids=lambda value: value[-30:] if isinstance(value, bytes) else None,
)
async def test_requests_with_two_readings_are_refused(node: Hosted, request_: bytes, status: int) -> None:
    before = await facts(node)
    answer = await raw(node.running.listen, request_)
    assert answer.startswith(b"HTTP/1.1 %d" % status), answer
    assert answer.count(b"HTTP/1.1 ") == 1, "what follows is no request of its own"
    assert await facts(node) == before
    assert "Traceback" not in node.home.node_log.read_text()


async def test_cut_off_and_stalled_uploads_hold_nobody_up(node: Hosted, doors: list[Door]) -> None:
    host, _, port = node.running.listen.rpartition(":")
    before = await facts(node)
    stalled = []
    for number in range(50):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(START + b'Content-Length: 100\r\n\r\n{"job_id": "j')
        await writer.drain()
        if number % 2:
            writer.transport.abort()
        else:
            stalled.append((reader, writer))
    answer = await doors[0].send("GET", "/v1/interconn/schedule/job/status_all", params={"job_id": "j"})
    assert answer.json()["code"] == 404
    for _, writer in stalled:
        writer.close()
    assert await facts(node) == before


async def test_the_channel_answers_nonsense_in_its_own_form(node: Hosted, doors: list[Door]) -> None:
    session = {"x-ptp-session-id": "s", "x-ptp-topic": "t", "x-ptp-source-node-id": "bob"}
    many = "&".join(f"a{n}=1" for n in range(40))
    cases: list[tuple[str, dict[str, str | bytes], bytes]] = [
        ("", {}, b"x"),
        ("", {"x-ptp-source-node-id": "carol"}, b"x"),
        ("", {"x-ptp-source-node-id": "alice"}, b"x"),
        ("", {**session, "x-ptp-session-id": "../../x"}, b"x"),
        ("", {**session, "x-ptp-target-node-id": "carol"}, b"x"),
        ("", {**session, "x-ptp-topic": b"\xff\xfe"}, b"x"),
        ("", {**session, "x-ptp-topic": "t" * 600}, b"x"),
        ("", session, b""),
        (f"?{many}", session, b"x"),
        ("?timeout=nan", session, b"x"),
        ("?timeout=x", session, b"x"),
    ]
    before = await facts(node)
    client = doors[0].client
    for query, headers, body in cases:
        named = {"x-source-node-id": headers.get("x-ptp-source-node-id", "bob")}
        answer = await client.post(f"/v1/interconn/chan/invoke{query}", content=body, headers={**named, **headers})
        assert answer.status_code == 200
        assert re.search(rb"E0000000(400|403|404|413)", answer.content), (query, headers, answer.content)
    pop = doors[1].client
    for body in (b'{"topic": "t", "timeout": %s}' % (b"9" * 400), b"[", b"[" * 50_000, b'{"topic": 7}'):
        answer = await pop.post(
            "/v1/interconn/chan/pop",
            content=body,
            headers={"x-ptp-session-id": "s", "Content-Type": "application/json"},
        )
        assert answer.json()["code"] == "E0000000403", "no token, no word about the body"
    assert await facts(node) == before
    assert not [path for path in node.home.channel.iterdir() if path.is_dir()]
    assert "Traceback" not in node.home.node_log.read_text()


async def test_the_same_nonce_with_another_body_is_a_conflict_and_does_nothing(node: Hosted, doors: list[Door]) -> None:
    partner = doors[0]
    job = {"job_id": "job-1", **probe_job({"guest": "bob", "host": "alice"}, {"a": []})}
    headers = {"x-nonce": "once"}
    path = "/v1/interconn/schedule/job/create"
    first = await partner.send("POST", path, json.dumps(job).encode(), headers=headers)
    assert first.json()["code"] == 200, first.text
    before = await facts(node)
    for changed in ({**job, "job_id": "job-2"}, {**job, "dag": {}}):
        answer = await partner.send("POST", path, json.dumps(changed).encode(), headers=headers)
        assert refusal(partner, answer) == 409
    other = {**job, **probe_job({"guest": "bob", "host": "alice"}, {"b": []})}
    answer = await partner.send("POST", path, json.dumps(other).encode(), headers={"x-nonce": "another"})
    assert refusal(partner, answer) == 409
    again = await partner.send("POST", path, json.dumps(job).encode(), headers=headers)
    assert again.content == first.content
    assert await facts(node) == before
    assert before[1] == ["job-1"]


async def test_nobody_submits_in_this_nodes_name(node: Hosted, doors: list[Door]) -> None:
    before = await facts(node)
    for path in ("job/create", "job/create_all"):
        job = {"job_id": "job-1", **probe_job({"guest": "alice", "host": "bob"}, {"a": []})}
        answer = await doors[0].send("POST", f"/v1/interconn/schedule/{path}", json.dumps(job).encode())
        assert refusal(doors[0], answer) == 403
    assert await facts(node) == before


async def test_what_a_partner_names_cannot_forge_a_line_of_the_nodes_log(node: Hosted, doors: list[Door]) -> None:
    hostile = "x\n2026-01-01 00:00:00,000 INFO forged: all is well\x1b[2J"
    logging.getLogger("embedded_scheduler.test").warning("a partner says %s", hostile)
    try:
        raise ValueError(hostile)
    except ValueError:
        logging.getLogger("embedded_scheduler.test").exception("it broke")
    lines = node.home.node_log.read_text().split("\n")
    assert not [line for line in lines if line.startswith("2026-01-01 00:00:00,000 INFO forged")]
    assert not [line for line in lines if not line.isprintable()]
    assert [line for line in lines if "forged" in line], "shown, not hidden"


async def test_everything_in_the_home_is_the_owners_alone(node: Hosted, doors: list[Door]) -> None:
    job = {"flow_id": "f", **probe_job({"guest": "alice"}, {"a": []})}
    answer = await doors[1].send("POST", "/v1/platform/schedule/job/create_all", json.dumps(job).encode())
    assert answer.json()["code"] == 200, answer.text
    async with node.client() as client, asyncio.timeout(30):
        while (await client.job(answer.json()["data"]["job_id"])).job.state != "FINISHED":
            await asyncio.sleep(0.05)
    open_to_others = [
        str(path.relative_to(node.home.path))
        for path in (node.home.path, *node.home.path.rglob("*"))
        if not path.is_symlink() and stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]
    # What lies in a directory of the owner's alone is out of reach whatever its own mode.
    assert stat.S_IMODE(node.home.path.stat().st_mode) == 0o700
    assert open_to_others == []
