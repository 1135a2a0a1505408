"""Logs in the console, on a real node: a log of 30,000 lines, one that is being written, several as one."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from textual.pilot import Pilot

from nodeconsole.client import NodeClient
from nodeconsole.screens.document import DocumentScreen
from nodeconsole.screens.log import LogScreen
from nodeconsole.screens.log_merge import LogAddress, MergedLogScreen, tags_of
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.hosted import Hosted
from tests.support.showcase import app_of, serving

SIZE = (100, 24)
_AT_LINE = re.compile(r"line ([\d,]+) of")


@pytest.fixture(scope="module")
def node() -> Iterator[Hosted]:
    with serving() as running:
        yield running


@asynccontextmanager
async def opened(node: Hosted, place: LogAddress, **options: object):
    """The console on one log."""
    async with app_of(node, **options).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: pilot.app.session.online)
        screen = LogScreen(pilot.app.session, place.job_id, place.task, [place.party])
        pilot.app.push_screen(screen)
        await until(pilot, lambda: _AT_LINE.search(screen_text(pilot)))
        yield pilot


async def longest(node: Hosted) -> LogAddress:
    async with NodeClient(node.home.socket) as client:
        row = max(await client.logs(), key=lambda row: row.size_bytes)
    return LogAddress(row.job_id, row.task, row.party)


async def written(node: Hosted, number: int = 0) -> tuple[LogAddress, Path]:
    """A log whose task runs, and its file."""
    async with NodeClient(node.home.socket) as client:
        row = [row for row in await client.logs() if row.ended_ms is None and row.started_ms][number]
    with closing(sqlite3.connect(node.home.database)) as connection:
        found = connection.execute(
            "SELECT log_path FROM attempts WHERE job_id = ? AND task_name = ? AND ended_ms IS NULL",
            (row.job_id, row.task),
        ).fetchone()
    return LogAddress(row.job_id, row.task, row.party), Path(found[0])


def at_line(pilot: Pilot[None]) -> int:
    found = _AT_LINE.search(screen_text(pilot))
    assert found, screen_text(pilot)
    return int(found[1].replace(",", ""))


async def test_the_list_opens_a_log_at_its_end(node: Hosted) -> None:
    async with app_of(node).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: pilot.app.session.online)
        await press(pilot, "g", "l")
        await until_shown(pilot, "running")
        await press(pilot, "enter")
        await until_shown(pilot, "FOLLOWING")
        await press(pilot, "q")
        await until_shown(pilot, "FLOW")


async def test_a_long_log_is_paged_and_the_cursor_moves_in_it(node: Hosted) -> None:
    async with opened(node, await longest(node)) as pilot:
        total = at_line(pilot)
        assert total >= 30_000
        await press(pilot, "k", "k")
        assert at_line(pilot) == total - 2
        await press(pilot, "g", "g")
        await until_gone(pilot, "not loaded")
        assert at_line(pilot) == 1
        await press(pilot, "pagedown")
        assert 15 < at_line(pilot) < 25
        await press(pilot, "F")
        assert at_line(pilot) == total


async def test_filter_shows_only_lines_that_the_node_picks(node: Hosted) -> None:
    async with opened(node, await longest(node)) as pilot:
        total = at_line(pilot)
        await press(pilot, "4")
        await until(pilot, lambda: _AT_LINE.search(screen_text(pilot)) and at_line(pilot) < 100)
        assert screen_text(pilot).count("ERROR") == 1
        await press(pilot, "1")
        await until(pilot, lambda: _AT_LINE.search(screen_text(pilot)) and at_line(pilot) == total)
        word = "income"
        await press(pilot, "/", *word, "enter")
        await until_shown(pilot, f"filter: {word}")
        await until(pilot, lambda: _AT_LINE.search(screen_text(pilot)) and at_line(pilot) < total)
        body = [line for line in screen_text(pilot).splitlines()[2:20] if line.strip() and "line " not in line]
        assert body
        assert all(word.lower() in line.lower() for line in body)
        await press(pilot, "escape")
        await until(pilot, lambda: _AT_LINE.search(screen_text(pilot)) and at_line(pilot) == total)


async def test_search_goes_through_the_whole_log_and_counts(node: Hosted) -> None:
    async with opened(node, await longest(node)) as pilot:
        total = at_line(pilot)
        await press(pilot, "\\", *"info", "enter")
        await until_shown(pilot, "10,000")
        first = at_line(pilot)
        assert first < total
        await press(pilot, "N")
        await until(pilot, lambda: at_line(pilot) < first)
        await press(pilot, "n")
        await until(pilot, lambda: at_line(pilot) == first)
        await press(pilot, "g", "g", "\\", *"re:nowhere at al+", "enter")
        await until_shown(pilot, "not found below")
        await press(pilot, "\\", *"re:(", "enter")
        await until_shown(pilot, "not a regular expression")


async def test_next_error_is_found_at_the_node(node: Hosted) -> None:
    async with opened(node, await longest(node)) as pilot:
        await press(pilot, "g", "g", "e")
        await until(pilot, lambda: at_line(pilot) > 100)
        line = pilot.app.screen.main.buffer.line(at_line(pilot) - 1)
        assert "ERROR" in (line or "")
        await press(pilot, "E")
        await until_shown(pilot, "not found above")


async def test_times_numbers_bookmarks_and_marks(node: Hosted) -> None:
    async with opened(node, await longest(node)) as pilot:
        total = at_line(pilot)
        await press(pilot, "#")
        assert f"{total:,} " in screen_text(pilot)
        await press(pilot, "t")
        await until(pilot, lambda: re.search(r"\d\d:\d\d:\d\d\.\d{3} ", screen_text(pilot)))
        await press(pilot, "t")
        await until(pilot, lambda: re.search(r"\+\d+\.\d{3} ", screen_text(pilot)))
        await press(pilot, "t", "b")
        assert "mark 12:04:31" in screen_text(pilot)
        await press(pilot, "m", "k", "k", "k", "m", "g", "g", "'")
        assert at_line(pilot) == total - 3
        await press(pilot, "'")
        assert at_line(pilot) == total


async def test_a_moment_is_gone_to(node: Hosted) -> None:
    async with opened(node, await longest(node)) as pilot:
        total = at_line(pilot)
        await press(pilot, "9")
        await until(pilot, lambda: at_line(pilot) < total)
        recent = at_line(pilot)
        await press(pilot, "T", *"20m", "enter")
        await until(pilot, lambda: at_line(pilot) < recent)
        await press(pilot, "T", *"noon", "enter")
        await until_shown(pilot, "not a time")


async def test_a_line_is_read_whole(node: Hosted) -> None:
    place, path = await written(node)
    with path.open("a") as log:
        log.write('2026-11-28 12:00:00,000 INFO {"rows": 12, "parts": [1, 2]}\n')
    async with opened(node, place) as pilot:
        await until_shown(pilot, '"parts"')
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, DocumentScreen))
        await until_shown(pilot, '"rows": 12,')


async def test_what_is_written_is_followed_until_one_goes_up(node: Hosted) -> None:
    place, path = await written(node)
    async with opened(node, place) as pilot:
        await until_shown(pilot, "FOLLOWING")
        with path.open("a") as log:
            log.writelines(f"INFO more {number}\n" for number in range(100))
        await until_shown(pilot, "INFO more 99")
        await press(pilot, "k")
        await until_shown(pilot, "paused")
        with path.open("a") as log:
            log.write("INFO unseen\n")
        at = at_line(pilot)
        await until(pilot, lambda: pilot.app.screen.main.buffer.total > at + 1)
        assert "INFO unseen" not in screen_text(pilot)
        await press(pilot, "F")
        await until_shown(pilot, "INFO unseen")


async def test_saving_writes_what_is_shown_and_never_over_a_file(node: Hosted, tmp_path: Path) -> None:
    async with opened(node, await longest(node)) as pilot:
        total = at_line(pilot)
        target = tmp_path / "copy.log"
        await press(pilot, ":", *f"save {target}", "enter")
        await until_shown(pilot, f"saved {total:,} lines")
        assert len(target.read_text().splitlines()) == total
        assert target.stat().st_mode & 0o777 == 0o600
        await press(pilot, ":", *f"save {target}", "enter")
        await until_shown(pilot, "not saved")


async def test_two_logs_as_one_by_time(node: Hosted) -> None:
    place, path = await written(node)
    async with opened(node, place) as pilot:
        await press(pilot, "+")
        await until_shown(pilot, "choose one to merge")
        await press(pilot, "j", "j", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, MergedLogScreen))
        await until_shown(pilot, "merged: ")
        buffer = pilot.app.screen.main.buffer
        await until(pilot, lambda: len({buffer.tag(number) for number in range(buffer.total)}) == 2)
        times = [buffer.at_ms(number) or 0 for number in range(buffer.total)]
        assert times == sorted(times)
        with path.open("a") as log:
            log.write("2026-11-28 12:59:00,000 INFO the newest of both\n")
        await until_shown(pilot, "the newest of both")
        await press(pilot, "\\", *"newest", "enter")


def test_tags_tell_logs_apart() -> None:
    one = LogAddress("job-1", "psi", "guest.0")
    assert tags_of([one, LogAddress("job-1", "woe", "guest.0")]) == ["psi", "woe"]
    assert tags_of([one, LogAddress("job-1", "psi", "guest.1")]) == ["psi guest.0", "psi guest.1"]
    assert tags_of([one, LogAddress("job-2", "psi", "guest.0")]) == ["job-1 psi guest.0", "job-2 psi guest.0"]


async def test_a_log_that_outruns_the_eye_is_skipped_through_and_read_on_demand(node: Hosted) -> None:
    place, path = await written(node)
    async with opened(node, place) as pilot:
        await until_shown(pilot, "FOLLOWING")
        buffer = pilot.app.screen.main.buffer
        before = buffer.total
        with path.open("a") as log:
            log.writelines(f"INFO flood {number}\n" for number in range(20_000))
        await until_shown(pilot, "INFO flood 19999")
        assert buffer.total == before + 20_000
        assert buffer.line(before + 5_000) is None
        pilot.app.screen.main.move_to(before + 5_000)
        await until_shown(pilot, "INFO flood 5000")
