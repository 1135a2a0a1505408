"""What partners ask of this node and this node of partners: one row per request, with the permit it ended in."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.store.database import Reader, Tx

Direction = Literal["in", "out"]
Kind = Literal["dataset", "project", "flow", "job", "model"]
KINDS: tuple[Kind, ...] = ("dataset", "project", "flow", "job", "model")

LAST = 1 << 62
"""`before_ms` of the first page."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One request; see the table's comments. Times are epoch ms; `body` is the request as sent."""

    grant_id: str
    direction: Direction
    node_id: str
    kind: Kind
    audit_id: str
    resource_id: str
    contract_id: str
    name: str
    body: dict[str, Any]
    digest: str
    state: AgreementState
    decided_by: str
    reason: str
    trace_id: str
    created_ms: int
    since_ms: int


def grant_id(direction: Direction, node_id: str, kind: Kind, audit_id: str) -> str:
    """Under which a request is kept here; `audit_id` alone is unique only for one applicant."""
    named = "\n".join((direction, node_id, kind, audit_id))
    return f"{kind}-{hashlib.sha256(named.encode()).hexdigest()[:20]}"


def body_digest(body: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the request's canonical form."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def add(
    tx: Tx,
    *,
    direction: Direction,
    node_id: str,
    kind: Kind,
    audit_id: str,
    resource_id: str,
    contract_id: str,
    name: str,
    body: Mapping[str, Any],
    trace_id: str,
) -> Grant:
    """A new request, APPLIED."""
    key = grant_id(direction, node_id, kind, audit_id)
    tx.run(
        "grants.add",
        grant_id=key,
        direction=direction,
        node_id=node_id,
        kind=kind,
        audit_id=audit_id,
        resource_id=resource_id,
        contract_id=contract_id,
        name=name,
        body=json.dumps(body, ensure_ascii=True, allow_nan=False),
        digest=body_digest(body),
        trace_id=trace_id,
        now_ms=tx.now_ms,
    )
    added = get(tx, key)
    assert added is not None
    return added


def get(reader: Reader, key: str) -> Grant | None:
    row = reader.one("grants.get", grant_id=key)
    return None if row is None else _parse(row)


def find(reader: Reader, direction: Direction, node_id: str, kind: Kind, audit_id: str) -> Grant | None:
    """The request by the name its applicant gave it."""
    return get(reader, grant_id(direction, node_id, kind, audit_id))


def by_prefix(reader: Reader, prefix: str) -> str | None:
    """The id that is `prefix` or the only one starting with it."""
    if reader.one("grants.get", grant_id=prefix) is not None:
        return prefix
    rows = reader.all("grants.by_prefix", low=prefix, high=prefix + "\x7f")
    return str(rows[0]["grant_id"]) if len(rows) == 1 else None


def page(
    reader: Reader,
    *,
    direction: Direction | None = None,
    state: AgreementState | None = None,
    before_ms: int = LAST,
    limit: int = 200,
) -> list[Grant]:
    """Newest first."""
    if direction is None or state is None:
        rows = reader.all("grants.page", before_ms=before_ms, limit=limit)
        found = [_parse(row) for row in rows]
        wanted = [grant for grant in found if direction in (None, grant.direction)]
        return [grant for grant in wanted if state in (None, grant.state)]
    rows = reader.all("grants.page_of_state", direction=direction, state=state.value, before_ms=before_ms, limit=limit)
    return [_parse(row) for row in rows]


def of_resource(reader: Reader, kind: Kind, resource_id: str) -> list[Grant]:
    """Every request for one thing, newest first."""
    return [_parse(row) for row in reader.all("grants.of_resource", kind=kind, resource_id=resource_id)]


def of_node(reader: Reader, node_id: str, kind: Kind, state: AgreementState) -> list[Grant]:
    """Requests of and to one partner, oldest first."""
    rows = reader.all("grants.of_node", node_id=node_id, kind=kind, state=state.value)
    return [_parse(row) for row in rows]


def open_count(reader: Reader, node_id: str | None = None) -> int:
    """How many requests of partners (of one) wait for this node's decision."""
    if node_id is None:
        row = reader.one("grants.open_count")
    else:
        row = reader.one("grants.open_count_of_node", node_id=node_id)
    return 0 if row is None else int(row["number"])


def _parse(row: sqlite3.Row) -> Grant:
    columns = dict(row)
    del columns["state_seq"]
    columns["body"] = json.loads(columns["body"])
    columns["state"] = AgreementState(columns["state"])
    return Grant(**columns)
