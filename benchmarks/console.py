"""What an operator feels: the console in a real pseudo-terminal of 120 x 40, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.fake_node import job_id
from tests.support.pty_console import PtyConsole

from benchmarks.rows import Row

MANY = 100_000
LINES = 20_000
STARTS = 5
KEYS = 40
_FIRST = job_id(0)[:12]
_MB = 1024 * 1024


async def measure(directory: Path) -> list[Row]:
    """Every row with its limit of the design; an absolute one, for an otherwise idle machine."""
    return await asyncio.to_thread(_measure, directory)


def _measure(directory: Path) -> list[Row]:
    directory.mkdir(parents=True, exist_ok=True)
    rows = []
    with _node(directory / "few", jobs=300) as (socket, kill):
        rows += _starts(socket, directory)
        rows += _at_rest_and_killed(socket, directory, kill)
    with _node(directory / "busy", jobs=300, running=20) as (socket, _):
        rows += _busy(socket, directory)
    with _node(directory / "many", jobs=MANY) as (socket, _):
        rows += _many(socket, directory)
    with _node(directory / "log", jobs=300, lines=LINES) as (socket, _):
        rows += _log(socket, directory)
    rows.append(_bridge())
    return rows


@contextlib.contextmanager
def _node(path: Path, *, jobs: int, lines: int = 0, running: int = 0) -> Iterator[tuple[Path, Callable[[], None]]]:
    command = [sys.executable, "-m", "benchmarks.console_node", str(path), str(jobs), str(lines), str(running)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        process.stdout.readline()
        yield path, process.kill
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def _console(socket: Path, directory: Path) -> PtyConsole:
    files = {"XDG_CONFIG_HOME": str(directory / "config"), "XDG_STATE_HOME": str(directory / "state")}
    arguments = ["attach", "--socket", str(socket)]
    return PtyConsole(arguments, environment=files | {"COLORTERM": "truecolor"}, size=(120, 40))


def _answer(console: PtyConsole, keys: str, text: str) -> float:
    """Seconds from the last key until `text` is painted."""
    console.forget()
    console.send(keys)
    pressed = time.monotonic()
    return console.until(text) - pressed


def _starts(socket: Path, directory: Path) -> list[Row]:
    paints, sizes = [], []
    for _ in range(STARTS):
        with _console(socket, directory) as console:
            paints.append(console.until("? help") - console.started)
            console.until("online")
            console.quiet()
            sizes.append(console.resident_bytes() / _MB)
    return [
        Row("console: first useful paint", "s", tuple(paints), aim=0.45),
        Row("console: memory of the shell", "MB", tuple(sizes), aim=60.0),
    ]


def _at_rest_and_killed(socket: Path, directory: Path, kill: Callable[[], None]) -> list[Row]:
    with _console(socket, directory) as console:
        console.until("online")
        _answer(console, "gj", _FIRST)
        console.quiet()
        _answer(console, "ga", "? help")
        console.quiet()
        switches = []
        for number in range(10):
            console.quiet(0.2)
            switches.append(_answer(console, "gj" if number % 2 == 0 else "ga", "? help"))
        console.send("gj")
        console.quiet()
        # What was said last goes away after eight seconds; the clock in the top line moves once a minute.
        console.read(9.0)
        console.read(6.0 if time.time() % 60 > 54 else 0.0)
        idle = console.read(5.0) / 5.0
        console.forget()
        kill()
        killed = time.monotonic()
        banner = console.until("OFFLINE") - killed
        console.read(1.0)
        ended = 0.0 if console.process.poll() is None else 1.0
    return [
        Row("console: section switch", "ms", tuple(1e3 * s for s in switches), aim=150.0),
        Row("console: bytes per second at rest", "B", (idle,), aim=0.0),
        Row("console: node killed to banner", "s", (banner,), aim=2.0),
        Row("console: exits because of it", "", (ended,), aim=0.0),
    ]


def _busy(socket: Path, directory: Path) -> list[Row]:
    with _console(socket, directory) as console:
        console.until("online")
        _answer(console, "gj", _FIRST)
        console.read(1.0)
        sent = tuple(console.read(2.0) / 2.0 / 1000 for _ in range(3))
    return [Row("console: bytes per second, 20 running jobs", "kB", sent, aim=5.0)]


def _many(socket: Path, directory: Path) -> list[Row]:
    with _console(socket, directory) as console:
        console.until("online")
        console.quiet()
        took = _answer(console, "gj", _FIRST)
        console.quiet()
        size = console.resident_bytes() / _MB
    return [
        Row(f"console: open the list of {MANY:,} jobs", "s", (took,), aim=0.3),
        Row(f"console: memory with {MANY:,} jobs", "MB", (size,), aim=150.0),
    ]


def _log(socket: Path, directory: Path) -> list[Row]:
    with _console(socket, directory) as console:
        console.until("online")
        _answer(console, "gj", _FIRST)
        console.quiet()
        console.send("\r")
        console.quiet()
        console.send("l")
        console.until("bucket")
        latencies = []
        for number in range(KEYS):
            console.read(0.1)
            console.forget()
            console.send(":" if number % 2 == 0 else "\x1b")
            pressed = time.monotonic()
            while console.read(0.001) == 0 and time.monotonic() - pressed < 5:
                pass
            latencies.append(time.monotonic() - pressed)
        size = console.resident_bytes() / _MB
    p95 = statistics.quantiles(latencies, n=20)[-1]
    return [
        Row(f"console: key to bytes, p95, log of {LINES:,} lines/s", "ms", (1e3 * p95,), aim=50.0),
        Row("console: memory beside that log", "MB", (size,), aim=150.0),
    ]


def _bridge() -> Row:
    """What a link costs the other machine before its first byte; beside the leanest start of Python."""
    starts, floors = [], []
    for _ in range(STARTS):
        floors.append(_seconds([sys.executable, "-c", "pass"]))
        starts.append(_seconds([sys.executable, "-m", "nodeconsole", "bridge", "--home", "/nonexistent"]))
    return Row("bridge: start to end / Python that does nothing", "s", tuple(starts), tuple(floors), aim=4.0)


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
