"""Invitations this node gave out: single use, with an end."""

from __future__ import annotations

from dataclasses import dataclass, field

from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class Invitation:
    """One row; see the table's comments. `verifier` is a secret."""

    id: str
    verifier: str = field(repr=False)
    address: str
    expires_ms: int
    created_ms: int
    created_by: str
    contract_id: str
    fingerprint: str
    wrong: int
    ended: str


def add(tx: Tx, *, id: str, verifier: str, address: str, expires_ms: int, created_by: str) -> None:  # noqa: A002
    tx.run(
        "invitations.add",
        id=id,
        verifier=verifier,
        address=address,
        expires_ms=expires_ms,
        now_ms=tx.now_ms,
        created_by=created_by,
    )


def get(reader: Reader, invitation_id: str) -> Invitation | None:
    row = reader.one("invitations.get", id=invitation_id)
    return None if row is None else Invitation(**dict(row))


def since(reader: Reader, since_ms: int) -> list[Invitation]:
    """Invitations made since then, newest first."""
    return [Invitation(**dict(row)) for row in reader.all("invitations.all", since_ms=since_ms)]


def use(tx: Tx, invitation_id: str, *, contract_id: str, fingerprint: str) -> bool:
    """Use it up; False when it was used, ended or has expired."""
    return (
        tx.run(
            "invitations.use", id=invitation_id, contract_id=contract_id, fingerprint=fingerprint, now_ms=tx.now_ms
        ).rowcount
        == 1
    )


def note_wrong(tx: Tx, invitation_id: str, *, most: int) -> None:
    """Count a wrong proof; at the `most`-th the invitation ends."""
    tx.run("invitations.note_wrong", id=invitation_id, most=most)


def revoke(tx: Tx, invitation_id: str) -> bool:
    """False when it had ended."""
    return tx.run("invitations.revoke", id=invitation_id).rowcount == 1


def forget_expired(tx: Tx) -> None:
    """Remove what is secret of those that nobody can use any more."""
    tx.run("invitations.forget", now_ms=tx.now_ms)
