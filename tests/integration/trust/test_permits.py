"""Permits at work: what a job may use, how its use is counted, and who knows the token."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support.agreements import agree, end
from tests.support.granting import Pair, in_state
from tests.support.nodes import eventually
from tests.support.probe_jobs import fan, probe_job

from embedded_scheduler.domain.job import JobSpec, parse_job
from embedded_scheduler.domain.lifecycle import GRANT, AgreementTrigger
from embedded_scheduler.domain.permit import Permit, resource_name
from embedded_scheduler.engine import permits
from embedded_scheduler.engine.transitions import Cause, fire_agreement
from embedded_scheduler.errors import Refused
from embedded_scheduler.home import Home
from embedded_scheduler.spi.connector import Column, Probe
from embedded_scheduler.store import datasets, grants, publications
from embedded_scheduler.store import permits as permit_store
from embedded_scheduler.store.database import Database, Tx
from nodeconsole.client import ClientError


async def test_a_job_needs_a_permit_and_uses_it_up(pair: Pair) -> None:
    await pair.publish(access="permit")
    with pytest.raises(ClientError, match="needs a permit of this node: none was shown"):
        await pair.alice.submit(pair.job())
    _, theirs = await pair.granted(times=1)
    submitted = await pair.alice.submit(pair.job())
    await _over(pair, submitted.job_id, "succeeded")
    with pytest.raises(ClientError, match="for 1 jobs, which have been run"):
        await pair.alice.submit(pair.job())
    used = (await pair.bob.grant(theirs)).grant
    assert used.permit is not None
    assert used.permit.used == 1


async def _over(pair: Pair, job_id: str, outcome: str) -> None:
    async def ended() -> bool:
        job = (await pair.bob.job(job_id)).job
        return job.state == "FINISHED" and job.outcome == outcome

    await eventually(ended, what=f"{job_id} {outcome}", within=20)


async def test_revoking_says_what_it_concerns_and_stops_it_when_told_to(pair: Pair) -> None:
    await pair.publish(access="permit")
    ours, theirs = await pair.granted()
    submitted = await pair.alice.submit(pair.job(seconds=30))
    assert (await pair.bob.grant(theirs)).grant.open_jobs == [submitted.job_id]
    reply = await pair.bob.revoke_grant(theirs, "misused", stop_jobs=True)
    assert reply.jobs == [submitted.job_id]
    await _over(pair, submitted.job_id, "stopped")
    await in_state(pair.alice, ours, "TERMINATED")
    # The user knows too that it has none any more.
    with pytest.raises(ClientError, match="none was shown"):
        await pair.alice.submit(pair.job())


async def test_a_dataset_that_wants_no_permit_takes_part_without(pair: Pair) -> None:
    await pair.publish(access="approval")
    submitted = await pair.alice.submit(pair.job())
    await _over(pair, submitted.job_id, "succeeded")


async def test_the_holder_keeps_no_token_and_nobody_writes_it_down(pair: Pair) -> None:
    await pair.publish(access="permit")
    ours, theirs = await pair.granted()
    with closing(sqlite3.connect(pair.nodes["alice"].home.database)) as database:
        [(token,)] = database.execute("SELECT token FROM permits WHERE grant_id = ?", (ours,)).fetchall()
    assert len(base64.urlsafe_b64decode(token + "=")) == 32
    submitted = await pair.alice.submit(pair.job())
    await _over(pair, submitted.job_id, "succeeded")
    hashed = hashlib.sha256(token.encode()).hexdigest()
    with closing(sqlite3.connect(pair.nodes["bob"].home.database)) as database:
        stored = database.execute("SELECT token, token_hash FROM permits WHERE grant_id = ?", (theirs,)).fetchall()
    assert stored == [("", hashed)]
    assert _files_with(pair.nodes["bob"].home, token) == []
    assert {path.name for path in _files_with(pair.nodes["alice"].home, token)} <= {"node.db", "node.db-wal"}


def _files_with(home: Home, secret: str) -> list[Path]:
    files = [path for path in home.path.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if secret.encode() in path.read_bytes()]


# -- the rules, one by one --------------------------------------------------------------------------------------------

SECRET = b"k" * 32


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


class Holder:
    """Bob's database with one dataset that needs a permit."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock

    async def grant(self, audit_id: str, *, to: str = "alice", dataset: str = "d", **limits: Any) -> Permit:
        """A permit for the dataset, approved."""

        def work(tx: Tx) -> Permit:
            grant = grants.add(
                tx,
                direction="in",
                node_id=to,
                kind="dataset",
                audit_id=audit_id,
                resource_id=f"default#{dataset}",
                contract_id="c",
                name="d",
                body={},
                trace_id="",
            )
            self.fire(tx, grant, AgreementTrigger.APPROVE)
            token = permits.token_of(SECRET, grant.grant_id)
            permit_store.add(
                tx,
                grant_id=grant.grant_id,
                issued=True,
                token=token,
                level=1,
                resource_type="DATASET",
                resource_id=f"default#{dataset}",
                resource_node_id="bob",
                resource_inst_id="bob",
                request_node_id=to,
                request_inst_id=to,
                time_limit_ms=limits.get("until_ms"),
                times_limit=limits.get("times"),
            )
            return Permit(resource_name("bob", f"default#{dataset}"), "1", token)

        return await self.database.write(work)

    def fire(self, tx: Tx, grant: grants.Grant, trigger: AgreementTrigger) -> None:
        fire_agreement(
            tx,
            GRANT,
            grant.grant_id,
            grant.state,
            trigger,
            Cause("operator:test"),
            "grants.set_state",
            grant_id=grant.grant_id,
        )

    async def revoke(self, audit_id: str) -> None:
        def work(tx: Tx) -> None:
            grant = grants.find(tx, "in", "alice", "dataset", audit_id)
            assert grant is not None
            self.fire(tx, grant, AgreementTrigger.TERMINATE)

        await self.database.write(work)

    async def check(self, *shown: Permit, spec: JobSpec | None = None, callers: tuple[str, ...] = ("alice",)) -> None:
        job = spec or job_of()
        await self.database.write(lambda tx: permits.check(tx, "bob", job, callers, shown))


