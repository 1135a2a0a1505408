"""Moments and durations as short text. Times are Unix epoch milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, tzinfo

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_UNITS = {"h": HOUR, "d": DAY, "w": 7 * DAY}
_LATEST = 253_402_300_800_000
"""The year 10000, which no clock here can show."""


def span_text(ms: int) -> str:
    """How long, in at most five characters: `0s 59s 4m 1h05 23h 6d 140d`."""
    ms = max(0, ms)
    if ms < MINUTE:
        return f"{ms // SECOND}s"
    if ms < HOUR:
        return f"{ms // MINUTE}m"
    if ms < 10 * HOUR:
        return f"{ms // HOUR}h{ms % HOUR // MINUTE:02d}"
    if ms < 2 * DAY:
        return f"{ms // HOUR}h"
    return f"{ms // DAY}d"


def exact_span(ms: int) -> str:
    """How long something took: `0.4s 12.3s 4m12 1h05`."""
    ms = max(0, ms)
    if ms < MINUTE:
        return f"{ms / SECOND:.1f}s"
    if ms < HOUR:
        return f"{ms // MINUTE}m{ms % MINUTE // SECOND:02d}"
    return span_text(ms)


def age(since_ms: int | None, now_ms: int) -> str:
    """How long ago, or `-` when it did not happen. A clock that runs ahead shows `0s`, never a negative age."""
    return "-" if not since_ms else span_text(now_ms - since_ms)


def duration(started_ms: int | None, ended_ms: int | None, now_ms: int) -> str:
    """From start to end, or to now while it runs; `-` when it did not start."""
    if not started_ms:
        return "-"
    if ended_ms:
        return exact_span(ended_ms - started_ms)
    return span_text(now_ms - started_ms)


def moment(at_ms: int, zone: tzinfo | None) -> str:
    """Date and time to the second in `zone` (None = this machine's)."""
    return _local(at_ms, zone).strftime("%Y-%m-%d %H:%M:%S")


def month_day(at_ms: int, zone: tzinfo | None) -> str:
    """`11-28`."""
    return _local(at_ms, zone).strftime("%m-%d")


def clock(at_ms: int, zone: tzinfo | None) -> str:
    """`12:04`."""
    return _local(at_ms, zone).strftime("%H:%M")


def clock_seconds(at_ms: int, zone: tzinfo | None) -> str:
    """`12:04:31`."""
    return _local(at_ms, zone).strftime("%H:%M:%S")


def clock_millis(at_ms: int, zone: tzinfo | None) -> str:
    """`12:04:31.120`."""
    return f"{clock_seconds(at_ms, zone)}.{at_ms % 1000:03d}"


def parse_moment(text: str, near_ms: int, zone: tzinfo | None) -> int | None:
    """A point in time as a person types it: `12:04`, `12:04:31` (of the day of `near_ms`), a date with or without a
    time, or a span back from `near_ms` (`5m 2h 1d`). None when it is none of these."""
    unit, number = (_UNITS | {"s": SECOND, "m": MINUTE}).get(text[-1:]), text[:-1].removeprefix("-")
    if unit and number.isascii() and number.isdecimal() and len(number) < 6:
        return near_ms - int(number) * unit
    try:
        if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", text):
            day = _local(near_ms, zone)
            written = datetime.combine(day.date(), time.fromisoformat(text.zfill(len(text) + (text[1] == ":"))))
            return int(written.replace(tzinfo=zone).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None
    return _written(text, zone)


def parse_until(text: str, now_ms: int, zone: tzinfo | None) -> int | None:
    """A point in time to come, as a person types it: a date, a date with a time, or a span from now (`12h 30d 2w`).

    None when it is none of these, or has passed. A date alone means its beginning in `zone`.
    """
    span = parse_span(text)
    at_ms = now_ms + span if span is not None else _written(text, zone)
    return at_ms if at_ms is not None and now_ms < at_ms < _LATEST else None


def parse_since(text: str, now_ms: int, zone: tzinfo | None) -> int | None:
    """A point in time that has passed: a span ago, a date, or a date with a time; None when it is none of these."""
    span = parse_span(text)
    at_ms = now_ms - span if span is not None else _written(text, zone)
    return at_ms if at_ms is not None and 0 <= at_ms <= now_ms else None


def parse_span(text: str) -> int | None:
    """`12h`, `30d`, `2w` in ms; None for anything else."""
    unit, number = _UNITS.get(text[-1:]), text[:-1]
    return int(number) * unit if unit and number.isascii() and number.isdecimal() and len(number) < 6 else None


def _written(text: str, zone: tzinfo | None) -> int | None:
    try:
        written = datetime.fromisoformat(text)
        return int((written if written.tzinfo else written.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None


def _local(at_ms: int, zone: tzinfo | None) -> datetime:
    try:
        return datetime.fromtimestamp(at_ms / 1000, tz=UTC).astimezone(zone)
    except (OverflowError, OSError, ValueError):
        # A partner's clock can say anything; a nonsense moment must not take the screen down.
        return datetime.fromtimestamp(0, tz=UTC)
