"""HTTP connections to a node of another machine, all of them over one ssh session."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpcore

from nodeconsole.remote.dial import Dial, LinkFailure
from nodeconsole.remote.frames import STREAMS, WINDOW, Decoder, Garbled, Kind, credit, data, frame
from nodeconsole.remote.target import SshTarget

_IDLE_SECONDS = 2.0
"""An idle connection is given up before the node does; a new one costs no round trip."""


class Link:
    """The ssh session to one node: started when it is first needed, and anew after it broke.

    `first` is a session that was begun before, with what its bridge said already. `interactive` is for commands: ssh
    may ask at the terminal. `relay` gets what ssh says meanwhile.
    """

    def __init__(
        self,
        target: SshTarget,
        *,
        first: tuple[Dial, bytes] | None = None,
        interactive: bool = False,
        relay: Callable[[str], None] | None = None,
    ) -> None:
        self.target = target
        self.asks = False
        """The last attempt failed because ssh was not allowed to ask."""
        self.bytes_in = 0
        self.bytes_out = 0
        self._interactive = interactive
        self._relay = relay
        self._first = first
        self._session: _Session | None = None
        self._dialling = asyncio.Lock()

    def pool(self, most: int) -> httpcore.AsyncConnectionPool:
        """HTTP over the link, on at most so many connections at a time. No TLS: ssh has sealed what passes."""
        return httpcore.AsyncConnectionPool(
            network_backend=_Backend(self), max_connections=most, keepalive_expiry=_IDLE_SECONDS
        )

    async def open(self) -> LinkStream:
        """A new connection to the node; `LinkFailure` when there is no link."""
        async with self._dialling:
            if self._session is None or self._session.over:
                await self._leave_session()
                self._session = await self._connect()
        return self._session.open()

    async def close(self) -> None:
        """End the session. The next `open` begins another."""
        await self._leave_session()
        first, self._first = self._first, None
        if first is not None:
            first[0].abandon()

    async def _leave_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def give(self, dial: Dial, rest: bytes) -> None:
        """A session that somebody else has begun, for the next `open`."""
        before, self._first = self._first, (dial, rest)
        if before is not None:
            before[0].abandon()

    async def _connect(self) -> _Session:
        first, self._first = self._first, None
        dial, rest = first or await self._dial()
        self.asks = False
        session = _Session(dial, self)
        try:
            await session.start(rest)
        except BaseException:
            session.end(OSError("the link was closed"))
            dial.abandon()
            raise
        return session

    async def _dial(self) -> tuple[Dial, bytes]:
        dial = Dial(self.target, interactive=self._interactive, relay=self._relay)
        try:
            return dial, await asyncio.to_thread(dial.wait)
        except LinkFailure as failure:
            self.asks = failure.asks
            raise
        except BaseException:
            dial.abandon()
            raise


class _Session(asyncio.Protocol):
    """One ssh process whose bridge answers. Frames are handed to their streams as they arrive; nobody has to read."""

    def __init__(self, dial: Dial, link: Link) -> None:
        self.over = False
        self._dial = dial
        self._link = link
        self._decoder = Decoder()
        self._streams: dict[int, LinkStream] = {}
        self._leaving: set[int] = set()
        """Closed here; the bridge has not confirmed it yet."""
        self._numbers = itertools.count(1)
        self._reader: asyncio.ReadTransport | None = None
        self._writer: asyncio.WriteTransport | None = None
        self.gate = _Gate()

    async def start(self, rest: bytes) -> None:
        loop = asyncio.get_running_loop()
        process = self._dial.process
        assert process.stdin is not None
        assert process.stdout is not None
        os.set_blocking(process.stdin.fileno(), False)
        self._writer, _ = await loop.connect_write_pipe(lambda: self.gate, process.stdin)
        self._reader, _ = await loop.connect_read_pipe(lambda: self, process.stdout)
        if rest:
            self.data_received(rest)

    async def close(self) -> None:
        self.end(OSError("the link was closed"))
        # Whoever leaves may be cancelled meanwhile: the process is waited for all the same.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._dial.kill))

    def open(self) -> LinkStream:
        free = (number % STREAMS for number in self._numbers)
        number = next(n for n in free if n not in self._streams and n not in self._leaving)
        stream = self._streams[number] = LinkStream(self, number)
        self.send(frame(Kind.OPEN, number))
        return stream

    def send(self, content: bytes) -> None:
        if not self.over and self._writer is not None:
            self._link.bytes_out += len(content)
            self._writer.write(content)

    def leave(self, number: int) -> None:
        """A stream is closed from this side."""
        if self._streams.pop(number, None) is not None and not self.over:
            self._leaving.add(number)
            self.send(frame(Kind.CLOSE, number))

    # What the event loop calls.

    def data_received(self, chunk: bytes) -> None:
        self._link.bytes_in += len(chunk)
        try:
            heard = self._decoder.feed(chunk)
        except Garbled:
            self.end(LinkFailure("the other side of the link sends something else than nodeconsole does"))
            return
        for part in heard:
            stream = self._streams.get(part.stream)
            if part.kind == Kind.CLOSE:
                self._leaving.discard(part.stream)
                self._streams.pop(part.stream, None)
                if stream is not None:
                    stream.ended(OSError(part.errno, os.strerror(part.errno)) if part.errno else None)
            elif part.kind == Kind.DATA and stream is not None:
                stream.received(part.content)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.over:
            self.over = True
            # The process ends by itself now, and has said why: a thread waits for both.
            loop = asyncio.get_running_loop()
            loop.run_in_executor(None, self._dial.reason).add_done_callback(self._told)

    def _told(self, reason: asyncio.Future[str]) -> None:
        if not reason.cancelled():
            self.end(LinkFailure(reason.result()))

    def end(self, why: Exception) -> None:
        """Say so to every stream, and read and write no more; whoever calls it sees to the process."""
        self.over = True
        self.gate.open()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.ended(why)
        for transport in (self._reader, self._writer):
            if transport is not None:
                transport.close()


class _Gate(asyncio.BaseProtocol):
    """Closed while the pipe to ssh is full."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    def open(self) -> None:
        self._open.set()

    async def pass_through(self) -> None:
        await self._open.wait()

    def pause_writing(self) -> None:
        self._open.clear()

    def resume_writing(self) -> None:
        self._open.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._open.set()


