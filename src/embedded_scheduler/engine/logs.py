"""A task's log as one sequence of lines: its attempts on this node, in party order, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from embedded_scheduler.config import MIB
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import InvalidRequest, NotFound, TooLarge
from embedded_scheduler.sentences import say
from embedded_scheduler.store import attempts, log_search
from embedded_scheduler.store import jobs as job_store
from embedded_scheduler.store.attempts import Attempt
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.log_levels import ERROR, INFO, LEVELS, Level, level_of
from embedded_scheduler.store.log_search import Found

SPECIFIED: tuple[Level, ...] = ("debug", "info", "error")
"""What the control layer knows (§5.4); warnings count as information there."""


LARGEST_ANSWER = 64 * MIB
"""Bytes of log text in one answer; whoever wants more reads it in ranges."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of one log from `start` on (bytes, without line ends), the totals per level, and whether it is complete."""

    start: int
    lines: list[bytes]
    counts: dict[str, int]
    complete: bool


def check_level(level: str, known: tuple[Level, ...] = LEVELS) -> Level:
    """`debug` = every line, `info` and `warn` = those and above, `error` = errors alone."""
    for name in known:
        if level.strip().lower() == name:
            return name
    raise InvalidRequest(say("log_level", known=", ".join(known), level=shorten(level)))


async def line_count(engine: Engine, task_id: str, level: str) -> int:
    """Lines of a task's log at a level (control layer §5.4)."""
    wanted = check_level(level, SPECIFIED)
    paths = await _paths(engine, task_id)
    counts = [await asyncio.to_thread(engine.logs.counts, path) for path in paths]
    return sum(count.of(wanted) for count in counts)


async def read(engine: Engine, task_id: str, level: str, start: int, length: int | None) -> bytes:
    """Lines `start` (0-based) and following, byte-exact, joined by newlines (control layer §5.5)."""
    wanted = check_level(level, SPECIFIED)
    if start < 0 or (length is not None and length < 0):
        raise InvalidRequest(say("log_range"))
    paths = await _paths(engine, task_id)
    asked = f"the log from line {start}" if length is None else f"{length} lines"

    def collect() -> list[bytes]:
        found: list[bytes] = []
        skip, size = start, 0
        for path in paths:
            total = engine.logs.counts(path).of(wanted)
            if skip >= total:
                skip -= total
                continue
            left = None if length is None else length - len(found)
            for line in engine.logs.lines(path, wanted, skip, left):
                size += len(line) + 1
                if size > LARGEST_ANSWER:
                    raise TooLarge(say("log_too_long", asked=asked, most=LARGEST_ANSWER))
                found.append(line)
            skip = 0
            if length is not None and len(found) >= length:
                break
        return found

    lines = await asyncio.to_thread(collect)
    return b"".join(line + b"\n" for line in lines)


async def page(engine: Engine, job_id: str, task_name: str, party: str, level: str, start: int, limit: int) -> Lines:
    """A window of one party's log of a task; a negative `start` counts from the end."""
    wanted = check_level(level)
    path = await _path(engine, job_id, task_name, party)
    if path is None:
        return Lines(0, [], {str(name): 0 for name in LEVELS}, complete=False)

    def window() -> Lines:
        counts = engine.logs.counts(path)
        totals = {str(name): counts.of(name) for name in LEVELS}
        first = max(0, totals[wanted] + start) if start < 0 else start
        return Lines(first, engine.logs.read(path, wanted, first, limit), totals, complete=counts.complete)

    return await asyncio.to_thread(window)


async def search(
    engine: Engine,
    job_id: str,
    task_name: str,
    party: str,
    level: str,
    fits: Callable[[bytes], bool],
    start: int,
    limit: int,
    *,
    backward: bool,
) -> tuple[Found, int]:
    """Lines that fit, a bounded search from `start` on; and how many lines of the level there are."""
    wanted = check_level(level)
    path = await _path(engine, job_id, task_name, party)
    if path is None:
        return Found([], [], None), 0

    def look() -> tuple[Found, int]:
        found = log_search.search(engine.logs, path, wanted, fits, start=start, limit=limit, backward=backward)
        return found, engine.logs.counts(path).of(wanted)

    return await asyncio.to_thread(look)


async def place_of(
    engine: Engine, job_id: str, task_name: str, party: str, level: str, at_ms: int
) -> tuple[int, int | None]:
    """The first line at a moment or later, and the time it names. Times without a zone are this machine's."""
    wanted = check_level(level)
    path = await _path(engine, job_id, task_name, party)
    if path is None:
        return 0, None

    def look() -> tuple[int, int | None]:
        line = log_search.first_at(engine.logs, path, wanted, at_ms, zone=_zone())
        times = times_of(engine.logs.read(path, wanted, line, 1))
        return line, times[0] if times else None

    return await asyncio.to_thread(look)


def times_of(lines: Sequence[bytes]) -> list[int | None]:
    """The time each line names, in Unix epoch milliseconds."""
    zone = _zone()
    return [log_search.stamp_ms(line, zone) for line in lines]


def is_problem(line: bytes) -> bool:
    """Whether a line by itself reports an error; what only continues one does not."""
    return level_of(line, INFO) == ERROR


def _zone() -> tzinfo:
    """Whose time a line means that names no zone: this machine's."""
    return datetime.now(UTC).astimezone().tzinfo or UTC


async def recent(engine: Engine, *, jobs: int) -> list[tuple[str, Attempt, int]]:
    """Flow, attempt and bytes of the last log of each share that ran here, of the newest `jobs` jobs: running ones
    first, then by their start."""

    def look(reader: Reader) -> list[tuple[str, Attempt]]:
        heads = job_store.page(reader, self_node=engine.node_id, before=job_store.FIRST_PAGE, limit=jobs)
        return [(head.flow_id, attempt) for head in heads for attempt in _last_of_shares(reader, head.job_id)]

    rows = await engine.db.read(look)
    rows.sort(key=lambda row: (row[1].ended_ms is not None, -(row[1].launched_ms or 0)))
    return await asyncio.to_thread(lambda: [(flow_id, attempt, _size(attempt)) for flow_id, attempt in rows])


def _last_of_shares(reader: Reader, job_id: str) -> list[Attempt]:
    last = {(a.task_name, a.role, a.index): a for a in attempts.of_job(reader, job_id) if a.log_path}
    return list(last.values())


def _size(attempt: Attempt) -> int:
    try:
        return Path(attempt.log_path).stat().st_size
    except OSError:
        return 0


async def _path(engine: Engine, job_id: str, task_name: str, party: str) -> Path | None:
    """The log of one party's share of a task; with no party named, of the first share that ran here."""

    def look(reader: Reader) -> Attempt | None:
        found = attempts.of_task(reader, job_id, task_name)
        mine = [a for a in found if party in ("", f"{a.role}.{a.index}")]
        return mine[-1] if party and mine else (mine[0] if mine else None)

    attempt = await engine.db.read(look)
    return None if attempt is None else Path(attempt.log_path)


async def _paths(engine: Engine, task_id: str) -> list[Path]:
    def look(reader: Reader) -> list[Attempt] | None:
        found = job_store.task_by_id(reader, task_id)
        return None if found is None else attempts.of_task(reader, *found)

    runs = await engine.db.read(look)
    if runs is None:
        raise NotFound(say("task_unknown", task=shorten(task_id)))
    return [Path(run.log_path) for run in runs if run.log_path]
