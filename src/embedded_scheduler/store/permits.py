"""Permits: those this node issued (the token's hash alone), those it holds, and which jobs used them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from embedded_scheduler.domain.permit import Permit
from embedded_scheduler.security.secrets import kept_of
from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class StoredPermit:
    """One permit; see the table's comments. `grant_state` is that of its request, empty when it was not asked for."""

    grant_id: str
    issued: bool
    token_hash: str
    token: str = field(repr=False)
    level: int
    resource_type: str
    resource_id: str
    resource_node_id: str
    resource_inst_id: str
    request_node_id: str
    request_inst_id: str
    time_limit_ms: int | None
    times_limit: int | None
    used: int
    created_ms: int
    grant_state: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """A job that used a permit; `state` empty = the job is not known any more."""

    job_id: str
    state: str


def add(
    tx: Tx,
    *,
    grant_id: str,
    issued: bool,
    token: str,
    level: int,
    resource_type: str,
    resource_id: str,
    resource_node_id: str,
    resource_inst_id: str,
    request_node_id: str,
    request_inst_id: str,
    time_limit_ms: int | None,
    times_limit: int | None,
) -> bool:
    """Store a permit; False (and the first one stays) if its request has one."""
    cursor = tx.run(
        "permits.add",
        grant_id=grant_id,
        issued=int(issued),
        token_hash=kept_of(token),
        token="" if issued else token,
        level=level,
        resource_type=resource_type,
        resource_id=resource_id,
        resource_node_id=resource_node_id,
        resource_inst_id=resource_inst_id,
        request_node_id=request_node_id,
        request_inst_id=request_inst_id,
        time_limit_ms=time_limit_ms,
        times_limit=times_limit,
        now_ms=tx.now_ms,
    )
    return cursor.rowcount == 1


def get(reader: Reader, grant_id: str) -> StoredPermit | None:
    row = reader.one("permits.get", grant_id=grant_id)
    return None if row is None else _parse(row)


def issued(reader: Reader, token: str) -> StoredPermit | None:
    """The permit of this node with this token, whatever became of it."""
    row = reader.one("permits.issued", token_hash=kept_of(token))
    return None if row is None else _parse(row)


def held(reader: Reader, node_id: str, resource_id: str, now_ms: int) -> list[StoredPermit]:
    """Permits for something of a partner that count now, the highest level first."""
    rows = reader.all("permits.held", node_id=node_id, resource_id=resource_id, now_ms=now_ms)
    return [_parse(row) for row in rows]


def use(tx: Tx, grant_id: str, job_id: str) -> bool:
    """Count a job's use of a permit; False if it was counted before."""
    if tx.run("permits.use", grant_id=grant_id, job_id=job_id, now_ms=tx.now_ms).rowcount != 1:
        return False
    tx.run("permits.count_use", grant_id=grant_id)
    return True


def uses(reader: Reader, grant_id: str) -> list[Use]:
    """The jobs that used it, oldest first."""
    return [Use(row["job_id"], row["state"] or "") for row in reader.all("permits.uses", grant_id=grant_id)]


def carry(tx: Tx, job_id: str, permit: Permit) -> None:
    """Keep a permit that came with a job, for the participant that issued it."""
    tx.run("permits.carry", job_id=job_id, resource=permit.resource, level=permit.level, token=permit.token)


def carried(reader: Reader, job_id: str) -> list[Permit]:
    """The permits that came with a job."""
    rows = reader.all("permits.carried", job_id=job_id)
    return [Permit(row["resource"], row["level"], row["token"]) for row in rows]


def _parse(row: sqlite3.Row) -> StoredPermit:
    columns = dict(row)
    columns["issued"] = bool(columns["issued"])
    return StoredPermit(**columns)
