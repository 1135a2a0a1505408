"""How long a key waits for its answer, beside a program that only echoes, at the same moments."""

from __future__ import annotations

import os
import select
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.pty_console import PtyConsole

from benchmarks.console_session import FIRST, answer, attached, first_bytes, node, open_log, used_seconds
from benchmarks.rows import Row

MANY = 100_000
LINES = 20_000
TURNS = 25
_PAGE_UP = "\x1b[5~"
_BUSY = "more than 5: others kept the machine busy, and the waits below are theirs too"
_ECHO = "import os\nwhile data := os.read(0, 64): os.write(1, data)"


class Echo:
    """The least that a program at a terminal does: it gives back what it reads. What it takes is the machine's."""

    def __enter__(self) -> Self:
        self._master, slave = os.openpty()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", f"stty raw -echo; exec {sys.executable} -ISc '{_ECHO}'"], stdin=slave, stdout=slave
        )
        os.close(slave)
        time.sleep(0.3)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def answer(self) -> float:
        pressed = time.monotonic()
        os.write(self._master, b"x")
        select.select([self._master], [], [], 5)
        os.read(self._master, 64)
        return time.monotonic() - pressed


def measure(directory: Path) -> list[Row]:
    return [*_under_a_log(directory), *_in_lists(directory)]


def _under_a_log(directory: Path) -> list[Row]:
    """Up, follow, the prompt, and Escape, of whose time 15 ms are waited (`ESCDELAY`).

    Each has an answer of its own, so that the log's lines are not taken for it.
    """
    turns = {"k": "paused", "F": "FOLLOWING", ":": "alice", "\x1b": "? help"}
    keys, used, echoes = [], [], []
    with (
        node(directory / "log", jobs=300, per_second=LINES) as (socket, _),
        attached(socket, directory) as console,
        Echo() as echo,
    ):
        open_log(console)
        console.read(2.0)
        for number in range(TURNS):
            for place, (key, text) in enumerate(turns.items()):
                console.read(0.07 + 0.01 * ((number + place) % 7))
                echoes.append(echo.answer())
                before = used_seconds(console)
                keys.append(answer(console, key, text))
                used.append(used_seconds(console) - before)
        before, began = used_seconds(console), time.monotonic()
        console.read(5.0)
        share = (used_seconds(console) - before) / (time.monotonic() - began)
    return [
        Row("console: an echo at the same moments, p95", "ms", (1e3 * _p95(echoes),), note=_BUSY),
        Row(f"console: key to its answer, p95, log of {LINES:,} lines/s", "ms", (1e3 * _p95(keys),), aim=50.0),
        Row("console: key to its answer there, median", "ms", (1e3 * statistics.median(keys),)),
        Row("console: CPU from key to answer there, p95", "ms", (1e3 * _p95(used),), aim=50.0, note="CPU time"),
        Row("console: CPU while it follows that log", "%", (100 * share,), note="CPU time"),
    ]


def _in_lists(directory: Path) -> list[Row]:
    with (
        node(directory / "list", jobs=MANY) as (socket, _),
        attached(socket, directory) as console,
    ):
        console.until("online")
        answer(console, "gj", FIRST)
        console.quiet()
        steps = [_step(console, key) for key in "jk" * 30]
        pages = [_step(console, key) for key in ("\x06", "\x06", _PAGE_UP, _PAGE_UP) * 7]
    return [
        Row(f"console: key to bytes, p95, one line in {MANY:,} jobs", "ms", (1e3 * _p95(steps),), aim=50.0),
        Row(f"console: key to bytes, p95, one page in {MANY:,} jobs", "ms", (1e3 * _p95(pages),), aim=50.0),
    ]


def _step(console: PtyConsole, key: str) -> float:
    console.quiet(0.1)
    return first_bytes(console, key)


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
