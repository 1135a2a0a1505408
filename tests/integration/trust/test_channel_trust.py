"""Channel messages between two nodes with a contract: through mutual TLS and signatures, and what is not let in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.hosted import Hosted
from tests.support.trust import trusted_nodes

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.security.identity import load_identity
from embedded_scheduler.security.tls import client_context
from embedded_scheduler.wire import ptp
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, render_headers
from embedded_scheduler.wire.bfia.signature import SignedRequest, Signer
from embedded_scheduler.wire.ptp import DEPLOYED, INVOKE_PATH, PART_BYTES, Code

SESSION = "session_of-a-job-to-come"
TOPIC = "guest.0-host.0"


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[dict[str, Hosted]]:
    async with trusted_nodes(tmp_path, "alice", "bob", "carol", settings="platform.trust_loopback = true\n") as running:
        yield running


def black_box(target: str, **more: str) -> dict[str, str]:
    return {"x-ptp-session-id": SESSION, "x-ptp-topic": TOPIC, "x-ptp-target-node-id": target, **more}


async def component(node: Hosted, verb: str, other: str, body: bytes = b"") -> Any:
    """A push to, or a pop from, the other node, as a component of this one makes it."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        url = f"{node.platform_url}/v1/interconn/chan/{verb}?timeout=10"
        answer = await client.post(url, headers=black_box(other), content=body)
    return DEPLOYED["TransportOutbound"].FromString(answer.content)


def invocation(source: Hosted, target: Hosted, body: bytes = b"x", **more: str) -> dict[str, str]:
    """Headers of a message, signed by its source."""
    said = PartnerHeaders(
        source=source.running.node_id,
        target=target.running.node_id,
        nonce="n-1",
        trace_id="t",
        timestamp=str(SystemClock().now_ms()),
    )
    own = black_box(target.running.node_id, **{"content-type": "application/octet-stream"}, **more)
    signed = SignedRequest("POST", INVOKE_PATH, "", said, body, ptp.covered(own))
    signature = Signer(load_identity(source.home.identity).key).sign(signed.message())
    return render_headers(said, signature=signature, writes=True) | own


async def invoke(source: Hosted, target: Hosted, headers: dict[str, str], body: bytes = b"x") -> str:
    """The code with which `target` answers what comes over `source`'s certificate."""
    context = client_context(
        pins=[load_identity(target.home.identity).fingerprint], pair=load_identity(source.home.identity).pair
    )
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        answer = await client.post(target.url + INVOKE_PATH, headers=headers, content=body)
    return str(DEPLOYED["TransportOutbound"].FromString(answer.content).code)


async def test_small_and_large_messages_arrive_signed(nodes: dict[str, Hosted]) -> None:
    alice, bob = nodes["alice"], nodes["bob"]
    for payload in (b"small", bytes(range(256)) * (2 * PART_BYTES // 200)):
        assert (await component(alice, "push", "bob", payload)).code == Code.OK
        assert (await component(bob, "pop", "alice")).payload == payload


async def test_what_is_not_signed_as_it_comes_is_refused(nodes: dict[str, Hosted]) -> None:
    alice, bob, carol = nodes["alice"], nodes["bob"], nodes["carol"]
    good = invocation(alice, bob)
    assert await invoke(alice, bob, good) == Code.OK
    for change in (
        {"x-auth-sign": ""},
        {"x-ptp-topic": "another"},
        {"x-ptp-session-id": "another"},
        {"x-nonce": "n-2"},
        {"content-type": "application/json"},
        {"x-ptp-source-node-id": "carol"},
        {"x-source-node-id": "carol", "x-node-id": "carol"},
        {"x-ptp-part": "0", "x-ptp-message": "m"},
    ):
        assert await invoke(alice, bob, good | change) == Code.FORBIDDEN, change
    assert await invoke(alice, bob, good, b"y") == Code.FORBIDDEN
    assert await invoke(carol, bob, good) == Code.FORBIDDEN, "another partner's certificate"
    popped = [(await component(bob, "pop", "alice")).payload for _ in range(1)]
    assert popped == [b"x"]


async def test_a_recorded_message_that_is_sent_again_is_there_once(nodes: dict[str, Hosted]) -> None:
    """Also one whose sender gave it no nonce of the transport's."""
    alice, bob = nodes["alice"], nodes["bob"]
    good = invocation(alice, bob)
    assert "x-ptp-nonce" not in good
    for _ in range(2):
        assert await invoke(alice, bob, good) == Code.OK
    assert (await component(bob, "pop", "alice")).payload == b"x"
    assert await invoke(alice, bob, good) == Code.OK
    assert (await component(bob, "peek", "alice")).payload == b""


async def test_nobody_learns_from_a_refusal_who_the_partners_are(nodes: dict[str, Hosted]) -> None:
    alice, bob = nodes["alice"], nodes["bob"]
    answers = []
    for source in ("carol", "nobody"):
        headers = invocation(alice, bob) | {"x-source-node-id": source, "x-node-id": source}
        context = client_context(pins=[load_identity(bob.home.identity).fingerprint])
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            answer = await client.post(bob.url + INVOKE_PATH, headers=headers, content=b"x")
        answers.append(answer.content)
    assert answers[0] == answers[1]
