"""Messages of the console family about requests between nodes, permits, published datasets and what was sent."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from embedded_scheduler.wire.console import ColumnRow, Message, Said, Telling


class PermitRow(Message):
    """`issued` = by this node, else to it. No token is ever shown. Limits are null when there are none."""

    issued: bool
    level: int
    request_node_id: str
    resource_node_id: str
    time_limit_ms: int | None = None
    times_limit: int | None = None
    used: int = 0


class GrantRow(Telling):
    """One request. `direction` in = a partner asked this node, out = this node asked `node_id`."""

    grant_id: str
    direction: str
    node_id: str
    kind: str
    resource_id: str
    name: str = ""
    audit_id: str
    contract_id: str = ""
    state: str
    reason: str = ""
    decided_by: str = ""
    approvals: list[str] = Field(default_factory=list)
    """Who approved so far, where several persons have to."""
    approvers_needed: int = 1
    """How many persons have to approve it here, while it waits for that."""
    created_ms: int
    since_ms: int
    permit: PermitRow | None = None
    open_jobs: list[str] = Field(default_factory=list)
    """Jobs under way that were admitted with its permit."""
    actions: list[str] = Field(default_factory=list)


class GrantPage(Message):
    grants: list[GrantRow]


class GrantDetail(Message):
    """`body` is the request as it was sent; `policy` what this node's policy said of it."""

    grant: GrantRow
    body: dict[str, Any] = Field(default_factory=dict)
    policy: list[str] = Field(default_factory=list)
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `policy`."""
    messages: list[MessageRow] = Field(default_factory=list)


class GrantRequest(Message):
    """`members`: those of the request's message beside the ids, e.g. `times_limit` of a dataset, `dag` of a flow."""

    kind: str
    node_id: str
    resource_id: str
    name: str = ""
    members: dict[str, Any] = Field(default_factory=dict)


class GrantDecision(Message):
    """Limits that are null are as the partner asked."""

    reason: str = Field(default="", max_length=2000)
    level: int | None = Field(default=None, ge=0, le=1000)
    times: int | None = Field(default=None, ge=1, lt=1 << 31)
    until_ms: int | None = Field(default=None, ge=0, lt=1 << 62)


class RevokeRequest(Message):
    reason: str = Field(default="", max_length=2000)
    stop_jobs: bool = False


class RevokeReply(Message):
    """`jobs`: open jobs that were admitted with the permit; stopped if that was asked, else they go on."""

    grant: GrantRow
    jobs: list[str] = Field(default_factory=list)


class PublicationRequest(Message):
    """`audience` empty = every partner with a contract; `columns` empty = all are shown."""

    access: str = "approval"
    audience: list[str] = Field(default_factory=list, max_length=1000)
    columns: list[str] = Field(default_factory=list, max_length=10_000)
    description: str = ""
    category: str = ""


class PublicationRow(Message):
    dataset_id: str
    access: str
    audience: list[str] = Field(default_factory=list)
    columns: list[ColumnRow] = Field(default_factory=list)
    description: str = ""
    category: str = ""
    registered: bool = True
    published_by: str = ""
    published_ms: int = 0


class PartnerDatasetRow(Message):
    """What a partner shows this node."""

    node_id: str
    dataset_id: str
    name: str = ""
    owner: str = ""
    rows: int | None = None
    description: str = ""
    columns: list[ColumnRow] = Field(default_factory=list)


class MessageRow(Telling):
    """One message to a partner. `state`: queued, sent (tried, no answer yet), stored (the partner said so), opened (a
    person there looked at it), decided, refused, withdrawn. `next_ms` is the next try."""

    told: ClassVar[tuple[str, ...]] = ("last_error",)

    id: int
    node_id: str
    operation: str
    subject: str
    """The request or job it is about."""
    state: str
    attempts: int = 0
    last_error: str = ""
    created_ms: int
    next_ms: int | None = None
    opened_ms: int | None = None
    actions: list[str] = Field(default_factory=list)
    """What the caller may do: resend."""


class MessagePage(Message):
    messages: list[MessageRow]


class MessageFile(Message):
    """A message, or the answer to one, to carry by hand; signed."""

    document: dict[str, Any]


GrantDetail.model_rebuild()


class PublicationList(Message):
    publications: list[PublicationRow]


class PartnerDatasetList(Message):
    datasets: list[PartnerDatasetRow]
