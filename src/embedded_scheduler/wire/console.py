"""Messages of the console family (`/v1/console/…`, unix socket only). The terminal app and the CLI read these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from embedded_scheduler.sentences import Fact, Sentence, Words


class Message(BaseModel):
    """Base: unknown members are ignored on reading, so an older console can read a newer node."""

    # Built when first used: a node that starts, or a command, needs few of them.
    model_config = ConfigDict(extra="ignore", defer_build=True)


class Said(Message):
    """One of the node's own sentences, for a reader that has it in its own language: a code of `sentences` and
    its facts."""

    code: str
    facts: dict[str, int | str | Said | list[str | Said]] = Field(default_factory=dict)


class Telling(Message):
    """A message with texts that were stored, or made of such: `told` names them, `said` has what those are made of that
    are sentences of the node. It is filled in on the way out (`api.console.telling`)."""

    told: ClassVar[tuple[str, ...]] = ("reason",)

    @property
    def texts(self) -> dict[str, str]:
        """What is told, by name."""
        return {name: getattr(self, name) for name in self.told}

    said: dict[str, Said] = Field(default_factory=dict)


def said(**parts: Words | Sequence[Words]) -> dict[str, Said]:
    """Those of a message's members that are sentences of the node, by the member's name; those of a list by
    `name.place`."""
    found: dict[str, Said] = {}
    for name, words in parts.items():
        if isinstance(words, Sentence):
            found[name] = _said(words)
        elif not isinstance(words, str):
            found |= {f"{name}.{n}": _said(each) for n, each in enumerate(words) if isinstance(each, Sentence)}
    return found


def _said(sentence: Sentence) -> Said:
    return Said(code=sentence.code, facts={name: _fact(fact) for name, fact in sentence.facts.items()})


def _fact(fact: Fact) -> int | str | Said | list[str | Said]:
    if isinstance(fact, tuple):
        return [_said(part) if isinstance(part, Sentence) else part for part in fact]
    return _said(fact) if isinstance(fact, Sentence) else fact


class Waiting(Message):
    """Why something is not over yet: by whom, on what, since when, what comes next by itself, what one can do."""

    blocked_by: str
    on: str
    since_ms: int
    next: str = ""
    next_ms: int | None = None
    actions: list[str] = Field(default_factory=list)
    """Names of actions of the same object that would help, e.g. `approve`, `stop`."""
    text: str = ""
    """The whole line in English."""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `blocked_by`, `on` and `next`: those that are sentences, not names."""
    stuck_ms: int | None = None
    """What runs has shown no sign of life since then (no log, no byte, no CPU time): it looks stuck."""


class Stuck(Message):
    """What runs here without a sign of life. Times are epoch ms, as far as the node has watched; it is not ended."""

    attempt_id: str
    party: str
    since_ms: int
    """The last sign of any kind."""
    log_ms: int
    channel_ms: int
    cpu_ms: int
    partners_ms: dict[str, int] = Field(default_factory=dict)
    """The last sign of life of each other node of the task: its last message in the session, or its last answer."""


class Problem(Message):
    """RFC 9457 problem details; `code` is our stable error code."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    code: str = ""
    said: dict[str, Said] = Field(default_factory=dict)
    """`detail`, where it is one of the node's own sentences."""


class NodeStatus(Message):
    node_id: str
    version: str
    pid: int
    started_ms: int
    now_ms: int
    home: str
    listen: str
    platform: str
    exhibit: bool = False
    """A node to look at: its partners and components are stand-ins."""
    jobs: dict[str, int] = Field(default_factory=dict)
    """Count per job state, plus `waiting` = jobs that wait for this node's decision."""
    contracts_waiting: int = 0
    """Contracts whose words nobody here has compared yet."""
    grants_waiting: int = 0
    """Requests of partners that wait for this node's decision."""
    warnings: list[Finding] = Field(default_factory=list)
    """What `doctor` says all the time, too: `check` is unsigned, plain_http, certificate, containment or platform."""
    actions: list[str] = Field(default_factory=list)
    """What the caller may do that belongs to no object: invite, join."""
    peers: int = 0
    last_seq: int = 0
    read_only: bool = False
    """The caller may only look."""
    operator: str = ""
    """Whom the node takes the caller for: a user name."""
    role: str = "admin"
    """Of the caller: viewer, approver, admin."""


