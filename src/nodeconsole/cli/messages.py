"""`nodeconsole message …`"""

from __future__ import annotations

import json
import os
from typing import Any

from embedded_scheduler.wire.console_grants import MessageRow
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation, read_document
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
    call.out.done(row, f"message {row.id} ({row.operation} to {row.node_id}) is tried again now")
    return Exit.OK


async def export(call: Invocation) -> Exit:
    async with call.client() as client:
        document = await client.export_message(call.args.message)
    _write(call.args.output, document)
    if call.out.as_json:
        call.out.document({"wrote": call.args.output})
    call.out.note(f"written to {call.args.output}; give it to the partner, who runs `nodeconsole message import`")
    return Exit.OK


async def take(call: Invocation) -> Exit:
    async with call.client() as client:
        answer = await client.import_message(read_document(call.args.file))
    if not answer:
        if call.out.as_json:
            call.out.document({"taken": "answer"})
        call.out.note("the answer was taken: `nodeconsole message list` shows how the message stands")
        return Exit.OK
    text = str(json.loads(str(answer.get("body") or "{}")).get("msg") or "")
    output = call.args.answer or f"{call.args.file}.answer"
    _write(output, answer)
    if call.out.as_json:
        call.out.document({"taken": "message", "answer": text, "wrote": output})
    call.out.note(f"this node answered: {text}; the signed answer is in {output}: give it back to the partner")
    return Exit.OK


def _write(name: str, document: dict[str, Any]) -> None:
    """For the owner alone: a message may hold a permit. An existing file is not replaced."""
    text = json.dumps(document, indent=1) + "\n"
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}", Exit.USAGE) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _next(row: MessageRow) -> str:
    return moment(row.next_ms) if row.next_ms is not None else ""


COMMANDS: dict[str, Command] = {"list": listing, "resend": resend, "export": export, "import": take}
