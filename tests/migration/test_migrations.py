"""From one schema version to the next: whole or not at all, never without a copy."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedded_scheduler.errors import StoreError
from embedded_scheduler.store import migrate
from embedded_scheduler.store.migrate import Migration

FIRST = Migration(
    1,
    "0001_first.sql",
    """
    CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT;
    -- a semicolon; inside a comment
    CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parents (id), note TEXT) STRICT;
    CREATE TRIGGER note AFTER INSERT ON children
    BEGIN
        UPDATE children SET note = 'a;b' WHERE id = NEW.id;
        SELECT 1;
    END;
    """,
)
REBUILD = Migration(
    2,
    "0002_rebuild.sql",
    """
    CREATE TABLE fresh (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT '') STRICT;
    INSERT INTO fresh (id) SELECT id FROM parents;
    DROP TABLE parents;
    ALTER TABLE fresh RENAME TO parents;
    """,
)
BROKEN = Migration(2, "0002_broken.sql", "CREATE TABLE extra (x);\nINSERT INTO nowhere VALUES (1);\n")
DANGLING = Migration(2, "0002_dangling.sql", "DELETE FROM parents;\n")
UNFINISHED = Migration(2, "0002_unfinished.sql", "CREATE TABLE extra (x);\nCREATE TABLE more (x)\n")


@dataclass
class FixedClock:
    ms: int = 1_700_000_000_123

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return 0.0


class Old:
    """A database at version 1 with two rows that refer to each other."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "node.db"
        self.backups = folder / "backups"
        self.clock = FixedClock()
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        self.upgrade(FIRST)
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.connection.execute("INSERT INTO parents VALUES (7)")
        self.connection.execute("INSERT INTO children (parent) VALUES (7)")

    def upgrade(self, *scripts: Migration) -> None:
        migrate.check(self.connection, self.path, self.backups, scripts)
        migrate.apply(self.connection, self.path, self.backups, self.clock, scripts)

    def content(self) -> list[str]:
        return list(self.connection.iterdump())

    def version(self) -> int:
        version: int = self.connection.execute("PRAGMA user_version").fetchone()[0]
        return version


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Old]:
    database = Old(tmp_path)
    yield database
    database.connection.close()


def test_the_shipped_scripts_are_numbered_without_a_gap() -> None:
    assert [migration.number for migration in migrate.migrations()] == [*range(1, len(migrate.migrations()) + 1)]


def test_a_new_database_needs_no_backup(old: Old) -> None:
    assert old.version() == 1
    assert not old.backups.exists()
    assert old.connection.execute("SELECT note FROM children").fetchone() == ("a;b",)


def test_an_old_database_is_copied_then_migrated(old: Old) -> None:
    before = old.content()
    old.upgrade(FIRST, REBUILD)
    assert old.version() == 2
    assert old.connection.execute("SELECT p.id, p.name, c.parent FROM parents p, children c").fetchall() == [(7, "", 7)]
    (copy,) = old.backups.iterdir()
    assert copy.name == "node-20231114T221320123-v0001.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(old.backups.stat().st_mode) == 0o700
    restored = sqlite3.connect(copy)
    assert list(restored.iterdump()) == before
    assert restored.execute("PRAGMA user_version").fetchone() == (1,)
    assert restored.execute("PRAGMA application_id").fetchone() == (migrate.APPLICATION_ID,)
    restored.close()


def test_an_up_to_date_database_is_left_alone(old: Old) -> None:
    old.upgrade(FIRST, REBUILD)
    old.clock.ms += 60_000
    old.upgrade(FIRST, REBUILD)
    assert len(list(old.backups.iterdir())) == 1


@pytest.mark.parametrize(
    ("script", "error"), [(BROKEN, sqlite3.OperationalError), (DANGLING, StoreError), (UNFINISHED, ValueError)]
)
def test_a_failing_script_changes_nothing(old: Old, script: Migration, error: type[Exception]) -> None:
    before = old.content()
    with pytest.raises(error):
        old.upgrade(FIRST, script)
    assert old.content() == before
    assert old.version() == 1
    assert not old.connection.in_transaction


def test_the_steps_before_a_failing_one_stay(old: Old) -> None:
    third = Migration(3, "0003_broken.sql", BROKEN.script)
    with pytest.raises(sqlite3.OperationalError):
        old.upgrade(FIRST, REBUILD, third)
    assert old.version() == 2


def test_a_backup_that_cannot_be_written_stops_the_migration(old: Old) -> None:
    old.backups.write_text("a file where the directory should be")
    before = old.content()
    with pytest.raises(OSError, match="exists"):
        old.upgrade(FIRST, REBUILD)
    assert old.content() == before


def test_the_newest_backup_is_found_among_other_files(old: Old) -> None:
    assert migrate.newest_backup(old.path, old.backups) is None
    first = migrate.backup(old.connection, old.path, old.backups, old.clock)
    old.clock.ms += 1
    second = migrate.backup(old.connection, old.path, old.backups, old.clock)
    for name in ("node-99991231T235959999-v0001.partial", "other-99991231T235959999-v0001.db", "node-zzz.db"):
        (old.backups / name).touch()
    assert first != second
    assert migrate.newest_backup(old.path, old.backups) == second


def test_a_backup_holds_what_is_only_in_the_write_ahead_log(old: Old) -> None:
    old.connection.execute("PRAGMA journal_mode = WAL")
    old.connection.execute("INSERT INTO parents VALUES (8)")
    copy = sqlite3.connect(migrate.backup(old.connection, old.path, old.backups, old.clock))
    assert copy.execute("SELECT id FROM parents").fetchall() == [(7,), (8,)]
    copy.close()
