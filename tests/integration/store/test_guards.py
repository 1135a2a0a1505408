"""The schema's own guards: whoever writes past `fire()` is refused by SQLite itself."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedded_scheduler.domain.lifecycle import LIFECYCLES, JobState
from embedded_scheduler.store import migrate


@dataclass(frozen=True)
class Guarded:
    """A table with a guarded state: how to address its one row, and what events call it."""

    table: str
    where: str
    subject_id: str
    others: str


SUBJECTS = {
    "job": Guarded("jobs", "job_id = 'j'", "j", "reason = 'x', tasks_done = 1"),
    "task": Guarded("tasks", "job_id = 'j' AND name = 't'", "j/t", "task_id = 'task-1'"),
    "share": Guarded("shares", "job_id = 'j' AND task_name = 't'", "j/t/guest.0", "reason = 'x'"),
    "approval": Guarded("approvals", "job_id = 'j' AND node_id = 'n'", "j/n", "reason = 'x'"),
    "contract": Guarded("contracts", "contract_id = 'c'", "c", "reason = 'x', expires_ms = 1"),
    "grant": Guarded("grants", "grant_id = 'g'", "g", "reason = 'x', name = 'x'"),
}

ROWS = """
INSERT INTO jobs (job_id, position, flow_id, state, state_seq, coordinator, initiator, digest, document, tasks_total,
                  created_ms, since_ms, summary)
VALUES ('j', 1, 'f', '{state}', 0, 'a', 'a', 'd', '{{}}', 1, 0, 0, '{{}}');
INSERT INTO tasks (job_id, name, state, state_seq, since_ms) VALUES ('j', 't', '{state}', 0, 0);
INSERT INTO shares (job_id, task_name, role, idx, node_id, state, state_seq, since_ms)
VALUES ('j', 't', 'guest', 0, 'n', '{state}', 0, 0);
INSERT INTO approvals (job_id, node_id, state, state_seq, since_ms) VALUES ('j', 'n', '{state}', 0, 0);
"""
AGREEMENTS = """
INSERT INTO contracts (contract_id, node_id, side, state, state_seq, created_ms, since_ms)
VALUES ('c', 'n', 'callee', '{state}', 0, 0, 0);
INSERT INTO grants (grant_id, direction, node_id, kind, audit_id, resource_id, contract_id, body, digest, state,
                    state_seq, created_ms, since_ms)
