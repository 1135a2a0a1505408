"""`nodeconsole secret …`: a value is read from a file or standard input, never from the command line."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment

_LONGEST = 64 * 1024


async def put(call: Invocation) -> Exit:
    value = _value(call.args.name, call.args.from_file)
    async with call.client() as client:
        row = await client.put_secret(call.args.name, value)
    call.out.done(row, f"stored {row.name}, sealed with data key {row.key_id}")
    return Exit.OK


def _value(name: str, file: str | None) -> str:
    """The secret without the line break at its end."""
    if file is None and sys.stdin.isatty():
        return getpass.getpass(f"{name}: ")
    try:
        content = Path(file).read_bytes() if file is not None else sys.stdin.buffer.read(_LONGEST + 1)
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}", Exit.USAGE) from None
    except UnicodeDecodeError:
        raise CommandError(f"{file or 'standard input'}: a secret must be UTF-8 text", Exit.USAGE) from None


async def listing(call: Invocation) -> Exit:
    async with call.client() as client:
        rows = await client.secrets()
    if call.out.as_json:
        call.out.document({"secrets": plain(rows)})
        return Exit.OK
    cells = ((row.name, moment(row.created_ms), moment(row.changed_ms), row.key_id) for row in rows)
    call.out.table(
        ("SECRET", "CREATED", "CHANGED", "DATA KEY"), cells, empty="no secrets: `nodeconsole secret set NAME`"
    )
    return Exit.OK


async def remove(call: Invocation) -> Exit:
    async with call.client() as client:
        await client.remove_secret(call.args.name)
    call.out.done({"removed": call.args.name}, f"removed {call.args.name}")
    return Exit.OK


COMMANDS: dict[str, Command] = {"set": put, "list": listing, "remove": remove}
