from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.recorder import Node, recording_node


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with recording_node(tmp_path) as running:
        yield running
