"""Launches that are put off: who asks why a job does not go on hears for whom it waits, what is missing, what then."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.hosted import Hosted, hosted, started
from tests.support.nodes import eventually
from tests.support.probe_jobs import fan, probe_job
from tests.support.self_descriptions import component

from embedded_scheduler.wire.console import JobDetail, TaskRow, Waiting
from nodeconsole import launcher
from nodeconsole.client import NodeClient

IMAGE = "localhost/nodeconsole-test/absent:1"


async def waits(client: NodeClient, job_id: str, task: str, part: str) -> Waiting:
    """What the job says of the task, once `part` is in it."""

    async def look() -> Waiting | None:
        found = _task(await client.job(job_id), task).waiting
        return found if found is not None and part in found.text else None

    return await eventually(look, what=f"{task} waits: {part}", within=20, pause=0.05)


def _task(detail: JobDetail, name: str) -> TaskRow:
    return next(task for task in detail.tasks if task.name == name)


async def over(client: NodeClient, job_id: str) -> JobDetail:
    async def look() -> JobDetail | None:
        found = await client.job(job_id)
        return found if found.job.state == "FINISHED" else None

    return await eventually(look, what=f"{job_id} is over", within=20, pause=0.05)


async def reasons(client: NodeClient, job_id: str) -> list[str]:
    page = await client.event_page(0, limit=1000, job_id=job_id)
    return [event.reason for event in page.events if event.event == "share.put_off"]


def two(parameters: Mapping[str, Mapping[str, Any]], **resources: float) -> dict[str, Any]:
    document = probe_job({"guest": "alice"}, fan(2), parameters=parameters)
    document["config"]["job_params"]["guest"] = {"0": {"resources": resources}}
    return document


SLOW = {"probe_0": {"sleep": 600}, "probe_1": {"sleep": 600}}


async def one_of_two(client: NodeClient, job_id: str, part: str) -> tuple[Waiting, str, str]:
    """The one that waits, its name, and the name of the one that runs."""

    async def look() -> tuple[Waiting, str, str] | None:
        tasks = (await client.job(job_id)).tasks
        running = [task.name for task in tasks if task.state == "RUNNING"]
        waiting = [task for task in tasks if task.waiting is not None and part in task.waiting.text]
        if not running or not waiting or waiting[0].waiting is None:
            return None
        return waiting[0].waiting, waiting[0].name, running[0]

    return await eventually(look, what=part, within=20, pause=0.05)


@pytest.mark.parametrize(
    ("settings", "resources", "says"),
    [
        (
            "limits.memory = 1.5",
            {"memory": 1},
            "it needs 1.0 GiB of memory, 0.5 GiB of 1.5 GiB are free; running: {running} (1.0 GiB)",
        ),
        (
            "limits.concurrent_attempts = 1",
            {},
            "all 1 places for components are taken (limits.concurrent_attempts); running: {running}",
        ),
    ],
)
async def test_who_has_what_it_needs_is_named(
    tmp_path: Path, settings: str, resources: Mapping[str, float], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = f'{settings}\ncomponents.sandbox = "off"\ntiming.stop_grace = 0.2\n'
    async with hosted(tmp_path / "alice", settings=settings) as node, node.client() as client:
        job_id = (await client.submit(two(SLOW, **resources))).job_id
        found, waiting, running = await one_of_two(client, job_id, "running: ")
        words = says.format(running=f"{running} of {job_id[:12]}")
        assert found.text == f"waits for this node: to start {waiting}: {words}; starts by itself when one of them ends"
        assert found.said["on"].code == "wait_put_off"
        assert (found.next_ms, found.actions) == (None, ["logs", "stop"])
        # The same is said of the task alone, and by the command line.
        assert (await client.task(job_id, waiting)).task.waiting == found
        assert await _command(node, "job", "why", job_id) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "for whom this node" in said
        assert words in said
        # Its turn comes when the other ends, and then it waits for nothing of the kind.
        await client.stop(job_id, running)
        await waits(client, job_id, waiting, f"{waiting} runs")
        await client.stop(job_id)
        ended = await over(client, job_id)
        assert all(task.waiting is None for task in ended.tasks)
        assert await _command(node, "job", "why", job_id) == 0
        assert "it waits for nothing: FINISHED" in capsys.readouterr().out


async def _command(node: Hosted, *words: str) -> int:
    return await asyncio.to_thread(launcher.run, ["--socket", str(node.home.socket), *words])


@contextmanager
def silent_engine(path: Path) -> Iterator[None]:
    """A socket at which nobody listens any more, as a killed engine leaves it."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        yield


@asynccontextmanager
async def with_engine_at(path: Path, home: Path) -> AsyncIterator[Hosted]:
    settings = (
        f'container.allow = ["localhost"]\ncontainer.socket = "{path}"\ncomponents.sandbox = "off"\n'
        "timing.retry_first = 0.05\ntiming.retry_longest = 60\ntiming.stop_grace = 0.2\n"
    )
    async with hosted(home, settings=settings) as node:
        yield node


async def test_an_engine_that_is_away_is_named_and_what_to_do_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with silent_engine(path):
        async with with_engine_at(path, tmp_path / "alice") as node, node.client() as client:
            await client.register_component(IMAGE, component())
            document = two(SLOW)
            document["dag"]["components"][0] |= {"componentName": "thing", "provider": "acme", "version": "1"}
            job_id = (await client.submit(document)).job_id
            silent = await waits(client, job_id, "probe_0", "no answer")
            start = f"waits for this node: to start probe_0: no answer from the container engine at {path}: Connection"
            assert silent.text.startswith(f"{start} refused; look at the engine's own log")
            assert silent.next_ms is not None
            assert re.search("try [2-9]", silent.next)
            # The job itself, and the list of jobs, say the same, and not that the other task runs.
            await waits(client, job_id, "probe_1", "probe_1 runs")
            [row] = (await client.jobs()).jobs
            assert row.waiting is not None
            assert "no answer" in row.waiting.text
            path.unlink()
            gone = await waits(client, job_id, "probe_0", "there is no container engine here")
            assert f"nothing at {path}; install podman" in gone.text
            said = await reasons(client, job_id)
            # Each reason once, however often it was tried.
            assert len(said) == len(set(said)) == 2
        async with started(node.home) as again, again.client() as client:
            # Known again long before the next try was due.
            await waits(client, job_id, "probe_0", "there is no container engine here")
            await client.stop(job_id, "")
            ended = await over(client, job_id)
            assert ended.job.outcome == "stopped"
