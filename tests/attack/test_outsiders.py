"""What an outsider tries who knows this program: to be counted as a partner, to speak for one, to wear one out."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.hosted import Hosted
from tests.support.trust import certificate_of, trusted_nodes

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.config import Home
from embedded_scheduler.peers.clients import Clients, Route
from embedded_scheduler.peers.directory import Partner, Trust
from embedded_scheduler.peers.exchange import Exchange, NoAnswer, Request
from embedded_scheduler.peers.profiles import DEFAULT
from embedded_scheduler.security.identity import Identity, create_identity, load_identity
from embedded_scheduler.security.keys import CERT, parse_credential
from embedded_scheduler.wire import ptp
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, render_headers
from embedded_scheduler.wire.bfia.signature import SignedRequest, Signer

NODE = "/v1/interconn/node"
POLL = "/v1/interconn/schedule/task/poll"
TIGHT = (
    "limits.partner_requests_per_second = 0.001\nlimits.partner_burst = 8\nlimits.partner_bytes_per_hour = 1000000\n"
    "limits.stranger_requests_per_second = 0.001\nlimits.stranger_burst = 40\n"
)
BOTH = "contract-alice-bob"


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[dict[str, Hosted]]:
    """Plain HTTP, as behind a gateway that ends TLS: no client certificate keeps anybody out."""
    async with trusted_nodes(tmp_path, "alice", "bob", tls="off", settings=TIGHT) as running:
        yield running


class Caller:
    """Whoever it is: calls alice as `source`, and signs with whatever key it has."""

    def __init__(self, alice: Hosted, source: str, key: Identity) -> None:
        self._alice, self.source, self.key = alice, source, key

    def request(self, path: str, body: Mapping[str, Any], nonce: str = "") -> tuple[bytes, dict[str, str]]:
        content = json.dumps(body).encode()
        said = PartnerHeaders(
            source=self.source,
            target="alice",
            nonce=nonce or secrets.token_hex(16),
            timestamp=str(time.time_ns() // 1_000_000),
        )
        signature = Signer(self.key.key).sign(SignedRequest("POST", path, "", said, content).message())
        return content, render_headers(said, signature=signature, writes=True)

    async def send(self, path: str, content: bytes, headers: Mapping[str, str]) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self._alice.url, trust_env=False, timeout=10) as http:
            return await http.post(path, content=content, headers=headers)

    async def code(self, path: str, body: Mapping[str, Any], nonce: str = "") -> int:
        content, headers = self.request(path, body, nonce)
        return int((await self.send(path, content, headers)).json()["code"])

    def introduction(self, **more: Any) -> dict[str, Any]:
        names = dict.fromkeys(("inst_id", "institution", "name", "system", "system_version"), "x")
        key = {"auth_type": CERT, "auth_credential": self.key.certificate}
        return {"node_id": self.source, "address": "http://127.0.0.1:9", **names, **key, **more}


def bob_of(nodes: dict[str, Hosted]) -> Caller:
    return Caller(nodes["alice"], "bob", load_identity(nodes["bob"].home.identity))


def impostor_of(nodes: dict[str, Hosted], directory: Path) -> Caller:
    create_identity(directory, "bob")
    return Caller(nodes["alice"], "bob", load_identity(Home(directory).identity))


def events(node: Hosted, name: str) -> int:
    with closing(sqlite3.connect(node.home.database)) as database:
        return int(database.execute("SELECT count(*) FROM events WHERE event = ?", (name,)).fetchone()[0])


async def test_whoever_applies_under_a_partners_id_takes_nothing_from_that_partner(
    nodes: dict[str, Hosted], tmp_path: Path
) -> None:
    mallory, bob = impostor_of(nodes, tmp_path / "mallory"), bob_of(nodes)
    content, headers = mallory.request(f"{NODE}/contract/apply", mallory.introduction())
    applied = (await mallory.send(f"{NODE}/contract/apply", content, headers)).json()
    assert applied["code"] == 200, applied
    contract_id = applied["data"]["contract_id"]
    # Its own application it may withdraw, signed and as often as it likes; under one nonce with varied content too.
    for number in range(20):
        body = {"contract_id": contract_id, "n": number}
        assert await mallory.code(f"{NODE}/contract/terminate", body, nonce="mine") in (200, 409, 429)
    assert events(nodes["alice"], "peer.replay_refused") == 0
    assert await bob.code(POLL, {"task_id": "task-1"}) == 404


async def test_naming_a_partner_spares_nobody_the_limit_for_strangers(nodes: dict[str, Hosted]) -> None:
    codes = []
    async with httpx.AsyncClient(base_url=nodes["alice"].url, trust_env=False) as http:
        for _ in range(60):
            answer = await http.get(f"{NODE}/health", headers={"x-source-node-id": "bob"})
            codes.append(answer.json()["code"])
    assert 429 in codes
    # Bob himself, from the same address, has not lost anything.
    assert await bob_of(nodes).code(POLL, {"task_id": "task-1"}) == 404


async def test_an_earlier_update_that_is_repeated_does_not_undo_a_later_one(nodes: dict[str, Hosted]) -> None:
    bob = bob_of(nodes)
    first, second = (
        bob.request(f"{NODE}/update", bob.introduction(contract_id=BOTH, address=f"http://127.0.0.1:{port}"))
        for port in (1, 2)
    )
    for request in (first, second, first):
        assert (await bob.send(f"{NODE}/update", *request)).json()["code"] == 200
    async with nodes["alice"].client() as client:
        [peer] = await client.peers()
        assert peer.url == "http://127.0.0.1:2"


async def test_a_proxy_cannot_have_a_refusal_signed_for_a_request_that_it_spoiled(nodes: dict[str, Hosted]) -> None:
    """Else it could end a job by changing one byte of its creation: the refusal would be alice's own word."""
    bob, alice = bob_of(nodes), nodes["alice"]
    keys = ((parse_credential(CERT, certificate_of(alice.home)), None),)
    partner = Partner("alice", alice.url, "manual", DEFAULT, signing="required", trust=Trust(BOTH, keys))
    content, headers = bob.request(POLL, {"task_id": "task-1"})
    asked = Request("POST", POLL, "", content, headers["x-nonce"], "")
    clients = Clients(Route(), keepalive=1, idle_seconds=1)
    exchange = Exchange("bob", SystemClock(), clients, Signer(bob.key.key))
    spoiled = {
        "body": (content + b" ", headers),
        "large": (b"x" * (17 * 1024 * 1024), headers),
        "signature": (content, headers | {"x-auth-sign": "A" * 86 + "=="}),
        "missing": (content, {k: v for k, v in headers.items() if k != "x-auth-sign"}),
        "time": (content, headers | {"x-timestamp": "1700000000000"}),
        "target": (content, headers | {"x-target-node-id": "carol"}),
    }
    for what, request in spoiled.items():
        answer = await bob.send(POLL, *request)
        assert answer.json()["code"] in (400, 401, 413), what
        with pytest.raises(NoAnswer):
            exchange.is_proven(partner, asked, answer, answer.content)
    honest = await bob.send(POLL, content, headers)
    assert honest.json()["code"] == 404
    assert exchange.is_proven(partner, asked, honest, honest.content)
    await clients.close()


async def test_messages_that_only_claim_to_be_a_partners_do_not_use_up_its_volume(nodes: dict[str, Hosted]) -> None:
    bob = bob_of(nodes)
    forged = bob.request(ptp.INVOKE_PATH, {})[1] | {
        "x-ptp-session-id": "s-1",
        "x-ptp-topic": "t",
        "x-auth-sign": "A" * 86 + "==",
    }
    for _ in range(3):
        answer = await bob.send(ptp.INVOKE_PATH, b"x" * 900_000, forged)
        assert answer.json()["code"] != str(ptp.Code.OK)
    assert await bob.code(POLL, {"task_id": "task-1"}) == 404
