"""`nodeconsole component …`"""

from __future__ import annotations

import json

from embedded_scheduler.wire.console import ComponentRow
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation, read_document
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment
from nodeconsole.client import NodeClient


async def register(call: Invocation) -> Exit:
    manifest = read_document(call.args.file)
    async with call.client() as client:
        row = await client.register_component(call.args.image, manifest)
    return _show(call, row)


async def listing(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = await client.components()
    if call.out.as_json:
        call.out.document({"components": plain(rows)})
        return Exit.OK
    cells = ((_identity(row), row.title, " ".join(row.roles), row.image_url, row.why_not or "yes") for row in rows)
    columns = ("COMPONENT", "TITLE", "ROLES", "IMAGE", "RUNS HERE")
    call.out.table(columns, cells, empty="no components: `nodeconsole component register FILE --image URL`")
    return Exit.OK


async def show(call: Invocation) -> Exit:
    async with call.client() as client:
        return _show(call, await _find(client, call.args.component))


async def remove(call: Invocation) -> Exit:
    async with call.client() as client:
        row = await _find(client, call.args.component)
        await client.remove_component(row.provider, row.name, row.version)
    if call.out.as_json:
        call.out.document({"removed": _identity(row)})
    else:
        call.out.line(f"removed {_identity(row)}")
    return Exit.OK


async def _find(client: NodeClient, wanted: str) -> ComponentRow:
    parts = wanted.split("/")
    if len(parts) == 3:
        return await client.component(*parts)
    found = [row for row in await client.components() if row.name == wanted]
    if not found:
        raise CommandError(f"there is no component {wanted}", Exit.NOT_FOUND)
    if len(found) > 1:
        raise CommandError(f"which one? {', '.join(_identity(row) for row in found)}", Exit.USAGE)
    return await client.component(found[0].provider, found[0].name, found[0].version)


def _identity(row: ComponentRow) -> str:
    return f"{row.provider}/{row.name}/{row.version}"


def _show(call: Invocation, row: ComponentRow) -> Exit:
    if call.out.as_json:
        call.out.document(row.model_dump(mode="json"))
        return Exit.OK
    call.out.facts(
        {
            "component": _identity(row),
            "title": row.title,
            "description": row.description,
            "code": row.code,
            "image": row.image_url,
            "roles": " ".join(row.roles),
            "runs here": "yes" if row.runnable else f"no: {row.why_not}",
            "registered": moment(row.registered_ms),
        }
    )
    for warning in row.warnings:
        call.out.line(f"warning: {warning}")
    if row.manifest:
        call.out.line()
        call.out.line("self-description, as sent")
        for line in json.dumps(row.manifest, ensure_ascii=False, indent=2).splitlines():
            call.out.line(line)
    return Exit.OK


COMMANDS: dict[str, Command] = {"register": register, "list": listing, "show": show, "remove": remove}