class LinkStream(httpcore.AsyncNetworkStream):
    """One connection to the node, as the HTTP library wants it."""

    def __init__(self, session: _Session, number: int) -> None:
        self._session = session
        self._number = number
        self._received = bytearray()
        self._consumed = 0
        self._over = False
        self._why: Exception | None = None
        self._news = asyncio.Event()

    def received(self, content: bytes) -> None:
        self._received += content
        self._news.set()

    def ended(self, why: Exception | None) -> None:
        self._over, self._why = True, why
        self._news.set()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the library's
        try:
            async with asyncio.timeout(timeout):
                while not self._received and not self._over:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            raise httpcore.ReadTimeout from error
        if not self._received and self._why is not None:
            raise httpcore.ReadError(self._why)
        content = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        self._allow(len(content))
        return content

    def _allow(self, consumed: int) -> None:
        """New credit for what has been read, not for every few bytes."""
        self._consumed += consumed
        if self._consumed >= WINDOW // 2 and not self._over:
            self._session.send(credit(self._number, self._consumed))
            self._consumed = 0

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if self._over:
            raise httpcore.WriteError(self._why or "closed")
        self._session.send(data(self._number, buffer))
        try:
            async with asyncio.timeout(timeout):
                await self._session.gate.pass_through()
        except TimeoutError as error:
            raise httpcore.WriteTimeout from error

    async def aclose(self) -> None:
        if not self._over:
            self._over = True
            self._session.leave(self._number)

    def get_extra_info(self, info: str) -> Any:
        """`is_readable` tells the library that an idle connection is of no use any more."""
        return bool(self._received or self._over) if info == "is_readable" else None


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, link: Link) -> None:
        self._link = link

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002
        port: int,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - ssh has its own: its user may have to type something
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._link.open()
        except LinkFailure as failure:
            raise httpcore.ConnectError(failure) from None


def behind(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it. The library cuts the chain of causes, so ours are the contents of its errors."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        content = cause.args[0] if cause.args else None
        cause = content if isinstance(content, Exception) else cause.__cause__ or cause.__context__


def link_failure(error: BaseException) -> LinkFailure | None:
    """The failure of the link behind an error of the HTTP library."""
    return next((cause for cause in behind(error) if isinstance(cause, LinkFailure)), None)
