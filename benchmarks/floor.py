"""What the machine itself costs in this very minute: start a process, commit durably, exchange one request."""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import generate

_ROUND_TRIPS_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds: `spawn` of /bin/true, `python` the leanest start of Python, one `commit`, one `round_trip`."""

    spawn: float
    python: float
    commit: float
    round_trip: float

    def chain(self, tasks: int) -> float:
        """Least time of a chain of two-party tasks (docs/benchmarks.md): nothing overlaps within a task."""
        return tasks * (self.spawn + 4 * self.commit + self.round_trip)

    def fan(self, tasks: int, cores: int) -> float:
        """Least time of independent two-party tasks: starts fill the cores, commits are grouped by the writer."""
        return tasks * (2 * self.spawn / cores + self.round_trip / cores)

    def with_python(self) -> Floor:
        """The same when the component is a Python program, as the built-in ones are."""
        return Floor(self.python, self.python, self.commit, self.round_trip)


async def measure(directory: Path, address: str, message: bytes) -> Floor:
    """`address` and `message`: a running bare server and one request of the usual size."""
    trips = await generate(address, message, connections=1, seconds=_ROUND_TRIPS_SECONDS)
    return Floor(
        spawn=_median(_spawn_true, 40),
        python=_median(_spawn_python, 12),
        commit=_commits(directory / "floor.db"),
        round_trip=trips.p50,
    )


def _median(work: Callable[[], None], times: int) -> float:
    return statistics.median(_timed(work) for _ in range(times))


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _spawn_true() -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["/bin/true"], {}), 0)


def _spawn_python() -> None:
    command = [sys.executable, "-I", "-S", "-c", "pass"]
    os.waitpid(os.posix_spawn(command[0], command, {}), 0)


def _commits(path: Path) -> float:
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE facts (id INTEGER PRIMARY KEY, text TEXT)")

        def commit() -> None:
            connection.execute("INSERT INTO facts (text) VALUES (?)", ("x" * 400,))

        return _median(commit, 60)
    finally:
        connection.close()
