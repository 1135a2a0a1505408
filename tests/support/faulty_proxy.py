"""A real HTTP/1.1 proxy in front of one node, which loses, repeats and delays what partners send it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import h11

_LARGEST_READ = 64 * 1024
_UPSTREAM_PATIENCE = 60.0


class Fault(StrEnum):
    """What happens to one request."""

    NONE = "none"
    LOSE_REQUEST = "lose request"
    """The caller's connection breaks; the node never sees the request."""
    LOSE_RESPONSE = "lose response"
    """The node acts and answers; the caller's connection breaks instead."""
    DUPLICATE = "duplicate"
    """The node gets the request twice; the caller gets the second answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in. `target` is path and query."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Treatment:
    """`delay` is seconds before the request is passed on."""

    fault: Fault = Fault.NONE
    delay: float = 0.0


Rule = Callable[[Request], Treatment]


def fair_weather(_request: Request) -> Treatment:
    """Everything arrives, once and at once."""
    return Treatment()


class Weather:
    """A rule that draws faults from a seeded source; the three chances add up to at most 1."""

    def __init__(
        self,
        seed: int,
        *,
        lose_request: float = 0.0,
        lose_response: float = 0.0,
        duplicate: float = 0.0,
        longest_delay: float = 0.0,
    ) -> None:
        self._random = random.Random(seed)
        chances = {Fault.LOSE_REQUEST: lose_request, Fault.LOSE_RESPONSE: lose_response, Fault.DUPLICATE: duplicate}
        self._chances = chances | {Fault.NONE: 1.0 - sum(chances.values())}
        self._longest_delay = longest_delay

    def __call__(self, _request: Request) -> Treatment:
        fault = self._random.choices(list(self._chances), list(self._chances.values()))[0]
        return Treatment(fault, self._random.uniform(0.0, self._longest_delay))


class FaultyProxy:
    """Listens on a free loopback port and forwards to `upstream` (`host:port`) as `rule` says.

    An async context manager. `partitioned` may be set at any time: connections break and new ones are closed at once.
    `treated` counts what was done to how many requests. Bodies are held in memory.
    """

    def __init__(self, upstream: str, rule: Rule = fair_weather) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = (host, int(port))
        self.rule = rule
        self.treated: Counter[Fault] = Counter()
        self._partitioned = False
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What the node's partners enter as its address."""
        assert self._server is not None, "the proxy is not started"
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    @property
    def partitioned(self) -> bool:
        return self._partitioned

    @partitioned.setter
    def partitioned(self, cut: bool) -> None:
        self._partitioned = cut
        if cut:
            for handler in self._handlers:
                handler.cancel()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            if not self._partitioned:
                await self._serve(reader, writer)
        except (OSError, h11.ProtocolError, asyncio.CancelledError, TimeoutError):
            # The caller sees no more than a broken connection. Only close and partition cancel.
            writer.transport.abort()
        finally:
            self._handlers.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_READ)
        while (request := await _next_request(connection, reader)) is not None:
            answer = await self._treat(request)
            if answer is None:
                writer.transport.abort()
                return
            for event in answer:
                writer.write(connection.send(event) or b"")
            await writer.drain()
            if connection.our_state is not h11.DONE:
                return
            connection.start_next_cycle()

    async def _treat(self, request: Request) -> list[h11.Event] | None:
        """The answer to pass on, or None when the caller's connection is to break."""
        treatment = self.rule(request)
        self.treated[treatment.fault] += 1
        if treatment.delay:
            await asyncio.sleep(treatment.delay)
        if treatment.fault is Fault.LOSE_REQUEST:
            return None
        if treatment.fault is Fault.DUPLICATE:
            await self._forward(request)
        answer = await self._forward(request)
        return None if treatment.fault is Fault.LOSE_RESPONSE else answer

    async def _forward(self, request: Request) -> list[h11.Event]:
        """One request on a connection of its own; raises `OSError` when the node is not there."""
        async with asyncio.timeout(_UPSTREAM_PATIENCE):
            reader, writer = await asyncio.open_connection(*self._upstream)
            try:
                return await _exchange(request, reader, writer)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()


_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"expect"})


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]


async def _next_event(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Event:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(_LARGEST_READ))
    assert not isinstance(event, type)
    return event


async def _next_request(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    """The next whole request, or None when the caller has hung up."""
    head = await _next_event(connection, reader)
    if not isinstance(head, h11.Request):
        return None
    body = bytearray()
    while isinstance(event := await _next_event(connection, reader), h11.Data):
        body += event.data
    return Request(head.method.decode(), head.target.decode(), tuple(head.headers), bytes(body))


async def _exchange(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[h11.Event]:
    connection = h11.Connection(h11.CLIENT)
    headers = _end_to_end(request.headers)
    headers += [(b"content-length", str(len(request.body)).encode()), (b"connection", b"close")]
    outgoing: list[h11.Event] = [h11.Request(method=request.method, target=request.target, headers=headers)]
    if request.body:
        outgoing.append(h11.Data(data=request.body))
    for event in (*outgoing, h11.EndOfMessage()):
        writer.write(connection.send(event) or b"")
    await writer.drain()
    head = await _next_event(connection, reader)
    while isinstance(head, h11.InformationalResponse):
        head = await _next_event(connection, reader)
    if not isinstance(head, h11.Response):
        raise ConnectionResetError("the node hung up instead of answering")
    body = bytearray()
    while isinstance(event := await _next_event(connection, reader), h11.Data):
        body += event.data
    length = (b"content-length", str(len(body)).encode())
    answer: list[h11.Event] = [
        h11.Response(status_code=head.status_code, headers=[*_end_to_end(head.headers), length]),
        h11.Data(data=bytes(body)),
        h11.EndOfMessage(),
    ]
    return answer
