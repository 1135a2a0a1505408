"""`/tokens`: what the own platform's programs show at the platform listener."""

from __future__ import annotations

from quart import Quart

from embedded_scheduler.api.console import endpoint
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.engine import tokens as verbs
from embedded_scheduler.store.tokens import Token
from embedded_scheduler.wire.console_tokens import TokenCreated, TokenList, TokenRequest, TokenRow


def install(app: Quart, console: Console) -> None:
    tokens = Tokens(console)
    endpoint.route(app, "GET", "/tokens", tokens.all)
    endpoint.route(app, "POST", "/tokens", tokens.create)
    endpoint.route(app, "DELETE", "/tokens/<name>", tokens.revoke)


class Tokens:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def all(self) -> TokenList:
        found = await verbs.listing(self._engine)
        return TokenList(tokens=[self._row(token) for token in found])

    async def create(self) -> TokenCreated:
        request = await endpoint.body_message(TokenRequest, self._console.depth)
        made = await verbs.create(
            self._engine, request.name, request.scopes, lasts_ms=request.lasts_ms, actor=endpoint.operator()
        )
        return TokenCreated(token=self._row(made.token), text=made.text)

    async def revoke(self, name: str) -> TokenRow:
        return self._row(await verbs.revoke(self._engine, name, actor=endpoint.operator()))

    def _row(self, token: Token) -> TokenRow:
        return TokenRow(
            token_id=token.token_id,
            name=token.name,
            scopes=list(token.scopes),
            state=_state(token, self._engine.clock.now_ms()),
            created_ms=token.created_ms,
            created_by=token.created_by,
            expires_ms=token.expires_ms,
            revoked_ms=token.revoked_ms,
            last_used_ms=token.last_used_ms,
        )


def _state(token: Token, now_ms: int) -> str:
    if token.revoked_ms is not None:
        return "revoked"
    return "expired" if token.expires_ms is not None and token.expires_ms <= now_ms else "valid"
