"""Databases that cannot be used are refused with a sentence; full disks are survived."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from embedded_scheduler.clock import Clock, SystemClock
from embedded_scheduler.errors import StoreError
from embedded_scheduler.store import ledger, migrate
from embedded_scheduler.store.database import Database, Tx


def append(tx: Tx, size: int = 0) -> int:
    return ledger.append(tx, subject="node", subject_id="n", event="tested", actor="node", reason="r" * size)


async def create(path: Path, clock: Clock, events: int = 0) -> None:
    database = await Database.open(path, clock=clock)
    for _ in range(events):
        await database.write(lambda tx: append(tx, 200))
    await database.close()


async def test_a_new_database_is_private_durable_and_guarded(db: Database, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(f"{path}-wal").stat().st_mode) == 0o600

    def pragmas(tx: Tx) -> dict[str, object]:
        return {name: tx._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted}

    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "user_version": len(migrate.migrations()),
        "application_id": migrate.APPLICATION_ID,
    }
    assert await db.write(pragmas) == wanted


async def test_what_was_stored_is_there_after_reopening(path: Path, clock: Clock) -> None:
    await create(path, clock, events=3)
    database = await Database.open(path, clock=clock)
    assert await database.write(append) == 4
    assert (await database.read(ledger.verify)).ok
    await database.close()


async def test_a_newer_database_is_refused_and_left_alone(path: Path, clock: Clock) -> None:
    await create(path, clock)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer nodeconsole"):
        await Database.open(path, clock=clock)
    assert path.read_bytes() == before


async def test_another_programs_database_is_refused_and_left_alone(path: Path, clock: Clock) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a database of nodeconsole"):
        await Database.open(path, clock=clock)
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(path: Path, clock: Clock) -> None:
    path.write_bytes(b"this is not SQLite at all" * 100)
    with pytest.raises(StoreError, match="is corrupted"):
        await Database.open(path, clock=clock)


async def test_a_damaged_database_is_refused_naming_the_newest_backup(path: Path, clock: Clock) -> None:
    await create(path, clock, events=200)
    with sqlite3.connect(path) as connection:
        copy = migrate.backup(connection, path, path.parent / "backups", clock)
    connection.close()
    data = bytearray(path.read_bytes())
    # The root pages stay readable; a run of later pages becomes noise.
    data[-40_000:-20_000] = b"\xa5" * 20_000
    path.write_bytes(data)
    with pytest.raises(StoreError, match="is corrupted") as caught:
        await Database.open(path, clock=clock)
    assert str(copy) in caught.value.message


async def test_a_missing_directory_is_named(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        await Database.open(tmp_path / "missing" / "node.db", clock=clock)


READ_ONLY = """
import asyncio, os, sys
from pathlib import Path
from embedded_scheduler.clock import SystemClock
from embedded_scheduler.errors import StoreError
from embedded_scheduler.store import queries, migrate
from embedded_scheduler.store.database import Database

queries.statements(), migrate.migrations()
if os.getuid() == 0:
    os.setuid(65534)

async def main():
    try:
        await Database.open(Path(sys.argv[1]), clock=SystemClock())
    except StoreError as error:
        print(error.message)

asyncio.run(main())
"""


async def test_a_directory_without_write_permission_is_named(child_environment: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        await create(home / "node.db", SystemClock())
        # A superuser's child becomes somebody else, for whom the directory above must be passable.
        Path(folder).chmod(0o755)
        (home / "node.db").chmod(0o444)
        home.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(home / "node.db")],
            env=child_environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        home.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "cannot be" in done.stdout
    assert str(home / "node.db") in done.stdout


async def test_a_full_database_fails_its_group_and_recovers(db: Database) -> None:
    """SQLITE_FULL within a statement: what was done before it in the group is not reported as done."""
    pages = await db.write(lambda tx: tx._connection.execute("PRAGMA page_count").fetchone()[0])
    await db.write(lambda tx: tx._connection.execute(f"PRAGMA max_page_count = {pages + 20}").fetchone())
    published: list[int] = []
    db.on_commit = published.extend
    results = await asyncio.gather(
        *(db.write(lambda tx: append(tx, 20_000)) for _ in range(40)), return_exceptions=True
    )
    stored = [result for result in results if isinstance(result, int)]
    failed = [result for result in results if isinstance(result, StoreError)]
    assert failed
    assert len(stored) + len(failed) == 40
    assert all("free space" in error.message for error in failed)
    report = await db.read(ledger.verify)
    assert (report.ok, report.events) == (True, len(stored))
    assert sorted(published) == sorted(stored)
    await db.write(lambda tx: tx._connection.execute("PRAGMA max_page_count = 1000000").fetchone())
    assert await db.write(lambda tx: append(tx, 20_000)) == len(stored) + 1


FULL_DISK = """
import asyncio, json, resource, sys
from pathlib import Path
from embedded_scheduler.clock import SystemClock
from embedded_scheduler.errors import StoreError
from embedded_scheduler.store import ledger
from embedded_scheduler.store.database import Database

def append(tx):
    return ledger.append(tx, subject="node", subject_id="n", event="tested", actor="node", reason="r" * 4000)

async def main():
    database = await Database.open(Path(sys.argv[1]), clock=SystemClock())
    published = []
    database.on_commit = published.extend
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    results = []
    for _ in range(20):
        results += await asyncio.gather(*(database.write(append) for _ in range(16)), return_exceptions=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    late = await asyncio.gather(*(database.write(append) for _ in range(16)))
    report = await database.read(ledger.verify)
    print(json.dumps({
        "stored": [r for r in results if isinstance(r, int)] + list(late),
        "refused": [r.message for r in results if isinstance(r, StoreError)],
        "others": [repr(r) for r in results if not isinstance(r, int | StoreError)],
        "published": published,
        "events": report.events, "ok": report.ok,
    }))
    await database.close()

asyncio.run(main())
"""


def test_a_full_disk_refuses_whole_groups_and_the_node_goes_on_once_there_is_space(
    tmp_path: Path, child_environment: dict[str, str]
) -> None:
    """The kernel refuses to let the write-ahead log grow, so the commit itself fails."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "node.db")],
        env=child_environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["others"] == []
    assert told["refused"]
    assert all("nothing was stored" in message and "free" in message for message in told["refused"])
    assert told["ok"]
    assert told["events"] == len(told["stored"]) == len(told["published"])
    assert sorted(told["stored"]) == sorted(told["published"]) == list(range(1, told["events"] + 1))


async def test_another_program_that_holds_the_write_lock_is_waited_for_then_named(path: Path, clock: Clock) -> None:
    await create(path, clock)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    database = await Database.open(path, clock=clock)
    # The busy timeout is real time; a short one keeps this test short.
    await database.read(lambda reader: None)
    await database._writer.run(lambda connection: connection.execute("PRAGMA busy_timeout = 50").fetchone())
    with pytest.raises(StoreError, match="locked by another program"):
        await database.write(append)
    other.execute("ROLLBACK")
    other.close()
    assert await database.write(append) == 1
    await database.close()
