"""Messages of the console family about identity, invitations and contracts."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from embedded_scheduler.wire.console import Message, Telling


class IdentityFile(Message):
    """One file of the identity: what it is, who may have it, when it ends."""

    path: str
    text: str


class IdentityRow(Message):
    """Who this node is. `certificate` and `public_key` are PEM; `next_fingerprint` is that of a rotation under way, for
    which the partners in `waiting_for` have not acknowledged the new key yet."""

    node_id: str
    inst_id: str = ""
    institution: str = ""
    address: str = ""
    fingerprint: str
    algorithm: str
    certificate: str
    public_key: str
    not_before_ms: int
    not_after_ms: int
    issuer: str = ""
    files: list[IdentityFile] = Field(default_factory=list)
    next_fingerprint: str = ""
    waiting_for: list[str] = Field(default_factory=list)
    previous_fingerprint: str = ""


class RotateRequest(Message):
    force: bool = False
    """Switch although partners have not acknowledged the new key."""


class CertificateRequest(Message):
    certificate: str = Field(max_length=65_536)
    """PEM."""


class CsrReply(Message):
    csr: str


class InvitationRequest(Message):
    hours: float = 24
    address: str = Field(default="", max_length=2000)
    """Where the partner reaches this node; empty = as its settings say."""


class InvitationReply(Message):
    """The code is shown this once."""

    code: str
    id: str
    address: str
    expires_ms: int


class InvitationRow(Message):
    """`ended`: used, revoked, wrong proofs; empty = it is good until it expires."""

    id: str
    address: str
    expires_ms: int
    created_ms: int
    created_by: str
    contract_id: str = ""
    wrong: int = 0
    ended: str = ""


class InvitationList(Message):
    invitations: list[InvitationRow]


class JoinRequest(Message):
    code: str = Field(max_length=8192)
    address: str = Field(default="", max_length=2000)
    """Where the partner reaches this node; empty = as its settings say."""


class ApplyRequest(Message):
    node_id: str = Field(max_length=256)
    url: str = Field(max_length=2000)
    fingerprint: str = Field(default="", max_length=64)
    """Of the partner's key, if it is known beforehand."""
    address: str = Field(default="", max_length=2000)
    """Where the partner reaches this node; empty = as its settings say."""


class ContractRow(Telling):
    """`words` are to be compared with the partner's; `side`: applicant (we asked), callee (we were asked), manual."""

    contract_id: str
    node_id: str
    side: str
    state: str
    address: str = ""
    inst_id: str = ""
    institution: str = ""
    name: str = ""
    system: str = ""
    system_version: str = ""
    description: str = ""
    auth_type: str = ""
    fingerprint: str = ""
    previous_fingerprint: str = ""
    previous_until_ms: int | None = None
    certificate_ends_ms: int | None = None
    expires_ms: int | None = None
    invitation: str = ""
    partner_decision: str = ""
    compared_by: str = ""
    decided_by: str = ""
    reason: str = ""
    created_ms: int = 0
    since_ms: int = 0
    words: str = ""
    next: str = ""
    """What is waited for, in a sentence; empty = nothing."""
    undelivered: str = ""
    """The last error of what the partner is to be told and has not taken; empty = nothing waits."""
    actions: list[str] = Field(default_factory=list)
    """What the caller may do: confirm, refuse, terminate."""
    approvals: list[str] = Field(default_factory=list)
    """Who compared the words so far, where several persons have to."""
    approvers_needed: int = 1
    """How many persons have to, while it waits for that."""


class ContractList(Message):
    contracts: list[ContractRow]


class WordsRequest(Message):
    words: str = Field(max_length=500)
    """As the partner's operator read them out."""


class ReasonRequest(Message):
    reason: str = Field(default="", max_length=2000)


class ManualContractRequest(Message):
    """A contract without the protocol: the partner's key came by another way."""

    node_id: str
    url: str
    auth_type: str
    auth_credential: str = Field(max_length=16_384)
    profile: str = "seed"
    approval: str = "manual"
    options: dict[str, Any] = Field(default_factory=dict)
