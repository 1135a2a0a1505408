"""What the tasks of this node stored: where the outputs of a job are, and what is in them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from tempfile import TemporaryFile
from typing import cast

from embedded_scheduler.config import MIB
from embedded_scheduler.domain.component import ComponentManifest, parse_manifest
from embedded_scheduler.domain.environment import OutputAddress, output_addresses
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.preview import Preview, preview_of, table_of
from embedded_scheduler.domain.snapshot import JobSnapshot
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import InvalidRequest, NodeError, NotFound
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.connector import Connector
from embedded_scheduler.spi.storage import Stored
from embedded_scheduler.store import attempts, components
from embedded_scheduler.store.database import Reader

PARQUET = b"PAR1"
PARQUET_BYTES = 64 * MIB
"""A larger Parquet file is not read to show its beginning."""
PREVIEW_BYTES = 256 * 1024
"""What is read of an object to show its beginning."""
REPORT_BYTES = 8 * 1024 * 1024
"""What is read of a report: it is drawn whole or not at all."""
REPORTS = frozenset({"report", "metric"})


@dataclass(frozen=True, slots=True)
class Output:
    """A declared output of a share that ran here."""

    task: str
    party: Party
    address: OutputAddress

    @property
    def key(self) -> tuple[str, str, str]:
        return self.task, self.party.key, self.address.port.key


def declared(reader: Reader, s: JobSnapshot, runs: list[attempts.Attempt]) -> list[Output]:
    """In the order of the flow. Whether anything is stored there is another question."""
    found: list[Output] = []
    for name, task in s.tasks.items():
        manifest = _manifest(reader, s.spec, name)
        for share in task.shares:
            if task.task_id and any(run.task_name == name and run.is_of(share.party) for run in runs):
                addresses = output_addresses(s.spec, name, share.party, task.task_id, manifest)
                found += [Output(name, share.party, address) for address in addresses]
    return found


def _manifest(reader: Reader, spec: JobSpec, task_name: str) -> ComponentManifest | None:
    ref = spec.flow.node(task_name).component
    found = components.resolve(reader, provider=ref.provider, name=ref.name, version=ref.version, code=ref.code)
    if found is None:
        return None
    try:
        return parse_manifest(found.manifest)
    except NodeError:
        return None


def one_of(outputs: list[Output], task: str, party: str, name: str) -> Output:
    """The output of this name, or `NotFound`."""
    for output in outputs:
        if output.key == (task, party, name):
            return output
    raise NotFound(say("output_undeclared", task=shorten(task), name=shorten(name), party=shorten(party)))


async def preview(engine: Engine, output: Output, rows: int) -> tuple[Preview, Stored]:
    """Its beginning, bounded in bytes and rows; `NotFound` when nothing is stored (yet)."""
    address = output.address.address
    stored = await engine.storage.stat(address.namespace, address.name)
    if stored is None:
        raise NotFound(
            say("output_not_stored", task=output.task, output=output.address.port.key, party=output.party.key)
        )
    most = REPORT_BYTES if output.address.port.type in REPORTS else PREVIEW_BYTES
    data = bytearray()
    async for chunk in engine.storage.read(stored.namespace, stored.name):
        data += chunk
        if len(data) > most:
            break
    whole = len(data) <= most
    if data.startswith(PARQUET):
        return await _parquet(engine, stored, rows), stored
    return preview_of(bytes(data[:most]), output.address.port.type, whole=whole, rows=rows), stored


async def _parquet(engine: Engine, stored: Stored, rows: int) -> Preview:
    """Of a Parquet file, which is read from its end: from a copy without a name. Beyond the bound, only what it is."""
    connector = engine.connectors.get("parquet")
    if connector is None:
        return Preview("binary", whole=False, why=say("preview_no_connector"))
    if stored.size > PARQUET_BYTES:
        return Preview("binary", whole=False, why=say("preview_large", limit=PARQUET_BYTES // MIB))
    with TemporaryFile(dir=engine.home.runs) as copy:
        async for chunk in engine.storage.read(stored.namespace, stored.name):
            await asyncio.to_thread(copy.write, chunk)
        copy.flush()
        options = {"path": f"/proc/self/fd/{copy.fileno()}"}
        try:
            return await asyncio.to_thread(_first_rows, connector, options, rows)
        except InvalidRequest as error:
            # Not what its beginning says, or there is no library for it.
            return Preview("binary", whole=False, why=error.words)


def _first_rows(connector: Connector, options: dict[str, str], rows: int) -> Preview:
    columns = tuple(column.name for column in connector.probe(options).columns)
    with closing(cast("Generator[tuple[str, ...]]", connector.rows(options))) as source:
        found = list(islice(source, rows + 1))
    return table_of(columns, found[:rows], whole=len(found) <= rows)


def content(engine: Engine, output: Output) -> AsyncIterator[bytes]:
    """All of it, as it is stored."""
    return engine.storage.read(output.address.address.namespace, output.address.address.name)
