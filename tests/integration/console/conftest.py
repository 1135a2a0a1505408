"""A node of one's own, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.hosted import Hosted, hosted

from nodeconsole.client import NodeClient


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Hosted]:
    async with hosted(tmp_path / "alice") as running:
        yield running


@pytest.fixture
async def client(node: Hosted) -> AsyncIterator[NodeClient]:
    async with node.client() as opened:
        yield opened
