"""What an operator feels: the console in a real pseudo-terminal of 120 x 40, byte for byte."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import console_keys, console_memory
from benchmarks.console_node import PARAMETERS
from benchmarks.console_session import FIRST, answer, attached, node, resident_mb, used_seconds
from benchmarks.rows import Row

MANY = 100_000
STARTS = 5


async def measure(directory: Path) -> list[Row]:
    """Every row with its limit of the design; an absolute one, for an otherwise idle machine."""
    return await asyncio.to_thread(_measure, directory)


def _measure(directory: Path) -> list[Row]:
    directory.mkdir(parents=True, exist_ok=True)
    rows = []
    with node(directory / "few", jobs=300) as (socket, kill):
        rows += _starts(socket, directory)
        rows += _forms(socket, directory)
        rows += _at_rest_and_killed(socket, directory, kill)
    with node(directory / "busy", jobs=300, running=20) as (socket, _):
        rows += _busy(socket, directory)
    with node(directory / "many", jobs=MANY) as (socket, _):
        rows += _many(socket, directory)
    rows += console_memory.much(directory)
    rows += console_keys.measure(directory)
    rows.append(_bridge())
    return rows


def _starts(socket: Path, directory: Path) -> list[Row]:
    paints, used, sizes = [], [], []
    for _ in range(STARTS):
        with attached(socket, directory) as console:
            paints.append(console.until("? help") - console.started)
            used.append(used_seconds(console))
            console.until("online")
            console.quiet(1.2)
            sizes.append(resident_mb(console))
    return [
        Row("console: first useful paint", "s", tuple(paints), aim=0.45),
        Row("console: CPU until the first paint", "s", tuple(used), aim=0.45, note="CPU time: others do not count"),
        Row("console: memory of the shell", "MB", tuple(sizes), aim=60.0),
    ]


def _forms(socket: Path, directory: Path) -> list[Row]:
    """The first opening loads the form's modules; it is the upper end of the spread."""
    took = []
    with attached(socket, directory) as console:
        console.until("online")
        answer(console, "gc", "wide_form")
        console.quiet()
        answer(console, "\r", "参数 9")
        for _ in range(STARTS):
            console.quiet()
            took.append(answer(console, "\r", f"fields {PARAMETERS}"))
            console.quiet()
            answer(console, "\x1b", "wide_form")
    return [Row(f"console: form of {PARAMETERS} parameters to be seen", "s", tuple(took), aim=0.25)]


def _at_rest_and_killed(socket: Path, directory: Path, kill: Callable[[], None]) -> list[Row]:
    with attached(socket, directory) as console:
        console.until("online")
        answer(console, "gj", FIRST)
        console.quiet()
        answer(console, "ga", "? help")
        console.quiet()
        switches = []
        for number in range(10):
            console.quiet(0.2)
            switches.append(answer(console, "gj" if number % 2 == 0 else "ga", "? help"))
        console.send("gj")
        console.quiet()
        # What was said last goes away after eight seconds; the clock in the top line moves once a minute.
        console.read(9.0)
        console.read(6.0 if time.time() % 60 > 54 else 0.0)
        before = used_seconds(console)
        idle = console.read(5.0) / 5.0
        share = (used_seconds(console) - before) / 5.0
        console.forget()
        kill()
        killed = time.monotonic()
        banner = console.until("OFFLINE") - killed
        console.read(1.0)
        answer(console, "\x0c", FIRST)
        ended = 0.0 if console.process.poll() is None else 1.0
    return [
        Row("console: section switch", "ms", tuple(1e3 * s for s in switches), aim=150.0),
        Row("console: bytes per second at rest", "B", (idle,), aim=0.0),
        Row("console: CPU at rest", "%", (100 * share,), note="CPU time"),
        Row("console: node killed to banner", "s", (banner,), aim=2.0, note="the list is still shown"),
        Row("console: exits because of it", "", (ended,), aim=0.0),
    ]


def _busy(socket: Path, directory: Path) -> list[Row]:
    with attached(socket, directory) as console:
        console.until("online")
        answer(console, "gj", FIRST)
        console.read(1.0)
        sent = tuple(console.read(2.0) / 2.0 / 1000 for _ in range(3))
    return [Row("console: bytes per second, 20 running jobs", "kB", sent, aim=5.0)]


def _many(socket: Path, directory: Path) -> list[Row]:
    took = []
    for _ in range(3):
        with attached(socket, directory) as console:
            console.until("online")
            console.quiet()
            took.append(answer(console, "gj", FIRST))
            console.quiet()
            size = resident_mb(console)
    return [
        Row(f"console: open the list of {MANY:,} jobs", "s", tuple(took), aim=0.3),
        Row(f"console: memory with {MANY:,} jobs", "MB", (size,), aim=150.0),
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