VALUES ('g', 'in', 'n', 'dataset', 'a', 'r', 'c', '{{}}', 'd', '{state}', 0, 0, 0);
"""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(tmp_path / "node.db", isolation_level=None)
    opened.execute("PRAGMA foreign_keys = ON")
    for migration in migrate.migrations():
        opened.executescript(migration.script)
    yield opened
    opened.close()


@pytest.fixture
def filled(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.executescript(ROWS.format(state="PENDING"))
    connection.executescript(AGREEMENTS.format(state="APPLIED"))
    return connection


def record(
    connection: sqlite3.Connection, subject: str, subject_id: str, source: str | None, target: str | None
) -> int:
    cursor = connection.execute(
        "INSERT INTO events (at_ms, subject, subject_id, event, source, target, actor, prev_hash, hash)"
        " VALUES (0, ?, ?, 'e', ?, ?, 'node', '', '')",
        (subject, subject_id, source, target),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def move(connection: sqlite3.Connection, kind: str, target: str, seq: int) -> None:
    row = SUBJECTS[kind]
    connection.execute(f"UPDATE {row.table} SET state = ?, state_seq = ? WHERE {row.where}", (target, seq))


def state(connection: sqlite3.Connection, kind: str) -> tuple[str, int]:
    row = SUBJECTS[kind]
    found: tuple[str, int] = connection.execute(
        f"SELECT state, state_seq FROM {row.table} WHERE {row.where}"
    ).fetchone()
    return found


@pytest.mark.parametrize("statement", ROWS.format(state="READY").split(";")[:-1])
def test_nothing_begins_elsewhere_than_pending(filled: sqlite3.Connection, statement: str) -> None:
    for table in ("approvals", "shares", "tasks", "jobs"):
        if f"INTO {table} " in statement:
            break
        filled.execute(f"DELETE FROM {table}")
    with pytest.raises(sqlite3.IntegrityError, match="starts PENDING"):
        filled.execute(statement)


@pytest.mark.parametrize("statement", AGREEMENTS.format(state="APPROVED").split(";")[:-1])
def test_no_agreement_begins_elsewhere_than_applied(connection: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="starts APPLIED"):
        connection.execute(statement)


@pytest.mark.parametrize("kind", LIFECYCLES)
def test_every_change_needs_exactly_its_event(filled: sqlite3.Connection, kind: str) -> None:
    """Each pair of states, with each way in which the event named for it can be the wrong one."""
    row = SUBJECTS[kind]
    states = sorted({str(r.source) for r in LIFECYCLES[kind].rows} | {str(r.target) for r in LIFECYCLES[kind].rows})
    refused = 0
    for here, there in itertools.permutations(states, 2):
        if here != state(filled, kind)[0]:
            move(filled, kind, here, record(filled, kind, row.subject_id, state(filled, kind)[0], here))
        before = state(filled, kind)
        wrong = {
            "no such event": 10**9,
            "the event of the present state": before[1],
            "recorded, not changed": record(filled, kind, row.subject_id, None, None),
            "another target": record(filled, kind, row.subject_id, here, "ELSEWHERE"),
            "another source": record(filled, kind, row.subject_id, there, there),
            "another subject": record(filled, "peer", row.subject_id, here, there),
            "another id": record(filled, kind, row.subject_id + "x", here, there),
        }
        for seq in wrong.values():
            with pytest.raises(sqlite3.IntegrityError, match="changes state only through its event"):
                move(filled, kind, there, seq)
            refused += 1
        assert state(filled, kind) == before
        move(filled, kind, there, record(filled, kind, row.subject_id, here, there))
        assert state(filled, kind)[0] == there
    assert refused == 7 * len(states) * (len(states) - 1)


@pytest.mark.parametrize("kind", LIFECYCLES)
def test_an_event_justifies_one_change_only(filled: sqlite3.Connection, kind: str) -> None:
    row = SUBJECTS[kind]
    initial, other = state(filled, kind)[0], "OTHER"
    first = record(filled, kind, row.subject_id, initial, other)
    back = record(filled, kind, row.subject_id, other, initial)
    move(filled, kind, other, first)
    move(filled, kind, initial, back)
    with pytest.raises(sqlite3.IntegrityError, match="changes state only through its event"):
        move(filled, kind, other, first)


@pytest.mark.parametrize("kind", LIFECYCLES)
def test_other_columns_change_freely(filled: sqlite3.Connection, kind: str) -> None:
    row = SUBJECTS[kind]
    assert filled.execute(f"UPDATE {row.table} SET {row.others} WHERE {row.where}").rowcount == 1


@pytest.mark.parametrize("statement", ["UPDATE events SET reason = 'x'", "DELETE FROM events WHERE seq = 1"])
def test_the_ledger_is_append_only(connection: sqlite3.Connection, statement: str) -> None:
    record(connection, "job", "j", None, JobState.PENDING)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)


def test_an_event_cannot_be_replaced_either(connection: sqlite3.Connection) -> None:
    """REPLACE deletes without firing delete triggers unless they are recursive."""
    record(connection, "job", "j", None, JobState.PENDING)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(
            "INSERT OR REPLACE INTO events (seq, at_ms, subject, subject_id, event, actor, prev_hash, hash)"
            " VALUES (1, 0, 'job', 'j', 'forged', 'eve', '', '')"
        )
    assert connection.execute("SELECT event FROM events").fetchall() == [("e",)]
