"""`nodeconsole backup` and `nodeconsole restore`"""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from pathlib import Path

from nodeconsole.cli.exits import CommandError, Exit, exit_for
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.text import size

_VARIABLE = "NODECONSOLE_PASSPHRASE"
_LONGEST = 4096


async def backup(call: Invocation) -> Exit:
    from embedded_scheduler.backup import write_backup  # noqa: PLC0415 - opens the database: rarely needed
    from embedded_scheduler.errors import NodeError  # noqa: PLC0415

    target, passphrase = _absolute(call.args.file), _passphrase(call.args.passphrase_file)
    work = asyncio.to_thread(
        write_backup, call.home, target, passphrase=passphrase, with_storage=call.args.with_storage
    )
    try:
        done = await call.out.busy(f"writing {call.args.file}", work)
    except NodeError as error:
        raise CommandError(error.message, exit_for(error.code)) from None
    if call.out.as_json:
        call.out.document(asdict(done))
        return Exit.OK
    call.out.line(f"wrote {target}: {len(done.files)} files, {size(done.size)}")
    if done.sealed:
        call.out.note(f"sealed with the passphrase: {', '.join(done.sealed)}; without it they cannot be read")
    if done.left_out:
        call.out.note(f"left out, because there is no passphrase: {', '.join(done.left_out)}; keep them yourself")
    return Exit.OK


async def restore(call: Invocation) -> Exit:
    from embedded_scheduler.backup import restore_backup  # noqa: PLC0415
    from embedded_scheduler.errors import NodeError  # noqa: PLC0415

    source, passphrase = _absolute(call.args.file), _passphrase(call.args.passphrase_file)
    work = asyncio.to_thread(restore_backup, source, call.home, passphrase=passphrase)
    try:
        done = await call.out.busy(f"restoring {call.args.file}", work)
    except NodeError as error:
        raise CommandError(error.message, exit_for(error.code)) from None
    if call.out.as_json:
        call.out.document(asdict(done))
        return Exit.OK
    call.out.line(f"node {done.node_id} is restored in {call.home.path}")
    call.out.line(f"ledger in order: {done.events} events, last hash {done.last_hash}")
    if done.missing:
        call.out.note(f"not in the backup: {', '.join(done.missing)}; put them back before the start")
    return Exit.OK


def _absolute(given: str) -> Path:
    return Path(os.path.abspath(given))  # noqa: PTH100 - resolve() would replace symbolic links


def _passphrase(file: str | None) -> str:
    """Without the line break at its end; empty = there is none."""
    if file is None:
        return os.environ.get(_VARIABLE, "")
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(_LONGEST).decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}", Exit.USAGE) from None
    except UnicodeDecodeError:
        raise CommandError(f"{file}: not UTF-8", Exit.USAGE) from None
    if not text:
        raise CommandError(f"{file}: holds no passphrase", Exit.USAGE)
    return text


COMMANDS: dict[str, Command] = {"backup": backup, "restore": restore}
