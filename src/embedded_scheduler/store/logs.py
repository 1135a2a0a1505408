"""Line access to log files that other processes append to: byte-exact, by level, by range.

A log is raw bytes. Beside `<file>` lies `<file>.idx`, its index (`log_index.py`).

Everything here is synchronous and meant for worker threads; calls for one file exclude each other only while they
extend its index.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.runner import END_OF_LOG
from embedded_scheduler.store.log_index import Entry, Grain, Index, LongLine, Scanner, write_all
from embedded_scheduler.store.log_levels import DEBUG, HEAD, LEVELS, Level, level_of

_FILTERS: dict[str, int] = {name: number for number, name in enumerate(LEVELS)}
_TAIL = 1024
"""Longest end marker: more of a last line need not be read to know that it is not one."""
_KNOWN_FILES = 256


@dataclass(frozen=True, slots=True)
class LevelCounts:
    """How many lines each filter lets through; `complete` = the end marker was written, no line will follow."""

    debug: int
    info: int
    warn: int
    error: int
    complete: bool

    def of(self, level: Level) -> int:
        return (self.debug, self.info, self.warn, self.error)[_FILTERS[level]]


class LogStore:
    """The logs below one directory; paths are absolute, or relative to it. A log that does not exist is empty.

    A last line without its newline may still grow: it counts as a line only when the log is complete, or when the
    caller knows that nobody writes any more (`ended`).
    """

    def __init__(self, root: Path, *, grain: Grain | None = None) -> None:
        self._grain = grain or Grain()
        self._root = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow links of the home itself
        self._lock = threading.Lock()
        self._indexes: WeakValueDictionary[Path, Index] = WeakValueDictionary()
        self._recent: OrderedDict[Path, Index] = OrderedDict()

    def append_line(self, path: Path, text: str) -> None:
        """Write a line of the node's own (created with mode 0600); each line of `text` becomes one of the log."""
        log = self._locate(path)
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(log, flags, 0o600)
        try:
            data = text.encode("utf-8", "backslashreplace").rstrip(b"\n") + b"\n"
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                data = b"\n" + data
            write_all(descriptor, data)
        finally:
            os.close(descriptor)

    def counts(self, path: Path, *, ended: bool = False) -> LevelCounts:
        """Lines per filter now."""
        with self._opened(path) as log:
            return LevelCounts(0, 0, 0, 0, complete=False) if log is None else log.survey(ended=ended).counts()

    def lines(
        self, path: Path, level: Level, start: int, length: int | None = None, *, ended: bool = False
    ) -> Iterator[bytes]:
        """Lines `start` (0-based, among those of `level`) … `start + length` - 1 without their newline, as they are
        now; None = to the end. Reads as it goes: memory is one chunk, or one line."""
        minimum = _filter(level)
        if start < 0 or (length is not None and length < 0):
            raise InvalidRequest(say("log_lines_range"))
        return self._range(path, minimum, start, length, ended=ended)

    def read(
        self,
        path: Path,
        level: Level,
        start: int,
        length: int | None = None,
        *,
        ended: bool = False,
        max_bytes: int | None = None,
    ) -> list[bytes]:
        """`lines` as a list. With `max_bytes`, stops before the line that would exceed it (the first always fits)."""
        found: list[bytes] = []
        size = 0
        for line in self.lines(path, level, start, length, ended=ended):
            size += len(line) + 1
            if found and max_bytes is not None and size > max_bytes:
                break
            found.append(line)
        return found

    def read_bytes(
        self,
        path: Path,
        level: Level,
        start: int,
        length: int | None = None,
        *,
        ended: bool = False,
        max_bytes: int | None = None,
    ) -> bytes:
        """The same lines joined by newlines, without one at the end."""
        return b"\n".join(self.read(path, level, start, length, ended=ended, max_bytes=max_bytes))

    def remove(self, path: Path) -> None:
        """Delete a log with its index, if they exist."""
        log = self._locate(path)
        with self._lock:
            self._recent.pop(log, None)
            self._indexes.pop(log, None)
        log.unlink(missing_ok=True)
        _index_path(log).unlink(missing_ok=True)

    def _range(self, path: Path, minimum: int, start: int, length: int | None, *, ended: bool) -> Iterator[bytes]:
        with self._opened(path) as log:
            if log is None:
                return
            survey = log.survey(ended=ended)
            indexed = survey.indexed[minimum]
            end = survey.total(minimum) if length is None else min(start + length, survey.total(minimum))
            yield from log.indexed_lines(minimum, start, min(end, indexed), survey)
            if start <= indexed < end:
                yield log.bytes_between(survey.line_start, survey.size)

    @contextmanager
    def _opened(self, path: Path) -> Iterator[_OpenLog | None]:
        log = self._locate(path)
        try:
            descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            yield None
            return
        try:
            yield _OpenLog(descriptor, self._index(log))
        finally:
            os.close(descriptor)

    def _index(self, log: Path) -> Index:
        """The one index object of a file: two would write into the same sidecar."""
        with self._lock:
            index = self._indexes.get(log)
            if index is None:
                index = self._indexes[log] = Index(_index_path(log), self._grain)
            self._recent[log] = index
            self._recent.move_to_end(log)
            if len(self._recent) > _KNOWN_FILES:
                self._recent.popitem(last=False)
            return index

    def _locate(self, path: Path) -> Path:
        log = Path(os.path.normpath(self._root / path))
        if log == self._root or not log.is_relative_to(self._root):
            raise InvalidRequest(say("no_log", path=str(path)))
        return log