class ShareRow(Telling):
    """One party's share of a task, as this node knows it."""

    role: str
    index: int
    node_id: str
    state: str
    outcome: str | None = None
    reason: str = ""
    since_ms: int = 0
    exit_code: int | None = None
    attempt_id: str = ""
    runner: str = ""
    """What runs, or ran, its newest attempt here."""
    where: str = ""
    """Where, in the runner's words; empty = on the node's machine."""
    local: bool = False
    started_ms: int | None = None
    ended_ms: int | None = None


class TaskRow(Message):
    name: str
    task_id: str = ""
    component: str
    provider: str = ""
    version: str = ""
    state: str
    cancelled: bool = False
    since_ms: int = 0
    started_ms: int | None = None
    ended_ms: int | None = None
    upstream: list[str] = Field(default_factory=list)
    shares: list[ShareRow] = Field(default_factory=list)
    waiting: Waiting | None = None
    stuck: list[Stuck] = Field(default_factory=list)
    actions: list[str] = Field(default_factory=list)


class JobRow(Telling):
    """One line of the job list. `cursor` continues the list after this row."""

    job_id: str
    flow_id: str = ""
    state: str
    outcome: str | None = None
    reason: str = ""
    initiator: str
    coordinator: str
    parties: list[str] = Field(default_factory=list)
    """`guest:alice` …"""
    components: list[str] = Field(default_factory=list)
    tasks_done: int = 0
    tasks_total: int = 0
    created_ms: int
    started_ms: int | None = None
    ended_ms: int | None = None
    updated_seq: int = 0
    needs_decision: bool = False
    approvers_needed: int = 1
    """How many persons have to approve it here, while it waits for that."""
    approved_by: list[str] = Field(default_factory=list)
    """Who did so far: `operator:<user>`."""
    waiting: Waiting | None = None
    stuck: list[str] = Field(default_factory=list)
    """Tasks that run here and look stuck."""
    actions: list[str] = Field(default_factory=list)
    cursor: str = ""


class JobPage(Message):
    """A page can hold fewer jobs than asked for, even none, and yet have a `next`: a search goes on from there."""

    jobs: list[JobRow]
    next: str | None = None
    searched: int = 0
    """So many jobs have been looked at, this page and those before."""
    total: int = 0
    """So many there are."""


class ApprovalRow(Telling):
    node_id: str
    state: str
    reason: str = ""
    decided_by: str = ""
    since_ms: int = 0


class Cover(Message):
    """A grant of this node that lets one of the askers use a dataset. Limits are null when there are none."""

    grant_id: str
    node_id: str
    until_ms: int | None = None
    times: int | None = None
    used: int = 0
    counted: bool = False
    """This job was counted against it when it came: the dataset needs a permit, and this is the one that was shown."""


class DataUse(Message):
    """One of our datasets as the job would use it."""

    task: str
    dataset: str
    columns: list[str] = Field(default_factory=list)
    """All that it has."""
    named: list[str] = Field(default_factory=list)
    """Those that the reader's parameters name. A component can read the whole table."""
    rows: int | None = None
    found: bool = True
    note: str = ""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `note`."""
    access: str = ""
    """permit: partners need one for it; approval: published, decided per job; empty: it is shown to nobody."""
    covered_by: list[Cover] = Field(default_factory=list)


class Asker(Message):
    """Who asks, as far as it can be proved. `signing`: whether its requests must be signed with the key of its
    contract; only `required` means that this one was."""

    node_id: str
    institution: str = ""
    fingerprint: str = ""
    contract: str = ""
    """State of the contract; empty = there is none."""
    contract_since_ms: int | None = None
    certificate_ends_ms: int | None = None
    signing: str = ""
    resembles: str = ""
    """Another partner whose name is easily mistaken for this one."""


class Part(Message):
    """One component of the job: what it is, whether the last approved run had it, and what leaves this node by it."""

    task: str
    provider: str = ""
    name: str
    version: str = ""
    ours: bool = True
    """This node runs a part of it."""
    known: bool = True
    """It is registered here."""
    new: bool = False
    """The last approved run did not have it; always false when there was none."""
    leaves: list[str] = Field(default_factory=list)
    """In the component author's words."""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `leaves`, what the node says itself."""


