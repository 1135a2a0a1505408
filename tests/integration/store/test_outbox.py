"""Effects in lanes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from embedded_scheduler.store import outbox
from embedded_scheduler.store.database import Database, Reader, Tx


def put(tx: Tx, lane: str, key: str, *, next_ms: int = 0, job_id: str = "j", target: str = "p", **more: Any) -> bool:
    defaults: dict[str, Any] = {
        "kind": "call", "operation": "job/create", "body": {"文": [1]}, "nonce": f"n-{key}", "trace_id": "t",
    }  # fmt: skip
    return outbox.add(tx, job_id=job_id, lane=lane, key=key, target=target, next_ms=next_ms, **(defaults | more))


def keys(now_ms: int, *, busy: tuple[str, ...] = (), limit: int = 100) -> Callable[[Reader], list[str]]:
    return lambda reader: [
        r.key for r in outbox.due_calls(reader, target="p", now_ms=now_ms, limit=limit, busy_lanes=busy)
    ]


def due_after(now_ms: int) -> Callable[[Reader], tuple[int, int] | None]:
    return lambda reader: outbox.next_due(reader, now_ms=now_ms)


def row_id(reader: Reader, key: str, job_id: str = "j") -> int:
    return next(row.id for row in outbox.for_job(reader, job_id) if row.key == key)


async def test_a_row_comes_back_as_it_was_added(db: Database) -> None:
    assert await db.write(lambda tx: put(tx, "lane", "k", next_ms=7))
    (row,) = await db.read(lambda reader: outbox.for_job(reader, "j"))
    assert row == outbox.OutboxRow(
        id=1, job_id="j", lane="lane", kind="call", target="p", operation="job/create", key="k", body={"文": [1]},
        nonce="n-k", trace_id="t", state="waiting", attempts=0, last_error="", created_ms=1_700_000_000_000, next_ms=7,
    )  # fmt: skip


async def test_a_key_is_added_once_per_job_even_after_it_is_done(db: Database) -> None:
    def work(tx: Tx) -> list[bool]:
        added = [put(tx, "lane", "k"), put(tx, "other", "k"), put(tx, "lane", "k", job_id="j2")]
        outbox.acknowledge(tx, row_id(tx, "k"))
        return [*added, put(tx, "lane", "k")]

    assert await db.write(work) == [True, False, True, False]


async def test_only_the_first_row_of_a_lane_is_offered_and_only_when_due(db: Database) -> None:
    def fill(tx: Tx) -> None:
        put(tx, "a", "a1", next_ms=50)
        put(tx, "a", "a2", next_ms=0)
        put(tx, "b", "b1", next_ms=20)
        put(tx, "b", "b2", next_ms=10)
        put(tx, "c", "c1", next_ms=30)

    await db.write(fill)
    assert await db.read(keys(5)) == []
    assert await db.read(keys(30)) == ["b1", "c1"]
    assert await db.read(keys(50)) == ["b1", "c1", "a1"]
    assert await db.read(keys(50, limit=2)) == ["b1", "c1"]
    assert await db.read(keys(50, busy=("b", "c"))) == ["a1"]
    assert await db.read(due_after(5)) == (20, 50)
    assert await db.read(due_after(20)) == (30, 50)
    assert await db.read(due_after(50)) is None


@pytest.mark.parametrize("how", ["acknowledge", "refuse", "abandon"])
async def test_the_next_row_follows_when_the_first_is_over(db: Database, how: str) -> None:
    def work(tx: Tx) -> bool:
        put(tx, "a", "a1")
        put(tx, "a", "a2")
        if how == "acknowledge":
            return outbox.acknowledge(tx, row_id(tx, "a1"))
        if how == "refuse":
            return outbox.refuse(tx, row_id(tx, "a1"), "the partner said no")
        return outbox.abandon(tx, "j", "a1")

    assert await db.write(work)
    assert await db.read(keys(0)) == ["a2"]
    first = (await db.read(lambda reader: outbox.for_job(reader, "j")))[0]
    assert first.state == {"acknowledge": "acknowledged", "refuse": "refused", "abandon": "abandoned"}[how]
    assert first.last_error == ("the partner said no" if how == "refuse" else "")


async def test_a_failed_row_keeps_its_place(db: Database) -> None:
    def work(tx: Tx) -> None:
        put(tx, "a", "a1")
        put(tx, "a", "a2")
        assert outbox.retry(tx, row_id(tx, "a1"), "no route to host", 500)

    await db.write(work)
    assert await db.read(keys(499)) == []
    assert await db.read(due_after(499)) == (500, 500)
    (row,) = await db.read(lambda reader: outbox.due_calls(reader, target="p", now_ms=500, limit=9))
    assert (row.key, row.attempts, row.last_error) == ("a1", 1, "no route to host")


async def test_what_is_over_stays_as_it_is(db: Database) -> None:
    """A delivery that was abandoned while it was under way reports late."""

    def work(tx: Tx) -> list[bool]:
        put(tx, "a", "a1")
        number = row_id(tx, "a1")
        assert outbox.abandon(tx, "j", "a1")
        return [
            outbox.acknowledge(tx, number),
            outbox.refuse(tx, number, "x"),
            outbox.retry(tx, number, "x", 9),
            outbox.abandon(tx, "j", "a1"),
            outbox.abandon(tx, "j", "never added"),
        ]

    assert await db.write(work) == [False] * 5
    (row,) = await db.read(lambda reader: outbox.for_job(reader, "j"))
    assert (row.state, row.attempts, row.last_error) == ("abandoned", 0, "")
    assert await db.read(due_after(0)) is None


async def test_a_partner_that_came_back_is_tried_at_once(db: Database) -> None:
    later = 1_700_000_900_000

    def work(tx: Tx) -> int:
        put(tx, "a", "failed", target="p")
        put(tx, "b", "failed elsewhere", target="q")
        put(tx, "c", "not due yet", target="p", next_ms=later)
        for key in ("failed", "failed elsewhere"):
            outbox.retry(tx, row_id(tx, key), "down", later)
        return outbox.revive(tx, "p")

    assert await db.write(work) == 1
    assert await db.read(keys(1_700_000_000_000)) == ["failed"]
    assert await db.read(keys(later)) == ["failed", "not due yet"]
    assert await db.read(due_after(1_700_000_000_000)) == (later, later)


async def test_every_target_is_named_once_and_only_while_a_call_to_it_waits(db: Database) -> None:
    def work(tx: Tx) -> None:
        for number, target in enumerate(("r", "p", "q", "p", "r")):
            put(tx, f"lane{number}", f"{number}", target=target)
        put(tx, "run", "launch", target="attempt", kind="launch")
        outbox.acknowledge(tx, row_id(tx, "2"))

    assert await db.read(outbox.targets) == []
    await db.write(work)
    assert await db.read(outbox.targets) == ["p", "r"]


async def test_a_launch_comes_before_the_order_to_end_it_however_full_the_node_is(db: Database) -> None:
    def work(tx: Tx) -> None:
        for number in range(3):
            put(tx, f"run{number}", f"launch{number}", kind="launch", next_ms=number)
        put(tx, "run2", "end2", kind="terminate")
        put(tx, "run3", "end3", kind="terminate", next_ms=9)

    def ends(now_ms: int, *busy: str) -> Callable[[Reader], list[str]]:
        return lambda r: [row.key for row in outbox.due_ends(r, now_ms=now_ms, limit=9, busy_lanes=busy)]

    await db.write(work)
    launches = await db.read(lambda r: outbox.due_launches(r, now_ms=9, limit=2, busy_lanes=["run0"]))
    assert [row.key for row in launches] == ["launch1", "launch2"]
    assert await db.read(lambda r: outbox.due_launches(r, now_ms=9, limit=0)) == []
    assert await db.read(ends(1)) == []
    assert await db.read(ends(2)) == ["launch2"]
    assert await db.read(ends(9, "run2")) == ["end3"]
    await db.write(lambda tx: outbox.refuse(tx, row_id(tx, "launch2"), "stopped"))
    assert await db.read(ends(9)) == ["end2", "end3"]


async def test_what_is_planned_too_far_ahead_is_pulled_in(db: Database) -> None:
    def work(tx: Tx) -> int:
        put(tx, "a", "soon", next_ms=90)
        put(tx, "b", "far", next_ms=5_000)
        put(tx, "b", "behind far", next_ms=5_000)
        return outbox.pull_in(tx, now_ms=50, latest_ms=100)

    assert await db.write(work) == 1
    assert await db.read(keys(50)) == ["far"]
    assert await db.read(due_after(50)) == (90, 90)


async def test_what_waits_is_counted_by_target(db: Database) -> None:
    def work(tx: Tx) -> None:
        for key, target in (("1", "p"), ("2", "p"), ("3", "q"), ("4", "r")):
            put(tx, "a", key, target=target)
        outbox.acknowledge(tx, row_id(tx, "4"))

    await db.write(work)
    assert await db.read(outbox.undelivered_by_target) == {"p": 2, "q": 1}


async def test_heads_agree_with_a_plain_model(db: Database) -> None:
    chance = random.Random(7)
    model: list[dict[str, Any]] = []

    def expected(now: int, busy: set[str]) -> list[str]:
        first: dict[str, dict[str, Any]] = {}
        for row in model:
            first.setdefault(row["lane"], row)
        due = [row for lane, row in first.items() if row["next"] <= now and lane not in busy]
        return [row["key"] for row in sorted(due, key=lambda row: (row["next"], row["id"]))]

    def step(tx: Tx) -> None:
        for number in range(60):
            lane, next_ms = f"l{chance.randrange(6)}", chance.randrange(100)
            put(tx, lane, f"{len(ids)}-{number}", next_ms=next_ms)
            ids.append(row_id(tx, f"{len(ids)}-{number}"))
            model.append({"id": ids[-1], "lane": lane, "key": f"{len(ids) - 1}-{number}", "next": next_ms})
            if model and chance.random() < 0.7:
                victim = model.pop(chance.randrange(len(model)))
                outbox.acknowledge(tx, victim["id"])

    ids: list[int] = []
    for _ in range(8):
        await db.write(step)
        now, busy = chance.randrange(100), {f"l{chance.randrange(6)}"}
        assert await db.read(keys(now, busy=tuple(busy), limit=1000)) == expected(now, busy)


@contextmanager
def steps_of(reader: Reader) -> Iterator[list[None]]:
    """Gets an entry for each of SQLite's own steps, whose number does not depend on the machine."""
    steps: list[None] = []

    def count() -> int:
        steps.append(None)
        return 0

    reader._connection.set_progress_handler(count, 1)
    yield steps
    reader._connection.set_progress_handler(None, 0)


