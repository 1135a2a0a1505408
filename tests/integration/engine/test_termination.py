"""The end of a contract in the middle of a job: what is shared with that partner stops, and the others agree on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.agreements import agree, end
from tests.support.cluster import Cluster, cluster, document

from embedded_scheduler.domain.lifecycle import (
    JobState,
    Outcome,
    TaskState,
)
from embedded_scheduler.domain.snapshot import CallState
from embedded_scheduler.engine import jobs, progress
from embedded_scheduler.engine.channel_ports import Arrival, SessionOver
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.termination import ContractWatch, stop_shared
from embedded_scheduler.store import ledger, peers
from embedded_scheduler.store.database import Tx

ENDED = "the contract with carol has ended"
ROLES = {"guest": ["alice"], "host": ["bob"], "arbiter": ["carol"]}


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path, "alice", "bob", "carol") as found:
        for runner in found.runners.values():
            runner.result = lambda _: None
        yield found


async def running_job(three: Cluster, *, coordinator: str = "alice", roles: dict[str, list[str]] = ROLES) -> str:
    """A job of one task that runs at every party until it is ended."""
    made = document(("one",), roles=roles, coordinator=coordinator)
    submitted = await jobs.submit(three.engines["alice"], made, actor="operator:a", trace_id="t")
    for node in {name for names in roles.values() for name in names}:
        await three.until(node, submitted.job_id, lambda s: s.tasks["one"].state is TaskState.RUNNING)
    return submitted.job_id


async def test_the_coordinator_ends_the_job_for_all_that_remain(three: Cluster) -> None:
    job_id = await running_job(three)
    other = await running_job(three, roles={"guest": ["alice"], "host": ["bob"]})
    asked = len(three.sent)
    assert await stop_shared(three.engines["alice"], "carol", ENDED, "operator:ann") == [job_id]
    for node in ("alice", "bob"):
        over = await three.over(node, job_id)
        assert (over.state, over.outcome) == (JobState.FINISHED, Outcome.STOPPED)
        assert ENDED in over.reason, "everybody reads why"
    to_carol = {m.operation for who, m in three.sent[asked:] if who == "alice" and m.node_id == "carol"}
    assert to_carol <= {"task/poll"}, "but for a poll that was due before the stop was committed"
    assert (await three.view("alice", other)).state is JobState.RUNNING, "a job without it goes on"
    events = await three.engines["alice"].db.read(lambda r: ledger.page(r, limit=500))
    actors = {event.actor for event in events if event.event == "job.finished" and event.subject_id == job_id}
    assert actors <= {"operator:ann", "node"}


async def test_a_participant_leaves_a_job_whose_coordinator_it_no_longer_trusts(three: Cluster) -> None:
    job_id = await running_job(three, coordinator="carol")
    asked = len(three.sent)
    await stop_shared(three.engines["bob"], "carol", ENDED, "operator:ben")
    over = await three.over("bob", job_id)
    assert (over.outcome, over.reason) == (Outcome.STOPPED, ENDED)
    assert not [m for who, m in three.sent[asked:] if who == "bob" and m.operation == "job/stop_all"]
    assert three.runners["bob"].terminations, "its component was ended"


async def test_a_participant_that_leaves_another_one_tells_their_coordinator(three: Cluster) -> None:
    job_id = await running_job(three)
    await stop_shared(three.engines["bob"], "carol", ENDED, "operator:ben")
    found = [await three.over(node, job_id) for node in ("alice", "bob", "carol")]
    assert {(s.state, s.outcome) for s in found} == {(JobState.FINISHED, Outcome.STOPPED)}


async def test_a_job_that_nobody_decided_yet_ends_too(three: Cluster) -> None:
    three.partners["bob"].policy["alice"] = "manual"
    three.fault = lambda source, message: "lost" if message.node_id == "carol" else ""
    made = document(("one",), roles=ROLES)
    alice = three.engines["alice"]
    submitted = await jobs.submit(alice, made, actor="operator:a", trace_id="t")
    assert submitted.nodes["carol"] == "undelivered"
    await stop_shared(alice, "carol", ENDED, "node")
    over = await three.over("alice", submitted.job_id)
    assert over.outcome is Outcome.STOPPED
    waiting = [c for c in over.calls.values() if c.node_id == "carol" and c.state is CallState.WAITING]
    assert waiting == [], "nothing is left that would be tried for ever"
    await three.over("bob", submitted.job_id)


async def test_the_channel_of_the_job_is_closed_at_once(three: Cluster) -> None:
    job_id = await running_job(three)
    alice = three.engines["alice"]
    session = progress.sessions(alice, await three.view("alice", job_id)).pop()
    await alice.channel.store(Arrival(session, "bob", 1.0), Bytes(b"before"))
    await stop_shared(alice, "carol", ENDED, "node")
    with pytest.raises(SessionOver):
        await alice.channel.store(Arrival(session, "bob", 1.0), Bytes(b"after"))


async def test_once_more_changes_nothing(three: Cluster) -> None:
    job_id = await running_job(three)
    alice = three.engines["alice"]
    await stop_shared(alice, "carol", ENDED, "node")
    await three.over("alice", job_id)
    before = await alice.db.read(ledger.last)
    assert await stop_shared(alice, "carol", ENDED, "node") == []
    assert await alice.db.read(ledger.last) == before


async def contracted(engine: Engine, node_id: str, *, expires_ms: int | None, over: bool = False) -> None:
    """An approved contract, which is terminated if `over`."""

    def work(tx: Tx) -> None:
        peers.put(
            tx, node_id=node_id, url="http://x", profile="seed", approval="auto", options={}, signing="required",
            tls="identity",
        )  # fmt: skip
        contract_id = agree(tx, node_id, auth_type="ED25519", expires_ms=expires_ms)
        if over:
            end(tx, contract_id)

    await engine.db.write(work)


@pytest.mark.parametrize(
    ("end", "age_ms", "why"), [(False, 1, "has expired"), (True, None, "was terminated")], ids=["expired", "terminated"]
)
async def test_the_watch_finds_contracts_that_are_over(three: Cluster, end: bool, age_ms: int | None, why: str) -> None:
    job_id = await running_job(three)
    alice = three.engines["alice"]
    now = alice.clock.now_ms()
    await contracted(alice, "bob", expires_ms=now + 3_600_000)
    assert await ContractWatch(alice).sweep() == [], "bob's holds, carol never had one"
    await contracted(alice, "carol", expires_ms=None if age_ms is None else now - age_ms, over=end)
    assert await ContractWatch(alice).sweep() == [job_id]
    assert why in (await three.over("alice", job_id)).reason
    assert await ContractWatch(alice).sweep() == []


class Bytes:
    """A parcel of one chunk."""

    topic = "t"

    def __init__(self, data: bytes) -> None:
        self.metadata: dict[str, str] = {}
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data
