"""Runs components as processes of this machine, under the user of the node.

Each attempt has a shim (`attempt.py`) that outlives the node; what is known of an attempt is in its run directory, so
a node that was killed finds everything again. The state of an attempt is two facts: is its lock held, and is there an
exit file.

    lock held                          it runs (or is being started)
    free, exit file                    it ended like that
    free, no exit file, pid file       it was lost: shim killed or machine restarted; it is never started again
    free, neither                      it was not started; `launch` may be called (again)

So after a restart the engine launches again whatever it had decided to launch without learning that it was launched,
and waits for the rest; `wait` for an attempt that was not started says so at once.

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

import asyncio
import errno
import logging
import math
import os
import re
import shutil
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from embedded_scheduler.config import MIB
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import Conflict, Refused, Unavailable
from embedded_scheduler.runners import pidfd
from embedded_scheduler.runners.address import Catalog, Program
from embedded_scheduler.runners.attempt import SCRATCH, WORK, Order
from embedded_scheduler.runners.processes import cpu_below
from embedded_scheduler.runners.run_directory import Identity, RunDirectory
from embedded_scheduler.runners.sandbox import NoSandbox, Sandbox
from embedded_scheduler.runners.starting import Starter, Template
from embedded_scheduler.spi.runner import END_OF_LOG, Containment, Exit, LaunchSpec, RunHandle

_log = logging.getLogger(__name__)

_ATTEMPT_ID = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,199}")
_BIRTH_POLL_S = 0.01
_KILL_INTERVAL_S = 0.01
_SHIM_PATIENCE_S = 5.0
_SURVIVORS_PATIENCE_S = 60.0
_TRY_LATER = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})

LOST = "the attempt was lost: its process is gone and left no exit status (it was killed, or the machine restarted)"
NOT_STARTED = "the attempt was not started"
STILLBORN = "the attempt's process ended before it could start the component; its log may say why"
STOPPED_FIRST = "the attempt was stopped before it was started"


class ProcessRunner:
    """`spi.runner.Runner` over local processes. Its methods are called from one event loop.

    `runs` is the directory that holds one directory per attempt; `LaunchSpec.run_directory` must be
    `runs / attempt_id`. `components` is the package of built-in components, found on `python_path` (default: where
    this process finds its modules). A launch is refused when less than `reserve_bytes`, or the attempt's own disk
    limit, would be free. `containment` is the sandbox for every component, or why there is none.
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
    ) -> None:
        self._runs = runs.absolute()
        self._frozen = bool(getattr(sys, "frozen", False))
        self._catalog = Catalog(components, allow_exec, has_interpreter=not self._frozen)
        self._components = components
        self._python = python
        self._python_path = [
            str(Path(entry).absolute()) for entry in (sys.path if python_path is None else python_path)
        ]
        self._reserve_bytes = reserve_bytes
        self._starter = Starter(python, frozen=self._frozen, package=components, path=self._python_path)
        self._template = Template(self._starter)
        self._containment = containment or NoSandbox("components.sandbox is off", required=False)
        self._started: dict[str, int] = {}
        """Attempts this object started: attempt id to the process started for it, 0 once that was collected."""

    def accepts(self, image_url: str) -> str:
        try:
            self._catalog.find(image_url)
            self._containment.admit()
        except Refused as refusal:
            return refusal.message
        return ""

    def containment(self) -> Containment:
        return self._containment.describe()

    def handle(self, spec: LaunchSpec) -> RunHandle:
        return RunHandle(self.name, spec.attempt_id)

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
        self._collect_children()
        run = self._run(spec.attempt_id)
        if spec.run_directory.absolute() != run.path:
            raise Refused(f"attempt {spec.attempt_id} must run in {run.path}, not in {spec.run_directory}")
        program = self._catalog.find(spec.image_url)
        self._containment.admit()
        order = self._order(spec, program, run)
        try:
            await self._start(spec, run, order)
        except OSError as error:
            if error.errno in _TRY_LATER:
                raise Unavailable(f"attempt {spec.attempt_id} cannot be started now: {error}") from error
            raise Refused(f"attempt {spec.attempt_id} cannot be started: {error}") from error

    async def wait(self, handle: RunHandle) -> Exit:
        run = self._run(handle.attempt_id)
        while run.held():
            await self._shim_ended(handle.attempt_id, run)
        return await self._conclude(handle.attempt_id, run) or Exit(code=None, error=NOT_STARTED)

    async def observe(self, handle: RunHandle) -> Exit | None:
        run = self._run(handle.attempt_id)
        if run.held():
            return None
        return await self._conclude(handle.attempt_id, run)

    async def terminate(self, handle: RunHandle, grace_seconds: float) -> None:
        """End the attempt, also one that was not started: a launch that comes later starts nothing.

        The component's processes get SIGTERM, and SIGKILL after the grace. The shim stays until the last, so the
        attempt still ends with an exit file and a closed log. Raises `Unavailable` if a process cannot be ended.
        """
        run = self._run(handle.attempt_id)
        if run.held():
            identity = await self._identity(run)
            if identity is not None:
                await self._end(identity, run, grace_seconds)
        if await self._conclude(handle.attempt_id, run) is None:
            self._forestall(run)

    async def forget(self, handle: RunHandle) -> None:
        run = self._run(handle.attempt_id)
        if run.held():
            raise Conflict(f"attempt {handle.attempt_id} still runs: terminate it first")
        self._collect_children()
        self._started.pop(handle.attempt_id, None)
        await asyncio.to_thread(run.remove)

    # Starting

    def _run(self, attempt_id: str) -> RunDirectory:
        if not _ATTEMPT_ID.fullmatch(attempt_id):
            raise Refused(
                f"attempt id {shorten(attempt_id)} must be 1 to 200 characters of A-Z a-z 0-9 _ . : - "
                "and not start with a dot"
            )
        return RunDirectory(self._runs / attempt_id)

    def _order(self, spec: LaunchSpec, program: Program, run: RunDirectory) -> Order:
        return Order(
            kind=program.kind,
            target=program.target,
            log=str(spec.log_path.absolute()),
            end_of_log=END_OF_LOG,
            python=self._python,
            package=self._components,
            path=self._python_path,
            environment=_complete(spec.environment, run),
            memory_bytes=spec.limits.memory_bytes or 0,
            disk_bytes=spec.limits.disk_bytes or 0,
            cpu=0 if spec.limits.cpu is None else max(1, math.ceil(spec.limits.cpu)),
        )

    async def _start(self, spec: LaunchSpec, run: RunDirectory, order: Order) -> None:
        run.create()
        lock = run.acquire()
        if lock is None:
            return
        try:
            if run.exit() is not None or run.identity() is not None:
                return
            self._require_space(spec)
            self._contain(spec, run, order)
            run.write_order(order.encode())
            spec.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            log = os.open(
                spec.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode=0o600
            )
            try:
                self._started[spec.attempt_id] = await self._begin(order.kind, run, lock, log)
            finally:
                os.close(log)
        finally:
            # The shim has its own copy of the lock by now; if it was not started, this frees it.
            os.close(lock)

    def _contain(self, spec: LaunchSpec, run: RunDirectory, order: Order) -> None:
        if isinstance(self._containment, NoSandbox):
            return
        program = Path(order.target) if order.kind == "exec" else None
        mounts = self._containment.mounts(run.path, program, self._python_path, run.hold(spec.reads), spec.writes)
        order.sandbox = self._containment.command(mounts, run.path / WORK, self._starter.inside())
        order.node = spec.node_address

    def _require_space(self, spec: LaunchSpec) -> None:
        needed = max(self._reserve_bytes, spec.limits.disk_bytes or 0)
        free = shutil.disk_usage(self._runs).free
        if free < needed:
            raise Refused(
                f"attempt {spec.attempt_id} needs {_mib(needed)} of disk space and {self._runs} has {_mib(free)} free: "
                "make room, or lower the disk limit of the job"
            )

    async def _begin(self, kind: str, run: RunDirectory, lock: int, log: int) -> int:
        """Bring up the shim; the process to collect once it has ended, 0 if it is not this process's child."""
        if kind == "builtin" and (await self._template.start(run.path, log, lock) or run.identity() is not None):
            return 0
        return self._starter.attempt(run.path, log, lock)

    # Following

    async def _shim_ended(self, attempt_id: str, run: RunDirectory) -> None:
        """Return when the shim may have ended."""
        identity = run.identity()
        if identity is not None:
            await pidfd.ended(identity.pid, lambda: identity.alive)
        elif child := self._started.get(attempt_id):
            # Started by this object and not collected, so the number cannot have passed to another process.
            await pidfd.ended(child, lambda: self._started.get(attempt_id) == child)
        if run.held():
            # Started by an earlier node a moment ago; or the last instructions of a process that ends.
            await asyncio.sleep(_BIRTH_POLL_S)

    async def _identity(self, run: RunDirectory) -> Identity | None:
        """The shim's identity; None if it died before it told."""
        while (identity := run.identity()) is None and run.held():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(_BIRTH_POLL_S)
        return identity

    async def _conclude(self, attempt_id: str, run: RunDirectory) -> Exit | None:
        """How an attempt whose lock is free ended; None if it was not started."""
        ending = run.exit()
        if ending is None:
            identity = run.identity()
            if identity is not None:
                ending = await self._lost(identity, run)
            elif attempt_id in self._started:
                ending = self._record(run, Exit(code=None, error=STILLBORN))
        if ending is not None:
            self._collect_children()
            if self._started.get(attempt_id) == 0:
                del self._started[attempt_id]
        return ending

    async def _lost(self, identity: Identity, run: RunDirectory) -> Exit:
        await _kill_all(identity, spare=None, patience_s=_SURVIVORS_PATIENCE_S)
        found = run.exit()
        if found is not None:
            return found
        try:
            run.close_log(identity.log, "lost")
        except OSError as error:
            _log.warning("the log of a lost attempt could not be closed: %s", error)
        return self._record(run, Exit(code=None, error=LOST))

    def _record(self, run: RunDirectory, ending: Exit) -> Exit:
        try:
            run.record(ending)
        except OSError as error:
            # The same conclusion will be drawn again from the same files.
            _log.warning("%s: the ending of an attempt could not be recorded: %s", run.path, error)
        return ending

    def _forestall(self, run: RunDirectory) -> None:
        run.create()
        lock = run.acquire()
        if lock is None:
            return
        try:
            if run.exit() is None:
                run.record(Exit(code=None, error=STOPPED_FIRST))
        finally:
            os.close(lock)

    def _collect_children(self) -> None:
        for attempt_id, child in self._started.items():
            if child and pidfd.collect(child):
                self._started[attempt_id] = 0

    # Ending

    async def _end(self, identity: Identity, run: RunDirectory, grace_seconds: float) -> None:
        told: set[int] = set()
        # The shim is told too: it defers the signal, and does not start a component after it. Looked twice, because it
        # may have started the component between the first look and the signal.
        for _ in range(2):
            for pid in identity.members():
                if pid not in told:
                    _send(pid, identity.session, signal.SIGTERM)
                    _send(pid, identity.session, signal.SIGCONT)
                    told.add(pid)
        if await self._gone(run, grace_seconds):
            return
        await _kill_all(identity, spare=identity.pid, patience_s=_SHIM_PATIENCE_S)
        if not await self._gone(run, _SHIM_PATIENCE_S):
            await _kill_all(identity, spare=None, patience_s=_SURVIVORS_PATIENCE_S)

    async def _gone(self, run: RunDirectory, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                while run.held():
                    await self._shim_ended(run.path.name, run)
        except TimeoutError:
            return False
        return True


async def _kill_all(identity: Identity, *, spare: int | None, patience_s: float) -> None:
    """SIGKILL every process of the session until none but `spare` is left."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while remaining := [pid for pid in identity.members() if pid != spare]:
        for pid in remaining:
            _send(pid, identity.session, signal.SIGKILL)
        if asyncio.get_running_loop().time() > deadline:
            if spare is not None:
                return
            raise Unavailable(f"processes {remaining} of an attempt cannot be ended: see `ps -o stat,wchan -p <pid>`")
        await asyncio.sleep(_KILL_INTERVAL_S)


def _send(pid: int, session: int, number: signal.Signals) -> None:
    """Signal a process of a session, and certainly no other that got its number meanwhile."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (OSError, AttributeError):
        _send_by_number(pid, number)
        return
    try:
        if os.getsid(pid) == session:
            signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):
        # Ended meanwhile, or a set-user-id program under another user.
        return
    finally:
        os.close(descriptor)


def _send_by_number(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _complete(environment: Mapping[str, str], run: RunDirectory) -> dict[str, str]:
    """What the component's environment will be; the spec's own values win. `Refused` names a variable at fault."""
    complete = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(run.path / WORK),
        "TMPDIR": str(run.path / SCRATCH),
        **environment,
    }
    for name, value in complete.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise Refused(
                f"environment variable {shorten(name)}: a name must not be empty or hold =, and NUL is not allowed"
            )
        try:
            os.fsencode(name + value)
        except UnicodeEncodeError:
            raise Refused(f"environment variable {shorten(name)} is not valid text") from None
    return complete


def _mib(size: int) -> str:
    return f"{size / MIB:,.0f} MiB"
