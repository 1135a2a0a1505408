"""The component that passes as a process passes as a container: started as its Dockerfile says, by a real engine."""

from __future__ import annotations

import asyncio
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.cli.test_commands import run
from tests.support import container_engine

from nodeconsole.cli.exits import Exit
from nodeconsole.kit.archives import write_sdk_wheel
from nodeconsole.kit.conformance import ComponentConformance
from nodeconsole.kit.runners import runner_for
from nodeconsole.kit.scaffold import create
from nodeconsole.kit.trial import Plan

if TYPE_CHECKING:
    from tests.integration.containers.conftest import Machine

IMAGE = "localhost/nodeconsole-test/counting:0.1.0"
PARTIES = ("guest.0", "host.0")


def build(machine: Machine, directory: Path) -> Path:
    """A new component and its image, as its Dockerfile lays it out."""
    project = directory / "counting"
    create("counting", "me", ("guest", "host"), project)
    content: dict[str, bytes | Path] = dict(container_engine.python_tree())
    package = project / "counting"
    content |= {f"opt/counting/counting/{path.name}": path for path in package.iterdir() if path.is_file()}
    with zipfile.ZipFile(write_sdk_wheel(directory)) as wheel:
        content |= {f"opt/sdk/{name}": wheel.read(name) for name in wheel.namelist()}
    environment = ["PYTHONPATH=/opt/counting:/opt/sdk", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"]
    entry = ["/usr/bin/python3", "-m", "counting"]
    machine.engine.load(IMAGE, content, {"Entrypoint": entry, "WorkingDir": "/opt/counting", "Env": environment})
    return project


async def test_a_new_component_conforms_as_a_container(machine: Machine, tmp_path: Path) -> None:
    project = build(machine, tmp_path)
    plan = Plan(
        json.loads((project / "counting" / "manifest.json").read_text()),
        IMAGE,
        PARTIES,
        {party: {"data": project / "data" / f"{party.partition('.')[0]}.csv"} for party in PARTIES},
        {party: {"column": "mean_radius"} for party in PARTIES},
    )
    runner_of = runner_for(IMAGE, machine.engine.socket)
    # Two at a time: each starts two containers.
    one_of_two = asyncio.Semaphore(2)

    async def conforms(number: int, check: str) -> None:
        async with one_of_two:
            await ComponentConformance(plan, runner_of, tmp_path / str(number)).run(check)

    await asyncio.gather(*(conforms(number, check) for number, check in enumerate(ComponentConformance.checks())))
    done = await run(
        "component", "test", str(project), "--image", IMAGE, "--engine", machine.engine.socket, "--timeout", "60"
    )
    assert done.code == Exit.OK, done
    assert "guest.0 | info: 7 rows here" in done.out
