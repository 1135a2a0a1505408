"""Fixtures of the console's tests: a fake node on a real socket, and the app looking at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from nodeconsole.app import NodeConsoleApp
from tests.support.fake_node import NOW_MS, FakeNode


@pytest.fixture
def socket() -> Iterator[Path]:
    # A unix socket's path must be short; pytest's own directories can be long.
    with TemporaryDirectory(prefix="nc") as directory:
        yield Path(directory) / "s"


@pytest.fixture
def node(socket: Path) -> Iterator[FakeNode]:
    with FakeNode(socket) as running:
        yield running


@pytest.fixture
def make_app(socket: Path) -> Callable[..., NodeConsoleApp]:
    """The app with everything that could differ between machines and moments held still."""

    def make(**options: Any) -> NodeConsoleApp:
        settings: dict[str, Any] = {"language": "en_US", "glyphs": "unicode", "theme": "dark", "undo_seconds": 0}
        settings |= {"section": "jobs", "environ": {}} | options
        return NodeConsoleApp(socket, now_ms=lambda: NOW_MS, zone=UTC, **settings)

    return make
