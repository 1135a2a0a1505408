"""Four eyes: a job that several persons have to approve."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.cluster import Cluster, document

from embedded_scheduler.config import Approval
from embedded_scheduler.domain.lifecycle import ApprovalState, JobState
from embedded_scheduler.engine import jobs, progress, votes
from embedded_scheduler.errors import Conflict
from embedded_scheduler.store import ledger


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Cluster]:
    found = Cluster(tmp_path)
    yield found
    await found.stop_all()


async def asked(net: Cluster, approvers: int = 2) -> str:
    """A job of its own that alice's operators have to approve."""
    await net.start("alice", approval=Approval(own_jobs="manual", job_approvers=approvers))
    job = document(("a",), roles={"guest": ["alice"]})
    return (await jobs.submit(net.engines["alice"], job, actor="platform:ci", trace_id="")).job_id


async def decide(net: Cluster, job_id: str, who: str, *, approve: bool = True) -> ApprovalState:
    engine = net.engines["alice"]
    after = await jobs.decide(engine, job_id, approve=approve, reason="", actor=f"operator:{who}")
    return after.approvals["alice"].state


async def voted(net: Cluster, job_id: str) -> list[str]:
    engine = net.engines["alice"]
    events = await engine.db.read(lambda reader: ledger.page(reader, limit=1_000, job_id=job_id))
    return [event.actor for event in events if event.event == "approval.voted"]


async def test_one_person_is_not_enough_and_counts_once(net: Cluster) -> None:
    job_id = await asked(net)
    assert await decide(net, job_id, "ann") is ApprovalState.PENDING
    assert await decide(net, job_id, "ann") is ApprovalState.PENDING
    assert await voted(net, job_id) == ["operator:ann"]
    assert (await progress.view(net.engines["alice"], job_id)).state is JobState.PENDING
    assert await decide(net, job_id, "ben") is ApprovalState.APPROVED
    # Who comes later finds it decided.
    assert await decide(net, job_id, "cem") is ApprovalState.APPROVED
    assert await voted(net, job_id) == ["operator:ann", "operator:ben"]
    await net.over("alice", job_id)


async def test_one_refusal_refuses(net: Cluster) -> None:
    job_id = await asked(net)
    await decide(net, job_id, "ann")
    assert await decide(net, job_id, "ben", approve=False) is ApprovalState.REJECTED
    with pytest.raises(Conflict):
        await decide(net, job_id, "cem")
    assert await voted(net, job_id) == ["operator:ann"]


async def test_a_vote_outlives_the_node(net: Cluster) -> None:
    job_id = await asked(net)
    await decide(net, job_id, "ann")
    await net.stop("alice")
    await net.start("alice", approval=Approval(own_jobs="manual", job_approvers=2))
    engine = net.engines["alice"]
    found = await engine.db.read(lambda reader: votes.so_far(reader, "job", job_id))
    assert [vote.actor for vote in found] == ["operator:ann"]
    assert await decide(net, job_id, "ben") is ApprovalState.APPROVED


@pytest.mark.parametrize("people", [["ann", "ben"], ["ann", "ann", "ben"], ["ann", "ann"]], ids="-".join)
async def test_two_at_the_same_time(net: Cluster, people: list[str]) -> None:
    job_id = await asked(net)
    await asyncio.gather(*(decide(net, job_id, who) for who in people))
    approval = (await progress.view(net.engines["alice"], job_id)).approvals["alice"]
    enough = len(set(people)) == 2
    assert approval.state is (ApprovalState.APPROVED if enough else ApprovalState.PENDING)
    assert sorted(await voted(net, job_id)) == sorted(f"operator:{who}" for who in set(people))


async def test_an_approval_and_a_refusal_at_the_same_time_leave_one_decision(net: Cluster) -> None:
    job_id = await asked(net, approvers=1)
    outcomes = await asyncio.gather(
        decide(net, job_id, "ann"), decide(net, job_id, "ben", approve=False), return_exceptions=True
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1
    events = await net.engines["alice"].db.read(lambda reader: ledger.page(reader, limit=1_000, job_id=job_id))
    assert len([e for e in events if e.event in ("approval.approved", "approval.rejected")]) == 1


async def test_where_one_person_is_enough_there_is_no_vote(net: Cluster) -> None:
    job_id = await asked(net, approvers=1)
    assert await decide(net, job_id, "ann") is ApprovalState.APPROVED
    assert await voted(net, job_id) == []
