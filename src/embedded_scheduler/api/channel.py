"""HTTP plumbing of the component channel, shared by its two sides.

The channel's paths are served below Quart, on the ASGI interface itself. Quart reads a request's body ahead of the
handler without bound and hides that a client has hung up; a channel needs both: back-pressure down to the sender's
socket, and the certainty that a message is removed only when its reader was there to take it.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from quart import Quart

from embedded_scheduler.api.connection import connection_of
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.engine.channel_ports import BufferFull, NotNetworked, SessionOver
from embedded_scheduler.engine.channel_reading import SMALL, Glance, Lease
from embedded_scheduler.errors import (
    Forbidden,
    InvalidRequest,
    NodeError,
    NotFound,
    TimedOut,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from embedded_scheduler.wire import ptp

logger = logging.getLogger(__name__)

STALL_SECONDS = 60.0
"""A body of which nothing arrives for this long is given up."""
LINGER_SECONDS = 3.0
"""How long the rest of a refused body is read away, so that its sender sees the answer and not a broken connection."""
SELECTION_LIMIT = 64 * 1024
_BASE64_PIECE = 3 * 256 * 1024

_CODES: tuple[tuple[type[NodeError], ptp.Code], ...] = (
    (SessionOver, ptp.Code.RELEASED),
    (BufferFull, ptp.Code.BUFFER_FULL),
    (NotNetworked, ptp.Code.NOT_NETWORKED),
    (InvalidRequest, ptp.Code.BAD_REQUEST),
    (TooLarge, ptp.Code.TOO_LARGE),
    (TooMany, ptp.Code.BUFFER_FULL),
    (Unauthenticated, ptp.Code.FORBIDDEN),
    (Forbidden, ptp.Code.FORBIDDEN),
    (NotFound, ptp.Code.NOT_FOUND),
    (TimedOut, ptp.Code.TIMEOUT),
    (Unavailable, ptp.Code.UNREACHABLE),
)


class ClientGone(Exception):
    """The client hung up; nobody is left to answer."""


class Exchange:
    """One request and its answer."""

    def __init__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.connection = connection_of(scope)
        self.headers = _headers(scope["headers"])
        self.raw_headers = tuple(scope["headers"])
        self.seal: Callable[[bytes], Mapping[str, str]] = lambda body: {}  # noqa: ARG005
        """Headers that vouch for an answer, made from its body."""
        self._query = scope["query_string"]
        self._receive = receive
        self._send = send
        self._body_read = False
        self.answering = False
        """The head of an answer was sent; a failure can only be told by breaking off."""

    @property
    def form(self) -> ptp.Form:
        """The form to answer in."""
        return ptp.form_of(self.headers) or ptp.Form.JSON

    @property
    def size(self) -> int | None:
        """What the client announces of the body, None when it does not."""
        value = self.headers.get("content-length", "")
        return int(value) if value.isascii() and value.isdigit() else None

    @property
    def query(self) -> str:
        return self._query.decode("ascii", "replace")

    @property
    def timeout(self) -> str:
        """What the query says of the time-out; empty when it says nothing."""
        return _query_value(self._query, "timeout")

    def text(self, name: str) -> str:
        return ptp.header_text(self.headers, name)

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise InvalidRequest(f"the header {name} is missing")
        return value

    async def body(self) -> AsyncIterator[bytes]:
        """The body as it arrives. `ClientGone` when it breaks off, `TimedOut` when nothing comes for a while."""
        while not self._body_read:
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    message = await self._receive()
            except TimeoutError:
                raise TimedOut(f"nothing of the body arrived for {STALL_SECONDS:.0f} s") from None
            if message["type"] != "http.request":
                raise ClientGone
            self._body_read = not message.get("more_body", False)
            if chunk := message.get("body", b""):
                yield chunk

    async def whole_body(self, limit: int) -> bytes:
        body = bytearray()
        async for chunk in self.body():
            body += chunk
            if len(body) > limit:
                raise TooLarge(f"the body has at most {limit} bytes")
        return bytes(body)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[asyncio.Task[None]]:
        """A task that ends when the client hangs up. Only after the body was read."""
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._hung_up())
                try:
                    yield watch
                finally:
                    watch.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None  # the watch never fails, so this is the body's own exception

    async def _hung_up(self) -> None:
        while (await self._receive())["type"] == "http.request":
            pass

    async def answer(self, code: str, message: str = "") -> None:
        """An answer without a payload; the rest of an unread body is read away for a while first."""
        body = ptp.answer(self.form, code, message)
        headers = [(name.encode(), value.encode()) for name, value in self.seal(body).items()]
        headers += [] if self._body_read else [(b"connection", b"close")]
        await self._start(ptp.CONTENT_TYPES[self.form], len(body), headers)
        if self._body_read:
            await self._write(body, more=False)
            return
        await self._write(body, more=True)
        async with asyncio.TaskGroup() as group:
            # Hypercorn waits for its reader while the queue of body parts is full: somebody must go on reading.
            rest = group.create_task(self._read_away())
            await asyncio.wait({rest}, timeout=LINGER_SECONDS)
            await self._write(b"", more=False)
            rest.cancel()

    async def _read_away(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] != "http.request" or not message.get("more_body", False):
                return

    async def deliver(self, message: Lease | Glance, gone: asyncio.Future[None]) -> None:
        """A pop's or peek's answer. `ClientGone` unless the client was there until all of it was written."""
        frame = ptp.frame(self.form, message.size, message.metadata)
        await _let_hangups_in(gone)
        await self._start(frame.content_type, frame.length, [])
        pending = frame.head
        piece = _BASE64_PIECE if frame.base64 else 4 * _BASE64_PIECE
        async for chunk in message.chunks(piece):
            data = base64.b64encode(chunk) if frame.base64 else chunk
            if len(data) <= SMALL:
                # Goes out together with what is before and after it.
                pending += data
                continue
            await self._write(pending, more=True)
            await self._write(data, more=True)
            pending = b""
            if gone.done():
                raise ClientGone
        await self._write(pending + frame.tail, more=True)
        if gone.done():
            raise ClientGone
        await self._write(b"", more=False)

    async def _start(self, content_type: str, length: int, more: Iterable[tuple[bytes, bytes]]) -> None:
        self.answering = True
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(length).encode()), *more]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})

    async def _write(self, body: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


async def _let_hangups_in(gone: asyncio.Future[None]) -> None:
    """Give a hang-up that is already in the socket the turns of the loop it needs to be noticed."""
    for _ in range(3):
        await asyncio.sleep(0)
        if gone.done():
            raise ClientGone


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1").strip())
    return headers


def _query_value(query: bytes, name: str) -> str:
    try:
        return parse_qs(query.decode("latin-1"), max_num_fields=16).get(name, [""])[0] if query else ""
    except ValueError:
        raise InvalidRequest("the query is not valid: at most 16 fields") from None


Handler = Callable[[Exchange], Awaitable[None]]


class ChannelRoutes:
    """ASGI application that serves the channel's paths and hands everything else on."""

    def __init__(self, following: Callable[..., Awaitable[None]], handlers: Mapping[str, Handler]) -> None:
        self._following = following
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        handler = self._handlers.get(scope["path"]) if scope["type"] == "http" else None
        if handler is None or scope["type"] != "http":
            await self._following(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        await serve(handler if exchange.method == "POST" else _refuse_method, exchange)


async def _refuse_method(exchange: Exchange) -> None:
    raise InvalidRequest(f"use POST, not {shorten(exchange.method)}")


async def serve(handler: Handler, exchange: Exchange) -> None:
    """Run a handler and turn its errors into answers of the channel."""
    try:
        await handler(exchange)
    except ClientGone:
        return
    except Exception as error:  # the last door of the family: no fault may reach the caller as a traceback
        code, message = verdict_of(error)
        if code is ptp.Code.SYSTEM:
            logger.exception("channel request %s failed", exchange.path)
        if not exchange.answering:
            await exchange.answer(code, message)


def verdict_of(error: Exception) -> tuple[ptp.Code, str]:
    """The channel's code and words for what went wrong."""
    if isinstance(error, NodeError):
        return next((code for kind, code in _CODES if isinstance(error, kind)), ptp.Code.SYSTEM), error.message
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ptp.Code.BUFFER_FULL, "the disk of this node is full: free some space"
    return ptp.Code.SYSTEM, "this node could not carry out the call: see its log"


def mount(app: Quart, handlers: Mapping[str, Handler]) -> None:
    """Serve the handlers' paths in front of a Quart application."""
    app.asgi_app = ChannelRoutes(app.asgi_app, handlers)  # type: ignore[method-assign]
