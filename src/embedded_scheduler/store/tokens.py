"""Tokens of the own platform's programs, by their hashes."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class Token:
    """`hash` is the SHA-256 (hex) of the whole token; times are epoch ms."""

    token_id: str
    name: str
    scopes: tuple[str, ...]
    hash: str
    created_ms: int
    created_by: str
    expires_ms: int | None = None
    revoked_ms: int | None = None
    last_used_ms: int | None = None


def add(tx: Tx, token: Token) -> None:
    tx.run(
        "tokens.add",
        token_id=token.token_id,
        name=token.name,
        scopes=" ".join(token.scopes),
        hash=token.hash,
        now_ms=token.created_ms,
        created_by=token.created_by,
        expires_ms=token.expires_ms,
    )


def all(reader: Reader) -> list[Token]:  # noqa: A001 - read as `tokens.all`
    """Every token that ever was, oldest first."""
    return [_parse(row) for row in reader.all("tokens.all")]


def valid(reader: Reader, name: str) -> Token | None:
    """The token of that name that was not revoked; it may have expired."""
    row = reader.one("tokens.valid_by_name", name=name)
    return None if row is None else _parse(row)


def get(reader: Reader, token_id: str) -> Token | None:
    row = reader.one("tokens.by_id", token_id=token_id)
    return None if row is None else _parse(row)


def revoke(tx: Tx, token_id: str) -> bool:
    """False when it was revoked before."""
    return tx.run("tokens.revoke", token_id=token_id, now_ms=tx.now_ms).rowcount == 1


def used(tx: Tx, token_id: str, at_ms: int) -> None:
    tx.run("tokens.used", token_id=token_id, at_ms=at_ms)


def _parse(row: sqlite3.Row) -> Token:
    columns = dict(row)
    columns["scopes"] = tuple(columns["scopes"].split())
    return Token(**columns)
