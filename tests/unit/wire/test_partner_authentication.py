"""Who gets past the partner's door: nothing that differs in one bit, by its time, its key or its addresses."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from embedded_scheduler.api.authentication import NOT_PROVEN, Caller, Inbound, PartnerAuthenticator
from embedded_scheduler.api.connection import Connection
from embedded_scheduler.api.nonces import SECONDS, Nonces
from embedded_scheduler.errors import InvalidRequest, NodeError, Unauthenticated
from embedded_scheduler.peers.directory import Directory, Partner, Trust
from embedded_scheduler.peers.profiles import resolve
from embedded_scheduler.security.keys import (
    ED25519,
    SHA256_RSA,
    PublicKey,
    SigningKey,
    parse_credential,
)
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, read_headers, render_headers
from embedded_scheduler.wire.bfia.signature import (
    NOT_TAKEN,
    SignedAnswer,
    SignedRequest,
    Signer,
    canonical_query,
    is_signed,
)

NOW = 1_767_225_600_000
POLL = "/v1/interconn/schedule/task/poll"


@dataclass(slots=True)
class ManualClock:
    ms: int = NOW

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


def key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def public(private: Ed25519PrivateKey | rsa.RSAPrivateKey, auth_type: str = ED25519) -> PublicKey:
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return parse_credential(auth_type, pem.decode())


ALICE, CAROL, BOB = key(1), key(2), key(3)
RSA = rsa.generate_private_key(65537, 2048)


@dataclass(slots=True)
class Sent:
    """A request on the wire."""

    method: str = "POST"
    path: str = POLL
    query: str = ""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b'{"task_id":"t"}'


def request(
    signer: Ed25519PrivateKey = ALICE,
    *,
    source: str = "alice",
    target: str = "bob",
    nonce: str = "n-1",
    timestamp: str = str(NOW),
    query: str = "",
    token_set: str = "",
) -> Sent:
    said = PartnerHeaders(source, target, nonce, "trace", timestamp, token_set=token_set)
    sent = Sent(query=query)
    signed = SignedRequest(sent.method, sent.path, query, said, sent.body)
    signature = Signer(SigningKey(signer)).sign(signed.message())
    rendered = render_headers(said, signature=signature, writes=True)
    sent.headers = [(name.encode(), value.encode()) for name, value in rendered.items() if name != "x-node-id"]
    return sent


def without(sent: Sent, *names: str) -> Sent:
    sent.headers = [(name, value) for name, value in sent.headers if name.decode() not in names]
    return sent


@dataclass(slots=True)
class Door:
    clock: ManualClock
    directory: Directory
    authenticator: PartnerAuthenticator

    def enter(self, sent: Sent, connection: Connection | None = None) -> Caller:
        inbound = Inbound(sent.method, sent.path, sent.query, sent.headers, connection or Connection("192.0.2.1"))
        caller = self.authenticator.identify(inbound, component=False)
        self.authenticator.verify(caller, inbound, sent.body)
        return caller

    def refuses(self, sent: Sent, connection: Connection | None = None) -> str:
        with pytest.raises(NodeError) as refused:
            self.enter(sent, connection)
        return refused.value.message


def door(
    *keys: tuple[PublicKey, int | None], signing: str = "required", expires_ms: int | None = None, mutual: bool = False
) -> Door:
    clock, directory = ManualClock(), Directory()
    trust = Trust("c-1", keys or ((public(ALICE), None),), expires_ms)
    others = Trust("c-2", ((public(CAROL), None),))
    directory.replace(
        Partner(name, "http://127.0.0.1:1", "auto", resolve("seed", {}), policy, "identity", agreed)
        for name, policy, agreed in (
            ("alice", signing, trust),
            ("carol", "required", others),
            ("dave", "required", None),
        )
    )
    signer = Signer(SigningKey(BOB))
    return Door(clock, directory, PartnerAuthenticator("bob", directory, clock=clock, signer=signer, mutual=mutual))


def test_a_signed_request_of_a_partner_is_let_in() -> None:
    caller = door().enter(request(query="a=1&b=2", token_set="urn/1/tok"))
    assert (caller.source, caller.nonce, caller.proven) == ("alice", "n-1", True)


def flips(data: bytes) -> Iterator[bytes]:
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            yield bytes(changed)


def test_every_single_bit_is_covered() -> None:
    here, good = door(), request(query="role=host&task=t", token_set="urn/1/tok")
    here.enter(good)
    said = read_headers(good.headers)
    tried = 0
    for mutated in _mutations(good):
        tried += 1
        try:
            here.enter(mutated)
        except NodeError:
            continue
        # The only other spellings: case of a header's name, a field of the query, and what is not a partner header.
        again = read_headers(mutated.headers)
        assert again == said or (again.csrf != said.csrf and _covered(again) == _covered(said)), mutated
        assert (mutated.method, mutated.path, mutated.body) == (good.method, good.path, good.body)
        assert canonical_query(mutated.query) == canonical_query(good.query)
    assert tried > 2000


def _covered(said: PartnerHeaders) -> tuple[str, ...]:
    return (said.source, said.target, said.nonce, said.timestamp, said.trace_id, said.token_set, said.signature)


def _mutations(good: Sent) -> Iterator[Sent]:
    for method in flips(good.method.encode()):
        yield Sent(method.decode("latin-1"), good.path, good.query, good.headers, good.body)
    for path in flips(good.path.encode()):
        yield Sent(good.method, path.decode("latin-1"), good.query, good.headers, good.body)
    for query in flips(good.query.encode()):
        yield Sent(good.method, good.path, query.decode("latin-1"), good.headers, good.body)
    for body in flips(good.body):
        yield Sent(good.method, good.path, good.query, good.headers, body)
    for index, (name, value) in enumerate(good.headers):
        pairs = [(changed, value) for changed in flips(name)] + [(name, changed) for changed in flips(value)]
        for pair in pairs:
            headers = [*good.headers[:index], pair, *good.headers[index + 1 :]]
            yield Sent(good.method, good.path, good.query, headers, good.body)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(request(CAROL), id="signed with another partner's key"),
        pytest.param(request(source="carol"), id="in another partner's name"),
        pytest.param(request(source="dave"), id="a partner without a contract"),
        pytest.param(request(source="mallory"), id="a stranger"),
        pytest.param(without(request(), "x-auth-sign"), id="signature dropped"),
        pytest.param(without(request(source="mallory"), "x-auth-sign"), id="stranger without signature"),
    ],
)
def test_whoever_is_not_proven_hears_one_sentence(sent: Sent) -> None:
    assert door().refuses(sent) == NOT_PROVEN


def test_a_request_for_another_node_is_refused() -> None:
    assert "addressed to carol" in door().refuses(request(target="carol"))


@pytest.mark.parametrize("missing", ["x-target-node-id", "x-nonce", "x-timestamp"])
@pytest.mark.parametrize("source", ["alice", "mallory"])
def test_a_signature_alone_is_not_enough(missing: str, source: str) -> None:
    assert missing in door().refuses(without(request(source=source), missing))


@pytest.mark.parametrize(
    ("timestamp", "passes"),
    [
        (str(NOW - 300_000), True),
        (str(NOW + 300_000), True),
        (str(NOW // 1000), True),
        (str(NOW - 300_001), False),
        (str(NOW + 300_001), False),
        ("yesterday", False),
        ("-1", False),
        ("1e13", False),
    ],
)
def test_the_clock_decides(timestamp: str, passes: bool) -> None:
    here, sent = door(), request(timestamp=timestamp)
    if passes:
        assert here.enter(sent).proven
    else:
        assert "clock" in here.refuses(sent)


def test_what_was_captured_is_worthless_after_the_window() -> None:
    here, captured = door(), request()
    here.enter(captured)
    here.clock.ms += 301_000
    assert "clock" in here.refuses(captured)


@pytest.mark.parametrize("name", ["x-auth-sign", "x-source-node-id", "x-nonce", "x-timestamp", "X_Target_Node_Id"])
def test_a_header_that_comes_twice_with_two_values_is_refused(name: str) -> None:
    sent = request()
    sent.headers.append((name.encode(), b"other"))
    with pytest.raises(InvalidRequest):
        door().enter(sent)


@pytest.mark.parametrize("name", ["x-auth-alg", "x-algorithm", "x-auth-type", "authorization"])
def test_a_message_has_no_say_in_the_algorithm(name: str) -> None:
    sent = without(request(), "x-auth-sign")
    sent.headers += [(name.encode(), b"none"), (b"x-auth-sign", b"none")]
    assert door().refuses(sent) == NOT_PROVEN


def test_keys_are_not_confused() -> None:
    rsa_key = public(RSA, SHA256_RSA)
    sent = request()
    assert door((rsa_key, None)).refuses(sent) == NOT_PROVEN
    message = SignedRequest(sent.method, sent.path, "", read_headers(sent.headers), sent.body).message()
    value = base64.b64encode(RSA.sign(message, padding.PKCS1v15(), hashes.SHA256()))
    sent = without(sent, "x-auth-sign")
    sent.headers.append((b"x-auth-sign", value))
    assert door((rsa_key, None)).enter(sent).proven
    assert door().refuses(sent) == NOT_PROVEN
    with pytest.raises(InvalidRequest):
        public(RSA, ED25519)


def test_an_old_key_counts_until_its_end_and_a_contract_until_its_own() -> None:
    here = door((public(CAROL), None), (public(ALICE), NOW + 10))
    assert here.enter(request()).proven
    here.clock.ms = NOW + 10
    assert here.refuses(request()) == NOT_PROVEN
    assert here.enter(request(CAROL)).proven
    assert door(expires_ms=NOW).refuses(request()) == NOT_PROVEN


def test_a_contract_that_ends_while_the_body_comes_in() -> None:
    here, sent = door(expires_ms=NOW + 1), request()
    inbound = Inbound(sent.method, sent.path, sent.query, sent.headers)
    caller = here.authenticator.identify(inbound, component=False)
    here.clock.ms += 1
    with pytest.raises(Unauthenticated):
        here.authenticator.verify(caller, inbound, sent.body)


def test_a_wrong_signature_is_never_better_than_none() -> None:
    lenient = door(signing="verify-if-present")
    assert lenient.refuses(request(CAROL)) == NOT_PROVEN
    assert not lenient.enter(without(request(), "x-auth-sign")).proven
    assert lenient.enter(request()).proven
    assert not door(signing="off").enter(request(CAROL)).proven


def test_the_certificate_of_the_handshake_has_to_be_the_contracts() -> None:
    bare = public(ALICE)
    certified = PublicKey(bare.algorithm, bare.fingerprint, "PEM", bare._check)
    right = Connection("192.0.2.1", tls=True, certificate=bare.fingerprint)
    here = door((certified, None), mutual=True)
    assert here.enter(request(), right).proven
    assert here.refuses(request(), Connection("192.0.2.1", tls=True)) == NOT_PROVEN
    other = Connection("192.0.2.1", tls=True, certificate=public(CAROL).fingerprint)
    assert here.refuses(request(), other) == NOT_PROVEN
    # Who agreed on a key alone has no certificate to show, and behind a gateway nobody sees one.
    assert door((bare, None), mutual=True).enter(request(), other).proven
    assert here.enter(request(), Connection("192.0.2.1")).proven


def test_an_answer_names_its_request_and_everybody_gets_a_signed_one() -> None:
    for source in ("alice", "mallory"):
        here, sent = door(), request(source=source)
        inbound = Inbound(sent.method, sent.path, sent.query, sent.headers)
        # A request that proved nothing is answered without its nonce: its sender does not take that for an answer.
        for caller, nonce in ((Caller(headers=read_headers(sent.headers)), "n-1"), (None, NOT_TAKEN)):
            headers = here.authenticator.answer_headers(caller, inbound, b"{}")
            signed = SignedAnswer(200, POLL, "bob", source, nonce, headers["x-timestamp"], "trace", b"{}")
            assert is_signed(signed.message(), headers["x-auth-sign"], [public(BOB)])
    silent = door(signing="off")
    unsigned = without(request(), "x-auth-sign")
    assert not silent.authenticator.answer_headers(None, Inbound("POST", POLL, "", unsigned.headers), b"{}")


def test_nonces_belong_to_one_request_for_twice_the_window() -> None:
    clock = ManualClock()
    nonces = Nonces(clock, per_partner=3)
    assert nonces.admit("alice", "n", b"1")
    assert nonces.admit("alice", "n", b"1")
    assert not nonces.admit("alice", "n", b"2")
    assert nonces.admit("bob", "n", b"2")
    clock.ms += int(SECONDS * 1000)
    assert not nonces.admit("alice", "n", b"2")
    clock.ms += 1000
    assert nonces.admit("alice", "n", b"2")
    for number in range(3):
        assert nonces.admit("alice", f"n-{number}", b"1")
    assert nonces.admit("alice", "n", b"3"), "the oldest had to go"


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("", ""),
        ("b=2&a=1", "a=1&b=2"),
        ("a=2&a=1", "a=1&a=2"),
        ("a=x+y&b=%7e%2F", "a=x%20y&b=~%2F"),
        ("a&b=", "a=&b="),
        ("a=b=c&&", "a=b%3Dc"),
        ("%E4%BD%9C=%e4%b8%9a", "%E4%BD%9C=%E4%B8%9A"),
    ],
)
def test_a_query_has_one_form(query: str, canonical: str) -> None:
    assert canonical_query(query) == canonical


@pytest.mark.parametrize("query", ["a=%ff", "&".join(f"a{n}=" for n in range(101))])
def test_a_query_without_a_form_is_refused(query: str) -> None:
    with pytest.raises(InvalidRequest):
        canonical_query(query)
