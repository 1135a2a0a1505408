"""Which of this node's datasets partners may see."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class Publication:
    """One published dataset. `audience` empty = every partner with a contract; `columns` empty = all are shown;
    `access` permit = a job needs one, approval = the operator decides per job."""

    namespace: str
    name: str
    access: str
    audience: tuple[str, ...]
    columns: tuple[str, ...]
    description: str
    category: str
    shown: bool
    published_by: str
    published_ms: int

    @property
    def dataset_id(self) -> str:
        return f"{self.namespace}#{self.name}"

    def is_for(self, node_id: str) -> bool:
        return self.shown and (not self.audience or node_id in self.audience)


def put(
    tx: Tx,
    *,
    namespace: str,
    name: str,
    access: str,
    audience: Sequence[str],
    columns: Sequence[str],
    description: str,
    category: str,
    published_by: str,
) -> Publication:
    """Publish at the transaction's time; replaces what was said of the dataset before."""
    tx.run(
        "publications.put",
        namespace=namespace,
        name=name,
        access=access,
        audience=json.dumps(list(audience)),
        columns=json.dumps(list(columns)),
        description=description,
        category=category,
        published_by=published_by,
        now_ms=tx.now_ms,
    )
    stored = get(tx, namespace, name)
    assert stored is not None
    return stored


def get(reader: Reader, namespace: str, name: str) -> Publication | None:
    row = reader.one("publications.get", namespace=namespace, name=name)
    return None if row is None else _parse(row)


def all(reader: Reader) -> list[Publication]:  # noqa: A001 - read as `publications.all`
    """Everything that is shown to somebody."""
    return [_parse(row) for row in reader.all("publications.all")]


def hide(tx: Tx, namespace: str, name: str) -> bool:
    """Show it to nobody; what a job needs to use it stays. False if it was not published."""
    return tx.run("publications.hide", namespace=namespace, name=name).rowcount == 1


def _parse(row: sqlite3.Row) -> Publication:
    columns = dict(row)
    columns["audience"] = tuple(json.loads(columns["audience"]))
    columns["columns"] = tuple(json.loads(columns["columns"]))
    columns["shown"] = bool(columns["shown"])
    return Publication(**columns)
