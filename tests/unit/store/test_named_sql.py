"""The files of named SQL: their format, and every statement against the real schema."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from embedded_scheduler.store import migrate, queries

STATEMENTS = queries.statements()

# Statements that read a whole (small) table because that is what was asked for, or because they run once in a while.
WHOLE_TABLE = {
    "components.all",
    "datasets.all",
    "peers.all",
    "ledger.newest_claim",
    "tokens.all",
    "publications.all",
    "secrets.all",
}


class AnyParameter(dict[str, Any]):
    def __missing__(self, key: str) -> None:
        return None


@pytest.fixture(scope="module")
def schema() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for migration in migrate.migrations():
        connection.executescript(migration.script)
    yield connection
    connection.close()


def test_blocks_are_split_at_their_headers() -> None:
    text = "-- about this file\n\n-- name: a.b\nSELECT 1;\n\n--name: a.c_d\n-- why\nSELECT\n  2;\n"
    assert list(queries.blocks("x.sql", text)) == [("a.b", "SELECT 1;"), ("a.c_d", "-- why\nSELECT\n  2;")]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("-- name: a.b\n-- nothing\n", "a.b is empty"),
        ("SELECT 1;\n-- name: a.b\nSELECT 1;", "stands before"),
        ("-- name: Bad Name\nSELECT 1;", "does not name a block"),
        ("-- name: alone\nSELECT 1;", "does not name a block"),
    ],
)
def test_a_malformed_file_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        list(queries.blocks("x.sql", text))


def test_a_name_is_defined_once() -> None:
    first = ("one.sql", "-- name: a.b\nSELECT 1;")
    with pytest.raises(ValueError, match=r"two\.sql: a\.b is defined twice"):
        queries.collect([first, ("two.sql", "-- name: a.b\nSELECT 2;")])
    assert queries.collect([first]) == {"a.b": "SELECT 1;"}


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_every_statement_fits_the_schema(schema: sqlite3.Connection, name: str) -> None:
    assert schema.execute("EXPLAIN " + STATEMENTS[name], AnyParameter()).fetchone() is not None


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_no_statement_reads_a_whole_table_by_accident(schema: sqlite3.Connection, name: str) -> None:
    plan = [row[3] for row in schema.execute("EXPLAIN QUERY PLAN " + STATEMENTS[name], AnyParameter())]
    # What a statement computes itself (WITH …) is no table.
    made = ("CO-ROUTINE ", "MATERIALIZE ")
    computed = {step.removeprefix(word) for step in plan for word in made if step.startswith(word)}
    # A recursive expression is read row by row while it is made; the tables behind it are what must not be scanned.
    made_here = re.findall(r"WITH RECURSIVE (\w+)", STATEMENTS[name])
    scanned = [found[1] for step in plan if (found := re.match(r"SCAN (\w+)$", step))]
    scans = [table for table in scanned if table not in made_here and not _ends_at_once(name)]
    scans = [step for step in scans if step.removeprefix("SCAN ") not in computed]
    assert not scans or name in WHOLE_TABLE, plan


def _ends_at_once(name: str) -> bool:
    """Backwards along the primary key: one row, or a bounded number."""
    return name in {"ledger.last", "policies.current", "receipts.messages"}
