"""`nodeconsole peer …`"""

from __future__ import annotations

import json
from typing import Any

from embedded_scheduler.wire.console import PeerRequest, PeerRow
from nodeconsole.cli.exits import Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment


async def add(call: Invocation) -> Exit:
    args = call.args
    request = PeerRequest(
        node_id=args.node_id,
        url=args.url,
        profile=args.profile,
        approval=args.approval,
        options={key: _value(text) for key, text in args.option},
        signing=args.signing,
    )
    async with call.client() as client:
        return _show(call, await client.add_peer(request))


def _value(text: str) -> Any:
    """Traits are booleans, numbers or words: what reads as JSON is meant so, everything else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


async def listing(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = await client.peers()
    if call.out.as_json:
        call.out.document({"peers": plain(rows)})
        return Exit.OK
    cells = (
        (
            row.node_id,
            row.url,
            row.profile,
            row.approval,
            moment(row.last_ok_ms) or "never",
            str(row.undelivered) if row.undelivered else "",
            row.last_error,
        )
        for row in rows
    )
    columns = ("PARTNER", "URL", "PROFILE", "APPROVAL", "LAST ANSWER", "UNDELIVERED", "LAST ERROR")
    call.out.table(columns, cells, empty="no partners yet: `nodeconsole peer add NODE_ID URL`")
    return Exit.OK


async def show(call: Invocation) -> Exit:
    async with call.client() as client:
        return _show(call, await client.peer(call.args.node_id))


async def remove(call: Invocation) -> Exit:
    async with call.client() as client:
        await client.remove_peer(call.args.node_id)
    if call.out.as_json:
        call.out.document({"removed": call.args.node_id})
    else:
        call.out.line(f"removed {call.args.node_id}")
    return Exit.OK


def _show(call: Invocation, row: PeerRow) -> Exit:
    if call.out.as_json:
        call.out.document(row.model_dump(mode="json"))
        return Exit.OK
    failed = f"{row.last_error} ({moment(row.last_error_ms)})" if row.last_error else ""
    call.out.facts(
        {
            "partner": row.node_id,
            "url": row.url,
            "profile": row.profile,
            "approval": row.approval,
            "options": "  ".join(f"{key}={json.dumps(value)}" for key, value in row.options.items()),
            "registered": moment(row.registered_ms),
            "last answer": moment(row.last_ok_ms) or "never",
            "last error": failed,
            "undelivered": str(row.undelivered),
        }
    )
    return Exit.OK


COMMANDS: dict[str, Command] = {"add": add, "list": listing, "show": show, "remove": remove}
