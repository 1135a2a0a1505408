"""A task's log as one sequence of lines: its attempts on this node, in party order, one after the other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from embedded_scheduler.config import MIB
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import InvalidRequest, NotFound, TooLarge
from embedded_scheduler.store import attempts, jobs
from embedded_scheduler.store.attempts import Attempt
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.logs import Level

LEVELS: tuple[Level, ...] = ("debug", "info", "error")


LARGEST_ANSWER = 64 * MIB
"""Bytes of log text in one answer; whoever wants more reads it in ranges."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of one log from `start` on (bytes, without line ends), the totals per level, and whether it is complete."""

    start: int
    lines: list[bytes]
    counts: dict[str, int]
    complete: bool


def check_level(level: str) -> Level:
    """`debug` = every line, `info` = information and above, `error` = errors alone (control layer §5.4)."""
    for known in LEVELS:
        if level.strip().lower() == known:
            return known
    raise InvalidRequest(f"log_level must be one of {', '.join(LEVELS)} (got {shorten(level)})")


async def line_count(engine: Engine, task_id: str, level: str) -> int:
    """Lines of a task's log at a level (control layer §5.4)."""
    wanted = check_level(level)
    paths = await _paths(engine, task_id)
    counts = [await asyncio.to_thread(engine.logs.counts, path) for path in paths]
    return sum(count.of(wanted) for count in counts)


async def read(engine: Engine, task_id: str, level: str, start: int, length: int | None) -> bytes:
    """Lines `start` (0-based) and following, byte-exact, joined by newlines (control layer §5.5)."""
    wanted = check_level(level)
    if start < 0 or (length is not None and length < 0):
        raise InvalidRequest("start and length must not be negative")
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
                    raise TooLarge(f"{asked} exceeds {LARGEST_ANSWER} bytes: ask for fewer lines (length)")
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

    def look(reader: Reader) -> Attempt | None:
        found = attempts.of_task(reader, job_id, task_name)
        mine = [a for a in found if party in ("", f"{a.role}.{a.index}")]
        return mine[-1] if party and mine else (mine[0] if mine else None)

    attempt = await engine.db.read(look)
    if attempt is None:
        return Lines(0, [], {str(name): 0 for name in LEVELS}, complete=False)
    path = Path(attempt.log_path)

    def window() -> Lines:
        counts = engine.logs.counts(path)
        totals = {str(name): counts.of(name) for name in LEVELS}
        first = max(0, totals[wanted] + start) if start < 0 else start
        return Lines(first, engine.logs.read(path, wanted, first, limit), totals, complete=counts.complete)

    return await asyncio.to_thread(window)


async def _paths(engine: Engine, task_id: str) -> list[Path]:
    def look(reader: Reader) -> list[Attempt] | None:
        found = jobs.task_by_id(reader, task_id)
        return None if found is None else attempts.of_task(reader, *found)

    runs = await engine.db.read(look)
    if runs is None:
        raise NotFound(f"this node knows no task {shorten(task_id)}")
    return [Path(run.log_path) for run in runs if run.log_path]
