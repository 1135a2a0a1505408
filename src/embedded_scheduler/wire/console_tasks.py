"""Messages of the console family about one task, what it stored, and the runs of one flow."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from embedded_scheduler.wire.console import JobRow, Message, Said, TaskRow, Telling


class LinkRow(Message):
    """What a component exchanged with one node under one topic. `...` = further topics together."""

    node_id: str
    topic: str
    received: int = 0
    received_bytes: int = 0
    sent: int = 0
    sent_bytes: int = 0


class TrafficRow(Message):
    """What an attempt did on the channel. Calls at the same time count once."""

    waiting_ms: int
    """A read was waiting for a message of another party."""
    sending_ms: int
    """A message was on its way to a partner's node."""
    partial: bool = False
    """The node was started anew meanwhile: what happened before is missing."""
    links: list[LinkRow] = Field(default_factory=list)


class LimitRow(Message):
    """What an attempt may use: cpu (cores), memory and disk (GiB), hours. `origin`: job, component or node; `asked`:
    what was wanted, where the node gives less."""

    kind: str
    value: float
    origin: str
    asked: float | None = None


class AttemptRow(Telling):
    """One run of a share on this node. Times are epoch ms; None = has not happened."""

    attempt_id: str
    party: str
    number: int
    runner: str = ""
    where: str = ""
    """Where it runs, in the runner's words; empty = on the node's machine."""
    ready_ms: int | None = None
    """When the share became ready; known of the first attempt."""
    created_ms: int
    launched_ms: int | None = None
    called_ms: int | None = None
    """When the component first reported itself; many never do."""
    ended_ms: int | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    reason: str = ""
    reported: str = ""
    """The last status of itself that the component told."""
    traffic: TrafficRow | None = None
    """None = it did not use the channel, or ran before this was measured."""
    cause: str = ""
    """Why it failed: memory, disk, time, signal, refused, image, engine, reported, exit; empty = it did not."""
    limits: list[LimitRow] = Field(default_factory=list)
    peak_bytes: int | None = None
    """The most memory it used; None = not measured."""
    usual_peak_bytes: int | None = None
    """The most that earlier runs of this component here used."""


class TaskDetail(Message):
    job_id: str
    task: TaskRow
    attempts: list[AttemptRow] = Field(default_factory=list)
    """Of this node alone."""


class ResultPreview(Message):
    """The beginning of what a task stored on this node."""

    task: str
    party: str
    output: str
    kind: str
    """table, document (JSON), text or binary (nothing of it is shown)."""
    size: int
    columns: list[str] = Field(default_factory=list)
    rows: list[list[str]] = Field(default_factory=list)
    total: int | None = None
    """How many rows the table has; None = it is longer than what was read."""
    document: Any = None
    text: str = ""
    whole: bool = True
    """Nothing is left out."""
    why: str = ""
    """Of kind binary: why a table is not shown, in English."""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `why`."""


class FlowRun(Message):
    job: JobRow
    tasks: dict[str, str] = Field(default_factory=dict)
    """State per task: PENDING … FAILED, or CANCELLED."""


class FlowRuns(Message):
    """The newest runs of one flow, newest first, and all tasks that occur in them, in the order of the flow."""

    flow_id: str
    tasks: list[str] = Field(default_factory=list)
    runs: list[FlowRun] = Field(default_factory=list)
    next: str | None = None
