"""Sealed secrets by name. What is in them is known to the vault's key alone."""

from __future__ import annotations

from dataclasses import dataclass

from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class Secret:
    """What may be told about a secret. `key_id`: which data key sealed it."""

    name: str
    key_id: str
    created_ms: int
    changed_ms: int


def put(tx: Tx, name: str, *, sealed: bytes, key_id: str) -> Secret:
    """Store at the transaction's time; replaces one of the same name."""
    tx.run("secrets.put", name=name, sealed=sealed, key_id=key_id, now_ms=tx.now_ms)
    stored = get(tx, name)
    assert stored is not None
    return stored


def get(reader: Reader, name: str) -> Secret | None:
    row = reader.one("secrets.get", name=name)
    return None if row is None else Secret(**dict(row))


def sealed(reader: Reader, name: str) -> bytes | None:
    row = reader.one("secrets.sealed", name=name)
    return None if row is None else bytes(row["sealed"])


def all(reader: Reader) -> list[Secret]:  # noqa: A001 - read as `secrets.all`
    """Every secret, by name."""
    return [Secret(**dict(row)) for row in reader.all("secrets.all")]


def delete(tx: Tx, name: str) -> bool:
    """False if there was none."""
    return tx.run("secrets.delete", name=name).rowcount == 1
