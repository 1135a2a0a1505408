"""Attempts: one run of a share on this node. The handle is stored before the launch."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from embedded_scheduler.domain.limits import EffectiveLimit, Origin
from embedded_scheduler.domain.party import Party
from embedded_scheduler.sentences import Words
from embedded_scheduler.store import sentences
from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class Attempt:
    """`token_hash` is the SHA-256 (hex) of the component's secret; `ended_ms` None = runs, or will be launched."""

    attempt_id: str
    job_id: str
    task_name: str
    role: str
    index: int
    number: int
    runner: str
    handle: Mapping[str, Any]
    session_id: str
    token_hash: str
    log_path: str
    callback: str
    created_ms: int
    launched_ms: int | None
    ended_ms: int | None
    exit_code: int | None
    exit_signal: int | None
    exit_error: str
    called_ms: int | None = None
    """When the component first reported itself."""
    traffic: str = ""
    """What it did on the channel (`engine.traffic`); empty = not measured."""
    component: str = ""
    """`provider/name`."""
    limits: tuple[EffectiveLimit, ...] = ()
    input_bytes: int = 0
    cause: str = ""
    """A `domain.failure.FailureCause`; empty = it did not fail, or nobody can say."""
    peak_bytes: int | None = None

    @property
    def memory_limit(self) -> int:
        """In bytes; 0 = none."""
        return next((int(limit.value * 1024**3) for limit in self.limits if limit.kind == "memory"), 0)

    def is_of(self, party: Party) -> bool:
        return (self.role, self.index) == (party.role, party.index)


def insert(
    tx: Tx,
    *,
    attempt_id: str,
    job_id: str,
    task_name: str,
    party: Party,
    number: int,
    runner: str,
    handle: Mapping[str, Any],
    session_id: str,
    token_hash: str,
    log_path: str,
    component: str = "",
    limits: Sequence[EffectiveLimit] = (),
    input_bytes: int = 0,
) -> None:
    """Store an attempt before its launch; again with new facts as long as it was not launched."""
    tx.run(
        "attempts.insert",
        attempt_id=attempt_id,
        job_id=job_id,
        task_name=task_name,
        role=party.role,
        idx=party.index,
        number=number,
        runner=runner,
        handle=json.dumps(dict(handle)),
        session_id=session_id,
        token_hash=token_hash,
        log_path=log_path,
        component=component,
        limits=json.dumps([asdict(limit) for limit in limits]),
        input_bytes=input_bytes,
        now_ms=tx.now_ms,
    )


def get(reader: Reader, attempt_id: str) -> Attempt | None:
    row = reader.one("attempts.get", attempt_id=attempt_id)
    return None if row is None else _attempt(row)


def launched(tx: Tx, attempt_id: str) -> None:
    tx.run("attempts.launched", attempt_id=attempt_id, now_ms=tx.now_ms)


def ended(
    tx: Tx,
    attempt_id: str,
    *,
    code: int | None,
    signal: int | None,
    error: Words,
    traffic: str = "",
    cause: str = "",
    peak_bytes: int | None = None,
) -> bool:
    """Record how it ended; False if that was known already."""
    cursor = tx.run(
        "attempts.ended",
        attempt_id=attempt_id,
        now_ms=tx.now_ms,
        code=code,
        signal=signal,
        error=sentences.keep(tx, error),
        traffic=traffic,
        cause=cause,
        peak_bytes=peak_bytes,
    )
    return cursor.rowcount == 1


def called_back(tx: Tx, attempt_id: str, status: str) -> None:
    """Remember the status the component reported itself."""
    tx.run("attempts.callback", attempt_id=attempt_id, status=status, now_ms=tx.now_ms)


def of_job(reader: Reader, job_id: str) -> list[Attempt]:
    return [_attempt(row) for row in reader.all("attempts.of_job", job_id=job_id)]


def of_task(reader: Reader, job_id: str, task_name: str) -> list[Attempt]:
    """In party order, earlier attempts first."""
    return [_attempt(row) for row in reader.all("attempts.of_task", job_id=job_id, task_name=task_name)]


def running(reader: Reader) -> list[Attempt]:
    """Launched, and no end recorded."""
    return [_attempt(row) for row in reader.all("attempts.running")]


def unfinished(reader: Reader) -> list[Attempt]:
    """Running, or stored to be launched."""
    return [_attempt(row) for row in reader.all("attempts.unfinished")]


@dataclass(frozen=True, slots=True)
class Use:
    """What one earlier run of a component needed."""

    input_bytes: int
    peak_bytes: int
    cause: str


def uses_of(reader: Reader, component: str, limit: int) -> list[Use]:
    """Of the newest measured runs of `provider/name`, newest first."""
    rows = reader.all("attempts.uses_of", component=component, limit=limit)
    return [Use(row["input_bytes"], row["peak_bytes"], row["cause"]) for row in rows]


def of_session(reader: Reader, session_id: str) -> list[Attempt]:
    return [_attempt(row) for row in reader.all("attempts.of_session", session_id=session_id)]


def _attempt(row: sqlite3.Row) -> Attempt:
    return Attempt(
        attempt_id=row["attempt_id"],
        job_id=row["job_id"],
        task_name=row["task_name"],
        role=row["role"],
        index=row["idx"],
        number=row["number"],
        runner=row["runner"],
        handle=json.loads(row["handle"]),
        session_id=row["session_id"],
        token_hash=row["token_hash"],
        log_path=row["log_path"],
        callback=row["callback"],
        created_ms=row["created_ms"],
        launched_ms=row["launched_ms"],
        ended_ms=row["ended_ms"],
        exit_code=row["exit_code"],
        exit_signal=row["exit_signal"],
        exit_error=row["exit_error"],
        called_ms=row["called_ms"],
        traffic=row["traffic"],
        component=row["component"],
        limits=_limits(row["limits"]),
        input_bytes=row["input_bytes"],
        cause=row["cause"],
        peak_bytes=row["peak_bytes"],
    )


def _limits(text: str) -> tuple[EffectiveLimit, ...]:
    return tuple(
        EffectiveLimit(one["kind"], one["value"], Origin(one["origin"]), one["asked"]) for one in json.loads(text)
    )
