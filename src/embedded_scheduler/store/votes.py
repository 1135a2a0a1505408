"""Approvals of single persons, where several are needed."""

from __future__ import annotations

from dataclasses import dataclass

from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class Vote:
    """`at_ms` is epoch ms."""

    actor: str
    at_ms: int
    reason: str


def add(tx: Tx, subject: str, subject_id: str, actor: str, reason: str) -> bool:
    """False when this person's vote is there already."""
    added = tx.run("votes.add", subject=subject, subject_id=subject_id, actor=actor, reason=reason, now_ms=tx.now_ms)
    return added.rowcount == 1


def of(reader: Reader, subject: str, subject_id: str) -> list[Vote]:
    """The votes, oldest first, one per person."""
    return [Vote(**dict(row)) for row in reader.all("votes.of", subject=subject, subject_id=subject_id)]
