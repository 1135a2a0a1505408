"""Stored answers, components, datasets, partners, and the removal of what is old."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from embedded_scheduler.spi.connector import Column, Probe
from embedded_scheduler.store import components, datasets, inbox, ledger, outbox, peers, retention
from embedded_scheduler.store.database import Database, Tx


async def test_the_first_answer_to_a_request_stays(db: Database) -> None:
    def remember(body_hash: str, answer: str, **changed: str) -> Any:
        request = {"source": "p", "nonce": "n", "operation": "job/create"} | changed
        return lambda tx: inbox.remember(tx, **request, body_hash=body_hash, answer=answer)

    assert await db.write(remember("h1", "first"))
    assert not await db.write(remember("h2", "second"))
    assert await db.write(remember("h3", "third", nonce="m"))
    assert await db.write(remember("h4", "fourth", source="q"))
    assert await db.write(remember("h5", "fifth", operation="job/stop"))
    assert await db.read(lambda r: inbox.recall(r, "p", "n", "job/create")) == inbox.Answer("h1", "first")
    assert await db.read(lambda r: inbox.recall(r, "q", "n", "job/create")) == inbox.Answer("h4", "fourth")
    assert await db.read(lambda r: inbox.recall(r, "q", "m", "job/create")) is None


async def test_a_tombstone_is_of_one_source(db: Database) -> None:
    for _ in range(2):
        await db.write(lambda tx: inbox.tombstone(tx, "j", "p"))
    assert await db.read(lambda r: inbox.is_tombstoned(r, "j", "p"))
    assert not await db.read(lambda r: inbox.is_tombstoned(r, "j", "q"))
    assert not await db.read(lambda r: inbox.is_tombstoned(r, "k", "p"))


def register(tx: Tx, provider: str, name: str, version: str, code: str = "", image: str = "builtin:probe") -> None:
    components.put(
        tx, provider=provider, name=name, version=version, code=code, image_url=image, manifest={"z": 1, "a": ["文"]},
        registered_by="operator:ann",
    )  # fmt: skip


async def test_a_component_is_replaced_listed_and_removed(db: Database, clock: Any) -> None:
    await db.write(lambda tx: register(tx, "p", "psi", "1.0", "old"))
    clock.ms += 5
    await db.write(lambda tx: register(tx, "p", "psi", "1.0", "psi_code", "exec:/bin/psi"))
    await db.write(lambda tx: register(tx, "p", "probe", "1.0"))
    found = await db.read(lambda r: components.get(r, "p", "psi", "1.0"))
    assert found == components.Component(
        "p", "psi", "1.0", "psi_code", "exec:/bin/psi", {"z": 1, "a": ["文"]}, clock.ms, "operator:ann"
    )
    assert list(found.manifest) == ["z", "a"]  # as sent
    assert [c.name for c in await db.read(components.all)] == ["probe", "psi"]
    assert await db.write(lambda tx: components.delete(tx, "p", "psi", "1.0"))
    assert not await db.write(lambda tx: components.delete(tx, "p", "psi", "1.0"))
    assert await db.read(lambda r: components.get(r, "p", "psi", "1.0")) is None


@pytest.mark.parametrize(
    ("asked", "image"),
    [
        ({"provider": "p", "name": "psi", "version": "1.0"}, "one"),
        ({"provider": "p", "name": "psi", "version": "1.0", "code": "other"}, "one"),
        ({"provider": "p", "name": "psi"}, "two"),
        ({"provider": "p", "name": "psi", "version": "9"}, None),
        ({"provider": "p", "name": "unknown"}, None),
        ({"code": "psi_code", "version": "1.0"}, "one"),
        ({"code": "psi_code", "version": "2.0"}, "three"),
        ({"code": "psi_code"}, "three"),
        ({"code": "psi_code", "version": "9"}, None),
        ({"code": "bare", "version": "9"}, "bare"),
        ({"provider": "x", "name": "y", "code": "bare"}, "bare"),
        ({"code": "unknown"}, None),
        ({"name": "psi"}, None),
        ({}, None),
    ],
)
async def test_a_flow_finds_its_component(db: Database, clock: Any, asked: dict[str, str], image: str | None) -> None:
    for row in (
        ("p", "psi", "1.0", "psi_code", "one"),
        ("p", "psi", "0.9", "psi_code", "two"),  # older version, newer registration
        ("q", "psi", "2.0", "psi_code", "three"),
        ("r", "bare", "", "bare", "bare"),
    ):
        clock.ms += 1
        await db.write(lambda tx, row=row: register(tx, *row))
    wanted = {"provider": "", "name": "", "version": "", "code": ""} | asked
    found = await db.read(lambda r: components.resolve(r, **wanted))
    assert (found.image_url if found else None) == image


async def test_a_dataset_is_replaced_listed_and_removed(db: Database, clock: Any) -> None:
    probe = Probe((Column("id", "string"), Column("年龄", "integer")), 569, 12_345, "f" * 64)

    def put(tx: Tx, name: str, rows: int) -> datasets.Dataset:
        return datasets.put(
            tx, namespace="ns", name=name, connector="csv", options={"path": "/data/x.csv"}, description="d",
            probe=replace(probe, rows=rows),
        )  # fmt: skip

    await db.write(lambda tx: put(tx, "b", 1))
    stored = await db.write(lambda tx: put(tx, "b", 2))
    await db.write(lambda tx: put(tx, "a", 3))
    assert stored == await db.read(lambda r: datasets.get(r, "ns", "b"))
    assert stored == datasets.Dataset(
        "ns", "b", "csv", {"path": "/data/x.csv"}, "d", probe.columns, 2, 12_345, "f" * 64, clock.ms
    )
    assert stored.dataset_id == "ns#b"
    assert [d.name for d in await db.read(datasets.all)] == ["a", "b"]
    assert await db.write(lambda tx: datasets.delete(tx, "ns", "b"))
    assert not await db.write(lambda tx: datasets.delete(tx, "ns", "b"))
    assert await db.read(lambda r: datasets.get(r, "ns", "b")) is None


async def test_a_partner_is_replaced_listed_and_removed(db: Database, clock: Any) -> None:
    def put(tx: Tx, node_id: str, url: str) -> peers.Peer:
        return peers.put(tx, node_id=node_id, url=url, profile="seed", approval="manual", options={"timeout": 3})

    await db.write(lambda tx: put(tx, "b", "http://old"))
    stored = await db.write(lambda tx: put(tx, "b", "http://new"))
    await db.write(lambda tx: put(tx, "a", "http://a"))
    assert stored == peers.Peer("b", "http://new", "seed", "manual", {"timeout": 3}, clock.ms)
    assert stored == await db.read(lambda r: peers.get(r, "b"))
    assert [p.node_id for p in await db.read(peers.all)] == ["a", "b"]
    assert await db.write(lambda tx: peers.delete(tx, "b"))
    assert not await db.write(lambda tx: peers.delete(tx, "b"))


@dataclass(frozen=True)
class Ages:
    messages_days: int


def message(tx: Tx, job_id: str, key: str) -> None:
    outbox.add(
        tx, job_id=job_id, lane=job_id, kind="call", target="p", operation="o", key=key, body={}, nonce="n",
        trace_id="", next_ms=0,
    )  # fmt: skip


async def test_retention_removes_what_is_old_and_over(db: Database, clock: Any) -> None:
    def old(tx: Tx) -> None:
        for job_id, ended in (("running", None), ("ended", tx.now_ms)):
            tx.run(
                "jobs.insert", job_id=job_id, flow_id="f", seq=0, coordinator="a", initiator="a", digest="d",
                document="{}", as_sent=None, trace_id="", tasks_total=0, now_ms=tx.now_ms, searched="", summary="{}",
            )  # fmt: skip
            tx._connection.execute("UPDATE jobs SET ended_ms = ? WHERE job_id = ?", (ended, job_id))
            for key in ("done", "open"):
                message(tx, job_id, key)
            outbox.acknowledge(tx, outbox.for_job(tx, job_id)[0].id)
        message(tx, "job that is gone", "done")
        outbox.abandon(tx, "job that is gone", "done")
        inbox.remember(tx, source="p", nonce="old", operation="o", body_hash="h", answer="a")
        inbox.tombstone(tx, "old", "p")
        ledger.append(tx, subject="s", subject_id="i", event="e", actor="node")

    def new(tx: Tx) -> None:
        message(tx, "ended", "done lately")
        outbox.abandon(tx, "ended", "done lately")
        inbox.remember(tx, source="p", nonce="new", operation="o", body_hash="h", answer="a")
        inbox.tombstone(tx, "new", "p")

    await db.write(old)
    clock.ms += 7 * retention.DAY_MS
    await db.write(new)
    clock.ms += 1
    counts = await db.write(lambda tx: retention.prune(tx, now_ms=tx.now_ms, settings=Ages(7)))
    assert counts == retention.PruneCounts(inbox=1, tombstones=1, outbox=2)
    assert not counts.more
    left = {job: [row.key for row in await db.read(lambda r, job=job: outbox.for_job(r, job))]
            for job in ("running", "ended", "job that is gone")}  # fmt: skip
    assert left == {"running": ["done", "open"], "ended": ["open", "done lately"], "job that is gone": []}
    assert await db.read(lambda r: inbox.recall(r, "p", "old", "o")) is None
    assert await db.read(lambda r: inbox.recall(r, "p", "new", "o")) is not None
    assert await db.read(lambda r: [inbox.is_tombstoned(r, job, "p") for job in ("old", "new")]) == [False, True]
    assert (await db.read(ledger.verify)).events == 1


async def test_retention_works_in_bounded_steps(db: Database, clock: Any) -> None:
    def fill(tx: Tx) -> None:
        for number in range(retention.BATCH + 5):
            inbox.remember(tx, source="p", nonce=str(number), operation="o", body_hash="h", answer="a")

    await db.write(fill)
    clock.ms += retention.DAY_MS + 1
    steps = []
    while not steps or steps[-1].more:
        steps.append(await db.write(lambda tx: retention.prune(tx, now_ms=tx.now_ms, settings=Ages(1))))
    assert [step.inbox for step in steps] == [retention.BATCH, 5]
