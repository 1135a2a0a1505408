"""`nodeconsole dataset …`"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from embedded_scheduler.wire.console import DatasetRequest, DatasetRow
from embedded_scheduler.wire.console_grants import PartnerDatasetRow, PublicationRequest, PublicationRow
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment, size
from nodeconsole.client import ClientError

_ENDINGS = {
    "csv": (".csv", ".tsv", ".txt"),
    "parquet": (".parquet", ".pq"),
    "json": (".json", ".jsonl", ".ndjson"),
    "sqlite": (".db", ".sqlite", ".sqlite3"),
}
_BY_ENDING = {ending: connector for connector, endings in _ENDINGS.items() for ending in endings}


async def add(call: Invocation) -> Exit:
    args = call.args
    path = _source(args.path)
    connector = args.connector or _BY_ENDING.get(path.suffix.lower())
    if connector is None:
        raise CommandError(f"{args.path}: say --connector NAME ({', '.join(_ENDINGS)})", Exit.USAGE)
    options: dict[str, Any] = {"path": str(path)} | dict(args.option) | ({"table": args.table} if args.table else {})
    options |= {key: {"secret": name} for key, name in args.secret}
    request = DatasetRequest(
        name=args.name,
        namespace=args.namespace,
        connector=connector,
        options=options,
        description=args.description,
    )
    async with call.client() as client:
        row = await call.out.busy(f"reading {args.path}", client.add_dataset(request))
    return _show(call, row)


def _source(given: str) -> Path:
    """The file as an absolute path, symbolic links kept as the operator knows them."""
    path = Path(os.path.abspath(given))  # noqa: PTH100 - resolve() would replace the links
    if not path.is_file():
        raise CommandError(f"{given}: there is no such file", Exit.USAGE)
    return path


async def listing(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = await client.datasets()
    if call.out.as_json:
        call.out.document({"datasets": plain(rows)})
        return Exit.OK
    cells = (
        (row.dataset_id, row.connector, str(row.rows), str(len(row.columns)), size(row.size_bytes), row.description)
        for row in rows
    )
    columns = ("DATASET", "CONNECTOR", "ROWS", "COLUMNS", "SIZE", "DESCRIPTION")
    call.out.table(columns, cells, empty="no datasets yet: `nodeconsole dataset add NAME PATH`")
    return Exit.OK


async def show(call: Invocation) -> Exit:
    async with call.client() as client:
        return _show(call, await client.dataset(*_address(call)))


async def remove(call: Invocation) -> Exit:
    namespace, name = _address(call)
    async with call.client() as client:
        await client.remove_dataset(namespace, name)
    call.out.done({"removed": f"{namespace}#{name}"}, f"removed {namespace}#{name}; its file was left alone")
    return Exit.OK


async def rescan(call: Invocation) -> Exit:
    async with call.client() as client:
        row = await call.out.busy(f"reading {call.args.name}", client.rescan_dataset(*_address(call)))
    return _show(call, row)


async def usage(call: Invocation) -> Exit:
    async with call.client() as client:
        found = await client.dataset_usage(*_address(call))
    if call.out.as_json:
        call.out.document(found.model_dump(mode="json"))
        return Exit.OK
    cells = (
        (row.job_id, row.flow_id, row.task, row.initiator, row.state, row.decision, moment(row.created_ms))
        for row in found.jobs
    )
    columns = ("JOB", "FLOW", "TASK", "INITIATOR", "STATE", "OUR DECISION", "CREATED")
    call.out.table(columns, cells, empty=f"none of the newest {found.looked_at} jobs reads it")
    if not found.complete:
        call.out.note(f"of the newest {found.looked_at} jobs; older ones were not looked at")
    return Exit.OK


async def connectors(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = await client.connectors()
    if call.out.as_json:
        call.out.document({"connectors": plain(rows)})
        return Exit.OK
    cells = ((row.name, " ".join(row.options.get("properties", {})), str(row.datasets)) for row in rows)
    call.out.table(("CONNECTOR", "OPTIONS", "DATASETS"), cells, empty="this node has no connector")
    return Exit.OK


def _address(call: Invocation) -> tuple[str, str]:
    before, separator, after = call.args.name.partition("#")
    return (before, after) if separator else (call.args.namespace, before)


def _show(call: Invocation, row: DatasetRow) -> Exit:
    if call.out.as_json:
        call.out.document(row.model_dump(mode="json"))
        return Exit.OK
    call.out.facts(
        {
            "dataset": row.dataset_id,
            "description": row.description,
            "connector": row.connector,
            "options": "  ".join(f"{key}={value}" for key, value in row.options.items()),
            "rows": str(row.rows),
            "size": size(row.size_bytes),
            "fingerprint": row.fingerprint,
            "registered": moment(row.registered_ms),
        }
    )
    call.out.line()
    call.out.table(("COLUMN", "TYPE"), ((column.name, column.type) for column in row.columns), empty="no columns")
    return Exit.OK


async def publish(call: Invocation) -> Exit:
    args = call.args
    namespace, name = _address(call)
    request = PublicationRequest(
        access=args.access,
        audience=args.to,
        columns=args.columns,
        description=args.description,
        category=args.category,
    )
    async with call.client() as client:
        row = await client.publish(namespace, name, request)
    call.out.done(row, f"{row.dataset_id} is shown to {_audience(row)}; a job needs {_needs(row)}")
    return Exit.OK


async def unpublish(call: Invocation) -> Exit:
    namespace, name = _address(call)
    async with call.client() as client:
        await client.unpublish(namespace, name)
    call.out.done(
        {"unpublished": f"{namespace}#{name}"}, f"{namespace}#{name} is shown to nobody; what was granted stays granted"
    )
    return Exit.OK


async def published(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = await client.publications()
    if call.out.as_json:
        call.out.document({"publications": plain(rows)})
        return Exit.OK
    cells = (
        (row.dataset_id, _audience(row), row.access, str(len(row.columns)), moment(row.published_ms), row.description)
        for row in rows
    )
    columns = ("DATASET", "SHOWN TO", "ACCESS", "COLUMNS", "SINCE", "DESCRIPTION")
    call.out.table(columns, cells, empty="nothing is published: `nodeconsole dataset publish NAME`")
    return Exit.OK


async def partners(call: Invocation) -> Exit:
    rows: list[PartnerDatasetRow] = []
    async with call.client() as client:
        nodes = [call.args.node_id] if call.args.node_id else [peer.node_id for peer in await client.peers()]
        for node_id in nodes:
            try:
                rows += await client.partner_datasets(node_id)
            except ClientError as error:
                if call.args.node_id:
                    raise
                call.out.note(f"{node_id}: {error.message}")
    if call.out.as_json:
        call.out.document({"datasets": plain(rows)})
        return Exit.OK
    cells = (
        (row.node_id, row.dataset_id, str(row.rows or ""), str(len(row.columns)), row.owner, row.description)
        for row in rows
    )
    call.out.table(("PARTNER", "DATASET", "ROWS", "COLUMNS", "OWNER", "DESCRIPTION"), cells, empty="nothing is shown")
    return Exit.OK


def _audience(row: PublicationRow) -> str:
    return ", ".join(row.audience) or "every partner with a contract"


def _needs(row: PublicationRow) -> str:
    return "a permit" if row.access == "permit" else "an approval"


COMMANDS: dict[str, Command] = {
    "add": add,
    "list": listing,
    "show": show,
    "remove": remove,
    "rescan": rescan,
    "usage": usage,
    "connectors": connectors,
    "publish": publish,
    "unpublish": unpublish,
    "published": published,
    "partners": partners,
}
