"""Kept connections to partners, against servers that behave in every way one can."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from embedded_scheduler.peers.lines import Lines

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def served(talk: Talk, *, idle_seconds: float = 30.0, keepalive: int = 4) -> AsyncIterator[tuple[Lines, str]]:
    """A transport and the address of a server at which `talk` has every connection."""
    talks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    lines = Lines(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), keepalive=keepalive, idle_seconds=idle_seconds)
    try:
        yield lines, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    finally:
        await lines.aclose()
        server.close()
        await server.wait_closed()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def asked(lines: Lines, url: str, body: bytes | AsyncIterator[bytes] = b"", **limits: float) -> bytes:
    response = await lines.handle_async_request(
        httpx.Request("POST", url, content=body, extensions={"timeout": limits})
    )
    try:
        return b"".join([chunk async for chunk in response.stream])
    finally:
        await response.aclose()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" not in head:
        return await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


class Counting:
    """Answers every request, and counts connections; what it says may be more than an answer."""

    def __init__(self, answer: bytes = OK, *, each: int = 1_000_000) -> None:
        self.connections = 0
        self.ended = 0
        self.bodies: list[bytes] = []
        self._answer = answer
        self._each = each

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for _ in range(self._each):
            try:
                self.bodies.append(await read_request(reader))
            except asyncio.IncompleteReadError:
                self.ended += 1
                return
            writer.write(self._answer)


@pytest.mark.parametrize("size", [0, 10, 70_000, 3_000_000])
async def test_one_connection_carries_request_after_request(size: int) -> None:
    server = Counting()
    async with served(server) as (lines, url):
        for _ in range(3):
            assert await asked(lines, url, bytes(size)) == b"ok"
    assert (server.connections, [len(body) for body in server.bodies]) == (1, [size] * 3)


async def test_a_body_of_unknown_length_goes_out_as_it_comes() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(40):
            yield bytes([number]) * 50_000

    server = Counting()
    async with served(server) as (lines, url):
        assert await asked(lines, url, chunks()) == b"ok"
        assert await asked(lines, url, b"next") == b"ok"
    assert server.connections == 1
    assert server.bodies == [b"".join(bytes([number]) * 50_000 for number in range(40)), b"next"]


async def test_a_fault_of_the_body_comes_through_and_ends_the_connection() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"begun"
        raise LookupError("the component hung up")

    server = Counting()
    async with served(server) as (lines, url):
        with pytest.raises(LookupError):
            await asked(lines, url, broken())
        assert await asked(lines, url) == b"ok"
    assert server.connections == 2


async def test_as_many_connections_as_requests_and_no_more_kept_than_allowed() -> None:
    server = Counting()
    async with served(server, keepalive=2) as (lines, url):
        assert await asyncio.gather(*(asked(lines, url) for _ in range(6))) == [b"ok"] * 6
        opened = server.connections
        async with asyncio.timeout(10):
            while server.ended < opened - 2:
                await asyncio.sleep(0.01)
        assert await asyncio.gather(*(asked(lines, url) for _ in range(2))) == [b"ok"] * 2
    assert (opened, server.connections) == (6, 6)


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    server = Counting()
    async with served(server, idle_seconds=0.05) as (lines, url):
        await asked(lines, url)
        async with asyncio.timeout(10):
            while not server.ended:
                await asyncio.sleep(0.01)
        assert await asked(lines, url) == b"ok"
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer", [OK + b"more", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"]
)
async def test_a_connection_is_not_used_again_after(answer: bytes) -> None:
    server = Counting(answer)
    async with served(server) as (lines, url):
        for _ in range(2):
            assert await asked(lines, url) == b"ok"
    assert server.connections == 2


async def test_an_answer_that_was_not_read_ends_its_connection() -> None:
    server = Counting(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000))
    async with served(server) as (lines, url):
        response = await lines.handle_async_request(httpx.Request("POST", url))
        await response.aclose()
        assert len(await asked(lines, url)) == 1_000_000
    assert server.connections == 2


async def test_a_kept_connection_that_the_server_closed_is_replaced() -> None:
    server = Counting(each=1)
    async with served(server) as (lines, url):
        assert await asked(lines, url) == b"ok"
        async with asyncio.timeout(10):
            while any(lines._kept.values()):
                await asyncio.sleep(0.01)
        assert await asked(lines, url) == b"ok"
    assert server.connections == 2


async def test_a_refusal_in_the_middle_of_a_body_is_read() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge")
        while await reader.read(65536):
            pass

    async with served(talk) as (lines, url):
        assert await asked(lines, url, bytes(8_000_000)) == b"large"


async def test_a_large_answer_waits_in_the_server_until_it_is_read() -> None:
    sent = 0
    done = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 64000000\r\n\r\n")
        for _ in range(64):
            writer.write(bytes(1_000_000))
            await writer.drain()
            sent += 1
        done.set()

    async with served(talk) as (lines, url):
        response = await lines.handle_async_request(httpx.Request("POST", url))
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 32, "most of it was taken in although nobody read it"
        assert sum([len(chunk) async for chunk in response.stream]) == 64_000_000
        await response.aclose()
        await done.wait()


FAULTS = [
    pytest.param(b"", httpx.RemoteProtocolError, "closed", id="nothing"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", httpx.RemoteProtocolError, "closed", id="half"),
    pytest.param(b"SSH-2.0-server\r\n\r\n", httpx.RemoteProtocolError, "illegal status line", id="another protocol"),
]


@pytest.mark.parametrize(("said", "fault", "words"), FAULTS)
async def test_what_is_no_answer_is_a_fault_of_the_library(said: bytes, fault: type[Exception], words: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(said)

    async with served(talk) as (lines, url):
        with pytest.raises(fault, match=words):
            await asked(lines, url)


async def test_times_are_kept() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(600)

    async with served(silent) as (lines, url):
        with pytest.raises(httpx.ReadTimeout):
            await asked(lines, url, read=0.05)
        with pytest.raises(httpx.WriteTimeout):
            await asked(lines, url, bytes(50_000_000), write=0.05)


async def test_nobody_listens() -> None:
    async with served(Counting()) as (lines, _):
        with pytest.raises(httpx.ConnectError, match="Connection refused"):
            await asked(lines, "http://127.0.0.1:1/")
