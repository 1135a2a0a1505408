"""The shown node for tests: its history is written once per process, and each node works on a copy of its home.

    async with shown() as node, app_of(node).run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "psi-credit-daily")

Tests that only look, or change different things, share one node with `serving`. Node and app show the moment `NOW_MS`.
Every change through node or app is real and stays in the copy.
"""

from __future__ import annotations

import asyncio
import atexit
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Any

from embedded_scheduler.home import Home
from embedded_scheduler.server import BackgroundNode
from embedded_scheduler.showcase.exhibit import Exhibit, StillClock
from embedded_scheduler.showcase.seed import fill
from nodeconsole.app import NodeConsoleApp
from tests.support.hosted import Hosted

NOW_MS = 1_795_867_471_000
"""2026-11-28 12:04:31 UTC."""


@cache
def _master() -> Path:
    """The home with the history; goes away with the process."""
    directory = Path(tempfile.mkdtemp(prefix="nc"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    # A thread has no event loop yet, whoever calls this.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(fill(Home(directory / "h"), now_ms=NOW_MS))).result()
    return directory / "h"


def copy_home(target: Path) -> Home:
    """A home of its own with the history. The tables behind the datasets are read where they were written."""
    master = _master()
    shutil.copytree(master, target, ignore=shutil.ignore_patterns("tables"))
    home = Home(target)
    # Whether this machine has bubblewrap must not show.
    home.settings_file.write_text(home.settings_file.read_text() + '\ncomponents.sandbox = "off"\n')
    with closing(sqlite3.connect(home.database)) as connection, connection:
        connection.execute("UPDATE attempts SET log_path = replace(log_path, ?, ?)", (f"{master}/", f"{target}/"))
    return home


@contextmanager
def serving() -> Iterator[Hosted]:
    """The node on a fresh copy, for tests that share one: the fixture may have any scope, and no event loop."""
    with (
        tempfile.TemporaryDirectory(prefix="nc") as directory,
        still_node(copy_home(Path(directory) / "h")) as hosted,
    ):
        yield hosted


@contextmanager
def still_node(home: Home) -> Iterator[Hosted]:
    """A node of this home for which it is always the same moment."""
    background = BackgroundNode(home, exhibit=Exhibit(StillClock(NOW_MS)))
    running = background.start()
    try:
        yield Hosted(home, running, background)
    finally:
        background.stop()


@asynccontextmanager
async def shown() -> AsyncIterator[Hosted]:
    """The same for one test alone."""
    context = serving()
    node = await asyncio.to_thread(context.__enter__)
    try:
        yield node
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


def app_of(node: Hosted, app: type[NodeConsoleApp] = NodeConsoleApp, **options: Any) -> NodeConsoleApp:
    """The console on it, with everything that could differ between machines and moments held still."""
    settings: dict[str, Any] = {"language": "en_US", "glyphs": "unicode", "theme": "dark"} | options
    return app(node.home.socket, now_ms=lambda: NOW_MS, zone=UTC, environ={}, **settings)
