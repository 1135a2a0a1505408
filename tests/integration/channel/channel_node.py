"""A process that serves both listeners of the channel, for tests: `python channel_node.py CONFIG.json`.

The configuration is read anew for every question of policy, so a test can make a session known while the node runs.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart

from embedded_scheduler.api.authentication import PartnerAuthenticator
from embedded_scheduler.api.interconn import channel as interconn
from embedded_scheduler.api.platform import channel as platform
from embedded_scheduler.clock import RandomMint, SystemClock
from embedded_scheduler.config import Limits
from embedded_scheduler.engine.assembly import Assemblies
from embedded_scheduler.engine.channel import Channel
from embedded_scheduler.peers.channel import HttpForwarder, channel_clients
from embedded_scheduler.peers.clients import Route
from embedded_scheduler.peers.directory import Partner
from embedded_scheduler.peers.exchange import Exchange
from embedded_scheduler.peers.profiles import DEFAULT
from embedded_scheduler.wire.bfia.envelope import AnswerStyle


class FilePolicy:
    def __init__(self, path: Path) -> None:
        self._path = path

    def _read(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self._path.read_text())
        return config

    async def authorise(self, session_id: str, token: str) -> bool:
        return bool(self._read()["tokens"].get(session_id) == token)

    async def session_members(self, session_id: str) -> frozenset[str] | None:
        members = self._read()["members"].get(session_id)
        return None if members is None else frozenset(members)

    def knows_partner(self, node_id: str) -> bool:
        return node_id in self._read()["peers"]

    def answer_style(self, node_id: str) -> AnswerStyle:
        return AnswerStyle()

    def partner(self, node_id: str) -> Partner | None:
        url: str | None = self._read()["peers"].get(node_id)
        return None if url is None else Partner(node_id, url, "auto", DEFAULT)


def listener(port: int) -> Config:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.graceful_timeout = 1
    return config


async def main(path: Path, settings: dict[str, Any]) -> None:
    policy = FilePolicy(path)
    clients = channel_clients(Route())
    channel = Channel(
        root=Path(settings["home"]) / "channel",
        limits=Limits(**settings.get("limits", {})),
        clock=SystemClock(),
        mint=RandomMint(),
        node_id=settings["node_id"],
        policy=policy,
        forwarder=HttpForwarder(clients, policy, Exchange(settings["node_id"], SystemClock(), clients)),
    )
    channel.open()
    partner, own = Quart("partner"), Quart("platform")
    assemblies = Assemblies()
    authenticator = PartnerAuthenticator(settings["node_id"], policy, clock=SystemClock())
    interconn.register(partner, channel, assemblies, authenticator)
    platform.register(own, channel, trust_loopback=settings.get("trust_loopback", False))
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)

    async def stop() -> None:
        await stopping.wait()
        channel.shut_down()
        parts.cancel()

    async with asyncio.TaskGroup() as group:
        parts = group.create_task(assemblies.run())
        group.create_task(serve(partner, listener(settings["partner_port"]), shutdown_trigger=stop))
        group.create_task(serve(own, listener(settings["platform_port"]), shutdown_trigger=stop))
    await clients.close()


if __name__ == "__main__":
    config_file = Path(sys.argv[1])
    asyncio.run(main(config_file, json.loads(config_file.read_text())))
