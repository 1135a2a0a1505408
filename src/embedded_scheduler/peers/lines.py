"""Kept connections to partners: HTTP/1.1 (h11) on asyncio's transports, as a transport of the HTTP library.

Most of what a small message costs its sender is the library's own transport, which goes through a second event loop
library, looks over all idle connections for every request, and reads in another task than asyncio does. This one is for
calls that go straight to a partner; the library's own stays in use where there is a proxy.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from typing import Any

import h11
import httpx

_HEAD_BYTES = 64 * 1024
_UNREAD_BYTES = 512 * 1024
"""Of an answer, beyond which nothing more is taken from the connection until it was read."""
_ONE_PIECE = 64 * 1024
"""A request up to this size leaves in one packet with its head."""
_FAREWELL_SECONDS = 1.0
_SECOND_ADDRESS_SECONDS = 0.25
"""After which the next address of a host is tried beside the first."""

Origin = tuple[str, str, int]


class Lines(httpx.AsyncBaseTransport):
    """As many connections as there are requests at a time; at most `keepalive` of an origin are kept, `idle_seconds`.

    Faults are those of the library: a connection that was closed while it was kept is a `RemoteProtocolError` or
    `ReadError` of the next request, if that was quicker than the news of it.
    """

    def __init__(self, context: ssl.SSLContext, *, keepalive: int, idle_seconds: float) -> None:
        self._context = context
        self._keepalive = keepalive
        self._idle_seconds = idle_seconds
        self._kept: dict[Origin, list[_Line]] = {}
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        origin = (url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80))
        limits = request.extensions.get("timeout", {})
        line = self._take(origin) or await self._connect(origin, limits.get("connect"))
        try:
            await line.send(request, limits.get("write"))
            head = await line.answer(limits.get("read"))
        except BaseException:
            line.abort()
            raise
        body = _Body(self, origin, line, limits.get("read"))
        return httpx.Response(head.status_code, headers=head.headers.raw_items(), stream=body)

    async def aclose(self) -> None:
        self._closed = True
        for lines in self._kept.values():
            for line in lines:
                line.close()
        self._kept.clear()

    def _take(self, origin: Origin) -> _Line | None:
        """The connection that was used last, so that those beyond need are given up."""
        lines = self._kept.get(origin, [])
        while lines:
            line = lines.pop()
            if line.wake():
                return line
        return None

    def give_back(self, origin: Origin, line: _Line) -> None:
        """After an answer, whether all of it was read or not."""
        lines = self._kept.setdefault(origin, [])
        if self._closed or len(lines) >= self._keepalive or not line.rest(self._idle_seconds, lines):
            line.close()
        else:
            lines.append(line)

    async def _connect(self, origin: Origin, seconds: float | None) -> _Line:
        scheme, host, port = origin
        secure = scheme == "https"
        try:
            async with asyncio.timeout(seconds):
                _, line = await asyncio.get_running_loop().create_connection(
                    _Line,
                    host,
                    port,
                    ssl=self._context if secure else None,
                    server_hostname=host if secure else None,
                    ssl_shutdown_timeout=_FAREWELL_SECONDS if secure else None,
                    happy_eyeballs_delay=_SECOND_ADDRESS_SECONDS,
                )
        except TimeoutError:
            raise httpx.ConnectTimeout("") from None
        except (OSError, ValueError) as error:
            raise httpx.ConnectError(_said(error)) from None
        return line


class _Line(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES)
        self._transport: asyncio.Transport
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._full = False
        self._ended = False
        self._failure: Exception | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._rests_in: list[_Line] = []

    # -- what the loop says --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._idle is not None:
            # Nobody asked for anything.
            self._drop()
            return
        self._http.receive_data(data)
        if len(self._http.trailing_data[0]) > _UNREAD_BYTES:
            self._transport.pause_reading()
        _resolve(self._news)

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._failure = exc
        self._full = False
        self._end()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        _resolve(self._room)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            if self._failure is None:
                self._http.receive_data(b"")
        if self._idle is not None:
            self._drop()
        _resolve(self._news)
        _resolve(self._room)

    # -- one request ---------------------------------------------------------------------------------------------------

    async def send(self, request: httpx.Request, seconds: float | None) -> None:
        """Returns early when the other side takes no more: what it has answered can be read all the same."""
        try:
            head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
            pending = self._http.send(head)
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from None
        if isinstance(request.stream, httpx.ByteStream):
            body = b"".join(request.stream)
            if body:
                # Of a body whose length is known before, this is the body itself.
                body = self._http.send(h11.Data(data=body))
            pending, body = (pending + body, b"") if len(body) <= _ONE_PIECE else (pending, body)
            self._transport.write(pending)
            if body:
                self._transport.write(body)
        else:
            self._transport.write(pending)
            assert isinstance(request.stream, httpx.AsyncByteStream)
            async for chunk in request.stream:
                if chunk and not self._ended:
                    self._transport.write(self._http.send(h11.Data(data=chunk)))
                    await self._until_room(seconds)
        if not self._ended:
            if end := self._http.send(h11.EndOfMessage()):
                self._transport.write(end)
            await self._until_room(seconds)

    async def _until_room(self, seconds: float | None) -> None:
        while self._full and not self._ended:
            self._room = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(seconds):
                    await self._room
            except TimeoutError:
                raise httpx.WriteTimeout("") from None

    async def answer(self, seconds: float | None) -> h11.Response:
        while True:
            event = await self.event(seconds)
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise httpx.RemoteProtocolError("the connection was closed without an answer")

    async def event(self, seconds: float | None) -> Any:
        """The next of what h11 makes of the answer; `seconds` is how long nothing of it may come."""
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                said = "the connection was closed before the end of an answer" if self._ended else str(error)
                raise httpx.RemoteProtocolError(said) from None
            if event is not h11.NEED_DATA:
                return event
            if self._failure is not None:
                raise httpx.ReadError(_said(self._failure))
            self._news = asyncio.get_running_loop().create_future()
            self._transport.resume_reading()
            try:
                async with asyncio.timeout(seconds):
                    await self._news
            except TimeoutError:
                raise httpx.ReadTimeout("") from None

    # -- between requests ----------------------------------------------------------------------------------------------

    def rest(self, seconds: float, among: list[_Line]) -> bool:
        """Whether it can carry another request; it is closed, and taken out of `among`, unless that comes in time."""
        done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if self._ended or not done or self._http.trailing_data[0]:
            return False
        self._http.start_next_cycle()
        self._transport.resume_reading()
        self._rests_in = among
        self._idle = asyncio.get_running_loop().call_later(seconds, self._drop)
        return True

    def wake(self) -> bool:
        """It was taken for the next request; False if it has ended."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        return not self._ended and not self._transport.is_closing()

    def _drop(self) -> None:
        self.wake()
        if self in self._rests_in:
            self._rests_in.remove(self)
        self.close()

    def close(self) -> None:
        self.wake()
        self._transport.close()

    def abort(self) -> None:
        """In the middle of a request: nothing more is said."""
        self._transport.abort()


class _Body(httpx.AsyncByteStream):
    def __init__(self, lines: Lines, origin: Origin, line: _Line, seconds: float | None) -> None:
        self._lines = lines
        self._origin = origin
        self._line: _Line | None = line
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._line is not None:
            event = await self._line.event(self._seconds)
            if not isinstance(event, h11.Data):
                return
            yield bytes(event.data)

    async def aclose(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._lines.give_back(self._origin, line)


def _resolve(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


def _said(error: Exception) -> str:
    """asyncio words a refused connection in its own way; what TLS says stays as it is."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(error)
