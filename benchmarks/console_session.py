"""What the console's measurements are made with: a node in a process of its own, and a console on a pseudo-terminal."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.fake_node import job_id
from tests.support.pty_console import PtyConsole

FIRST = job_id(0)[:12]
"""What stands in the list of jobs when it is there."""
MB = 1024 * 1024


@contextlib.contextmanager
def node(
    path: Path, *, jobs: int, per_second: int = 0, running: int = 0, lines: int = 0
) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Its socket, and what kills it. See `benchmarks/console_node.py`."""
    numbers = map(str, (jobs, per_second, running, lines))
    with process("benchmarks.console_node", str(path), *numbers) as (serving, _):
        yield path, serving.kill


@contextlib.contextmanager
def process(module: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A module that runs until its standard input ends, and the line with which it said that it is ready."""
    started = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert started.stdout is not None
    assert started.stdin is not None
    try:
        yield started, started.stdout.readline().decode().strip()
    finally:
        started.stdin.close()
        started.wait()
        started.stdout.close()


def attached(socket: Path, directory: Path) -> PtyConsole:
    """A console that remembers nothing of the one before."""
    files = {"XDG_CONFIG_HOME": str(directory / "config"), "XDG_STATE_HOME": str(directory / "state")}
    arguments = ["attach", "--clean", "--socket", str(socket)]
    return PtyConsole(arguments, environment=files | {"COLORTERM": "truecolor"}, size=(120, 40))


def answer(console: PtyConsole, keys: str, text: str) -> float:
    """Seconds from the last key until `text` has arrived."""
    console.forget()
    console.send(keys)
    pressed = time.monotonic()
    return console.until(text) - pressed


def first_bytes(console: PtyConsole, keys: str) -> float:
    """Seconds until anything comes, at a console that is at rest."""
    console.forget()
    console.send(keys)
    pressed = time.monotonic()
    while console.read(0.001) == 0 and time.monotonic() - pressed < 5:
        pass
    return time.monotonic() - pressed


def open_log(console: PtyConsole) -> None:
    """That of the newest job."""
    console.until("online")
    answer(console, "gj", FIRST)
    console.quiet()
    answer(console, "\r", "binning")
    console.quiet()
    answer(console, "l", "bucket")


def resident_mb(console: PtyConsole) -> float:
    return console.resident_bytes() / MB


def used_seconds(console: PtyConsole) -> float:
    """CPU time so far, of all its threads; finer than the clock ticks of `stat`."""
    tasks = Path(f"/proc/{console.process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
