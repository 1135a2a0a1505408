"""Who speaks for whom: components for their own task alone, and partners only while their contract holds."""

from __future__ import annotations

from pathlib import Path

from tests.support.callers import signing_caller
from tests.support.cluster import cluster, document
from tests.support.hosted import Hosted
from tests.support.nodes import eventually
from tests.support.probe_jobs import probe_job
from tests.support.trust import trusted_nodes

from embedded_scheduler.domain.lifecycle import TaskState
from embedded_scheduler.engine import jobs

SLOW = {"a": {"sleep": 60}}


async def is_in(node: Hosted, job_id: str, state: str) -> bool:
    async with node.client() as client:
        return (await client.job(job_id)).job.state == state


async def runs(node: Hosted, job_id: str) -> bool:
    async with node.client() as client:
        shares = [share for task in (await client.job(job_id)).tasks for share in task.shares]
        return any(share.local and share.state == "RUNNING" for share in shares)


async def test_a_contract_that_ends_in_the_middle_of_a_job_ends_the_job_and_the_partners_say(tmp_path: Path) -> None:
    async with trusted_nodes(tmp_path, "alice", "bob") as nodes:
        alice, bob = nodes["alice"], nodes["bob"]
        made = probe_job({"guest": "alice", "host": "bob"}, {"a": []}, parameters=SLOW)
        async with alice.client() as client:
            job_id = (await client.submit(made)).job_id
        for node in (alice, bob):
            await eventually(lambda node=node: runs(node, job_id), what="the job runs", within=20)
        async with signing_caller(alice, bob.home, "bob", "alice") as caller:
            assert (await caller.ask("/job/status_all", {"job_id": job_id}))["code"] == 200
            async with alice.client() as client:
                await client.terminate_contract("bob", "the audit failed")
            assert (await caller.ask("/job/status_all", {"job_id": job_id}))["code"] == 401
        await eventually(lambda: is_in(alice, job_id, "FINISHED"), what="alice ends it", within=20)
        async with alice.client() as client:
            job = (await client.job(job_id)).job
        assert job.outcome == "stopped"
        assert "contract with bob" in job.reason


async def test_a_partner_cannot_report_the_share_of_another(tmp_path: Path) -> None:
    async with cluster(tmp_path, "alice", "bob", "carol") as found:
        for runner in found.runners.values():
            runner.result = lambda _: None
        alice = found.engines["alice"]
        made = document(
            ("one",), roles={"guest": ["alice"], "host": ["bob"], "arbiter": ["carol"]}, sync_type="callback"
        )
        job_id = (await jobs.submit(alice, made, actor="operator:a", trace_id="t")).job_id
        running = await found.until("alice", job_id, lambda s: s.tasks["one"].state is TaskState.RUNNING)
        task_id = running.tasks["one"].task_id
        for role in ("host", "host.0", "guest", "arbiter"):
            await jobs.callback(alice, task_id, "SUCCESS", role, source="carol")
        shares = {share.party.node_id: share.state for share in (await found.view("alice", job_id)).tasks["one"].shares}
        assert shares["carol"] is TaskState.SUCCESS
        assert TaskState.SUCCESS not in (shares["alice"], shares["bob"])
