"""One writer for all: grouping, isolation of closures, cancellation, snapshots."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.errors import StoreError
from embedded_scheduler.store import ledger
from embedded_scheduler.store.database import LARGEST_GROUP, Database, Reader, Tx


class BoomError(Exception):
    pass


def event(name: str) -> Callable[[Tx], int]:
    return lambda tx: ledger.append(tx, subject="node", subject_id=name, event="tested", actor="node")


def names(reader: Reader) -> list[str]:
    return [record.subject_id for record in ledger.page(reader, limit=10_000)]


class Gate:
    """A write that holds the writer's thread until it is opened."""

    def __init__(self, db: Database) -> None:
        self._loop = asyncio.get_running_loop()
        self._entered = asyncio.Event()
        self._open = threading.Event()
        self.call = asyncio.ensure_future(db.write(self._wait))

    def _wait(self, tx: Tx) -> int:
        self._loop.call_soon_threadsafe(self._entered.set)
        assert self._open.wait(30)
        return event("gate")(tx)

    async def held(self) -> None:
        await asyncio.wait_for(self._entered.wait(), 30)

    def open(self) -> None:
        self._open.set()


async def started(calls: Sequence[asyncio.Future[int]]) -> None:
    """Let every call reach its first suspension."""
    await asyncio.sleep(0)
    assert not any(call.done() for call in calls)


async def test_writes_that_wait_share_a_commit(db: Database) -> None:
    commits: list[Sequence[int]] = []
    db.on_commit = commits.append
    gate = Gate(db)
    await gate.held()
    calls = [asyncio.ensure_future(db.write(event(f"e{number}"))) for number in range(50)]
    await started(calls)
    gate.open()
    assert await asyncio.gather(*calls) == list(range(2, 52))
    assert commits == [[1], list(range(2, 52))]
    assert await gate.call == 1


async def test_a_very_large_group_is_divided(db: Database) -> None:
    commits: list[Sequence[int]] = []
    db.on_commit = commits.append
    gate = Gate(db)
    await gate.held()
    calls = [asyncio.ensure_future(db.write(event("e"))) for _ in range(LARGEST_GROUP + 1)]
    await started(calls)
    gate.open()
    await asyncio.gather(*calls)
    assert [len(commit) for commit in commits] == [1, LARGEST_GROUP, 1]
    await gate.call


async def test_a_closure_that_raises_undoes_itself_alone(db: Database) -> None:
    def fails(tx: Tx) -> int:
        event("undone")(tx)
        raise BoomError

    commits: list[Sequence[int]] = []
    db.on_commit = commits.append
    gate = Gate(db)
    await gate.held()
    calls = [asyncio.ensure_future(db.write(work)) for work in (event("before"), fails, event("after"))]
    await started(calls)
    gate.open()
    before, failed, after = await asyncio.gather(*calls, return_exceptions=True)
    assert (before, after) == (2, 3)
    assert isinstance(failed, BoomError)
    assert commits == [[1], [2, 3]]
    assert await db.read(names) == ["gate", "before", "after"]
    assert (await db.read(ledger.verify)).ok
    await gate.call


async def test_nobody_is_told_of_a_success_that_sqlite_undid(db: Database) -> None:
    """Some failures (I/O, memory) make SQLite drop the transaction at once; the rest of the group goes on anew."""

    def drops(tx: Tx) -> int:
        for _ in range(2):
            tx._connection.execute(
                "INSERT OR ROLLBACK INTO peers VALUES ('a', 'u', 'p', 'auto', '{}', 0, 'off', 'identity')"
            )
        return 0

    commits: list[Sequence[int]] = []
    db.on_commit = commits.append
    gate = Gate(db)
    await gate.held()
    calls = [asyncio.ensure_future(db.write(work)) for work in (event("before"), drops, event("after"))]
    await started(calls)
    gate.open()
    before, dropping, after = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(before, StoreError)
    assert "nothing was stored" in before.message
    assert isinstance(dropping, sqlite3.IntegrityError)
    assert after == 2
    assert commits == [[1], [2]]
    assert await db.read(names) == ["gate", "after"]
    assert (await db.read(ledger.verify)).ok
    await gate.call


async def test_a_failing_write_alone_is_undone(db: Database) -> None:
    def fails(tx: Tx) -> None:
        event("undone")(tx)
        raise BoomError

    with pytest.raises(BoomError):
        await db.write(fails)
    assert await db.write(event("next")) == 1
    assert (await db.read(ledger.verify)).ok


async def test_a_broken_constraint_reaches_its_caller_as_it_is(db: Database) -> None:
    def twice(tx: Tx) -> None:
        for _ in range(2):
            tx.run("jobs.insert_approval", job_id="none", node_id="n", seq=1, now_ms=1)

    with pytest.raises(sqlite3.IntegrityError):
        await db.write(twice)
    assert await db.write(event("next")) == 1


