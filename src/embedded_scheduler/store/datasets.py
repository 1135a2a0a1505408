"""Datasets registered at this node: where the rows are and what a look at them found."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.spi.connector import Column, Probe
from embedded_scheduler.store.database import Reader, Tx


@dataclass(frozen=True, slots=True)
class Dataset:
    """One registration. `options` are the connector's; `rows`, `size_bytes` and `fingerprint` are of its probe."""

    namespace: str
    name: str
    connector: str
    options: dict[str, Any]
    description: str
    columns: tuple[Column, ...]
    rows: int
    size_bytes: int
    fingerprint: str
    registered_ms: int

    @property
    def dataset_id(self) -> str:
        """What a job's parameters call it."""
        return f"{self.namespace}#{self.name}"


def put(
    tx: Tx,
    *,
    namespace: str,
    name: str,
    connector: str,
    options: Mapping[str, Any],
    description: str,
    probe: Probe,
) -> Dataset:
    """Register at the transaction's time; replaces a dataset of the same namespace and name."""
    dataset = Dataset(
        namespace,
        name,
        connector,
        dict(options),
        description,
        probe.columns,
        probe.rows,
        probe.size_bytes,
        probe.fingerprint,
        tx.now_ms,
    )
    tx.run(
        "datasets.put",
        namespace=namespace,
        name=name,
        connector=connector,
        options=json.dumps(dataset.options),
        description=description,
        columns=json.dumps([[column.name, column.type] for column in probe.columns]),
        rows=probe.rows,
        size_bytes=probe.size_bytes,
        fingerprint=probe.fingerprint,
        registered_ms=tx.now_ms,
    )
    return dataset


def get(reader: Reader, namespace: str, name: str) -> Dataset | None:
    """The dataset, or None."""
    row = reader.one("datasets.get", namespace=namespace, name=name)
    return None if row is None else _parse(row)


def all(reader: Reader) -> list[Dataset]:  # noqa: A001 - read as `datasets.all`
    """Every dataset, by namespace and name."""
    return [_parse(row) for row in reader.all("datasets.all")]


def delete(tx: Tx, namespace: str, name: str) -> bool:
    """Forget the registration, never the rows; False if there was none."""
    return tx.run("datasets.delete", namespace=namespace, name=name).rowcount == 1


def _parse(row: sqlite3.Row) -> Dataset:
    columns = dict(row)
    columns["options"] = json.loads(columns["options"])
    columns["columns"] = tuple(Column(name, type_) for name, type_ in json.loads(columns["columns"]))
    return Dataset(**columns)
