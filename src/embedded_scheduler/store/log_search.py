"""Finding lines in a log by text or by time, a bounded piece at a time.

Works on what `LogStore` offers, so numbers of lines are those among the lines of a level. Synchronous, for worker
threads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from embedded_scheduler.store.log_levels import Level
from embedded_scheduler.store.logs import LogStore

SCANNED = 200_000
"""Lines looked at in one call."""
_BACKWARD = 5_000
"""Lines read at a time when looking backward."""
_NEAR = 5_000
"""A stretch without times may be so long; what comes behind a longer one is taken to be later."""

# 2026-11-22 15:08:00,123 · 2026-11-22T15:08:00.123Z · 2026/11/22 15:08:00 · … +08:00
_STAMP = re.compile(rb"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,6})\d*)?\s?(Z|[+-]\d\d:?\d\d)?")
_STAMP_WITHIN = 64


@dataclass(frozen=True, slots=True)
class Found:
    """`numbers` and `lines` of what fits, in the order of the search, which goes on at `next`, or is over (None)."""

    numbers: list[int]
    lines: list[bytes]
    next: int | None


def containing(text: str) -> Callable[[bytes], bool]:
    """Whether a line contains `text`; exact in case only if it has a capital letter. Empty text fits every line."""
    sought = text.encode("utf-8")
    if text != text.lower():
        return lambda line: sought in line
    if text.isascii():
        return lambda line: sought in line.lower()
    return lambda line: text in line.decode("utf-8", "replace").lower()


def search(
    logs: LogStore,
    path: Path,
    level: Level,
    wanted: Callable[[bytes], bool],
    *,
    start: int,
    backward: bool = False,
    limit: int = 1,
    scanned: int = SCANNED,
    ended: bool = False,
) -> Found:
    """The first `limit` lines from line `start` on that are `wanted`, within the next `scanned` lines."""
    numbers: list[int] = []
    lines: list[bytes] = []
    total = logs.counts(path, ended=ended).of(level)
    last = min(start, total - 1) if backward else total - 1
    candidates = (
        _backward(logs, path, level, last, ended=ended)
        if backward
        else enumerate(logs.lines(path, level, start, scanned, ended=ended), start)
    )
    for seen, (number, line) in enumerate(candidates, 1):
        if wanted(line):
            numbers.append(number)
            lines.append(line)
        if len(numbers) >= limit or seen >= scanned:
            following = number - 1 if backward else number + 1
            return Found(numbers, lines, following if 0 <= following < total else None)
    return Found(numbers, lines, None)


def _backward(logs: LogStore, path: Path, level: Level, last: int, *, ended: bool) -> Iterator[tuple[int, bytes]]:
    while last >= 0:
        first = max(0, last - _BACKWARD + 1)
        lines = logs.read(path, level, first, last - first + 1, ended=ended)
        yield from ((first + place, lines[place]) for place in reversed(range(len(lines))))
        last = first - 1


def stamp_ms(line: bytes, zone: tzinfo = UTC) -> int | None:
    """The time a line begins with, in Unix epoch milliseconds; one that names no zone is taken to be of `zone`."""
    found = _STAMP.search(line, 0, _STAMP_WITHIN)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    micro = int((found[7] or b"0").ljust(6, b"0"))
    try:
        moment = datetime(year, month, day, hour, minute, second, micro, tzinfo=_zone(found[8]) or zone)
    except ValueError:
        return None
    return int(moment.timestamp() * 1000)


def _zone(text: bytes | None) -> tzinfo | None:
    if not text:
        return None
    return datetime.strptime(text.decode().replace("Z", "+0000"), "%z").tzinfo


def first_at(logs: LogStore, path: Path, level: Level, at_ms: int, *, zone: tzinfo = UTC, ended: bool = False) -> int:
    """The number of the first line at `at_ms` or later, in a log whose times do not go back; its length when there is
    none. Lines without a time belong to the one above them."""
    total = logs.counts(path, ended=ended).of(level)
    low, high = 0, total
    while low < high:
        middle = (low + high) // 2
        place, stamp = _stamp_from(logs, path, level, middle, high, zone, ended=ended)
        if stamp is None:
            high = middle
        elif stamp < at_ms:
            low = place + 1
        else:
            high = middle
    return _stamp_from(logs, path, level, low, total, zone, ended=ended)[0]


def _stamp_from(
    logs: LogStore, path: Path, level: Level, start: int, end: int, zone: tzinfo, *, ended: bool
) -> tuple[int, int | None]:
    """The first line from `start` on that has a time."""
    length = min(_NEAR, end - start)
    for place, line in enumerate(logs.lines(path, level, start, length, ended=ended), start):
        stamp = stamp_ms(line, zone)
        if stamp is not None:
            return place, stamp
    return start, None
