"""Bodies of the component channel that carry a payload: each form is read as it arrives, piece by piece."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from embedded_scheduler.domain.identifiers import is_text
from embedded_scheduler.errors import InvalidRequest, TooLarge
from embedded_scheduler.wire.ptp import (
    AS_PUSHED,
    JSON_TYPE,
    PROTOBUF_TYPE,
    TOPIC,
    VERSION,
    Form,
    check_topic,
    form_of,
    header_text,
    read_object,
    read_protobuf,
    varint,
)

_SIDE_FIELD_LIMIT = 64 * 1024
_METADATA_LIMIT = 256 * 1024


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
        document = read_object(bytes(body))
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
    if not all(is_text(key) and is_text(item) for key, item in value.items()):
        raise InvalidRequest("metadata holds half a surrogate pair, which is no text")
    if sum(len(key) + len(item) for key, item in value.items()) > _METADATA_LIMIT:
        raise _metadata_too_large()
    return dict(value)


def _metadata_too_large() -> TooLarge:
    return TooLarge(f"metadata has at most {_METADATA_LIMIT} characters")


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
            message = read_protobuf("Inbound", b"\x0a" + varint(len(value)) + value)
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
