"""One task, what it stored, and the runs of a flow, asked of real nodes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.hosted import hosted
from tests.support.probe_jobs import chain, probe_job

from embedded_scheduler.wire.console import DatasetRequest, JobDetail, PeerRequest
from nodeconsole.client import ClientError, NodeClient
from nodeconsole.demo.job import DATASET, NAMESPACE, psi_job

TABLE = "\n".join(["id,income", *(f"{n},{n * 100}" for n in range(120))])


async def over(client: NodeClient, job_id: str) -> JobDetail:
    """The job once it is over."""
    async with asyncio.timeout(30):
        async for page in client.events(0):
            if page.events:
                detail = await client.job(job_id)
                if detail.job.outcome is not None:
                    return detail
    raise AssertionError("the stream ended")


async def test_a_task_shows_its_attempts_and_where_the_time_went(client: NodeClient) -> None:
    document = probe_job({"guest": "alice"}, chain(2), parameters={"probe_1": {"fail": "3"}})
    detail = await over(client, (await client.submit(document)).job_id)
    good = await client.task(detail.job.job_id[:14], "probe_0")
    assert good.job_id == detail.job.job_id
    assert good.task == detail.tasks[0]
    (attempt,) = good.attempts
    assert (attempt.party, attempt.number, attempt.exit_code) == ("guest.0", 1, 0)
    times = (attempt.ready_ms, attempt.created_ms, attempt.launched_ms, attempt.ended_ms)
    assert all(times)
    assert list(times) == sorted(times)  # type: ignore[type-var]  # none is None
    bad = (await client.task(detail.job.job_id, "probe_1")).attempts[0]
    assert bad.exit_code == 3


async def test_unknown_tasks_and_results_are_said_to_be_unknown(client: NodeClient) -> None:
    detail = await over(client, (await client.submit(probe_job({"guest": "alice"}, chain(1)))).job_id)
    job_id = detail.job.job_id
    for ask in (
        client.task(job_id, "gone"),
        client.result(job_id, "probe_0", "guest.0", "gone"),
        client.task("x", "y"),
    ):
        with pytest.raises(ClientError) as refusal:
            await ask
        assert refusal.value.status == 404
    with pytest.raises(ClientError) as refusal:
        await client.runs("")
    assert refusal.value.status == 400


async def test_results_are_shown_from_their_beginning_and_saved_whole(client: NodeClient) -> None:
    document = probe_job({"guest": "alice"}, chain(1), parameters={"probe_0": {"echo": TABLE}})
    detail = await over(client, (await client.submit(document)).job_id)
    (row,) = detail.results
    shown = await client.result(detail.job.job_id, row.task, row.party, row.output, rows=10)
    assert (shown.kind, len(shown.rows), shown.total, shown.whole) == ("table", 10, 120, False)
    assert shown.size == row.size
    whole = b"".join(
        [chunk async for chunk in client.result_content(detail.job.job_id, row.task, row.party, row.output)]
    )
    assert len(whole) == row.size
    assert whole.split(b"\n", 1)[0].decode() == ",".join(shown.columns)


async def test_runs_of_one_flow_newest_first_by_page(client: NodeClient) -> None:
    document = probe_job({"guest": "alice"}, chain(2)) | {"flow_id": "daily"}
    jobs = [(await over(client, (await client.submit(document)).job_id)).job.job_id for _ in range(3)]
    await over(client, (await client.submit(probe_job({"guest": "alice"}, chain(1)))).job_id)
    first = await client.runs("daily", limit=2)
    assert [run.job.job_id for run in first.runs] == jobs[:0:-1]
    assert first.tasks == ["probe_0", "probe_1"]
    assert first.runs[0].tasks == {"probe_0": "SUCCESS", "probe_1": "SUCCESS"}
    last = await client.runs("daily", before=first.next)
    assert ([run.job.job_id for run in last.runs], last.next) == (jobs[:1], None)


async def test_a_stop_says_who_has_confirmed_it(client: NodeClient) -> None:
    document = probe_job({"guest": "alice"}, chain(1), parameters={"probe_0": {"sleep": 30}})
    job_id = (await client.submit(document)).job_id
    assert (await client.job(job_id)).stops == []
    await client.stop(job_id, reason="enough")
    stopped = await over(client, job_id)
    assert [(row.node_id, row.state) for row in stopped.stops] == [("alice", "confirmed")]


async def test_what_a_joint_task_exchanged_and_how_long_it_waited(tmp_path: Path) -> None:
    """Two real nodes align two tables: the side that starts first waits for the other, and bytes go both ways."""
    async with (
        hosted(tmp_path / "a", "alice") as alice,
        hosted(tmp_path / "b", "bob") as bob,
        alice.client() as here,
        bob.client() as there,
    ):
        for client, node_id, url in ((here, "bob", bob.url), (there, "alice", alice.url)):
            await client.add_peer(PeerRequest(node_id=node_id, url=url, approval="auto", signing="off"))
            table = tmp_path / f"{node_id}.csv"
            table.write_text("id,x\n" + "".join(f"{n},{n}\n" for n in range(500)))
            await client.add_dataset(
                DatasetRequest(namespace=NAMESPACE, name=DATASET, connector="csv", options={"path": str(table)})
            )
        job_id = (await here.submit(psi_job("align", {"guest": "alice", "host": "bob"}))).job_id
        detail = await over(here, job_id)
        assert detail.job.outcome == "succeeded", detail
        found = [(await client.task(job_id, detail.tasks[0].name)).attempts[0] for client in (here, there)]
    for attempt, partner in zip(found, ("bob", "alice"), strict=True):
        traffic = attempt.traffic
        assert traffic is not None
        assert attempt.ended_ms is not None
        assert {link.node_id for link in traffic.links} == {partner}
        assert sum(link.received_bytes for link in traffic.links) > 1000
        assert sum(link.sent_bytes for link in traffic.links) > 1000
        assert 0 < traffic.waiting_ms + traffic.sending_ms <= attempt.ended_ms - attempt.created_ms
        assert not traffic.partial
