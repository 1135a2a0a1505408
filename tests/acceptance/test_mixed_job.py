"""One job of a built-in component, a program and a container between two nodes, whatever is killed on its way.

The program and the image are the same source: the kit's scaffold, with a pause to be killed in.
"""

from __future__ import annotations

import asyncio
import csv
import json
import math
import os
import re
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from tests.support import container_engine
from tests.support.component_image import load_component
from tests.support.container_engine import Engine
from tests.support.nodes import QUICK, eventually

from embedded_scheduler.domain.failure import Failure, FailureCause, Stage
from embedded_scheduler.runners.keeper import program_of
from embedded_scheduler.runners.run_directory import RunDirectory
from embedded_scheduler.wire.console import JobDetail, ShareRow
from nodeconsole.demo.failure import DemoFailure
from nodeconsole.demo.job import OUTPUT, TASK, psi_job
from nodeconsole.demo.steps import Demo
from nodeconsole.demo.verdict import read_table
from nodeconsole.kit.archives import build_program
from nodeconsole.kit.project import open_project
from nodeconsole.kit.scaffold import create

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = "localhost/nodeconsole-test/counting:0.2.0"
AS_PROGRAM, AS_IMAGE = "0.1.0", "0.2.0"
PROGRAM, CONTAINER = "count_0", "count_1"
STAGES = (TASK, PROGRAM, CONTAINER)
COLUMNS = {"guest": "mean_radius", "host": "worst_radius"}
DECIMALS = 6
BEATS = 40
"""Beats of a twentieth of a second: a stage that is to be killed takes two seconds."""


def _other(role: str) -> str:
    return "host" if role == "guest" else "guest"


def _scaffold(directory: Path) -> Path:
    """A new component that pauses before it works; its folder."""
    folder = directory / "counting"
    create("counting", "me", ("guest", "host"), folder)
    source = folder / "counting" / "component.py"
    text = source.read_text()
    work = "    own = measure(task)\n"
    assert work in text
    pause = (
        "    import time\n"
        '    for number in range(task.parameters.integer("beats")):\n'
        '        task.log.info(f"beat {number}")\n'
        "        time.sleep(0.05)\n"
    )
    source.write_text(text.replace(work, pause + work))
    manifest = folder / "counting" / "manifest.json"
    described = json.loads(manifest.read_text())
    described["inputParam"].append({"name": "beats", "type": "integer", "optional": True, "defaultValue": 0})
    manifest.write_text(json.dumps(described))
    return folder


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    reason = container_engine.missing()
    if reason:
        pytest.skip(reason)
    with container_engine.engine() as running:
        yield running


