"""Messages of the console family about how the node is: figures, use of the machine, what needs a person."""

from __future__ import annotations

from pydantic import Field

from embedded_scheduler.wire.console import EventRow, JobRow, Message, PeerRow, Telling


class Took(Message):
    """How long jobs ran: median and 95th percentile in ms; None where none ran."""

    p50_ms: int | None = None
    p95_ms: int | None = None


class StatisticsBucket(Message):
    """One step of the window, by the time jobs ended."""

    start_ms: int
    created: int = 0
    succeeded: int = 0
    failed: int = 0
    stopped: int = 0
    rejected: int = 0
    other: int = 0
    """Over, with an outcome that is not known here."""
    p50_ms: int | None = None
    p95_ms: int | None = None


class StatisticsShare(Message):
    """Of one flow or one partner; `name` is a flow id or a node id."""

    name: str
    total: int
    succeeded: int
    failed: int
    last_ms: int
    p50_ms: int | None = None
    p95_ms: int | None = None


class FlowRun(Message):
    job_id: str
    state: str
    outcome: str | None = None


class FlowRuns(Message):
    """The newest runs of one flow, newest first."""

    flow_id: str
    runs: list[FlowRun] = Field(default_factory=list)


class Statistics(Message):
    """Jobs over the last `hours`, in steps that begin with the hour or day of the node's zone."""

    hours: int
    at_ms: int
    """When it was counted: the figures may be some seconds old."""
    since_ms: int
    until_ms: int
    step_ms: int
    buckets: list[StatisticsBucket] = Field(default_factory=list)
    took: Took = Field(default_factory=Took)
    success: float | None = None
    """Succeeded of succeeded and failed, 0 to 1; None when there was neither."""
    flows: list[StatisticsShare] = Field(default_factory=list)
    partners: list[StatisticsShare] = Field(default_factory=list)
    lately: list[FlowRuns] = Field(default_factory=list)


class ResourceSample(Message):
    """`cpu` in percent of all cores; bytes; bytes per second. None = it cannot be told (yet)."""

    at_ms: int
    cpu: int | None = None
    memory_used: int | None = None
    net_in: int | None = None
    net_out: int | None = None
    load: float = 0.0


class ResourceReport(Message):
    """The machine of the node, the newest sample last. Sampling goes on only while somebody asks."""

    samples: list[ResourceSample] = Field(default_factory=list)
    every_ms: int
    cores: int
    memory_total: int | None = None
    disk_free: int
    disk_total: int
    process_memory: int | None = None
    """Of the node's own process."""


class AttentionItem(Telling):
    """One thing that needs a person: decide (somebody waits), error or warning.

    `kind` names the sentence (`job_decision`, `job_failed`, `task_stuck`, `partner_down`, `contract_ends` …), `facts`
    are what stands in it. `target` says what `subject` is the id of: job, contract, grant, peer, node.
    """

    kind: str
    severity: str
    target: str
    subject: str
    name: str
    since_ms: int
    facts: dict[str, str] = Field(default_factory=dict)
    text: str = ""
    """The sentence in English."""

    @property
    def texts(self) -> dict[str, str]:
        return self.facts


class AttentionList(Message):
    items: list[AttentionItem] = Field(default_factory=list)
    left_out: int = 0
    """So many more there are."""


class Overview(Message):
    """What the home screen shows, in one answer."""

    attention: AttentionList
    statistics: Statistics
    running: list[JobRow] = Field(default_factory=list)
    """The newest jobs that run."""
    peers: list[PeerRow] = Field(default_factory=list)
    recent: list[EventRow] = Field(default_factory=list)
    """The newest events, newest first."""


class LedgerPage(Message):
    """Events, newest first. `next` continues below the last one that was looked at; there may be more although this
    page is short or empty: a call looks at a bounded number of events."""

    events: list[EventRow]
    next: int | None = None
