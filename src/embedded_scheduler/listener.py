"""One listening socket and the connections that come in by it.

Hypercorn turns bytes into requests; what it leaves open is decided here: who gets a connection at all, how long it may
say nothing, how slowly it may speak, and what every request is told of it (`api.connection.Connection`).
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import h11
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.task_group import TaskGroup as AppTasks
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.typing import AppWrapper, ConnectionState, LifespanState
from hypercorn.utils import parse_socket_addr, wrap_app
from quart import Quart

from embedded_scheduler.admittance import Pace, Places, peer_origin
from embedded_scheduler.api.connection import STATE_KEY, Connection
from embedded_scheduler.security.keys import certificate_fingerprint
from embedded_scheduler.security.tls import HandshakeFailed, ServerTls

_LOG = logging.getLogger(__name__)

BACKLOG = 512
DRAIN_SECONDS = 2.0
_FAREWELL_SECONDS = 0.1
"""For the end of a connection on which no answer is under way. TLS would wait for the other side's farewell, which a
client that keeps the connection for later does not read."""
HEAD_BYTES = 32 * 1024
HEADERS = 100
_READ_BYTES = 64 * 1024
_BODY_BYTES = 256 * 1024
"""As much of a body as asyncio takes from a socket at once. A head is read in smaller pieces: its limit is looked at
between two of them."""
_AT_ONCE = 16
"""Connections accepted before those that are served get their turn."""
_PAUSE_SECONDS = 1.0
"""After the system refused to give a connection, for example because too many files are open."""
_LAST_WORD_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a connection is given. `head`: for a request's line and headers, counted from the connection or from
    their first byte. `idle`: between two requests; longer than any partner's pool keeps a connection, so that the pool
    never uses a closing one. `body`: a body may fall this far behind `body_rate` bytes per second, not counting the
    time that this node itself lets it wait. `answer`: in which nothing of an answer is taken; None = any time.
    `linger`: to read on what belongs to a refused request, so that its sender gets to read why."""

    handshake: float = 10.0
    head: float = 10.0
    idle: float = 75.0
    body: float = 60.0
    body_rate: float = 256.0
    answer: float | None = 60.0
    linger: float = 3.0
    close: float = 5.0