class Changed(Message):
    """One difference: `before` empty = it is new, `after` empty = it is gone."""

    aspect: str
    name: str
    where: str = ""
    before: str = ""
    after: str = ""


class Precedent(Message):
    """The job compared with `other`. `more`: differences beyond those listed."""

    other: str
    decided_ms: int = 0
    decided_by: str = ""
    changes: list[Changed] = Field(default_factory=list)
    more: int = 0


class TrackRecord(Message):
    """What was decided here on one initiator's jobs since `since_ms`. `complete` false: there were more of them."""

    since_ms: int
    approved: int = 0
    rejected: int = 0
    same_flow: int = 0
    last_approved_ms: int | None = None
    complete: bool = True


class JobDifference(Message):
    job_id: str
    precedent: Precedent | None = None
    """None = no job of this flow by this initiator was approved here before."""
    record: TrackRecord


class DecisionCard(Message):
    """What an operator needs to decide: who asks, what runs, which of our data, what leaves the node."""

    asker: Asker
    coordinator: Asker | None = None
    """Whoever drives it, where that is neither the asker nor this node: the request carries its signature."""
    our_roles: list[str]
    parts: list[Part]
    data: list[DataUse] = Field(default_factory=list)
    problems: list[str] = Field(default_factory=list)
    """Why it cannot be approved as things stand (missing component, unknown dataset); empty = it can."""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `problems`."""
    difference: JobDifference
    running: int = 0
    """Jobs under way on this node."""
    resources: dict[str, float] = Field(default_factory=dict)
    """What the job asks of this node (`cpu` cores, `memory` and `disk` GiB), where it says so."""


class StopRow(Telling):
    """How far a stop has come at one node: asked, confirmed, refused, abandoned."""

    told: ClassVar[tuple[str, ...]] = ("error",)

    node_id: str
    state: str
    error: str = ""
    """Why the last try to tell it failed."""


class Keeping(Message):
    """What becomes of a job's results on this node. Epoch ms."""

    kept_ms: int | None = None
    """Since then they are kept for good."""
    kept_by: str = ""
    removed_ms: int | None = None
    removed_by: str = ""
    """`operator:<user>`; `node` = they were old enough."""
    removal_ms: int | None = None
    """When they are removed; None = never, or not before the job is over."""
    actions: list[str] = Field(default_factory=list)
    """keep, release, discard; only as part of a job."""


class JobDetail(Message):
    job: JobRow
    tasks: list[TaskRow]
    approvals: list[ApprovalRow] = Field(default_factory=list)
    card: DecisionCard | None = None
    spec: dict[str, Any] = Field(default_factory=dict)
    results: list[ResultRow] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    policy: list[str] = Field(default_factory=list)
    """What this node's policy said of the job when it came, sentence by sentence; empty = it was not asked."""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `warnings` and `policy`."""
    keeping: Keeping = Field(default_factory=Keeping)
    stops: list[StopRow] = Field(default_factory=list)
    """Who is asked to stop, as far as this node does the asking; empty = nobody asked for it."""


class ResultRow(Message):
    """Something a task of ours stored. `path` is its file when the storage is local."""

    task: str
    party: str
    output: str
    type: str
    namespace: str
    name: str
    size: int
    path: str = ""
    format: str = ""
    """csv, parquet or json, where what is stored beside a table says so."""
    rows: int | None = None
    columns: list[ColumnRow] = Field(default_factory=list)


class Decision(Message):
    """Body of approve and reject."""

    reason: str = Field(default="", max_length=2000)


class StopRequest(Message):
    task_name: str = Field(default="", max_length=128)
    reason: str = Field(default="", max_length=2000)


class SubmitRequest(Message):
    """A job file: the specification's `{flow_id, dag, config}`."""

    model_config = ConfigDict(extra="allow")

    dag: dict[str, Any]
    config: dict[str, Any]
    flow_id: str | None = None


