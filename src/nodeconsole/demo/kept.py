"""`nodeconsole demo --end`: ends the nodes that an earlier `demo --keep` left running."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from embedded_scheduler.home import Home
from nodeconsole.client import ClientError, NodeClient, NodeUnreachable

MARK = "nodeconsole-demo"
"""Lies in every directory that holds a demo."""

_PATIENCE = 20.0
_LOOK_AGAIN = 0.05


async def end_kept(directory: Path) -> list[str]:
    """Ask every node of the demo in `directory` to end; the node ids, once they have ended. Nothing is removed."""
    found = await asyncio.gather(*map(_end, _homes(directory)))
    return [node_id for node_id in found if node_id]


def _homes(directory: Path) -> list[Home]:
    homes = [Home(path) for path in sorted(directory.iterdir()) if path.is_dir()]
    return [home for home in homes if home.socket.exists()]


async def _end(home: Home) -> str:
    try:
        async with NodeClient(home.socket) as client:
            status = await client.status()
    except (ClientError, NodeUnreachable):
        return ""
    os.kill(status.pid, signal.SIGTERM)
    async with asyncio.timeout(_PATIENCE):
        while _alive(status.pid):  # noqa: ASYNC110 - the process is none of ours
            await asyncio.sleep(_LOOK_AGAIN)
    return status.node_id


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # What ended and was not collected yet by its parent has ended.
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
