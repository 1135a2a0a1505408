"""The event ledger: an append-only chain in which every event carries the hash of the one before.

The hash is the SHA-256 (hex) of the canonical JSON (sorted keys, no spaces, ASCII) of all other columns, `data` as its
stored text, `prev_hash` included. Changed, removed, inserted and reordered events are found by `verify`. Whoever can
rewrite the whole file can also recompute the whole chain: only a hash noted elsewhere (`last`) proves against that.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from embedded_scheduler.sentences import Words
from embedded_scheduler.store import sentences
from embedded_scheduler.store.database import Reader, Tx

GENESIS = "0" * 64
"""`prev_hash` of the first event."""

_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event with all its columns; `data` is parsed."""

    seq: int
    at_ms: int
    subject: str
    subject_id: str
    job_id: str
    event: str
    source: str | None
    target: str | None
    actor: str
    reason: str
    trace_id: str
    data: dict[str, Any]
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """`events` were found good, up to `last_seq` with `last_hash`; `fault` says what is wrong after them."""

    ok: bool
    events: int
    last_seq: int
    last_hash: str
    fault: str = ""


def append(
    tx: Tx,
    *,
    subject: str,
    subject_id: str,
    event: str,
    actor: str,
    job_id: str = "",
    source: str | None = None,
    target: str | None = None,
    reason: Words = "",
    trace_id: str = "",
    data: Mapping[str, Any] | None = None,
) -> int:
    """Add one event at the transaction's time and publish it with the commit; its sequence number.

    `data` must be JSON (finite numbers); `TypeError` or `ValueError` otherwise.
    """
    seq, prev_hash = tx.chain.value or last(tx)
    columns: dict[str, Any] = {
        "seq": seq + 1,
        "at_ms": tx.now_ms,
        "subject": subject,
        "subject_id": subject_id,
        "job_id": job_id,
        "event": event,
        "source": source,
        "target": target,
        "actor": actor,
        "reason": sentences.keep(tx, reason),
        "trace_id": trace_id,
        "data": _canonical(data or {}),
        "prev_hash": prev_hash,
    }
    digest = _hash(columns)
    tx.run("ledger.append", **columns, hash=digest)
    tx.chain.value = (seq + 1, digest)
    tx.published.append(seq + 1)
    return seq + 1


def last(reader: Reader) -> tuple[int, str]:
    """Sequence number and hash of the newest event; (0, `GENESIS`) when there is none."""
    row = reader.one("ledger.last")
    return (0, GENESIS) if row is None else (row["seq"], row["hash"])


def page(reader: Reader, *, after: int = 0, limit: int, job_id: str = "") -> list[EventRecord]:
    """Events with seq > `after` in order, at most `limit`; of one job if it is named."""
    if job_id:
        rows = reader.all("ledger.page_of_job", job_id=job_id, after=after, limit=limit)
    else:
        rows = reader.all("ledger.page", after=after, limit=limit)
    return [_record(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events of the ledger; what is empty fits everything.

    `actor`: `operator:ann`, or `ann` alone. `subject`: a kind (`job`), or an id or its beginning. `event`: its whole
    name (`job.created`), or what stands before or after the dot. `partner`: a node that acted, or that it is about.
    Times are epoch ms, `until_ms` excluded.
    """

    actor: str = ""
    subject: str = ""
    event: str = ""
    partner: str = ""
    job_id: str = ""
    since_ms: int = 0
    until_ms: int = 1 << 62


FAR = 1 << 62
_AT_ONCE = 20_000
"""Events that one call looks at, so that no filter holds up the readers for long."""


def newest(
    reader: Reader, wanted: Wanted, *, before: int = FAR, limit: int, at_once: int = _AT_ONCE
) -> tuple[list[EventRecord], int | None]:
    """Events below `before`, newest first, at most `limit`, and where to go on: None = the beginning was reached."""
    top = min(before, last(reader)[0] + 1, _first_at(reader, wanted.until_ms))
    floor = _first_at(reader, wanted.since_ms) if wanted.since_ms else 1
    least = floor if wanted.job_id else max(floor, top - at_once)
    filters = {name: value for name, value in asdict(wanted).items() if name != "job_id" or wanted.job_id}
    name = "ledger.newest_of_job" if wanted.job_id else "ledger.newest"
    rows = reader.all(name, **filters, least=least, before=top, limit=limit)
    records = [_record(row) for row in rows]
    if len(records) == limit:
        return records, records[-1].seq if records[-1].seq > floor else None
    return records, least if least > floor else None


def _first_at(reader: Reader, at_ms: int) -> int:
    """The number of the first event at or after a time, found by halving. A clock that was set back blurs it, which the
    time itself in the conditions makes good."""
    low, high = 1, last(reader)[0] + 1
    while low < high:
        middle = (low + high) // 2
        row = reader.one("ledger.at", seq=middle)
        if row is None or row["at_ms"] < at_ms:
            low = middle + 1
        else:
            high = middle
    return low


def verify(reader: Reader) -> VerifyReport:
    """Recompute the whole chain in bounded memory and stop at the first fault."""
    seq, digest = 0, GENESIS
    for row in _stream(reader):
        fault = _fault(row, seq, digest)
        if fault:
            return VerifyReport(ok=False, events=seq, last_seq=seq, last_hash=digest, fault=fault)
        seq, digest = row["seq"], row["hash"]
    claim = reader.one("ledger.newest_claim")
    if claim is not None and claim["seq"] > seq:
        fault = (
            f"events after {seq} were removed: {claim['subject']} {claim['subject_id']} refers to event {claim['seq']}"
        )
        return VerifyReport(ok=False, events=seq, last_seq=seq, last_hash=digest, fault=fault)
    return VerifyReport(ok=True, events=seq, last_seq=seq, last_hash=digest)


def export(reader: Reader) -> Iterator[str]:
    """One JSON object per event in order, `data` as an object, each line ending in a newline.

    To check a line independently: replace `data` by its canonical JSON text, drop `hash`, and hash the canonical JSON.
    Must be consumed within the reader's closure.
    """
    for row in _stream(reader):
        yield _canonical(asdict(_record(row))) + "\n"


def _fault(row: sqlite3.Row, seq: int, digest: str) -> str:
    """What is wrong with `row`, which should follow event `seq` with hash `digest`; empty = nothing."""
    number = row["seq"]
    if number != seq + 1:
        return f"event {seq + 1} is missing: event {number} comes after event {seq}"
    columns = {key: row[key] for key in row.keys() if key != "hash"}  # noqa: SIM118 - iterating a Row gives values
    if _hash(columns) != row["hash"]:
        return f"event {number} was altered: its content does not match its hash"
    if row["prev_hash"] != digest:
        return f"event {number} does not follow event {seq}: one of them was replaced"
    return ""


def _stream(reader: Reader) -> Iterator[sqlite3.Row]:
    after = -(2**63)
    while rows := reader.all("ledger.page", after=after, limit=_PAGE):
        yield from rows
        after = rows[-1]["seq"]


def _record(row: sqlite3.Row) -> EventRecord:
    columns = dict(row)
    columns["data"] = json.loads(columns["data"])
    return EventRecord(**columns)


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _hash(columns: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(columns).encode("ascii")).hexdigest()


def ready_shares(reader: Reader, job_id: str, task_name: str) -> dict[str, int]:
    """When each party's share of a task became ready (epoch ms), by party (`guest.0`)."""
    rows = reader.all("ledger.ready_shares", job_id=job_id, start=f"{job_id}/{task_name}/")
    return {str(row["subject_id"]).rsplit("/", 1)[1]: int(row["at_ms"]) for row in rows}