class SubmitReply(Message):
    job_id: str
    state: str
    nodes: dict[str, str] = Field(default_factory=dict)


class LogPage(Message):
    """Lines `start` … of one log. Bytes that are not UTF-8 are shown as \\xNN; `get_log` serves the exact bytes."""

    start: int
    lines: list[str]
    total: int
    complete: bool = False
    """The end marker has been written: no line will follow."""
    counts: dict[str, int] = Field(default_factory=dict)
    """Lines per level filter: debug (all), info, warn, error."""
    times: list[int | None] = Field(default_factory=list)
    """When asked for: the time each line begins with, in Unix epoch milliseconds; None = it names none."""


class DatasetRequest(Message):
    name: str
    namespace: str = ""
    connector: str
    options: dict[str, Any] = Field(default_factory=dict)
    description: str = ""


class ColumnRow(Message):
    name: str
    type: str


class DatasetRow(Message):
    namespace: str
    name: str
    dataset_id: str
    """`<namespace>#<name>`"""
    connector: str
    options: dict[str, Any] = Field(default_factory=dict)
    description: str = ""
    columns: list[ColumnRow] = Field(default_factory=list)
    rows: int = 0
    size_bytes: int = 0
    fingerprint: str = ""
    registered_ms: int = 0
    actions: list[str] = Field(default_factory=list)
    """What the caller may do: rescan, remove, publish."""


class ConnectorRow(Message):
    """A kind of source that datasets can be read from. `options` is a JSON schema of its options; empty = the connector
    does not describe them."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    datasets: int = 0
    """How many datasets are read with it."""


class ConnectorList(Message):
    connectors: list[ConnectorRow]


class DatasetJob(Message):
    """A job whose task reads a dataset here. `decision`: state of this node's approval."""

    job_id: str
    flow_id: str = ""
    task: str
    state: str
    outcome: str | None = None
    initiator: str
    decision: str = ""
    created_ms: int


class DatasetUsage(Message):
    """Newest first. `looked_at`: so many of the newest jobs were looked at; `complete`: those were all."""

    jobs: list[DatasetJob] = Field(default_factory=list)
    looked_at: int = 0
    complete: bool = True


class ComponentRequest(Message):
    """As the platform's component/register: address and self-description, stored as sent."""

    imageUrl: str
    component_info: dict[str, Any]
    runner: str | None = None
    """Which runner is to run it: "" = the node's rules decide, None = as it was registered before."""


class ComponentRow(Message):
    provider: str
    name: str
    version: str
    code: str
    title: str = ""
    description: str = ""
    image_url: str
    roles: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    registered_ms: int = 0
    runnable: bool = True
    why_not: str = ""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `why_not`."""
    runner: str = ""
    """The runner that it is registered for; empty = the node's rules decide."""
    pack: str = ""
    """The component pack that it came with, `<name>/<version>`; empty = none."""
    enabled: bool = True
    registered_by: str = ""
    digest: str = ""
    """SHA-256 of the self-description."""
    inputs: list[PortRow] = Field(default_factory=list)
    outputs: list[PortRow] = Field(default_factory=list)
    parameters: int = 0
    actions: list[str] = Field(default_factory=list)
    manifest: dict[str, Any] = Field(default_factory=dict)


class PortRow(Message):
    name: str
    type: str
    description: str = ""
    required: bool = False


class ComponentCheck(Message):
    """What a registration would be; nothing is stored."""

    component: ComponentRow
    replaces: bool = False
    """The same provider, name and version are registered with another description or address."""
    unchanged: bool = False


class ComponentState(Message):
    """Body of enable and disable."""

    reason: str = Field(default="", max_length=2000)


class PartnerComponentRow(Message):
    code: str
    version: str
    provider: str = ""


class PartnerComponentList(Message):
    components: list[PartnerComponentRow]


