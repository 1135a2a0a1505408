"""Line access to log files that other processes append to: byte-exact, by level, by range.

A log is raw bytes. Beside `<file>` lies `<file>.idx`, a sparse index: after every block of lines one entry with the
offset reached and the lines of each level before it. Any line of any level is thus at most one block away from a known
offset. The index is only a saving: it is extended when asked for, checked when loaded, and built anew when it is
missing, damaged or does not fit the log; a reader never sees a difference.

Everything here is synchronous and meant for worker threads; calls for one file exclude each other only while they
extend its index.
"""

from __future__ import annotations

import os
import re
import struct
import threading
import zlib
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from weakref import WeakValueDictionary

from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.spi.runner import END_OF_LOG

Level = Literal["debug", "info", "warn", "error"]
"""A filter: debug = every line, info, warn and error = that level and above."""

DEBUG, INFO, WARN, ERROR = 0, 1, 2, 3
LEVELS: tuple[Level, ...] = ("debug", "info", "warn", "error")
"""In order; the place of a name is its number."""
_FILTERS: dict[str, int] = {name: number for number, name in enumerate(LEVELS)}

HEAD = 120
"""Bytes of a line that are looked at for its level."""
_TAIL = 1024
"""Longest end marker: more of a last line need not be read to know that it is not one."""
_KNOWN_FILES = 256

_DEBUG_WORDS = rb"TRACE|DEBUG|DEBU|DBG|VERBOSE"
_INFO_WORDS = rb"INFO|INF|NOTICE"
_WARN_WORDS = rb"WARNING|WARN|WRN"
_ERROR_WORDS = rb"ERROR|ERRO|ERR|CRITICAL|CRIT|FATAL|FATA|SEVERE|PANIC|EMERG|ALERT"


def _any_case(words: bytes) -> bytes:
    """The alternatives with letter pairs instead of a flag: a case-insensitive search loses its fast first step."""
    return re.sub(rb"[A-Z]", lambda letter: b"[" + letter.group() + letter.group().lower() + b"]", words)


_D, _I, _W, _E = (_any_case(words) for words in (_DEBUG_WORDS, _INFO_WORDS, _WARN_WORDS, _ERROR_WORDS))

# Each pattern has its level as the number of its group: (debug) (info) (warn) (error), repeated if need be.
_START = re.compile(
    # glog: `E1122 15:08:00.123456  42 file.cc:7] …` (it has no debug), or `error: …`, `Warning[W1]: …`
    rb"(?:(?!)()|(I)\d{4} \d\d:\d\d|(W)\d{4} \d\d:\d\d|([EF])\d{4} \d\d:\d\d"
    rb"|("
    + _D
    + rb")(?:\[\w*\])?:|("
    + _I
    + rb")(?:\[\w*\])?:|("
    + _W
    + rb")(?:\[\w*\])?:|("
    + _E
    + rb")(?:\[\w*\])?:)"
)
_WORD = re.compile(
    # Upper-case words that stand alone. Begins with a set of letters, so that the search skips over the others
    # quickly; a lower-case letter may come directly before, as the end of a terminal colour sequence does.
    rb"[TDVINWECFSPA](?<![A-Z0-9_].)(?:"
    + b"|".join(
        b"(" + b"|".join(b"(?<=" + word[:1] + b")" + word[1:] for word in words.split(b"|")) + b")"
        for words in (_DEBUG_WORDS, _INFO_WORDS, _WARN_WORDS, _ERROR_WORDS)
    )
    + rb")(?![A-Za-z0-9_])"
)
_STRUCTURED = re.compile(
    # `[info]`, `<warn>`, `|error|`, `file.c:1:2: error: …`, `level=error`, `"severity": "WARNING"`,
    # `"levelname":"error"`. Begins with characters that are rare in a line, for the same reason.
    rb"[\[<|=:](?:(?<=[\[<|])\s*(?:(" + _D + rb")|(" + _I + rb")|(" + _W + rb")|(" + _E + rb"))\s*[\]>|:]"
    rb"|(?<=:) (?:(" + _D + rb")|(" + _I + rb")|(" + _W + rb")|(" + _E + rb")):"
    rb"|(?<=[ely\"'][=:])(?:(?<=evel[=:])|(?<=evel[\"'][=:])|(?<=evelname[=:])|(?<=evelname[\"'][=:])"
    rb"|(?<=lvl[=:])|(?<=lvl[\"'][=:])|(?<=everity[=:])|(?<=everity[\"'][=:]))\s*[\"']?"
    rb"(?:(" + _D + rb")|(" + _I + rb")|(" + _W + rb")|(" + _E + rb"))(?![A-Za-z0-9_]))"
)
_TRACEBACK = b"Traceback (most recent call last)"
_CONTINUATION = re.compile(
    # What belongs to the line above it without being indented: the parts of a traceback. The group is atomic, or a
    # long word would be tried at each of its ends.
    rb"$|\s|(?>[A-Za-z_][\w.]*)(?:(?<=Error)|(?<=Exception)|(?<=Exit)|(?<=Interrupt)|(?<=Warning)|(?<=Group))(?::|$)"
    rb"|Caused by\b|\.\.\. \d+ more|During handling of the above|The above exception was"
)


