"""Effects to carry out: written in the transaction that decided them, delivered afterwards in lanes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.sentences import Words
from embedded_scheduler.store import sentences
from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One effect. Rows of one `lane` are delivered one at a time in the order of `id`.

    `kind` is call, launch or terminate; `target` a node id or an attempt id; `state` waiting, acknowledged, refused or
    abandoned; `attempts` how often it was tried; `next_ms` when it may be tried next. Times are epoch milliseconds.
    """

    id: int
    job_id: str
    lane: str
    kind: str
    target: str
    operation: str
    key: str
    body: dict[str, Any]
    nonce: str
    trace_id: str
    state: str
    attempts: int
    last_error: str
    created_ms: int
    next_ms: int


def add(
    tx: Tx,
    *,
    job_id: str,
    lane: str,
    kind: str,
    target: str,
    operation: str,
    key: str,
    body: Mapping[str, Any],
    nonce: str,
    trace_id: str,
    next_ms: int,
) -> bool:
    """Put an effect at the end of its lane; False (and nothing done) if the job ever had one with this `key`."""
    cursor = tx.run(
        "outbox.add",
        job_id=job_id,
        lane=lane,
        kind=kind,
        target=target,
        operation=operation,
        key=key,
        body=json.dumps(body, separators=(",", ":"), allow_nan=False),
        nonce=nonce,
        trace_id=trace_id,
        created_ms=tx.now_ms,
        next_ms=next_ms,
    )
    return cursor.rowcount == 1


def targets(reader: Reader) -> list[str]:
    """Nodes for which a call waits, due or not, by name."""
    return [str(row["target"]) for row in reader.all("outbox.targets")]


def due_calls(
    reader: Reader, *, target: str, now_ms: int, limit: int, busy_lanes: Collection[str] = ()
) -> list[OutboxRow]:
    """Calls to one node that are first in their lane and due, the longest due first; none of `busy_lanes`."""
    return _due(reader, "outbox.due_calls", now_ms, limit, busy_lanes, target=target)


def due_launches(reader: Reader, *, now_ms: int, limit: int, busy_lanes: Collection[str] = ()) -> list[OutboxRow]:
    """Launches that are due, the longest due first."""
    return _due(reader, "outbox.due_launches", now_ms, limit, busy_lanes)


def due_ends(reader: Reader, *, now_ms: int, limit: int, busy_lanes: Collection[str] = ()) -> list[OutboxRow]:
    """What comes first in the lanes of attempts that are to end: the order to end one, or its launch before that."""
    return _due(reader, "outbox.due_ends", now_ms, limit, busy_lanes)


def _due(
    reader: Reader, name: str, now_ms: int, limit: int, busy_lanes: Collection[str], **params: str
) -> list[OutboxRow]:
    if limit <= 0:
        return []
    rows = reader.all(name, now_ms=now_ms, limit=limit, busy_lanes=json.dumps(list(busy_lanes)), **params)
    return [_row(row) for row in rows]


def next_due(reader: Reader, *, now_ms: int) -> tuple[int, int] | None:
    """When the first and the last of those effects fall due that are first in their lane and not due at `now_ms`."""
    row = reader.one("outbox.next_due", now_ms=now_ms)
    return None if row is None or row["first"] is None else (int(row["first"]), int(row["last"]))


def pull_in(tx: Tx, *, now_ms: int, latest_ms: int) -> int:
    """Make due what is planned after `latest_ms`: the clock was set back since. How many rows that concerned."""
    return tx.run("outbox.pull_in", now_ms=now_ms, latest_ms=latest_ms).rowcount


def acknowledge(tx: Tx, row_id: int) -> bool:
    """The effect took place. False if the row was not waiting any more; so for the next two."""
    return _finish(tx, row_id, "acknowledged", "")


def refuse(tx: Tx, row_id: int, error: Words) -> bool:
    """The effect will never take place; `error` says why."""
    return _finish(tx, row_id, "refused", error)


def retry(tx: Tx, row_id: int, error: Words, next_ms: int) -> bool:
    """It failed this time; the row keeps its place in the lane and is due again at `next_ms`."""
    return tx.run("outbox.retry", id=row_id, error=sentences.keep(tx, error), next_ms=next_ms).rowcount == 1


def abandon(tx: Tx, job_id: str, key: str) -> bool:
    """Give up a waiting effect that has become pointless; False if there is none."""
    return tx.run("outbox.abandon", job_id=job_id, key=key, now_ms=tx.now_ms).rowcount == 1


def revive(tx: Tx, target: str) -> int:
    """A target came back: what failed there is due now. How many rows that concerned."""
    return tx.run("outbox.revive", target=target, now_ms=tx.now_ms).rowcount


def hasten_launches(tx: Tx) -> int:
    """Launches that were put off are due now. How many rows that concerned."""
    return tx.run("outbox.hasten_launches", now_ms=tx.now_ms).rowcount


def hasten(tx: Tx, job_id: str, key: str) -> bool:
    """What waits for its next try is due now; False if nothing does."""
    return tx.run("outbox.hasten", job_id=job_id, key=key, now_ms=tx.now_ms).rowcount == 1


def for_job(reader: Reader, job_id: str) -> list[OutboxRow]:
    """All rows of a job, finished ones too, in order."""
    return [_row(row) for row in reader.all("outbox.for_job", job_id=job_id)]


def waiting_messages(reader: Reader) -> list[OutboxRow]:
    """Messages that belong to no job and wait, in order."""
    return [_row(row) for row in reader.all("outbox.waiting_messages")]


def undelivered_by_target(reader: Reader) -> dict[str, int]:
    """How many effects wait for each target."""
    return {row["target"]: row["rows"] for row in reader.all("outbox.undelivered")}


def waiting_since(reader: Reader) -> dict[str, tuple[int, int]]:
    """How many effects wait for each target, and since when the oldest does."""
    return {row["target"]: (row["rows"], row["oldest_ms"]) for row in reader.all("outbox.waiting_since")}


def _finish(tx: Tx, row_id: int, state: str, error: Words) -> bool:
    return (
        tx.run("outbox.finish", id=row_id, state=state, error=sentences.keep(tx, error), now_ms=tx.now_ms).rowcount == 1
    )


def _row(row: sqlite3.Row) -> OutboxRow:
    columns = dict(row)
    del columns["done_ms"], columns["behind"]
    columns["body"] = json.loads(columns["body"])
    return OutboxRow(**columns)