def _filter(level: str) -> int:
    minimum = _FILTERS.get(level)
    if minimum is None:
        raise InvalidRequest(say("log_level_unknown", level=repr(level), known=", ".join(LEVELS)))
    return minimum


def _index_path(log: Path) -> Path:
    return log.with_name(log.name + ".idx")


@dataclass(frozen=True, slots=True)
class _Survey:
    """What a log held at one moment. `indexed` counts whole lines per filter; `line_start` is where they end."""

    indexed: tuple[int, int, int, int]
    line_start: int
    size: int
    partial_level: int | None
    """Level of a last line without newline if it counts as a line, else None."""
    complete: bool

    def total(self, minimum: int) -> int:
        extra = self.partial_level is not None and self.partial_level >= minimum
        return self.indexed[minimum] + extra

    def counts(self) -> LevelCounts:
        debug, info, warn, error = (self.total(minimum) for minimum in _FILTERS.values())
        return LevelCounts(debug, info, warn, error, self.complete)


class _OpenLog:
    """A log that is open for reading, with its index."""

    def __init__(self, descriptor: int, index: Index) -> None:
        self._descriptor = descriptor
        self._index = index

    def survey(self, *, ended: bool) -> _Survey:
        """Bring the index up to date and count."""
        index = self._index
        with index.lock:
            size = index.extend(self._descriptor)
            indexed, line_start, previous = index.counts(), index.scanner.line_start, index.level
        complete = self._is_complete(size)
        partial = size > line_start and (complete or ended)
        level = level_of(os.pread(self._descriptor, HEAD, line_start), previous) if partial else None
        return _Survey(indexed, line_start, size, level, complete)

    def indexed_lines(self, minimum: int, start: int, end: int, survey: _Survey) -> Iterator[bytes]:
        """Whole lines `start` … `end` - 1 of a level; jumps over blocks that have none."""
        wanted = start
        while wanted < end:
            with self._index.lock:
                entry, stop = self._index.block_of(minimum, wanted)
            stop = min(stop, survey.line_start)
            position = entry.counts[minimum]
            before = wanted
            for line in self._block(entry, stop, minimum, skip=wanted - position):
                yield line
                wanted += 1
                if wanted == end:
                    return
            if wanted == before:
                return  # the log was cut short between the survey and now

    def _block(self, entry: Entry, stop: int, minimum: int, *, skip: int) -> Iterator[bytes]:
        """Lines of a level between an entry and the offset `stop`, without the first `skip` of them."""
        scanner = Scanner(entry.offset, self._index.grain.chunk_bytes)
        previous = entry.level
        while (piece := scanner.take(self._descriptor, stop)) is not None:
            if isinstance(piece, LongLine):
                previous = level_of(piece.head(self._descriptor), previous)
                if previous < minimum:
                    continue
                if skip:
                    skip -= 1
                    continue
                yield self.bytes_between(piece.start, piece.stop)
                continue
            chosen = piece
            if minimum > DEBUG:
                chosen, previous = _select(piece, minimum, previous)
            yield from chosen[skip:]
            skip = max(0, skip - len(chosen))

    def bytes_between(self, start: int, stop: int) -> bytes:
        parts = []
        while start < stop and (part := os.pread(self._descriptor, stop - start, start)):
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def _is_complete(self, size: int) -> bool:
        begin = max(0, size - _TAIL)
        tail = self.bytes_between(begin, size).removesuffix(b"\n")
        cut = tail.rfind(b"\n")
        if cut < 0 and begin > 0:
            return False
        return tail[cut + 1 :].startswith(END_OF_LOG.encode("ascii"))


def _select(lines: Iterable[bytes], minimum: int, previous: int) -> tuple[list[bytes], int]:
    chosen = []
    for line in lines:
        previous = level_of(line, previous)
        if previous >= minimum:
            chosen.append(line)
    return chosen, previous