async def test_stop_iteration_does_not_hang_its_caller(db: Database) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await db.write(lambda tx: next(iter(())))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=40))
def test_exactly_the_successful_closures_are_stored(plan: list[tuple[int, bool]]) -> None:
    """However many events a closure appends, and whichever fail, alone or in a group."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            database = await Database.open(Path(folder) / "node.db", clock=SystemClock())
            published: list[int] = []
            database.on_commit = published.extend
            try:
                results = await asyncio.gather(
                    *(database.write(several(f"c{i}", *step)) for i, step in enumerate(plan)), return_exceptions=True
                )
                assert [isinstance(result, BoomError) for result in results] == [fails for _, fails in plan]
                wanted = [f"c{i}" for i, (count, fails) in enumerate(plan) if not fails for _ in range(count)]
                assert await database.read(names) == wanted
                assert published == list(range(1, len(wanted) + 1))
                report = await database.read(ledger.verify)
                assert (report.ok, report.events) == (True, len(wanted))
            finally:
                await database.close()

    asyncio.run(run())


def several(name: str, count: int, fails: bool) -> Callable[[Tx], None]:
    def work(tx: Tx) -> None:
        for _ in range(count):
            event(name)(tx)
        if fails:
            raise BoomError

    return work


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_a_cancelled_caller_loses_nobodys_work(db: Database, cancelled: int) -> None:
    """Whether it is the one that woke the writer (0) or one that merely joined."""
    gate = Gate(db)
    await gate.held()
    calls = [asyncio.ensure_future(db.write(event(f"e{number}"))) for number in range(3)]
    await started(calls)
    calls[cancelled].cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls[cancelled]
    gate.open()
    await asyncio.gather(*(call for call in calls if not call.cancelled()))
    await gate.call
    assert await db.read(names) == ["gate", "e0", "e1", "e2"]
    assert await db.write(event("next")) == 5


async def test_a_caller_cancelled_inside_its_transaction_leaves_none_open(db: Database) -> None:
    gate = Gate(db)
    await gate.held()
    gate.call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gate.call
    gate.open()
    assert await db.write(event("next")) == 2
    assert await db.read(names) == ["gate", "next"]


async def test_the_failure_of_a_cancelled_write_is_not_reported_as_lost(db: Database) -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    gate = Gate(db)
    await gate.held()

    def fails(tx: Tx) -> int:
        raise BoomError

    call = asyncio.ensure_future(db.write(fails))
    await started([call])
    call.cancel()
    await asyncio.wait([call])  # pytest.raises would keep the traceback, and with it the future
    assert call.cancelled()
    gate.open()
    await gate.call
    await db.write(event("next"))
    del call
    for _ in range(3):  # the first pass only frees what holds the future
        gc.collect()
    assert reported == []


async def test_events_are_handed_over_after_the_commit_and_before_the_writer_resumes(db: Database) -> None:
    order: list[str] = []
    other = sqlite3.connect(db.path)

    def on_commit(seqs: Sequence[int]) -> None:
        assert threading.current_thread() is threading.main_thread()
        order.append(f"{list(seqs)}, {other.execute('SELECT count(*) FROM events').fetchone()[0]} on disk")

    db.on_commit = on_commit
    await db.write(event("one"))
    order.append("resumed")
    other.close()
    assert order == ["[1], 1 on disk", "resumed"]


async def test_a_failing_listener_does_not_hang_the_writers(db: Database) -> None:
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(str(context["exception"])))

    def on_commit(seqs: Sequence[int]) -> None:
        raise BoomError("listener")

    db.on_commit = on_commit
    assert await asyncio.wait_for(db.write(event("one")), 30) == 1
    assert reported == ["listener"]


async def test_a_read_sees_one_moment(db: Database) -> None:
    await db.write(event("one"))
    loop, reading, proceed = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def twice(reader: Reader) -> tuple[list[str], list[str]]:
        first = names(reader)
        loop.call_soon_threadsafe(reading.set)
        assert proceed.wait(30)
        return first, names(reader)

    call = asyncio.ensure_future(db.read(twice))
    await asyncio.wait_for(reading.wait(), 30)
    await db.write(event("two"))
    assert await db.read(names) == ["one", "two"]  # the other reader is not held up
    proceed.set()
    assert await call == (["one"], ["one"])


async def test_a_reader_cannot_write(db: Database) -> None:
    def writes(reader: Reader) -> None:
        reader.one("inbox.tombstone", job_id="j", source="s", now_ms=1)

    with pytest.raises(StoreError):
        await db.read(writes)
    assert await db.read(lambda reader: reader.one("inbox.is_tombstoned", job_id="j", source="s")) is None


async def test_an_unknown_statement_is_named(db: Database) -> None:
    with pytest.raises(LookupError, match=r"no\.such"):
        await db.read(lambda reader: reader.one("no.such"))


async def test_close_finishes_what_is_queued_and_refuses_the_rest(path: Path) -> None:
    database = await Database.open(path, clock=SystemClock())
    calls = [asyncio.ensure_future(database.write(event(f"e{number}"))) for number in range(5)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*calls) == [1, 2, 3, 4, 5]
    with pytest.raises(StoreError, match="closed"):
        await database.write(event("late"))
    with pytest.raises(StoreError, match="closed"):
        await database.read(names)
    await database.close()
