"""A stored result into a file of the operator's: as it is stored, or in the form that the file's name asks for."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nodeconsole.exports.forms import About, convert, form_of
from nodeconsole.places import create_file

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import ResultRow
    from nodeconsole.client import NodeClient

_STORED_AS = {"dataset": "csv", "training_set": "csv", "test_set": "csv", "report": "json", "metric": "json"}


async def save_result(client: NodeClient, job_id: str, row: ResultRow, path: Path) -> int:
    """Write a new file for the operator alone; returns its bytes. Nothing is left of one that could not be completed.

    `OSError` when it cannot be written (`FileExistsError`: it is there already), `ExportError` when the result cannot
    be given the form, the client's exceptions otherwise.
    """
    form = form_of(path)
    descriptor = create_file(path)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            if not form or form == _STORED_AS.get(row.type):
                await _fetch(client, job_id, row, file.fileno())
            else:
                # Beside the result's file: /tmp may be in memory, and shared.
                with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".export-") as stored:
                    await _fetch(client, job_id, row, stored.fileno())
                    facts = {"job": job_id, "task": row.task, "party": row.party, "output": row.output}
                    about = About(f"{row.task}.{row.output}", facts)
                    await asyncio.to_thread(convert, Path(stored.name), file, form, about)
            file.flush()
            return os.fstat(file.fileno()).st_size
    except BaseException:
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - cancelled code cannot wait for a thread
        raise


async def _fetch(client: NodeClient, job_id: str, row: ResultRow, descriptor: int) -> None:
    async for chunk in client.result_content(job_id, row.task, row.party, row.output):
        await asyncio.to_thread(_write_all, descriptor, chunk)


def _write_all(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]
