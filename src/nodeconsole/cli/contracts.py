"""`nodeconsole peer invite | join | contracts | revoke | confirm | refuse | terminate`"""

from __future__ import annotations

import sys

from embedded_scheduler.wire.console_contracts import ContractRow
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation, read_text
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment
from nodeconsole.client import NodeClient

_ENDED = ("REJECTED", "TERMINATED")


async def invite(call: Invocation) -> Exit:
    async with call.client() as client:
        made = await client.invite(hours=call.args.expires / 3_600_000, address=call.args.address)
    if call.out.as_json:
        call.out.document(made.model_dump(mode="json"))
        return Exit.OK
    call.out.line(made.code)
    call.out.note(f"Good once, until {moment(made.expires_ms)}; says that this node is reached at {made.address}.")
    call.out.note("Give it to one partner, who runs `nodeconsole peer join CODE`. Then compare the six words by phone")
    call.out.note("and run `nodeconsole peer confirm NODE_ID` at both sides.")
    return Exit.OK


async def join(call: Invocation) -> Exit:
    code = read_text("-") if call.args.code == "-" else call.args.code
    async with call.client() as client:
        joining = client.join(code, address=call.args.address)
        row = await call.out.busy("calling the partner", joining)
        if call.args.yes_i_compared:
            row = await client.confirm_contract(row.contract_id, call.args.yes_i_compared)
    return show_contract(call, row)


async def apply(call: Invocation) -> Exit:
    args = call.args
    async with call.client() as client:
        applying = client.apply(args.node_id, args.url, fingerprint=args.fingerprint, address=args.address)
        row = await call.out.busy("calling the partner", applying)
    return show_contract(call, row)


async def contracts(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = await client.contracts()
        codes = await client.invitations()
    if not call.args.all:
        rows = [row for row in rows if row.state not in _ENDED]
        codes = [code for code in codes if not code.ended]
    if call.out.as_json:
        call.out.document({"contracts": plain(rows), "invitations": plain(codes)})
        return Exit.OK
    cells = (
        (row.node_id, row.state, row.side, grouped(row.fingerprint[:16]), moment(row.since_ms), row.contract_id)
        for row in rows
    )
    call.out.table(("PARTNER", "STATE", "SIDE", "KEY", "SINCE", "CONTRACT"), cells, empty="no contracts")
    for row in rows:
        if row.next:
            call.out.note(f"{row.node_id}: {row.next}")
    if codes:
        call.out.line()
        lines = (
            (code.id, code.ended or "open", moment(code.expires_ms), str(code.wrong or ""), code.created_by)
            for code in codes
        )
        call.out.table(("INVITATION", "STATE", "UNTIL", "WRONG TRIES", "MADE BY"), lines, empty="")
    return Exit.OK


async def revoke(call: Invocation) -> Exit:
    async with call.client() as client:
        await client.revoke_invitation(call.args.invitation)
    call.out.done({"revoked": call.args.invitation}, f"invitation {call.args.invitation} counts no longer")
    return Exit.OK


async def confirm(call: Invocation) -> Exit:
    async with call.client() as client:
        row = await _waiting(client, call.args.reference)
        typed = call.args.words or _ask(row)
        row = await client.confirm_contract(row.contract_id, typed)
    return show_contract(call, row)


async def _waiting(client: NodeClient, reference: str) -> ContractRow:
    """The application that is meant: of a node that already is a partner, the one that is new."""
    rows = [row for row in await client.contracts() if row.node_id == reference and row.state == "APPLIED"]
    return rows[0] if len(rows) == 1 else await client.contract(reference)


def _ask(row: ContractRow) -> str:
    if not sys.stdin.isatty():
        raise CommandError("give the words that the partner's operator read out: --words", Exit.USAGE)
    sys.stderr.write(
        f"Call {row.node_id} ({row.institution or row.address}) at a number that you know from before.\n"
        f"Your words, to read out:  {row.words}\nType the six words that you hear: "
    )
    sys.stderr.flush()
    return sys.stdin.readline().strip()


async def refuse(call: Invocation) -> Exit:
    async with call.client() as client:
        row = await _waiting(client, call.args.reference)
        return show_contract(call, await client.refuse_contract(row.contract_id, call.args.reason))


async def terminate(call: Invocation) -> Exit:
    async with call.client() as client:
        return show_contract(call, await client.terminate_contract(call.args.reference, call.args.reason))


def show_contract(call: Invocation, row: ContractRow) -> Exit:
    if call.out.as_json:
        call.out.document(row.model_dump(mode="json"))
        return Exit.OK
    call.out.facts(
        {
            "contract": row.contract_id,
            "with": row.node_id,
            "state": row.state + (f" ({row.reason})" if row.reason else ""),
            "side": row.side,
            "address": row.address,
            "institution": row.institution,
            "key": grouped(row.fingerprint),
            "algorithm": row.auth_type,
            "certificate ends": moment(row.certificate_ends_ms),
            "key before": grouped(row.previous_fingerprint),
            "counts until": moment(row.previous_until_ms) if row.previous_fingerprint else "",
            "contract ends": moment(row.expires_ms),
            "compared by": row.compared_by,
            "the six words": row.words if row.state == "APPLIED" else "",
            "not delivered": row.undelivered,
            "next": row.next,
        }
    )
    return Exit.OK


def grouped(fingerprint: str) -> str:
    """In groups of four, as people compare it."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))


COMMANDS: dict[str, Command] = {
    "invite": invite,
    "join": join,
    "apply": apply,
    "contracts": contracts,
    "revoke": revoke,
    "confirm": confirm,
    "refuse": refuse,
    "terminate": terminate,
}
