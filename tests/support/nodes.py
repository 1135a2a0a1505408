"""Real nodes as processes, for tests that kill them: deaths are noted, and the node starts again on its old ports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from nodeconsole.client import ClientError, NodeUnreachable
from nodeconsole.node_process import NodeProcess, free_addresses

T = TypeVar("T")

CRASH_VARIABLE = "NODECONSOLE_CRASH_AT"

QUICK = """
timing.poll_first = 0.5
timing.poll_longest = 2.0
timing.retry_first = 0.05
timing.retry_longest = 1.0
timing.call_timeout = 5.0
timing.submit_wait = 3.0
"""
"""Settings for nodes that are to recover within a test's patience."""


class Reviver:
    """Starts dead nodes again, without what made them crash, and remembers whom and how they had ended."""

    def __init__(self) -> None:
        self.deaths: list[tuple[str, int | None]] = []
        """Node id and exit code; -9 is SIGKILL."""

    async def __call__(self, node: NodeProcess) -> None:
        self.deaths.append((node.node_id, node.exit_code))
        await node.start()


async def eventually(
    attempt: Callable[[], Awaitable[T | None]], *, what: str, within: float = 60.0, pause: float = 0.05
) -> T:
    """The first result that is neither None nor False; a node that is down meanwhile is asked again.

    Fails the test with `what` and the last error when there is none `within` seconds.
    """
    limit = time.monotonic() + within
    last: object = "nothing yet"
    while time.monotonic() < limit:
        try:
            last = await attempt()
            if last is not None and last is not False:
                return last
        except NodeUnreachable as error:
            last = error
        except ClientError as error:
            if error.status < 500 and error.status != 404:
                raise
            last = error
        await asyncio.sleep(pause)
    raise AssertionError(f"{what}: not within {within:g} seconds; last: {last}")


@asynccontextmanager
async def running_nodes(directory: Path, *names: str, settings: str = QUICK) -> AsyncIterator[dict[str, NodeProcess]]:
    """Fresh nodes below `directory`, started; ended with their components on the way out. None knows another."""
    addresses = iter(free_addresses(2 * len(names)))
    nodes = {
        name: NodeProcess(name, directory / name, listen=next(addresses), platform=next(addresses), tls="off")
        for name in names
    }
    try:
        for node in nodes.values():
            await node.create(settings)
        await asyncio.gather(*(node.start() for node in nodes.values()))
        yield nodes
    finally:
        await asyncio.gather(*(node.stop() for node in nodes.values()))
        for node in nodes.values():
            node.end_components()
