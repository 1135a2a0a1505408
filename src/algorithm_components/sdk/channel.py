"""Bytes to and from the other parties' components, through this node's channel.

Speaks the deployed ("black box") form of the transport interface: `POST /v1/interconn/chan/push` and `…/pop` with
`x-ptp-*` headers, the payload as the raw body, and a protobuf answer `{payload=1, code=2, message=3}`. The node
delivers each message at least once; 16 bytes in front of each (a random number of the sending end, the number of the
message) make that exactly once and in order. A component survives the restart of its own node and of its partner's:
sending and receiving wait and try again.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from algorithm_components.sdk import arrays
from algorithm_components.sdk.environment import ComponentError, Environment

T = TypeVar("T")
P = TypeVar("P")

OK = "E0000000000"
NOT_FOUND = "E0000000404"
BUFFER_FULL = "E0000000700"

_TRANSIENT = frozenset(
    {NOT_FOUND, BUFFER_FULL, *(f"E0000000{code}" for code in ("500", "503", "520", "601", "602", "607"))}
)
"""Codes that may pass by themselves: the partner's node or its job is not there yet, or has no room."""

_HEADER = struct.Struct(">8sQ")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0


class ChannelError(ComponentError):
    """The channel cannot be used (any more); waiting longer would not help."""


class ChannelTimeoutError(ChannelError):
    """Nothing came within the time that the caller allowed. The next message may still come."""


class ChannelClosedError(ChannelError):
    """This end was closed while it was in use."""


class Channel:
    """This component's end of the channels to its partners.

    `patience`: seconds for which a node that does not answer, or does not take a message, is waited for.
    `pop_seconds`: how long one request waits at the node for a message. Senders and receivers may be used in different
    threads, each by one thread at a time.
    """

    def __init__(self, environment: Environment, *, patience: float = 900.0, pop_seconds: int = 20) -> None:
        self._environment = environment
        self.patience = patience
        self.pop_seconds = pop_seconds
        transport = environment.required("system.transport").removeprefix("http://").rstrip("/")
        self._host, _, port = transport.rpartition(":")
        if not self._host or not port.isdigit():
            raise ChannelError(f"system.transport must be host:port (got {transport[:60]!r})")
        self._port = int(port)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._ends: list[_End] = []

    def sender(self, party: str, name: str = "") -> Sender:
        """The sending end to a party (`<role>.<index>`); `name` keeps several streams between the same two apart."""
        own = self._environment.self_party
        return Sender(self, party, self._topic(own, party, name))

    def receiver(self, party: str, name: str = "") -> Receiver:
        own = self._environment.self_party
        return Receiver(self, party, self._topic(party, own, name))

    def close(self) -> None:
        """Close every end: whoever waits in one gets `ChannelClosedError`."""
        self._closed.set()
        with self._lock:
            for end in self._ends:
                end.disconnect()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _topic(self, source: str, target: str, name: str) -> str:
        # The session may be the whole job's, whose tasks must not read each other's messages.
        return f"{self._environment.task_id}/{source}-{target}" + (f":{name}" if name else "")

    def _headers(self, party: str, topic: str) -> dict[str, str]:
        environment = self._environment
        own = environment.self_party
        return {
            "x-ptp-tech-provider-code": "nodeconsole",
            "x-ptp-session-id": environment.required("config.session_id"),
            "x-ptp-topic": topic,
            "x-ptp-token": environment.required("config.token"),
            "x-ptp-trace-id": environment.optional("config.trace_id", "none"),
            "x-ptp-source-node-id": environment.node_id(own),
            "x-ptp-source-inst-id": environment.inst_id(own),
            "x-ptp-target-node-id": environment.node_id(party),
            "x-ptp-target-inst-id": environment.inst_id(party),
        }


