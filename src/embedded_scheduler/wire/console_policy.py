"""Messages of the console family about the operator's policy (`/v1/console/policy…`)."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from embedded_scheduler.wire.console import Message, Said, Telling


class PolicyRow(Message):
    """The policy in force; `version` 0 = none was ever set."""

    version: int = 0
    text: str = ""
    set_by: str = ""
    at_ms: int | None = None


class PolicyRequest(Message):
    """`expected`: the version that was looked at, 0 = none; null = whatever is in force."""

    text: str
    expected: int | None = None


class PolicyTestRequest(Message):
    """One of `document` (a job file) and `last`. `text`: the policy to try; null = the one in force."""

    document: dict[str, Any] | None = None
    coordinator: str = ""
    last: int | None = None
    text: str | None = None


class RulingRow(Message):
    """`binding` false = no rule applies: the partner's own setting decides. `reason` is what a partner is told."""

    action: str
    rule: str = ""
    version: int = 0
    reason: str = ""
    reasoning: list[str] = Field(default_factory=list)
    binding: bool = False
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `reasoning`."""


class TrialRow(Telling):
    """A job of the past: what the policy would have done, and the state of this node's approval (empty: none)."""

    told: ClassVar[tuple[str, ...]] = ("decided_reason",)

    job_id: str
    initiator: str
    coordinator: str
    created_ms: int
    ruling: RulingRow
    decided: str = ""
    decided_by: str = ""
    decided_reason: str = ""


class PolicyTestReply(Message):
    """`ruling` and `problems` (why this node could not run its part) of a job file, or `jobs`, newest first."""

    ruling: RulingRow | None = None
    problems: list[str] = Field(default_factory=list)
    jobs: list[TrialRow] = Field(default_factory=list)
    said: dict[str, Said] = Field(default_factory=dict)
    """Of `problems`."""
