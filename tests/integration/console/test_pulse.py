"""How the node is, from a real one: figures, use of the machine, what needs a person, what looks stuck, the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.hosted import Hosted, hosted
from tests.support.nodes import eventually
from tests.support.probe_jobs import probe_job

from embedded_scheduler.wire.console import JobDetail, PeerRequest
from embedded_scheduler.wire.console_pulse import AttentionItem
from nodeconsole.client import ClientError, NodeClient

SETTINGS = 'timing.stuck = 0.4\ntiming.submit_wait = 0.5\napproval.own_jobs = "manual"\n'


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Hosted]:
    async with hosted(tmp_path / "alice", settings=SETTINGS) as running:
        yield running


async def start(client: NodeClient, **parameters: object) -> str:
    """A job of one task that runs here."""
    job = probe_job({"guest": "alice"}, {"probe_0": []}, parameters={"probe_0": parameters}) | {"flow_id": "daily"}
    job_id = (await client.submit(job)).job_id
    await client.approve(job_id)
    return job_id


async def over(client: NodeClient, job_id: str) -> JobDetail:
    async def look() -> JobDetail | None:
        detail = await client.job(job_id)
        return detail if detail.job.state == "FINISHED" else None

    return await eventually(look, what=f"{job_id} is over")


async def items(client: NodeClient) -> dict[str, AttentionItem]:
    return {item.kind: item for item in (await client.attention()).items}


async def test_statistics_count_what_ended(client: NodeClient) -> None:
    good, bad = await start(client), await start(client, fail="true")
    await over(client, good)
    await over(client, bad)
    found = await eventually(lambda: _with_total(client, 2), what="both are counted")
    assert len(found.buckets) == 24
    newest = found.buckets[-1]
    assert (newest.created, newest.succeeded, newest.failed) == (2, 1, 1)
    assert found.success == 0.5
    assert found.took.p50_ms is not None
    assert found.took.p95_ms is not None
    assert [(share.name, share.total, share.failed) for share in found.flows] == [("daily", 2, 1)]
    assert found.partners == []
    assert [run.job_id for run in found.lately[0].runs] == [bad, good]
    week = await client.statistics(hours=168)
    assert sum(bucket.succeeded for bucket in week.buckets) == 1
    # Nothing happened since: nothing is counted again.
    assert (await client.statistics()).at_ms == found.at_ms
    with pytest.raises(ClientError, match="hours must be"):
        await client.statistics(hours=0)


async def _with_total(client: NodeClient, total: int):  # type: ignore[no-untyped-def]
    found = await client.statistics()
    return found if sum(share.total for share in found.flows) == total else None


async def test_resources_are_sampled_while_somebody_looks(client: NodeClient) -> None:
    first = await client.resources()
    assert len(first.samples) == 1
    assert first.samples[0].cpu is None
    assert first.memory_total is not None
    assert 0 < (first.samples[0].memory_used or 0) < first.memory_total
    assert 0 < first.disk_free <= first.disk_total
    assert (first.process_memory or 0) > 10_000_000
    second = await eventually(lambda: _two(client), what="a second sample", pause=0.2)
    assert 0 <= (second.samples[-1].cpu or 0) <= 100


async def _two(client: NodeClient):  # type: ignore[no-untyped-def]
    found = await client.resources()
    return found if len(found.samples) > 1 else None


async def test_what_needs_a_person(client: NodeClient) -> None:
    assert await items(client) == {}
    bad = await start(client, fail="true")
    await over(client, bad)
    waits = (await client.submit(probe_job({"guest": "alice"}, {"probe_0": []}))).job_id
    # Nobody listens there.
    await client.add_peer(PeerRequest(node_id="bob", url="http://127.0.0.1:9", signing="off"))
    await client.submit(probe_job({"guest": "alice", "host": "bob"}, {"probe_0": []}))

    async def complete() -> dict[str, AttentionItem] | None:
        found = await items(client)
        return found if "partner_down" in found else None

    found = await eventually(complete, what="bob is down")
    listed = (await client.attention()).items
    assert [item.severity for item in listed] == sorted(
        (item.severity for item in listed), key=["decide", "error", "warning"].index
    )
    assert listed[0].subject == waits
    assert found["job_failed"].subject == bad
    assert found["job_failed"].text.startswith("daily failed:")
    assert (found["partner_down"].target, found["partner_down"].subject) == ("peer", "bob")
    await client.approve(waits)
    await over(client, waits)
    assert waits not in [item.subject for item in (await client.attention()).items]


async def test_a_task_without_a_sign_of_life_looks_stuck_and_goes_on(client: NodeClient) -> None:
    job_id = await start(client, sleep=2)

    async def stuck() -> JobDetail | None:
        detail = await client.job(job_id)
        return detail if detail.job.stuck else None

    detail = await eventually(stuck, what="it looks stuck")
    assert detail.job.stuck == ["probe_0"]
    (task,) = detail.tasks
    (found,) = task.stuck
    assert found.party == "guest.0"
    assert found.since_ms >= max(found.log_ms, found.cpu_ms, found.channel_ms)
    assert task.waiting is not None
    assert task.waiting.stuck_ms == found.since_ms
    assert "looks stuck" in task.waiting.text
    concern = (await items(client))["task_stuck"]
    assert (concern.subject, concern.facts["task"]) == (job_id, "probe_0")
    ended = await over(client, job_id)
    assert ended.job.outcome == "succeeded"
    assert ended.job.stuck == []
    assert "task_stuck" not in await items(client)


async def test_the_ledger_is_read_newest_first_and_filtered(client: NodeClient) -> None:
    job_id = await start(client)
    await over(client, job_id)
    whole = await client.ledger(limit=1000)
    assert whole.next is None
    numbers = [event.seq for event in whole.events]
    assert numbers == list(range(numbers[0], 0, -1))
    assert whole.events[0].prev_hash == whole.events[1].hash
    first = await client.ledger(limit=3)
    second = await client.ledger(limit=3, before=first.next)
    assert [event.seq for event in (*first.events, *second.events)] == numbers[:6]
    actor = next(event.actor for event in whole.events if event.actor.startswith("operator:"))
    cases: dict[str, tuple[dict[str, str | int], object]] = {
        "actor": ({"actor": actor}, lambda e: e.actor == actor),
        "name alone": ({"actor": actor.partition(":")[2]}, lambda e: e.actor == actor),
        "kind": ({"subject": "task"}, lambda e: e.subject == "task"),
        "id": ({"subject": job_id[:12]}, lambda e: e.subject_id.startswith(job_id[:12])),
        "job": ({"job_id": job_id[:12]}, lambda e: e.job_id == job_id),
        "event": ({"event": "job.created"}, lambda e: e.event == "job.created"),
        "family": ({"event": "approval"}, lambda e: e.event.startswith("approval.")),
        "until": ({"until_ms": whole.events[5].at_ms}, lambda e: e.at_ms < whole.events[5].at_ms),
        "since": ({"since_ms": whole.events[5].at_ms}, lambda e: e.at_ms >= whole.events[5].at_ms),
        "both": ({"job_id": job_id, "event": "job"}, lambda e: e.job_id == job_id and e.event.startswith("job.")),
    }
    for name, (filters, fits) in cases.items():
        page = await client.ledger(limit=1000, filters=filters)
        wanted = [event.seq for event in whole.events if fits(event)]  # type: ignore[operator]
        assert [event.seq for event in page.events] == wanted, name
        assert wanted, name
    assert (await client.ledger(filters={"partner": "bob"})).events == []
