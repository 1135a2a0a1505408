"""Lines found by text and by time, against a plain look at all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from embedded_scheduler.store.log_index import Grain
from embedded_scheduler.store.log_search import containing, first_at, search, stamp_ms
from embedded_scheduler.store.logs import LogStore

LINES = [f"2026-11-28 10:{n // 60:02}:{n % 60:02},000 {'ERROR' if n % 7 == 0 else 'INFO'} step {n}" for n in range(600)]


@pytest.fixture
def logs(tmp_path: Path) -> LogStore:
    return LogStore(tmp_path, grain=Grain(block_lines=16))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "log").write_text("\n".join(LINES) + "\n")
    return tmp_path / "log"


def test_forward_from_a_line_with_its_numbers(logs: LogStore, path: Path) -> None:
    found = search(logs, path, "debug", containing("step 59"), start=60, limit=3)
    assert found.numbers == [590, 591, 592]
    assert found.lines[0].endswith(b"step 590")
    assert found.next == 593


def test_backward_is_nearest_first(logs: LogStore, path: Path) -> None:
    found = search(logs, path, "debug", containing("step 1"), start=150, backward=True, limit=2)
    assert found.numbers == [150, 149]
    assert search(logs, path, "debug", containing("step 0"), start=9_999, backward=True).numbers == [0]


def test_numbers_are_those_of_the_level(logs: LogStore, path: Path) -> None:
    found = search(logs, path, "error", containing(""), start=3, limit=2)
    assert found.numbers == [3, 4]
    assert found.lines[0].endswith(b"step 21")


@pytest.mark.parametrize(("backward", "start", "following"), [(False, 0, 100), (True, 599, 499)])
def test_a_search_is_bounded_and_says_where_to_go_on(
    logs: LogStore, path: Path, backward: bool, start: int, following: int
) -> None:
    found = search(logs, path, "debug", containing("nowhere"), start=start, backward=backward, scanned=100)
    assert (found.numbers, found.next) == ([], following)


def test_what_is_not_there_ends_the_search(logs: LogStore, path: Path) -> None:
    assert search(logs, path, "debug", containing("nowhere"), start=0).next is None
    assert search(logs, path.with_name("none"), "debug", containing("x"), start=0).numbers == []
    assert search(logs, path, "debug", containing("step 599"), start=599).next is None


def test_case_counts_only_when_it_is_given() -> None:
    assert containing("error")(b"an ERROR")
    assert not containing("Error")(b"an ERROR")
    assert containing("ошибка")("Ошибка".encode())
    assert containing("")(b"")


@pytest.mark.parametrize(
    ("line", "moment"),
    [
        (b"2026-11-28 10:00:00,123 INFO x", datetime(2026, 11, 28, 10, 0, 0, 123_000, tzinfo=UTC)),
        (b"2026-11-28T10:00:00.5Z x", datetime(2026, 11, 28, 10, 0, 0, 500_000, tzinfo=UTC)),
        (b"[2026/11/28 10:00:00] x", datetime(2026, 11, 28, 10, tzinfo=UTC)),
        (
            b"2026-11-28T10:00:00.000000123+08:00 x",
            datetime(2026, 11, 28, 10, tzinfo=timezone(timedelta(hours=8))),
        ),
        (b"2026-13-28 10:00:00 no such month", None),
        (b"step 4", None),
        (b"x" * 80 + b"2026-11-28 10:00:00", None),
    ],
)
def test_the_time_of_a_line(line: bytes, moment: datetime | None) -> None:
    assert stamp_ms(line) == (None if moment is None else int(moment.timestamp() * 1000))


def test_the_line_of_a_moment(logs: LogStore, path: Path) -> None:
    begin = stamp_ms(LINES[0].encode()) or 0
    assert first_at(logs, path, "debug", begin) == 0
    assert first_at(logs, path, "debug", begin + 300_000) == 300
    assert first_at(logs, path, "debug", begin + 300_500) == 301
    assert first_at(logs, path, "error", begin + 300_000) == 43
    assert first_at(logs, path, "debug", begin + 10**9) == 600
    assert first_at(logs, path, "debug", 0) == 0


def test_lines_without_a_time_belong_to_the_one_above(logs: LogStore, path: Path) -> None:
    lines = [line for each in LINES for line in (each, "  at one.place", "  at another")]
    path.write_text("\n".join(lines) + "\n")
    begin = stamp_ms(LINES[0].encode()) or 0
    assert first_at(logs, path, "debug", begin + 300_000) == 900
    path.write_text("no times\n" * 50)
    assert first_at(logs, path, "debug", begin) == 0
