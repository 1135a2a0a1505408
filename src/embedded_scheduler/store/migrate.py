"""Schema versions: numbered forward-only scripts, each applied in one transaction, after a backup."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from embedded_scheduler.clock import Clock
from embedded_scheduler.errors import StoreError
from embedded_scheduler.sentences import Sentence, say

APPLICATION_ID = 0x4E434E31
"""Marks the file as ours in SQLite's header (`NCN1`)."""

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One script; applying it leads from version `number - 1` to `number`."""

    number: int
    name: str
    script: str


def migrations() -> tuple[Migration, ...]:
    """All scripts in order; `ValueError` if the numbers are not 1, 2, 3, …"""
    found = []
    for file in resources.files("embedded_scheduler.store").joinpath("migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match:
            found.append(Migration(int(match.group(1)), file.name, file.read_text("utf-8")))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"migrations are not numbered 1, 2, 3, …: {[migration.name for migration in found]}")
    return tuple(found)


def check(connection: sqlite3.Connection, path: Path, backups: Path, scripts: Sequence[Migration] = ()) -> None:
    """Refuse a database that is not ours, newer, or damaged. Changes nothing.

    `StoreError` says which. Reads the whole file once (SQLite's quick_check): about two seconds per gigabyte.
    """
    known = len(scripts or migrations())
    version, application, objects = _identity(connection)
    if application != APPLICATION_ID and (objects or version):
        raise StoreError(say("database_foreign", path=str(path)))
    if version > known:
        raise StoreError(say("database_newer", path=str(path), version=version, known=known, backups=str(backups)))
    if objects:
        fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            raise StoreError(corrupted(path, backups, str(fault)))


def apply(
    connection: sqlite3.Connection, path: Path, backups: Path, clock: Clock, scripts: Sequence[Migration] = ()
) -> None:
    """Bring a checked database to the newest version. Each script is applied whole or not at all.

    A database that holds anything is copied into `backups` first.
    """
    steps = scripts or migrations()
    version, _, objects = _identity(connection)
    if version == len(steps):
        return
    if objects:
        backup(connection, path, backups, clock)
    # Rebuilding a table would fire its foreign keys; what the script leaves behind is checked before the commit.
    connection.execute("PRAGMA foreign_keys = OFF")
    for migration in steps[version:]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            _apply_one(connection, migration)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def backup(connection: sqlite3.Connection, path: Path, backups: Path, clock: Clock) -> Path:
    """A consistent copy of the open database in `backups`; it has its final name only once it is complete."""
    backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    now_ms = clock.now_ms()
    moment = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S")
    final = backups / f"{path.stem}-{moment}{now_ms % 1000:03d}-v{version:04d}.db"
    partial = final.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        copy = sqlite3.connect(partial)
        try:
            connection.backup(copy)
        finally:
            copy.close()
        _sync(partial)
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)
    _sync(backups)
    return final


def newest_backup(path: Path, backups: Path) -> Path | None:
    """The latest complete copy of the database `path`; names sort by time."""
    try:
        names = sorted(entry.name for entry in backups.iterdir() if _is_backup(entry.name, path.stem))
    except OSError:
        return None
    return backups / names[-1] if names else None


def corrupted(path: Path, backups: Path, fault: str) -> Sentence:
    """The operator's sentence about a damaged database."""
    newest = newest_backup(path, backups)
    if newest:
        remedy = say("database_restore_newest", backup=str(newest))
    else:
        remedy = say("database_restore_some", backups=str(backups))
    return say("database_corrupted", path=str(path), fault=fault, remedy=remedy)


def _is_backup(name: str, stem: str) -> bool:
    return re.fullmatch(re.escape(stem) + r"-\d{8}T\d{9}-v\d{4}\.db", name) is not None


def _identity(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Schema version, application id, number of tables and other objects."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    objects = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    return int(version), int(application), int(objects)


def _apply_one(connection: sqlite3.Connection, migration: Migration) -> None:
    for statement in _statements(migration):
        connection.execute(statement)
    dangling = connection.execute("PRAGMA foreign_key_check").fetchone()
    if dangling is not None:
        raise StoreError(say("migration_dangling", migration=migration.name, what=dangling[0]))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {migration.number}")


def _statements(migration: Migration) -> Iterator[str]:
    """Single statements: `executescript` would commit the transaction that makes a migration atomic."""
    statement = ""
    for line in migration.script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in statement.splitlines()):
        raise ValueError(f"{migration.name} ends within a statement")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
