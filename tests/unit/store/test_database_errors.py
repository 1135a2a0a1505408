"""What the operator is told when SQLite or the system refuses."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from embedded_scheduler.store.database import explain


def refused(code: int, name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("as SQLite words it")
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("code", "name", "wanted"),
    [
        (sqlite3.SQLITE_FULL, "SQLITE_FULL", "free space"),
        (sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE", "nothing was stored"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "SQLITE_READONLY_DBMOVED", "write permission"),
        (sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN", "cannot be opened"),
        (sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT", "is corrupted"),
        (sqlite3.SQLITE_NOTADB, "SQLITE_NOTADB", "is corrupted"),
        (sqlite3.SQLITE_BUSY, "SQLITE_BUSY", "locked by another program"),
        (sqlite3.SQLITE_ERROR, "SQLITE_ERROR", "as SQLite words it"),
    ],
)
def test_the_sentence_names_the_file_and_the_remedy(tmp_path: Path, code: int, name: str, wanted: str) -> None:
    message = explain(refused(code, name), tmp_path / "node.db", tmp_path / "backups").message
    assert str(tmp_path / "node.db") in message
    assert wanted in message
