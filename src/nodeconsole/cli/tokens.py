"""`nodeconsole token …`"""

from __future__ import annotations

from embedded_scheduler.wire.console_tokens import TokenRow
from nodeconsole.cli.exits import Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment


async def create(call: Invocation) -> Exit:
    """Print the token itself, alone on standard output; nobody can show it again."""
    args = call.args
    async with call.client() as client:
        made = await client.create_token(args.name, args.scope or ["all"], lasts_ms=args.expires)
    if call.out.as_json:
        call.out.document(made.model_dump(mode="json"))
        return Exit.OK
    call.out.line(made.text)
    call.out.note(
        f"token {made.token.name} for {', '.join(made.token.scopes)}, {_end(made.token)}."
        " Keep it now: it is not shown again"
    )
    return Exit.OK


async def listing(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = await client.tokens()
    shown = rows if call.args.all else [row for row in rows if row.state != "revoked"]
    if call.out.as_json:
        call.out.document({"tokens": plain(shown)})
        return Exit.OK
    cells = (
        (
            row.name,
            ",".join(row.scopes),
            row.state,
            moment(row.created_ms),
            row.created_by.removeprefix("operator:"),
            moment(row.expires_ms) or "never",
            moment(row.last_used_ms) or "never",
        )
        for row in shown
    )
    columns = ("TOKEN", "SCOPES", "STATE", "CREATED", "BY", "EXPIRES", "LAST USE")
    call.out.table(columns, cells, empty="no tokens: no program of the platform may call (`nodeconsole token create`)")
    return Exit.OK


async def revoke(call: Invocation) -> Exit:
    async with call.client() as client:
        row = await client.revoke_token(call.args.name)
    call.out.done(row, f"token {row.name} is revoked")
    return Exit.OK


def _end(row: TokenRow) -> str:
    return f"until {moment(row.expires_ms)}" if row.expires_ms else "without end"


COMMANDS: dict[str, Command] = {"create": create, "list": listing, "revoke": revoke}
