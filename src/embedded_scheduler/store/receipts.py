"""What became of messages to partners: rows of the outbox, and what the partners told of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.outbox import OutboxRow

OPENED = "opened"
DECIDED = "decided"
_RESULTS: Mapping[str, str] = {"acknowledged": "stored", "refused": "refused", "abandoned": "withdrawn"}


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One message. `state` is that of the delivery alone: queued, sent (tried), stored, refused or withdrawn."""

    id: int
    job_id: str
    node_id: str
    operation: str
    key: str
    body: dict[str, Any]
    nonce: str
    trace_id: str
    state: str
    attempts: int
    last_error: str
    created_ms: int
    next_ms: int | None

    @property
    def target(self) -> str:
        return self.node_id


def messages(reader: Reader, *, node_id: str = "", limit: int = 200) -> list[SentMessage]:
    """What was sent to partners (to one), newest first."""
    return [_parse(row) for row in reader.all("receipts.messages", node_id=node_id, limit=limit)]


def message(reader: Reader, message_id: int) -> SentMessage | None:
    row = reader.one("receipts.message", id=message_id)
    return None if row is None else _parse(row)


def by_key(reader: Reader, key: str) -> SentMessage | None:
    """A message of no job by its key."""
    row = reader.one("receipts.by_key", key=key)
    return None if row is None else _parse(row)


def by_nonce(reader: Reader, node_id: str, nonce: str) -> OutboxRow | None:
    """The message of no job to a partner that an answer by file is for, as a row of the outbox."""
    row = reader.one("receipts.by_nonce", node_id=node_id, nonce=nonce)
    if row is None:
        return None
    columns = {name.name: row[name.name] for name in fields(OutboxRow)}
    return OutboxRow(**{**columns, "body": json.loads(row["body"])})


def resend(tx: Tx, message_id: int) -> bool:
    """Make a message due now, one that was refused too; False if it is not to be sent again."""
    return tx.run("receipts.resend", id=message_id, now_ms=tx.now_ms).rowcount == 1


def note(tx: Tx, node_id: str, key: str, state: str) -> bool:
    """A partner told something of a message; False if it is known."""
    return tx.run("receipts.note", node_id=node_id, key=key, state=state, now_ms=tx.now_ms).rowcount == 1


def noted_ms(reader: Reader, node_id: str, key: str, state: str) -> int | None:
    """When a partner told so."""
    row = reader.one("receipts.of_message", node_id=node_id, key=key, state=state)
    return None if row is None else int(row["at_ms"])


def _parse(row: sqlite3.Row) -> SentMessage:
    waiting = row["state"] == "waiting"
    tried = "sent" if row["attempts"] else "queued"
    return SentMessage(
        id=row["id"],
        job_id=row["job_id"],
        node_id=row["target"],
        operation=row["operation"],
        key=row["key"],
        body=json.loads(row["body"]),
        nonce=row["nonce"],
        trace_id=row["trace_id"],
        state=tried if waiting else _RESULTS[row["state"]],
        attempts=row["attempts"],
        last_error=row["last_error"],
        created_ms=row["created_ms"],
        next_ms=row["next_ms"] if waiting else None,
    )
