"""The component that passes as a process passes as a container: started as its Dockerfile says, by a real engine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.cli.test_commands import run
from tests.support.component_image import load_component

from nodeconsole.cli.exits import Exit
from nodeconsole.kit.conformance import ComponentConformance
from nodeconsole.kit.runners import runner_for
from nodeconsole.kit.scaffold import create
from nodeconsole.kit.trial import Plan

if TYPE_CHECKING:
    from tests.integration.containers.conftest import Machine

IMAGE = "localhost/nodeconsole-test/counting:0.1.0"
PARTIES = ("guest.0", "host.0")


async def test_a_new_component_conforms_as_a_container(machine: Machine, tmp_path: Path) -> None:
    project = tmp_path / "counting"
    create("counting", "me", ("guest", "host"), project)
    load_component(machine.engine, IMAGE, project / "counting")
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
