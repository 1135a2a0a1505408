"""Messages of the management layer about contracts, as another implementation sends them, and what is answered."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract.recorder import Answer, Node

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.errors import Conflict, NotFound
from embedded_scheduler.security.keys import PublicKey, SigningKey, parse_credential
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, render_headers
from embedded_scheduler.wire.bfia.signature import SignedRequest, Signer

NODE = "/v1/interconn/node"
CONTRACT = "contract-1"
_nonces = itertools.count()


class Counterpart:
    """A node with a key of its own, in another implementation's words."""

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        private = Ed25519PrivateKey.generate()
        self.credential = base64.b64encode(private.public_key().public_bytes_raw()).decode()
        self._signer = Signer(SigningKey(private))

    @property
    def key(self) -> PublicKey:
        return parse_credential("ED25519", self.credential)

    async def post(self, node: Node, path: str, body: Mapping[str, Any]) -> Answer:
        content = json.dumps(body).encode()
        said = PartnerHeaders(
            source=self.node_id,
            target="us",
            nonce=f"n-{next(_nonces)}",
            timestamp=str(SystemClock().now_ms() // 1000),
        )
        signature = self._signer.sign(SignedRequest("POST", NODE + path, "", said, content).message())
        headers = render_headers(said, signature=signature, writes=True)
        return await node.call("POST", NODE + path, content, headers=headers)

    def introduction(self, **other: Any) -> dict[str, Any]:
        """The eight required members of an application and an update."""
        return {
            "address": "https://other.example/pc",
            "auth_type": "ED25519",
            "auth_credential": self.credential,
            "inst_id": "JG01",
            "institution": "另一家银行",
            "name": "other node",
            "system": "other",
            "system_version": "3.2",
            **other,
        }


@pytest.fixture
def other(node: Node) -> Counterpart:
    """The other node of `CONTRACT`."""
    counterpart = Counterpart("other")
    node.directory.agreed[CONTRACT] = ("other", (counterpart.key,))
    return counterpart


@pytest.mark.parametrize(
    ("expired_time", "expires_ms"),
    [
        (1_900_000_000_000, 1_900_000_000_000),
        (1_900_000_000, 1_900_000_000_000),
        ("1900000000000", 1_900_000_000_000),
        (0, None),
        ("", None),
        (None, None),
    ],
)
async def test_an_application_as_the_text_writes_it(node: Node, expired_time: object, expires_ms: int | None) -> None:
    other = Counterpart("other")
    body = other.introduction(node_id="other", description=None, expired_time=expired_time, surplus={"x": 1})
    answer = await node.call("POST", f"{NODE}/contract/apply", body, source="other")
    # The key is no secret, and the operators need it for the words that they compare.
    shown = {"contract_id": "contract-made-here", "auth_type": "CERT", "auth_credential": "our certificate"}
    assert (answer.code, answer.data) == (200, shown)
    verb, said = node.verbs.last
    application = said["application"]
    assert verb == "apply"
    assert (application.about.node_id, application.about.institution) == ("other", "另一家银行")
    assert (application.about.address, application.expires_ms) == ("https://other.example/pc", expires_ms)
    assert (application.auth_type, application.auth_credential) == ("ED25519", other.credential)
    assert application.invitation is None


async def test_who_signs_an_application_holds_the_key_that_it_presents(node: Node) -> None:
    other, thief = Counterpart("other"), Counterpart("other")
    body = other.introduction(node_id="other", description="", expired_time=0)
    assert (await other.post(node, "/contract/apply", body)).code == 200
    node.verbs.calls.clear()
    assert (await thief.post(node, "/contract/apply", body)).code == 401
    assert (await node.call("POST", f"{NODE}/contract/apply", body, source="seedy")).code == 403
    assert node.verbs.calls == []


@pytest.mark.parametrize("status", ["APPROVED", "approved"])
async def test_an_approval_brings_the_key_of_the_node_that_was_asked(
    node: Node, other: Counterpart, status: str
) -> None:
    body = {"contract_id": CONTRACT, "status": status, "auth_type": "CERT", "auth_credential": "PEM"}
    answer = await other.post(node, "/contract/confirm", {**body, "expired_time": 1_900_000_000})
    assert (answer.code, answer.data) == (200, {})
    assert node.verbs.last == (
        "confirmed",
        {
            "contract_id": CONTRACT,
            "approved": True,
            "auth_type": "CERT",
            "auth_credential": "PEM",
            "expires_ms": 1_900_000_000_000,
            "source": "other",
        },
    )


async def test_a_refusal_brings_no_key(node: Node, other: Counterpart) -> None:
    body = {"contract_id": CONTRACT, "status": "REJECTED", "auth_type": None, "auth_credential": None}
    assert (await other.post(node, "/contract/confirm", body)).code == 200
    verb, said = node.verbs.last
    assert (verb, said["approved"], said["auth_credential"], said["expires_ms"]) == ("confirmed", False, "", None)
    assert (await other.post(node, "/contract/confirm", {**body, "status": "TERMINATED"})).code == 400


async def test_an_update_keeps_the_contract_and_names_the_key(node: Node, other: Counterpart) -> None:
    successor = Counterpart("other")
    body = successor.introduction(contract_id=CONTRACT, address="https://new.example")
    answer = await other.post(node, "/update", body)
    assert (answer.code, answer.data) == (200, {})
    verb, said = node.verbs.last
    assert (verb, said["contract_id"], said["about"].node_id) == ("updated", CONTRACT, "other")
    assert (said["about"].address, said["auth_credential"]) == ("https://new.example", successor.credential)
    # The new key does not count before the update that brings it.
    assert (await successor.post(node, "/update", body)).code == 401


async def test_a_key_that_was_replaced_chooses_no_successor(node: Node, other: Counterpart) -> None:
    current = Counterpart("other")
    node.directory.agreed[CONTRACT] = ("other", (current.key, other.key))
    assert (await other.post(node, "/contract/terminate", {"contract_id": CONTRACT})).code == 200
    node.verbs.calls.clear()
    own = Counterpart("other").introduction(contract_id=CONTRACT)
    assert (await other.post(node, "/update", own)).code == 401
    assert node.verbs.calls == []
    # It may still say what the partner's present key is.
    assert (await other.post(node, "/update", current.introduction(contract_id=CONTRACT))).code == 200


async def test_either_side_ends_its_own_contract_and_no_other(node: Node, other: Counterpart) -> None:
    answer = await other.post(node, "/contract/terminate", {"contract_id": CONTRACT})
    assert (answer.code, answer.data) == (200, {})
    assert node.verbs.last == ("terminated", {"contract_id": CONTRACT, "source": "other"})
    node.directory.agreed["contract-2"] = ("third", (other.key,))
    for contract_id in ("contract-2", "contract-unknown"):
        assert (await other.post(node, "/contract/terminate", {"contract_id": contract_id})).code == 401


@pytest.mark.parametrize("state", ["APPLIED", "APPROVED", "REJECTED", "TERMINATED"])
async def test_the_four_states_are_told_as_they_are(node: Node, state: str) -> None:
    node.verbs.returns["state_of"] = state
    answer = await node.call("GET", f"{NODE}/contract/query", query={"contract_id": CONTRACT}, source="")
    assert (answer.code, answer.data) == (200, {"status": state})


async def test_strangers_hear_the_minimum_without_a_name_of_their_own(node: Node) -> None:
    about = await node.call("GET", f"{NODE}/query", query={"node_id": "us"}, source="")
    assert (about.code, about.data) == (200, {"node_id": "us", "system": "nodeconsole"})
    assert (await node.call("GET", f"{NODE}/query", query={"node_id": "them"}, source="")).code == 404
    alive = await node.call("GET", f"{NODE}/health", source="")
    assert (alive.code, alive.data) == (200, {"status": "ok"})


async def test_success_is_told_in_the_partners_code(node: Node) -> None:
    assert (await node.call("GET", f"{NODE}/health", source="officer")).code == 0
    assert (await node.call("GET", f"{NODE}/health", source="seedy")).code == 200


@pytest.mark.parametrize(("error", "code"), [(Conflict("the contract has ended"), 409), (NotFound("none"), 404)])
async def test_what_the_verb_refuses_is_the_answer(node: Node, other: Counterpart, error: Exception, code: int) -> None:
    node.verbs.raises["terminated"] = error
    answer = await other.post(node, "/contract/terminate", {"contract_id": CONTRACT})
    assert (answer.status, answer.code, answer.data) == (200, code, {})


async def test_requests_about_resources_want_a_contract_before_anything(node: Node) -> None:
    """An unknown node gets one answer whatever it asks for, and whatever the body is."""
    seen = set()
    for method, path in (
        ("GET", "/dataset/pub/list"),
        ("POST", "/dataset/audit/apply"),
        ("POST", "/job/audit/confirm"),
        ("POST", "/message/receipt"),
    ):
        for body in (None, b"{", b'{"audit_id": "a"}'):
            answer = await node.call(method, f"/v1/interconn{path}", body, source="nobody")
            seen.add((answer.code, answer.body["msg"]))
    assert [code for code, _ in seen] == [401]
