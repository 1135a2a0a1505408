"""The live table of `nodeconsole top`: plain text, and only lines that changed are written again."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import termios
import tty
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from embedded_scheduler.wire.console import NodeStatus
from embedded_scheduler.wire.console_pulse import Overview, ResourceReport, ResourceSample
from nodeconsole.cli.output import Output
from nodeconsole.client import NodeClient, NodeUnreachable
from nodeconsole.i18n.catalogue import load
from nodeconsole.viewmodels import pulse
from nodeconsole.viewmodels.attention import attention_rows
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.glyphs import default_glyphs
from nodeconsole.viewmodels.node import Link, LinkState, status_line
from nodeconsole.viewmodels.panes import PaneRow
from nodeconsole.viewmodels.spans import Line, Span, fit_line, plain, spread

_KEPT_SAMPLES = 180
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_END = frozenset({"q", "Q", "\x03", "\x04", "\x1b"})
_MOST = 12
"""Rows of one list."""


class Table:
    """What `top` shows; `ask` gets the newest."""

    def __init__(self, client: NodeClient) -> None:
        self._client = client
        self._status: NodeStatus | None = None
        self._overview: Overview | None = None
        self._report: ResourceReport | None = None
        self._samples: list[ResourceSample] = []
        self._link = Link(LinkState.ONLINE)

    async def ask(self) -> None:
        """Raises what the client raises."""
        after = self._samples[-1].at_ms if self._samples else 0
        self._report = await self._client.resources(after=after)
        self._samples = [*self._samples, *self._report.samples][-_KEPT_SAMPLES:]
        self._status, self._overview = await self._client.status(), await self._client.overview()

    def lines(self, width: int, height: int) -> list[str]:
        """At most `height` lines of at most `width` cells."""
        status, overview = self._status, self._overview
        if status is None or overview is None:
            return []
        display = Display(load("en_US"), default_glyphs(os.environ), status.now_ms, None, status.node_id)
        cut = display.glyphs.cut
        left, right = status_line(status, self._link, status.now_ms, display)
        found: list[Line] = [spread(left, right, width, cut)]
        machine = pulse.node_rows(self._report, self._samples, display, min(width, 78))
        found += _rows([*machine, *pulse.job_rows(None, overview.statistics, display, min(width, 78))], width, cut)
        parts = {
            "attention": attention_rows(overview.attention, display),
            "running": pulse.running_rows(overview.running, display, width),
            "peers": pulse.peer_rows(overview.peers, display, width),
        }
        for place, (name, rows) in enumerate(parts.items()):
            # What the lists before it left over is shared by this one and those behind it.
            share = (height - len(found)) // (len(parts) - place)
            found += _part(name, rows, share, display, width)
        return [plain(line).rstrip() for line in found[:height]]


def _part(name: str, rows: list[PaneRow], room: int, display: Display, width: int) -> Iterator[Line]:
    if room < 3:
        return
    shown = rows[: min(_MOST, room - 2)]
    hidden = len(rows) - len(shown)
    yield ()
    yield (Span(f"{display.text(f'pane.{name}')}{f'  (+{hidden})' if hidden else ''}"),)
    yield from _rows(shown, width, display.glyphs.cut)


def _rows(rows: Iterable[PaneRow], width: int, cut: str) -> Iterator[Line]:
    for row in rows:
        yield fit_line((Span(" "), *spread(row.line, row.right, min(width, 100) - 2, cut)), width, cut)


async def show(client: NodeClient, *, every: float, once: bool, out: Output) -> None:
    """Once, where nobody looks or as asked; else until `q`, in the terminal's second screen."""
    table = Table(client)
    if once or not (sys.stdin.isatty() and sys.stdout.isatty()):
        await table.ask()
        size = shutil.get_terminal_size((100, 1000))
        for line in table.lines(size.columns, 1000):
            out.line(line)
        return
    with _second_screen():
        await _until_key(table, every)


async def _until_key(table: Table, every: float) -> None:
    typed = asyncio.Event()
    ended = False

    def read() -> None:
        nonlocal ended
        try:
            data = os.read(sys.stdin.fileno(), 64).decode("utf-8", "replace")
        except OSError:
            data = ""
        # A closed terminal is readable and empty for ever.
        ended = ended or not data or data in _END
        typed.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), read)
    try:
        drawn: list[str] = []
        while not ended:
            try:
                await table.ask()
                size = shutil.get_terminal_size()
                lines = table.lines(size.columns, size.lines - 1)
            except NodeUnreachable as error:
                lines = [error.message]
            drawn = _draw(drawn, lines)
            typed.clear()
            try:
                async with asyncio.timeout(every):
                    await typed.wait()
            except TimeoutError:
                continue
    finally:
        loop.remove_reader(sys.stdin.fileno())


def _draw(before: list[str], after: list[str]) -> list[str]:
    """Write what changed; returns what is on the screen now."""
    for number in range(max(len(before), len(after))):
        old = before[number] if number < len(before) else ""
        new = after[number] if number < len(after) else ""
        if old != new:
            sys.stdout.write(f"\x1b[{number + 1};1H{new}\x1b[K")
    sys.stdout.flush()
    return after


@contextmanager
def _second_screen() -> Iterator[None]:
    """Keys come one by one meanwhile; the terminal is left as it was, whatever happens."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    sys.stdout.write(_ENTER)
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