class _End:
    """One direction of one stream, with its own kept connection to the node."""

    def __init__(self, channel: Channel, party: str, topic: str) -> None:
        self._channel = channel
        self.party = party
        self._headers = channel._headers(party, topic)
        self._connection = http.client.HTTPConnection(channel._host, channel._port)
        self._in_use = threading.Lock()
        with channel._lock:
            channel._ends.append(self)

    def disconnect(self) -> None:
        """From any thread: a request that waits fails at once, in its own thread, which closes the connection."""
        sock = self._connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        if self._in_use.acquire(blocking=False):
            self._connection.close()
            self._in_use.release()

    def _call(self, path: str, body: bytes, seconds: float, nonce: str = "") -> tuple[str, str, bytes]:
        """One request: (code, message, payload). Raises OSError or HTTPException when there is no readable answer."""
        headers = {**self._headers, "x-nonce": nonce} if nonce else self._headers
        connection = self._connection
        connection.timeout = seconds
        with self._in_use:
            try:
                if connection.sock is None:
                    connection.connect()
                else:
                    connection.sock.settimeout(seconds)
                # `close` may have looked for a connection just before there was one.
                self._check_open()
                connection.request("POST", path, body, headers)
                response = connection.getresponse()
                answer = response.read()
                self._check_open()
            except (OSError, http.client.HTTPException, ChannelClosedError):
                connection.close()
                raise
        if response.status != http.HTTPStatus.OK:
            return _refusal(response.status, response.reason, answer)
        if response.headers.get_content_type() == "application/json":
            return _from_json(answer)
        return _from_protobuf(answer)

    def _patiently(self, what: str, attempt: Callable[[], tuple[str, str, bytes]]) -> tuple[str, bytes]:
        """`attempt` until it gives a final answer; `patience` counts from the first of consecutive failures."""
        pause, deadline = _FIRST_PAUSE, time.monotonic() + self._channel.patience
        while True:
            self._check_open()
            try:
                code, message, payload = attempt()
            except (OSError, http.client.HTTPException, _UnreadableError) as error:
                self._check_open()
                code, message, payload = "", str(error) or type(error).__name__, b""
            if code == OK:
                return code, payload
            fault = f"{what} {self.party} failed: {code} {message}".rstrip()
            if code and code not in _TRANSIENT:
                raise ChannelError(fault)
            if time.monotonic() + pause > deadline:
                raise ChannelError(f"{fault} (kept trying for {self._channel.patience:.0f} seconds)")
            self._channel._closed.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _check_open(self) -> None:
        if self._channel._closed.is_set():
            raise ChannelClosedError("the channel was closed")


class Sender(_End):
    """Sends messages in order. `send` returns when the partner's node (or the own one for it) has the message."""

    def __init__(self, channel: Channel, party: str, topic: str) -> None:
        super().__init__(channel, party, topic)
        # Tells a component that was started again from one that repeats a message.
        self._stream = secrets.token_bytes(8)
        self._number = 0

    def send(self, payload: bytes) -> None:
        body = _HEADER.pack(self._stream, self._number) + payload
        # A node may hold the request back while the receiver's buffer is full.
        seconds = min(330.0, self._channel.patience + 30.0)
        # The same for every try, so that a node may drop what it has already.
        nonce = f"{self._stream.hex()}-{self._number}"
        self._patiently("sending to", lambda: self._call("/v1/interconn/chan/push", body, seconds, nonce))
        self._number += 1

    def send_json(self, value: Any) -> None:
        self.send(json.dumps(value, ensure_ascii=False).encode())

    def send_all(self, payloads: Iterable[bytes]) -> None:
        """Every item (none may be empty), then an empty message as the end."""
        for payload in payloads:
            if not payload:
                raise ValueError("an empty message is the end of a stream")
            self.send(payload)
        self.send(b"")

    def send_array(self, array: Any) -> None:
        """A numpy array as one message, in numpy's own file format; arrays of Python objects are refused."""
        self.send(arrays.array_to_bytes(array))

    def send_table(self, table: Any, *, rows: int = 65_536) -> None:
        """An Arrow table or record batch in messages of at most `rows` rows each."""
        self.send_all(arrays.table_to_messages(table, rows))


