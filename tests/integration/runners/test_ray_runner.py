"""The Ray runner keeps the contract of every runner, and its own promises, with a real Ray."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.runners.conftest import PACKAGE, Harness, goes_on_with_the_log
from tests.support import ray_cluster
from tests.support.counting import conforms, counting, plan_of, program_of
from tests.support.hosted import started
from tests.support.probe_jobs import chain, probe_job
from tests.support.ray_cluster import RayOfATest
from tests.support.runs import end_of

from embedded_scheduler.errors import Refused
from embedded_scheduler.home import Home
from embedded_scheduler.provision import provision
from embedded_scheduler.runners.following import STOPPED_WAITING
from embedded_scheduler.runners.ray import RayCluster, RayRunner
from embedded_scheduler.runners.ray_api import RayApi
from embedded_scheduler.spi.conformance import NotConformant, RunnerConformance
from embedded_scheduler.spi.runner import END_OF_LOG, Exit, LaunchSpec
from embedded_scheduler.wire.console import JobDetail
from nodeconsole.client import ClientError, NodeClient
from nodeconsole.node_process import free_addresses

pytestmark = pytest.mark.skipif(bool(ray_cluster.MISSING), reason=ray_cluster.MISSING)

_AT_ONCE = 6


@pytest.fixture(scope="module")
def ray() -> Iterator[RayOfATest]:
    with ray_cluster.ray_cluster() as started:
        yield started


@dataclass
class RayHarness(Harness):
    ray: RayOfATest | None = None
    node_id: str = field(default_factory=lambda: f"n{secrets.token_hex(4)}")
    more: dict[str, Any] = field(default_factory=dict)

    def runner(
        self, *, patience_s: float = 60.0, address: str = "", token_file: Path | None = None, **_: Any
    ) -> RayRunner:
        assert self.ray is not None
        api = RayApi(address or self.ray.address, token_file=token_file or self.ray.token_file)
        cluster = RayCluster(api, self.node_id, python=str(self.ray.python), **self.more)
        return RayRunner(self.runs, cluster, allow_exec=self.allowed, components=PACKAGE, patience_s=patience_s)

    def job(self, spec: LaunchSpec) -> dict[str, Any]:
        """What everybody sees who may look at the cluster."""
        assert self.ray is not None
        headers = {"Authorization": f"Bearer {self.ray.token_file.read_text()}"}
        submission = self.runner().handle(spec).data["submission"]
        found: dict[str, Any] = httpx.get(f"{self.ray.address}/api/jobs/{submission}", headers=headers).json()
        return found


@pytest.fixture
def harness(ray: RayOfATest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RayHarness:
    made = RayHarness(tmp_path, ray=ray)
    made.runs.mkdir()
    package = tmp_path / "packages" / PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    return made


async def test_runner_conformance(harness: RayHarness) -> None:
    """Some checks at once: each job takes Ray seconds of which it works little."""
    broken: list[str] = []
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(check: str) -> None:
        async with gate:
            try:
                await RunnerConformance(harness).run(check)
            except NotConformant as fault:
                broken.append(f"{check}: {fault}")

    async with asyncio.TaskGroup() as group:
        for check in RunnerConformance.checks():
            group.create_task(one(check))
    assert broken == []


async def test_a_builtin_component_travels_with_its_job_and_its_environment_is_not_shown(harness: RayHarness) -> None:
    address = harness.builtin(
        "curious",
        "import json, os\n"
        "def main():\n"
        "    told = os.environ['config.token'] == 'tell-nobody'\n"
        "    print(json.dumps([told, sorted(os.environ), os.path.exists('../order')]))\n"
        "    return 3\n",
    )
    spec = harness.at(address, "curious", {"config.token": "tell-nobody"})
    assert await end_of(harness.runner(), spec) == Exit(code=3)
    told, names, order_is_there = json.loads(harness.log("curious").splitlines()[0])
    assert told
    assert names == ["HOME", "LANG", "PATH", "TMPDIR", "config.token"]
    assert not order_is_there
    assert "tell-nobody" not in json.dumps(harness.job(spec))
    assert harness.runner().handle(spec).data["where"].startswith("Ray job n")


async def test_another_node_process_goes_on_with_the_log_where_it_stopped(harness: RayHarness) -> None:
    await goes_on_with_the_log(harness, lines=3000, pause_s=0.001)


async def test_what_no_machine_of_the_cluster_has_room_for_waits_and_can_be_stopped(harness: RayHarness) -> None:
    harness.more["resources"] = {"a_rare_device": 1.0}
    spec = harness.spec("waiting", "print('ran')")
    runner = harness.runner()
    await runner.launch(spec)
    await harness.until(lambda: harness.job(spec)["status"] == "PENDING")
    assert await runner.observe(runner.handle(spec)) is None
    await runner.terminate(runner.handle(spec), 1.0)
    ending = await runner.observe(runner.handle(spec))
    assert ending == Exit(code=None, error=STOPPED_WAITING)
    assert harness.log("waiting") == f"{END_OF_LOG}, not started\n"


async def test_files_of_the_operator_are_in_the_working_directory(harness: RayHarness, tmp_path: Path) -> None:
    files = tmp_path / "shipped"
    (files / "own").mkdir(parents=True)
    (files / "own" / "words.py").write_text("print('from a shipped module')")
    harness.more["files"] = files
    harness.allowed.append("module:own.words")
    assert (await end_of(harness.runner(), harness.at("exec:module:own.words", "shipped"))).ok
    assert harness.log("shipped").startswith("from a shipped module\n")


async def test_a_cluster_that_goes_away_is_an_honest_failure_in_bounded_time(harness: RayHarness) -> None:
    spec = harness.spec("away", "import time; time.sleep(60)")
    runner = harness.runner()
    await runner.launch(spec)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        lost = await harness.runner(address=address, patience_s=0.5).wait(runner.handle(spec))
    assert lost.code is None
    assert "cannot be reached" in lost.error
    assert harness.log("away").splitlines()[-1] == f"{END_OF_LOG}, lost"
    # It is forgotten on the cluster too, where it still ran.
    await runner.forget(runner.handle(spec))
    assert not spec.run_directory.exists()


async def test_a_wrong_token_is_refused_with_what_to_do(harness: RayHarness, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("b" * 64)
    spec = harness.spec("foreign", "print('ran')")
    with pytest.raises(Refused, match="does not let this node in: look at its token"):
        await harness.runner(token_file=wrong).launch(spec)


async def test_the_component_that_passes_as_a_process_and_a_container_passes_as_a_job(
    harness: RayHarness, tmp_path: Path
) -> None:
    project = counting(tmp_path)
    program = program_of(project, tmp_path)
    harness.allowed.append(str(program))

    def runner_of(runs: Path) -> RayRunner:
        return replace(harness, root=runs.parent).runner()

    # A job of Ray may take seconds to begin, the more so the more of them begin at once.
    await conforms(plan_of(project, f"exec:{program}"), runner_of, tmp_path, at_once=2, up=30.0)


_CALLER = """#!/usr/bin/env python3
import json, os, urllib.request
body = {"task_id": os.environ["config.task_id"], "role": os.environ["config.self_role"], "status": "SUCCESS"}
headers = {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["config.token"]}
request = urllib.request.Request(os.environ["system.callback"], json.dumps(body).encode(), headers)
print(urllib.request.urlopen(request, timeout=10).status)
"""
_CALLER_MANIFEST = {"componentName": "Caller", "provider": "acme", "version": "1", "roleList": ["guest"]}


async def test_tasks_of_a_job_run_on_the_cluster_by_choice_and_the_node_may_restart_meanwhile(
    ray: RayOfATest, tmp_path: Path
) -> None:
    """What runs there reads what ran on this machine, and reaches the node. The job chooses one, registration one."""
    caller = tmp_path / "caller"
    caller.write_text(_CALLER)
    caller.chmod(0o755)
    document = probe_job({"guest": "alice"}, chain(3), parameters={"probe_1": {"sleep": 2}})
    document["dag"]["components"][2] |= {"componentName": "Caller", "provider": "acme", "version": "1", "output": []}
    document["config"]["job_params"]["guest"] = {"0": {"runner": {"probe_1": "ray"}}}
    home = Home(tmp_path / "alice")
    # The port of the platform has to stay: components know it.
    provision(home, node_id="alice", listen="127.0.0.1:0", platform=free_addresses(1)[0], tls="off")
    home.settings_file.write_text(
        f'{home.settings_file.read_text()}\nray.address = "{ray.address}"\nray.token_file = "{ray.token_file}"\n'
        f'ray.python = "{ray.python}"\ncomponents.allow_exec = ["{caller}"]\n'
    )
    async with started(home) as node, node.client() as client:
        [found] = [each for each in (await client.doctor()).findings if each.subject == "ray"]
        assert (found.level, found.text.partition(" ")[0]) == ("ok", "Ray")
        registered = await client.register_component(f"exec:{caller}", _CALLER_MANIFEST, "ray")
        assert (registered.runner, registered.runnable) == ("ray", True)
        assert (await client.register_component(f"exec:{caller}", _CALLER_MANIFEST)).runner == "ray"
        with pytest.raises(ClientError, match="this node has no runner 'spark'"):
            await client.register_component(f"exec:{caller}", _CALLER_MANIFEST, "spark")
        job_id = (await client.submit(document)).job_id
        await _until(client, job_id, lambda detail: detail.tasks[1].state == "RUNNING")
    async with started(home) as node, node.client() as client:
        detail = await _until(client, job_id, lambda detail: detail.job.state == "FINISHED")
        assert [task.state for task in detail.tasks] == ["SUCCESS"] * 3
        assert [share.runner for task in detail.tasks for share in task.shares] == ["process", "ray", "ray"]
        assert (await client.result(job_id, "probe_1", "guest.0", "data")).size > 0
        for task, why in (("probe_1", "the job asks for it"), ("probe_2", "the component is registered for it")):
            [attempt] = (await client.task(job_id, task)).attempts
            assert attempt.where == f"Ray job alice-{attempt.attempt_id} at {ray.address}"
            log = (home.logs / job_id / f"{attempt.attempt_id}.log").read_text()
            assert f"nodeconsole: run by ray: {attempt.where} ({why})\n" in log
        assert (attempt.called_ms is not None, attempt.reported) == (True, "SUCCESS")


async def _until(client: NodeClient, job_id: str, reached: Callable[[JobDetail], bool]) -> JobDetail:
    async with asyncio.timeout(60):
        while not reached(detail := await client.job(job_id)):
            await asyncio.sleep(0.05)
    return detail
