"""Messages of the console family about tokens of the own platform."""

from __future__ import annotations

from pydantic import Field

from embedded_scheduler.wire.console import Message


class TokenRequest(Message):
    """`lasts_ms` None = it does not expire."""

    name: str = Field(max_length=200)
    scopes: list[str] = Field(default_factory=lambda: ["all"], max_length=16)
    lasts_ms: int | None = None


class TokenRow(Message):
    """`state`: valid, expired or revoked. Times are epoch ms."""

    token_id: str
    name: str
    scopes: list[str]
    state: str
    created_ms: int
    created_by: str = ""
    expires_ms: int | None = None
    revoked_ms: int | None = None
    last_used_ms: int | None = None


class TokenCreated(Message):
    """`text` is the token itself; the node does not keep it."""

    token: TokenRow
    text: str


class TokenList(Message):
    tokens: list[TokenRow]
