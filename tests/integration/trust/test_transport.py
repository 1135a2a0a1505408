"""What the HTTP library leaves undone with TLS, done by our transport."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from embedded_scheduler.transport import Transport

pytestmark = pytest.mark.parametrize("by_proxy", [False, True], ids=["direct", "by a proxy"])


class Silent:
    """Listens, never says a word about TLS, and counts the connections that the caller holds open. As a proxy it says
    that it is connected."""

    def __init__(self) -> None:
        self.port = 0
        self.open = 0
        self.asked = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            if (await reader.readexactly(7)) == b"CONNECT":
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 connected\r\n\r\n")
                await reader.readexactly(7)
            self.asked.set()
            await reader.read()
        finally:
            self.open -= 1
            writer.close()
            await writer.wait_closed()

    async def is_left(self) -> None:
        """Nobody holds a connection to it open any more; fails the test when somebody goes on."""
        async with asyncio.timeout(5):
            while self.open:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def silent() -> AsyncIterator[Silent]:
    listening = Silent()
    async with await asyncio.start_server(listening.serve, "127.0.0.1", 0) as server:
        listening.port = server.sockets[0].getsockname()[1]
        yield listening
        await listening.is_left()


def _client(listening: Silent, *, by_proxy: bool) -> httpx.AsyncClient:
    proxy = f"http://127.0.0.1:{listening.port}" if by_proxy else None
    transport = Transport(verify=ssl.create_default_context(), proxy=proxy, trust_env=False)
    return httpx.AsyncClient(transport=transport, trust_env=False, timeout=None)


async def test_a_handshake_that_takes_too_long_leaves_no_connection(by_proxy: bool) -> None:
    async with silent() as listening, _client(listening, by_proxy=by_proxy) as client:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.get(f"https://127.0.0.1:{listening.port}/")
        await listening.is_left()


async def test_a_call_that_is_cancelled_in_its_handshake_leaves_no_connection(by_proxy: bool) -> None:
    async with silent() as listening, _client(listening, by_proxy=by_proxy) as client:
        call = asyncio.ensure_future(client.get(f"https://127.0.0.1:{listening.port}/"))
        await listening.asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await listening.is_left()
