"""Messages of `/v1/console/secrets`. A value goes in and never comes out."""

from __future__ import annotations

from pydantic import Field

from embedded_scheduler.wire.console import Message


class SecretRequest(Message):
    value: str = Field(repr=False)


class SecretRow(Message):
    name: str
    key_id: str
    """Which data key sealed it."""
    created_ms: int
    changed_ms: int


class SecretList(Message):
    secrets: list[SecretRow]
