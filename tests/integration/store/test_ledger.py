"""The chain of events: reading it, and finding every way it can be tampered with."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from embedded_scheduler.clock import Clock
from embedded_scheduler.store import ledger
from embedded_scheduler.store.database import Database, Tx

EVENTS = 10


def fill(tx: Tx) -> None:
    for number in range(1, EVENTS + 1):
        ledger.append(
            tx,
            subject="job",
            subject_id=f"job-{number}",
            event="job.created",
            actor="operator:ann",
            job_id=f"job-{number % 2}",
            source="PENDING" if number % 3 else None,
            target="READY" if number % 3 else None,
            reason="because",
            trace_id="trace",
            data={"b": [number, 0.5, None], "a": "文字"},
        )


async def test_an_event_comes_back_as_it_was_appended(db: Database, clock: Clock) -> None:
    seq = await db.write(
        lambda tx: ledger.append(
            tx, subject="task", subject_id="j/t", event="task.failed", actor="peer:b", job_id="j",
            source="RUNNING", target="FAILED", reason="out of memory", trace_id="t1", data={"exit": 137, "a": ["é"]},
        )
    )  # fmt: skip
    (record,) = await db.read(lambda reader: ledger.page(reader, after=seq - 1, limit=2))
    assert asdict(record) == {
        "seq": 1, "at_ms": clock.now_ms(), "subject": "task", "subject_id": "j/t", "job_id": "j",
        "event": "task.failed", "source": "RUNNING", "target": "FAILED", "actor": "peer:b", "reason": "out of memory",
        "trace_id": "t1", "data": {"exit": 137, "a": ["é"]}, "prev_hash": ledger.GENESIS, "hash": record.hash,
    }  # fmt: skip
    assert await db.read(ledger.last) == (1, record.hash)


async def test_pages_go_forward_by_number_and_by_job(db: Database) -> None:
    await db.write(fill)
    page = await db.read(lambda reader: ledger.page(reader, after=3, limit=4))
    assert [record.seq for record in page] == [4, 5, 6, 7]
    of_job = await db.read(lambda reader: ledger.page(reader, after=4, limit=2, job_id="job-1"))
    assert [record.seq for record in of_job] == [5, 7]


async def test_data_must_be_json(db: Database) -> None:
    for bad in ({"x": float("nan")}, {"x": object()}):
        with pytest.raises((ValueError, TypeError)):
            await db.write(
                lambda tx, bad=bad: ledger.append(tx, subject="s", subject_id="i", event="e", actor="node", data=bad)
            )
    assert await db.read(ledger.last) == (0, ledger.GENESIS)


async def test_an_empty_ledger_is_sound(db: Database) -> None:
    report = await db.read(ledger.verify)
    assert report == ledger.VerifyReport(ok=True, events=0, last_seq=0, last_hash=ledger.GENESIS)


async def test_an_exported_line_can_be_checked_without_this_program(db: Database) -> None:
    await db.write(fill)
    lines = await db.read(lambda reader: list(ledger.export(reader)))
    previous = "0" * 64
    for number, line in enumerate(lines, 1):
        event = json.loads(line)
        stated = event.pop("hash")
        assert (event["seq"], event["prev_hash"]) == (number, previous)
        event["data"] = json.dumps(event["data"], sort_keys=True, separators=(",", ":"))
        canonical = json.dumps(event, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(canonical.encode()).hexdigest() == stated
        previous = stated
    assert len(lines) == EVENTS


def update(column: str, value: object) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(f"UPDATE events SET {column} = ? WHERE seq = 5", (value,))


def remove(where: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(f"DELETE FROM events WHERE {where}")


def swap(connection: sqlite3.Connection) -> None:
    """Two events change places, each with all its columns."""
    connection.execute("UPDATE events SET seq = -1 WHERE seq = 5")
    connection.execute("UPDATE events SET seq = 5 WHERE seq = 6")
    connection.execute("UPDATE events SET seq = 6 WHERE seq = -1")


def rehash(connection: sqlite3.Connection) -> None:
    """One event is rewritten consistently with itself; the next one still names the original's hash."""
    connection.row_factory = sqlite3.Row
    columns = dict(connection.execute("SELECT * FROM events WHERE seq = 5").fetchone())
    del columns["hash"]
    columns["actor"] = "operator:eve"
    digest = hashlib.sha256(json.dumps(columns, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    connection.execute("UPDATE events SET actor = 'operator:eve', hash = ? WHERE seq = 5", (digest,))


def insert(seq: int) -> Callable[[sqlite3.Connection], object]:
    def forge(connection: sqlite3.Connection) -> None:
        """A copy of an event under another number; later ones move up when it goes in between."""
        connection.execute("UPDATE events SET seq = -seq - 1 WHERE seq >= ?", (seq,))
        connection.execute("UPDATE events SET seq = -seq WHERE seq < 0")
        names = [row[1] for row in connection.execute("PRAGMA table_info(events)") if row[1] != "seq"]
        columns = ", ".join(names)
        connection.execute(f"INSERT INTO events (seq, {columns}) SELECT ?, {columns} FROM events WHERE seq = 3", (seq,))

    return forge


TAMPERINGS: dict[str, tuple[Callable[[sqlite3.Connection], object], int]] = {
    "at_ms": (update("at_ms", 1), 4),
    "subject": (update("subject", "task"), 4),
    "subject_id": (update("subject_id", "job-x"), 4),
    "job_id": (update("job_id", "job-x"), 4),
    "event": (update("event", "job.rejected"), 4),
    "source": (update("source", None), 4),
    "target": (update("target", "RUNNING"), 4),
    "actor": (update("actor", "operator:eve"), 4),
    "reason": (update("reason", "nothing"), 4),
    "trace_id": (update("trace_id", ""), 4),
    "data": (update("data", "{}"), 4),
    "spaces in data": (lambda connection: connection.execute("UPDATE events SET data = data || ' ' WHERE seq = 5"), 4),
    "data that is no JSON": (update("data", "{"), 4),
    "prev_hash": (update("prev_hash", "0" * 64), 4),
    "hash": (update("hash", "f" * 64), 4),
    "number": (lambda connection: connection.execute("UPDATE events SET seq = 99 WHERE seq = 10"), 9),
    "middle removed": (remove("seq = 5"), 4),
    "first removed": (remove("seq = 1"), 0),
    "beginning removed": (remove("seq <= 7"), 0),
    "swapped": (swap, 4),
    "rewritten with a fitting hash": (rehash, 5),
    "inserted in between": (insert(5), 4),
    "inserted at the end": (insert(11), 10),
    "inserted before the first": (
        lambda connection: connection.execute("INSERT INTO events SELECT 0, at_ms, subject, subject_id, job_id, event,"
        " source, target, actor, reason, trace_id, data, prev_hash, hash FROM events WHERE seq = 1"), 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_tampering_is_found_where_it_begins(db: Database, path: Path, name: str) -> None:
    await db.write(fill)
    assert (await db.read(ledger.verify)).ok
    tamper, good = TAMPERINGS[name]
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("DROP TRIGGER events_append_only_update")
        connection.execute("DROP TRIGGER events_append_only_delete")
        tamper(connection)
    connection.close()
    report = await db.read(ledger.verify)
    assert not report.ok
    assert report.fault
    assert (report.events, report.last_seq) == (good, good)


async def test_a_ledger_that_lost_its_end_is_found_by_the_states_that_refer_to_it(db: Database, path: Path) -> None:
    def job_with_event(tx: Tx) -> None:
        fill(tx)
        seq = ledger.append(tx, subject="job", subject_id="j", event="job.created", actor="node", job_id="j")
        tx.run(
            "jobs.insert", job_id="j", flow_id="f", seq=seq, coordinator="a", initiator="a", digest="d", document="{}",
            as_sent=None, trace_id="", tasks_total=0, now_ms=tx.now_ms, searched="", summary="{}",
        )  # fmt: skip

    await db.write(job_with_event)
    assert (await db.read(ledger.verify)).ok
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("DROP TRIGGER events_append_only_delete")
        connection.execute("DELETE FROM events WHERE seq > 8")
    connection.close()
    report = await db.read(ledger.verify)
    assert (report.ok, report.last_seq) == (False, 8)
    assert "job j refers to event 11" in report.fault


async def test_a_long_ledger_is_verified_across_pages(db: Database, path: Path) -> None:
    def many(tx: Tx) -> None:
        for _ in range(5_001):
            ledger.append(tx, subject="s", subject_id="i", event="e", actor="node")

    await db.write(many)
    assert (await db.read(ledger.verify)).events == 5_001
    assert await db.read(lambda reader: sum(1 for _ in ledger.export(reader))) == 5_001
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("DROP TRIGGER events_append_only_delete")
        connection.execute("DELETE FROM events WHERE seq = 4000")  # the last of the second page
    connection.close()
    report = await db.read(ledger.verify)
    assert report.last_seq == 3_999
    assert report.fault.startswith("event 4000 is missing")
