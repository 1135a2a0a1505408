"""Our gateway speaking to our families through Hypercorn, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config
from tests.contract.recorder import TOKEN, Node, Recorder, job_body, recording_node, token_of

from embedded_scheduler.api.platform import schedule as platform
from embedded_scheduler.clock import SystemClock
from embedded_scheduler.config import Limits, Settings
from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.engine.credentials import SCOPES
from embedded_scheduler.engine.ports import Delivery, Outgoing
from embedded_scheduler.errors import Conflict, NotFound, Refused, Unavailable
from embedded_scheduler.peers.directory import Directory, Partner
from embedded_scheduler.peers.gateway import HttpGateway
from embedded_scheduler.peers.profiles import PROFILES, resolve


@asynccontextmanager
async def served(node: Node) -> AsyncIterator[str]:
    """Base address of the node's application behind a real server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = Config()
    config.bind = [address]
    config.accesslog = None
    config.errorlog = None
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(node.app, config, shutdown_trigger=over.wait))
        host, port = address.split(":")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            await writer.wait_closed()
            break
        try:
            yield f"http://{address}"
        finally:
            over.set()


@asynccontextmanager
async def gateway_to(url: str, profile: str, source: str = "seedy") -> AsyncIterator[HttpGateway]:
    directory = Directory()
    directory.replace([Partner("us", url, "auto", resolve(profile, {"host_header": ""}))])
    gateway = HttpGateway(source, directory, SystemClock(), Settings(node_id=source))
    try:
        yield gateway
    finally:
        await gateway.close()


def call(operation: str, *, nonce: str = "", **body: Any) -> Outgoing:
    return Outgoing("us", operation, body, nonce=nonce, trace_id="trace-9")


CREATE_BODY = {"job_id": "job-1", **parse_job("job-1", job_body()).document}
SEQUENCE: list[tuple[Outgoing, str, dict[str, Any]]] = [
    (call("job/create_all", **CREATE_BODY), "create_all", {"job_id": "job-1", "trace_id": "trace-9"}),
    (call("job/create", **CREATE_BODY), "create", {"job_id": "job-1", "trace_id": "trace-9"}),
    (call("job/start", job_id="j"), "start", {"job_id": "j"}),
    (call("task/start", job_id="j", task_id="t", task_name="a"), "start_task", {"task_id": "t", "task_name": "a"}),
    (call("task/poll", task_id="t", role="host.0"), "poll", {"task_id": "t", "role": "host"}),
    (call("task/callback", task_id="t", status="SUCCESS", role="host.0"), "callback", {"status": "SUCCESS"}),
    (call("job/audit_confirm", job_id="j", status="REJECTED"), "audit_confirm", {"approved": False}),
    (call("job/status_all", job_id="j"), "status_all", {"job_id": "j"}),
    (call("job/stop", job_id="j", task_name="a"), "stop", {"task_name": "a"}),
    (call("job/stop_all", job_id="j"), "stop_all", {"task_name": "", "actor": "peer:seedy"}),
    (call("task/stop", task_id="t"), "stop_task", {"task_id": "t"}),
]
"""Every operation, the verb it arrives at, and what arrives."""


@pytest.mark.parametrize("profile", list(PROFILES))
async def test_every_operation_arrives_in_every_profile(tmp_path: Path, profile: str) -> None:
    traits = PROFILES[profile]
    async with recording_node(tmp_path) as node, served(node) as url, gateway_to(url, profile) as gateway:
        for number, (message, verb, arrives) in enumerate(SEQUENCE):
            sent = Outgoing("us", message.operation, message.body, f"n-{number}", message.trace_id)
            before = len(node.verbs.calls)
            reply = await gateway.call(sent)
            if not traits.coordinates and message.operation in ("job/create_all", "job/stop_all"):
                assert reply.delivery is Delivery.REFUSED
            else:
                assert reply.delivery is Delivery.OK, (message.operation, reply.error)
            arrived = node.verbs.calls[before:]
            skipped = (
                (not traits.coordinates and message.operation in ("job/create_all", "job/stop_all"))
                or (not traits.approval_channel and message.operation == "job/audit_confirm")
                or (not traits.callback and message.operation == "task/callback")
            )
            assert [name for name, _ in arrived] == ([] if skipped else [verb])
            for _, said in arrived:
                assert arrives.items() <= said.items()
                assert said["source"] == "seedy"


