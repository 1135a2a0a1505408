"""The management layer's contract operations as strangers and other vendors call them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.trust.test_invitations import QUICK, events, pair
from tests.support.hosted import Hosted, hosted

from embedded_scheduler.home import Home
from embedded_scheduler.security.identity import Identity, create_identity, load_identity
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, render_headers
from embedded_scheduler.wire.bfia.signature import SignedRequest, Signer
from nodeconsole.client import ClientError

NODE = "/v1/interconn/node"


@pytest.fixture
async def alice(tmp_path: Path) -> AsyncIterator[Hosted]:
    async with hosted(tmp_path / "a", "alice", tls="off", settings=QUICK) as node:
        yield node


def identity(directory: Path, node_id: str) -> Identity:
    create_identity(Home(directory).path, node_id)
    return load_identity(directory)


class Stranger:
    """Signs with its own key, or not at all."""

    def __init__(self, node: Hosted, node_id: str, key: Identity | None = None) -> None:
        self._node, self.node_id, self._key = node, node_id, key
        self._count = 0

    async def ask(self, method: str, path: str, body: Mapping[str, Any], *, alter: bool = False) -> dict[str, Any]:
        from embedded_scheduler.clock import SystemClock  # noqa: PLC0415

        self._count += 1
        get = method == "GET"
        query = str(httpx.QueryParams(dict(body))) if get else ""
        content = b"" if get else json.dumps(body).encode()
        said = PartnerHeaders(
            source=self.node_id,
            target="alice",
            nonce=f"{self.node_id}-{self._count}",
            timestamp=str(SystemClock().now_ms()),
        )
        signed = SignedRequest(method, NODE + path, query, said, content).message()
        signature = Signer(self._key.key).sign(signed) if self._key else ""
        headers = render_headers(said, signature=signature, writes=not get)
        async with httpx.AsyncClient(trust_env=False) as http:
            url = f"{self._node.url}{NODE}{path}" + (f"?{query}" if query else "")
            sent = content.replace(b"Stranger Ltd", b"Stranger AG") if alter else content
            answer: dict[str, Any] = (await http.request(method, url, headers=headers, content=sent)).json()
        return answer

    def application(self, key: Identity, **other: Any) -> dict[str, Any]:
        return {
            "node_id": self.node_id,
            "address": "http://127.0.0.1:9",
            "auth_type": "CERT",
            "auth_credential": key.certificate,
            "inst_id": "i",
            "institution": "Stranger Ltd",
            "name": "n",
            "system": "other",
            "system_version": "1",
            **other,
        }


async def test_strangers_learn_the_minimum_and_cannot_act(alice: Hosted, tmp_path: Path) -> None:
    key = identity(tmp_path / "k", "zoe")
    zoe = Stranger(alice, "zoe", key)
    assert (await zoe.ask("GET", "/health", {}))["data"] == {"status": "ok"}
    about = await zoe.ask("GET", "/query", {"node_id": "alice"})
    assert about["data"] == {"node_id": "alice", "system": "nodeconsole"}
    assert (await zoe.ask("GET", "/query", {"node_id": "bob"}))["code"] == 404
    assert (await zoe.ask("GET", "/contract/query", {"contract_id": "contract-x"}))["code"] == 404
    for path, body in (
        ("/contract/confirm", {"contract_id": "contract-x", "status": "APPROVED"}),
        ("/contract/terminate", {"contract_id": "contract-x"}),
        ("/update", zoe.application(key, contract_id="contract-x")),
    ):
        assert (await zoe.ask("POST", path, body))["code"] == 401
        assert (await Stranger(alice, "zoe").ask("POST", path, body))["code"] == 401


async def test_an_application_is_stored_for_the_operator_and_nothing_is_trusted(alice: Hosted, tmp_path: Path) -> None:
    key, other = identity(tmp_path / "k", "zoe"), identity(tmp_path / "o", "eve")
    zoe = Stranger(alice, "zoe", key)
    applied = await zoe.ask("POST", "/contract/apply", zoe.application(key))
    contract_id = applied["data"]["contract_id"]
    assert set(applied["data"]) == {"contract_id", "auth_type", "auth_credential"}
    assert (await zoe.ask("POST", "/contract/apply", zoe.application(key)))["data"]["contract_id"] == contract_id
    asked = await zoe.ask("GET", "/contract/query", {"contract_id": contract_id})
    assert asked["data"] == {"status": "APPLIED"}

    # Signed with another key than the one presented; changed on the way; in another's name; as this very node.
    eve = Stranger(alice, "zoe", other)
    assert (await eve.ask("POST", "/contract/apply", zoe.application(key)))["code"] == 401
    assert (await zoe.ask("POST", "/contract/apply", zoe.application(key), alter=True))["code"] == 401
    assert (await zoe.ask("POST", "/contract/apply", zoe.application(key, node_id="eve")))["code"] == 403
    for fault in ({"address": "ftp://x"}, {"auth_type": "CERT", "auth_credential": "x"}, {"institution": "x" * 300}):
        assert (await zoe.ask("POST", "/contract/apply", zoe.application(key, **fault)))["code"] == 400

    # Another's key ends nothing; the own key withdraws.
    assert (await eve.ask("POST", "/contract/terminate", {"contract_id": contract_id}))["code"] == 401
    async with alice.client() as client:
        assert await client.peers() == []
        assert [row.state for row in await client.contracts()] == ["APPLIED"]
        assert any(finding.check == "contract" for finding in (await client.doctor()).findings)
        assert (await zoe.ask("POST", "/contract/terminate", {"contract_id": contract_id}))["code"] == 200
        assert (await client.contract(contract_id)).state == "REJECTED"
        with pytest.raises(ClientError):
            await client.confirm_contract(contract_id, "x")


async def test_open_applications_are_bounded(alice: Hosted, tmp_path: Path) -> None:
    codes = []
    for number in range(5):
        key = identity(tmp_path / f"k{number}", "zoe")
        zoe = Stranger(alice, f"zoe{number}")
        codes.append((await zoe.ask("POST", "/contract/apply", zoe.application(key)))["code"])
    assert codes == [200, 200, 200, 429, 429], "three from one address"


async def test_a_relay_that_swaps_the_key_is_refused_and_a_changed_key_too(tmp_path: Path) -> None:
    """Over plain HTTP somebody between the two can change everything but the proof of the code."""
    async with pair(tmp_path, tls="off") as nodes:
        made = await nodes.at_alice.invite()
        from embedded_scheduler.security import invitation as codes  # noqa: PLC0415

        code = codes.decode(made.code)
        mallory = identity(tmp_path / "m", "mallory")
        bob = await nodes.at_bob.identity()
        proof = codes.application_proof(
            codes.verifier_of(code.id, code.secret),
            invitation_id=code.id,
            inviting=("alice", code.fingerprint),
            applying=("bob", bob.fingerprint),
            address=nodes.bob.url,
        )
        relay = Stranger(nodes.alice, "bob", mallory)
        swapped = relay.application(mallory, address=nodes.bob.url, invitation={"id": code.id, "proof": proof})
        answer = await relay.ask("POST", "/contract/apply", swapped)
        assert answer["code"] == 403
        assert "proof is not right" in answer["msg"]
        assert "invitation.refused" in await events(nodes.at_alice)

        # Once there is a contract, a partner with another key is a stranger.
        there = await nodes.at_bob.join(made.code)
        await nodes.at_alice.confirm_contract("bob", there.words)
        body = relay.application(mallory, contract_id=there.contract_id)
        assert (await relay.ask("POST", "/update", body))["code"] == 401
        assert (await relay.ask("POST", "/contract/terminate", {"contract_id": there.contract_id}))["code"] == 401
        assert (await nodes.at_alice.contract("bob")).fingerprint == bob.fingerprint
        # Nor does a second application in its name replace it.
        again = await relay.ask("POST", "/contract/apply", relay.application(mallory))
        words = (await nodes.at_alice.contract(again["data"]["contract_id"])).words
        with pytest.raises(ClientError, match="already"):
            await nodes.at_alice.confirm_contract(again["data"]["contract_id"], words)
