"""What others send is decoded or refused: nothing but a `NodeError` ever comes out of a decoder, whatever goes in."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cluster import PROBE, document
from tests.support.probe_jobs import chain, probe_job

from embedded_scheduler.domain.component import parse_manifest
from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.errors import NodeError
from embedded_scheduler.security.keys import AUTH_TYPES, SigningKey, parse_credential
from embedded_scheduler.wire import ptp, ptp_bodies
from embedded_scheduler.wire.bfia.decoding import decode_object
from embedded_scheduler.wire.bfia.envelope import read_answer
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, read_headers, read_permits
from embedded_scheduler.wire.bfia.job import CreateJob, raw_document, read_progress
from embedded_scheduler.wire.bfia.message import validate
from embedded_scheduler.wire.bfia.signature import SignedRequest, Signer, canonical_query, is_signed

BOUNDED = settings(max_examples=120, deadline=None)


def survives(decode: Callable[[], object]) -> object:
    """What comes out, None when it was refused in order; every other exception fails the test."""
    try:
        return decode()
    except NodeError as error:
        refusal = error.message
    assert refusal.isprintable()
    assert len(refusal) < 2000
    return None


# -- headers and signatures --------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [b"x-source-node-id", b"X_Node_Id", b"x-target-node-id", b"x-nonce", b"x-trace-id", b"x-timestamp", b"x-auth-sign"]
) | st.binary(max_size=20)
VALUES = st.binary(max_size=60) | st.sampled_from([b"bob", b"../x", b"\xff", b"9" * 40, b" bob ", b"a,b", b"bob\x00"])


@BOUNDED
@given(raw=st.lists(st.tuples(NAMES, VALUES), max_size=12))
def test_headers(raw: list[tuple[bytes, bytes]]) -> None:
    found = survives(lambda: read_headers(raw))
    if isinstance(found, PartnerHeaders):
        assert found.timestamp_ms is None or found.timestamp_ms >= 0
        assert len(found.nonce) <= 256


@BOUNDED
@given(text=st.text(max_size=200))
def test_permits_and_queries(text: str) -> None:
    for permit in read_permits(text):
        assert permit.resource
        assert permit.token
    survives(lambda: canonical_query(text))


PRIVATE = Ed25519PrivateKey.generate()
PUBLIC = (parse_credential("ED25519", base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()),)
MESSAGE = SignedRequest("POST", "/v1/x", "", PartnerHeaders(source="a", target="b", nonce="n", timestamp="1"), b"{}")
GOOD = Signer(SigningKey(PRIVATE)).sign(MESSAGE.message())


@BOUNDED
@given(text=st.text(max_size=120) | st.binary(max_size=80).map(lambda raw: base64.b64encode(raw).decode()))
def test_no_text_is_a_signature(text: str) -> None:
    assert not is_signed(MESSAGE.message(), text, PUBLIC)


@BOUNDED
@given(bit=st.integers(0, 64 * 8 - 1))
def test_no_bit_of_a_signature_can_change(bit: int) -> None:
    raw = bytearray(base64.b64decode(GOOD))
    raw[bit // 8] ^= 1 << bit % 8
    assert is_signed(MESSAGE.message(), GOOD, PUBLIC)
    assert not is_signed(MESSAGE.message(), base64.b64encode(bytes(raw)).decode(), PUBLIC)


@BOUNDED
@given(auth_type=st.sampled_from([*AUTH_TYPES, "", "NONE"]), text=st.text(max_size=300), inside=st.booleans())
def test_credentials(auth_type: str, text: str, inside: bool) -> None:
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(text.encode('utf-8', 'surrogatepass')).decode()}\n"
    survives(lambda: parse_credential(auth_type, pem + "-----END CERTIFICATE-----\n" if inside else text))


# -- documents ---------------------------------------------------------------------------------------------------------

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.sampled_from(["../x", "x" * 300, "a.b", "one.out", "\x00", "\x1b[2J"])
)
VALUES_OF_JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
CHANGES = st.lists(st.tuples(st.integers(0, 10_000), VALUES_OF_JSON), min_size=1, max_size=4)


def changed(value: Any, changes: list[tuple[int, Any]]) -> Any:
    """A copy of `value` in which some inner members are others."""
    value = copy.deepcopy(value)
    for number, other in changes:
        places: list[tuple[Any, Any]] = []

        def collect(item: Any, found: list[tuple[Any, Any]] = places) -> None:
            members = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
            for key, inner in list(members):
                found.append((item, key))
                collect(inner)

        collect(value)
        if places:
            container, key = places[number % len(places)]
            container[key] = copy.deepcopy(other)
    return value


@BOUNDED
@given(
    body=st.binary(max_size=200) | VALUES_OF_JSON.map(lambda value: json.dumps(value).encode()), cut=st.integers(0, 50)
)
def test_json(body: bytes, cut: int) -> None:
    for data in (body, body[:-cut] if cut else body, body * 3):
        found = survives(lambda data=data: decode_object(data, depth=8))
        assert found is None or isinstance(found, dict)


@BOUNDED
@given(changes=CHANGES)
def test_jobs(changes: list[tuple[int, Any]]) -> None:
    for made in (
        document(("one",), ("two", "one"), roles={"guest": ["alice"], "host": ["bob", "carol"]}),
        probe_job({"guest": "a", "host": "b"}, chain(3)),
    ):
        survives(lambda made=made: parse_job("job-1", changed(made, changes)))


@BOUNDED
@given(changes=CHANGES)
def test_requests_with_jobs(changes: list[tuple[int, Any]]) -> None:
    body = {"job_id": "job-1", **probe_job({"guest": "a", "host": "b"}, chain(2))}

    def decode() -> object:
        members = decode_object(json.dumps(changed(body, changes)).encode(), depth=20)
        request = validate(CreateJob, members)
        return parse_job(request.job_id, raw_document(members))

    survives(decode)


@BOUNDED
@given(changes=CHANGES)
def test_manifests(changes: list[tuple[int, Any]]) -> None:
    made = {**PROBE, "inputParam": [{"name": "n", "type": "integer", "default": "1"}], "inputData": [{"name": "d"}]}
    survives(lambda: parse_manifest(changed(made, changes)))


@BOUNDED
@given(value=VALUES_OF_JSON, raw=st.binary(max_size=100))
def test_answers_of_partners(value: Any, raw: bytes) -> None:
    for body in (json.dumps({"code": 200, "msg": "x", "data": value}).encode(), json.dumps(value).encode(), raw):
        survives(lambda body=body: read_answer(body))
    if isinstance(value, dict):
        survives(lambda: read_progress(value, told_by="bob"))


# -- the channel -------------------------------------------------------------------------------------------------------

FORMS = (
    {"content-type": ptp.PROTOBUF_TYPE},
    {"content-type": ptp.PROTOBUF_TYPE, ptp.VERSION: ptp.AS_PUSHED},
    {"content-type": ptp.JSON_TYPE},
    {ptp.TOPIC: "t"},
)


async def in_pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


FIELDS = st.lists(
    st.tuples(st.integers(0, 40), st.binary(max_size=30)).map(lambda f: bytes([f[0], len(f[1])]) + f[1]), max_size=6
).map(b"".join)


@BOUNDED
@given(body=st.binary(max_size=120) | FIELDS, size=st.integers(1, 50), form=st.sampled_from(FORMS))
async def test_messages_of_the_channel(body: bytes, size: int, form: dict[str, str]) -> None:
    refusal = ""
    try:
        message = ptp_bodies.invoke_body(form, in_pieces(body, size), 10_000)
        payload = b"".join([chunk async for chunk in message])
        assert len(payload) <= len(body)
        assert len(message.topic) <= 512
    except NodeError as error:
        refusal = error.message
    assert refusal.isprintable()


@BOUNDED
@given(
    body=st.binary(max_size=80) | FIELDS, timeout=st.text(max_size=8), path=st.sampled_from(["pop", "peek", "release"])
)
def test_selections_and_answers_of_the_channel(body: bytes, timeout: str, path: str) -> None:
    paths = {"pop": ptp.POP_PATH, "peek": ptp.PEEK_PATH, "release": ptp.RELEASE_PATH}
    for form in ptp.Form:
        survives(lambda form=form: ptp.read_selection(paths[path], form, {ptp.TOPIC: timeout}, timeout, body))
    for content_type in (ptp.JSON_TYPE, ptp.PROTOBUF_TYPE, "", "text/html"):
        survives(lambda content_type=content_type: ptp.read_answer(content_type, body))
