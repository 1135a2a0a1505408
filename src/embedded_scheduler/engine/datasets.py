"""Registered datasets: taking them in, and laying them out for components to read."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from embedded_scheduler.domain.environment import DEFAULT_NAMESPACE, source_dataset
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.table_metadata import TableMetadata
from embedded_scheduler.engine import secrets
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import InvalidRequest, NodeError, NotFound, Refused, Unavailable
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.connector import Connector, FileConnector
from embedded_scheduler.spi.storage import DescribingStorage, LinkingStorage
from embedded_scheduler.store import datasets, jobs, ledger
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.datasets import Dataset

_LONGEST = 128
_LONGEST_DESCRIPTION = 2000
_ROWS_AT_ONCE = 5000
_BYTES_AT_ONCE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DatasetUse:
    """One of this node's datasets as a task of a job would use it; `found` = it is registered here."""

    task: str
    party: Party
    dataset_id: str
    found: bool
    columns: tuple[str, ...] = ()
    rows: int | None = None


async def register(
    engine: Engine,
    name: str,
    namespace: str,
    connector: str,
    options: Mapping[str, Any],
    description: str = "",
    *,
    actor: str,
) -> Dataset:
    """Read the source once and take it in; a dataset of the same namespace and name is replaced.

    An empty namespace is `datasets`. What is registered already and has not changed leaves no new event.
    `InvalidRequest` names the fault in the source, the option or the name.
    """
    namespace = namespace or DEFAULT_NAMESPACE
    _check_name("the dataset's name", name)
    _check_name("the dataset's namespace", namespace)
    if len(description) > _LONGEST_DESCRIPTION:
        raise InvalidRequest(say("description_long", most=_LONGEST_DESCRIPTION))
    probe = await secrets.using(engine, options, _connector(engine, connector).probe)

    def work(tx: Tx) -> Dataset:
        existing = datasets.get(tx, namespace, name)
        if existing is not None and (
            existing.connector,
            existing.options,
            existing.description,
            existing.fingerprint,
        ) == (connector, dict(options), description, probe.fingerprint):
            return existing
        stored = datasets.put(
            tx,
            namespace=namespace,
            name=name,
            connector=connector,
            options=options,
            description=description,
            probe=probe,
        )
        _record(tx, stored, "dataset.registered", actor)
        return stored

    return await engine.db.write(work)


async def rescan(engine: Engine, namespace: str, name: str, *, actor: str) -> Dataset:
    """Read the source again as it was registered: columns, rows and fingerprint of now. `NotFound` if there is none."""
    namespace = namespace or DEFAULT_NAMESPACE
    known = await engine.db.read(lambda reader: datasets.get(reader, namespace, name))
    if known is None:
        raise _unknown(namespace, name)
    return await register(engine, name, namespace, known.connector, known.options, known.description, actor=actor)


def jobs_reading(
    reader: Reader, self_node: str, dataset_id: str, heads: Sequence[jobs.JobHead]
) -> Iterator[tuple[jobs.JobHead, str]]:
    """Of some jobs those whose parts at this node read the dataset, with the task that does."""
    for head in heads:
        spec = jobs.spec(reader, head.job_id)
        if spec is None:
            continue
        for task in spec.flow.order:
            own = (party for party in spec.parties_of(task) if party.node_id == self_node)
            addresses = (source_dataset(spec, task, party) for party in own)
            if any(address is not None and address.dataset_id == dataset_id for address in addresses):
                yield head, task


async def remove(engine: Engine, namespace: str, name: str, *, actor: str) -> None:
    """Forget a dataset, and what was laid out of it for components; the source stays. `NotFound` if there is none."""
    namespace = namespace or DEFAULT_NAMESPACE

    def work(tx: Tx) -> None:
        found = datasets.get(tx, namespace, name)
        if found is None:
            raise _unknown(namespace, name)
        datasets.delete(tx, namespace, name)
        _record(tx, found, "dataset.removed", actor)

    await engine.db.write(work)
    await engine.storage.delete(namespace, name)


async def stage(engine: Engine, namespace: str, name: str) -> None:
    """Make the dataset readable for components at its address, as UTF-8 CSV with commas and one header line.

    The source must be what was registered and approved: `Refused` if it changed since, `NotFound` if the dataset is
    not registered, and what the connector and the storage raise. A file that has the right form already is linked.
    """
    dataset = await engine.db.read(lambda reader: datasets.get(reader, namespace, name))
    if dataset is None:
        raise _unknown(namespace, name)
    connector = _connector(engine, dataset.connector)
    opened = await secrets.open_options(engine, dataset.options)
    try:
        if not await _linked(engine, dataset, connector, opened):
            await engine.storage.write(namespace, name, await _content(dataset, connector, opened))
        # Looked at afterwards: a change before or while it was laid out shows.
        now = await asyncio.to_thread(_fingerprint, connector, opened)
        if isinstance(engine.storage, DescribingStorage):
            await engine.storage.describe(_metadata(engine, dataset))
        if now != dataset.fingerprint:
            raise Refused(say("dataset_changed", dataset=dataset.dataset_id))
    except NodeError as error:
        await engine.storage.delete(namespace, name)
        raise secrets.redacted(error, dataset.options, opened) from None