class ComponentMatch(Message):
    """What a partner has of a component that it needs for a job. `match`: same, listed, different, disabled,
    other_version, missing, unknown; `wrong`: the job will probably fail there; `sentence`: about it in English."""

    node_id: str
    tasks: list[str]
    provider: str
    name: str
    version: str
    match: str
    wrong: bool = False
    versions: list[str] = []
    note: str = ""
    sentence: str = ""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `note` and `sentence`."""


class JobCompatibility(Message):
    job_id: str
    components: list[ComponentMatch]


class ChoiceRow(Message):
    value: str
    label: str = ""


class ChoiceList(Message):
    choices: list[ChoiceRow]


class JobCheck(Message):
    """What would become of a job; nothing is stored or sent."""

    problems: list[str] = Field(default_factory=list)
    """Why it would be refused, or could not run here; empty = it can be submitted."""
    warnings: list[str] = Field(default_factory=list)
    coordinator: str = ""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `problems` and `warnings`."""


class PeerRequest(Message):
    node_id: str
    url: str
    profile: str = "seed"
    approval: str = "manual"
    options: dict[str, Any] = Field(default_factory=dict)
    """Traits of the profile overridden for this partner."""
    signing: str = "required"
    """required, verify-if-present or off: whether its requests must be signed with the key of its contract."""
    tls: str = "identity"
    """What its TLS server must show: identity (a key of the contract), ca (a certificate that a CA vouches for), or the
    SHA-256 fingerprint of a key."""


class TraitRow(Message):
    """One trait of a partner. `own`: it was set for this partner, else it comes with the profile."""

    name: str
    value: Any
    own: bool = False


class PeerRow(Telling):
    told: ClassVar[tuple[str, ...]] = ("last_error",)

    node_id: str
    url: str
    profile: str
    approval: str
    options: dict[str, Any] = Field(default_factory=dict)
    registered_ms: int = 0
    last_ok_ms: int | None = None
    last_error: str = ""
    last_error_ms: int | None = None
    took_ms: int | None = None
    """How long its last answer took."""
    undelivered: int = 0
    signing: str = "off"
    tls: str = "identity"
    contract: str = ""
    """State of the newest contract with it: APPLIED, APPROVED, REJECTED, TERMINATED; empty = there is none."""
    open_jobs: int = 0
    """Jobs it takes part in that are not over."""
    traits: list[TraitRow] = Field(default_factory=list)
    """Of one partner that is looked at; empty in lists."""
    actions: list[str] = Field(default_factory=list)
    """What the caller may do: change, test, remove."""


class EventRow(Telling):
    """One event of the ledger: audit record and stream item alike."""

    seq: int
    at_ms: int
    subject: str
    subject_id: str
    job_id: str = ""
    event: str
    source: str | None = None
    target: str | None = None
    actor: str
    reason: str = ""
    trace_id: str = ""
    data: dict[str, Any] = Field(default_factory=dict)
    prev_hash: str = ""
    hash: str = ""
    """Its place in the chain; only in pages of `/ledger`."""


class EventPage(Message):
    events: list[EventRow]
    next: int | None = None


class LedgerReport(Message):
    ok: bool
    events: int
    last_seq: int
    last_hash: str
    fault: str = ""


class Finding(Message):
    """One line of `doctor`: level is ok, warning or error."""

    check: str
    level: str
    text: str
    fix: str = ""
    subject: str = ""
    """Whom or what it is about, where it is about one: a node id, an address."""
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `text` and `fix`: those that are the node's own sentences."""

    @classmethod
    def of(cls, check: str, level: str, text: Words, fix: Words = "", subject: str = "") -> Finding:
        words = said(text=text, fix=fix)
        return cls(check=check, level=level, text=str(text), fix=str(fix), subject=subject, said=words)


class DoctorReport(Message):
    findings: list[Finding]


ComponentRow.model_rebuild()
JobDetail.model_rebuild()
NodeStatus.model_rebuild()


class DatasetList(Message):
    datasets: list[DatasetRow]


class ComponentList(Message):
    components: list[ComponentRow]


class PeerList(Message):
    peers: list[PeerRow]
