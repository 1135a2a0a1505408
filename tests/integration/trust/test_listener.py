"""The listener under callers who hold connections, speak slowly, or speak something else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from quart import Quart, request
from tests.support.hosted import hosted

from embedded_scheduler.admittance import Pace
from embedded_scheduler.listener import HEADERS, Listener, Patience

MIB = 1024 * 1024
QUICK = Patience(handshake=0.5, head=0.3, idle=0.6, body=0.3, body_rate=1000.0, answer=0.3, linger=1.0, close=0.5)


@dataclass(frozen=True)
class Served:
    port: int

    async def open(self, source: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))

    async def say(self, text: bytes, source: str = "127.0.0.1") -> bytes:
        """What is answered until the listener closes."""
        reader, writer = await self.open(source)
        try:
            writer.write(text)
            return await asyncio.wait_for(reader.read(-1), 5)
        finally:
            writer.close()


def application() -> Quart:
    app = Quart("small")
    app.config["MAX_CONTENT_LENGTH"] = None

    @app.get("/v1/hello")
    async def hello() -> str:
        return "hello"

    @app.post("/v1/take")
    async def take() -> str:
        return str(len(await request.body))

    @app.post("/v1/refuse")
    async def refuse() -> tuple[str, int]:
        return "not you", 403

    @app.get("/v1/much")
    async def much() -> bytes:
        return bytes(64 * MIB)

    return app


@asynccontextmanager
async def served(
    *,
    patience: Patience = QUICK,
    prefix: str = "",
    most: int | None = None,
    most_each: int | None = None,
    per_second: float | None = None,
) -> AsyncIterator[Served]:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(512)
    bound.settimeout(0)
    listener = Listener(
        application(),
        bound,
        prefix=prefix,
        most=most,
        most_each=most_each,
        per_second=per_second,
        patience=patience,
    )
    up, drain = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(listener.serve(up, drain))
        await up.wait()
        port = bound.getsockname()[1]
        try:
            yield Served(port)
        finally:
            drain.set()


HELLO = b"GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n"
LAST_HELLO = b"GET /v1/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def closed_after(reader: asyncio.StreamReader) -> float:
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(-1), 5)
    return time.monotonic() - began


async def test_one_address_cannot_take_the_connections_of_another() -> None:
    async with served(patience=Patience(), most=400, most_each=50) as node:
        held = [await node.open() for _ in range(300)]
        for number, (_, writer) in enumerate(held):
            with contextlib.suppress(ConnectionError):
                writer.write(b"GET /v1/hello HTTP/1.1\r\nHost:"[: 4 + number % 20])
        times = []
        for _ in range(20):
            began = time.monotonic()
            assert (await node.say(LAST_HELLO, "127.0.0.2")).endswith(b"hello")
            times.append(time.monotonic() - began)
        assert sorted(times)[10] < 0.2
        ended = 0
        for reader, _ in held:
            with contextlib.suppress(TimeoutError, ConnectionError):
                assert await asyncio.wait_for(reader.read(1), 0.001) == b""
                ended += 1
        assert ended >= 250 - 5, "beyond 50 they were closed at once"
        assert await node.say(LAST_HELLO) == b"", "this address has no place left"
        for _, writer in held:
            writer.close()


async def test_new_connections_of_one_address_get_their_turn_at_a_steady_pace() -> None:
    def pieces(turns: list[float | None]) -> list[float | None]:
        return [None if turn is None else round(turn, 3) for turn in turns]

    pace = Pace(10)
    assert [pace.wait("a", 100.0) for _ in range(20)] == [0.0] * 20, "the burst"
    assert pieces([pace.wait("a", 100.0) for _ in range(3)]) == [0.1, 0.2, 0.3]
    assert pace.wait("b", 100.0) == 0.0, "another address has a pace of its own"
    assert pieces([pace.wait("a", 100.0) for _ in range(18)])[-2:] == [2.0, None]
    assert pieces([pace.wait("a", 100.1) for _ in range(2)]) == [2.0, None], "who was closed has taken no turn"
    assert pace.wait("a", 200.0) == 0.0


async def test_connections_whose_turn_is_far_off_are_closed_and_others_wait() -> None:
    # After its burst of two an address has one turn in 0.9 seconds: the third waits for 0.7, the fourth for 1.6.
    async with served(per_second=1 / 0.9) as node:
        hello = b"GET /v1/hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        begun = time.monotonic()
        said = await asyncio.gather(*(node.say(hello) for _ in range(12)), return_exceptions=True)
        taken = time.monotonic() - begun
        answered = [text for text in said if isinstance(text, bytes) and text.endswith(b"hello")]
        assert 4 <= len(answered) <= 6
        assert taken > 1.5
        assert (await node.say(hello, "127.0.0.9")).endswith(b"hello")


async def test_a_full_listener_ends_who_never_asked_anything_and_keeps_who_did() -> None:
    async with served(patience=Patience(), most=10) as node:
        asking, asking_writer = await node.open()
        asking_writer.write(HELLO)
        assert b"hello" in await asking.readuntil(b"hello")
        silent = [await node.open() for _ in range(9)]
        assert (await node.say(LAST_HELLO)).endswith(b"hello")
        assert await asyncio.wait_for(silent[0][0].read(1), 2) == b"", "the oldest silent one gave way"
        asking_writer.write(HELLO)
        assert b"hello" in await asyncio.wait_for(asking.readuntil(b"hello"), 2)
        for _, writer in [*silent, (asking, asking_writer)]:
            writer.close()


@pytest.mark.parametrize("said", [b"", b"GET /v1/hello HTT", b"GET /v1/hello HTTP/1.1\r\nx-a: 1\r\n"])
async def test_a_head_that_does_not_come_ends_the_connection(said: bytes) -> None:
    async with served() as node:
        reader, writer = await node.open()
        writer.write(said)
        assert 0.2 < await closed_after(reader) < 2
        writer.close()


async def test_a_head_sent_letter_by_letter_gets_no_more_time() -> None:
    async with served() as node:
        reader, writer = await node.open()
        writer.write(HELLO)
        await reader.readuntil(b"hello")
        began = time.monotonic()

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                for letter in b"GET /v1/hello HTTP/1.1\r\n" * 20:
                    writer.write(bytes([letter]))
                    await writer.drain()
                    await asyncio.sleep(0.02)

        dripping = asyncio.ensure_future(drip())
        await closed_after(reader)
        assert time.monotonic() - began < 2
        await dripping
        writer.close()


async def test_an_idle_connection_is_kept_for_a_while_and_then_closed() -> None:
    async with served() as node:
        reader, writer = await node.open()
        for _ in range(2):
            writer.write(HELLO)
            await reader.readuntil(b"hello")
            await asyncio.sleep(0.4)  # longer than a head may take, shorter than idle
        assert await closed_after(reader) < 2
        writer.close()


async def test_a_body_that_trickles_is_given_up_and_a_slow_one_is_not() -> None:
    async with served() as node:
        reader, writer = await node.open()
        writer.write(b"POST /v1/take HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
        assert await closed_after(reader) < 2
        writer.close()
        reader, writer = await node.open()
        writer.write(b"POST /v1/take HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5000\r\n\r\n")
        for _ in range(5):
            writer.write(bytes(1000))
            await asyncio.sleep(0.15)  # 0.75 s together: longer than the grace, faster than the rate
        assert (await asyncio.wait_for(reader.read(-1), 3)).endswith(b"5000")
        writer.close()


async def test_an_answer_that_nobody_takes_is_given_up() -> None:
    async with served() as node:
        reader, writer = await node.open()
        writer.write(b"GET /v1/much HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readexactly(100)
        transport = writer.transport
        transport.pause_reading()
        await asyncio.sleep(1.2)
        transport.resume_reading()
        left = 0
        with contextlib.suppress(ConnectionError):
            while piece := await asyncio.wait_for(reader.read(MIB), 3):
                left += len(piece)
        assert left < 60 * MIB, "it was broken off"
        writer.close()


@pytest.mark.parametrize("size", [3, 200_000, 8 * MIB])
async def test_who_is_refused_while_sending_gets_to_read_why(size: int) -> None:
    async with served(patience=Patience(linger=3)) as node:
        head = b"POST /v1/refuse HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
        reader, writer = await node.open()
        writer.write(head + bytes(size))
        await asyncio.wait_for(writer.drain(), 5)
        answer = await asyncio.wait_for(reader.readuntil(b"not you"), 5)
        assert answer.startswith(b"HTTP/1.1 403")
        writer.close()


async def test_http_2_without_tls_is_not_spoken() -> None:
    async with served() as node:
        prior = await node.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        assert prior.startswith(b"HTTP/1.1 505")
        upgrade = LAST_HELLO.replace(b"close", b"close, Upgrade, HTTP2-Settings").replace(
            b"Host: x", b"Host: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"
        )
        answer = await node.say(upgrade)
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"hello")


async def test_heads_are_bounded_in_size_and_number() -> None:
    async with served() as node:
        fitting = b"".join(b"x-%d: 1\r\n" % n for n in range(HEADERS - 2))
        assert (await node.say(LAST_HELLO[:-2] + fitting + b"\r\n")).startswith(b"HTTP/1.1 200")
        many = fitting + b"x-more: 1\r\n"
        assert (await node.say(LAST_HELLO[:-2] + many + b"\r\n")).startswith(b"HTTP/1.1 431")
        large = b"x-a: " + b"a" * 40_000 + b"\r\n"
        assert (await node.say(LAST_HELLO[:-2] + large + b"\r\n")).startswith(b"HTTP/1.1 431")


async def test_several_requests_sent_at_once_are_answered_in_order() -> None:
    async with served() as node:
        take = b"POST /v1/take HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        answer = await node.say(HELLO + take + HELLO + LAST_HELLO)
        assert answer.count(b"HTTP/1.1 200") == 4
        assert answer.count(b"hello") == 3


async def test_the_prefix_of_a_gateway_may_be_left_on_or_not() -> None:
    async with served(prefix="/pc") as node:
        for path in (b"/v1/hello", b"/pc/v1/hello"):
            assert (await node.say(LAST_HELLO.replace(b"/v1/hello", path))).endswith(b"hello")
        for path in (b"/pcx/v1/hello", b"/pc/pc/v1/hello", b"/x/pc/v1/hello"):
            assert (await node.say(LAST_HELLO.replace(b"/v1/hello", path))).startswith(b"HTTP/1.1 404")


async def test_stopping_ends_idle_connections_at_once() -> None:
    async with served(patience=Patience()) as node:
        reader, writer = await node.open()
        writer.write(HELLO)
        await reader.readuntil(b"hello")
        began = time.monotonic()
    assert time.monotonic() - began < 1
    assert await reader.read(1) == b""
    writer.close()


async def test_an_answer_that_comes_before_the_body_says_that_the_connection_ends(tmp_path: Path) -> None:
    """Otherwise a client keeps the connection for its next request, which then gets no answer."""
    async with hosted(tmp_path) as node:
        host, port = node.running.platform.rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/platform/schedule/job/stop_all HTTP/1.1\r\nhost: n\r\ncontent-length: 2\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"connection: close" in head.lower()
        writer.close()
