"""Tables of an SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from embedded_scheduler.connectors.sqlite import SqliteConnector
from embedded_scheduler.errors import InvalidRequest, Unavailable
from embedded_scheduler.spi.connector import Connector, FileConnector

SQLITE = SqliteConnector()
HOSTILE = 'odd"; DROP TABLE people; --'


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "data 100%?#.db"
    quoted = HOSTILE.replace('"', '""')
    execute(
        found,
        "CREATE TABLE people (id INTEGER, name TEXT, score REAL, mixed)",
        "INSERT INTO people VALUES (2, 'Bo', 0.1, 1), (1, 'An,n', NULL, 2.5), (3, '张三', 1e300, NULL)",
        "CREATE VIEW adults AS SELECT id, name FROM people WHERE id > 1 ORDER BY id",
        f'CREATE TABLE "{quoted}" (x)',
        f'INSERT INTO "{quoted}" VALUES (7)',
        "CREATE TABLE files (id, content BLOB)",
        "INSERT INTO files VALUES (1, NULL), (2, x'00ff')",
    )
    return found


def options(path: Path, table: str = "people") -> dict[str, Any]:
    return {"path": str(path), "table": table}


def test_fulfils_the_contract() -> None:
    assert isinstance(SQLITE, Connector)
    assert not isinstance(SQLITE, FileConnector)


def test_a_table(path: Path) -> None:
    probe = SQLITE.probe(options(path))
    assert [(column.name, column.type) for column in probe.columns] == [
        ("id", "integer"),
        ("name", "string"),
        ("score", "float"),
        ("mixed", "float"),
    ]
    assert probe.rows == 3
    assert list(SQLITE.rows(options(path))) == [
        ("2", "Bo", "0.1", "1"),
        ("1", "An,n", "", "2.5"),
        ("3", "张三", "1e+300", ""),
    ]


def test_a_view(path: Path) -> None:
    assert list(SQLITE.rows(options(path, "adults"))) == [("2", "Bo"), ("3", "张三")]


def test_a_hostile_name_is_a_name(path: Path) -> None:
    assert list(SQLITE.rows(options(path, HOSTILE))) == [("7",)]
    assert SQLITE.probe(options(path)).rows == 3


def test_the_fingerprint_is_of_this_table_alone(path: Path) -> None:
    before = SQLITE.probe(options(path)).fingerprint
    execute(path, "INSERT INTO files VALUES (3, NULL)")
    assert SQLITE.probe(options(path)).fingerprint == before
    execute(path, "UPDATE people SET name = 'Bob' WHERE id = 2")
    assert SQLITE.probe(options(path)).fingerprint != before


def test_text_and_number_of_the_same_look_differ(path: Path) -> None:
    before = SQLITE.probe(options(path)).fingerprint
    execute(path, "UPDATE people SET mixed = '1' WHERE id = 2")
    assert SQLITE.probe(options(path)).fingerprint != before


def test_a_blob_is_refused_by_row_and_column(path: Path) -> None:
    with pytest.raises(InvalidRequest, match="row 2: content is a BLOB"):
        SQLITE.probe(options(path, "files"))


def test_the_file_is_never_written(path: Path) -> None:
    path.chmod(0o400)
    before = path.read_bytes()
    SQLITE.probe(options(path))
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_locked_file_may_be_read_later(path: Path) -> None:
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable, match="try again"):
            SqliteConnector(busy_seconds=0.05).probe(options(path))


@pytest.mark.parametrize("table", ["missing", "sqlite_schema", "", "people\0"])
def test_what_is_no_table(path: Path, table: str) -> None:
    with pytest.raises(InvalidRequest, match="table"):
        SQLITE.probe(options(path, table))


def test_bad_sources(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to be read as one\n" * 20)
    for bad in ({}, {"path": "x.db", "table": "t"}, options(tmp_path / "none"), options(tmp_path / "text")):
        with pytest.raises(InvalidRequest):
            SQLITE.probe(bad)
    with pytest.raises(InvalidRequest, match="unknown option"):
        SQLITE.probe({**options(tmp_path / "text"), "query": "SELECT 1"})
