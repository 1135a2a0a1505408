"""Signed requests and answers between whole nodes over real TLS, and what became of what was captured."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.hosted import Hosted, started
from tests.support.probe_jobs import chain, probe_job
from tests.support.trust import trusted_nodes

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.security.identity import load_identity
from embedded_scheduler.security.keys import CERT, parse_credential
from embedded_scheduler.security.tls import client_context
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, render_headers
from embedded_scheduler.wire.bfia.signature import NOT_TAKEN, SignedAnswer, SignedRequest, Signer, is_signed

SCHEDULE = "/v1/interconn/schedule"
QUICK = "timing.poll_first = 0.5\ntiming.retry_first = 0.05\ntiming.call_timeout = 5.0\n"


class Impostor:
    """Writes requests of one node to another by hand, with the first one's key (or another's)."""

    def __init__(self, source: Hosted, target: Hosted, *, shows_certificate: bool = True) -> None:
        self.source, self.target = source, target
        self.identity = load_identity(source.home.identity)
        pins = [load_identity(target.home.identity).fingerprint]
        pair = self.identity.pair if shows_certificate else None
        self._context: ssl.SSLContext = client_context(pins=pins, pair=pair)

    def signed(
        self, path: str, body: dict[str, Any], *, nonce: str, shift_ms: int = 0, claim: str = ""
    ) -> tuple[str, dict[str, str], bytes]:
        """URL, headers and body; `claim` = another source than the one whose key signs."""
        said = PartnerHeaders(
            source=claim or self.source.running.node_id,
            target=self.target.running.node_id,
            nonce=nonce,
            trace_id="t",
            timestamp=str(SystemClock().now_ms() + shift_ms),
        )
        raw = json.dumps(body).encode()
        signature = Signer(self.identity.key).sign(SignedRequest("POST", SCHEDULE + path, "", said, raw).message())
        return self.target.url + SCHEDULE + path, render_headers(said, signature=signature, writes=True), raw

    async def send(self, message: tuple[str, dict[str, str], bytes]) -> httpx.Response:
        url, headers, body = message
        async with httpx.AsyncClient(verify=self._context, trust_env=False) as client:
            return await client.post(url, headers=headers, content=body)


async def finished(node: Hosted, job_id: str) -> str:
    async with node.client() as client:
        async for page in client.events(after=0):
            for event in page.events:
                if event.subject_id == job_id and event.target in ("FINISHED", "REJECTED"):
                    return str(event.data.get("outcome"))
    raise AssertionError("the stream ended")


async def events(node: Hosted, name: str) -> list[Any]:
    async with node.client() as client:
        return [event for event in (await client.event_page(after=0)).events if event.event == name]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Hosted]]:
    """Nodes of tests that leave nothing behind but nonces, each of which has its own."""
    with asyncio.Runner() as runner:
        opening = trusted_nodes(tmp_path_factory.mktemp("signing"), "alice", "bob", "carol")
        found = runner.run(opening.__aenter__())
        try:
            yield found
        finally:
            runner.run(opening.__aexit__(None, None, None))


async def test_a_job_runs_with_required_signatures_over_mutual_tls(tmp_path: Path) -> None:
    async with trusted_nodes(tmp_path, "alice", "bob", settings=QUICK) as nodes:
        async with nodes["alice"].client() as client:
            submitted = await client.submit(probe_job({"guest": "alice", "host": "bob"}, chain(1)))
        async with asyncio.timeout(30):
            assert await finished(nodes["alice"], submitted.job_id) == "succeeded"
            assert await finished(nodes["bob"], submitted.job_id) == "succeeded"


async def test_an_answer_is_signed_and_so_is_a_refusal(nodes: dict[str, Hosted]) -> None:
    alice = Impostor(nodes["alice"], nodes["bob"])
    message = alice.signed("/job/status_all", {"job_id": "job-none"}, nonce="a-1")
    answer = await alice.send(message)
    assert answer.json()["code"] == 404
    _check_answer(answer, nodes["bob"], "alice", "a-1")
    late = await alice.send(alice.signed("/job/status_all", {"job_id": "job-none"}, nonce="a-2", shift_ms=-301_000))
    assert late.json()["code"] == 401
    assert "clock" in late.json()["msg"]
    # What is refused before it proved anything may have been changed on its way: no answer to what alice sent.
    _check_answer(late, nodes["bob"], "alice", NOT_TAKEN)


def _check_answer(answer: httpx.Response, answering: Hosted, caller: str, nonce: str) -> None:
    key = parse_credential(CERT, load_identity(answering.home.identity).certificate)
    signed = SignedAnswer(
        status=answer.status_code,
        path=answer.request.url.path,
        source=answering.running.node_id,
        target=caller,
        nonce=nonce,
        timestamp=answer.headers["x-timestamp"],
        trace_id="t",
        body=answer.content,
    )
    assert is_signed(signed.message(), answer.headers["x-auth-sign"], [key])


async def test_third_nodes_all_hear_the_same_sentence(nodes: dict[str, Hosted]) -> None:
    carol = Impostor(nodes["carol"], nodes["bob"])
    plain = Impostor(nodes["alice"], nodes["bob"], shows_certificate=False)
    body = {"job_id": "job-none"}
    unsigned = carol.signed("/job/stop", body, nonce="t-0")
    unsigned[1]["x-auth-sign"] = ""
    attempts = {
        "carol signs as alice": await carol.send(carol.signed("/job/stop", body, nonce="t-1", claim="alice")),
        "carol signs as a stranger": await carol.send(carol.signed("/job/stop", body, nonce="t-2", claim="zoe")),
        "no signature": await carol.send(unsigned),
        "alice without her certificate": await plain.send(plain.signed("/job/stop", body, nonce="t-3")),
    }
    assert {name: answer.json()["code"] for name, answer in attempts.items()} == dict.fromkeys(attempts, 401)
    assert len({answer.json()["msg"] for answer in attempts.values()}) == 1
    assert {"x-auth-sign" in answer.headers for answer in attempts.values()} == {True}
    # The same request, from its owner, in its own connection.
    alice = Impostor(nodes["alice"], nodes["bob"])
    assert (await alice.send(alice.signed("/job/stop", body, nonce="t-4"))).json()["code"] == 404


async def test_one_changed_byte_on_the_way_is_refused(nodes: dict[str, Hosted]) -> None:
    alice = Impostor(nodes["alice"], nodes["bob"])
    url, headers, body = alice.signed("/job/status_all", {"job_id": "job-none"}, nonce="c-1")
    signature = bytearray(base64.b64decode(headers["x-auth-sign"]))
    signature[0] ^= 1
    changed = {
        "body": (url, headers, body.replace(b"none", b"nond")),
        "path": (url.replace("status_all", "stop"), headers, body),
        "query": (url + "?job_id=job-other", headers, body),
        "nonce": (url, headers | {"x-nonce": "c-2"}, body),
        "trace id": (url, headers | {"x-trace-id": "u"}, body),
        "permits": (url, headers | {"x-mprac-token-set": "urn/1/token"}, body),
        "signature": (url, headers | {"x-auth-sign": base64.b64encode(signature).decode()}, body),
    }
    for what, message in changed.items():
        assert (await alice.send(message)).json()["code"] == 401, what
    assert (await alice.send((url, headers, body))).json()["code"] == 404


async def test_what_was_captured_has_no_second_effect_not_even_after_a_restart(tmp_path: Path) -> None:
    async with trusted_nodes(tmp_path, "alice", "bob") as nodes:
        alice = Impostor(nodes["alice"], nodes["bob"])
        document = probe_job({"guest": "alice", "host": "bob"}, chain(1))
        captured = alice.signed("/job/create", {"job_id": "job-1", **document}, nonce="n-1")
        first = await alice.send(captured)
        assert first.json()["code"] == 200, first.text
        created = await events(nodes["bob"], "job.created")
        stop = alice.signed("/job/stop", {"job_id": "job-1"}, nonce="n-2")
        stopped = await alice.send(stop)
        assert stopped.json()["code"] == 200
        await nodes["bob"].stop()
        async with started(nodes["bob"].home) as bob:
            before = await events(bob, "job.created")
            assert len(before) == len(created)
            for message, answer in ((captured, first), (stop, stopped)):
                again = await alice.send(message)
                assert again.content == answer.content
            assert await events(bob, "job.created") == before
            swapped = await alice.send(alice.signed("/job/start", {"job_id": "job-1"}, nonce="n-1"))
            assert swapped.json()["code"] == 409
            other = await alice.send(alice.signed("/job/stop", {"job_id": "job-2"}, nonce="n-2"))
            assert other.json()["code"] == 409
            recorded = await events(bob, "peer.replay_refused")
            assert [(event.subject_id, event.data["operation"]) for event in recorded] == [
                ("alice", "POST /v1/interconn/schedule/job/start")
            ]


@pytest.mark.parametrize("policy", ["required", "verify-if-present", "off"])
async def test_what_each_policy_lets_pass(tmp_path: Path, policy: str) -> None:
    async with trusted_nodes(tmp_path, "alice", "bob", signing=policy, tls="off") as nodes:
        alice = Impostor(nodes["alice"], nodes["bob"])
        good = alice.signed("/job/status_all", {"job_id": "job-none"}, nonce="n-1")
        url, headers, body = good
        bare = (url, {"x-source-node-id": "alice"}, body)
        wrong = (url, headers, body + b" ")
        codes = [(await alice.send(message)).json()["code"] for message in (good, bare, wrong)]
        assert (
            codes == {"required": [404, 401, 401], "verify-if-present": [404, 404, 401], "off": [404, 404, 404]}[policy]
        )
