"""Tokens of the own platform: made, listed, revoked, and when they were used."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.engine import credentials
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.credentials import IMPORTED, SCOPES
from embedded_scheduler.errors import Conflict, InvalidRequest, NotFound
from embedded_scheduler.security.secrets import kept_of, read_secret
from embedded_scheduler.sentences import say
from embedded_scheduler.store import ledger, tokens
from embedded_scheduler.store.database import Tx
from embedded_scheduler.store.tokens import Token

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_EVERY = 60.0
_LONGEST_MS = 10 * 365 * DAY_MS


@dataclass(frozen=True, slots=True)
class Made:
    """`text` is the token itself: it cannot be had again."""

    token: Token
    text: str


async def create(engine: Engine, name: str, scopes: Sequence[str], *, lasts_ms: int | None, actor: str) -> Made:
    """A new token; `lasts_ms` None = it does not expire. `Conflict` while another of that name is not revoked."""
    _check(name, scopes, lasts_ms)
    made = credentials.fresh()

    def work(tx: Tx) -> Token:
        if tokens.valid(tx, name) is not None:
            raise Conflict(say("token_taken", name=name))
        token = Token(
            token_id=made.token_id,
            name=name,
            scopes=tuple(dict.fromkeys(scopes)),
            hash=made.hash,
            created_ms=tx.now_ms,
            created_by=actor,
            expires_ms=None if lasts_ms is None else tx.now_ms + lasts_ms,
        )
        _add(tx, token, actor)
        return token

    token = await engine.db.write(work)
    await load(engine)
    return Made(token, made.text)


def _check(name: str, scopes: Sequence[str], lasts_ms: int | None) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(say("token_name"))
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise InvalidRequest(
            say("token_scope", known=", ".join(SCOPES), value=repr(shorten(unknown[0] if unknown else "")))
        )
    if lasts_ms is not None and not 0 < lasts_ms <= _LONGEST_MS:
        raise InvalidRequest(say("token_life"))


def _add(tx: Tx, token: Token, actor: str) -> None:
    tokens.add(tx, token)
    ledger.append(
        tx,
        subject="token",
        subject_id=token.token_id,
        event="token.created",
        actor=actor,
        data={"name": token.name, "scopes": list(token.scopes), "expires_ms": token.expires_ms},
    )


async def revoke(engine: Engine, name: str, *, actor: str) -> Token:
    """End the token called `name` (or with that id) now. `NotFound` when there is none that counts."""

    def work(tx: Tx) -> Token:
        token = tokens.valid(tx, name) or tokens.get(tx, name)
        if token is None or not tokens.revoke(tx, token.token_id):
            raise NotFound(say("token_unknown", name=shorten(name)))
        ledger.append(
            tx,
            subject="token",
            subject_id=token.token_id,
            event="token.revoked",
            actor=actor,
            data={"name": token.name},
        )
        return replace(token, revoked_ms=tx.now_ms)

    revoked = await engine.db.write(work)
    await load(engine)
    return revoked


async def listing(engine: Engine) -> list[Token]:
    """Every token that ever was, oldest first, with its last use."""
    await store_uses(engine)
    return await engine.db.read(tokens.all)


async def load(engine: Engine) -> None:
    """Let what is in the database count."""
    engine.credentials.replace(await engine.db.read(tokens.all))


async def start(engine: Engine) -> None:
    """At the start of the node: take over the token that an older version kept in a file, once, then `load`.

    Once revoked it stays revoked, whether the file is there or not.
    """
    found = await engine.db.read(lambda reader: tokens.get(reader, IMPORTED))
    if found is None and engine.home.platform_token.exists():
        await _import(engine, engine.home.platform_token)
    await load(engine)


async def _import(engine: Engine, path: Path) -> None:
    text = await asyncio.to_thread(read_secret, path)

    def work(tx: Tx) -> None:
        token = Token(
            token_id=IMPORTED,
            name=IMPORTED,
            scopes=(credentials.ALL,),
            hash=kept_of(text),
            created_ms=tx.now_ms,
            created_by="node",
        )
        _add(tx, token, "node")

    await engine.db.write(work)


async def store_uses(engine: Engine) -> None:
    """Write down when tokens were last used."""
    uses = engine.credentials.uses
    if not uses:
        return

    def work(tx: Tx) -> None:
        for token_id, at_ms in uses.items():
            tokens.used(tx, token_id, at_ms)

    await engine.db.write(work)
    engine.credentials.stored(uses)


class TokenUses:
    """The service that stores uses now and then: a request by token costs no transaction."""

    name = "token uses"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await store_uses(self._engine)
