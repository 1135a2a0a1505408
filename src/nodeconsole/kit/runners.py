"""Which runner tries a program on the author's own machine: its address says so, as on a node."""

from __future__ import annotations

from pathlib import Path

from embedded_scheduler.config import ContainerSection
from embedded_scheduler.runners.container import ContainerRunner
from embedded_scheduler.runners.images import parse_reference
from embedded_scheduler.runners.process import ProcessRunner
from embedded_scheduler.spi.runner import Runner
from nodeconsole.kit.trial import RunnerOf

_EXEC = "exec:"
_BUILTIN = "builtin:"


def runner_for(image_url: str, engine: str = "") -> RunnerOf:
    """What runs `exec:` and `builtin:` addresses as processes, and anything else as a container.

    What is tried needs no permission: whoever tries it has it. `engine`: socket of the container engine; empty = the
    first that is there. `Refused` if the address is none.
    """
    if image_url.startswith((_EXEC, _BUILTIN)):
        program = image_url.removeprefix(_EXEC)
        return lambda runs: ProcessRunner(runs, allow_exec=(program,))
    settings = ContainerSection(allow=(parse_reference(image_url).name,), socket=engine)

    def container(runs: Path) -> Runner:
        home = runs.parent
        return ContainerRunner(runs, settings, node_id="trial", home=home, images=home / "images")

    return container
