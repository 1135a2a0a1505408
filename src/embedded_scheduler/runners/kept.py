"""What the runners share whose attempts are kept by a process of ours that outlives the node.

What is known of an attempt is in its run directory, so a node that was killed finds everything again. The state of an
attempt is two facts: is its lock held, and is there an exit file.

    lock held                          it runs (or is being started)
    free, exit file                    it ended like that
    free, no exit file, pid file       whoever kept it was lost: killed, or the machine restarted
    free, neither                      it was not started; `launch` may be called (again)

So after a restart the engine launches again whatever it had decided to launch without learning that it was launched,
and waits for the rest; `wait` for an attempt that was not started says so at once.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

from embedded_scheduler.config import MIB
from embedded_scheduler.errors import Conflict, Refused, Unavailable
from embedded_scheduler.runners import pidfd
from embedded_scheduler.runners.run_directory import Identity, RunDirectory
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.runner import Exit, LaunchSpec, RunHandle

_log = logging.getLogger(__name__)

_BIRTH_POLL_S = 0.01
_KILL_INTERVAL_S = 0.01
SURVIVORS_PATIENCE_S = 60.0
_TRY_LATER = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})

LOST = say("attempt_lost_here")
NOT_STARTED = say("not_started")
STILLBORN = say("stillborn")
STOPPED_FIRST = say("stopped_first")


class KeptRunner(ABC):
    """Waits for, observes, ends and forgets attempts; how one is started and ended is the subclass's.

    `runs` is the directory that holds one directory per attempt. All methods are called from one event loop.
    """

    name: ClassVar[str]

    def __init__(self, runs: Path) -> None:
        self._runs = runs.absolute()
        self._started: dict[str, int] = {}
        """Attempts this object started: attempt id to the process started for it, 0 once that was collected."""

    def handle(self, spec: LaunchSpec) -> RunHandle:
        return RunHandle(self.name, spec.attempt_id)

    async def wait(self, handle: RunHandle) -> Exit:
        run = self._run(handle.attempt_id)
        while True:
            while run.held():
                await self._shim_ended(handle.attempt_id, run)
            ending = await self._conclude(handle.attempt_id, run)
            if ending is not None:
                return ending
            if not run.held():
                return Exit(code=None, error=NOT_STARTED)

    async def observe(self, handle: RunHandle) -> Exit | None:
        run = self._run(handle.attempt_id)
        if run.held():
            return None
        return await self._conclude(handle.attempt_id, run)

    async def terminate(self, handle: RunHandle, grace_seconds: float) -> None:
        """End the attempt, also one that was not started: a launch that comes later starts nothing.

        The component's processes get SIGTERM, and SIGKILL after the grace. Whoever keeps it stays until the last, so
        the attempt still ends with an exit file and a closed log. `Unavailable` if a process cannot be ended.
        """
        run = self._run(handle.attempt_id)
        while True:
            identity = await self._identity(run) if run.held() else None
            if identity is not None:
                await self._end(identity, run, grace_seconds)
            if await self._conclude(handle.attempt_id, run) is not None:
                return
            if not run.held():
                self._forestall(run)
                return

    async def forget(self, handle: RunHandle) -> None:
        run = self._run(handle.attempt_id)
        if run.held():
            raise Conflict(say("attempt_runs", attempt=handle.attempt_id))
        self._collect_children()
        self._started.pop(handle.attempt_id, None)
        await asyncio.to_thread(run.remove)

    # Starting

    def _run(self, attempt_id: str) -> RunDirectory:
        return RunDirectory.of(self._runs, attempt_id)

    async def _start(
        self, spec: LaunchSpec, prepare: Callable[[RunDirectory], None], begin: Callable[[int, int], Awaitable[int]]
    ) -> None:
        """Start what keeps the attempt, unless it was started before.

        `prepare` writes its orders; `begin` gets the attempt's log and lock and gives the process to collect once it
        has ended, 0 if it is no child of this one. `Refused`: can never start here. `Unavailable`: the machine is short
        of something, the same launch may work later.
        """
        self._collect_children()
        run = self._run(spec.attempt_id)
        if spec.run_directory.absolute() != run.path:
            raise Refused(
                say("attempt_elsewhere", attempt=spec.attempt_id, path=str(run.path), given=str(spec.run_directory))
            )
        try:
            await self._start_once(spec, run, prepare, begin)
        except OSError as error:
            if error.errno in _TRY_LATER:
                raise Unavailable(say("attempt_not_now", attempt=spec.attempt_id, error=str(error))) from error
            raise Refused(say("attempt_not_started", attempt=spec.attempt_id, error=str(error))) from error

    async def _start_once(
        self,
        spec: LaunchSpec,
        run: RunDirectory,
        prepare: Callable[[RunDirectory], None],
        begin: Callable[[int, int], Awaitable[int]],
    ) -> None:
        run.create()
        lock = run.acquire()
        if lock is None:
            return
        try:
            if run.exit() is not None or run.identity() is not None:
                return
            prepare(run)
            spec.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._hand_over(spec.attempt_id, spec.log_path, lock, begin)
        finally:
            # Who keeps the attempt has its own copy of the lock by now; if it was not started, this frees it.
            os.close(lock)

    async def _hand_over(
        self, attempt_id: str, path: Path, lock: int, begin: Callable[[int, int], Awaitable[int]]
    ) -> None:
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode=0o600)
        try:
            self._started[attempt_id] = await begin(log, lock)
        finally:
            os.close(log)

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

    async def _lost(self, identity: Identity, run: RunDirectory) -> Exit | None:
        """What becomes of an attempt that nobody keeps any more; None if it is kept again."""
        await kill_all(identity, spare=None, patience_s=SURVIVORS_PATIENCE_S)
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

    @abstractmethod
    async def _end(self, identity: Identity, run: RunDirectory, grace_seconds: float) -> None:
        """Have the attempt ended; returns when nobody keeps it any more, or after some patience."""

    async def _gone(self, run: RunDirectory, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                while run.held():
                    await self._shim_ended(run.path.name, run)
        except TimeoutError:
            return False
        return True


async def kill_all(identity: Identity, *, spare: int | None, patience_s: float) -> None:
    """SIGKILL every process of the session until none but `spare` is left."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while remaining := [pid for pid in identity.members() if pid != spare]:
        for pid in remaining:
            send(pid, identity.session, signal.SIGKILL)
        if asyncio.get_running_loop().time() > deadline:
            if spare is not None:
                return
            raise Unavailable(say("processes_stay", processes=str(remaining)))
        await asyncio.sleep(_KILL_INTERVAL_S)


def send(pid: int, session: int, number: signal.Signals) -> None:
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


def require_space(spec: LaunchSpec, runs: Path, reserve_bytes: int) -> None:
    """`Refused` when less than `reserve_bytes`, or the attempt's own disk limit, is free where attempts run."""
    needed = max(reserve_bytes, spec.limits.disk_bytes or 0)
    free = shutil.disk_usage(runs).free
    if free < needed:
        raise Refused(
            say("attempt_no_space", attempt=spec.attempt_id, needs=_mib(needed), path=str(runs), free=_mib(free))
        )


def _mib(size: int) -> str:
    return f"{size / MIB:,.0f} MiB"
