"""Runs components as processes of this machine, under the user of the node.

Each attempt has a shim (`attempt.py`) that outlives the node and keeps its run directory (`kept.py`).

The shim of a built-in component is forked by a template process (`template.py`); any other, and any that the template
does not bring up in time, is started afresh.

The standalone executable starts a shim through itself (`nodeconsole __attempt__ <run directory>`). A one-file
executable unpacks itself at every start unless it finds the variables of its parent's unpacked copy (`_PYI_*`,
PyInstaller 6.9 and later); they are handed on, which makes a start as cheap as in a folder build. The copy is removed
when the node ends, so a built-in component that outlives the node must have imported its binary modules by then.

A process that a component moves into a session of its own (`setsid`) does not hear a termination, but ends with the
attempt: the shim ends everything below it, and a sandbox ends with all that is in it (`sandbox.py`).
"""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from embedded_scheduler.config import MIB
from embedded_scheduler.errors import Refused
from embedded_scheduler.runners.address import Catalog, Program
from embedded_scheduler.runners.attempt import SCRATCH, WORK, Order
from embedded_scheduler.runners.kept import SURVIVORS_PATIENCE_S, KeptRunner, kill_all, require_space, send
from embedded_scheduler.runners.processes import cpu_below
from embedded_scheduler.runners.routes import host_names, routes_to
from embedded_scheduler.runners.run_directory import Identity, RunDirectory
from embedded_scheduler.runners.sandbox import Mount, NoSandbox, Sandbox
from embedded_scheduler.runners.starting import Starter, Template
from embedded_scheduler.runners.variables import complete
from embedded_scheduler.sentences import Words
from embedded_scheduler.spi.runner import END_OF_LOG, Containment, LaunchSpec, RunHandle

_SHIM_PATIENCE_S = 5.0


class ProcessRunner(KeptRunner):
    """`spi.runner.Runner` over local processes.

    `runs` is the directory that holds one directory per attempt; `LaunchSpec.run_directory` must be
    `runs / attempt_id`. `components` is the package of built-in components, found on `python_path` (default: where
    this process finds its modules). A launch is refused when less than `reserve_bytes`, or the attempt's own disk
    limit, would be free. `containment` is the sandbox for every component, or why there is none. `packs` is the
    directory of installed component packs. Without `template` every attempt gets an interpreter of its own.
    """

    name: ClassVar[str] = "process"

    def __init__(
        self,
        runs: Path,
        *,
        allow_exec: Collection[str] = (),
        components: str = "algorithm_components",
        python: str = sys.executable,
        python_path: Sequence[str] | None = None,
        reserve_bytes: int = 64 * MIB,
        containment: Sandbox | NoSandbox | None = None,
        packs: Path | None = None,
        template: bool = True,
    ) -> None:
        super().__init__(runs)
        self._frozen = bool(getattr(sys, "frozen", False))
        self._catalog = Catalog(components, allow_exec, has_interpreter=not self._frozen, packs=packs)
        self._components = components
        self._python = python
        self._python_path = [
            str(Path(entry).absolute()) for entry in (sys.path if python_path is None else python_path)
        ]
        self._reserve_bytes = reserve_bytes
        self._starter = Starter(python, frozen=self._frozen, package=components, path=self._python_path)
        self._template = Template(self._starter) if template else None
        self._containment = containment or NoSandbox("components.sandbox is off", required=False)

    def accepts(self, image_url: str) -> Words:
        try:
            self._catalog.find(image_url)
            self._containment.admit()
        except Refused as refusal:
            return refusal.words
        return ""

    def containment(self) -> Containment:
        return self._containment.describe()

    def handle(self, spec: LaunchSpec) -> RunHandle:
        """Names the component pack, so that it is not removed under the attempt."""
        try:
            found = self._catalog.find(spec.image_url).pack
        except Refused:
            # The launch will say so.
            found = ""
        return RunHandle(self.name, spec.attempt_id, {"pack": found} if found else {})

    def cpu_seconds(self, handles: Sequence[RunHandle]) -> Mapping[str, float]:
        found = {handle.attempt_id: self._run(handle.attempt_id).identity() for handle in handles}
        alive = {attempt_id: identity.pid for attempt_id, identity in found.items() if identity and identity.alive}
        return cpu_below(alive)

    async def launch(self, spec: LaunchSpec) -> None:
        """Start the attempt unless it was started before.

        `Refused`: can never start here. `Unavailable`: the machine is short of something, the same launch may
        work later. Blocks the loop for about a millisecond: handing that to a thread would cost as much. Cancelled
        while it waits for the template, the attempt may have started: its lock tells.
        """
        program = self._catalog.find(spec.image_url)
        self._containment.admit()
        run = self._run(spec.attempt_id)
        order = self._order(spec, program, run)

        def prepare(run: RunDirectory) -> None:
            require_space(spec, self._runs, self._reserve_bytes)
            self._contain(spec, run, order, program)
            run.write_order(order.encode())

        async def begin(log: int, lock: int) -> int:
            template = self._template if order.kind == "builtin" else None
            if template is not None and (await template.start(run.path, log, lock) or run.identity()):
                return 0
            return self._starter.attempt(run.path, log, lock)

        await self._start(spec, prepare, begin)

    # Starting

    def _order(self, spec: LaunchSpec, program: Program, run: RunDirectory) -> Order:
        return Order(
            kind=program.kind,
            target=program.target,
            log=str(spec.log_path.absolute()),
            end_of_log=END_OF_LOG,
            python=program.python or self._python,
            package=self._components,
            path=self._python_path,
            environment=complete(spec.environment, run.path / WORK, run.path / SCRATCH),
            memory_bytes=spec.limits.memory_bytes or 0,
            disk_bytes=spec.limits.disk_bytes or 0,
            cpu=0 if spec.limits.cpu is None else max(1, math.ceil(spec.limits.cpu)),
        )

    def _contain(self, spec: LaunchSpec, run: RunDirectory, order: Order, program: Program) -> None:
        if isinstance(self._containment, NoSandbox):
            return
        needed = (Path(program.target),) if program.kind == "exec" else program.needs
        mounts = self._containment.mounts(run.path, needed, self._python_path, run.hold(spec.reads), spec.writes)
        routes = routes_to(address for address in spec.reaches if address != spec.node_address)
        names = host_names(routes)
        if names:
            mounts.append(Mount("read", run.write_hosts(names), Path("/etc/hosts")))
        order.routes = [f"{each.host} {each.port} {each.target}" for each in routes]
        order.sandbox = self._containment.command(mounts, run.path / WORK, self._starter.inside())
        order.node = spec.node_address

    # Ending

    async def _end(self, identity: Identity, run: RunDirectory, grace_seconds: float) -> None:
        told: set[int] = set()
        # The shim is told too: it defers the signal, and does not start a component after it. Looked twice, because it
        # may have started the component between the first look and the signal.
        for _ in range(2):
            for pid in identity.members():
                if pid not in told:
                    send(pid, identity.session, signal.SIGTERM)
                    send(pid, identity.session, signal.SIGCONT)
                    told.add(pid)
        if await self._gone(run, grace_seconds):
            return
        await kill_all(identity, spare=identity.pid, patience_s=_SHIM_PATIENCE_S)
        if not await self._gone(run, _SHIM_PATIENCE_S):
            await kill_all(identity, spare=None, patience_s=SURVIVORS_PATIENCE_S)