async def test_a_job_arrives_with_the_digest_it_left_with(tmp_path: Path) -> None:
    async with recording_node(tmp_path) as node, served(node) as url, gateway_to(url, "seed") as gateway:
        await gateway.call(call("job/create", **CREATE_BODY))
        received = parse_job("job-1", node.verbs.last[1]["document"])
    assert received.digest == parse_job("job-1", job_body()).digest


@pytest.mark.parametrize("source", ["seedy", "officer", "elder", "fatima", "kuscha"])
async def test_errors_mean_the_same_at_both_ends(tmp_path: Path, source: str) -> None:
    expected = {
        Refused("no"): Delivery.REFUSED,
        Conflict("other"): Delivery.REFUSED,
        NotFound("what"): Delivery.REFUSED,
        Unavailable("later"): Delivery.FAILED,
        RuntimeError("bug"): Delivery.FAILED,
    }
    async with recording_node(tmp_path) as node, served(node) as url, gateway_to(url, "seed", source) as gateway:
        for error, delivery in expected.items():
            node.verbs.raises["start"] = error
            assert (await gateway.call(call("job/start", job_id="j"))).delivery is delivery
        node.verbs.raises["stop"] = NotFound("this node knows no job j")
        assert (await gateway.call(call("job/stop", job_id="j"))).delivery is Delivery.OK


async def test_a_lost_answer_is_found_in_the_inbox(tmp_path: Path) -> None:
    async with recording_node(tmp_path) as node, served(node) as url:
        async with gateway_to(url, "seed") as gateway:
            first = await gateway.call(call("job/create", nonce="same", **CREATE_BODY))
        node.verbs.raises["create"] = Conflict("a second call would be refused")
        async with gateway_to(url, "seed") as gateway:
            again = await gateway.call(call("job/create", nonce="same", **CREATE_BODY))
        assert first == again
        assert len(node.verbs.calls) == 1