class Listener:
    """Serves `app` on a bound socket; `tls` makes it HTTPS. `most` connections together, and `most_each` from one
    address (IPv6: from one /64), are served; None = any number.

    Beyond the first limit the connection that has waited longest without asking anything gives way; where there is
    none, and beyond the second, a new one is closed before anything is spent on it. New ones of one address get their
    turn (a TLS handshake, and a first request) `per_second`, after a burst; those whose turn is far off are closed.
    """

    def __init__(
        self,
        app: Quart,
        bound: socket.socket,
        *,
        tls: ServerTls | None = None,
        prefix: str = "",
        most: int | None = None,
        most_each: int | None = None,
        per_second: float | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._config = _config()
        self._app = wrap_app(Door(app, prefix), self._config.wsgi_max_body_size, "asgi")
        self._socket = bound
        self._tls = tls
        self._patience = patience or Patience()
        self._places = Places(most, most_each)
        self._pace = Pace(per_second)
        self._context = WorkerContext(None)
        self._open: dict[asyncio.Task[None], socket.socket | _Conversation] = {}
        """A socket until it has been greeted."""

    async def serve(self, up: asyncio.Event, drain: asyncio.Event) -> None:
        """Set `up` once connections are accepted; from `drain` on open requests have `DRAIN_SECONDS` to end."""
        state: LifespanState = {}
        lifespan = Lifespan(self._app, self._config, asyncio.get_running_loop(), state)
        async with asyncio.TaskGroup() as group:
            group.create_task(lifespan.handle_lifespan())
            await lifespan.wait_for_startup()
            accepting = group.create_task(self._accept(group, state))
            up.set()
            try:
                await drain.wait()
            finally:
                await self._context.terminated.set()
                accepting.cancel()
                await asyncio.wait({accepting})
                self._socket.close()
                await self._wind_up()
                await lifespan.wait_for_shutdown()

    async def _wind_up(self) -> None:
        for task, served in self._open.items():
            if isinstance(served, _Conversation):
                served.wind_up()
            else:
                task.cancel()
        if self._open:
            await asyncio.wait(set(self._open), timeout=DRAIN_SECONDS)
        for task in self._open:
            task.cancel()

    async def _accept(self, group: asyncio.TaskGroup, state: LifespanState) -> None:
        loop = asyncio.get_running_loop()
        number = 0
        while True:
            try:
                accepted, peer = await loop.sock_accept(self._socket)
            except OSError as error:
                _LOG.error("no connection can be taken for a moment: %s", error.strerror or error)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            origin = peer_origin(peer)
            wait = self._pace.wait(origin, loop.time())
            if wait is None:
                self._places.complain(f"{origin} opens too many per second (limits.connections_per_second)")
            if wait is not None and self._places.take(origin):
                task = group.create_task(self._serve(accepted, state, wait))
                self._open[task] = accepted
                self._places.occupy(task, origin)
                task.add_done_callback(self._gone)
            else:
                accepted.close()
            number += 1
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _gone(self, task: asyncio.Task[None]) -> None:
        # Here, not in the task: one that is cancelled before its first step does nothing.
        if isinstance(served := self._open.pop(task), socket.socket):
            served.close()
        self._places.leave(task)

    async def _serve(self, accepted: socket.socket, state: LifespanState, wait: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            if wait:
                await asyncio.sleep(wait)
            reader, writer = await self._greet(accepted)
        except (OSError, TimeoutError) as error:
            # Whoever scans ports causes these; the callers among them are told by their own end.
            _LOG.debug("a connection came to nothing: %s", error)
            return
        conversation = _Conversation(
            self._app,
            self._config,
            self._context,
            {**state, STATE_KEY: _facts(writer)},
            (reader, writer),
            self._patience,
            asked=lambda: self._places.asked(task),
        )
        self._open[task] = conversation
        try:
            await conversation.run()
        except Exception:  # noqa: BLE001 - a fault of ours in one connection must not end the others
            _LOG.exception("a connection broke off")

    async def _greet(self, accepted: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Streams on the connection, after its TLS handshake if there is one."""
        loop = asyncio.get_running_loop()
        if accepted.family != socket.AF_UNIX:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.settimeout(0)
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        if self._tls is None:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted)
            return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
        # A second handle on the connection, for the last word when the handshake fails: asyncio closes its own.
        with accepted.dup() as spare:
            try:
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol,
                    accepted,
                    ssl=self._tls.context,
                    ssl_handshake_timeout=self._patience.handshake,
                    ssl_shutdown_timeout=self._patience.close,
                )
            except HandshakeFailed as failure:
                await self._dismiss(spare, failure.alert)
                raise
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _dismiss(self, connection: socket.socket, alert: bytes) -> None:
        """Say why, and read on for a moment: closing on unread bytes would take the word back."""
        connection.settimeout(0)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_LAST_WORD_SECONDS):
                await loop.sock_sendall(connection, alert)
                connection.shutdown(socket.SHUT_WR)
                while await loop.sock_recv(connection, _READ_BYTES):
                    pass


class _Phase(enum.Enum):
    IDLE = enum.auto()
    HEAD = enum.auto()
    REQUEST = enum.auto()
    LINGER = enum.auto()


class _Conversation:
    """One connection, from its first byte to its last."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        state: LifespanState,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        patience: Patience,
        *,
        asked: Callable[[], None],
    ) -> None:
        self._app = app
        self._config = config
        self._context = context
        self._state = state
        self._reader, self._writer = streams
        self._patience = patience
        self._asked = asked
        self._phase = _Phase.HEAD
        self._limit: asyncio.Timeout | None = None
        self._sending = asyncio.Lock()
        self._body_bytes = 0
        self._body_waited = 0.0
        self._nothing_to_say = False
        self._protocol: _Http11

    async def run(self) -> None:
        connection = self._writer.get_extra_info("socket")
        try:
            client = parse_socket_addr(connection.family, connection.getpeername())
            server = parse_socket_addr(connection.family, connection.getsockname())
            async with AppTasks(asyncio.get_running_loop()) as tasks:
                self._protocol = _Http11(
                    self._app,
                    self._config,
                    self._context,
                    tasks,
                    ConnectionState(self._state),
                    self._writer.get_extra_info("ssl_object") is not None,
                    client,
                    server,
                    self._send,
                )
                await self._read()
                await self._protocol.handle(Closed())
        except OSError:
            pass
        finally:
            await self._close()

    def wind_up(self) -> None:
        """End it unless a request is being answered; its answer ends it then."""
        if self._phase in (_Phase.IDLE, _Phase.HEAD):
            self._nothing_to_say = True
            self._allow(0)

    async def _read(self) -> None:
        """Until the end of what the other side sends, or of the time it is given."""
        try:
            async with asyncio.timeout(self._patience.head) as self._limit:
                while data := await self._next():
                    if self._phase is _Phase.LINGER:
                        if self._protocol.discard(data):
                            break
                    else:
                        await self._take(data)
        except (TimeoutError, OSError):
            pass
        finally:
            self._limit = None

    async def _take(self, data: bytes) -> None:
        if self._phase is _Phase.IDLE:
            self._begin_head()
        await self._protocol.handle(RawData(data))
        if self._phase is _Phase.IDLE and self._protocol.holds_more:
            self._begin_head()

    async def _next(self) -> bytes:
        if self._phase is not _Phase.REQUEST or not self._protocol.expects_body:
            return await self._reader.read(_READ_BYTES)
        # What this node lets the sender wait for is not counted: only waiting for the sender is.
        began = asyncio.get_running_loop().time()
        self._allow(self._patience.body + self._body_bytes / self._patience.body_rate - self._body_waited)
        data = await self._reader.read(_BODY_BYTES)
        if self._phase is _Phase.REQUEST:
            self._allow(None)
            self._body_waited += asyncio.get_running_loop().time() - began
            self._body_bytes += len(data)
        return data

    def _begin_head(self) -> None:
        self._phase = _Phase.HEAD
        self._allow(self._patience.head)

    def _allow(self, seconds: float | None) -> None:
        if self._limit is not None and not self._limit.expired():
            when = None if seconds is None else asyncio.get_running_loop().time() + max(0.0, seconds)
            self._limit.reschedule(when)

    async def _send(self, event: Event) -> None:
        """What the protocol wants done; called by the reader and by the application."""
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed):
            self._end()
        elif isinstance(event, Updated) and event.idle:
            self._phase = _Phase.IDLE
            self._allow(self._patience.idle)
        elif isinstance(event, Updated):
            self._phase = _Phase.REQUEST
            self._body_bytes, self._body_waited = 0, 0.0
            self._allow(None)
            self._asked()

    async def _write(self, data: bytes) -> None:
        async with self._sending:
            try:
                self._writer.write(data)
                transport = self._writer.transport
                if not transport.is_closing() and transport.get_write_buffer_size() == 0:
                    # The usual case, without a timer: the system has taken all of it.
                    return
                async with asyncio.timeout(self._patience.answer):
                    await self._writer.drain()
            except (ConnectionError, RuntimeError, TimeoutError):
                self._abort()
                await self._protocol.handle(Closed())

    def _end(self) -> None:
        """Close; first read what is still coming, or the answer would be lost with it at the other side."""
        if self._phase is _Phase.LINGER or self._limit is None or not self._protocol.is_cut_short:
            self._writer.close()
            return
        self._phase = _Phase.LINGER
        self._allow(self._patience.linger)
        with contextlib.suppress(OSError, RuntimeError):
            if self._writer.can_write_eof():
                self._writer.write_eof()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS if self._nothing_to_say else self._patience.close):
                self._writer.close()
                await self._writer.wait_closed()
        except (OSError, TimeoutError, RuntimeError):
            pass
        finally:
            self._abort()

    def _abort(self) -> None:
        # Of a TLS connection that is closed already, early releases of Python 3.11 cannot be told to give it up.
        with contextlib.suppress(AttributeError):
            self._writer.transport.abort()