@dataclass(frozen=True, slots=True)
class Mixed:
    """The two nodes, the engine that both use, and what a job of three kinds of components goes through there."""

    demo: Demo
    engine: Engine

    async def restart(self, settings: Mapping[str, str]) -> None:
        """Every node by its role, with other settings."""

        async def one(role: str, text: str) -> None:
            node = self.demo.nodes[role]
            await node.stop()
            node.home.settings_file.write_text(text)
            await node.start()

        await asyncio.gather(*(one(role, text) for role, text in settings.items()))

    async def submit(self, *pausing: str) -> str:
        """A job that the host's operator has approved; the tasks that pause long enough to be killed are named."""
        self.demo.flow_id = f"mixed-{secrets.token_hex(8)}"
        async with self.demo.nodes["guest"].client() as client:
            job_id = (await client.submit(_document(self.demo.flow_id, pausing))).job_id
        await self.demo.approve(job_id)
        return job_id

    async def job(self, role: str, job_id: str) -> JobDetail:
        async with self.demo.nodes[role].client() as client:
            return await client.job(job_id)

    async def at_work(self, job_id: str, task: str, role: str) -> ShareRow:
        """The party's share once its component is at work: it pauses, if it is one that does."""

        async def attempt() -> ShareRow | None:
            detail = await self.job(role, job_id)
            found = [each for row in detail.tasks if row.name == task for each in row.shares if each.local]
            if not found or found[0].state != "RUNNING":
                assert detail.job.state != "FINISHED", detail.job.reason
                return None
            return found[0] if task == TASK or "beat 2" in self.log(role, job_id, found[0]) else None

        return await eventually(attempt, what=f"{task} at work at the {role}")

    def log(self, role: str, job_id: str, share: ShareRow) -> str:
        path = self.demo.nodes[role].home.logs / job_id / f"{share.attempt_id}.log"
        return path.read_text() if path.exists() else ""

    def logs(self, job_id: str) -> str:
        """Everything that either node logged of the job's attempts."""
        found = [path for node in self.demo.nodes.values() for path in (node.home.logs / job_id).glob("*.log")]
        return "\n".join(f"{path.name}:\n{path.read_text()}" for path in sorted(found))

    def run_directory(self, role: str, share: ShareRow) -> Path:
        return RunDirectory.of(self.demo.nodes[role].home.runs, share.attempt_id).path

    async def ends_right(self, job_id: str) -> None:
        """Both nodes say so, the results of all three tasks are right on both sides, and nothing is left running."""
        try:
            details = await self.demo.finished(job_id)
        except DemoFailure as failure:
            raise AssertionError(f"{failure}\n{self.logs(job_id)}") from None
        verdict = await self.demo.check(job_id)
        assert verdict.right, verdict.problems
        for role, detail in details.items():
            stored = {(each.task, each.output): Path(each.path) for each in detail.results}
            for task, expected in zip((PROGRAM, CONTAINER), self._expected(), strict=True):
                with stored[task, "summary"].open(newline="") as file:
                    assert list(csv.reader(file)) == [["party", "rows", "mean"], *expected], (role, task)

        async def tidy() -> bool:
            return not any(self.engine.api.containers(f"nodeconsole.node={role}") for role in COLUMNS)

        await eventually(tidy, what="no container is left")

    def has_every_beat_once(self, role: str, job_id: str, share: ShareRow) -> None:
        """The attempt went on through whatever happened, and nothing of its log is lost or doubled."""
        beats = re.findall(r"^info: beat (\d+)$", self.log(role, job_id, share), re.MULTILINE)
        assert beats == [str(number) for number in range(BEATS)], self.log(role, job_id, share)

    async def fails(self, job_id: str, task: str, role: str, reason: str, cause: FailureCause) -> None:
        """Both nodes say that it failed, where and why: the party's own in full, the other one as a class."""

        async def over(role: str) -> JobDetail | None:
            detail = await self.job(role, job_id)
            return detail if detail.job.state == "FINISHED" else None

        found = {role: await eventually(lambda r=role: over(r), what=f"the end at the {role}") for role in COLUMNS}
        for each, detail in found.items():
            assert detail.job.outcome == "failed", each
            assert detail.job.reason.startswith(f"task {task} failed: {role}.0: "), (each, detail.job.reason)
        assert Failure(Stage.RUN, cause).words in found[_other(role)].job.reason
        (share,) = [s for row in found[role].tasks if row.name == task for s in row.shares if s.local]
        assert reason in share.reason

    async def again_and_right(self, job_id: str) -> None:
        async with self.demo.nodes["guest"].client() as client:
            again = (await client.rerun(job_id)).job_id
        await self.demo.approve(again)
        await self.ends_right(again)

    def _expected(self) -> tuple[list[list[str]], list[list[str]]]:
        """The rows of both summaries, from the plain join of the two files."""
        tables = {role: read_table(self.demo.data_file(role)) for role in COLUMNS}
        common = set(tables["guest"].ids) & set(tables["host"].ids)
        means = []
        for role, column in COLUMNS.items():
            values = [float(record[column]) for record in tables[role].records if record["id"] in common]
            means.append(round(math.fsum(values) / len(values), DECIMALS))
        both = round(math.fsum(means) / 2, DECIMALS)
        parties = [f"{role}.0" for role in COLUMNS]
        first = [[party, str(len(common)), str(mean)] for party, mean in zip(parties, means, strict=True)]
        return first, [[party, "2", str(both)] for party in parties]


def _document(flow_id: str, pausing: Sequence[str]) -> dict[str, Any]:
    """The alignment, then the program over what it found, then the image over the program's summary."""
    job = psi_job(flow_id, {role: role for role in COLUMNS})
    for name, version, source in (
        (PROGRAM, AS_PROGRAM, f"{TASK}.{OUTPUT}"),
        (CONTAINER, AS_IMAGE, f"{PROGRAM}.summary"),
    ):
        job["dag"]["components"].append(
            {
                "name": name,
                "componentName": "counting",
                "provider": "me",
                "version": version,
                "input": [{"key": source, "type": "dataset"}],
                "output": [{"key": "summary", "type": "dataset"}, {"key": "report", "type": "report"}],
            }
        )
    given = job["config"]["task_params"]
    given["common"] = {
        name: {"beats": BEATS if name in pausing else 0, "decimals": DECIMALS} for name in (PROGRAM, CONTAINER)
    }
    given["common"][CONTAINER]["column"] = "mean"
    for role, column in COLUMNS.items():
        given[role] = {"0": {**given[role]["0"], PROGRAM: {"column": column}, CONTAINER: {}}}
    return job


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mixed(engine: Engine) -> AsyncIterator[Mixed]:
    directory = Path(tempfile.mkdtemp(prefix="ncmixed-"))
    folder = _scaffold(directory)
    load_component(engine, IMAGE, folder / "counting")
    program = build_program(open_project(folder), folder / "dist" / "counting.pyz")
    manifest = json.loads((folder / "counting" / "manifest.json").read_text())
    demo = Demo(directory / "demo", within=90.0, allow_exec=[program])
    try:
        await demo.create()
        for node in demo.nodes.values():
            node.change_settings(f'{QUICK}\ncontainer.allow = ["localhost"]\ncontainer.socket = "{engine.socket}"')
        await demo.start()
        await demo.register()
        for node in demo.nodes.values():
            async with node.client() as client:
                for address, version in ((f"exec:{program}", AS_PROGRAM), (IMAGE, AS_IMAGE)):
                    row = await client.register_component(address, {**manifest, "version": version})
                    assert row.why_not == ""
        yield Mixed(demo, engine)
    finally:
        await demo.close()
        shutil.rmtree(directory, ignore_errors=True)


