"""Messages of the console family about the disk: what the node stores and what of it can be removed."""

from __future__ import annotations

from pydantic import Field

from embedded_scheduler.wire.console import Message, Said


class JobSpaceRow(Message):
    """Bytes of one job. `state` empty: the node knows no such job."""

    job_id: str
    flow_id: str = ""
    state: str = ""
    outcome: str | None = None
    ended_ms: int | None = None
    results: int = 0
    logs: int = 0
    runs: int = 0
    channel: int = 0
    total: int = 0
    kept: bool = False
    removal_ms: int | None = None
    """When its results are removed by themselves."""
    actions: list[str] = Field(default_factory=list)


class DatasetSpaceRow(Message):
    """What was laid out of a registered dataset for components."""

    dataset_id: str
    size: int


class SpaceReport(Message):
    """`level`: fine, tight, soon or full (new jobs are refused), of the quota and of the disk the worse. Bytes."""

    measured_ms: int
    level: str
    refusal: str = ""
    """Why new jobs are refused, in English."""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `refusal`."""
    quota: int = 0
    """0 = there is none."""
    used: int = 0
    """What counts against the quota: all kinds but `records`."""
    disk_free: int = 0
    disk_total: int = 0
    disk_keep: int = 0
    """New jobs are refused while less than this is free."""
    kinds: dict[str, int] = Field(default_factory=dict)
    """results, datasets, logs, runs, channel, other, records."""
    storage: str = ""
    """Where results and datasets are, if not on this machine."""
    storage_seen: bool = True
    """False: what is there could not be counted."""
    jobs: list[JobSpaceRow] = Field(default_factory=list)
    """The largest, largest first."""
    jobs_total: int = 0
    datasets: list[DatasetSpaceRow] = Field(default_factory=list)


class Discarded(Message):
    """So much was removed."""

    objects: int
    size: int
