"""The channel over real sockets and processes: both forms, loss of nodes and clients, large bodies, refusals."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.channel.conftest import SESSION, TOKEN, NodeProcess, start_all

from embedded_scheduler.wire.ptp import DEPLOYED, OFFICIAL, Code

Nodes = tuple[NodeProcess, NodeProcess]
MIB = 1024 * 1024


def black_box(target: str, topic: str = "guest.0-host.0", **more: str) -> dict[str, str]:
    """Headers as yacl sends them."""
    return {
        "x-ptp-session-id": SESSION,
        "x-ptp-topic": topic,
        "x-ptp-target-node-id": target,
        "x-ptp-token": TOKEN,
        "x-ptp-trace-id": "trace",
        "x-ptp-tecn-provider-code": "SecretFlow",
        **more,
    }


def official(target: str, content_type: str, **more: str) -> dict[str, str]:
    return {
        "x-ptp-session-id": SESSION,
        "x-ptp-target-node-id": target,
        "x-ptp-token": TOKEN,
        "content-type": content_type,
        **more,
    }


async def post(client: httpx.AsyncClient, url: str, headers: dict[str, str], content: Any = b"") -> httpx.Response:
    response = await client.post(url, headers=headers, content=content, timeout=90)
    assert response.status_code == 200
    return response


def deployed(response: httpx.Response) -> Any:
    assert response.headers["content-type"] == "application/proto"
    return DEPLOYED["TransportOutbound"].FromString(response.content)


async def push(client: httpx.AsyncClient, node: NodeProcess, target: str, content: Any, **more: str) -> Any:
    return deployed(await post(client, node.url("push"), black_box(target, **more), content))


async def pop(
    client: httpx.AsyncClient, node: NodeProcess, sender: str, headers: dict[str, str] | None = None, wait: int = 5
) -> Any:
    return deployed(await post(client, node.url(f"pop?timeout={wait}"), black_box(sender) | (headers or {})))


async def test_black_box_push_reaches_the_partners_component_in_order(lasting_nodes: Nodes) -> None:
    alice, bob = lasting_nodes
    async with httpx.AsyncClient() as client:
        for number in range(5):
            assert (await push(client, alice, "bob", b"m%d" % number)).code == Code.OK
        received = [(await pop(client, bob, "alice")).payload for _ in range(5)]
        assert received == [b"m0", b"m1", b"m2", b"m3", b"m4"]
        empty = await pop(client, bob, "alice", wait=1)
    assert (empty.code, empty.payload) == (Code.OK, b"")


async def test_a_waiting_pop_gets_the_message_when_it_comes(lasting_nodes: Nodes) -> None:
    alice, bob = lasting_nodes
    async with httpx.AsyncClient() as client:
        waiting = asyncio.ensure_future(pop(client, bob, "alice", wait=30))
        assert (await push(client, alice, "bob", b"late")).code == Code.OK
        assert (await asyncio.wait_for(waiting, 10)).payload == b"late"


async def test_json_form_end_to_end_keeps_metadata(lasting_nodes: Nodes) -> None:
    alice, bob = lasting_nodes
    payload = bytes(range(256)) * 3
    body = {"topic": "t/中", "payload": base64.b64encode(payload).decode(), "metadata": {"k": "v"}}
    async with httpx.AsyncClient() as client:
        pushed = await post(client, alice.url("push"), official("bob", "application/json"), json.dumps(body))
        assert pushed.json() == {"code": Code.OK, "message": "", "content": ""}
        question = json.dumps({"topic": "t/中", "timeout": "5"})
        peeked = await post(client, bob.url("peek"), official("alice", "application/json"), question)
        popped = await post(client, bob.url("pop"), official("alice", "application/json"), question)
        gone = await post(client, bob.url("peek"), official("alice", "application/json"), question)
    assert peeked.json() == popped.json()
    assert base64.b64decode(popped.json()["content"]) == payload
    assert popped.json()["metadata"] == {"k": "v"}
    assert gone.json()["content"] == ""


async def test_protobuf_form_end_to_end_and_mixed_with_black_box(lasting_nodes: Nodes) -> None:
    alice, bob = lasting_nodes
    message = OFFICIAL["PushInbound"](topic="t", payload=b"\x00\xff" * 1000, metadata={"a": "1", "b": "2"})
    question = OFFICIAL["PopInbound"](topic="t", timeout=5).SerializeToString()
    headers = official("bob", "application/x-protobuf")
    async with httpx.AsyncClient() as client:
        for _ in range(2):
            await post(client, alice.url("push"), headers, message.SerializeToString())
        answer = await post(client, bob.url("pop"), official("alice", "application/x-protobuf"), question)
        other_form = await pop(client, bob, "alice", headers={"x-ptp-topic": "t"})
    assert answer.headers["content-type"] == "application/x-protobuf"
    outbound = OFFICIAL["TransportOutbound"].FromString(answer.content)
    assert outbound.code == Code.OK
    assert outbound.payload == message.payload
    assert dict(outbound.metadata) == {"a": "1", "b": "2"}
    assert other_form.payload == message.payload


async def test_invoke_accepts_the_encapsulated_form_and_the_alias(lasting_nodes: Nodes) -> None:
    _, bob = lasting_nodes
    inbound = OFFICIAL["Inbound"](metadata={"topic": "old"}, payload=b"payload").SerializeToString()
    headers = official("bob", "application/x-protobuf", **{"x-ptp-source-node-id": "alice"})
    async with httpx.AsyncClient() as client:
        answer = await post(client, bob.invoke_url("transport"), headers, inbound)
        assert OFFICIAL["TransportOutbound"].FromString(answer.content).code == Code.OK
        assert (await pop(client, bob, "alice", headers={"x-ptp-topic": "old"})).payload == b"payload"


async def test_one_node_in_several_roles_keeps_its_own_messages(lasting_nodes: Nodes) -> None:
    alice, _ = lasting_nodes
    async with httpx.AsyncClient() as client:
        assert (await push(client, alice, "alice", b"to myself")).code == Code.OK
        assert (await pop(client, alice, "alice")).payload == b"to myself"


async def test_stored_messages_survive_kill_9_of_the_receiver(nodes: Nodes) -> None:
    alice, bob = nodes
    async with httpx.AsyncClient() as client:
        for number in range(50):
            assert (await push(client, alice, "bob", b"%d" % number)).code == Code.OK
        bob.kill()
        bob.start()
        received = [(await pop(client, bob, "alice")).payload for _ in range(50)]
        assert (await pop(client, bob, "alice", wait=1)).payload == b""
    assert received == [b"%d" % number for number in range(50)]


async def test_a_push_bridges_a_restart_of_the_partner_and_arrives_once(nodes: Nodes) -> None:
    alice, bob = nodes
    async with httpx.AsyncClient() as client:
        bob.kill()
        pushing = asyncio.ensure_future(push(client, alice, "bob", b"patience"))
        await asyncio.to_thread(bob.start)
        assert (await pushing).code == Code.OK
        assert (await pop(client, bob, "alice")).payload == b"patience"
        assert (await pop(client, bob, "alice", wait=1)).payload == b""


async def test_a_partner_that_stays_down_is_reported_after_the_time_out(nodes: Nodes) -> None:
    alice, bob = nodes
    bob.kill()
    async with httpx.AsyncClient() as client:
        started = time.monotonic()
        answer = deployed(await post(client, alice.url("push?timeout=2"), black_box("bob"), b"x"))
        assert answer.code == Code.UNREACHABLE
        assert "bob cannot be reached" in answer.message
        assert 1 < time.monotonic() - started < 8


async def test_the_same_nonce_is_stored_once(nodes: Nodes) -> None:
    alice, bob = nodes
    async with httpx.AsyncClient() as client:
        for content in (b"first", b"first"):
            assert (await push(client, alice, "bob", content, **{"x-nonce": "n-1"})).code == Code.OK
        bob.kill()
        bob.start()
        assert (await push(client, alice, "bob", b"first", **{"x-nonce": "n-1"})).code == Code.OK
        assert (await pop(client, bob, "alice")).payload == b"first"
        assert (await pop(client, bob, "alice", wait=1)).payload == b""


def raw_pop(node: NodeProcess, wait: int) -> socket.socket:
    headers = "".join(f"{name}: {value}\r\n" for name, value in black_box("alice").items())
    connection = socket.create_connection(("127.0.0.1", node.platform_port))
    connection.sendall(
        f"POST /v1/interconn/chan/pop?timeout={wait} HTTP/1.1\r\nHost: n\r\nContent-Length: 0\r\n{headers}\r\n".encode()
    )
    return connection


async def test_a_pop_whose_client_hung_up_does_not_swallow_the_message(lasting_nodes: Nodes) -> None:
    alice, bob = lasting_nodes
    async with httpx.AsyncClient() as client:
        abandoned = [raw_pop(bob, 60) for _ in range(3)]
        assert (await pop(client, bob, "alice", wait=1)).payload == b""  # the abandoned ones are served by now
        for connection in abandoned:
            connection.close()
        assert (await push(client, alice, "bob", b"precious")).code == Code.OK
        assert (await pop(client, bob, "alice")).payload == b"precious"


async def test_a_client_that_dies_in_the_middle_of_a_large_pop_leaves_the_message(nodes: Nodes) -> None:
    alice, bob = nodes
    payload = b"0123456789abcdef" * (32 * MIB // 16)
    async with httpx.AsyncClient() as client:
        assert (await push(client, alice, "bob", payload)).code == Code.OK
        connection = raw_pop(bob, 5)
        assert len(await asyncio.to_thread(connection.recv, 65536)) > 0
        connection.close()
        assert (await pop(client, bob, "alice", wait=20)).payload == payload


async def blocks(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield number.to_bytes(4, "big") * (MIB // 4)


@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
async def test_256_mib_pass_two_nodes_in_bounded_memory(nodes: Nodes, announced: bool) -> None:
    alice, bob = nodes
    before = [node.peak_memory() for node in nodes]
    count = 256
    expected = hashlib.sha256()
    async for block in blocks(count):
        expected.update(block)
    more = {"content-length": str(count * MIB)} if announced else {}
    async with httpx.AsyncClient() as client:
        assert (await push(client, alice, "bob", blocks(count), **more)).code == Code.OK
        found, size = hashlib.sha256(), 0
        async with client.stream("POST", bob.url("pop?timeout=20"), headers=black_box("alice"), timeout=60) as response:
            total = int(response.headers["content-length"])
            head = b""
            async for chunk in response.aiter_raw():
                # one field header of 6 bytes before the payload, the code's field after it
                head += chunk[: max(0, 6 - size)] if size < 6 else b""
                payload_start, payload_end = 6 - size, 6 + count * MIB - size
                found.update(chunk[max(0, payload_start) : max(0, payload_end)])
                size += len(chunk)
    assert size == total
    assert head[:1] == b"\x0a"
    assert found.digest() == expected.digest()
    for node, earlier in zip((alice, bob), before, strict=True):
        assert node.peak_memory() - earlier < 40 * MIB
    assert not list((bob.home / "channel" / SESSION).glob("*/[0-9a-f]*"))


async def test_bodies_beyond_the_limit_are_refused(alice_and_bob: Nodes) -> None:
    alice, bob = alice_and_bob
    for node in alice_and_bob:
        node.config["limits"] = {"channel_message_bytes": 4 * MIB, "body_bytes": 1 * MIB}
    start_all(*alice_and_bob)
    async with httpx.AsyncClient() as client:
        announced = await push(client, alice, "bob", b"x" * (5 * MIB))
        assert announced.code == Code.TOO_LARGE
        chunked = await push(client, alice, "bob", blocks(12))
        assert chunked.code == Code.TOO_LARGE
        json_body = json.dumps({"topic": "t", "payload": "A" * (2 * MIB)})
        answer = await post(client, alice.url("push"), official("bob", "application/json"), json_body)
        assert answer.json()["code"] == Code.TOO_LARGE
        assert (await push(client, alice, "bob", b"y" * (4 * MIB))).code == Code.OK
        assert len((await pop(client, bob, "alice")).payload) == 4 * MIB


async def test_a_full_session_holds_the_sender_and_lets_it_go_when_read(alice_and_bob: Nodes) -> None:
    alice, bob = alice_and_bob
    for node in alice_and_bob:
        node.config["limits"] = {"channel_session_bytes": 1 * MIB}
    start_all(*alice_and_bob)
    async with httpx.AsyncClient() as client:
        assert (await push(client, alice, "bob", b"1" * (MIB - 10))).code == Code.OK
        full = deployed(await post(client, alice.url("push?timeout=1"), black_box("bob"), b"2" * 100))
        assert full.code == Code.BUFFER_FULL
        waiting = asyncio.ensure_future(push(client, alice, "bob", b"3" * 100))
        assert len((await pop(client, bob, "alice")).payload) == MIB - 10
        assert (await asyncio.wait_for(waiting, 10)).code == Code.OK
        assert (await pop(client, bob, "alice")).payload == b"3" * 100


@pytest.mark.parametrize(
    ("verb", "change", "content", "code"),
    [
        ("push", {}, b"", Code.BAD_REQUEST),
        ("push", {"x-ptp-session-id": ""}, b"x", Code.BAD_REQUEST),
        ("push", {"x-ptp-session-id": "../../etc"}, b"x", Code.BAD_REQUEST),
        ("push", {"x-ptp-session-id": "s" * 129}, b"x", Code.BAD_REQUEST),
        ("push", {"x-ptp-topic": ""}, b"x", Code.BAD_REQUEST),
        ("push", {"x-ptp-topic": "t" * 513}, b"x", Code.BAD_REQUEST),
        ("push", {"x-ptp-target-node-id": ""}, b"x", Code.BAD_REQUEST),
        ("push", {"x-ptp-target-node-id": "carol"}, b"x", Code.FORBIDDEN),
        ("push", {"x-ptp-token": "wrong"}, b"x", Code.FORBIDDEN),
        ("push", {"x-ptp-token": ""}, b"x", Code.FORBIDDEN),
        ("push?timeout=soon", {}, b"x", Code.BAD_REQUEST),
        ("push?timeout=nan", {}, b"x", Code.BAD_REQUEST),
        ("pop", {"x-ptp-session-id": "another"}, b"", Code.FORBIDDEN),
        ("pop", {"x-ptp-topic": ""}, b"", Code.BAD_REQUEST),
        ("peek", {"x-ptp-token": "wrong"}, b"", Code.FORBIDDEN),
        ("release", {"x-ptp-token": "wrong"}, b"", Code.FORBIDDEN),
    ],
)
async def test_refusals_of_the_south_side(
    lasting_nodes: Nodes, verb: str, change: dict[str, str], content: bytes, code: Code
) -> None:
    alice, _ = lasting_nodes
    headers = {name: value for name, value in (black_box("bob") | change).items() if value or name == "x-ptp-topic"}
    async with httpx.AsyncClient() as client:
        answer = deployed(await post(client, alice.url(verb), headers, content))
    assert answer.code == code
    assert answer.message
    assert TOKEN not in answer.message


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'{"topic": "t"}'),
        ("application/json", b'{"topic": "t", "payload": "!"}'),
        ("application/json", b'{"topic": 7, "payload": "AAAA"}'),
        ("application/json", b'{"payload": "AAAA"}'),
        ("application/json", b'{"topic": "t", "payload": "AAAA", "metadata": {"a": 1}}'),
        ("application/json", b"[" * 100_000),
        ("application/x-protobuf", b"\xff" * 40),
        ("application/x-protobuf", OFFICIAL["PushInbound"](payload=b"x").SerializeToString()),
        ("application/x-protobuf", OFFICIAL["PushInbound"](topic="t", payload=b"xyz").SerializeToString()[:-1]),
        ("application/xml", b"<push/>"),
    ],
)
async def test_malformed_bodies_are_bad_requests_and_store_nothing(
    lasting_nodes: Nodes, content_type: str, content: bytes
) -> None:
    alice, bob = lasting_nodes
    before = [path for node in (alice, bob) for path in _messages(node)]
    async with httpx.AsyncClient() as client:
        for target in ("bob", "alice"):
            answer = await post(client, alice.url("push"), official(target, content_type), content)
            code = (
                OFFICIAL["TransportOutbound"].FromString(answer.content).code
                if content_type == "application/x-protobuf"
                else answer.json()["code"]
            )
            assert code == Code.BAD_REQUEST
    assert [path for node in (alice, bob) for path in _messages(node)] == before


def _messages(node: NodeProcess) -> list[Path]:
    return [path for path in (node.home / "channel").rglob("*") if path.is_file() and "~" not in str(path)]


async def test_other_methods_and_other_paths(lasting_nodes: Nodes) -> None:
    alice, _ = lasting_nodes
    async with httpx.AsyncClient() as client:
        answer = await client.get(alice.url("pop"))
        assert (answer.status_code, answer.json()["code"]) == (200, Code.BAD_REQUEST)
        assert (await client.post(alice.url("elsewhere"))).status_code == 404
        assert (await client.post(alice.url("invoke"))).status_code == 404  # partners' path, on the partners' listener
        assert (await client.post(alice.invoke_url("push"))).status_code == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"x-ptp-source-node-id": "mallory"}, Code.FORBIDDEN),
        ({"x-ptp-source-node-id": "bob"}, Code.FORBIDDEN),
        ({"x-ptp-source-node-id": ""}, Code.FORBIDDEN),
        ({"x-source-node-id": "carol"}, Code.FORBIDDEN),
        ({"x-ptp-target-node-id": "carol"}, Code.NOT_FOUND),
        ({"x-ptp-session-id": "unheard-of", "x-ptp-source-node-id": "mallory"}, Code.FORBIDDEN),
        ({"x-ptp-session-id": "unheard-of"}, Code.OK),
    ],
)
async def test_who_may_invoke(lasting_nodes: Nodes, change: dict[str, str], code: Code) -> None:
    _, bob = lasting_nodes
    headers = black_box("bob") | {"x-ptp-source-node-id": "alice"} | change
    async with httpx.AsyncClient() as client:
        answer = await post(client, bob.invoke_url(), {k: v for k, v in headers.items() if v}, b"x")
    assert deployed(answer).code == code


async def test_messages_before_the_own_attempt_are_held_and_then_read(nodes: Nodes) -> None:
    alice, bob = nodes
    early = {"x-ptp-session-id": "session_job-2"}
    for node in nodes:
        node.config["tokens"]["session_job-2"] = TOKEN
    alice.config["members"]["session_job-2"] = ["alice", "bob"]
    alice.write_config()
    async with httpx.AsyncClient() as client:
        assert (await push(client, alice, "bob", b"early", **early)).code == Code.OK
        assert (await pop(client, bob, "alice", wait=1, headers=early)).code == Code.FORBIDDEN
        bob.config["members"]["session_job-2"] = ["alice", "bob"]
        bob.write_config()
        assert (await pop(client, bob, "alice", headers=early)).payload == b"early"


async def test_release_drops_a_topic_or_the_session(nodes: Nodes) -> None:
    alice, bob = nodes
    async with httpx.AsyncClient() as client:
        for topic in ("one", "two"):
            await push(client, alice, "bob", topic.encode(), **{"x-ptp-topic": topic})
        released = deployed(await post(client, bob.url("release"), black_box("alice", topic="one")))
        assert released.code == Code.OK
        assert (await pop(client, bob, "alice", wait=1, headers={"x-ptp-topic": "one"})).payload == b""
        whole = await post(client, bob.url("release"), official("alice", "application/json"), b"{}")
        assert whole.json()["code"] == Code.OK
        assert (await pop(client, bob, "alice", wait=1, headers={"x-ptp-topic": "two"})).code == Code.RELEASED
        assert (await push(client, alice, "bob", b"x")).code == Code.RELEASED
        bob.kill()
        bob.start()
        assert (await push(client, alice, "bob", b"x")).code == Code.RELEASED
    assert not _messages(bob)


async def test_a_clean_stop_lets_waiting_pops_return(nodes: Nodes) -> None:
    _, bob = nodes
    async with httpx.AsyncClient() as client:
        waiting = asyncio.ensure_future(pop(client, bob, "alice", wait=60))
        assert (await pop(client, bob, "alice", wait=1)).payload == b""
        assert await asyncio.to_thread(bob.stop) == 0
        answer = await asyncio.wait_for(waiting, 5)
    assert (answer.code, answer.payload) == (Code.OK, b"")


async def test_a_sender_that_dies_in_the_middle_leaves_nothing(nodes: Nodes) -> None:
    alice, bob = nodes
    headers = "".join(f"{name}: {value}\r\n" for name, value in black_box("bob").items())
    connection = socket.create_connection(("127.0.0.1", alice.platform_port))
    connection.sendall(
        f"POST /v1/interconn/chan/push HTTP/1.1\r\nHost: n\r\nContent-Length: {8 * MIB}\r\n{headers}\r\n".encode()
    )
    connection.sendall(b"x" * (4 * MIB))
    directory = bob.home / "channel" / SESSION / "~new"
    deadline = time.monotonic() + 10
    while not (directory.exists() and list(directory.iterdir())):
        assert time.monotonic() < deadline, "nothing arrived at the partner"
        await asyncio.sleep(0.02)
    connection.close()
    while list(directory.iterdir()):
        assert time.monotonic() < deadline + 10, "the half message was not removed"
        await asyncio.sleep(0.02)
    async with httpx.AsyncClient() as client:
        assert (await pop(client, bob, "alice", wait=1)).payload == b""