@dataclass(frozen=True, slots=True)
class Grain:
    """How fine the work is divided. A block ends with the line that reaches either limit; `chunk_bytes` is what is
    read at a time, and all that indexing and skipping hold in memory however long a line is."""

    block_lines: int = 1024
    block_bytes: int = 1024 * 1024
    chunk_bytes: int = 256 * 1024


def level_of(line: bytes, previous: int) -> int:
    """Level of one line (`DEBUG` to `ERROR`) from its first `HEAD` bytes and the level of the line before.

    The first of the usual spellings counts; a continuation inherits; anything else is `INFO`.
    """
    match = _START.match(line, 0, HEAD)
    if match is None:
        match = _WORD.search(line, 0, HEAD)
        structured = _STRUCTURED.search(line, 0, match.start() if match else HEAD)
        match = structured or match
    if match is not None and match.lastindex:
        return (match.lastindex - 1) % 4
    if line.startswith(_TRACEBACK):
        return ERROR
    return previous if _CONTINUATION.match(line, 0, HEAD) else INFO


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
        self._indexes: WeakValueDictionary[Path, _Index] = WeakValueDictionary()
        self._recent: OrderedDict[Path, _Index] = OrderedDict()

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
            _write_all(descriptor, data)
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
            raise InvalidRequest("start and length of a range of log lines cannot be negative")
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

    def _index(self, log: Path) -> _Index:
        """The one index object of a file: two would write into the same sidecar."""
        with self._lock:
            index = self._indexes.get(log)
            if index is None:
                index = self._indexes[log] = _Index(_index_path(log), self._grain)
            self._recent[log] = index
            self._recent.move_to_end(log)
            if len(self._recent) > _KNOWN_FILES:
                self._recent.popitem(last=False)
            return index

    def _locate(self, path: Path) -> Path:
        log = Path(os.path.normpath(self._root / path))
        if log == self._root or not log.is_relative_to(self._root):
            raise InvalidRequest(f"{path} is not a log of this node")
        return log


def _filter(level: str) -> int:
    minimum = _FILTERS.get(level)
    if minimum is None:
        raise InvalidRequest(f"log level {level!r} is unknown: use {', '.join(LEVELS)}")
    return minimum


def _index_path(log: Path) -> Path:
    return log.with_name(log.name + ".idx")


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


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

    def __init__(self, descriptor: int, index: _Index) -> None:
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

    def _block(self, entry: _Entry, stop: int, minimum: int, *, skip: int) -> Iterator[bytes]:
        """Lines of a level between an entry and the offset `stop`, without the first `skip` of them."""
        scanner = _Scanner(entry.offset, self._index.grain.chunk_bytes)
        previous = entry.level
        while (piece := scanner.take(self._descriptor, stop)) is not None:
            if isinstance(piece, _LongLine):
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


@dataclass(frozen=True, slots=True)
class _LongLine:
    """A line that did not fit into one chunk: its bytes are `start` … `stop` - 1 of the log."""

    start: int
    stop: int

    def head(self, descriptor: int) -> bytes:
        return os.pread(descriptor, min(HEAD, self.stop - self.start), self.start)


