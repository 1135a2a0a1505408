"""SIGKILL in the middle of writing: what was acknowledged is there, and the chain holds."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from embedded_scheduler.clock import Clock
from embedded_scheduler.store import ledger
from embedded_scheduler.store.database import Database, Tx

WRITER = """
import asyncio, os, sys
from pathlib import Path
from embedded_scheduler.clock import SystemClock
from embedded_scheduler.store import ledger, outbox
from embedded_scheduler.store.database import Database

async def main():
    database = await Database.open(Path(sys.argv[1]), clock=SystemClock())
    async def client(name):
        number = 0
        while True:
            number += 1
            job = f"{os.getpid()}-{name}-{number}"
            def work(tx):
                outbox.add(tx, job_id=job, lane=job, kind="call", target="p", operation="o", key="k", body={},
                           nonce="n", trace_id="", next_ms=0)
                return ledger.append(tx, subject="job", subject_id=job, event="tested", actor="node", job_id=job)
            seq = await database.write(work)
            os.write(1, f"{seq} {job}\\n".encode())
    async with asyncio.TaskGroup() as group:
        for name in range(16):
            group.create_task(client(name))

asyncio.run(main())
"""


async def test_no_acknowledged_write_is_lost(path: Path, clock: Clock, child_environment: dict[str, str]) -> None:
    acknowledged: dict[int, str] = {}
    for enough in (1, 40, 400):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            env=child_environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(enough)]
        child.send_signal(signal.SIGKILL)
        rest, errors = child.communicate(timeout=30)
        assert child.returncode == -signal.SIGKILL, errors
        for line in [*lines, *rest.splitlines(keepends=True)]:
            if line.endswith("\n"):
                seq, job = line.split()
                acknowledged[int(seq)] = job
        database = await Database.open(path, clock=clock)
        try:
            await check(database, acknowledged)
            await database.write(close_gap)
            acknowledged[(await database.read(ledger.last))[0]] = "between"
        finally:
            await database.close()
    assert len(acknowledged) > 441


def close_gap(tx: Tx) -> int:
    return ledger.append(tx, subject="job", subject_id="between", event="tested", actor="node", job_id="between")


async def check(database: Database, acknowledged: dict[int, str]) -> None:
    report = await database.read(ledger.verify)
    assert report.ok, report.fault
    stored = {
        record.seq: record.subject_id for record in await database.read(lambda r: ledger.page(r, limit=1_000_000))
    }
    assert {seq: stored.get(seq) for seq in acknowledged} == acknowledged
    effects = await database.read(lambda r: r.one("outbox.undelivered"))
    # Each closure is whole: as many effects as events, whatever was acknowledged.
    assert effects is not None
    assert effects["rows"] == sum(job != "between" for job in stored.values())


async def test_a_first_start_that_was_killed_can_be_repeated(path: Path, clock: Clock) -> None:
    """The file was created and nothing put into it: not an old database, so there is nothing to back up."""
    path.touch(0o600)
    database = await Database.open(path, clock=clock)
    assert (await database.read(ledger.verify)).ok
    await database.close()
    assert not (path.parent / "backups").exists()
