"""Two nodes that all tests about grants, permits and messages share: each test has a dataset of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.granting import Pair, fresh, running_pair
from tests.support.hosted import Hosted


@pytest.fixture(scope="session")
def granting_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Hosted]]:
    with running_pair(tmp_path_factory.mktemp("granting")) as nodes:
        yield nodes


@pytest.fixture
async def pair(granting_nodes: dict[str, Hosted], tmp_path: Path) -> AsyncIterator[Pair]:
    async with fresh(granting_nodes, tmp_path) as nodes:
        yield nodes
