"""Two and three real nodes over links that lose, repeat, delay and cut: they agree in the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.faulty_proxy import Fault, Weather
from tests.support.mesh import gather_agreements, mesh
from tests.support.probe_jobs import chain, fan, probe_job

TWO = {"guest": "alice", "host": "bob"}
THREE = {**TWO, "arbiter": "carol"}
SUCCEEDED = ("FINISHED", "succeeded")

WEATHERS = {
    "request loss": {"lose_request": 0.3},
    "response loss": {"lose_response": 0.3},
    "duplication": {"duplicate": 0.5},
    "delay": {"longest_delay": 0.3},
    "storm": {"lose_request": 0.15, "lose_response": 0.15, "duplicate": 0.15, "longest_delay": 0.1},
}
FAULT_OF = {
    "request loss": Fault.LOSE_REQUEST,
    "response loss": Fault.LOSE_RESPONSE,
    "duplication": Fault.DUPLICATE,
    "storm": Fault.LOSE_RESPONSE,
}


@pytest.mark.parametrize("sync_type", ["poll", "callback"])
@pytest.mark.parametrize("weather", WEATHERS)
async def test_two_nodes_agree_in_any_weather(tmp_path: Path, weather: str, sync_type: str) -> None:
    async with mesh(tmp_path, "alice", "bob") as net:
        for seed, link in enumerate(net.links.values()):
            link.rule = Weather(seed, **WEATHERS[weather])
        jobs = [
            await net.submit("alice", probe_job(TWO, tasks, sync_type=sync_type))
            for tasks in (chain(3), fan(3), {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
        ]
        assert await gather_agreements(net, jobs, within=20) == [SUCCEEDED] * 3
        treated = sum((link.treated for link in net.links.values()), start=type(net.links["alice", "bob"].treated)())
        assert treated[Fault.NONE] > 0
        if weather in FAULT_OF:
            assert treated[FAULT_OF[weather]] > 0, "the weather was fair by chance: choose another seed"


async def test_three_nodes_agree_under_a_coordinating_arbiter_in_a_storm(tmp_path: Path) -> None:
    async with mesh(tmp_path, "alice", "bob", "carol") as net:
        for seed, link in enumerate(net.links.values()):
            link.rule = Weather(seed, **WEATHERS["storm"])
        jobs = [
            await net.submit("alice", probe_job(THREE, chain(3), coordinator="carol")),
            await net.submit("alice", probe_job(THREE, fan(3))),
        ]
        assert await gather_agreements(net, jobs, within=20) == [SUCCEEDED] * 2


async def test_a_failing_task_ends_the_job_everywhere_in_a_storm(tmp_path: Path) -> None:
    async with mesh(tmp_path, "alice", "bob") as net:
        for seed, link in enumerate(net.links.values()):
            link.rule = Weather(seed + 10, **WEATHERS["storm"])
        job = await net.submit("alice", probe_job(TWO, chain(3), parameters={"probe_1": {"fail": "3"}}))
        assert await net.agreement(job) == ("FINISHED", "failed")
        for name in net.nodes:
            detail = await net.clients[name].job(job)
            assert {task.name: task.state for task in detail.tasks}["probe_2"] == "PENDING"


async def test_a_partition_during_the_run_only_delays_the_job(tmp_path: Path) -> None:
    async with mesh(tmp_path, "alice", "bob") as net:
        job = await net.submit("alice", probe_job(TWO, chain(3), parameters={"probe_1": {"sleep": 1}}))
        net.partition("alice", "bob", cut=True)
        other = await net.submit("bob", probe_job({"guest": "bob"}, chain(2)))
        (alone,) = (await net.over(other, at=["bob"])).values()
        assert (alone.job.state, alone.job.outcome) == SUCCEEDED
        cut_off = (await net.clients["bob"].job(job)).job.state
        assert cut_off != "FINISHED"
        net.partition("alice", "bob", cut=False)
        assert await net.agreement(job) == SUCCEEDED


async def test_a_partner_that_is_cut_off_delays_only_its_own_jobs(tmp_path: Path) -> None:
    async with mesh(tmp_path, "alice", "bob", "carol") as net:
        net.partition("alice", "carol", cut=True)
        stuck, free = probe_job({"guest": "alice", "host": "carol"}, chain(2)), probe_job(TWO, chain(2))
        document = {**stuck, "config": {**stuck["config"]}}
        waiting = await net.submit("alice", document)
        job = await net.submit("alice", free)
        (alice, bob) = (await net.over(job, at=["alice", "bob"], within=20)).values()
        assert (alice.job.outcome, bob.job.outcome) == ("succeeded", "succeeded")
        held = (await net.clients["alice"].job(waiting)).job
        assert held.state == "PENDING"
        assert held.waiting is not None
        assert "carol" in held.waiting.text
        net.partition("alice", "carol", cut=False)
        ended = await net.over(waiting, at=["alice", "carol"])
        assert {detail.job.outcome for detail in ended.values()} == {"succeeded"}


async def test_a_refusal_reaches_everybody_over_bad_links(tmp_path: Path) -> None:
    async with mesh(tmp_path, "alice", "bob", "carol", approval="manual") as net:
        for seed, link in enumerate(net.links.values()):
            link.rule = Weather(seed + 20, **WEATHERS["storm"])
        job = await net.submit("alice", probe_job(THREE, chain(2)))
        await net.decided("carol", job)
        await net.decided("bob", job, approve=False)
        assert (await net.agreement(job))[0] == "REJECTED"


async def test_a_stop_reaches_everybody_over_bad_links(tmp_path: Path) -> None:
    async with mesh(tmp_path, "alice", "bob") as net:
        for seed, link in enumerate(net.links.values()):
            link.rule = Weather(seed + 30, **WEATHERS["storm"])
        job = await net.submit("alice", probe_job(TWO, chain(2), parameters={"probe_0": {"sleep": 3600}}))
        await net.clients["alice"].stop(job, reason="enough")
        assert await net.agreement(job) == ("FINISHED", "stopped")


@pytest.mark.parametrize("killed", ["alice", "bob"])
async def test_a_node_killed_during_the_run_goes_on_where_it_was(tmp_path: Path, killed: str) -> None:
    async with mesh(tmp_path, "alice", "bob") as net:
        job = await net.submit("alice", probe_job(TWO, chain(3), parameters={"probe_1": {"sleep": 1}}))
        net.nodes[killed].kill()
        await net.nodes[killed].start()
        assert await net.agreement(job) == SUCCEEDED
