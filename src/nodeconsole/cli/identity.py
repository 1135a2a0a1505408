"""`nodeconsole identity …`"""

from __future__ import annotations

import asyncio
from pathlib import Path

from embedded_scheduler.wire.console_contracts import IdentityRow
from nodeconsole.cli.contracts import grouped
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation, read_text
from nodeconsole.cli.text import moment


async def show(call: Invocation) -> Exit:
    async with call.client() as client:
        return _show(call, await client.identity())


async def export(call: Invocation) -> Exit:
    async with call.client() as client:
        match call.args.what:
            case "csr":
                text = await client.certificate_request()
            case "public-key":
                text = (await client.identity()).public_key
            case _:
                text = (await client.identity()).certificate
    if not call.args.output:
        if call.out.as_json:
            call.out.document({call.args.what: text})
        else:
            call.out.raw(text)
        return Exit.OK
    try:
        await asyncio.to_thread(Path(call.args.output).write_text, text, "ascii")
    except OSError as error:
        raise CommandError(f"{call.args.output}: {error.strerror}") from None
    if call.out.as_json:
        call.out.document({"wrote": call.args.output})
    call.out.note(f"wrote the {call.args.what} to {call.args.output}; everybody may have it")
    return Exit.OK


async def import_certificate(call: Invocation) -> Exit:
    text = read_text(call.args.file)
    async with call.client() as client:
        return _show(call, await client.import_certificate(text))


async def rotate(call: Invocation) -> Exit:
    async with call.client() as client:
        row = await call.out.busy("telling the partners", client.rotate_identity(force=call.args.force))
        return _show(call, row)


def _show(call: Invocation, row: IdentityRow) -> Exit:
    if call.out.as_json:
        call.out.document(row.model_dump(mode="json"))
        return Exit.OK
    call.out.facts(
        {
            "node": row.node_id,
            "institution": f"{row.institution or row.inst_id} ({row.inst_id})" if row.inst_id else row.institution,
            "reached at": row.address,
            "key": grouped(row.fingerprint),
            "algorithm": row.algorithm,
            "certificate": f"{moment(row.not_before_ms)} to {moment(row.not_after_ms)}",
            "issued by": row.issuer,
            "next key": grouped(row.next_fingerprint),
            "waits for": ", ".join(row.waiting_for),
            "key before": grouped(row.previous_fingerprint),
        }
    )
    call.out.line()
    for file in row.files:
        call.out.line(f"{file.path}: {file.text}")
    if row.next_fingerprint:
        call.out.note("The new key is used as soon as all partners know it; `identity rotate --force` does not wait.")
    return Exit.OK


COMMANDS: dict[str, Command] = {
    "show": show,
    "export": export,
    "import-certificate": import_certificate,
    "rotate": rotate,
}
