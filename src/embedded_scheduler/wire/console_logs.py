"""Messages of the console family about logs beyond their pages: what was found in one, and which ones there are."""

from __future__ import annotations

from pydantic import Field

from embedded_scheduler.wire.console import Message


class LogMatches(Message):
    """Lines that fit, by their numbers among the lines of the level that was asked for."""

    numbers: list[int] = Field(default_factory=list)
    lines: list[str] = Field(default_factory=list)
    times: list[int | None] = Field(default_factory=list)
    """As of `LogPage`."""
    next: int | None = None
    """Ask again from here: so many lines were looked at, not all. None = there is nothing more that way."""
    total: int = 0
    """Lines of the level now."""


class LogPlace(Message):
    """Where a moment is in a log."""

    line: int
    """The first line at that time or later; the number of lines when there is none."""
    at_ms: int | None = None
    """The time of that line; None = it names none."""


class LogRow(Message):
    """One log of this node: the last attempt of one share of a task."""

    job_id: str
    flow_id: str = ""
    task: str
    party: str
    number: int = 1
    """Of the attempt."""
    started_ms: int | None = None
    ended_ms: int | None = None
    exit_code: int | None = None
    size_bytes: int = 0


class LogList(Message):
    logs: list[LogRow]
