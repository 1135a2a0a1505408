"""The Ray runner keeps the contract of every runner, and its own promises, with a real Ray."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.runners.conftest import PACKAGE, Harness
from tests.support import ray_cluster
from tests.support.ray_cluster import RayOfATest

from embedded_scheduler.errors import Refused
from embedded_scheduler.runners.following import STOPPED_WAITING
from embedded_scheduler.runners.ray import RayCluster, RayRunner
from embedded_scheduler.runners.ray_api import RayApi
from embedded_scheduler.spi.conformance import NotConformant, RunnerConformance
from embedded_scheduler.spi.runner import END_OF_LOG, Exit, LaunchSpec

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


async def _end_of(runner: RayRunner, spec: LaunchSpec) -> Exit:
    await runner.launch(spec)
    return await runner.wait(runner.handle(spec))


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
    assert await _end_of(harness.runner(), spec) == Exit(code=3)
    told, names, order_is_there = json.loads(harness.log("curious").splitlines()[0])
    assert told
    assert names == ["HOME", "LANG", "PATH", "TMPDIR", "config.token"]
    assert not order_is_there
    assert "tell-nobody" not in json.dumps(harness.job(spec))
    assert harness.runner().handle(spec).data["where"].startswith("Ray job n")


async def test_another_node_process_goes_on_with_the_log_where_it_stopped(harness: RayHarness) -> None:
    program = "import time\nfor i in range(3000):\n    print('line', i, flush=True)\n    time.sleep(0.001)\n"
    spec = harness.spec("resumed", program)
    runner = harness.runner()
    await runner.launch(spec)
    journal = spec.run_directory / "journal"
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(runner.wait(runner.handle(spec)))
        await harness.until_printed("line 50\n", "resumed")
        early = journal.read_bytes()
        await harness.until(lambda: journal.read_bytes() != early)
        waiting.cancel()
    # As if it had been killed between the log and the journal.
    journal.write_bytes(early)
    assert (await harness.runner().wait(runner.handle(spec))).ok
    wanted = "".join(f"line {i}\n" for i in range(3000))
    assert harness.log("resumed") == f"{wanted}{END_OF_LOG}, exit 0\n"


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
    assert (await _end_of(harness.runner(), harness.at("exec:module:own.words", "shipped"))).ok
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
