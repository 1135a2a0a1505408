"""A node that stops leaves its components running, and takes them up again when it starts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.hosted import hosted

JOB = {
    "flow_id": "restart",
    "dag": {
        "version": "2.0.0",
        "components": [{"name": "probe_0", "componentName": "probe", "provider": "nodeconsole", "version": "1.0.0"}],
    },
    "config": {
        "initiator": {"role": "guest", "node_id": "alice"},
        "role": {"guest": ["alice"]},
        "task_params": {"common": {"probe_0": {"sleep": 2, "lines": 20}}},
    },
}


async def test_a_component_outlives_the_stop_of_its_node(tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        async with hosted(tmp_path / "alice") as node, node.client() as client:
            job_id = (await client.submit(JOB)).job_id
            async for _ in client.events(0):
                if (await client.job(job_id)).tasks[0].state == "RUNNING":
                    break
            before = await client.status()
        async with hosted(tmp_path / "alice") as node, node.client() as client:
            assert (await client.status()).started_ms > before.started_ms
            share = (await client.job(job_id)).tasks[0].shares[0]
            assert share.state == "RUNNING", "it was neither stopped nor started anew"
            lines = [line async for page in client.follow_log(job_id, "probe_0") for line in page.lines]
            async for _ in client.events(0):
                detail = await client.job(job_id)
                if detail.job.state == "FINISHED":
                    break
            assert detail.job.outcome == "succeeded"
            assert [line for line in lines if line.startswith("line ")] == [f"line {n} of 20" for n in range(1, 21)]
            starts = [event for event in (await client.event_page(limit=1000)).events if event.event == "node.started"]
            assert len(starts) == 2
            assert (await client.ledger_verify()).ok
