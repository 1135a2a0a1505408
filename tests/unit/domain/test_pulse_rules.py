"""The rules behind the home screen: what looks stuck, what a window of time is cut into, what needs a person."""

from __future__ import annotations

import pytest

from embedded_scheduler.domain.attention import DAY_MS, Concern, Severity, disk, ending, ordered, partner
from embedded_scheduler.domain.watchdog import Signs, first_look, is_stuck, look_again, rebased
from embedded_scheduler.domain.window import HOUR_MS, window

START = Signs(log_bytes=100, channel_bytes=5, cpu_seconds=1.0)
MINUTE = 60_000


@pytest.mark.parametrize(
    ("later", "moved"),
    [
        (START, None),
        (Signs(101, 5, 1.0), "log"),
        (Signs(99, 5, 1.0), "log"),
        (Signs(100, 6, 1.0), "channel"),
        (Signs(100, 5, 1.7), "cpu"),
        (Signs(100, 5, 1.1), None),
        (Signs(100, 5, 0.2), "cpu"),
        (Signs(100, 5, None), None),
    ],
    ids=["nothing", "log grew", "log was cut", "bytes", "computes", "polls only", "a child ended", "cannot be told"],
)
def test_what_is_a_sign_of_life(later: Signs, moved: str | None) -> None:
    seen = look_again(first_look(START, 0), later, MINUTE)
    times = {"log": seen.log_ms, "channel": seen.channel_ms, "cpu": seen.cpu_ms}
    assert times == {name: MINUTE if name == moved else 0 for name in times}
    assert seen.last_ms == (MINUTE if moved else 0)


@pytest.mark.parametrize(
    ("now", "patience", "stuck"), [(9, 10, False), (10, 10, True), (10**9, 0, False), (-5, 10, False)]
)
def test_stuck_is_a_matter_of_patience(now: int, patience: int, *, stuck: bool) -> None:
    assert is_stuck(first_look(START, 0), now * MINUTE, patience * MINUTE) is stuck


def test_a_clock_that_was_set_back_makes_nothing_stuck_for_long() -> None:
    assert rebased(first_look(START, 10 * MINUTE), MINUTE).last_ms == MINUTE


@pytest.mark.parametrize(
    ("hours", "steps", "step"), [(1, 1, 1), (24, 24, 1), (48, 48, 1), (168, 28, 6), (720, 30, 24), (8760, 53, 168)]
)
def test_windows_are_cut_into_few_steps(hours: int, steps: int, step: int) -> None:
    found = window(hours, 1_795_000_000_000)
    assert (found.steps, found.step_ms) == (steps, step * HOUR_MS)
    assert found.since_ms <= 1_795_000_000_000 < found.until_ms


def test_days_begin_at_local_midnight() -> None:
    east = 8 * HOUR_MS
    found = window(720, 1_795_000_000_000, east)
    assert (found.since_ms + east) % DAY_MS == 0


def concern(kind: str, severity: Severity, since_ms: int) -> Concern:
    return Concern(kind, severity, "job", kind, kind, since_ms)


def test_the_most_urgent_comes_first() -> None:
    decide, error, warning = Severity.DECIDE, Severity.ERROR, Severity.WARNING
    shuffled = [
        concern("w", warning, 9),
        concern("e-old", error, 1),
        concern("d-new", decide, 8),
        concern("e-new", error, 5),
        concern("d-old", decide, 2),
    ]
    assert [found.kind for found in ordered(shuffled)] == ["d-old", "d-new", "e-new", "e-old", "w"]


@pytest.mark.parametrize(
    ("what", "days", "kind"),
    [
        ("contract", 40, None),
        ("contract", 9, "contract_ends"),
        ("contract", -1, "contract_ended"),
        ("own_certificate", None, "own_certificate_unreadable"),
    ],
)
def test_endings(what: str, days: int | None, kind: str | None) -> None:
    end = None if days is None else days * DAY_MS + 1
    found = ending(what, "bob", "alice", end, 0, warn_days=30)
    assert (found.kind if found else None) == kind
    if found is not None:
        assert found.subject == ("alice" if what.startswith("own") else "bob")
        assert found.facts.get("days") == ("9" if kind == "contract_ends" else None)


@pytest.mark.parametrize(
    ("ok", "error", "undelivered", "oldest", "kind"),
    [
        (None, None, 0, None, None),
        (5, 4, 0, None, None),
        (4, 5, 0, None, "partner_down"),
        (None, 5, 3, 1, "partner_down"),
        (5, 4, 3, 99 * MINUTE, None),
        (5, 4, 3, 1, "undelivered"),
    ],
)
def test_partners(ok: int | None, error: int | None, undelivered: int, oldest: int | None, kind: str | None) -> None:
    found = partner(
        "bob", ok_ms=ok, error_ms=error, error="no", undelivered=undelivered, oldest_ms=oldest, now_ms=100 * MINUTE
    )
    assert (found.kind if found else None) == kind


def test_disk() -> None:
    assert disk("alice", 11, 0, low=10, none_left=5) is None
    low, none = disk("alice", 9, 0, low=10, none_left=5), disk("alice", 1, 0, low=10, none_left=5)
    assert low is not None
    assert none is not None
    assert (low.severity, none.severity) == (Severity.WARNING, Severity.ERROR)
