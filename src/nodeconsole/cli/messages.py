"""`nodeconsole message …`"""

from __future__ import annotations

from embedded_scheduler.wire.console_grants import MessageRow
from nodeconsole.cli.exits import Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment


async def listing(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = await client.messages(to=call.args.to, limit=call.args.limit)
    if call.out.as_json:
        call.out.document({"messages": plain(rows)})
        return Exit.OK
    cells = (
        (str(row.id), row.node_id, row.operation, row.subject, row.state, str(row.attempts), _next(row), row.last_error)
        for row in rows
    )
    columns = ("MESSAGE", "PARTNER", "OPERATION", "ABOUT", "STATE", "TRIES", "NEXT TRY", "LAST ERROR")
    call.out.table(columns, cells, empty="nothing was sent to partners yet")
    return Exit.OK


async def resend(call: Invocation) -> Exit:
    async with call.client() as client:
        row = await client.resend_message(call.args.message)
    if call.out.as_json:
        call.out.document(row.model_dump(mode="json"))
    else:
        call.out.line(f"message {row.id} ({row.operation} to {row.node_id}) is tried again now")
    return Exit.OK


def _next(row: MessageRow) -> str:
    return moment(row.next_ms) if row.next_ms is not None else ""


COMMANDS: dict[str, Command] = {"list": listing, "resend": resend}
