"""What an outsider tries who knows this program: to be counted as a partner, to speak for one, to wear one out."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import secrets
import sqlite3
import ssl
import tarfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.cluster import Cluster, document
from tests.support.hosted import Hosted, hosted
from tests.support.probe_jobs import probe_job
from tests.support.trust import certificate_of, trusted_nodes

from embedded_scheduler.api.limits import PartnerGate
from embedded_scheduler.backup import KEYS, restore_backup, write_backup
from embedded_scheduler.clock import SystemClock
from embedded_scheduler.config import Limits
from embedded_scheduler.domain.environment import AttemptFacts, NodeFacts, build_environment
from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.domain.lifecycle import CONTRACT, GRANT, AgreementState, AgreementTrigger
from embedded_scheduler.domain.permit import Permit, resource_name
from embedded_scheduler.engine import creation, jobs, policies
from embedded_scheduler.engine.applications import MOST_A_WEEK, MOST_RECORDED
from embedded_scheduler.engine.linktest import proof
from embedded_scheduler.engine.linktest import test_key as key_of_test
from embedded_scheduler.engine.transitions import Cause, fire_agreement
from embedded_scheduler.errors import Conflict, Forbidden, InvalidRequest
from embedded_scheduler.home import Home
from embedded_scheduler.peers.clients import Clients, Route
from embedded_scheduler.peers.directory import Directory, Partner, Trust
from embedded_scheduler.peers.exchange import Exchange, NotTaken, Request
from embedded_scheduler.peers.profiles import DEFAULT
from embedded_scheduler.provision import provision
from embedded_scheduler.security.identity import Identity, create_identity, load_identity
from embedded_scheduler.security.invitation import decode, verifier_of
from embedded_scheduler.security.keys import CERT, certificate_fingerprint, parse_credential
from embedded_scheduler.spi.connector import Column, Probe
from embedded_scheduler.store import contracts, datasets, grants, permits
from embedded_scheduler.store.database import Database, Tx
from embedded_scheduler.wire import ptp
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, render_headers
from embedded_scheduler.wire.bfia.signature import SignedRequest, Signer
from embedded_scheduler.wire.console import PeerRequest
from embedded_scheduler.wire.linktest import NONCE, PATH, PROOF, TICKET
from nodeconsole.client import ClientError

NODE = "/v1/interconn/node"
POLL = "/v1/interconn/schedule/task/poll"
TIGHT = (
    "limits.partner_requests_per_second = 0.001\nlimits.partner_burst = 16\nlimits.partner_bytes_per_hour = 1000000\n"
    "limits.stranger_requests_per_second = 5\nlimits.stranger_burst = 40\n"
)
FOUR_EYES = "approval.job_approvers = 2\napproval.contract_approvers = 2\n"
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
    create_identity(Home(directory).path, "bob")
    return Caller(nodes["alice"], "bob", load_identity(directory))


def events(node: Hosted, name: str) -> int:
    with contextlib.closing(sqlite3.connect(node.home.database)) as database:
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
    for number in range(30):
        body = {"contract_id": contract_id, "n": number}
        assert await mallory.code(f"{NODE}/contract/terminate", body, nonce="mine") in (200, 409, 429)
    assert events(nodes["alice"], "peer.replay_refused") == 0
    assert await bob.code(POLL, {"task_id": "task-1"}) == 404


async def test_naming_a_partner_spares_nobody_the_limit_for_strangers(nodes: dict[str, Hosted]) -> None:
    asked = code = 0
    async with httpx.AsyncClient(base_url=nodes["alice"].url, trust_env=False) as http:
        while code != 429:
            code = (await http.get(f"{NODE}/health", headers={"x-source-node-id": "bob"})).json()["code"]
            asked += 1
            assert asked < 60
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
        with pytest.raises(NotTaken):
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
        assert ptp.Code.OK.encode() not in answer.content
    assert await bob.code(POLL, {"task_id": "task-1"}) == 404


async def test_naming_several_sources_spares_nobody_either(nodes: dict[str, Hosted]) -> None:
    for other in ("x-source-node-id", "x-ptp-source-node-id"):
        named = [("x-node-id", "bob"), (other, "mallory")]
        async with httpx.AsyncClient(base_url=nodes["alice"].url, trust_env=False) as http:
            for _ in range(60):
                if (await http.get(f"{NODE}/health", headers=named)).json()["code"] == 429:
                    break
            else:
                pytest.fail("nobody is ever refused")


async def test_applications_that_are_withdrawn_do_not_pile_up(tmp_path: Path) -> None:
    settings = "limits.stranger_requests_per_second = 10000\nlimits.stranger_burst = 10000\n"
    create_identity(Home(tmp_path / "mallory").path, "mallory")
    async with hosted(tmp_path / "alice", settings=settings) as alice:
        mallory = Caller(alice, "mallory", load_identity(tmp_path / "mallory"))
        codes = set()
        async with httpx.AsyncClient(base_url=alice.url, trust_env=False) as http:
            for _ in range(MOST_A_WEEK + 10):
                content, headers = mallory.request(f"{NODE}/contract/apply", mallory.introduction())
                answer = (await http.post(f"{NODE}/contract/apply", content=content, headers=headers)).json()
                codes.add(answer["code"])
                if answer["code"] == 200:
                    own = {"contract_id": answer["data"]["contract_id"]}
                    content, headers = mallory.request(f"{NODE}/contract/terminate", own)
                    await http.post(f"{NODE}/contract/terminate", content=content, headers=headers)
        assert codes == {200, 429}
        assert events(alice, "contract.applied") == MOST_A_WEEK


# -- what needs one node, or none --------------------------------------------------------------------------------------


async def test_an_old_code_fills_no_ledger_and_a_revoked_one_tests_no_link(tmp_path: Path) -> None:
    settings = "limits.stranger_requests_per_second = 1000\n"
    async with hosted(tmp_path / "alice", settings=settings) as alice, alice.client() as client:
        code = decode((await client.invite(hours=1)).code)
        key = key_of_test(verifier_of(code.id, code.secret))
        nonces = iter(f"{number:032x}" for number in range(100))

        async with httpx.AsyncClient(base_url=alice.url, trust_env=False) as http:

            async def tests_the_link() -> int:
                nonce = next(nonces)
                shown = {TICKET: code.id, NONCE: nonce, PROOF: proof(key, nonce, f"GET {PATH}?")}
                return int((await http.get(PATH, headers=shown)).json()["code"])

            assert await tests_the_link() == 200
            await client.revoke_invitation(code.id)
            assert await tests_the_link() == 401
            create_identity(Home(tmp_path / "mallory").path, "mallory")
            mallory = Caller(alice, "mallory", load_identity(tmp_path / "mallory"))
            used = mallory.introduction(invitation={"id": code.id, "proof": "0" * 64})
            for _ in range(30):
                refused = await http.post(f"{NODE}/contract/apply", json=used, headers={"x-node-id": "mallory"})
                assert refused.json()["code"] == 403, refused.text
        assert events(alice, "invitation.refused") == MOST_RECORDED


async def test_a_request_for_a_job_takes_as_many_people_as_the_job(tmp_path: Path) -> None:
    async with trusted_nodes(tmp_path, "alice", "bob", tls="off", settings=FOUR_EYES) as nodes:
        bob = bob_of(nodes)
        made = probe_job({"guest": "bob", "host": "alice"}, {"a": []})
        body = {
            "audit_id": "audit-1",
            "job_id": "job-1",
            "flow_id": "flow-1",
            "project_id": "",
            "name": "n",
            "dag": made["dag"],
            "conf": made["config"],
        }
        assert await bob.code("/v1/interconn/job/audit/apply", body) == 200
        async with nodes["alice"].client() as client:
            [asked] = (await client.grants(direction="in")).grants
            assert asked.approvers_needed == 2
            assert (await client.approve_grant(asked.grant_id)).state == "APPLIED"
            # Nor does one person alone begin to believe a partner without signatures.
            with pytest.raises(ClientError):
                await client.add_peer(PeerRequest(node_id="bob", url="http://127.0.0.1:9", signing="off"))


@pytest.mark.parametrize("role", ["7-guest", "a-b", "-", "guest-0-host"])
def test_no_job_has_its_results_where_those_of_another_are(role: str) -> None:
    """`job` with the role `7-guest` would have them where `job-7` has those of its guest."""
    made = probe_job({role: "alice", "guest": "bob"}, {"a": []})
    with pytest.raises(InvalidRequest, match="hyphen"):
        parse_job("job", made)


def test_a_neighbourhood_of_addresses_is_one_stranger() -> None:
    gate = PartnerGate(Limits(stranger_burst=5, stranger_requests_per_second=0.001), SystemClock(), Directory())
    assert sum(gate.suffers(f"2001:db8:1:2::{number:x}") for number in range(50)) <= 6
    assert gate.suffers("2001:db8:1:3::1")
    assert sum(gate.suffers(text) for text in ["192.0.2.1", "::ffff:192.0.2.1"] * 10) <= 6


def test_a_backup_without_its_seal_is_not_taken_for_one_with_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "alice")
    provision(home, node_id="alice", listen="127.0.0.1:9380", platform="127.0.0.1:9381", tls="mutual")
    asyncio.run(_opened_once(home))
    file, stripped = tmp_path / "backup", tmp_path / "stripped"
    write_backup(home, file, passphrase="correct horse")
    with tarfile.open(file) as sealed, tarfile.open(stripped, "w:gz") as bare:
        for entry in sealed:
            if entry.name != KEYS:
                bare.addfile(entry, sealed.extractfile(entry))
    with pytest.raises(Forbidden, match="seal was taken off"):
        restore_backup(stripped, Home(tmp_path / "copy"), passphrase="correct horse")
    assert not (tmp_path / "copy").exists()


async def _opened_once(home: Home) -> None:
    database = await Database.open(home.database, clock=SystemClock(), backups=home.backups)
    await database.close()


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_certificate_that_somebody_made_up_is_refused_and_nothing_worse(tmp_path: Path) -> None:
    create_identity(Home(tmp_path).path, "bob")
    pem = load_identity(tmp_path).certificate
    certificate = bytearray(ssl.PEM_cert_to_DER_cert(pem))
    chance = random.Random(1)
    for position in range(len(certificate)):
        for value in {*chance.sample(range(256), 6), certificate[position] ^ 1}:
            altered = bytes(certificate[:position]) + bytes([value]) + bytes(certificate[position + 1 :])
            assert len(certificate_fingerprint(altered)) in (0, 64)
            with contextlib.suppress(InvalidRequest):
                parse_credential(CERT, base64.b64encode(altered).decode())
    # A key of a kind that nobody knows.
    unknown = bytes(certificate).replace(bytes.fromhex("06032b6570"), bytes.fromhex("06032b6575"))
    with pytest.raises(InvalidRequest, match="kind of key"):
        parse_credential(CERT, base64.b64encode(unknown).decode())
    with pytest.raises(InvalidRequest):
        parse_credential("ED25519", base64.b64encode(bytes.fromhex("302a300506032b6575032100") + bytes(32)).decode())


# -- what a job says of itself -----------------------------------------------------------------------------------------


def test_only_a_task_without_inputs_is_told_of_a_dataset() -> None:
    """Policies, permits and operators see what such tasks read; a component falls back on these names elsewhere."""
    named = {"namespace": "crm", "name": "customers", "dataset_id": "crm#customers", "rounds": 3}
    made = probe_job({"guest": "alice", "host": "bob"}, {"a": [], "b": ["a"]}, parameters={"a": named, "b": named})
    spec = parse_job("job-1", made)
    [party] = [party for party in spec.parties if party.node_id == "alice"]
    told = {
        task: set(
            build_environment(
                spec=spec,
                task_name=task,
                party=party,
                manifest=None,
                task_ids={},
                attempt=AttemptFacts("s", "t", "x"),
                node=NodeFacts("file:///data", "http://127.0.0.1:1/", "127.0.0.1:1", "/logs"),
            )
        )
        for task in ("a", "b")
    }
    names = {f"runtime.component.parameter.{name}" for name in ("namespace", "dataset_id")}
    assert names <= told["a"]
    assert names.isdisjoint(told["b"])
    assert "runtime.component.parameter.rounds" in told["b"]


async def test_a_rule_does_not_take_a_permit_from_a_coordinator_that_was_only_shown_it(tmp_path: Path) -> None:
    net = Cluster(tmp_path)
    for node in ("alice", "bob", "carol"):
        await net.start(node)
    bob = net.engines["bob"]
    for partner in ("alice", "carol"):
        net.partners["bob"].policy[partner] = "manual"
    try:
        permit = await bob.db.write(_permit_of_alice)
        rule = '[[rule]]\nname = "permitted"\nwhen = {permit = true}\nthen = "approve"\n'
        await policies.put(bob, rule, expected=None, actor="operator:olga")
        made = document(("a",), roles={"guest": ["alice"], "host": ["bob"]})
        made["config"]["task_params"] = {"host": {"0": {"a": {"dataset_id": "crm#c"}}}, "guest": {"0": {"a": {}}}}

        async def created(job_id: str, source: str) -> str:
            return await jobs.create(bob, job_id, made, source=source, trace_id="t", shown=[permit])

        assert await created("job-1", "carol") == "PENDING"
        assert await created("job-2", "alice") == "READY"
    finally:
        await net.stop_all()


def _permit_of_alice(tx: Tx) -> Permit:
    probe = Probe(columns=(Column("id", "string"),), rows=1, size_bytes=1, fingerprint="f")
    datasets.put(tx, namespace="crm", name="c", connector="csv", options={}, description="", probe=probe)
    grant = grants.add(
        tx,
        direction="in",
        node_id="alice",
        kind="dataset",
        audit_id="audit-1",
        resource_id="crm#c",
        contract_id="c",
        name="c",
        body={},
        trace_id="",
    )
    contracts.add(tx, contract_id="c", node_id="alice", side="manual", auth_type="", auth_credential="", fingerprint="")
    cause, approve, applied = Cause("operator:test"), AgreementTrigger.APPROVE, AgreementState.APPLIED
    fire_agreement(tx, CONTRACT, "c", applied, approve, cause, "contracts.set_state", contract_id="c")
    fire_agreement(tx, GRANT, grant.grant_id, applied, approve, cause, "grants.set_state", grant_id=grant.grant_id)
    permits.add(
        tx,
        grant_id=grant.grant_id,
        issued=True,
        token="token-of-alice",
        level=1,
        resource_type="DATASET",
        resource_id="crm#c",
        resource_node_id="bob",
        resource_inst_id="bob",
        request_node_id="alice",
        request_inst_id="alice",
        time_limit_ms=None,
        times_limit=None,
    )
    return Permit(resource_name("bob", "crm#c"), "1", "token-of-alice")


async def test_a_task_id_of_another_job_is_refused_in_so_many_words(tmp_path: Path) -> None:
    net = Cluster(tmp_path)
    for node in ("alice", "bob", "carol"):
        await net.start(node)
    bob = net.engines["bob"]
    net.runners["bob"].result = lambda _: None
    made = document(("a",), roles={"guest": ["alice"], "host": ["bob"]})
    try:
        for job_id, source in (("job-1", "alice"), ("job-2", "carol")):
            assert await jobs.create(bob, job_id, made, source=source, trace_id="t") == "READY"
        await jobs.start_task(bob, "job-1", "task-1", "a", source="alice")
        await jobs.start_task(bob, "job-1", "task-1", "a", source="alice")
        # Nor one that would make its channel session, or its results, those of another job.
        for task_id in ("task-1", "job-1"):
            with pytest.raises(Conflict, match="cannot be used here"):
                await jobs.start_task(bob, "job-2", task_id, "a", source="carol")
        with pytest.raises(Conflict, match="cannot be used here"):
            await creation.create(bob, "task-1", made, source="carol", trace_id="t")
        with pytest.raises(InvalidRequest, match="session_"):
            await creation.create(bob, "session_job-1", made, source="carol", trace_id="t")
    finally:
        await net.stop_all()
