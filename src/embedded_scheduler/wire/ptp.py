"""Messages of the component channel (transport layer, `org.ppc.ptp`), in the specification's and the deployed form.

Specification: topic and time-out travel in the body, `PushInbound` and its siblings as JSON or protobuf; answers are
`{code, message, content}` or protobuf `TransportOutbound{metadata=1, payload=2, code=3, message=4}`.
Deployed ("black box", what Kuscia and yacl speak): topic in header `x-ptp-topic`, time-out in the query, raw payload;
answers are protobuf with other numbers, `{payload=1, code=2, message=3}`, as `application/proto`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any
from urllib.parse import quote

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from embedded_scheduler.errors import InvalidRequest

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
        document = read_object(body)
        topic, wait = document.get("topic"), timeout or document.get("timeout")
    else:
        message = read_protobuf({POP_PATH: "PopInbound", PEEK_PATH: "PeekInbound"}.get(path, "ReleaseInbound"), body)
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


def read_object(body: bytes) -> dict[str, Any]:
    """A JSON object; nothing is an empty one."""
    try:
        document = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        raise InvalidRequest("the body is not JSON") from None
    if not isinstance(document, dict):
        raise InvalidRequest("the body must be a JSON object")
    return document


def read_protobuf(name: str, body: bytes) -> Any:
    """A message of `OFFICIAL`."""
    try:
        return OFFICIAL[name].FromString(body)
    except DecodeError:
        raise InvalidRequest(f"the body is not a protobuf {name}") from None


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
        head = b"\x0a" + varint(size)
        tail = DEPLOYED["TransportOutbound"](code=Code.OK).SerializeToString()
    else:
        head = OFFICIAL["TransportOutbound"](metadata=metadata).SerializeToString() + b"\x12" + varint(size)
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


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