class _Scanner:
    """Takes whole lines off a file. `line_start` is the offset after the last line taken; `searched` how far the
    next newline was looked for, so that a line that grows slowly is not searched from its start each time."""

    def __init__(self, line_start: int, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self.line_start = line_start
        self.searched = line_start

    def take(self, descriptor: int, size: int) -> list[bytes] | _LongLine | None:
        """The next lines (without newline) before the offset `size`, or None when no whole line is left there."""
        while self.searched < size:
            chunk = os.pread(descriptor, min(self._chunk_bytes, size - self.searched), self.searched)
            if not chunk:
                return None
            if self.searched > self.line_start:
                cut = chunk.find(b"\n")
                if cut >= 0:
                    line = _LongLine(self.line_start, self.searched + cut)
                    self.line_start = self.searched = self.searched + cut + 1
                    return line
            else:
                cut = chunk.rfind(b"\n")
                if cut >= 0:
                    self.line_start = self.searched = self.searched + cut + 1
                    return chunk[:cut].split(b"\n")
            self.searched += len(chunk)
        return None


@dataclass(frozen=True, slots=True)
class _Entry:
    """A place in a log: lines per filter before `offset`, and the level of the line before it."""

    offset: int
    counts: tuple[int, int, int, int]
    level: int


_ORIGIN = _Entry(0, (0, 0, 0, 0), INFO)
_HEADER = struct.Struct("<8sQ24x")
_MAGIC = b"nclogix2"
"""Also to be changed when `level_of` judges differently: indexes counted by other rules must not be taken over."""
_RECORD = struct.Struct("<QQQQQBxxxII")
"""offset, lines per filter, level, CRC of the log's bytes before the offset, CRC over all records so far."""
_SAMPLE = 64
_UNSAVED = 256
"""Entries that may be lost with the process, so that a first pass over gigabytes keeps what it did."""


class _Index:
    """The sparse index of one log. Every method needs `lock` held."""

    def __init__(self, path: Path, grain: Grain) -> None:
        self.lock = threading.Lock()
        self.grain = grain
        self.scanner = _Scanner(0, grain.chunk_bytes)
        self.level = INFO
        self._path = path
        self._inode = 0
        self._loaded = False
        self._counts = [0] * len(LEVELS)
        self._since_lines = 0
        self._forget()

    def counts(self) -> tuple[int, int, int, int]:
        debug, info, warn, error = self._counts
        return debug, info, warn, error

    def extend(self, descriptor: int) -> int:
        """Index every whole line there is; the log's size it was done for."""
        status = os.fstat(descriptor)
        size = status.st_size
        if not self._loaded:
            self._inode, self._loaded = status.st_ino, True
            self._load(descriptor, size)
        elif status.st_ino != self._inode or size < self.scanner.searched:
            self._inode = status.st_ino
            self._forget()
        while True:
            before = self.scanner.line_start
            piece = self.scanner.take(descriptor, size)
            if piece is None:
                break
            if isinstance(piece, _LongLine):
                self._account([piece.head(descriptor)])
                self._mark_if_due(descriptor, self.scanner.line_start)
            else:
                self._account_all(descriptor, piece, before)
            if len(self._offsets) - self._saved >= _UNSAVED:
                self._save()
        self._save()
        return size

    def block_of(self, minimum: int, line: int) -> tuple[_Entry, int]:
        """The last entry before the given line of a level, and the offset of the next entry (or of the end)."""
        # Entries with equal counts enclose blocks without such lines; the last of them is nearest.
        position = bisect_right(self._columns[minimum], line) - 1
        if position < 0:
            entry = _ORIGIN
        else:
            debug, info, warn, error = (column[position] for column in self._columns)
            entry = _Entry(self._offsets[position], (debug, info, warn, error), self._levels[position])
        following = position + 1
        stop = self._offsets[following] if following < len(self._offsets) else self.scanner.line_start
        return entry, stop

    def _account_all(self, descriptor: int, lines: list[bytes], offset: int) -> None:
        position = 0
        while position < len(lines):
            part = lines[position : position + self.grain.block_lines - self._since_lines]
            position += len(part)
            offset += sum(map(len, part)) + len(part)
            self._account(part)
            self._mark_if_due(descriptor, offset)

    def _account(self, lines: Sequence[bytes]) -> None:
        """Count lines; their heads suffice."""
        previous = self.level
        found = [0] * len(LEVELS)
        for line in lines:
            previous = level_of(line, previous)
            found[previous] += 1
        self.level = previous
        above = 0
        for level in reversed(range(len(LEVELS))):
            above += found[level]
            self._counts[level] += above
        self._since_lines += len(lines)

    def _mark_if_due(self, descriptor: int, offset: int) -> None:
        last = self._offsets[-1] if self._offsets else 0
        if self._since_lines < self.grain.block_lines and offset - last < self.grain.block_bytes:
            return
        self._since_lines = 0
        self._offsets.append(offset)
        for column, count in zip(self._columns, self._counts, strict=True):
            column.append(count)
        self._levels.append(self.level)
        self._samples.append(_sample(descriptor, offset))

    def _forget(self) -> None:
        self._offsets = array("Q")
        self._columns = tuple(array("Q") for _ in LEVELS)
        self._levels = bytearray()
        self._samples = array("L")
        self._saved = 0
        self._chain = 0
        self._writable = True
        self._since_lines = 0
        self._counts = [0] * len(LEVELS)
        self.level = INFO
        self.scanner = _Scanner(0, self.grain.chunk_bytes)

    def _load(self, descriptor: int, size: int) -> None:
        """Take over the sound beginning of the sidecar; what follows it, or does not fit the log, is built anew."""
        self._forget()
        try:
            data = self._path.read_bytes()
        except OSError:
            return
        if len(data) < _HEADER.size or _HEADER.unpack_from(data) != (_MAGIC, self._inode):
            return
        for start in range(_HEADER.size, len(data) - _RECORD.size + 1, _RECORD.size):
            offset, *counts, level, sample, chain = _RECORD.unpack_from(data, start)
            if offset > size or zlib.crc32(data[start : start + _RECORD.size - 4], self._chain) != chain:
                break
            self._chain = chain
            self._offsets.append(offset)
            for column, count in zip(self._columns, counts, strict=True):
                column.append(count)
            self._levels.append(level)
            self._samples.append(sample)
        self._resume(descriptor)

    def _resume(self, descriptor: int) -> None:
        if not self._offsets:
            return
        if _sample(descriptor, self._offsets[-1]) != self._samples[-1]:
            self._forget()
            return
        self._saved = len(self._offsets)
        self._counts = [column[-1] for column in self._columns]
        self.level = self._levels[-1]
        self.scanner = _Scanner(self._offsets[-1], self.grain.chunk_bytes)

    def _save(self) -> None:
        """Write new entries to the sidecar. When that fails (disk full, read-only) the index lives in memory alone."""
        if not self._writable or self._saved == len(self._offsets):
            return
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                self._write_new(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            self._writable = False

    def _write_new(self, descriptor: int) -> None:
        place = _HEADER.size + self._saved * _RECORD.size
        # What an earlier index left behind here must not be taken for a continuation of this one.
        os.ftruncate(descriptor, place if self._saved else 0)
        os.lseek(descriptor, place if self._saved else 0, os.SEEK_SET)
        data = bytearray() if self._saved else bytearray(_HEADER.pack(_MAGIC, self._inode))
        chain = self._chain
        for position in range(self._saved, len(self._offsets)):
            body = _RECORD.pack(
                self._offsets[position],
                *(column[position] for column in self._columns),
                self._levels[position],
                self._samples[position],
                0,
            )[:-4]
            chain = zlib.crc32(body, chain)
            data += body + chain.to_bytes(4, "little")
        _write_all(descriptor, bytes(data))
        self._chain = chain
        self._saved = len(self._offsets)


def _sample(descriptor: int, offset: int) -> int:
    """CRC of the bytes before an offset: whether the log is still the one that was indexed."""
    begin = max(0, offset - _SAMPLE)
    return zlib.crc32(os.pread(descriptor, offset - begin, begin))
