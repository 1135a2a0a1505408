"""`nodeconsole ledger …`"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from embedded_scheduler.wire.console import EventRow
from nodeconsole.cli.exits import CommandError, Exit
from nodeconsole.cli.invocation import Command, Invocation
from nodeconsole.cli.output import plain
from nodeconsole.cli.text import moment, size
from nodeconsole.viewmodels.times import parse_since


async def listing(call: Invocation) -> Exit:
    filters: dict[str, str | int] = {
        name: value for name in ("actor", "subject", "event", "partner") if (value := str(getattr(call.args, name)))
    }
    if call.args.job:
        filters["job_id"] = call.args.job
    filters |= _times(call)
    async with call.client() as client:
        events: list[EventRow] = []
        before: int | None = None
        while len(events) < call.args.limit:
            page = await client.ledger(before=before, limit=min(1000, call.args.limit - len(events)), filters=filters)
            events += page.events
            before = page.next
            if before is None:
                break
    if call.out.as_json:
        call.out.document({"events": plain(events), "next": before})
        return Exit.OK
    rows = [(str(e.seq), moment(e.at_ms), e.actor, e.event, e.subject_id, e.reason) for e in events]
    call.out.table(("", "TIME", "WHO", "WHAT", "ABOUT", "WHY"), rows, empty="no event fits")
    return Exit.OK


def _times(call: Invocation) -> dict[str, int]:
    """Bounds in epoch ms; `CommandError` for what is no moment."""
    now_ms = time.time_ns() // 1_000_000
    found = {}
    for name, typed in (("since_ms", call.args.since), ("until_ms", call.args.until)):
        if typed is None:
            continue
        at_ms = parse_since(typed, now_ms, None)
        if at_ms is None:
            raise CommandError(
                f"{typed} is no moment that has passed: 2h, 7d, 2026-11-28 or 2026-11-28T12:00", Exit.USAGE
            )
        found[name] = at_ms
    return found


async def verify(call: Invocation) -> Exit:
    async with call.client() as client:
        report = await call.out.busy("reading the ledger", client.ledger_verify())
    if call.out.as_json:
        call.out.document(report.model_dump(mode="json"))
    elif report.ok:
        call.out.line(f"ok: {report.events} events, last {report.last_seq} with hash {report.last_hash}")
    else:
        call.out.line(f"BROKEN: {report.fault}")
    return Exit.OK if report.ok else Exit.FAILED


async def export(call: Invocation) -> Exit:
    async with call.client() as client:
        chunks = client.ledger_export()
        if call.args.output is None:
            await _copy(call, chunks, sys.stdout.buffer)
        else:
            await _save(call, chunks, Path(call.args.output))
    return Exit.OK


async def _save(call: Invocation, chunks: AsyncIterator[bytes], path: Path) -> None:
    """Whole or not at all, and never over a file that is there."""
    partial = path.with_name(path.name + ".part")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CommandError(f"{partial}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            await _copy(call, chunks, file)
            os.fsync(file.fileno())
        os.link(partial, path)
    except FileExistsError:
        raise CommandError(f"{path} exists already", Exit.REFUSED) from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    finally:
        os.unlink(partial)  # noqa: PTH108 - ASYNC240 refuses the method, this rule the function


async def _copy(call: Invocation, chunks: AsyncIterator[bytes], file: BinaryIO) -> None:
    written = 0
    async for chunk in chunks:
        file.write(chunk)
        written += len(chunk)
        if file is not sys.stdout.buffer or not sys.stdout.isatty():
            call.out.progress(f"{size(written)} written")
    file.flush()
    call.out.end_progress()


COMMANDS: dict[str, Command] = {"list": listing, "verify": verify, "export": export}
