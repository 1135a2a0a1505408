"""Answers already given: the same request again gets the same answer, and what was stopped stays stopped."""

from __future__ import annotations

from dataclasses import dataclass

from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class Answer:
    """`body_hash` identifies the request that was answered; `answer` is the stored reply, as the caller encoded it."""

    body_hash: str
    answer: str


def recall(reader: Reader, source: str, nonce: str, operation: str) -> Answer | None:
    """The answer given to this request before. Another `body_hash` means the nonce was used for something else."""
    row = reader.one("inbox.recall", source=source, nonce=nonce, operation=operation)
    return None if row is None else Answer(row["body_hash"], row["answer"])


def is_spent(reader: Reader, source: str, nonce: str, operation: str) -> bool:
    """Whether this nonce was used for another operation."""
    return reader.one("inbox.is_spent", source=source, nonce=nonce, operation=operation) is not None


def remember(tx: Tx, *, source: str, nonce: str, operation: str, body_hash: str, answer: str) -> bool:
    """Store an answer; False (and the first one stays) if this request already has one."""
    cursor = tx.run(
        "inbox.remember",
        source=source,
        nonce=nonce,
        operation=operation,
        body_hash=body_hash,
        answer=answer,
        now_ms=tx.now_ms,
    )
    return cursor.rowcount == 1


def tombstone(tx: Tx, job_id: str, source: str) -> None:
    """`source` stopped a job that never arrived from it: a create that comes later must not bring it to life."""
    tx.run("inbox.tombstone", job_id=job_id, source=source, now_ms=tx.now_ms)


def tombstones_of(reader: Reader, source: str, most: int) -> int:
    """How many tombstones there are by `source`; counts no further than `most`."""
    row = reader.one("inbox.tombstones_of", source=source, most=most)
    return 0 if row is None else int(row["number"])


def is_tombstoned(reader: Reader, job_id: str, source: str) -> bool:
    """Whether `source` stopped this job before it arrived."""
    return reader.one("inbox.is_tombstoned", job_id=job_id, source=source) is not None
