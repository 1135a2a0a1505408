"""Messages of the component channel (transport layer, `org.ppc.ptp`), in the specification's and the deployed form.

Specification: topic and time-out travel in the body, `PushInbound` and its siblings as JSON or protobuf; answers are
`{code, message, content}` or protobuf `TransportOutbound{metadata=1, payload=2, code=3, message=4}`.
Deployed ("black box", what Kuscia and yacl speak): topic in header `x-ptp-topic`, time-out in the query, raw payload;
answers are protobuf with other numbers, `{payload=1, code=2, message=3}`, as `application/proto`.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Protocol
from urllib.parse import quote

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from embedded_scheduler.errors import InvalidRequest, TooLarge

PUSH_PATH = "/v1/interconn/chan/push"
POP_PATH = "/v1/interconn/chan/pop"
PEEK_PATH = "/v1/interconn/chan/peek"
RELEASE_PATH = "/v1/interconn/chan/release"
INVOKE_PATH = "/v1/interconn/chan/invoke"
TRANSPORT_PATH = "/v1/interconn/chan/transport"

VERSION = "x-ptp-version"
PROVIDER_CODE = "x-ptp-tech-provider-code"
PROVIDER_CODE_MISSPELT = "x-ptp-tecn-provider-code"
TRACE_ID = "x-ptp-trace-id"
TOKEN = "x-ptp-token"  # noqa: S105 - the name of a header
URI = "x-ptp-uri"
SESSION_ID = "x-ptp-session-id"
TOPIC = "x-ptp-topic"
SOURCE_NODE = "x-ptp-source-node-id"
TARGET_NODE = "x-ptp-target-node-id"
SOURCE_INST = "x-ptp-source-inst-id"
TARGET_INST = "x-ptp-target-inst-id"
NONCE = "x-nonce"
_TYPE = "content-type"
AS_PUSHED = "1"
MESSAGE = "x-ptp-message"
PART = "x-ptp-part"
LAST_PART = "x-ptp-last-part"
"""Our extension between nodes of this kind: a message in several requests. Part numbers count from 0; the nonce of the
whole message stands in `x-ptp-message`; the last part says `1`, and a message that its sender gives up says so."""
ABANDONED = "abandoned"
PART_BYTES = 1_000_000
"""A larger body is sent in parts: gateways commonly refuse bodies beyond 1 MiB."""
HOLD_SECONDS = 25.0
"""How long one request of the channel may wait for its answer: gateways commonly end what is idle for 60 s."""

JSON_TYPE = "application/json"
PROTOBUF_TYPE = "application/x-protobuf"
BLACK_BOX_TYPE = "application/proto"

DEFAULT_WAIT = 120.0
LONGEST_WAIT = 300.0
SHORTEST_WAIT = 1.0
BLACK_BOX_PUSH_WAIT = 15.0
"""A black-box push states no time-out; its client gives up after 20 s, so the answer must come before."""

TOPIC_LIMIT = 512
_SIDE_FIELD_LIMIT = 64 * 1024
_METADATA_LIMIT = 256 * 1024


class Code(StrEnum):
    """Result codes of the transport layer (§4); HTTP status is 200 whatever the code."""

    OK = "E0000000000"
    BAD_REQUEST = "E0000000400"
    FORBIDDEN = "E0000000403"
    NOT_FOUND = "E0000000404"
    TOO_LARGE = "E0000000413"
    SYSTEM = "E0000000500"
    UNREACHABLE = "E0000000503"
    INCOMPATIBLE = "E0000000600"
    TIMEOUT = "E0000000601"
    RELEASED = "E0000000608"
    NOT_NETWORKED = "E0000000618"
    BUFFER_FULL = "E0000000700"


class Form(Enum):
    """How a request is written; its answer is written the same way."""

    BLACK_BOX = "black box"
    JSON = "json"
    PROTOBUF = "protobuf"


def form_of(headers: Mapping[str, str]) -> Form | None:
    """The form of a request, from its lower-case headers; None = neither a topic header nor a type that is served."""
    if TOPIC in headers:
        return Form.BLACK_BOX
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == JSON_TYPE:
        return Form.JSON
    if content_type in (PROTOBUF_TYPE, "application/protobuf"):
        return Form.PROTOBUF
    return None


def covered(headers: Mapping[str, str]) -> str:
    """What a signature covers of a channel request's headers (lower-case names): every `x-ptp-*` header that is not
    empty, and the content type, as `name=value` in the order of their names, values encoded like those of a query."""
    said = sorted(
        (name, value.strip()) for name, value in headers.items() if name.startswith("x-ptp-") or name == _TYPE
    )
    return "&".join(f"{name}={quote(value.encode('latin-1'), safe='')}" for name, value in said if value)


def check_topic(value: object) -> str:
    """`value` as a topic (1 to 512 printable characters), or `InvalidRequest`."""
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"the topic is missing: name it in the header {TOPIC} or in the body's member `topic`")
    if len(value) > TOPIC_LIMIT or not value.isprintable():
        raise InvalidRequest(f"a topic has 1 to {TOPIC_LIMIT} printable characters")
    return value


def wait_of(value: object, default: float = DEFAULT_WAIT) -> float:
    """A time-out in seconds, clamped to 1 to 300. Absent, empty and 0 (protobuf's absent) give the default."""
    if value in (None, "", 0, "0"):
        return default
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidRequest("timeout must be a number of seconds")
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        raise InvalidRequest("timeout must be a number of seconds") from None
    if math.isnan(seconds):  # would slip through the clamp
        raise InvalidRequest("timeout must be a number of seconds")
    return min(LONGEST_WAIT, max(SHORTEST_WAIT, seconds))


# --- protobuf messages, described in code so that no generated file has to be kept in step with the runtime -----------

_FIELD = descriptor_pb2.FieldDescriptorProto
_STRING, _BYTES, _INT32, _MESSAGE = _FIELD.TYPE_STRING, _FIELD.TYPE_BYTES, _FIELD.TYPE_INT32, _FIELD.TYPE_MESSAGE
_METADATA = -1
"""Stands for `map<string, string> metadata` in the tables below."""

_OFFICIAL: dict[str, list[tuple[str, int, int]]] = {
    "PeekInbound": [("topic", 1, _STRING)],
    "PopInbound": [("topic", 1, _STRING), ("timeout", 2, _INT32)],
    "PushInbound": [("topic", 1, _STRING), ("payload", 2, _BYTES), ("metadata", 3, _METADATA)],
    "ReleaseInbound": [("topic", 1, _STRING), ("timeout", 2, _INT32)],
    "TransportOutbound": [
        ("metadata", 1, _METADATA),
        ("payload", 2, _BYTES),
        ("code", 3, _STRING),
        ("message", 4, _STRING),
    ],
    "Inbound": [("metadata", 1, _METADATA), ("payload", 2, _BYTES)],
}
_DEPLOYED: dict[str, list[tuple[str, int, int]]] = {
    "TransportOutbound": [("payload", 1, _BYTES), ("code", 2, _STRING), ("message", 3, _STRING)],
}


def _describe(package: str, messages: Mapping[str, list[tuple[str, int, int]]]) -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            if kind == _METADATA:
                _describe_metadata(message, f".{package}.{name}", field_name, number)
            else:
                message.field.add(name=field_name, number=number, type=kind, label=_FIELD.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def _describe_metadata(message: descriptor_pb2.DescriptorProto, scope: str, name: str, number: int) -> None:
    entry = message.nested_type.add(name="MetadataEntry")
    entry.options.map_entry = True
    for position, part in enumerate(("key", "value"), start=1):
        entry.field.add(name=part, number=position, type=_STRING, label=_FIELD.LABEL_OPTIONAL)
    message.field.add(
        name=name, number=number, type=_MESSAGE, label=_FIELD.LABEL_REPEATED, type_name=f"{scope}.MetadataEntry"
    )


OFFICIAL: Mapping[str, Any] = _describe("org.ppc.ptp", _OFFICIAL)
"""Message classes by name, official field numbers."""
DEPLOYED: Mapping[str, Any] = _describe("org.ppc.ptp.blackbox", _DEPLOYED)
"""Message classes by name, the field numbers of the running black-box implementations."""


# --- requests without a payload -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selection:
    """What a pop, peek or release asks for. `wait` in seconds; `topic` is empty only for a release of the session."""

    topic: str
    wait: float


def read_selection(path: str, form: Form, headers: Mapping[str, str], timeout: str, body: bytes) -> Selection:
    """A pop, peek or release. `timeout` is the query's (it wins if both are given); `InvalidRequest` on a fault."""
    if form is Form.BLACK_BOX:
        topic: object = header_text(headers, TOPIC)
        wait: object = timeout
    elif form is Form.JSON:
        document = _read_object(body)
        topic, wait = document.get("topic"), timeout or document.get("timeout")
    else:
        message = _read_protobuf({POP_PATH: "PopInbound", PEEK_PATH: "PeekInbound"}.get(path, "ReleaseInbound"), body)
        topic, wait = message.topic, timeout or getattr(message, "timeout", 0)
    if path == RELEASE_PATH and topic in (None, ""):
        return Selection(topic="", wait=wait_of(wait))
    return Selection(topic=check_topic(topic), wait=wait_of(wait))


def header_text(headers: Mapping[str, str], name: str) -> str:
    """A header as text: servers hand headers over as latin-1, senders may have meant UTF-8."""
    try:
        return headers.get(name, "").encode("latin-1").decode("utf-8").strip()
    except UnicodeError:
        raise InvalidRequest(f"the header {name} is not UTF-8") from None


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        raise InvalidRequest("the body is not JSON") from None
    if not isinstance(document, dict):
        raise InvalidRequest("the body must be a JSON object")
    return document


def _read_protobuf(name: str, body: bytes) -> Any:
    try:
        return OFFICIAL[name].FromString(body)
    except DecodeError:
        raise InvalidRequest(f"the body is not a protobuf {name}") from None


# --- bodies that carry a payload ------------------------------------------------------------------------------------


class PushBody(Protocol):
    """A message on its way in: iterate once for the payload; `topic` and `metadata` are valid after the last chunk."""

    topic: str
    metadata: dict[str, str]

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class RawBody:
    """Black-box form: the body is the payload."""

    def __init__(self, topic: str, chunks: AsyncIterator[bytes]) -> None:
        self.topic = check_topic(topic)
        self.metadata: dict[str, str] = {}
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks


class JsonBody:
    """`{"topic", "payload": base64, "metadata": {}}`. Read whole, so only up to `limit` bytes; larger payloads must
    come as protobuf or raw."""

    def __init__(self, chunks: AsyncIterator[bytes], limit: int) -> None:
        self.topic = ""
        self.metadata: dict[str, str] = {}
        self._chunks = chunks
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = bytearray()
        async for chunk in self._chunks:
            body += chunk
            if len(body) > self._limit:
                raise TooLarge(f"a JSON body has at most {self._limit} bytes; send larger payloads as {PROTOBUF_TYPE}")
        if not body:
            return
        document = _read_object(bytes(body))
        self.topic = check_topic(document.get("topic"))
        self.metadata = _check_metadata(document.get("metadata"))
        payload = _read_base64(document.get("payload"))
        if payload:
            yield payload


def _read_base64(value: object) -> bytes:
    if not isinstance(value, str):
        raise InvalidRequest("payload must be a base64 string")
    try:
        text = value.translate({ord("-"): "+", ord("_"): "/"}).rstrip("=").encode("ascii")
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("payload is not base64") from None


def _check_metadata(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise InvalidRequest("metadata must be an object of strings")
    if not all(_is_text(key) and _is_text(item) for key, item in value.items()):
        raise InvalidRequest("metadata holds half a surrogate pair, which is no text")
    if sum(len(key) + len(item) for key, item in value.items()) > _METADATA_LIMIT:
        raise _metadata_too_large()
    return dict(value)


def _metadata_too_large() -> TooLarge:
    return TooLarge(f"metadata has at most {_METADATA_LIMIT} characters")


def _is_text(value: str) -> bool:
    """Half a surrogate pair passes JSON's grammar and cannot be written in any other form."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Layout:
    metadata: int
    payload: int = 2
    topic: int = 0


class ProtobufBody:
    """`PushInbound` (pass-through), or `Inbound` (encapsulated, older than v1.2: topic in its metadata). The payload
    streams through whatever its size and wherever the message has it."""

    def __init__(self, chunks: AsyncIterator[bytes], *, encapsulated: bool = False) -> None:
        self.topic = ""
        self.metadata: dict[str, str] = {}
        self._metadata_size = 0
        self._input = _ByteStream(chunks)
        self._layout = _Layout(metadata=1) if encapsulated else _Layout(topic=1, metadata=3)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if await self._input.at_end():
            return
        payloads = 0
        while not await self._input.at_end():
            number, wire_type = divmod(await self._input.varint(), 8)
            if number == self._layout.payload and wire_type == 2:
                payloads += 1
                if payloads > 1:
                    raise InvalidRequest("the body has two payloads")
                async for piece in self._input.pieces(await self._input.varint()):
                    yield piece
            elif wire_type == 2:
                self._take(number, await self._input.exactly(await self._input.varint()))
            else:
                await self._skip(wire_type)
        if self._layout.topic == 0:
            self.topic = self.metadata.get(TOPIC) or self.metadata.get("topic", "")
        check_topic(self.topic)

    def _take(self, number: int, value: bytes) -> None:
        if number == self._layout.topic:
            try:
                self.topic = check_topic(value.decode("utf-8"))
            except UnicodeDecodeError:
                raise InvalidRequest("the topic is not UTF-8") from None
        elif number == self._layout.metadata:
            # A map entry reads like a message that holds only this entry, so the runtime can parse it.
            message = _read_protobuf("Inbound", b"\x0a" + _varint(len(value)) + value)
            # Counted as it comes: adding up all of it for every entry would take a hostile sender's time squared.
            self._metadata_size += len(value)
            if self._metadata_size > _METADATA_LIMIT:
                raise _metadata_too_large()
            self.metadata.update(message.metadata)

    async def _skip(self, wire_type: int) -> None:
        if wire_type == 0:
            await self._input.varint()
        elif wire_type in (1, 5):
            await self._input.exactly(8 if wire_type == 1 else 4)
        else:
            raise InvalidRequest("the body is not a protobuf message")


@dataclass(slots=True)
class _ByteStream:
    """Reads exact amounts out of chunks of any size."""

    chunks: AsyncIterator[bytes]
    _buffer: bytes = field(default=b"", init=False)
    _position: int = field(default=0, init=False)

    async def at_end(self) -> bool:
        while self._position >= len(self._buffer):
            try:
                self._buffer = await anext(self.chunks)
            except StopAsyncIteration:
                return True
            self._position = 0
        return False

    async def pieces(self, size: int) -> AsyncIterator[bytes]:
        while size > 0:
            if await self.at_end():
                raise InvalidRequest("the protobuf body ends in the middle of a field")
            piece = self._buffer[self._position : self._position + size]
            self._position += len(piece)
            size -= len(piece)
            yield piece

    async def exactly(self, size: int) -> bytes:
        if size > _SIDE_FIELD_LIMIT:
            raise TooLarge(f"a field other than the payload has at most {_SIDE_FIELD_LIMIT} bytes")
        return b"".join([piece async for piece in self.pieces(size)])

    async def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            if await self.at_end():
                raise InvalidRequest("the protobuf body ends in the middle of a field")
            byte = self._buffer[self._position]
            self._position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise InvalidRequest("the body is not a protobuf message")


def push_body(headers: Mapping[str, str], chunks: AsyncIterator[bytes], json_limit: int) -> PushBody:
    """The reader for what a component pushed, as it pushed it. `InvalidRequest` when the form is not served."""
    form = form_of(headers)
    if form is Form.BLACK_BOX:
        return RawBody(header_text(headers, TOPIC), chunks)
    if form is Form.JSON:
        return JsonBody(chunks, json_limit)
    if form is Form.PROTOBUF:
        return ProtobufBody(chunks)
    raise InvalidRequest(f"name the topic in the header {TOPIC}, or send {JSON_TYPE} or {PROTOBUF_TYPE}")


def invoke_body(headers: Mapping[str, str], chunks: AsyncIterator[bytes], json_limit: int) -> PushBody:
    """The reader for what a partner's node sends: as pushed there, or encapsulated when it does not say version 1."""
    if form_of(headers) is Form.PROTOBUF and headers.get(VERSION, "").strip() != AS_PUSHED:
        return ProtobufBody(chunks, encapsulated=True)
    return push_body(headers, chunks, json_limit)


# --- answers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """An answer around a payload of known size, which is written between `head` and `tail` and never held whole.

    `base64` = the payload must be written as base64 (JSON). `length` is the whole answer's size in bytes.
    """

    content_type: str
    head: bytes
    tail: bytes
    length: int
    base64: bool = False


CONTENT_TYPES: Mapping[Form, str] = {
    Form.BLACK_BOX: BLACK_BOX_TYPE,
    Form.JSON: JSON_TYPE,
    Form.PROTOBUF: PROTOBUF_TYPE,
}


def frame(form: Form, size: int, metadata: Mapping[str, str]) -> Frame:
    """The frame of a successful pop or peek whose payload has `size` bytes. The black-box form has no metadata."""
    if form is Form.JSON:
        head = b'{"code":"%s","message":"","content":"' % Code.OK.encode()
        more = b',"metadata":' + json.dumps(dict(metadata)).encode() if metadata else b""
        tail = b'"' + more + b"}"
        return Frame(JSON_TYPE, head, tail, len(head) + -(-size // 3) * 4 + len(tail), base64=True)
    if form is Form.BLACK_BOX:
        head = b"\x0a" + _varint(size)
        tail = DEPLOYED["TransportOutbound"](code=Code.OK).SerializeToString()
    else:
        head = OFFICIAL["TransportOutbound"](metadata=metadata).SerializeToString() + b"\x12" + _varint(size)
        tail = OFFICIAL["TransportOutbound"](code=Code.OK).SerializeToString()
    return Frame(CONTENT_TYPES[form], head, tail, len(head) + size + len(tail))


def answer(form: Form, code: str, message: str = "") -> bytes:
    """An answer without a payload, in the request's form."""
    if form is Form.JSON:
        return json.dumps({"code": code, "message": message, "content": ""}, ensure_ascii=False).encode()
    messages = DEPLOYED if form is Form.BLACK_BOX else OFFICIAL
    written: bytes = messages["TransportOutbound"](code=code, message=message).SerializeToString()
    return written


_CODE = re.compile(r"E\d{10}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A readable answer of a partner's node."""

    code: str
    message: str


def read_answer(content_type: str, body: bytes) -> Answer | None:
    """A partner's answer to `invoke` in whichever form it is written; None when it cannot be read."""
    if content_type.partition(";")[0].strip().lower() == JSON_TYPE:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return None
        return _checked(document.get("code"), document.get("message")) if isinstance(document, dict) else None
    # The two numberings cannot be told apart by the content type alone: partners mix them.
    first, second = (DEPLOYED, OFFICIAL) if BLACK_BOX_TYPE in content_type else (OFFICIAL, DEPLOYED)
    return _read_outbound(first, body) or _read_outbound(second, body)


def _read_outbound(messages: Mapping[str, Any], body: bytes) -> Answer | None:
    try:
        message = messages["TransportOutbound"].FromString(body)
    except DecodeError:
        return None
    return _checked(message.code, message.message)


def _checked(code: object, message: object) -> Answer | None:
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return None
    return Answer(code, message if isinstance(message, str) else "")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
