"""What one partner may fill: open jobs, remembered stops, stored answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.cluster import Limits, cluster, document

from embedded_scheduler.engine import jobs
from embedded_scheduler.errors import NotFound, TooMany
from embedded_scheduler.store import inbox, retention
from embedded_scheduler.store.database import Tx


async def test_open_jobs_are_limited_for_each_partner(tmp_path: Path) -> None:
    async with cluster(tmp_path, "bob", "carol") as found:
        alice = await found.start("alice", limits=Limits(partner_open_jobs=2))
        found.partners["alice"].policy.update(bob="manual", carol="manual")

        async def create(number: int, who: str) -> str:
            made = document(("one",), roles={"guest": [who], "host": ["alice"]}, initiator=who)
            return await jobs.create(alice, f"{who}-{number}", made, source=who, trace_id="t")

        assert [await create(number, "bob") for number in range(2)] == ["PENDING"] * 2
        with pytest.raises(TooMany, match="partner_open_jobs"):
            await create(2, "bob")
        assert await create(1, "bob") == "PENDING", "one that is here is no new one"
        assert await create(0, "carol") == "PENDING"
        await jobs.stop(alice, "bob-0", "", source="bob")
        await jobs.decide(alice, "bob-1", approve=False, reason="", actor="operator:a")
        await found.over("alice", "bob-1")
        assert await create(2, "bob") == "PENDING", "what is over makes room"


async def test_stops_of_jobs_that_never_come_are_remembered_up_to_a_limit(tmp_path: Path) -> None:
    async with cluster(tmp_path, "alice", "bob") as found:
        alice = found.engines["alice"]

        def fill(tx: Tx) -> None:
            for number in range(jobs.TOMBSTONES - 1):
                inbox.tombstone(tx, f"old-{number}", "bob")

        await alice.db.write(fill)
        for name in ("last", "too many"):
            with pytest.raises(NotFound):
                await jobs.stop(alice, name.replace(" ", "-"), "", source="bob")
        kept = await alice.db.read(lambda r: [inbox.is_tombstoned(r, name, "bob") for name in ("last", "too-many")])
        assert kept == [True, False]


async def test_stored_answers_are_cropped_but_never_young_ones(tmp_path: Path) -> None:
    async with cluster(tmp_path, "alice") as found:
        db = found.engines["alice"].db

        def fill(tx: Tx) -> int:
            for number in range(12):
                for source in ("bob", "carol"):
                    inbox.remember(tx, source=source, nonce=str(number), operation="o", body_hash="h", answer="a")
            return tx.now_ms

        now = await db.write(fill)
        young = now + retention.KEPT_MS // 2
        assert not await db.write(lambda tx: retention.crop_answers(tx, source="bob", now_ms=young, keep=5))
        assert await db.read(lambda r: inbox.recall(r, "bob", "0", "o")) is not None
        old = now + retention.KEPT_MS + 1000
        while await db.write(lambda tx: retention.crop_answers(tx, source="bob", now_ms=old, keep=5)):
            pass
        assert await db.read(lambda r: inbox.recall(r, "bob", "0", "o")) is None
        assert await db.read(lambda r: inbox.recall(r, "carol", "0", "o")) is not None
