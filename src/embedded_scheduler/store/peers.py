"""Partners this node knows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class Peer:
    """One partner. `approval` (auto, manual) is what happens to a job it creates here; `options` override traits of
    its profile. `signing` (required, verify-if-present, off) and `tls` (identity, ca, a fingerprint): how it proves who
    it is."""

    node_id: str
    url: str
    profile: str
    approval: str
    options: dict[str, Any]
    registered_ms: int
    signing: str = "off"
    tls: str = "identity"


def put(
    tx: Tx,
    *,
    node_id: str,
    url: str,
    profile: str,
    approval: str,
    options: Mapping[str, Any],
    signing: str = "off",
    tls: str = "identity",
) -> Peer:
    """Register at the transaction's time; replaces what was known of the same node."""
    peer = Peer(node_id, url, profile, approval, dict(options), tx.now_ms, signing, tls)
    tx.run(
        "peers.put",
        node_id=node_id,
        url=url,
        profile=profile,
        approval=approval,
        options=json.dumps(peer.options),
        registered_ms=tx.now_ms,
        signing=signing,
        tls=tls,
    )
    return peer


def get(reader: Reader, node_id: str) -> Peer | None:
    """The partner, or None."""
    row = reader.one("peers.get", node_id=node_id)
    return None if row is None else _parse(row)


def all(reader: Reader) -> list[Peer]:  # noqa: A001 - read as `peers.all`
    """Every partner, by node id."""
    return [_parse(row) for row in reader.all("peers.all")]


def delete(tx: Tx, node_id: str) -> bool:
    """False if it was not known."""
    return tx.run("peers.delete", node_id=node_id).rowcount == 1


def _parse(row: sqlite3.Row) -> Peer:
    columns = dict(row)
    columns["options"] = json.loads(columns["options"])
    return Peer(**columns)
