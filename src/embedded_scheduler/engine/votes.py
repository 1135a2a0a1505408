"""Four eyes: how many different persons have to approve, and who did so far."""

from __future__ import annotations

from embedded_scheduler.sentences import Words
from embedded_scheduler.store import ledger, votes
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.votes import Vote


def record(tx: Tx, subject: str, subject_id: str, actor: str, needed: int, *, reason: Words = "") -> bool:
    """Count `actor`'s approval of a job, contract or grant; whether that is enough.

    Call it in the transaction that approves, after checking that there is something to approve. Nobody counts twice.
    Where one person is enough nothing is recorded here: the approval's own event names that person.
    """
    if needed <= 1:
        return True
    fresh = votes.add(tx, subject, subject_id, actor, str(reason))
    number = len(votes.of(tx, subject, subject_id))
    if fresh:
        ledger.append(
            tx,
            subject=subject,
            subject_id=subject_id,
            job_id=subject_id if subject == "job" else "",
            event="approval.voted",
            actor=actor,
            reason=reason,
            data={"votes": number, "needed": needed},
        )
    return number >= needed


def so_far(reader: Reader, subject: str, subject_id: str) -> list[Vote]:
    """Who approved already, oldest first."""
    return votes.of(reader, subject, subject_id)
