"""What a person should look at, as one list: who is wanted for what, how urgent it is, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from embedded_scheduler.domain.space import Level, level_of
from embedded_scheduler.sentences import Words

DAY_MS = 86_400_000


class Severity(StrEnum):
    DECIDE = "decide"
    """Somebody waits for a person's decision."""
    ERROR = "error"
    WARNING = "warning"


_ORDER = {severity: place for place, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing to look at.

    `kind` names its sentence, which the reader makes in its own language from `facts`. `target` says what `subject` is
    the id of: job, contract, grant, peer, or node when it is about this node itself.
    """

    kind: str
    severity: Severity
    target: str
    subject: str
    name: str
    since_ms: int
    facts: Mapping[str, Words] = field(default_factory=dict)


def ordered(concerns: Iterable[Concern]) -> list[Concern]:
    """What is to be decided first, the longest waiting before the rest; then errors and warnings, the newest first."""

    def place(concern: Concern) -> tuple[int, int, str]:
        since = concern.since_ms if concern.severity is Severity.DECIDE else -concern.since_ms
        return _ORDER[concern.severity], since, concern.subject

    return sorted(concerns, key=place)


def ending(what: str, who: str, own_node: str, end_ms: int | None, now_ms: int, *, warn_days: int) -> Concern | None:
    """A certificate or contract that cannot be read, has ended, or ends within `warn_days`."""
    mine = what in ("own_certificate", "listener_certificate")
    target, subject = ("node", own_node) if mine else ("peer", who)
    if end_ms is None:
        return Concern(f"{what}_unreadable", Severity.ERROR, target, subject, who, now_ms)
    days = (end_ms - now_ms) // DAY_MS
    if days >= warn_days:
        return None
    if end_ms <= now_ms:
        return Concern(f"{what}_ended", Severity.ERROR, target, subject, who, end_ms)
    # Since it could be seen coming.
    return Concern(
        f"{what}_ends", Severity.WARNING, target, subject, who, end_ms - warn_days * DAY_MS, {"days": str(days)}
    )


def disk(own_node: str, free: int, now_ms: int, *, low: int, none_left: int) -> Concern | None:
    """Bytes that are free where the node's home is."""
    if free >= low:
        return None
    severity = Severity.ERROR if free < none_left else Severity.WARNING
    return Concern("disk", severity, "node", own_node, own_node, now_ms, {"free_mib": str(free // (1024 * 1024))})


def quota(own_node: str, used: int, most: int, now_ms: int) -> Concern | None:
    """Bytes that the node's files take of those that they may; `most` 0 = there is no quota."""
    level = level_of(used, most)
    if level is Level.FINE:
        return None
    severity = Severity.WARNING if level is Level.TIGHT else Severity.ERROR
    kind = "quota_over" if level is Level.FULL else "quota"
    return Concern(kind, severity, "node", own_node, own_node, now_ms, {"percent": str(100 * used // most)})


def partner(
    node_id: str,
    *,
    ok_ms: int | None,
    error_ms: int | None,
    error: Words,
    undelivered: int,
    oldest_ms: int | None,
    now_ms: int,
) -> Concern | None:
    """A partner that does not answer, or for which something waits for long although it answers."""
    if error_ms is not None and error_ms > (ok_ms or 0):
        facts: dict[str, Words] = {"error": error, "undelivered": str(undelivered)}
        severity = Severity.ERROR if undelivered else Severity.WARNING
        return Concern("partner_down", severity, "peer", node_id, node_id, ok_ms or error_ms, facts)
    if undelivered and oldest_ms is not None and now_ms - oldest_ms >= _LONG_MS:
        facts = {"undelivered": str(undelivered)}
        return Concern("undelivered", Severity.WARNING, "peer", node_id, node_id, oldest_ms, facts)
    return None


_LONG_MS = 10 * 60_000