class Receiver(_End):
    """Receives a partner's messages, each once and in the order in which they were sent."""

    def __init__(self, channel: Channel, party: str, topic: str) -> None:
        super().__init__(channel, party, topic)
        self._stream = b""
        self._number = 0

    def receive(self, *, timeout: float | None = None) -> bytes:
        """The next message. Waits as long as the node answers, or `timeout` seconds (then `ChannelTimeoutError`)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                raise ChannelTimeoutError(f"nothing came from {self.party} within {timeout:g} seconds")
            message = self._pop(self._channel.pop_seconds if remaining is None else remaining)
            payload = self._in_order(message) if message else None
            if payload is not None:
                return payload

    def receive_json(self, *, timeout: float | None = None) -> Any:
        payload = self.receive(timeout=timeout)
        try:
            return json.loads(payload)
        except (ValueError, RecursionError):
            raise ChannelError(f"{self.party} sent something that is not JSON") from None

    def stream(self, *, timeout: float | None = None) -> Iterator[bytes]:
        """Messages up to the empty one that ends the stream; `timeout` counts for each."""
        while payload := self.receive(timeout=timeout):
            yield payload

    def receive_array(self, *, timeout: float | None = None) -> Any:
        """The numpy array that the other end sent. Nothing in a message is ever executed."""
        return self._decoded(arrays.array_from_bytes, self.receive(timeout=timeout))

    def receive_batches(self, *, timeout: float | None = None) -> Iterator[Any]:
        """The Arrow record batches of one `send_table`, as they come, each checked; `timeout` counts for each."""
        for payload in self.stream(timeout=timeout):
            yield from self._decoded(arrays.batches_from_message, payload)

    def receive_table(self, *, timeout: float | None = None) -> Any:
        """The whole Arrow table of one `send_table`."""
        return self._decoded(arrays.table_of, self.receive_batches(timeout=timeout))

    def _decoded(self, decode: Callable[[P], T], received: P) -> T:
        try:
            return decode(received)
        except arrays.UnreadableArrayError as error:
            raise ChannelError(f"{self.party} sent {error}") from None

    def _pop(self, seconds: float) -> bytes:
        wait = max(1, min(300, round(seconds)))
        path = f"/v1/interconn/chan/pop?timeout={wait}"

        def attempt() -> tuple[str, str, bytes]:
            code, message, payload = self._call(path, b"", wait + 30.0)
            # Nobody has sent anything to this topic yet: as good as a time-out.
            return (OK, "", b"") if code == NOT_FOUND else (code, message, payload)

        started = time.monotonic()
        payload = self._patiently("receiving from", attempt)[1]
        if not payload and time.monotonic() - started < 0.5:
            # A node that answers "nothing" at once must not be asked in a tight loop.
            self._channel._closed.wait(0.1)
        return payload

    def _in_order(self, message: bytes) -> bytes | None:
        if len(message) < _HEADER.size:
            raise ChannelError(f"{self.party} sent a message without a number: both parties need the same component")
        stream, number = _HEADER.unpack_from(message)
        if not self._stream:
            self._stream = stream
        if stream != self._stream:
            raise ChannelError(f"the component of {self.party} was started again in the middle: run the job again")
        if number < self._number:
            return None
        if number > self._number:
            raise ChannelError(f"message {self._number} of {self.party} was lost on the way (got {number})")
        self._number += 1
        return message[_HEADER.size :]


class _UnreadableError(Exception):
    """An answer that is no `TransportOutbound`: somebody else is listening there, or the node is starting."""


def _refusal(status: int, reason: str, answer: bytes) -> tuple[str, str, bytes]:
    text = f"HTTP {status} {reason}"
    try:
        code, message, _ = _from_json(answer)
    except _UnreadableError:
        code, message = "", ""
    if status >= 500 or status in (http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.REQUEST_TIMEOUT):
        raise _UnreadableError(f"{text} {message}".rstrip())
    return (code if code not in ("", OK) else text), message, b""


def _from_json(answer: bytes) -> tuple[str, str, bytes]:
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        raise _UnreadableError("the node's answer cannot be read") from None
    if not isinstance(value, dict) or not isinstance(value.get("code"), str | int):
        raise _UnreadableError("the node's answer cannot be read")
    content = value.get("content") or value.get("payload") or ""
    payload = content.encode() if isinstance(content, str) else b""
    return str(value["code"]), str(value.get("message") or value.get("msg") or ""), payload


def _from_protobuf(answer: bytes) -> tuple[str, str, bytes]:
    """`TransportOutbound{payload=1, code=2, message=3}`; three fields are not worth loading a protobuf library."""
    fields = {1: b"", 2: b"", 3: b""}
    position = 0
    while position < len(answer):
        key, position = _varint(answer, position)
        if key & 7 != 2:
            raise _UnreadableError("the node's answer cannot be read")
        length, position = _varint(answer, position)
        if position + length > len(answer):
            raise _UnreadableError("the node's answer is cut off")
        fields[key >> 3] = answer[position : position + length]
        position += length
    code = fields[2].decode("ascii", "replace")
    if not code:
        raise _UnreadableError("the node's answer has no code")
    return code, fields[3].decode("utf-8", "replace"), fields[1]


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise _UnreadableError("the node's answer cannot be read")