class _Http11(H11Protocol):
    """HTTP/1.1 and nothing else: an upgrade to HTTP/2 is not taken up, and one begun without asking is refused."""

    connection: h11.Connection
    _head = b""
    """Of an answer that says how long it is. It leaves with the first of its body: a small one is one packet."""

    @property
    def expects_body(self) -> bool:
        return self.connection.their_state is h11.SEND_BODY

    @property
    def is_cut_short(self) -> bool:
        """The other side has not sent all of its request, or nonsense whose end is not known."""
        return self.connection.their_state in (h11.SEND_BODY, h11.ERROR)

    @property
    def holds_more(self) -> bool:
        """Part of a next request has arrived."""
        return bool(self.connection.trailing_data[0])

    def discard(self, data: bytes) -> bool:
        """Take no notice of what arrives; True when that was the request's end."""
        if self.connection.their_state is not h11.SEND_BODY:
            return False
        try:
            self.connection.receive_data(data)
            while (event := self.connection.next_event()) is not h11.NEED_DATA:
                if not isinstance(event, h11.Data):
                    return True
        except h11.RemoteProtocolError:
            return True
        return False

    async def _check_protocol(self, event: h11.Request) -> None:
        """Hypercorn would change to HTTP/2 here."""

    async def _send_h11_event(self, event: Any) -> None:
        if isinstance(event, h11.Response) and self.expects_body:
            # It is answered before all of it is here: the connection ends after that, and the other side has to know.
            event = h11.Response(status_code=event.status_code, headers=[*event.headers, (b"connection", b"close")])
        try:
            data = self._head + self.connection.send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        self._head = b""
        if isinstance(event, h11.Response) and any(name == b"content-length" for name, _ in event.headers):
            self._head = data
        elif data:
            await self.send(RawData(data=data))

    async def _create_stream(self, request: h11.Request) -> None:
        if request.http_version in (b"1.0", b"1.1"):
            await super()._create_stream(request)
            return
        await self._send_error_response(505)
        await self.send(Closed())


