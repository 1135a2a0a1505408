"""Messages about nodes and contracts (management layer §1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from embedded_scheduler.wire.bfia.headers import SECONDS_BELOW
from embedded_scheduler.wire.bfia.message import Identifier, Message, OptionalText, upper

Address = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
AuthType = Annotated[str, StringConstraints(min_length=1, max_length=40), BeforeValidator(upper)]
Credential = Annotated[str, StringConstraints(min_length=1, max_length=16_384)]
Decision = Annotated[Literal["APPROVED", "REJECTED"], BeforeValidator(upper)]


def _empty_for_null(value: object) -> object:
    return "" if value is None else value


OptionalCredential = Annotated[str, StringConstraints(max_length=16_384), BeforeValidator(_empty_for_null)]
OptionalAuthType = Annotated[
    str, StringConstraints(max_length=40), BeforeValidator(upper), BeforeValidator(_empty_for_null)
]
Moment = Annotated[int, Field(ge=0, lt=10**16), BeforeValidator(lambda value: 0 if value in (None, "") else value)]
"""Milliseconds or seconds since the epoch; 0, null or missing = never."""


def moment_ms(value: int) -> int | None:
    """Epoch milliseconds of a `Moment`; None = never."""
    if value == 0:
        return None
    return value * 1000 if value < SECONDS_BELOW else value


class Invited(Message):
    """Extension of an application: it comes by an invitation code."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    proof: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Introduced(Message):
    """What a node says of itself, with the key by which it is known."""

    address: Address
    auth_type: AuthType
    auth_credential: Credential
    inst_id: OptionalText
    institution: OptionalText
    name: OptionalText
    system: OptionalText
    system_version: OptionalText
    description: OptionalText = ""


class ApplyContract(Introduced):
    """`node/contract/apply`"""

    node_id: Identifier
    expired_time: Moment = 0
    invitation: Invited | None = None


class Applied(Message):
    """`data` of apply. All but the first are extensions, so that one call introduces both sides."""

    contract_id: str
    node_id: str | None = None
    address: str | None = None
    inst_id: str | None = None
    institution: str | None = None
    name: str | None = None
    system: str | None = None
    system_version: str | None = None
    description: str | None = None
    auth_type: str | None = None
    auth_credential: str | None = None
    proof: str | None = None
    """Shows an invited applicant that the inviting node answers."""


class ConfirmContract(Message):
    """`node/contract/confirm`; with APPROVED comes the key of the node that was asked."""

    contract_id: Identifier
    status: Decision
    auth_type: OptionalAuthType = ""
    auth_credential: OptionalCredential = ""
    expired_time: Moment = 0


class ContractReference(Message):
    """`node/contract/terminate`, `node/contract/query`"""

    contract_id: Identifier


class ContractStatus(Message):
    """`data` of `node/contract/query`."""

    status: str


class UpdateNode(Introduced):
    """`node/update`: an application without `node_id` and `expired_time`."""

    contract_id: Identifier


class NodeReference(Message):
    """`node/query`"""

    node_id: Identifier


class NodeFacts(Message):
    """`data` of `node/query`; strangers get the first two alone."""

    node_id: str
    system: str
    name: str | None = None
    address: str | None = None
    inst_id: str | None = None
    institution: str | None = None
    system_version: str | None = None
    description: str | None = None


class Nothing(Message):
    """`node/health` takes nothing."""


class Health(Message):
    """`data` of `node/health`."""

    status: str = "ok"
