"""A whole node in a thread of the test's process: real listeners, real database, real components."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from embedded_scheduler.config import load_settings
from embedded_scheduler.home import Home
from embedded_scheduler.provision import provision
from embedded_scheduler.server import BackgroundNode, Running
from nodeconsole.client import NodeClient


@dataclass(frozen=True, slots=True)
class Hosted:
    home: Home
    running: Running
    background: BackgroundNode

    @property
    def url(self) -> str:
        return f"{'http' if load_settings(self.home).partner.tls == 'off' else 'https'}://{self.running.listen}"

    @property
    def platform_url(self) -> str:
        return f"http://{self.running.platform}"

    def client(self) -> NodeClient:
        return NodeClient(self.home.socket)

    async def platform_token(self, *scopes: str) -> str:
        """A new token of the own platform, for everything unless `scopes` are named."""
        async with self.client() as client:
            made = await client.create_token(f"test-{secrets.token_hex(6)}", scopes or ("all",))
        return made.text

    async def stop(self) -> None:
        """Stop the node before the test's end; again is harmless."""
        await asyncio.to_thread(self.background.stop)


@asynccontextmanager
async def hosted(
    directory: Path, node_id: str = "alice", *, settings: str = "", tls: str = "off"
) -> AsyncIterator[Hosted]:
    """A node on free ports; `settings` is added to its `node.toml`. Stopped in order on the way out."""
    home = Home(directory)
    provision(home, node_id=node_id, listen="127.0.0.1:0", platform="127.0.0.1:0", tls=tls)
    if settings:
        home.settings_file.write_text(home.settings_file.read_text() + "\n" + settings)
    async with started(home) as node:
        yield node


@asynccontextmanager
async def started(home: Home) -> AsyncIterator[Hosted]:
    """The node of a home that exists; stopped on the way out."""
    background = BackgroundNode(home)
    running = await asyncio.to_thread(background.start)
    try:
        yield Hosted(home, running, background)
    finally:
        await asyncio.to_thread(background.stop)