def _config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.h11_max_incomplete_size = HEAD_BYTES
    config.keep_alive_max_requests = 1_000_000
    return config


def _facts(writer: asyncio.StreamWriter) -> Connection:
    connection: socket.socket = writer.get_extra_info("socket")
    if connection.family == socket.AF_UNIX:
        with contextlib.suppress(OSError):
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            pid, uid, gid = struct.unpack("3i", raw)
            return Connection(uid=uid, gid=gid, pid=pid)
        return Connection()
    peer = writer.get_extra_info("peername") or ("",)
    secure: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    if secure is None:
        return Connection(remote=peer[0])
    shown = secure.getpeercert(binary_form=True)
    return Connection(remote=peer[0], tls=True, certificate=certificate_fingerprint(shown) if shown else "")


class Door:
    """ASGI middleware in front of every application: what none of them is to see.

    A request with both `Content-Length` and `Transfer-Encoding` has two readings, and a proxy in front of the node may
    take the other one (request smuggling). Websockets are not served. `prefix` is taken off paths that begin with it:
    a gateway may pass it on or not.
    """

    def __init__(self, inner: Callable[..., Awaitable[None]], prefix: str = "") -> None:
        self._inner = inner
        self._prefix = prefix
        self._raw_prefix = prefix.encode("ascii")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
            return
        if scope["type"] == "http":
            headers = scope["headers"]
            if len(headers) > HEADERS or sum(len(name) + len(value) for name, value in headers) > HEAD_BYTES:
                await _refuse(send, 431, f"a request has at most {HEADERS} headers of {HEAD_BYTES} bytes together")
                return
            if {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}:
                await _refuse(send, 400, "the request states its length in two ways")
                return
            if self._prefix and scope["path"].startswith(f"{self._prefix}/"):
                scope = {**scope, "path": scope["path"][len(self._prefix) :], "raw_path": self._without(scope)}
        await self._inner(scope, receive, send)

    def _without(self, scope: Any) -> bytes:
        raw: bytes = scope.get("raw_path") or b""
        return raw.removeprefix(self._raw_prefix)


async def _refuse(send: Any, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
