"""A load generator that costs little itself: ready-made requests over keep-alive connections of plain asyncio."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """`latencies` in seconds, one per request."""

    seconds: float
    latencies: tuple[float, ...]

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def p50(self) -> float:
        return _quantile(self.latencies, 0.50)

    @property
    def p99(self) -> float:
        return _quantile(self.latencies, 0.99)


def _quantile(values: tuple[float, ...], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def request(method: str, address: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def generate(
    address: str, *messages: bytes, connections: int, seconds: float, tls: ssl.SSLContext | None = None
) -> Load:
    """Send the messages in turn, again and again, over all connections. An answer that is no success ends it."""
    latencies: list[float] = []
    turn = itertools.cycle(messages)
    began = time.perf_counter()
    until = began + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_one_connection(address, turn, until, latencies, tls))
    return Load(time.perf_counter() - began, tuple(latencies))


async def _one_connection(
    address: str, turn: Iterator[bytes], until: float, latencies: list[float], tls: ssl.SSLContext | None
) -> None:
    async with connection(address, tls) as (reader, writer):
        while (sent := time.perf_counter()) < until:
            writer.write(next(turn))
            _check(await answer_to(reader))
            latencies.append(time.perf_counter() - sent)


@asynccontextmanager
async def connection(
    address: str, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to `HOST:PORT`, closed on the way out."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=tls)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


def _check(body: bytes) -> None:
    """A node says with HTTP 200 what went wrong, too."""
    if body.startswith(b'{"code":') and not body.startswith((b'{"code":200,', b'{"code": 200,')):
        raise RuntimeError(f"the server answered {body[:200]!r}")


async def answer_to(reader: asyncio.StreamReader) -> bytes:
    """The body of the next answer. `RuntimeError` unless its status is 200."""
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server answered {head.splitlines()[0].decode('latin-1')}")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return await reader.readexactly(int(value))
    raise RuntimeError("the answer has no Content-Length")