async def test_a_program_and_a_container_go_on_from_what_a_builtin_component_found(mixed: Mixed) -> None:
    job_id = await mixed.submit()
    await mixed.ends_right(job_id)
    detail = await mixed.job("host", job_id)
    runners = {task.name: share.runner for task in detail.tasks for share in task.shares if share.local}
    assert runners == {TASK: "process", PROGRAM: "process", CONTAINER: "container"}


@pytest.mark.parametrize("first", ["guest", "host"])
async def test_a_node_that_is_killed_at_every_stage_finds_its_components_again(mixed: Mixed, first: str) -> None:
    job_id = await mixed.submit(PROGRAM, CONTAINER)
    went_on = []
    for number, task in enumerate(STAGES):
        role = first if number % 2 == 0 else _other(first)
        share = await mixed.at_work(job_id, task, role)
        mixed.demo.nodes[role].kill()
        await mixed.demo.nodes[role].start()
        if task != TASK:
            went_on.append((role, share))
    await mixed.ends_right(job_id)
    for role, share in went_on:
        mixed.has_every_beat_once(role, job_id, share)


def _kill_process(mixed: Mixed, role: str, share: ShareRow) -> None:
    """The component itself, not what we or the sandbox put around it."""
    identity = RunDirectory(mixed.run_directory(role, share)).identity()
    assert identity is not None
    below = [each for each in psutil.Process(identity.pid).children(recursive=True) if not each.children()]
    (component,) = [each for each in below if each.cmdline()[-1].endswith("counting.pyz")]
    component.kill()


def _kill_container(mixed: Mixed, role: str, share: ShareRow) -> None:
    pid = program_of(mixed.run_directory(role, share))
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("task", "role", "kill"), [(PROGRAM, "guest", _kill_process), (CONTAINER, "host", _kill_container)]
)
async def test_a_component_that_is_killed_fails_the_job_with_a_reason_and_the_job_can_be_run_again(
    mixed: Mixed, task: str, role: str, kill: Callable[[Mixed, str, ShareRow], None]
) -> None:
    job_id = await mixed.submit(task)
    kill(mixed, role, await mixed.at_work(job_id, task, role))
    await mixed.fails(job_id, task, role, "ended by SIGKILL", FailureCause.SIGNAL)
    await mixed.again_and_right(job_id)


async def test_an_engine_that_dies_and_comes_back_delays_the_job(mixed: Mixed) -> None:
    job_id = await mixed.submit(PROGRAM, CONTAINER)
    await mixed.at_work(job_id, PROGRAM, "guest")
    mixed.engine.kill()
    # As an engine that was stopped in order leaves it.
    Path(mixed.engine.socket).unlink()

    async def is_to_start() -> bool:
        detail = await mixed.job("host", job_id)
        return any(row.name == CONTAINER and row.state == "READY" for row in detail.tasks)

    await eventually(is_to_start, what="the container is to be started")
    await asyncio.to_thread(mixed.engine.restart)
    shares = {role: await mixed.at_work(job_id, CONTAINER, role) for role in COLUMNS}
    await asyncio.to_thread(mixed.engine.restart)
    await mixed.ends_right(job_id)
    for role, share in shares.items():
        mixed.has_every_beat_once(role, job_id, share)


async def test_an_engine_that_stays_away_fails_the_job_with_a_reason_and_the_job_can_be_run_again(mixed: Mixed) -> None:
    nodes = mixed.demo.nodes
    usual = {role: node.home.settings_file.read_text() for role, node in nodes.items()}
    # The guest's node gives its container up first; the host's has to end its own by then.
    patience = {"guest": 0.5, "host": 4}
    await mixed.restart(
        {role: f"{text}\ncontainer.engine_patience = {patience[role]}\n" for role, text in usual.items()}
    )
    job_id = await mixed.submit(CONTAINER)
    await mixed.at_work(job_id, CONTAINER, "guest")
    mixed.engine.kill()
    await mixed.fails(job_id, CONTAINER, "guest", "no answer from the container engine", FailureCause.ENGINE)
    await asyncio.to_thread(mixed.engine.restart)
    # A node that starts removes what it could not remove when the engine was away.
    await mixed.restart(usual)
    await mixed.again_and_right(job_id)
