"""Logs by level and range, against a plain reading of the whole file; and what may happen to the index."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.spi.runner import END_OF_LOG
from embedded_scheduler.store.log_index import Grain
from embedded_scheduler.store.log_levels import INFO, LEVELS, Level, level_of
from embedded_scheduler.store.logs import LevelCounts, LogStore

TINY = Grain(block_lines=3, block_bytes=64, chunk_bytes=16)
END = END_OF_LOG.encode() + b" (exit 0)\n"


class Oracle:
    """The same answers by reading everything."""

    def __init__(self, data: bytes, *, ended: bool = False) -> None:
        lines = data.split(b"\n")
        partial = lines.pop()
        self.complete = (partial or (lines[-1] if lines else b"")).startswith(END_OF_LOG.encode())
        if partial and (self.complete or ended):
            lines.append(partial)
        previous, self.lines = INFO, {level: [] for level in LEVELS}
        for line in lines:
            previous = level_of(line, previous)
            for minimum, level in enumerate(LEVELS):
                if previous >= minimum:
                    self.lines[level].append(line)

    def counts(self) -> LevelCounts:
        return LevelCounts(*(len(self.lines[level]) for level in LEVELS), complete=self.complete)


def agree(store: LogStore, path: Path, data: bytes, *, ended: bool = False, ranges: int = 4, seed: int = 0) -> None:
    oracle = Oracle(data, ended=ended)
    assert store.counts(path, ended=ended) == oracle.counts()
    chance = random.Random(seed)
    for level in LEVELS:
        wanted = oracle.lines[level]
        assert store.read(path, level, 0, ended=ended) == wanted
        for _ in range(ranges):
            start, length = chance.randrange(len(wanted) + 3), chance.choice([None, 0, 1, 2, 5, 50])
            stop = None if length is None else start + length
            assert store.read(path, level, start, length, ended=ended) == wanted[start:stop]


LINES = st.sampled_from(
    [
        b"INFO a\n", b"DEBUG b\n", b"ERROR c\n", b"\n", b"  indented\n", b"plain\n", b"x" * 40 + b"\n", b"\xff\x00\r\n",
        b"ERROR " + b"y" * 90 + b"\n", b"Traceback (most recent call last):\n", b"no newline", b"DEBUG ", END,
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(LINES, max_size=12), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_a_growing_log_reads_like_the_file(batches: list[list[bytes]], restart: bool, ended: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, store, data = Path(folder) / "a.log", LogStore(Path(folder), grain=TINY), b""
        for number, batch in enumerate(batches):
            data += b"".join(batch)
            path.write_bytes(data) if number == 0 else append(path, b"".join(batch))
            if restart:
                store = LogStore(Path(folder), grain=TINY)
            agree(store, path, data, ended=ended, seed=number)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def typical(count: int) -> bytes:
    kinds = [b"DEBUG", b"DEBUG", b"INFO", b"WARNING"]
    return b"".join(
        b"2026-01-01 12:00:00 %s batch %d\n" % (b"ERROR" if number % 997 == 3 else kinds[number % 4], number)
        for number in range(count)
    )


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    return LogStore(tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "job-1").mkdir()
    return tmp_path / "job-1" / "attempt-1.log"


def index_of(path: Path) -> Path:
    return path.with_name(path.name + ".idx")


def test_a_log_that_does_not_exist_is_empty(store: LogStore, path: Path) -> None:
    assert store.counts(path) == LevelCounts(0, 0, 0, 0, complete=False)
    assert store.read(path, "debug", 0) == []
    assert store.read_bytes(path, "info", 3, 4) == b""
    store.remove(path)
    assert not index_of(path).exists()


def test_lines_are_served_byte_for_byte(store: LogStore, path: Path) -> None:
    data = b"caf\xe9 \x00\x1b[31m\r\n\n\ttab  \n\xf0\x9f\x99\x82\n"
    path.write_bytes(data)
    assert store.read(path, "debug", 0) == [b"caf\xe9 \x00\x1b[31m\r", b"", b"\ttab  ", b"\xf0\x9f\x99\x82"]
    assert store.read_bytes(path, "debug", 0) + b"\n" == data


def test_a_partial_last_line_waits_for_its_newline_or_the_end(store: LogStore, path: Path) -> None:
    path.write_bytes(b"INFO one\nERROR tw")
    assert store.counts(path) == LevelCounts(1, 1, 0, 0, complete=False)
    assert store.read(path, "debug", 0) == [b"INFO one"]
    assert store.read(path, "error", 0, ended=True) == [b"ERROR tw"]
    assert store.counts(path, ended=True) == LevelCounts(2, 2, 1, 1, complete=False)
    append(path, b"o\n")
    assert store.read(path, "error", 0) == [b"ERROR two"]
    assert store.read(path, "error", 0, ended=True) == [b"ERROR two"]


@pytest.mark.parametrize("marker", [END, END.rstrip(b"\n")])
def test_the_end_marker_completes_a_log(store: LogStore, path: Path, marker: bytes) -> None:
    path.write_bytes(b"INFO one\n" + marker)
    assert store.counts(path) == LevelCounts(2, 2, 0, 0, complete=True)
    assert store.read(path, "info", 1) == [END.rstrip(b"\n")]
    # On a second start the whole file may lie before the last entry of the index.
    assert LogStore(path.parent, grain=Grain(block_lines=1)).counts(path).complete
    assert LogStore(path.parent, grain=Grain(block_lines=1)).counts(path).complete


@pytest.mark.parametrize("tail", [b"and more\n", b"and mor", b"x" * 5000 + b"\n"])
def test_an_end_marker_elsewhere_completes_nothing(store: LogStore, path: Path, tail: bytes) -> None:
    path.write_bytes(END + tail)
    assert not store.counts(path).complete


def test_the_node_writes_lines_of_its_own(store: LogStore, tmp_path: Path) -> None:
    path = tmp_path / "job-2" / "attempt.log"
    store.append_line(path, "INFO nodeconsole: starting")
    store.append_line(Path("job-2/attempt.log"), "INFO two\nERROR lines\n")
    assert path.read_bytes() == b"INFO nodeconsole: starting\nINFO two\nERROR lines\n"
    assert path.stat().st_mode & 0o777 == 0o600
    append(path, b"the component's last words")
    store.append_line(path, END_OF_LOG)
    assert store.counts(path) == LevelCounts(5, 5, 1, 1, complete=True)
    assert store.read(path, "debug", 3) == [b"the component's last words", END_OF_LOG.encode()]


@pytest.mark.parametrize("bad", ["../outside.log", "a/../../outside.log", "/etc/passwd", "", "."])
def test_a_path_outside_is_refused(tmp_path: Path, bad: str) -> None:
    store = LogStore(tmp_path / "logs")
    calls: list[Callable[[], object]] = [
        lambda: store.append_line(Path(bad), "x"),
        lambda: store.counts(Path(bad)),
        lambda: store.read(Path(bad), "debug", 0),
        lambda: store.remove(Path(bad)),
    ]
    for call in calls:
        with pytest.raises(InvalidRequest):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_not_followed(store: LogStore, path: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        store.read(path, "debug", 0)


def test_nonsense_is_refused(store: LogStore, path: Path) -> None:
    path.write_bytes(b"x\n")
    with pytest.raises(InvalidRequest, match="use debug, info, warn, error"):
        store.read(path, "warning", 0)  # type: ignore[arg-type]
    for start, length in ((-1, None), (0, -1)):
        with pytest.raises(InvalidRequest, match="negative"):
            store.read(path, "debug", start, length)


def test_a_bound_in_bytes_ends_a_page_early_but_never_empties_it(store: LogStore, path: Path) -> None:
    path.write_bytes(b"x" * 100 + b"\n" + b"y" * 10 + b"\n" + b"z\n")
    assert store.read(path, "debug", 0, max_bytes=50) == [b"x" * 100]
    assert store.read(path, "debug", 1, max_bytes=13) == [b"y" * 10, b"z"]
    assert store.read(path, "debug", 1, max_bytes=12) == [b"y" * 10]


def test_a_million_lines_are_served_by_range(store: LogStore, path: Path) -> None:
    data = typical(1_000_000)
    path.write_bytes(data)
    every = data.splitlines()
    errors = every[3::997]
    levels: dict[Level, list[bytes]] = {
        "debug": every,
        "info": [line for number, line in enumerate(every) if number % 4 >= 2 or number % 997 == 3],
        "warn": [line for number, line in enumerate(every) if number % 4 == 3 or number % 997 == 3],
        "error": errors,
    }
    started = time.perf_counter()
    assert store.counts(path) == LevelCounts(*map(len, levels.values()), complete=False)
    indexing = time.perf_counter() - started
    for current in (store, LogStore(path.parent.parent)):  # with the index in memory, and with that on disk
        for level, wanted in levels.items():
            for start in (0, 1, len(wanted) // 3, len(wanted) - 3, len(wanted)):
                started = time.perf_counter()
                assert current.read(path, level, start, 5) == wanted[start : start + 5]
                # Reading from the start would cost as much as indexing did.
                assert time.perf_counter() - started < indexing / 3
    assert index_of(path).stat().st_size < len(data) / 500


def damage_tail(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 7)


def damage_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)


def zero_the_end(path: Path) -> None:
    """What a power cut may leave: the size is there, the bytes are not."""
    data = path.read_bytes()
    path.write_bytes(data[:-100] + bytes(200))


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        damage_tail,
        damage_middle,
        zero_the_end,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"garbage" * 1000),
    ],
)
def test_a_damaged_index_is_mended(tmp_path: Path, path: Path, damage: Callable[[Path], object]) -> None:
    grain = Grain(block_lines=10)
    data = typical(2_000)
    path.write_bytes(data)
    LogStore(tmp_path, grain=grain).counts(path)
    sound = index_of(path).read_bytes()
    damage(index_of(path))
    agree(LogStore(tmp_path, grain=grain), path, data)
    assert index_of(path).read_bytes() == sound


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("keep", [0, 1_000, 30_000])
def test_an_index_that_does_not_fit_the_log_is_not_believed(
    tmp_path: Path, path: Path, restart: bool, keep: int
) -> None:
    """The log was replaced, or cut and grew differently."""
    grain = Grain(block_lines=10)
    path.write_bytes(typical(2_000))
    store = LogStore(tmp_path, grain=grain)
    store.counts(path)
    other = typical(2_000)[:keep] + b"ERROR other\n" * 500
    if keep:
        path.write_bytes(other)
    else:
        path.unlink()
        path.write_bytes(other)
    agree(LogStore(tmp_path, grain=grain) if restart else store, path, other)


def test_an_index_that_cannot_be_written_is_done_without(tmp_path: Path, path: Path) -> None:
    data = typical(2_000)
    path.write_bytes(data)
    index_of(path).mkdir()
    agree(LogStore(tmp_path, grain=Grain(block_lines=10)), path, data)


def test_a_continuation_keeps_its_level_across_a_restart(tmp_path: Path, path: Path) -> None:
    """The line it continues is the last one before an entry of the index."""
    data = b"ERROR a\n" * 3 + b"  in detail\n"
    path.write_bytes(data)
    for _ in range(2):
        assert LogStore(tmp_path, grain=TINY).read(path, "error", 3) == [b"  in detail"]


def test_removing_a_log_removes_its_index(store: LogStore, path: Path) -> None:
    path.write_bytes(typical(3_000))
    assert store.counts(path).debug == 3_000
    assert index_of(path).exists()
    store.remove(path)
    assert list(path.parent.iterdir()) == []
    path.write_bytes(b"ERROR new\n")
    assert store.read(path, "error", 0) == [b"ERROR new"]


def test_huge_lines_are_indexed_and_skipped_in_little_memory(tmp_path: Path, path: Path) -> None:
    size = 40 * 1024 * 1024
    with path.open("wb") as file:
        file.write(b"INFO first\nERROR ")
        file.write(b"x" * size)
        file.write(b"\nINFO between\n")
        file.write(b"y" * size)
        file.write(b"\nDEBUG last\n")
    store = LogStore(tmp_path)
    tracemalloc.start()
    try:
        assert store.counts(path) == LevelCounts(5, 4, 1, 1, complete=False)
        assert store.read(path, "debug", 4) == [b"DEBUG last"]
        assert store.read(path, "info", 2, 1) == [b"INFO between"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024 * 1024
    (huge,) = store.read(path, "error", 0)
    assert huge == b"ERROR " + b"x" * size


def test_a_line_that_grows_slowly_is_searched_once(tmp_path: Path, path: Path) -> None:
    store = LogStore(tmp_path, grain=TINY)
    data = b"INFO one\n"
    path.write_bytes(data)
    for _ in range(200):
        append(path, b"DEBUG and on ")
        data += b"DEBUG and on "
        assert store.counts(path).debug == 1
    append(path, b"\nERROR two\n")
    agree(store, path, data + b"\nERROR two\n")


def test_readers_in_threads_agree_while_the_log_grows(tmp_path: Path, path: Path) -> None:
    data = typical(20_000)
    cuts = [0, 1, *sorted(random.Random(3).sample(range(2, len(data) - 1), 60)), len(data)]
    store = LogStore(tmp_path, grain=Grain(block_lines=50, block_bytes=2_000, chunk_bytes=4_096))
    oracle = Oracle(data)
    faults: list[str] = []
    path.touch()
    done = threading.Event()

    def reader(level: Level) -> None:
        while True:
            last = done.is_set()
            lines = store.read(path, level, 0)
            if lines != oracle.lines[level][: len(lines)]:
                faults.append(f"{level}: {len(lines)} lines differ")
            if last:
                if len(lines) != len(oracle.lines[level]):
                    faults.append(f"{level}: {len(lines)} lines at the end")
                return

    threads = [threading.Thread(target=reader, args=(level,)) for level in LEVELS for _ in range(2)]
    for thread in threads:
        thread.start()
    for begin, end in itertools.pairwise(cuts):
        append(path, data[begin:end])
        store.counts(path)
    done.set()
    for thread in threads:
        thread.join(60)
    assert faults == []
    agree(LogStore(tmp_path, grain=Grain(block_lines=50, block_bytes=2_000, chunk_bytes=4_096)), path, data)


INDEXER = """
import os, sys
from pathlib import Path
from embedded_scheduler.store.log_index import Grain
from embedded_scheduler.store.logs import LogStore

path = Path(sys.argv[1])
store = LogStore(path.parent, grain=Grain(block_lines=2, chunk_bytes=512))
os.write(1, b"ready\\n")
while True:
    store.counts(path)
    with path.open("ab") as file:
        file.write(b"INFO a\\nDEBUG b\\nERROR c\\nplain\\n" * 40 + b"half")
"""


def test_an_index_left_by_a_killed_process_is_taken_over(
    tmp_path: Path, path: Path, child_environment: dict[str, str]
) -> None:
    for enough in (1_000, 20_000, 60_000):
        child = subprocess.Popen([sys.executable, "-c", INDEXER, str(path)], env=child_environment, stdout=-1)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 30
        while not index_of(path).exists() or index_of(path).stat().st_size < enough:
            assert time.monotonic() < deadline
            assert child.poll() is None
        os.kill(child.pid, signal.SIGKILL)
        child.communicate(timeout=30)
        data = path.read_bytes()
        agree(LogStore(tmp_path, grain=Grain(block_lines=2, chunk_bytes=512)), path, data)
