"""A stretch of time in equal steps that begin with the hour, or the day, of this machine's zone."""

from __future__ import annotations

from dataclasses import dataclass

HOUR_MS = 3_600_000
_STEPS = (1, 6, 24, 168)
"""Hours. The first that cuts the window into at most `_MOST` pieces is taken."""
_MOST = 48


@dataclass(frozen=True, slots=True)
class Window:
    """From `since_ms` to before `until_ms` (epoch ms)."""

    since_ms: int
    until_ms: int
    step_ms: int

    @property
    def steps(self) -> int:
        return (self.until_ms - self.since_ms) // self.step_ms


def window(hours: int, now_ms: int, offset_ms: int = 0) -> Window:
    """The last `hours`, the running step included. `offset_ms`: how far local time is ahead of UTC."""
    hours_each = next((step for step in _STEPS if hours <= step * _MOST), _STEPS[-1])
    step_ms = hours_each * HOUR_MS
    until_ms = ((now_ms + offset_ms) // step_ms + 1) * step_ms - offset_ms
    steps = max(1, -(-hours // hours_each))
    return Window(until_ms - steps * step_ms, until_ms, step_ms)
