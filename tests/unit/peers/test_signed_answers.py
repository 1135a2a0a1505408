"""The gateway believes only what its partner signed: what proxies, forgers and the past answer is no answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.config import Settings
from embedded_scheduler.engine.ports import Delivery, Outgoing, Reply
from embedded_scheduler.peers.directory import Directory, Partner, Trust
from embedded_scheduler.peers.gateway import HttpGateway
from embedded_scheduler.peers.profiles import resolve
from embedded_scheduler.security.keys import ED25519, PublicKey, SigningKey, parse_credential
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, read_headers
from embedded_scheduler.wire.bfia.signature import SignedAnswer, SignedRequest, Signer, is_signed

US, BOB, EVE = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
RUNNING = {"code": 200, "msg": "success", "data": {"status": "RUNNING"}}


def public(key: Ed25519PrivateKey) -> PublicKey:
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return parse_credential(ED25519, pem.decode())


@dataclass(frozen=True, slots=True)
class Heard:
    method: str
    path: str
    query: str
    said: PartnerHeaders
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: its body, its status, and what is signed where that differs from what is sent."""

    key: Ed25519PrivateKey | None = BOB
    status: int = 200
    body: Mapping[str, object] = field(default_factory=lambda: RUNNING)
    signs: Mapping[str, object] = field(default_factory=dict)
    sends: Mapping[str, str] = field(default_factory=dict)
    late_ms: int = 0

    def to(self, heard: Heard) -> bytes:
        content = json.dumps(self.body).encode()
        facts: dict[str, object] = {
            "status": self.status,
            "path": heard.path,
            "source": "bob",
            "target": heard.said.source,
            "nonce": heard.said.nonce,
            "timestamp": str(SystemClock().now_ms() - self.late_ms),
            "trace_id": heard.said.trace_id,
            "body": content,
        }
        headers = {"content-length": str(len(content))}
        if self.key is not None:
            signed = SignedAnswer(**{**facts, **self.signs})  # type: ignore[arg-type]
            headers["x-auth-sign"] = Signer(SigningKey(self.key)).sign(signed.message())
            headers |= {"x-source-node-id": "bob", "x-target-node-id": "us", "x-timestamp": str(facts["timestamp"])}
        headers |= self.sends
        lines = [f"HTTP/1.1 {self.status} X", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1") + content


async def ask(*told: Told, operation: str = "task/poll", **traits: object) -> tuple[Reply, list[Heard]]:
    """What the gateway makes of the answers, and what it asked."""
    heard: list[Heard] = []
    conversations: list[asyncio.Task[object]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None
        conversations.append(conversation)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
                method, target, _ = head[0].decode().split(" ")
                fields = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in head[1:])]
                size = int({name.lower(): value for name, value in fields}.get(b"content-length", b"0"))
                path, _, query = target.partition("?")
                heard.append(Heard(method, path, query, read_headers(fields), await reader.readexactly(size)))
                writer.write(told[min(len(heard), len(told)) - 1].to(heard[-1]))
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        facts: dict[str, object] = {"signing": "required", "trust": Trust("c", ((public(BOB), None),)), **traits}
        directory = Directory()
        directory.replace([Partner("bob", url, "auto", resolve("seed", {}), **facts)])  # type: ignore[arg-type]
        gateway = HttpGateway("us", directory, SystemClock(), Settings(node_id="us"), Signer(SigningKey(US)))
        body = {"task_id": "t", "role": "host", "job_id": "j"}
        try:
            return await gateway.call(Outgoing("bob", operation, body, "n-1", "trace")), heard
        finally:
            await gateway.close()
            await asyncio.gather(*conversations)


async def test_a_signed_answer_counts_and_the_request_was_signed() -> None:
    reply, (heard,) = await ask(Told())
    assert (reply.delivery, reply.data["status"]) == (Delivery.OK, "RUNNING")
    message = SignedRequest(heard.method, heard.path, heard.query, heard.said, heard.body).message()
    assert is_signed(message, heard.said.signature, [public(US)])
    assert (heard.said.source, heard.said.target, heard.said.nonce) == ("us", "bob", "n-1")


async def test_a_signed_refusal_is_a_refusal() -> None:
    reply, _ = await ask(Told(body={"code": 404, "msg": "unknown", "data": {}}))
    assert reply.delivery is Delivery.REFUSED


@pytest.mark.parametrize(
    ("told", "why"),
    [
        pytest.param(Told(key=None), "no signed answer", id="unsigned"),
        pytest.param(Told(key=None, status=502), "no signed answer (HTTP 502)", id="a proxy's page"),
        pytest.param(Told(key=None, status=404), "no signed answer (HTTP 404)", id="a proxy without the route"),
        pytest.param(Told(key=EVE), "wrong signature", id="another key"),
        pytest.param(Told(signs={"status": 500}), "wrong signature", id="another status"),
        pytest.param(Told(signs={"nonce": "n-0"}), "wrong signature", id="of another request"),
        pytest.param(Told(signs={"path": "/v1/other"}), "wrong signature", id="of another operation"),
        pytest.param(Told(signs={"body": b"{}"}), "wrong signature", id="another body"),
        pytest.param(Told(signs={"target": "carol"}), "wrong signature", id="for another node"),
        pytest.param(Told(signs={"source": "eve"}), "wrong signature", id="another node's"),
        pytest.param(
            Told(signs={"source": "eve"}, sends={"x-source-node-id": "eve"}), "wrong signature", id="says so too"
        ),
        pytest.param(Told(late_ms=301_000), "clock", id="too old"),
        pytest.param(Told(sends={"x-timestamp": "\xff"}), "wrong signature", id="no timestamp"),
    ],
)
@pytest.mark.parametrize("operation", ["task/poll", "task/callback", "job/status_all"])
async def test_what_the_partner_did_not_sign_is_no_answer(told: Told, why: str, operation: str) -> None:
    reply, _ = await ask(told, operation=operation)
    assert reply.delivery is Delivery.FAILED
    assert why in reply.error
    assert not reply.data


async def test_who_merely_may_sign_is_believed_without_but_never_with_a_wrong_one() -> None:
    for told, expected in (
        (Told(key=None), Delivery.OK),
        (Told(), Delivery.OK),
        (Told(key=EVE), Delivery.FAILED),
    ):
        reply, _ = await ask(told, signing="verify-if-present")
        assert reply.delivery is expected


async def test_nothing_is_said_to_a_node_without_a_contract_in_force() -> None:
    for trust in (None, Trust("c", ((public(BOB), None),), expires_ms=1)):
        reply, heard = await ask(Told(), trust=trust)
        assert (reply.delivery, heard) == (Delivery.FAILED, [])
        assert "no contract in force" in reply.error


async def test_another_form_of_the_same_question_has_another_nonce() -> None:
    refused = Told(body={"code": 405, "msg": "no", "data": {}})
    good = Told(body={"code": 200, "msg": "", "data": {"job_status": "RUNNING", "status": {}}})
    reply, heard = await ask(refused, refused, good, operation="job/status_all")
    assert reply.delivery is Delivery.OK
    assert len({(one.method, one.query, one.body) for one in heard}) == len({one.said.nonce for one in heard}) == 3
