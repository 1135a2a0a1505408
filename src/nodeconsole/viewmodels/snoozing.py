"""What a person put off for an hour: it stays listed, and does not stand first. Kept by this console alone."""

from __future__ import annotations

from collections.abc import Mapping

from nodeconsole.viewmodels.times import HOUR

SNOOZE_MS = HOUR
KEY = "approvals.snoozed"
"""The name under which the console remembers it: `<kind> <id>` and until when (epoch ms)."""


def asleep(stored: Mapping[str, object], now_ms: int) -> dict[str, int]:
    """Those that are put off at this moment."""
    return {key: until for key, until in stored.items() if isinstance(until, int) and until > now_ms}


def put_off(stored: Mapping[str, object], key: str, now_ms: int) -> dict[str, int]:
    """The same with `key` put off, or woken if it was; what is over is dropped."""
    known = asleep(stored, now_ms)
    if known.pop(key, None) is None:
        known[key] = now_ms + SNOOZE_MS
    return known
