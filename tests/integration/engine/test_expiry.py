"""Requests that nobody answers end, by time that really passed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.cluster import Cluster, document

from embedded_scheduler.config import Approval
from embedded_scheduler.domain.lifecycle import AgreementState, ApprovalState, JobState
from embedded_scheduler.engine import jobs
from embedded_scheduler.engine.expiry import STEADY_SECONDS, Expiry, describe
from embedded_scheduler.errors import Conflict
from embedded_scheduler.store import grants
from embedded_scheduler.store.database import Tx

HOUR = 3600
YEAR = 365 * 24 * HOUR


class ManualClock:
    """Both clocks move by hand, together or the wall clock alone."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000.0
        self.mono = 1000.0

    def now_ms(self) -> int:
        return round(self.wall * 1000)

    def monotonic(self) -> float:
        return self.mono

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds

    def jumps(self, seconds: float) -> None:
        self.wall += seconds


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def net(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Cluster]:
    found = Cluster(tmp_path)
    found.clock = clock
    await found.start("bob", approval=Approval(expires_hours=48))
    await found.start("alice")
    await found.stop("alice")
    found.partners["bob"].policy["alice"] = "manual"
    yield found
    await found.stop_all()


async def create(net: Cluster, job_id: str) -> None:
    given = document(("a",), roles={"guest": ["alice"], "host": ["bob"]})
    await jobs.create(net.engines["bob"], job_id, given, source="alice", trace_id="t")


async def steady(expiry: Expiry, clock: ManualClock) -> list[str]:
    """A quarter of an hour in which nothing strange happens; what expired meanwhile."""
    found = await expiry.sweep()
    clock.passes(STEADY_SECONDS)
    return found + await expiry.sweep()


async def test_a_request_expires_after_its_time_and_not_before(net: Cluster, clock: ManualClock) -> None:
    await create(net, "job-1")
    expiry = Expiry(net.engines["bob"])
    assert await steady(expiry, clock) == []
    clock.passes(47 * HOUR)
    await create(net, "job-2")
    assert await expiry.sweep() == []
    clock.passes(HOUR)
    assert await expiry.sweep() == ["job-1"]
    assert await expiry.sweep() == []
    own = (await net.view("bob", "job-1")).approvals["bob"]
    assert own.state is ApprovalState.REJECTED
    assert own.reason == "nobody decided within 2 days: the request expired; submit the job again to ask again"
    assert (await net.view("bob", "job-2")).state is JobState.PENDING
    with pytest.raises(Conflict, match="already rejected"):
        await jobs.decide(net.engines["bob"], "job-1", approve=True, reason="", actor="operator:olga")


async def test_a_decided_request_stays_decided(net: Cluster, clock: ManualClock) -> None:
    await create(net, "job-1")
    await jobs.decide(net.engines["bob"], "job-1", approve=True, reason="", actor="operator:olga")
    clock.passes(YEAR)
    assert await steady(Expiry(net.engines["bob"]), clock) == []


async def test_a_clock_that_jumps_by_years_rejects_nothing(net: Cluster, clock: ManualClock) -> None:
    await create(net, "job-old")
    expiry = Expiry(net.engines["bob"])
    await steady(expiry, clock)
    clock.jumps(2 * YEAR)
    await create(net, "job-new")
    clock.passes(60)
    assert await expiry.sweep() == []
    assert await steady(expiry, clock) == []
    clock.passes(47 * HOUR)
    assert await expiry.sweep() == []
    clock.passes(2 * HOUR)
    assert sorted(await expiry.sweep()) == ["job-new", "job-old"]


async def test_a_jump_that_is_put_right_leaves_no_trace(net: Cluster, clock: ManualClock) -> None:
    await create(net, "job-1")
    expiry = Expiry(net.engines["bob"])
    await steady(expiry, clock)
    clock.jumps(YEAR)
    assert await expiry.sweep() == []
    clock.passes(60)
    await create(net, "job-2")
    await expiry.sweep()
    clock.jumps(-YEAR)
    assert await expiry.sweep() == []
    clock.passes(47 * HOUR)
    assert await expiry.sweep() == []
    clock.passes(2 * HOUR)
    assert sorted(await expiry.sweep()) == ["job-1", "job-2"]


async def test_time_the_node_was_down_counts_after_a_steady_start(net: Cluster, clock: ManualClock) -> None:
    await create(net, "job-1")
    await net.stop("bob")
    clock.passes(72 * HOUR)
    expiry = Expiry(await net.start("bob", approval=Approval(expires_hours=48)))
    assert await expiry.sweep() == []
    clock.passes(60)
    assert await expiry.sweep() == []
    clock.passes(STEADY_SECONDS)
    assert await expiry.sweep() == ["job-1"]


async def apply(net: Cluster, audit_id: str) -> str:
    """A request for a dataset, as it stands in the database once the policy has asked for a person."""

    def work(tx: Tx) -> str:
        body = {"audit_id": audit_id, "dataset_id": "crm#c"}
        added = grants.add(
            tx,
            direction="in",
            node_id="alice",
            kind="dataset",
            audit_id=audit_id,
            resource_id="crm#c",
            contract_id="c",
            name="",
            body=body,
            trace_id="t",
        )
        return added.grant_id

    return await net.engines["bob"].db.write(work)


async def test_requests_of_other_kinds_expire_too_and_survive_a_jump(net: Cluster, clock: ManualClock) -> None:
    before = await apply(net, "a-1")
    expiry = Expiry(net.engines["bob"])
    await steady(expiry, clock)
    clock.jumps(YEAR)
    assert await expiry.sweep() == []
    clock.passes(60)
    after = await apply(net, "a-2")
    assert await steady(expiry, clock) == []
    clock.passes(47 * HOUR)
    assert await expiry.sweep() == []
    clock.passes(2 * HOUR)
    assert sorted(await expiry.sweep()) == sorted([before, after])
    found = await net.engines["bob"].db.read(lambda reader: grants.get(reader, before))
    assert found is not None
    assert (found.state, found.decided_by) == (AgreementState.REJECTED, "node")
    assert found.reason == "nobody decided within 2 days: the request expired; apply again if it is still wanted"


async def test_it_can_be_switched_off(net: Cluster, clock: ManualClock) -> None:
    await create(net, "job-1")
    await net.stop("bob")
    expiry = Expiry(await net.start("bob", approval=Approval(expires_hours=0)))
    clock.passes(YEAR)
    assert await steady(expiry, clock) == []


@pytest.mark.parametrize(
    ("hours", "text"), [(168, "7 days"), (24, "1 day"), (36, "36 hours"), (1, "1 hour"), (0.5, "0.5 hours")]
)
def test_how_long_that_is(hours: float, text: str) -> None:
    assert describe(hours) == text
