"""What looks stuck: a running attempt that writes no log, moves no byte and uses no CPU. A fact, never a verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace

_BUSY = 0.01
"""Share of one core. A component that waits in a loop uses a little CPU without getting anywhere."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What an attempt has done so far, as counters that move only when it does something.

    `cpu_seconds` None = it cannot be told.
    """

    log_bytes: int
    channel_bytes: int
    cpu_seconds: float | None


@dataclass(frozen=True, slots=True)
class Vital:
    """When each counter moved last (epoch ms), as far as this node has watched."""

    signs: Signs
    at_ms: int
    log_ms: int
    channel_ms: int
    cpu_ms: int

    @property
    def last_ms(self) -> int:
        """The last sign of life."""
        return max(self.log_ms, self.channel_ms, self.cpu_ms)


def first_look(signs: Signs, now_ms: int) -> Vital:
    """Watched from now on: what was before is not known, so nothing is stuck yet."""
    return Vital(signs, now_ms, log_ms=now_ms, channel_ms=now_ms, cpu_ms=now_ms)


def look_again(before: Vital, signs: Signs, now_ms: int) -> Vital:
    return Vital(
        signs=signs,
        at_ms=now_ms,
        log_ms=now_ms if signs.log_bytes != before.signs.log_bytes else before.log_ms,
        channel_ms=now_ms if signs.channel_bytes != before.signs.channel_bytes else before.channel_ms,
        cpu_ms=now_ms if _computes(before, signs, now_ms) else before.cpu_ms,
    )


def _computes(before: Vital, signs: Signs, now_ms: int) -> bool:
    earlier, later = before.signs.cpu_seconds, signs.cpu_seconds
    if earlier is None or later is None:
        # Nothing can be told: the other signs decide, so this one is never the latest.
        return False
    seconds = max(0.001, (now_ms - before.at_ms) / 1000)
    # A process that ended takes its time with it: the sum falls, which is a sign of life too.
    return later < earlier or (later - earlier) / seconds >= _BUSY


def is_stuck(vital: Vital, now_ms: int, patience_ms: int) -> bool:
    """Nothing moved for as long as `patience_ms`; 0 = the question is not asked. A clock that was set back says no."""
    return patience_ms > 0 and now_ms - vital.last_ms >= patience_ms


def rebased(vital: Vital, now_ms: int) -> Vital:
    """The clock was set back: moments that lie ahead become now."""
    return replace(
        vital,
        at_ms=min(vital.at_ms, now_ms),
        log_ms=min(vital.log_ms, now_ms),
        channel_ms=min(vital.channel_ms, now_ms),
        cpu_ms=min(vital.cpu_ms, now_ms),
    )
