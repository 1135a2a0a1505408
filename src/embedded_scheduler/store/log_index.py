"""The sparse index of a log file: where the lines of each level are, kept beside the file.

After every block of lines one entry with the offset reached and the lines of each level before it. Any line of any
level is thus at most one block away from a known offset. The index is only a saving: it is extended when asked for,
checked when loaded, and built anew when it is missing, damaged or does not fit the log; a reader never sees a
difference.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded_scheduler.store.log_levels import HEAD, INFO, LEVELS, level_of


@dataclass(frozen=True, slots=True)
class Grain:
    """How fine the work is divided. A block ends with the line that reaches either limit; `chunk_bytes` is what is
    read at a time, and all that indexing and skipping hold in memory however long a line is."""

    block_lines: int = 1024
    block_bytes: int = 1024 * 1024
    chunk_bytes: int = 256 * 1024


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line that did not fit into one chunk: its bytes are `start` … `stop` - 1 of the log."""

    start: int
    stop: int

    def head(self, descriptor: int) -> bytes:
        return os.pread(descriptor, min(HEAD, self.stop - self.start), self.start)


class Scanner:
    """Takes whole lines off a file. `line_start` is the offset after the last line taken; `searched` how far the
    next newline was looked for, so that a line that grows slowly is not searched from its start each time."""

    def __init__(self, line_start: int, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self.line_start = line_start
        self.searched = line_start

    def take(self, descriptor: int, size: int) -> list[bytes] | LongLine | None:
        """The next lines (without newline) before the offset `size`, or None when no whole line is left there."""
        while self.searched < size:
            chunk = os.pread(descriptor, min(self._chunk_bytes, size - self.searched), self.searched)
            if not chunk:
                return None
            if self.searched > self.line_start:
                cut = chunk.find(b"\n")
                if cut >= 0:
                    line = LongLine(self.line_start, self.searched + cut)
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
class Entry:
    """A place in a log: lines per filter before `offset`, and the level of the line before it."""

    offset: int
    counts: tuple[int, int, int, int]
    level: int


_ORIGIN = Entry(0, (0, 0, 0, 0), INFO)
_HEADER = struct.Struct("<8sQ24x")
_MAGIC = b"nclogix2"
"""Also to be changed when `level_of` judges differently: indexes counted by other rules must not be taken over."""
_RECORD = struct.Struct("<QQQQQBxxxII")
"""offset, lines per filter, level, CRC of the log's bytes before the offset, CRC over all records so far."""
_SAMPLE = 64
_UNSAVED = 256
"""Entries that may be lost with the process, so that a first pass over gigabytes keeps what it did."""


class Index:
    """The sparse index of one log. Every method needs `lock` held."""

    def __init__(self, path: Path, grain: Grain) -> None:
        self.lock = threading.Lock()
        self.grain = grain
        self.scanner = Scanner(0, grain.chunk_bytes)
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
            if isinstance(piece, LongLine):
                self._account([piece.head(descriptor)])
                self._mark_if_due(descriptor, self.scanner.line_start)
            else:
                self._account_all(descriptor, piece, before)
            if len(self._offsets) - self._saved >= _UNSAVED:
                self._save()
        self._save()
        return size

    def block_of(self, minimum: int, line: int) -> tuple[Entry, int]:
        """The last entry before the given line of a level, and the offset of the next entry (or of the end)."""
        # Entries with equal counts enclose blocks without such lines; the last of them is nearest.
        position = bisect_right(self._columns[minimum], line) - 1
        if position < 0:
            entry = _ORIGIN
        else:
            debug, info, warn, error = (column[position] for column in self._columns)
            entry = Entry(self._offsets[position], (debug, info, warn, error), self._levels[position])
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
        self.scanner = Scanner(0, self.grain.chunk_bytes)

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
        self.scanner = Scanner(self._offsets[-1], self.grain.chunk_bytes)

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
        write_all(descriptor, bytes(data))
        self._chain = chain
        self._saved = len(self._offsets)


def _sample(descriptor: int, offset: int) -> int:
    """CRC of the bytes before an offset: whether the log is still the one that was indexed."""
    begin = max(0, offset - _SAMPLE)
    return zlib.crc32(os.pread(descriptor, offset - begin, begin))


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
