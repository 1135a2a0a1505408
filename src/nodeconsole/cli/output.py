"""What a command prints: data on standard output, everything else on standard error."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, TextIO, TypeVar

from pydantic import BaseModel

from nodeconsole.cli.text import clean, cut, pad, width

T = TypeVar("T")

_CONTROL = re.compile("[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_GAP = "  "
_NARROWEST = 8
"""No column is cut below this."""


class Output:
    """Where a command's results go. `as_json`: one JSON document instead of text for people."""

    def __init__(self, *, as_json: bool, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.as_json = as_json
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._drawn = False

    @property
    def interactive(self) -> bool:
        """Whether somebody watches standard error."""
        return self._stderr.isatty()

    def document(self, value: object) -> None:
        """One JSON document, indented for a terminal and on one line for a pipe."""
        text = json.dumps(value, ensure_ascii=False, indent=2 if self._stdout.isatty() else None)
        # JSON leaves C1 controls and direction marks as they are; a terminal would act on them.
        self._write(_CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text) + "\n")

    def line(self, text: str = "") -> None:
        """One line of data; control characters in it are shown, not sent."""
        self._write(clean(text) + "\n")

    def raw(self, text: str) -> None:
        """Text that this program made itself and that may hold line breaks."""
        self._write(text)

    def facts(self, facts: Mapping[str, str]) -> None:
        """Names and values, values aligned; empty ones are left out."""
        shown = {name: value for name, value in facts.items() if value}
        column = max((width(name) for name in shown), default=0)
        for name, value in shown.items():
            self._write(f"{pad(name, column)}{_GAP}{clean(value)}\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
        """A table as wide as its content, or as the terminal; `empty` is what to say when there is no row."""
        cells = [[clean(cell) for cell in row] for row in rows]
        if not cells:
            self.note(empty)
            return
        widths = [max(width(cell) for cell in column) for column in zip(columns, *cells, strict=True)]
        if self._stdout.isatty():
            widths = _fitted(widths, shutil.get_terminal_size().columns)
        for row in ([*columns], *cells):
            text = _GAP.join(pad(cut(cell, room), room) for cell, room in zip(row, widths, strict=True))
            self._write(text.rstrip() + "\n")

    def done(self, facts: BaseModel | Mapping[str, object], text: str) -> None:
        """What a command did: the facts as JSON, or `text` for people."""
        if self.as_json:
            self.document(facts.model_dump(mode="json") if isinstance(facts, BaseModel) else facts)
        else:
            self.line(text)

    def note(self, text: str) -> None:
        """Something for the person, not for a program."""
        self.end_progress()
        self._stderr.write(clean(text) + "\n")
        self._stderr.flush()

    def progress(self, text: str) -> None:
        """Replace the line of progress; nothing happens unless standard error is a terminal."""
        if not self.interactive:
            return
        room = shutil.get_terminal_size().columns - 1
        self._stderr.write(f"\r\x1b[K{cut(clean(text), room)}")
        self._stderr.flush()
        self._drawn = True

    def end_progress(self) -> None:
        """Take the line of progress away."""
        if self._drawn:
            self._stderr.write("\r\x1b[K")
            self._stderr.flush()
            self._drawn = False

    async def busy(self, text: str, work: Awaitable[T]) -> T:
        """Await `work`; a terminal sees that it still runs and for how long."""
        if not self.interactive:
            return await work
        try:
            async with asyncio.TaskGroup() as group:
                ticking = group.create_task(self._tick(text))
                try:
                    return await work
                finally:
                    ticking.cancel()
                    self.end_progress()
        except BaseExceptionGroup as failed:
            # Beside the ticker only `work` can fail; the caller expects its error as it is.
            raise failed.exceptions[0] from None

    async def _tick(self, text: str) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            await asyncio.sleep(0.2)
            self.progress(f"{text} {loop.time() - began:.0f}s")

    def _write(self, text: str) -> None:
        self.end_progress()
        self._stdout.write(text)

    def flush(self) -> None:
        self._stdout.flush()


def bar(done: int, total: int, columns: int = 20) -> str:
    """`#####...............`; full only when everything is done."""
    filled = columns if total <= 0 else done * columns // total
    return "#" * filled + "." * (columns - filled)


def plain(rows: Sequence[BaseModel]) -> list[dict[str, Any]]:
    """Messages as JSON data."""
    return [row.model_dump(mode="json") for row in rows]


def _fitted(widths: list[int], terminal: int) -> list[int]:
    """Column widths that fit: the widest column gives way first."""
    fitted = list(widths)
    excess = sum(fitted) + len(_GAP) * (len(fitted) - 1) - terminal
    while excess > 0:
        widest = max(range(len(fitted)), key=fitted.__getitem__)
        if fitted[widest] <= _NARROWEST:
            break
        fitted[widest] -= 1
        excess -= 1
    return fitted
