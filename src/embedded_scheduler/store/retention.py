"""Removal of what is no longer needed. The ledger is never touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.store.database import Tx

BATCH = 1_000
"""Rows of one table per transaction, so that other writers wait milliseconds, not seconds."""


class Ages(Protocol):
    """The part of the settings that concerns the database."""

    @property
    def messages_days(self) -> int: ...


KEPT_ANSWERS = 100_000
"""Stored answers to one caller."""
KEPT_MS = 15 * 60 * 1000
"""However many there are, answers this young stay: a request is repeated within minutes."""


@dataclass(frozen=True, slots=True)
class PruneCounts:
    """Rows removed by one call."""

    inbox: int
    tombstones: int
    outbox: int

    @property
    def more(self) -> bool:
        """Something may be left: call again."""
        return BATCH in (self.inbox, self.tombstones, self.outbox)


def crop_answers(tx: Tx, *, source: str, now_ms: int, keep: int = KEPT_ANSWERS) -> bool:
    """Remove the oldest stored answers to one caller beyond `keep`, at most `BATCH`; True = there may be more."""
    row = tx.one("retention.oldest_kept", source=source, before=now_ms - KEPT_MS, keep=keep)
    if row is None:
        return False
    return tx.run("retention.inbox_of", source=source, oldest=row["received_ms"], limit=BATCH).rowcount == BATCH


def prune(tx: Tx, *, now_ms: int, settings: Ages) -> PruneCounts:
    """Remove stored answers, tombstones and finished outbox rows of ended jobs older than `messages_days`.

    At most `BATCH` rows of each; repeat in further transactions while `more`.
    """
    before = now_ms - settings.messages_days * DAY_MS
    return PruneCounts(
        inbox=tx.run("retention.inbox", before=before, limit=BATCH).rowcount,
        tombstones=tx.run("retention.tombstones", before=before, limit=BATCH).rowcount,
        outbox=tx.run("retention.outbox", before=before, limit=BATCH).rowcount,
    )
