"""Messages in parts: put together in order, once, with room for a few parts only."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from tests.integration.channel.conftest import SESSION, NodeProcess
from tests.integration.channel.test_channel_http import black_box, deployed, pop, push

from embedded_scheduler.engine import assembly
from embedded_scheduler.engine.assembly import Assemblies, Key
from embedded_scheduler.engine.channel_ports import BufferFull
from embedded_scheduler.errors import NotFound, TooLarge, Unavailable
from embedded_scheduler.wire.ptp import PART_BYTES, Code

KEY = Key("alice", "session", "message")


class Sink:
    """A store that reads when it is told to."""

    def __init__(self, *, paused: bool = False, failing: Exception | None = None) -> None:
        self.got: list[bytes] = []
        self.calls = 0
        self.ended = False
        self.go = asyncio.Event()
        self.failing = failing
        if not paused:
            self.go.set()

    async def __call__(self, stream: AsyncIterator[bytes]) -> None:
        self.calls += 1
        await self.go.wait()
        async for chunk in stream:
            self.got.append(chunk)
            if self.failing is not None:
                raise self.failing
        self.ended = True


@asynccontextmanager
async def running() -> AsyncIterator[Assemblies]:
    service = Assemblies()
    task = asyncio.ensure_future(service.run())
    try:
        yield service
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_parts_become_one_message_and_repeats_are_acknowledged() -> None:
    sink = Sink()
    async with running() as service:
        for index, part in enumerate((b"a", b"b", b"c")):
            for _ in range(2):
                await service.take(KEY, index, part, last=index == 2, wait=5, store=sink)
    assert (b"".join(sink.got), sink.calls, sink.ended) == (b"abc", 1, True)


async def test_a_part_whose_beginning_is_not_here_is_refused() -> None:
    sink = Sink()
    async with running() as service:
        with pytest.raises(NotFound):
            await service.take(KEY, 1, b"b", last=False, wait=5, store=sink)
        await service.take(KEY, 0, b"a", last=False, wait=5, store=sink)
        with pytest.raises(NotFound):
            await service.take(KEY, 2, b"c", last=True, wait=5, store=sink)
    assert not sink.ended


async def test_a_sender_waits_when_nothing_moves_on_and_goes_on_later() -> None:
    sink = Sink(paused=True)
    async with running() as service:
        for index in range(assembly.PARTS_WAITING):
            await service.take(KEY, index, b"x", last=False, wait=5, store=sink)
        with pytest.raises(BufferFull):
            await service.take(KEY, assembly.PARTS_WAITING, b"y", last=True, wait=0.01, store=sink)
        sink.go.set()
        await service.take(KEY, assembly.PARTS_WAITING, b"y", last=True, wait=5, store=sink)
    assert b"".join(sink.got) == b"x" * assembly.PARTS_WAITING + b"y"


async def test_what_the_store_refuses_reaches_the_sender_and_a_new_start_is_possible() -> None:
    refusing, taking = Sink(failing=TooLarge("too large")), Sink()
    async with running() as service:
        await service.take(KEY, 0, b"a", last=False, wait=5, store=refusing)
        with pytest.raises(TooLarge):
            await service.take(KEY, 1, b"b", last=True, wait=5, store=refusing)
        await service.take(KEY, 0, b"a", last=True, wait=5, store=taking)
    assert (taking.got, taking.ended) == ([b"a"], True)


async def test_an_abandoned_message_is_not_stored() -> None:
    sink = Sink()
    async with running() as service:
        await service.take(KEY, 0, b"a", last=False, wait=5, store=sink)
        await service.abandon(KEY)
        with pytest.raises(Unavailable):
            await service.take(KEY, 1, b"b", last=True, wait=5, store=sink)
    assert not sink.ended


async def test_one_sender_cannot_begin_without_end() -> None:
    sink = Sink()
    async with running() as service:
        for number in range(assembly.AT_ONCE_PER_SENDER):
            await service.take(Key("alice", "s", str(number)), 0, b"a", last=False, wait=5, store=sink)
        with pytest.raises(BufferFull):
            await service.take(Key("alice", "s", "one more"), 0, b"a", last=False, wait=5, store=sink)
        await service.take(Key("bob", "s", "his first"), 0, b"a", last=True, wait=5, store=sink)


async def test_no_request_between_nodes_has_a_large_body(lasting_nodes: tuple[NodeProcess, NodeProcess]) -> None:
    """The partner is reached through something that lets no more than 1 MiB of a body through."""
    alice, bob = lasting_nodes
    payload = bytes(range(256)) * (3 * PART_BYTES // 256)
    async with narrow(bob.partner_port) as (port, sizes), httpx.AsyncClient() as client:
        direct = alice.config["peers"]["bob"]
        alice.config["peers"]["bob"] = f"http://127.0.0.1:{port}"
        alice.write_config()
        try:
            assert (await push(client, alice, "bob", payload)).code == Code.OK
        finally:
            alice.config["peers"]["bob"] = direct
            alice.write_config()
        assert (await pop(client, bob, "alice")).payload == payload
    assert len(sizes) == 3
    assert max(sizes) <= PART_BYTES


async def test_a_part_with_a_wrong_number_is_a_bad_request(lasting_nodes: tuple[NodeProcess, NodeProcess]) -> None:
    _, bob = lasting_nodes
    headers = black_box("bob") | {
        "x-ptp-source-node-id": "alice",
        "x-ptp-session-id": SESSION,
        "x-ptp-message": "m",
        "x-ptp-part": "-1",
    }
    async with httpx.AsyncClient() as client:
        answer = deployed(await client.post(bob.invoke_url(), headers=headers, content=b"x"))
    assert answer.code == Code.BAD_REQUEST


@asynccontextmanager
async def narrow(port: int) -> AsyncIterator[tuple[int, list[int]]]:
    """A reverse proxy that answers 413 to bodies of more than 1 MiB; yields its port and the sizes it let through."""
    sizes: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if b": " in line)
                size = int(fields[b"content-length"])
                if size > 1024 * 1024:
                    writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    return
                sizes.append(size)
                back.write(head + await reader.readexactly(size))
                answer = await there.readuntil(b"\r\n\r\n")
                (length,) = re.findall(rb"content-length: (\d+)", answer.lower())
                writer.write(answer + await there.readexactly(int(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            back.close()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], sizes
    finally:
        server.close()
