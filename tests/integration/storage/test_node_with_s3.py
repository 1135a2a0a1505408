"""A whole node whose storage is an object store: datasets, components, results, retention, doctor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.integration.storage.conftest import SECRET
from tests.support.hosted import Hosted, hosted
from tests.support.nodes import eventually
from tests.support.probe_jobs import chain, probe_job
from tests.support.s3_server import SECRET_KEY, S3Server

from algorithm_components.sdk.environment import Address
from algorithm_components.sdk.tables import Tables
from embedded_scheduler.runners.sandbox import NoSandbox, choose
from embedded_scheduler.storage.s3 import Place, S3Storage
from embedded_scheduler.wire.console import DatasetRequest
from nodeconsole.client import NodeClient


def settings(s3: S3Server, sandbox: str) -> str:
    return (
        f'storage.driver = "s3"\nstorage.endpoint = "{s3.endpoint}"\n'
        f'components.sandbox = "{sandbox}"\napproval.own_jobs = "auto"\n'
    )


async def over(client: NodeClient, job_id: str) -> Any:
    async def ended() -> Any:
        detail = await client.job(job_id)
        return detail if detail.job.state == "FINISHED" else None

    return await eventually(ended, what=f"{job_id} is over")


def job() -> dict[str, Any]:
    document = probe_job({"guest": "alice"}, chain(2))
    document["config"]["task_params"]["guest"]["0"]["probe_0"] = {"dataset_id": "datasets#people"}
    return document


async def finding(client: NodeClient) -> tuple[str, str]:
    found = {row.check: row for row in (await client.doctor()).findings}["storage"]
    return found.level, found.text


@pytest.mark.parametrize("sandbox", ["off", "require"])
async def test_jobs_run_with_their_data_in_a_bucket(s3: S3Server, tmp_path: Path, sandbox: str) -> None:
    if sandbox == "require" and isinstance(found := choose("auto", tmp_path), NoSandbox):
        pytest.skip(found.why)
    source = tmp_path / "people.jsonl"
    source.write_text('{"id": "1", "n": 1}\n{"id": "2", "n": null}\n')
    async with hosted(tmp_path / "alice", settings=settings(s3, sandbox)) as node, node.client() as client:
        level, text = await finding(client)
        assert (level, "there is no secret 'storage'" in text) == ("error", True), text
        await client.put_secret("storage", SECRET)
        assert (await finding(client))[0] == "ok"
        await client.add_dataset(
            DatasetRequest(namespace="datasets", name="people", connector="json", options={"path": str(source)})
        )
        ended = await over(client, (await client.submit(job())).job_id)
        assert ended.job.outcome == "succeeded", [share.reason for task in ended.tasks for share in task.shares]
        assert s3.content("datasets/people/data_0") == b"id,n\n1,1\n2,\n"
        metadata = json.loads(s3.content("datasets/people/metadata"))
        assert (metadata["count"], metadata["column_info"][1]) == (2, {"name": "n", "type": "integer"})
        job_id = ended.job.job_id
        results = {key.partition("/")[2] for key in s3.objects if key.startswith(f"{job_id}-guest-0/")}
        assert len(results) == 2
        shown = await client.result(job_id, "probe_1", "guest.0", "data")
        assert (shown.columns, shown.rows) == (["id", "n"], [["1", "1"], ["2", ""]])
        stream = client.result_content(job_id, "probe_1", "guest.0", "data")
        assert b"".join([chunk async for chunk in stream]) == b"id,n\n1,1\n2,\n"
        _, key = min((len(key), key) for key in s3.objects if key.startswith(f"{job_id}-guest-0/"))
        for format_ in ("parquet", "json"):
            Tables(await node_url(s3)).write(_address(key), ["id", "n"], [["1", 7], ["2", None]], format=format_)
            name = "probe_0" if key.split("/")[1].startswith(ended.tasks[0].task_id) else "probe_1"
            shown = await client.result(job_id, name, "guest.0", "data")
            assert (shown.kind, shown.columns, shown.rows) == ("table", ["id", "n"], [["1", "7"], ["2", ""]]), format_
        await _nobody_sees_the_key(node)
    assert not list((tmp_path / "alice" / "storage").iterdir())


async def node_url(s3: S3Server) -> str:
    async def reveal() -> str:
        return SECRET

    return await S3Storage(Place(s3.endpoint), "storage", reveal).url()


def _address(key: str) -> Address:
    namespace, name, _ = key.split("/")
    return Address(namespace, name)


async def _nobody_sees_the_key(node: Hosted) -> None:
    for path in node.home.path.rglob("*"):
        if path.is_file():
            assert SECRET_KEY.encode() not in path.read_bytes(), path


async def test_a_store_that_refuses_fails_the_task_with_its_reason(s3: S3Server, tmp_path: Path) -> None:
    async with hosted(tmp_path / "alice", settings=settings(s3, "off")) as node, node.client() as client:
        await client.put_secret("storage", "AKNOBODY:nothing")
        document = probe_job({"guest": "alice"}, chain(1))
        ended = await over(client, (await client.submit(document)).job_id)
        assert ended.job.outcome == "failed"
        log = (await client.log(ended.job.job_id, "probe_0")).lines
        assert "InvalidAccessKeyId" in str(log)
        assert "nothing" not in str(log).replace("nothing is", "")
