"""A client that is closed while calls are under way: each is ended and told so, and no connection is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from nodeconsole.client import ClientClosed, NodeClient

_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: heartbeat\n\n"


class _Silent:
    """A node that begins a stream, and otherwise never answers. It counts who is connected."""

    def __init__(self) -> None:
        self.came = 0
        self.open = 0
        self.news = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._count(1)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/stream" in head:
                writer.write(_STREAM)
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            await self._count(-1)

    async def _count(self, change: int) -> None:
        async with self.news:
            self.came += max(0, change)
            self.open += change
            self.news.notify_all()

    async def until_open(self, number: int) -> None:
        async with self.news, asyncio.timeout(10):
            await self.news.wait_for(lambda: self.open == number)


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[_Silent, Path]]:
    with TemporaryDirectory(prefix="nc") as directory:
        path, node = Path(directory) / "node.sock", _Silent()
        server = await asyncio.start_unix_server(node.serve, path)
        try:
            yield node, path
        finally:
            server.close()
            await server.wait_closed()


async def test_a_closed_client_refuses_calls_and_connects_no_more() -> None:
    async with silent() as (node, path):
        async with NodeClient(path) as client:
            pass
        for _ in range(2):
            with pytest.raises(ClientClosed, match="closed by this program"):
                await client.status()
            with pytest.raises(ClientClosed):
                await anext(client.events())
            await client.close()
        with pytest.raises(ClientClosed):
            await client.__aenter__()
        assert node.came == 0


async def test_calls_and_streams_under_way_are_told_and_their_connections_closed() -> None:
    async with silent() as (node, path):
        client = NodeClient(path)

        async def hear() -> None:
            async for _ in client.events():
                pass

        callers = [asyncio.ensure_future(client.status()) for _ in range(3)]
        callers += [asyncio.ensure_future(hear()) for _ in range(3)]
        await node.until_open(6)
        await client.close()
        told = await asyncio.gather(*callers, return_exceptions=True)
        assert {type(answer) for answer in told} == {ClientClosed}
        await node.until_open(0)


@pytest.mark.parametrize("steps", range(12))
async def test_closing_meets_a_call_at_every_step_of_its_beginning(steps: int) -> None:
    async with silent() as (node, path):
        client = NodeClient(path)
        callers = [asyncio.ensure_future(client.status()) for _ in range(3)]
        for _ in range(steps):
            await asyncio.sleep(0)
        await client.close()
        told = await asyncio.gather(*callers, return_exceptions=True)
        assert {type(answer) for answer in told} == {ClientClosed}
        await node.until_open(0)


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_whoever_leaves_may_be_cancelled_again_and_again(times: int) -> None:
    """The app cancels the worker that hears a node when another is chosen, and once more at its own end."""
    async with silent() as (node, path):
        inside = asyncio.Event()

        async def look() -> None:
            async with NodeClient(path) as client:
                other = asyncio.ensure_future(client.status())
                inside.set()
                try:
                    await client.doctor()
                finally:
                    other.add_done_callback(lambda task: task.exception())

        looker = asyncio.ensure_future(look())
        await inside.wait()
        await node.until_open(2)
        for _ in range(times):
            looker.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await looker
        await node.until_open(0)
