"""The console family on a real node: every endpoint by the real client, and what it does with bad input."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.hosted import Hosted, hosted

from embedded_scheduler.wire.console import DatasetRequest, EventPage, JobDetail, PeerRequest
from nodeconsole.client import ClientError, NodeClient, NodeUnreachable


@pytest.fixture
async def raw(node: Hosted) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(uds=str(node.home.socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://node", timeout=20) as opened:
        yield opened


def probe(parties: dict[str, list[str]], **parameters: object) -> dict[str, Any]:
    """A job file: one probe task by these parties."""
    own: dict[str, Any] = {role: {str(n): {} for n in range(len(nodes))} for role, nodes in parties.items()}
    component = {
        "name": "probe_0",
        "componentName": "probe",
        "provider": "nodeconsole",
        "version": "1.0.0",
        "input": [],
        "output": [{"key": "data", "type": "dataset"}],
    }
    return {
        "flow_id": "flow-1",
        "dag": {"version": "2.0.0", "components": [component]},
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": "alice"},
            "role": parties,
            "job_params": {"common": {}},
            "task_params": {"common": {"probe_0": parameters}} | own,
        },
    }


async def over(client: NodeClient, job_id: str, *, within: float = 30) -> JobDetail:
    """The job once it is over."""
    async with asyncio.timeout(within):
        after = 0
        while True:
            detail = await client.job(job_id)
            if detail.job.state in ("FINISHED", "REJECTED"):
                return detail
            async for page in client.events(after):
                after = page.events[-1].seq
                break


async def test_status(node: Hosted, client: NodeClient) -> None:
    status = await client.status()
    assert (status.node_id, status.home, status.listen) == ("alice", str(node.home.path), node.running.listen)
    assert status.platform == node.running.platform
    assert status.started_ms <= status.now_ms
    assert status.jobs["waiting"] == 0
    assert status.last_seq > 0


async def test_the_socket_is_for_its_owner(node: Hosted) -> None:
    assert stat.S_IMODE(node.home.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(node.home.node_log.stat().st_mode) == 0o600


async def test_a_job_from_submission_to_result(client: NodeClient) -> None:
    reply = await client.submit(probe({"guest": ["alice"]}, lines=5))
    detail = await over(client, reply.job_id)
    assert (detail.job.state, detail.job.outcome) == ("FINISHED", "succeeded")
    assert (detail.job.tasks_done, detail.job.tasks_total) == (1, 1)
    assert detail.job.actions == ["rerun"]
    assert detail.job.waiting is None
    task = detail.tasks[0]
    assert (task.name, task.state, task.component) == ("probe_0", "SUCCESS", "probe")
    share = task.shares[0]
    assert (share.local, share.exit_code, share.state) == (True, 0, "SUCCESS")
    assert detail.job.created_ms <= (share.started_ms or 0) <= (share.ended_ms or 0)
    assert detail.spec["config"]["role"]["guest"] == ["alice"]
    result = detail.results[0]
    assert (result.task, result.party, result.output) == ("probe_0", "guest.0", "data")
    assert len(await asyncio.to_thread(Path(result.path).read_bytes)) == result.size
    # A beginning of the id is enough, and the list knows the same.
    assert (await client.job(reply.job_id[:12])).job == detail.job
    assert [row.job_id for row in (await client.jobs()).jobs] == [reply.job_id]


async def test_a_finished_job_of_ours_runs_again_as_another_job(client: NodeClient) -> None:
    first = await client.submit(probe({"guest": ["alice"]}, lines=5))
    with pytest.raises(ClientError, match="it is not over"):
        await client.rerun(first.job_id)
    before = await over(client, first.job_id)
    again = await client.rerun(first.job_id[:12])
    after = await over(client, again.job_id)
    assert again.job_id != first.job_id
    assert (after.job.outcome, after.spec["config"]) == ("succeeded", before.spec["config"])


async def test_a_failed_job_says_why(client: NodeClient) -> None:
    reply = await client.submit(probe({"guest": ["alice"]}, fail=3))
    detail = await over(client, reply.job_id)
    assert (detail.job.state, detail.job.outcome) == ("FINISHED", "failed")
    assert detail.tasks[0].shares[0].exit_code == 3
    assert "3" in detail.tasks[0].shares[0].reason


async def test_stop(client: NodeClient) -> None:
    reply = await client.submit(probe({"guest": ["alice"]}, sleep=60))
    async with asyncio.timeout(20):
        async for _ in client.events(0):
            detail = await client.job(reply.job_id)
            if detail.tasks[0].state == "RUNNING":
                break
    assert "stop" in detail.job.actions
    assert "stop" in detail.tasks[0].actions
    assert detail.tasks[0].waiting is not None
    await client.stop(reply.job_id, reason="enough")
    detail = await over(client, reply.job_id)
    assert (detail.job.state, detail.job.outcome) == ("FINISHED", "stopped")
    assert "enough" in detail.job.reason
    again = await client.stop(reply.job_id)
    assert (again.state, again.outcome) == ("FINISHED", "stopped")


async def test_logs_by_range_and_level_and_as_a_stream(client: NodeClient) -> None:
    reply = await client.submit(probe({"guest": ["alice"]}, lines=2500, sleep=0.2))
    streamed: list[str] = []
    pages = 0
    async with asyncio.timeout(30):
        async for page in client.follow_log(reply.job_id, "probe_0"):
            assert page.start == len(streamed), "no line is missing or sent twice"
            streamed += page.lines
            pages += 1
    assert pages < 100, "lines come in batches"
    whole = await client.log(reply.job_id, "probe_0", limit=10_000)
    assert whole.lines == streamed
    assert whole.complete
    assert whole.total == len(streamed) == whole.counts["debug"]
    assert streamed[-1].startswith("nodeconsole: end of log")
    assert (await client.log(reply.job_id, "probe_0", start=100, limit=3)).lines == streamed[100:103]
    tail = await client.log(reply.job_id, "probe_0", start=-2, party="guest.0")
    assert (tail.start, tail.lines) == (len(streamed) - 2, streamed[-2:])
    assert (await client.log(reply.job_id, "probe_0", level="error")).lines == []
    # A log that is complete ends its stream at once, from wherever it is asked.
    assert [page.lines async for page in client.follow_log(reply.job_id, "probe_0", start=-1)] == [streamed[-1:]]


async def test_a_log_that_never_comes_ends_its_stream(client: NodeClient) -> None:
    await client.add_peer(PeerRequest(node_id="bob", url="http://127.0.0.1:9", signing="off"))
    reply = await _submit_undelivered(client)
    await client.stop(reply)
    await over(client, reply)
    async with asyncio.timeout(10):
        assert [page async for page in client.follow_log(reply, "probe_0")] == []


async def _submit_undelivered(client: NodeClient) -> str:
    """A job whose partner is down: submitting waits a while, so it goes on in the background of the test."""
    async with asyncio.TaskGroup() as group:
        submitting = group.create_task(client.submit(probe({"guest": ["alice"], "host": ["bob"]})))
        job_id = ""
        while not job_id:
            rows = (await client.jobs()).jobs
            job_id = rows[0].job_id if rows else ""
            await asyncio.sleep(0.01)
        await client.stop(job_id)
        await submitting
    return job_id


async def test_a_partner_that_is_down_is_named_as_the_reason(client: NodeClient) -> None:
    await client.add_peer(PeerRequest(node_id="bob", url="http://127.0.0.1:9", signing="off"))
    async with asyncio.TaskGroup() as group:
        submitting = group.create_task(client.submit(probe({"guest": ["alice"], "host": ["bob"]})))
        async with asyncio.timeout(15):
            while True:
                rows = (await client.jobs()).jobs
                if rows and rows[0].waiting and "tries" in rows[0].waiting.text:
                    break
                await asyncio.sleep(0.02)
        row = rows[0]
        assert row.waiting is not None
        assert row.waiting.blocked_by == "bob"
        peer = await client.peer("bob")
        assert peer.undelivered == 1
        assert peer.last_error
        assert peer.last_ok_ms is None
        findings = {finding.text: finding.level for finding in (await client.doctor()).findings}
        assert any(text.startswith("bob: 1 undelivered") and level == "warning" for text, level in findings.items())
        await client.stop(row.job_id)
        await submitting
    with pytest.raises(ClientError) as unknown:
        await client.remove_peer("carol")
    assert (unknown.value.status, unknown.value.code) == (404, "not_found")


async def test_paging_filters_and_search(client: NodeClient) -> None:
    ids = []
    for number in range(5):
        document = probe({"guest": ["alice"]}) | {"flow_id": f"flow-{number % 2}"}
        ids.append((await client.submit(document)).job_id)
    for job_id in ids:
        await over(client, job_id)
    newest_first = ids[::-1]
    first = await client.jobs(limit=2)
    second = await client.jobs(limit=2, before=first.next)
    third = await client.jobs(limit=2, before=second.next)
    assert [row.job_id for page in (first, second, third) for row in page.jobs] == newest_first
    assert third.next is None
    assert [row.job_id for row in (await client.jobs(flow_id="flow-1")).jobs] == [ids[3], ids[1]]
    assert [row.job_id for row in (await client.jobs(flow_id="flow-1", state="RUNNING")).jobs] == []
    assert [row.job_id for row in (await client.jobs(state="FINISHED,RUNNING", limit=3)).jobs] == newest_first[:3]
    assert [row.job_id for row in (await client.jobs(q=ids[2][6:20])).jobs] == [ids[2]]
    assert len((await client.jobs(q="probe")).jobs) == 5
    assert (await client.jobs(q="PROBE")).jobs == []
    assert len((await client.jobs(q="~pb party:ali status:done age:<1h mine re:^flow-1$")).jobs) == 2
    by_id = await client.jobs(sort="id", falling=True, limit=2)
    rest = await client.jobs(sort="id", falling=True, before=by_id.next)
    assert [row.job_id for page in (by_id, rest) for row in page.jobs] == sorted(ids, reverse=True)
    assert (rest.next, rest.searched, rest.total) == (None, 5, 5)
    with pytest.raises(ClientError, match="status:asleep"):
        await client.jobs(q="x status:asleep")
    assert (await client.jobs(q="alice", limit=2)).next is not None
    assert (await client.jobs(q="nosuch")).jobs == []
    assert (await client.jobs(needs_decision=True)).jobs == []


async def test_events_as_pages_and_as_a_stream(node: Hosted, client: NodeClient) -> None:
    reply = await client.submit(probe({"guest": ["alice"]}))
    await over(client, reply.job_id)
    last = (await client.status()).last_seq
    every = (await client.event_page(limit=1000)).events
    assert [event.seq for event in every] == list(range(1, last + 1))
    of_job = (await client.event_page(job_id=reply.job_id)).events
    assert {event.job_id for event in of_job} == {reply.job_id}
    assert of_job[0].event == "job.created"
    assert of_job[0].actor.startswith("operator:")
    page = await client.event_page(after=2, limit=3)
    assert ([event.seq for event in page.events], page.next) == ([3, 4, 5], 5)
    pages: list[EventPage] = []
    async with asyncio.timeout(10):
        async for streamed in client.events(after=last - 1):
            pages.append(streamed)
            if len(pages) == 1:
                await client.add_peer(PeerRequest(node_id="bob", url="http://127.0.0.1:9", signing="off"))
            else:
                break
    assert [event.seq for event in pages[0].events] == [last]
    assert [event.event for event in pages[1].events] == ["peer.added"]
    assert len((await client.event_page(after=last)).events) == 1


async def test_streams_end_when_the_node_stops(node: Hosted, client: NodeClient) -> None:
    last = (await client.status()).last_seq
    pages = 0
    async with asyncio.timeout(10):
        async for _ in client.events(after=last - 1):
            pages += 1
            await node.stop()
    assert pages == 1
    with pytest.raises(NodeUnreachable, match="nodeconsole serve --home"):
        await client.status()


async def test_datasets(client: NodeClient, tmp_path: Path) -> None:
    source = tmp_path / "people.csv"
    source.write_text("id,age\na,1\nb,2\n")
    request = DatasetRequest(name="people", connector="csv", options={"path": str(source)}, description="ours")
    row = await client.add_dataset(request)
    assert (row.dataset_id, row.rows, [column.name for column in row.columns]) == ("default#people", 2, ["id", "age"])
    assert await client.datasets() == [row] == [await client.dataset("default", "people")]
    await client.remove_dataset("default", "people")
    assert await client.datasets() == []
    assert source.exists()
    for broken in ("", "id,id\n", "id,age\na\n"):
        source.write_text(broken)
        with pytest.raises(ClientError) as refused:
            await client.add_dataset(request)
        assert refused.value.status == 400
    with pytest.raises(ClientError) as missing:
        await client.remove_dataset("default", "people")
    assert missing.value.status == 404


async def test_components(client: NodeClient) -> None:
    builtin = {row.name: row for row in await client.components()}
    assert {"probe", "sample_alignment"} <= set(builtin)
    assert builtin["probe"].runnable
    assert builtin["probe"].manifest == {}
    shown = await client.component("nodeconsole", "probe", "1.0.0")
    assert shown.manifest["componentName"] == "probe"
    manifest = {"componentName": "mine", "provider": "me", "version": "1", "title": "任务"}
    row = await client.register_component("registry.example/mine:1", manifest)
    assert (row.runnable, row.title) == (False, "任务")
    assert row.why_not
    assert (await client.component("me", "mine", "1")).manifest == manifest
    await client.remove_component("me", "mine", "1")
    with pytest.raises(ClientError) as missing:
        await client.component("me", "mine", "1")
    assert missing.value.status == 404


async def test_peers(client: NodeClient) -> None:
    row = await client.add_peer(
        PeerRequest(node_id="bob", url="https://bob.example:9380/", profile="fate", signing="off")
    )
    assert (row.url, row.profile, row.approval, row.undelivered) == ("https://bob.example:9380", "fate", "manual", 0)
    seq = (await client.status()).last_seq
    await client.add_peer(PeerRequest(node_id="bob", url="https://bob.example:9380", profile="fate", signing="off"))
    assert (await client.status()).last_seq == seq, "the same again leaves no event"
    changed = await client.add_peer(
        PeerRequest(node_id="bob", url="https://bob.example:9380", approval="auto", signing="off")
    )
    assert (changed.profile, changed.approval) == ("seed", "auto")
    assert (await client.event_page(after=seq)).events[0].event == "peer.changed"
    assert changed.traits
    assert await client.peers() == [changed.model_copy(update={"traits": []})]
    await client.remove_peer("bob")
    assert await client.peers() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://bob"},
        {"url": "http://"},
        {"url": "http://bob:0"},
        {"url": "http://bob:99999"},
        {"url": "http://user:secret@bob"},
        {"url": "http://bob/?x=1"},
        {"url": "http://bob\r\nx: y"},
        {"url": "http://" + "b" * 10_000},
        {"node_id": "../bob"},
        {"node_id": "b" * 129},
        {"node_id": "alice"},
        {"profile": "nosuch"},
        {"approval": "maybe"},
        {"options": {"nosuch": 1}},
    ],
    ids=str,
)
async def test_bad_peers_are_refused_and_nothing_changes(client: NodeClient, wrong: dict[str, Any]) -> None:
    seq = (await client.status()).last_seq
    request = PeerRequest.model_validate({"node_id": "bob", "url": "http://bob"} | wrong)
    with pytest.raises(ClientError) as refused:
        await client.add_peer(request)
    assert (refused.value.status, refused.value.code) == (400, "invalid")
    assert "secret" not in refused.value.message
    assert await client.peers() == []
    assert (await client.status()).last_seq == seq


async def test_the_ledger_is_verified_and_exported(node: Hosted, client: NodeClient) -> None:
    report = await client.ledger_verify()
    assert (report.ok, report.fault) == (True, "")
    exported = b"".join([chunk async for chunk in client.ledger_export()])
    lines = [json.loads(line) for line in exported.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, report.events + 1))
    assert lines[-1]["hash"] == report.last_hash
    # Somebody with access to the file changes the record behind the node's back.
    with sqlite3.connect(node.home.database) as database:
        database.execute("DROP TRIGGER events_append_only_update")
        database.execute("UPDATE events SET actor = 'nobody' WHERE seq = 2")
    database.close()
    broken = await client.ledger_verify()
    assert not broken.ok
    assert "event 2" in broken.fault


async def test_doctor(client: NodeClient) -> None:
    findings = (await client.doctor()).findings
    looked_at = {"home", "disk", "database", "service", "components", "platform", "token", "operators"}
    assert looked_at <= {f.check for f in findings}
    assert [f.text for f in findings if f.level == "error"] == []


# -- bad input --------------------------------------------------------------------------------------------------------


def is_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert "Traceback" not in response.text
    return problem


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"dag": NaN, "config": {}}',
        b'{"dag": {}, "dag": {}, "config": {}}',
        b'{"dag": {"a": "\\ud800"}, "config": {}}',
        b"[" * 100_000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b'{"dag": 1, "config": {}}',
        b'{"config": {}}',
        b'{"dag": {}, "config": {}}',
        b'{"dag": {"components": []}, "config": {"role": {"guest": ["alice"]}}}',
        b'{"dag": {"components": [1]}, "config": {"role": {"guest": ["alice"]}}}',
        b'{"flow_id": 7, "dag": {}, "config": {}}',
        b'{"x": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
async def test_malformed_jobs_change_nothing(raw: httpx.AsyncClient, client: NodeClient, body: bytes) -> None:
    seq = (await client.status()).last_seq
    response = await raw.post("/v1/console/jobs", content=body)
    problem = is_problem(response, response.status_code)
    assert response.status_code in (400, 413)
    assert problem["detail"]
    assert (await client.status()).last_seq == seq


async def test_a_body_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    async with hosted(tmp_path / "alice", settings="limits.body_bytes = 1000\n") as node:
        transport = httpx.AsyncHTTPTransport(uds=str(node.home.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as raw:
            response = await raw.post("/v1/console/peers", content=b'{"node_id":"' + b"b" * 2000 + b'"}')
            assert is_problem(response, 413)["code"] == "too_large"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jobs/job-nosuch", 404),
        ("/jobs/%00", 400),
        ("/jobs/%ff%fe", 404),
        ("/jobs/%ed%a0%80", 404),
        ("/jobs/" + "x" * 8_000, 404),
        ("/jobs/%27%20OR%201%3D1", 404),
        ("/jobs/..%2f..%2fetc%2fpasswd", 404),
        ("/jobs?limit=0", 400),
        ("/jobs?limit=abc", 400),
        ("/jobs?limit=%D9%A3", 400),
        ("/jobs?limit=99999999999999999999", 400),
        ("/jobs?before=-1", 400),
        ("/jobs?state=SLEEPING", 400),
        ("/jobs?q=%00", 400),
        ("/jobs/x/tasks/y/logs", 404),
        ("/events?after=-1", 400),
        ("/events/stream?after=x", 400),
        ("/datasets/a/b", 404),
        ("/datasets/%2e%2e/b", 404),
        ("/components/a/b/c", 404),
        ("/peers/nobody", 404),
        ("/nosuch", 404),
    ],
)
async def test_hostile_reads(raw: httpx.AsyncClient, path: str, status: int) -> None:
    is_problem(await raw.get("/v1/console" + path), status)


async def test_wrong_methods_and_paths(raw: httpx.AsyncClient) -> None:
    response = await raw.put("/v1/console/jobs")
    is_problem(response, 405)
    assert set(response.headers["allow"].replace(" ", "").split(",")) >= {"GET", "POST"}
    is_problem(await raw.delete("/v1/console/status"), 405)
    is_problem(await raw.get("/"), 404)
    is_problem(await raw.get("/v1/interconn/schedule/job/status_all"), 404)


@pytest.mark.parametrize("verb", ["approve", "reject", "stop"])
@pytest.mark.parametrize("body", [b"", b"[]", b'{"reason": 7}', b'{"reason": "' + b"x" * 3000 + b'"}'], ids=len)
async def test_bad_decisions(raw: httpx.AsyncClient, verb: str, body: bytes) -> None:
    response = await raw.post(f"/v1/console/jobs/job-x/{verb}", content=body)
    is_problem(response, 400)


async def test_a_query_that_is_not_ascii_is_refused(node: Hosted) -> None:
    reader, writer = await asyncio.open_unix_connection(str(node.home.socket))
    writer.write(b"GET /v1/console/jobs?q=\xe4\xbb\xbb HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b" 400 " in answer.split(b"\r\n")[0]


async def test_who_acts_is_what_the_kernel_says_and_nothing_that_is_sent(
    raw: httpx.AsyncClient, client: NodeClient
) -> None:
    seq = (await client.status()).last_seq
    body = {"node_id": "bob-2", "url": "http://127.0.0.1:9", "signing": "off"}
    response = await raw.post("/v1/console/peers", json=body, headers={"x-operator": "somebody"})
    assert response.status_code == 200
    actor = (await client.event_page(after=seq)).events[0].actor
    assert actor == f"operator:{pwd.getpwuid(os.getuid()).pw_name}"
