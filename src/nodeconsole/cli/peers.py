"""`nodeconsole peer …`"""

from __future__ import annotations

import json
from typing import Any

from embedded_scheduler.wire.console import PeerRequest, PeerRow
from embedded_scheduler.wire.console_contracts import ManualContractRequest
from nodeconsole.cli import linktest
from nodeconsole.cli.contracts import COMMANDS as CONTRACT_COMMANDS
from nodeconsole.cli.contracts import show_contract
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation, read_text
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment
from nodeconsole.client import ClientError


async def add(call: Invocation) -> Exit:
    args = call.args
    options = {key: _value(text) for key, text in args.option}
    async with call.client() as client:
        if args.certificate or args.public_key:
            await client.add_contract(
                ManualContractRequest(
                    node_id=args.node_id,
                    url=args.url,
                    auth_type="CERT" if args.certificate else args.algorithm,
                    auth_credential=read_text(args.certificate or args.public_key),
                    profile=args.profile,
                    approval=args.approval,
                    options=options,
                )
            )
            call.out.note(f"give {args.node_id} this node's certificate too: `nodeconsole identity export`")
        signing = "off" if args.unsigned else args.signing
        request = PeerRequest(
            node_id=args.node_id,
            url=args.url,
            profile=args.profile,
            approval=args.approval,
            options=options,
            signing=signing,
            tls=args.tls,
        )
        code = _show(call, await client.add_peer(request))
        if signing == "off":
            call.out.note(UNSIGNED.format(args.node_id))
        return code


async def change(call: Invocation) -> Exit:
    args = call.args
    changes: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("url", "profile", "approval", "signing", "tls")
        if getattr(args, name) is not None
    }
    async with call.client() as client:
        if args.option or args.unset:
            kept = {
                key: value for key, value in (await client.peer(args.node_id)).options.items() if key not in args.unset
            }
            changes["options"] = kept | {key: _value(text) for key, text in args.option}
        if not changes:
            raise CommandError("peer set needs something to change, e.g. --approval auto", Exit.USAGE)
        code = _show(call, await client.change_peer(args.node_id, **changes))
    if changes.get("signing") == "off":
        call.out.note(UNSIGNED.format(args.node_id))
    return code


UNSIGNED = "warning: whoever can reach this node's port can speak as {0}: it is believed without a signature"


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
            row.contract or "none",
            row.signing,
            moment(row.last_ok_ms) or "never",
            str(row.undelivered) if row.undelivered else "",
            row.last_error,
        )
        for row in rows
    )
    columns = (
        "PARTNER",
        "URL",
        "PROFILE",
        "APPROVAL",
        "CONTRACT",
        "SIGNING",
        "LAST ANSWER",
        "UNDELIVERED",
        "LAST ERROR",
    )
    call.out.table(columns, cells, empty="no partners yet: `nodeconsole peer invite`, or `nodeconsole peer join CODE`")
    return Exit.OK


async def show(call: Invocation) -> Exit:
    async with call.client() as client:
        try:
            contract = await client.contract(call.args.node_id)
        except ClientError as error:
            if error.code != "not_found":
                raise
            contract = None
        try:
            row = await client.peer(call.args.node_id)
        except ClientError as error:
            if contract is None or error.code != "not_found":
                raise
            # Somebody applied and nobody decided: a contract, and no partner yet.
            return show_contract(call, contract)
        if call.out.as_json:
            shown = None if contract is None else contract.model_dump(mode="json")
            call.out.document(row.model_dump(mode="json") | {"agreement": shown})
            return Exit.OK
        _show(call, row)
        return Exit.OK if contract is None else show_contract(call, contract)


async def remove(call: Invocation) -> Exit:
    async with call.client() as client:
        await client.remove_peer(call.args.node_id)
    call.out.done({"removed": call.args.node_id}, f"removed {call.args.node_id}")
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
            "signing": row.signing,
            "tls": row.tls,
            "options": "  ".join(f"{key}={json.dumps(value)}" for key, value in row.options.items()),
            "registered": moment(row.registered_ms),
            "last answer": moment(row.last_ok_ms) or "never",
            "last error": failed,
            "answered in": f"{row.took_ms} ms" if row.took_ms is not None else "",
            "jobs under way": str(row.open_jobs),
            "undelivered": str(row.undelivered),
        }
    )
    return Exit.OK


COMMANDS: dict[str, Command] = {
    "add": add,
    "set": change,
    "list": listing,
    "show": show,
    "remove": remove,
    "test": linktest.test,
    **CONTRACT_COMMANDS,
}