class SlowStart(Recorder):
    """A node that takes its time over a start."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.abandoned = asyncio.Event()

    async def start(self, engine: Any, job_id: str, *, source: str) -> None:
        self.entered.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.abandoned.set()
            raise
        await super().start(engine, job_id, source=source)


async def test_a_repeat_that_overtakes_the_first_answer_does_nothing_twice(tmp_path: Path) -> None:
    verbs = SlowStart()
    async with recording_node(tmp_path, verbs=verbs) as node, served(node) as url, gateway_to(url, "seed") as gateway:
        message = call("job/start", nonce="same", job_id="j")
        both = asyncio.gather(gateway.call(message), gateway.call(message))
        await verbs.entered.wait()
        other = await gateway.call(call("job/start", nonce="same", job_id="k"))
        assert other.delivery is Delivery.REFUSED
        verbs.go_on.set()
        assert [reply.delivery for reply in await both] == [Delivery.OK, Delivery.OK]
        assert len(verbs.calls) == 1


async def test_a_first_caller_that_hangs_up_does_not_block_its_repeat(tmp_path: Path) -> None:
    verbs = SlowStart()
    async with recording_node(tmp_path, verbs=verbs) as node, served(node) as url:
        async with httpx.AsyncClient() as client:
            path = f"{url}/v1/interconn/schedule/job/start"
            headers = {"x-nonce": "same", "x-node-id": "seedy"}
            with pytest.raises(httpx.ReadTimeout):
                await client.post(path, json={"job_id": "j"}, headers=headers, timeout=0.3)
            await verbs.abandoned.wait()
            verbs.go_on.set()
            answer = await client.post(path, json={"job_id": "j"}, headers=headers, timeout=10)
        assert answer.json()["code"] == 200
        assert len(verbs.calls) == 1


async def test_a_body_beyond_the_limit_is_told_so_over_a_real_connection(tmp_path: Path) -> None:
    async with recording_node(tmp_path, limits=Limits(body_bytes=100_000)) as node, served(node) as url:
        async with httpx.AsyncClient() as client:
            path = f"{url}/v1/interconn/schedule/job/create"
            answer = await client.post(path, content=b" " * 350_000, headers={"x-source-node-id": "seedy"})
        assert (answer.status_code, answer.json()["code"]) == (200, 413)
        assert "limits.body_bytes" in answer.json()["msg"]
        assert node.verbs.calls == []


async def test_loopback_is_trusted_only_when_the_setting_says_so(tmp_path: Path) -> None:
    for trusted, code in ((False, 401), (True, 200)):
        home = tmp_path / str(trusted)
        home.mkdir()
        async with (
            recording_node(home, trust_loopback=trusted) as node,
            served(node) as url,
            httpx.AsyncClient() as client,
        ):
            path = f"{url}/v1/platform/schedule/job/query_job_list"
            assert (await client.get(path)).json()["code"] == code
            allowed = await client.get(path, headers={"authorization": f"Bearer {TOKEN}"})
            assert allowed.json()["code"] == 200


async def test_tokens_count_from_their_making_to_their_end(tmp_path: Path) -> None:
    async with recording_node(tmp_path) as node:
        path = "/v1/platform/schedule/job/query_job_list"
        another = "nct_ba9876543210_another"
        assert (await node.call("GET", path, token=TOKEN)).code == 200
        assert (await node.call("GET", path, token=another)).code == 401
        assert (await node.call("GET", path, token=TOKEN[:-1])).code == 401
        node.credentials.replace([token_of(another)])
        assert (await node.call("GET", path, token=TOKEN)).code == 401
        assert (await node.call("GET", path, token=another)).code == 200
        node.credentials.replace([token_of(another, expires_ms=1)])
        assert (await node.call("GET", path, token=another)).code == 401


@pytest.mark.parametrize(("method", "path"), [(e.method, e.path) for e in platform.family.endpoints])
async def test_a_token_opens_what_its_scope_names(tmp_path: Path, method: str, path: str) -> None:
    needed = platform.SCOPES[method, path]
    assert needed in SCOPES
    async with recording_node(tmp_path) as node:
        node.credentials.replace([token_of(TOKEN, *(scope for scope in SCOPES if scope not in (needed, "all")))])
        refused = await node.call(method, path, {}, token=TOKEN)
        assert refused.code == 403
        assert needed in refused.body["msg"]
        assert node.verbs.calls == []
        node.credentials.replace([token_of(TOKEN, needed)])
        # What follows is the body's fault.
        assert (await node.call(method, path, {}, token=TOKEN)).code in (200, 400)


async def test_the_ledger_is_told_which_token_acted(tmp_path: Path) -> None:
    async with recording_node(tmp_path) as node:
        node.credentials.replace([token_of(TOKEN, "jobs:write", name="nightly")])
        answer = await node.call("POST", "/v1/platform/schedule/job/stop_all", {"job_id": "job-1"}, token=TOKEN)
        assert answer.code == 200
        assert node.verbs.last[1]["actor"] == "platform:nightly"


async def test_double_slashes_reach_the_callback_over_http(tmp_path: Path) -> None:
    body = {"task_id": "t", "status": "SUCCESS", "role": "guest.0"}
    async with recording_node(tmp_path) as node, served(node) as url, httpx.AsyncClient() as client:
        answer = await client.post(f"{url}//v1/platform/schedule/task/callback?token=mine", json=body)
        assert answer.json()["code"] == 200
        assert node.verbs.last[1]["token"] == "mine"