async def test_finished_rows_cost_nothing(db: Database) -> None:
    def cost(reader: Reader) -> int:
        with steps_of(reader) as steps:
            for target in outbox.targets(reader):
                outbox.due_calls(reader, target=target, now_ms=10**15, limit=32, busy_lanes=["x"])
            outbox.due_launches(reader, now_ms=10**15, limit=32, busy_lanes=["x"])
            outbox.due_ends(reader, now_ms=10**15, limit=32, busy_lanes=["x"])
            outbox.next_due(reader, now_ms=0)
            outbox.undelivered_by_target(reader)
        return len(steps)

    def fill(tx: Tx) -> None:
        for number in range(20):
            put(tx, f"lane{number}", f"open{number}")

    def finish(tx: Tx) -> None:
        for number in range(10_000):
            put(tx, "busy", f"done{number}", job_id="done")
        tx._connection.execute("UPDATE outbox SET state = 'acknowledged', done_ms = 1 WHERE job_id = 'done'")

    await db.write(fill)
    before = await db.read(cost)
    await db.write(finish)
    assert await db.read(cost) <= before * 1.1


async def test_rows_in_line_cost_nothing(db: Database) -> None:
    """A lane with a thousand rows is looked at through its first one."""

    def cost(reader: Reader) -> int:
        with steps_of(reader) as steps:
            assert len(outbox.due_calls(reader, target="p", now_ms=10**15, limit=32)) == 1
            outbox.next_due(reader, now_ms=0)
            outbox.targets(reader)
        return len(steps)

    def fill(tx: Tx) -> None:
        for number in range(1000):
            put(tx, "lane", f"in line {number}")

    await db.write(lambda tx: put(tx, "lane", "first"))
    before = await db.read(cost)
    await db.write(fill)
    assert await db.read(cost) <= before * 1.1