def _metadata(engine: Engine, dataset: Dataset) -> TableMetadata:
    return TableMetadata(
        dataset.namespace,
        dataset.name,
        count=dataset.rows,
        columns=tuple((column.name, column.type) for column in dataset.columns),
        description=dataset.description,
        created_ms=engine.clock.now_ms(),
    )


def uses(reader: Reader, spec: JobSpec, own: Sequence[Party]) -> list[DatasetUse]:
    """Which datasets the job would read here, for the parties `own` of this node."""
    found = []
    for task_name in spec.flow.order:
        for party in spec.parties_of(task_name):
            address = source_dataset(spec, task_name, party) if party in own else None
            if address is None:
                continue
            dataset = datasets.get(reader, address.namespace, address.name)
            use = DatasetUse(task_name, party, address.dataset_id, found=dataset is not None)
            if dataset is not None:
                columns = tuple(column.name for column in dataset.columns)
                use = DatasetUse(task_name, party, address.dataset_id, found=True, columns=columns, rows=dataset.rows)
            found.append(use)
    return found


def _connector(engine: Engine, name: str) -> Connector:
    connector = engine.connectors.get(name)
    if connector is None:
        known = ", ".join(sorted(engine.connectors)) or "none"
        raise InvalidRequest(say("no_connector", name=shorten(name), known=known))
    return connector


def _check_name(what: str, value: str) -> None:
    # It becomes a file name, and stands before or after the '#' of a dataset id.
    if (
        not 0 < len(value) <= _LONGEST
        or not value.isprintable()
        or value.startswith(".")
        or any(mark in value for mark in "/#")
        or len(value.encode("utf-8", "replace")) > 255
    ):
        raise InvalidRequest(say("dataset_name", what=what, most=_LONGEST, value=shorten(value)))


def _unknown(namespace: str, name: str) -> NotFound:
    return NotFound(say("dataset_not_registered", dataset=shorten(f"{namespace}#{name}")))


def _record(tx: Tx, dataset: Dataset, event: str, actor: str) -> None:
    ledger.append(
        tx,
        subject="dataset",
        subject_id=dataset.dataset_id,
        event=event,
        actor=actor,
        data={"connector": dataset.connector, "rows": dataset.rows, "fingerprint": dataset.fingerprint},
    )


def _fingerprint(connector: Connector, options: Mapping[str, Any]) -> str:
    if isinstance(connector, FileConnector):
        return connector.fingerprint(options)
    return connector.probe(options).fingerprint


async def _linked(engine: Engine, dataset: Dataset, connector: Connector, options: Mapping[str, Any]) -> bool:
    storage = engine.storage
    if not isinstance(connector, FileConnector) or not isinstance(storage, LinkingStorage):
        return False
    path = await asyncio.to_thread(connector.plain_file, options)
    return path is not None and await storage.link(dataset.namespace, dataset.name, path) is not None


async def _content(dataset: Dataset, connector: Connector, options: Mapping[str, Any]) -> AsyncIterator[bytes]:
    """A file that is what components read goes as it is."""
    plain = connector.plain_file if isinstance(connector, FileConnector) else None
    path = await asyncio.to_thread(plain, options) if plain else None
    return _exported(dataset, connector, options) if path is None else _file(path)


async def _file(path: Path) -> AsyncIterator[bytes]:
    try:
        with await asyncio.to_thread(path.open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, _BYTES_AT_ONCE):
                yield chunk
    except OSError as error:
        raise Unavailable(say("unreadable", path=str(path), error=str(error.strerror or error))) from None


async def _exported(dataset: Dataset, connector: Connector, options: Mapping[str, Any]) -> AsyncIterator[bytes]:
    yield _csv([[column.name for column in dataset.columns]])
    rows = connector.rows(options)
    while chunk := await asyncio.to_thread(_next_rows, rows):
        yield chunk


def _next_rows(rows: Iterator[tuple[str, ...]]) -> bytes:
    chunk = list(islice(rows, _ROWS_AT_ONCE))
    return _csv(chunk) if chunk else b""


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
