"""Codecs of the component channel, against the protobuf runtime and against damaged input."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_scheduler.errors import InvalidRequest, NodeError, TooLarge
from embedded_scheduler.wire import ptp, ptp_bodies
from embedded_scheduler.wire.ptp import DEPLOYED, OFFICIAL, Code, Form

TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp", "Cn", "Co", "Cf")), min_size=1, max_size=20
)


async def cut(data: bytes, sizes: Iterable[int]) -> AsyncIterator[bytes]:
    start = 0
    for size in sizes:
        if data[start : start + size]:
            yield data[start : start + size]
        start += size
    if data[start:]:
        yield data[start:]


async def read(body: ptp_bodies.PushBody) -> bytes:
    return b"".join([chunk async for chunk in body])


@given(TEXT, st.binary(min_size=1, max_size=400), st.dictionaries(TEXT, TEXT, max_size=3), st.lists(st.integers(1, 50)))
async def test_push_inbound_is_read_however_it_is_cut(
    topic: str, payload: bytes, metadata: dict[str, str], sizes: list[int]
) -> None:
    message = OFFICIAL["PushInbound"](topic=topic, payload=payload, metadata=metadata).SerializeToString()
    body = ptp_bodies.ProtobufBody(cut(message, sizes))
    assert await read(body) == payload
    assert (body.topic, body.metadata) == (topic, metadata)


@given(TEXT, st.binary(min_size=1, max_size=400), st.lists(st.integers(1, 50)))
async def test_encapsulated_inbound_names_its_topic_in_the_metadata(
    topic: str, payload: bytes, sizes: list[int]
) -> None:
    message = OFFICIAL["Inbound"](payload=payload, metadata={"topic": topic}).SerializeToString()
    body = ptp_bodies.ProtobufBody(cut(message, sizes), encapsulated=True)
    assert await read(body) == payload
    assert body.topic == topic


@given(st.binary(max_size=300), st.lists(st.integers(1, 50)))
async def test_any_bytes_are_read_or_refused_and_nothing_else(data: bytes, sizes: list[int]) -> None:
    body = ptp_bodies.ProtobufBody(cut(data, sizes))
    try:
        await read(body)
    except NodeError:
        return
    assert body.topic or not data


@given(st.integers(0, 80))
async def test_a_truncated_message_is_refused(length: int) -> None:
    message = OFFICIAL["PushInbound"](topic="topic", payload=bytes(40), metadata={"k": "v" * 20}).SerializeToString()
    body = ptp_bodies.ProtobufBody(cut(message[:-1][:length], ()))
    # A prefix that ends between two fields is a message of its own; it is whole only with topic and payload.
    if message[:length] in (b"", OFFICIAL["PushInbound"](topic="topic").SerializeToString()):
        assert await read(body) == b""
    elif message[:length] == OFFICIAL["PushInbound"](topic="topic", payload=bytes(40)).SerializeToString():
        assert await read(body) == bytes(40)
    else:
        with pytest.raises(InvalidRequest):
            await read(body)


async def test_two_payloads_are_refused() -> None:
    part = OFFICIAL["PushInbound"](topic="t", payload=b"x").SerializeToString()
    with pytest.raises(InvalidRequest, match="two payloads"):
        await read(ptp_bodies.ProtobufBody(cut(part + part, ())))


async def test_a_side_field_cannot_be_used_to_fill_memory() -> None:
    message = OFFICIAL["PushInbound"](topic="t" * 70_000, payload=b"x").SerializeToString()
    with pytest.raises(TooLarge):
        await read(ptp_bodies.ProtobufBody(cut(message, ())))


@pytest.mark.parametrize(
    "encode", [base64.b64encode, base64.urlsafe_b64encode, lambda b: base64.b64encode(b).rstrip(b"=")]
)
async def test_json_payload_in_every_base64_spelling(encode: object) -> None:
    payload = bytes(range(251, 256)) * 3 + b"\xff"
    assert callable(encode)
    document = json.dumps({"topic": "t", "payload": encode(payload).decode()}).encode()
    assert await read(ptp_bodies.JsonBody(cut(document, (3, 3)), 1000)) == payload


async def test_json_bodies_are_bounded() -> None:
    with pytest.raises(TooLarge, match="x-protobuf"):
        await read(ptp_bodies.JsonBody(cut(b"x" * 101, (10,)), 100))


@given(st.binary(min_size=1, max_size=2000), st.dictionaries(TEXT, TEXT, max_size=3), st.sampled_from(Form))
def test_a_framed_payload_is_what_the_runtime_reads(payload: bytes, metadata: dict[str, str], form: Form) -> None:
    frame = ptp.frame(form, len(payload), metadata)
    written = frame.head + (base64.b64encode(payload) if frame.base64 else payload) + frame.tail
    assert len(written) == frame.length
    if form is Form.JSON:
        document = json.loads(written)
        assert base64.b64decode(document["content"]) == payload
        assert (document["code"], document.get("metadata", {})) == (Code.OK, metadata)
        return
    message = (DEPLOYED if form is Form.BLACK_BOX else OFFICIAL)["TransportOutbound"].FromString(written)
    assert (message.code, message.payload) == (Code.OK, payload)
    if form is Form.PROTOBUF:
        assert dict(message.metadata) == metadata


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("content_type", [None, "", "application/octet-stream", "application/x-protobuf"])
def test_answers_are_read_back_also_under_another_binary_content_type(form: Form, content_type: str | None) -> None:
    written = ptp.answer(form, Code.BUFFER_FULL, "full, try later")
    if form is Form.JSON or content_type is None:
        content_type = ptp.CONTENT_TYPES[form]
    assert ptp.read_answer(content_type, written) == ptp.Answer(Code.BUFFER_FULL, "full, try later")


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"code": 0}', b"[]", b"\xff" * 9, b"[" * 100_000])
@pytest.mark.parametrize("content_type", ["application/json", "application/proto", "text/html"])
def test_garbage_is_no_answer(content_type: str, body: bytes) -> None:
    assert ptp.read_answer(content_type, body) is None


def test_the_deployed_numbers_are_the_ones_in_use() -> None:
    written = DEPLOYED["TransportOutbound"](payload=b"p", code="c", message="m").SerializeToString()
    assert written == b"\x0a\x01p\x12\x01c\x1a\x01m"


def test_the_official_numbers_are_the_specifications() -> None:
    outbound = OFFICIAL["TransportOutbound"](metadata={"k": "v"}, payload=b"p", code="c", message="m")
    assert outbound.SerializeToString() == b"\x0a\x06\x0a\x01k\x12\x01v\x12\x01p\x1a\x01c\x22\x01m"
    push = OFFICIAL["PushInbound"](topic="t", payload=b"p", metadata={"k": "v"})
    assert push.SerializeToString() == b"\x0a\x01t\x12\x01p\x1a\x06\x0a\x01k\x12\x01v"
    assert OFFICIAL["PopInbound"](topic="t", timeout=7).SerializeToString() == b"\x0a\x01t\x10\x07"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, 120), ("", 120), (0, 120), ("0", 120), ("1", 1), (0.2, 1), (-5, 1), (7, 7), ("7.5", 7.5), (10**9, 300)],
)
def test_time_outs_are_clamped(value: object, seconds: float) -> None:
    assert ptp.wait_of(value) == seconds


@pytest.mark.parametrize("value", ["soon", "nan", True, [], "1 2"])
def test_time_outs_that_are_no_numbers_are_refused(value: object) -> None:
    with pytest.raises(InvalidRequest):
        ptp.wait_of(value)


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({"x-ptp-topic": "t"}, Form.BLACK_BOX),
        ({"x-ptp-topic": "t", "content-type": "application/json"}, Form.BLACK_BOX),
        ({"content-type": "application/json; charset=utf-8"}, Form.JSON),
        ({"content-type": "Application/X-Protobuf"}, Form.PROTOBUF),
        ({"content-type": "application/xml"}, None),
        ({}, None),
    ],
)
def test_forms(headers: dict[str, str], form: Form | None) -> None:
    assert ptp.form_of(headers) is form


def test_a_release_without_topic_means_the_session_and_a_pop_without_one_is_refused() -> None:
    assert ptp.read_selection(ptp.RELEASE_PATH, Form.JSON, {}, "", b"").topic == ""
    for path in (ptp.POP_PATH, ptp.PEEK_PATH):
        with pytest.raises(InvalidRequest, match="topic"):
            ptp.read_selection(path, Form.JSON, {}, "", b"{}")


def test_the_querys_time_out_wins_over_the_bodys() -> None:
    body = OFFICIAL["PopInbound"](topic="t", timeout=7).SerializeToString()
    assert ptp.read_selection(ptp.POP_PATH, Form.PROTOBUF, {}, "", body) == ptp.Selection("t", 7)
    assert ptp.read_selection(ptp.POP_PATH, Form.PROTOBUF, {}, "9", body) == ptp.Selection("t", 9)


async def test_metadata_in_many_small_pieces_is_bounded_and_not_walked_again_for_each() -> None:
    entries = OFFICIAL["PushInbound"](topic="t", metadata={f"{n:x}": "" for n in range(60_000)}).SerializeToString()
    body = ptp_bodies.ProtobufBody(cut(entries, [65536] * 20))
    started = time.process_time()
    with pytest.raises(TooLarge, match="metadata"):
        _ = [chunk async for chunk in body]
    assert time.process_time() - started < 5


async def test_metadata_that_is_no_text_is_refused_at_the_door() -> None:
    """Stored, it could not be handed out in any form."""
    for entry in (r'{"k": "\ud800"}', r'{"\udfff": "v"}'):
        body = ptp_bodies.JsonBody(cut(b'{"topic": "t", "payload": "eA==", "metadata": %s}' % entry.encode(), []), 1000)
        with pytest.raises(InvalidRequest, match="surrogate"):
            _ = [chunk async for chunk in body]


@pytest.mark.parametrize("value", [10**400, "1" * 400 + "x", float("nan"), True, [], {}])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest, match="timeout"):
        ptp.wait_of(value)
