from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from embedded_scheduler.store.database import Database


class ManualClock:
    """Time moves only when a test moves it."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


@pytest.fixture
async def db(path: Path, clock: ManualClock) -> AsyncIterator[Database]:
    database = await Database.open(path, clock=clock)
    yield database
    await database.close()


@pytest.fixture
def child_environment() -> dict[str, str]:
    """For a child Python that imports what this one can."""
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
