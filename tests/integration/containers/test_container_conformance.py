"""The component that passes as a process passes as a container: started as its Dockerfile says, by a real engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.cli.test_commands import run
from tests.support.component_image import load_component
from tests.support.counting import conforms, counting, plan_of

from nodeconsole.cli.exits import Exit
from nodeconsole.kit.runners import runner_for

if TYPE_CHECKING:
    from tests.integration.containers.conftest import Machine

IMAGE = "localhost/nodeconsole-test/counting:0.1.0"


async def test_a_new_component_conforms_as_a_container(machine: Machine, tmp_path: Path) -> None:
    project = counting(tmp_path)
    load_component(machine.engine, IMAGE, project / "counting")
    # Two at a time: each starts two containers.
    await conforms(plan_of(project, IMAGE), runner_for(IMAGE, machine.engine.socket), tmp_path, at_once=2)
    done = await run(
        "component", "test", str(project), "--image", IMAGE, "--engine", machine.engine.socket, "--timeout", "60"
    )
    assert done.code == Exit.OK, done
    assert "guest.0 | info: 7 rows here" in done.out
