"""What the console keeps: with much to show, and after everything was opened and closed again and again.

`python -m benchmarks.console_memory ROUNDS` prints the memory after every ten rounds.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.pty_console import PtyConsole

from benchmarks.console_session import FIRST, answer, attached, node, open_log, process, resident_mb
from benchmarks.rows import Row

MANY = 100_000
LONG = 1_000_000
ROUNDS = 30
_WARM = 20
"""Rounds after which everything has been loaded, and every cache of the libraries is full."""
_ROUND = (
    *("gp", "gj", "gl", "ga", "gc", "gd", "go", "gu", "gs", "gh", "g,", "gn", "gw"),
    *("gj", "\r", *["\t"] * 6, "\r", "\x1b", "l", "w", "w", "\x1b", "\x1b"),
    *("gc", "\r", "\r", "\x1b", "\x1b", "gd", "\r", "\x1b", "go", "\r", "\x1b", "ga", "\r", "\x1b"),
    *("gj", "?", "\x1b", ":", "\x1b", "N", "\x1b"),
)
"""Keys that open every section, the screens below them, the help, the prompt and the composer, and close them again."""


def much(directory: Path) -> list[Row]:
    with (
        node(directory / "much", jobs=MANY, lines=LONG) as (socket, _),
        attached(socket, directory) as console,
    ):
        open_log(console)
        _press(console, "gg" + "\x06" * 40 + "G" + "\x02" * 40)
        # As many searches as it takes to have been everywhere.
        _press(console, "\\99\r" + "N" * 60)
        answer(console, "\x1b\x1bgj", FIRST)
        _press(console, "\x06" * 40 + "G")
        size = resident_mb(console)
    return [Row(f"console: memory with {MANY:,} jobs and a log of {LONG:,} lines", "MB", (size,), aim=150.0)]


def _press(console: PtyConsole, keys: str) -> None:
    for key in keys:
        console.send(key)
        console.read(0.02)
    console.quiet(0.3)


async def measure(directory: Path) -> list[Row]:
    """What opening and closing everything adds: nothing, once everything has been loaded."""
    return await asyncio.to_thread(_leak, directory)


def _leak(directory: Path) -> list[Row]:
    directory.mkdir(parents=True, exist_ok=True)
    sizes = list(_rounds(directory, ROUNDS))
    grown = max(0.0, sizes[-1] - sizes[_WARM - 1])
    what = f"console: memory that {ROUNDS - _WARM} rounds through all screens add"
    return [Row(what, "MB", (grown,), aim=4.0, note=f"{sizes[-1]:.1f} MB then")]


def _rounds(directory: Path, rounds: int, told: Callable[[str], object] = lambda _: None) -> Iterator[float]:
    """MB after each round, on the node that holds a month's history."""
    with process("benchmarks.shown_node") as (_, socket), attached(Path(socket), directory) as console:
        console.until("online")
        for number in range(rounds):
            for keys in _ROUND:
                console.forget()
                console.send(keys)
                console.quiet(0.06)
                assert console.process.poll() is None, f"{keys!r} ended the console:\n{console.errors()}"
            size = resident_mb(console)
            if (number + 1) % 10 == 0:
                told(f"{number + 1:4} rounds  {size:.1f} MB\n")
            yield size


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="nodeconsole-bench-") as place:
        list(_rounds(Path(place), int(sys.argv[1]), sys.stdout.write))