def job_of(job_id: str = "job-1", initiator: str = "alice") -> JobSpec:
    document = probe_job({"guest": initiator, "host": "bob"}, fan(1))
    document["config"]["task_params"]["host"]["0"]["probe_0"] = {"dataset_id": "default#d"}
    return parse_job(job_id, document)


@pytest.fixture
async def holder(tmp_path: Path) -> AsyncIterator[Holder]:
    clock = Clock()
    database = await Database.open(tmp_path / "node.db", clock=clock)

    def fill(tx: Tx) -> None:
        for name in ("d", "other"):
            probe = Probe(columns=(Column("id", "integer"),), rows=1, size_bytes=1, fingerprint="f")
            datasets.put(tx, namespace="default", name=name, connector="csv", options={}, description="", probe=probe)
            publications.put(
                tx,
                namespace="default",
                name=name,
                access="permit",
                audience=(),
                columns=(),
                description="",
                category="",
                published_by="operator:test",
            )

    await database.write(fill)
    await database.write(lambda tx: agree(tx, "alice"))
    yield Holder(database, clock)
    await database.close()


async def test_a_permit_ends_with_its_contract_whoever_drives_the_job(holder: Holder) -> None:
    permit = await holder.grant("a")
    await holder.check(permit, callers=("carol", "alice"))
    await holder.database.write(lambda tx: end(tx, "contract-alice"))
    with pytest.raises(Refused, match="the contract with alice has ended"):
        await holder.check(permit, spec=job_of("job-2"), callers=("carol", "alice"))


async def test_a_coordinator_keeps_the_permits_of_others_alone(holder: Holder) -> None:
    for_bob, for_carol = Permit("bob:d", "1", "t-1"), Permit("carol:d", "1", "t-2")
    await holder.database.write(lambda tx: permits.keep(tx, "carol", job_of(), [for_bob, for_carol, for_bob]))
    assert await holder.database.read(lambda reader: permit_store.carried(reader, "job-1")) == [for_bob]


async def test_a_permit_counts_once_per_job(holder: Holder) -> None:
    permit = await holder.grant("a", times=2)
    for _ in range(3):
        await holder.check(permit)
    await holder.check(permit, spec=job_of("job-2"))
    await holder.check(permit)
    with pytest.raises(Refused, match="for 2 jobs"):
        await holder.check(permit, spec=job_of("job-3"))


async def test_a_use_that_was_rolled_back_does_not_count(holder: Holder) -> None:
    permit = await holder.grant("a", times=1)

    def fails(tx: Tx) -> None:
        permits.check(tx, "bob", job_of("job-1"), ("alice",), [permit])
        raise Refused("something else")

    with pytest.raises(Refused, match="something else"):
        await holder.database.write(fails)
    await holder.check(permit, spec=job_of("job-2"))


async def test_of_many_jobs_at_once_only_as_many_are_let_in_as_the_permit_says(holder: Holder) -> None:
    permit = await holder.grant("a", times=3)
    tries = [holder.check(permit, spec=job_of(f"job-{n}")) for n in range(20)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(result is None for result in results) == 3
    assert all(isinstance(result, Refused) for result in results if result is not None)


async def test_what_does_not_count(holder: Holder) -> None:
    mine = await holder.grant("a", until_ms=2_000_000)
    with pytest.raises(Refused, match="given to another node"):
        await holder.check(mine, callers=("mallory",), spec=job_of(initiator="mallory"))
    with pytest.raises(Refused, match="none was shown"):
        await holder.check(Permit(mine.resource, mine.level, mine.token[:-1] + "x"))
    with pytest.raises(Refused, match="none was shown"):
        await holder.check(await holder.grant("b", dataset="other"))
    await holder.check(mine)
    holder.clock.ms = 2_000_000
    with pytest.raises(Refused, match="expired"):
        await holder.check(mine, spec=job_of("job-2"))
    endless = await holder.grant("c")
    await holder.revoke("c")
    with pytest.raises(Refused, match="revoked"):
        await holder.check(endless, spec=job_of("job-2"))


async def test_one_valid_permit_among_others_is_enough(holder: Holder) -> None:
    spent = await holder.grant("a", times=1)
    await holder.check(spent, spec=job_of("job-0"))
    fresh = await holder.grant("b")
    await holder.check(Permit("x", "9", "no-token"), spent, fresh)


async def test_a_permit_of_the_initiator_counts_when_another_node_drives(holder: Holder) -> None:
    await holder.check(await holder.grant("a"), callers=("carol", "alice"))


def test_names_of_resources_hold_nothing_that_separates() -> None:
    named = resource_name("bob", "名/空,间#a b")
    assert "/" not in named
    assert "," not in named
    assert named.isascii()
    assert resource_name("bob", "default#people") == "bob:default#people"
