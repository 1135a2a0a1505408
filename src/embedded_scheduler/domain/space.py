"""What a node stores, how much of it there may be, and when something of it is removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DAY_MS = 86_400_000
WARN_AT, SOON_AT = 0.8, 0.9
"""Parts of the quota from which on the operator is warned, and warned urgently."""


@dataclass(frozen=True, slots=True)
class JobSpace:
    """Bytes of one job on this node."""

    results: int = 0
    logs: int = 0
    runs: int = 0
    channel: int = 0
    objects: int = 0
    """So many results there are, empty ones included."""
    has_logs: bool = False
    """There is a folder of logs, maybe an empty one."""

    @property
    def total(self) -> int:
        return self.results + self.logs + self.runs + self.channel


@dataclass(frozen=True, slots=True)
class Usage:
    """One look at everything. Bytes; `results` of a job and `datasets` without what is only linked here."""

    measured_ms: int
    took_s: float = 0.0
    jobs: Mapping[str, JobSpace] = field(default_factory=dict)
    datasets: Mapping[str, int] = field(default_factory=dict)
    """What was laid out of registered datasets for components, by dataset id."""
    other: int = 0
    """In the storage on this machine, of no job and no dataset that is known here."""
    records: int = 0
    """The database and its copies: they do not count against the quota."""
    storage: bool = True
    """False: what is in the storage could not be looked at, so results and datasets are missing here."""

    @property
    def total(self) -> int:
        """What counts against the quota."""
        return sum(job.total for job in self.jobs.values()) + sum(self.datasets.values()) + self.other

    def by_kind(self) -> dict[str, int]:
        """In the order in which they are shown."""
        jobs = self.jobs.values()
        return {
            "results": sum(job.results for job in jobs),
            "datasets": sum(self.datasets.values()),
            "logs": sum(job.logs for job in jobs),
            "runs": sum(job.runs for job in jobs),
            "channel": sum(job.channel for job in jobs),
            "other": self.other,
            "records": self.records,
        }


class Level(StrEnum):
    FINE = "fine"
    TIGHT = "tight"
    SOON = "soon"
    """Nearly full."""
    FULL = "full"
    """New jobs are refused."""


def level_of(used: int, quota: int) -> Level:
    """Of what is stored against the quota; 0 = there is none."""
    if quota <= 0 or used < WARN_AT * quota:
        return Level.FINE
    if used >= quota:
        return Level.FULL
    return Level.SOON if used >= SOON_AT * quota else Level.TIGHT


def free_level(free: int, keep: int, low: int) -> Level:
    """Of a file system that has `free` bytes left, of which `keep` are not for new jobs; below `low` it is tight."""
    if free < keep:
        return Level.FULL
    return Level.TIGHT if free < max(low, 2 * keep) else Level.FINE


def removal_ms(ended_ms: int | None, days: int, *, kept: bool) -> int | None:
    """When a job's results are removed; None = never, or not before the job is over."""
    return None if kept or not days or ended_ms is None else ended_ms + days * DAY_MS
