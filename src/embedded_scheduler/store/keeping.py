"""What was decided about the results of jobs, and whose the files are that lie in the node's home and storage."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from embedded_scheduler.store.database import Reader, Tx

_AT_ONCE = 500
"""Ids in one query."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Epoch milliseconds; None = nobody keeps them, nobody removed them."""

    kept_ms: int | None = None
    kept_by: str = ""
    removed_ms: int | None = None
    removed_by: str = ""


@dataclass(frozen=True, slots=True)
class JobFacts:
    job_id: str
    flow_id: str
    state: str
    outcome: str
    ended_ms: int | None


def of(reader: Reader, job_id: str) -> Keeping:
    row = reader.one("keeping.of", job_id=job_id)
    return Keeping() if row is None else Keeping(**dict(row))


def keep(tx: Tx, job_id: str, actor: str) -> None:
    """Until they are released or removed, retention leaves the results alone."""
    tx.run("keeping.keep", job_id=job_id, actor=actor, now_ms=tx.now_ms)


def release(tx: Tx, job_id: str) -> None:
    tx.run("keeping.release", job_id=job_id)


def removed(tx: Tx, job_id: str, actor: str) -> None:
    """Whoever kept them does so no more."""
    tx.run("keeping.removed", job_id=job_id, actor=actor, now_ms=tx.now_ms)


def kept_of(reader: Reader, job_ids: Iterable[str]) -> set[str]:
    """Those whose results are kept for good."""
    return {str(row["job_id"]) for row in _rows(reader, "keeping.kept_of", job_ids)}


def facts(reader: Reader, job_ids: Iterable[str]) -> dict[str, JobFacts]:
    """Of the jobs that are known here, by id."""
    return {
        row["job_id"]: JobFacts(row["job_id"], row["flow_id"], row["state"], row["outcome"] or "", row["ended_ms"])
        for row in _rows(reader, "keeping.heads", job_ids)
    }


def namespaces(reader: Reader, job_ids: Iterable[str]) -> dict[str, str]:
    """Where parts of these jobs that ran here store their results: namespace to job."""
    rows = _rows(reader, "keeping.parties", job_ids)
    return {f"{row['job_id']}-{row['role']}-{row['idx']}": row["job_id"] for row in rows}


def jobs_of_attempts(reader: Reader, attempt_ids: Iterable[str]) -> dict[str, str]:
    return {row["attempt_id"]: row["job_id"] for row in _rows(reader, "keeping.jobs_of_attempts", attempt_ids)}


def jobs_of_sessions(reader: Reader, session_ids: Iterable[str]) -> dict[str, str]:
    """Of the sessions of the channel that parts of jobs here take part in."""
    return {row["session_id"]: row["job_id"] for row in _rows(reader, "keeping.jobs_of_sessions", session_ids)}


def _rows(reader: Reader, block: str, ids: Iterable[str]) -> Iterator[sqlite3.Row]:
    """What a block says of many ids, so many at a time."""
    source = iter(ids)
    while batch := list(islice(source, _AT_ONCE)):
        yield from reader.all(block, ids=json.dumps(batch))
