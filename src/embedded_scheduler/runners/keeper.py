"""The keeper of a container: a small process beside each containerised attempt that outlives the node.

It brings the image, creates and starts the container, serves its way to the node, copies what it prints into the
attempt's log, and writes down how it ended. As with the shim (`attempt.py`), it is the leader of a session of its own
with the attempt's log as stdout and stderr and the attempt's lock as descriptor 3; the lock is held as long as somebody
will still write the exit file. If it is killed, the node starts another one, which takes the container up as it is: the
log goes on at the byte where it stopped.

Files of the run directory, beside those of `run_directory.py`:

plan       what stays true for the attempt's life; no secrets
order      the create call with the attempt's token, and the registry's password; gone once the container exists
begun      size of the log when the container was about to start
program    number and start of the container's first process
stop       the attempt is to be ended; holds the grace in seconds

Only the standard library: it starts in a bare interpreter.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from embedded_scheduler.runners.attempt import (
    EXIT_FILE,
    IDENTITY_FILE,
    ORDER_FILE,
    PATIENCE_FOR_EXIT_S,
    PATIENCE_FOR_LOG_S,
    close_log,
    discard_inputs,
    identity_of_this_process,
    replace_file,
    start_relay,
    start_ticks,
    when_there_is_room,
)
from embedded_scheduler.runners.engine_api import EngineApi, EngineGoneError, EngineRefusalError
from embedded_scheduler.runners.image_supply import ImageFaultError, ImageSupply, StoppedError
from embedded_scheduler.runners.memory_peak import MemoryPeak
from embedded_scheduler.runners.netns import NoEntryError, listeners
from embedded_scheduler.sentences import Sentence, Words, document, say

PLAN_FILE = "plan"
BEGUN_FILE = "begun"
STOP_FILE = "stop"
PROGRAM_FILE = "program"

_DEFERRED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2})
_BY_SIGNAL = range(128 + 1, 128 + 32)
_OVER = frozenset({"exited", "dead", "stopped", "removing"})
_LONGEST_WAIT_S = 30.0
_PAUSE_S = 1.0
_STOP_PAUSE_S = 0.2
_DEFAULT_GRACE_S = 5.0
_LOG_ATTEMPTS = 3
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """What a keeper goes by. `routes`: host and port inside, address outside. Sizes in bytes, 0 = no limit."""

    engine: str
    """Path of the engine's socket."""
    podman: str
    """Podman's version; empty for Docker."""
    container: str
    log: str
    end_of_log: str
    image: str
    """The reference as registered, its registry spelt out."""
    content: str
    """What is run: the reference, or the content that it was pinned to."""
    repository: str
    pull: str
    pin: str
    """File that keeps what the reference meant at first use."""
    routes: list[tuple[str, int, str]]
    memory_bytes: int
    patience_s: float
    """How long the engine may be away before the attempt counts as lost."""
    output_bytes: int = 0
    """How much it may print: its log is a file on this machine's disk like those that its disk limit is about."""

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, as `spi.runner.Exit` says it."""

    code: int | None = None
    signal: int | None = None
    error: Words = ""
    cause: str = ""
    peak: int = 0
    """The most memory of all its processes in bytes; 0 = not measured."""

    def __str__(self) -> str:
        if self.code is not None:
            return f"exit {self.code}"
        return f"signal {self.signal}" if self.signal is not None else "lost"

    def encode(self) -> bytes:
        """For the exit file, as `RunDirectory.record` writes it."""
        known = document(self.error) if isinstance(self.error, Sentence) else None
        members = {"code": self.code, "signal": self.signal, "error": str(self.error), "said": known}
        return json.dumps({**members, "cause": self.cause, "peak": self.peak}).encode()


def main(run_directory: str) -> NoReturn:
    """Keep the attempt prepared in `run_directory`; called once, first thing, in a process of its own."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _DEFERRED)
    os.umask(0o077)
    os.chdir(run_directory)
    plan = Plan(**json.loads(Path(PLAN_FILE).read_bytes()))
    replace_file(IDENTITY_FILE, identity_of_this_process(plan.log))
    keeper = _Keeper(plan)
    ending = keeper.run()
    discard_inputs()
    Path(ORDER_FILE).unlink(missing_ok=True)
    if ending.error:
        when_there_is_room(lambda: close_log(1, f"nodeconsole: error: {ending.error}"), PATIENCE_FOR_LOG_S)
    when_there_is_room(lambda: close_log(1, f"{plan.end_of_log}, {ending}"), PATIENCE_FOR_LOG_S)
    content = ending.encode()
    when_there_is_room(lambda: replace_file(EXIT_FILE, content, durable=True), PATIENCE_FOR_EXIT_S)
    # Only now: until it is written down, the container is what knows how it ended.
    with suppress(EngineGoneError):
        keeper.api.remove(plan.container)
    os._exit(0)


def tell(text: str) -> None:
    """A line of the node's own in the attempt's log; never while the container's output is copied."""
    with suppress(OSError):
        os.write(1, f"nodeconsole: {text}\n".encode())


class _VanishedError(Exception):
    """The container is gone without our doing."""


class _Keeper:
    """One thread works, one copies the log, the main one listens for signals."""

    def __init__(self, plan: Plan) -> None:
        self.api = EngineApi(plan.engine)
        self._plan = plan
        self._ending = Ending(error=say("keeper_failed"))
        self._guard = threading.Lock()
        self._stopped = threading.Event()
        self._started = threading.Event()
        self._supply = ImageSupply(self.api, tell, self._stopped)
        self._copying: socket.socket | None = None
        self._memory: MemoryPeak | None = None
        self._over = threading.Event()
        self._flooded = threading.Event()

    def run(self) -> Ending:
        worker = threading.Thread(target=self._work, name="work")
        worker.start()
        # The file is written before the signal is sent, which may have been to an earlier keeper.
        if Path(STOP_FILE).exists() or signal.sigwait({signal.SIGTERM, signal.SIGUSR1}) == signal.SIGTERM:
            self._stop(worker)
        worker.join()
        return self._ending

    def _stop(self, worker: threading.Thread) -> None:
        try:
            grace_s = float(Path(STOP_FILE).read_text())
        except (OSError, ValueError):
            grace_s = _DEFAULT_GRACE_S
        with self._guard:
            self._stopped.set()
        self._supply.interrupt()
        until, asked = time.monotonic() + grace_s, False
        while worker.is_alive():
            if self._started.is_set() and (not asked or time.monotonic() >= until):
                # An engine that is away just now is asked again; the worker knows how long.
                with suppress(EngineGoneError, EngineRefusalError):
                    self.api.kill(self._plan.container, "SIGKILL" if asked else "SIGTERM")
                    asked = True
            pause = min(_STOP_PAUSE_S, max(0.01, until - time.monotonic())) if asked else _STOP_PAUSE_S
            if signal.sigtimedwait({signal.SIGUSR1}, pause) is not None:
                return

    # The worker

    def _work(self) -> None:
        try:
            self._ending = self._keep()
        except StoppedError:
            self._ending = Ending(signal=signal.SIGTERM)
        except ImageFaultError as fault:
            self._ending = Ending(error=fault.words, cause="image")
        except _VanishedError:
            self._ending = Ending(error=say("container_gone"), cause="engine")
        except (EngineGoneError, NoEntryError) as gone:
            self._ending = Ending(error=gone.words, cause="engine")
        except EngineRefusalError as refusal:
            self._ending = Ending(error=say("engine_refused", error=refusal.words), cause="engine")
        except Exception as fault:  # noqa: BLE001 - whatever it is, the attempt has to end
            traceback.print_exc(file=sys.stderr)
            self._ending = Ending(error=say("keeper_fault", error=repr(fault)))
        finally:
            os.kill(os.getpid(), signal.SIGUSR1)

    def _keep(self) -> Ending:
        found = self._first_look()
        if found is None:
            found = self._create()
        Path(ORDER_FILE).unlink(missing_ok=True)
        if _was_started(found):
            self._started.set()
            if found["State"]["Running"]:
                self._open_routes(found)
                self._look_at(found)
        else:
            self._start(found)
        copier = threading.Thread(target=self._copy, name="log", daemon=True)
        copier.start()
        try:
            ending = self._ending_of(self._until_ended())
        finally:
            self._end_copying(copier)
        self._copy_rest()
        if self._flooded.is_set() and ending.cause != "disk":
            # It ended by itself before it could be ended.
            with suppress(OSError):
                close_log(1, "nodeconsole: what it printed beyond its disk limit is not kept")
        return ending

    def _first_look(self) -> dict[str, Any] | None:
        """The container, if it is there. After a restart of the machine the engine may come up later than the node."""
        until = time.monotonic() + self._plan.patience_s
        while True:
            try:
                return self.api.container(self._plan.container)
            except EngineGoneError:
                if self._stopped.wait(_PAUSE_S):
                    raise StoppedError from None
                if time.monotonic() > until:
                    raise

    def _create(self) -> dict[str, Any]:
        plan = self._plan
        try:
            order = json.loads(Path(ORDER_FILE).read_bytes())
        except FileNotFoundError:
            raise _VanishedError from None
        body = order["body"]
        body["Image"] = self._supply.bring(
            plan.content, plan.image, plan.repository, plan.pull, plan.pin, order["login"]
        )
        if self._stopped.is_set():
            raise StoppedError
        try:
            self.api.create(plan.container, body)
        except EngineRefusalError as refusal:
            if "init" not in str(refusal):
                raise
            # Podman without catatonit. A program that is process 1 does not end by a signal that it does not handle.
            tell("the engine has no init program, so the component may not hear that it is to end: install catatonit")
            body["HostConfig"]["Init"] = False
            self.api.create(plan.container, body)
        found = self.api.container(plan.container)
        if found is None:
            raise _VanishedError
        return found

    def _start(self, found: dict[str, Any]) -> None:
        plan = self._plan
        if plan.podman and plan.routes and not found["State"]["Pid"]:
            self.api.prepare(plan.container, plan.podman)
            found = self._inspect()
        if found["State"]["Pid"]:
            # Before the program begins, so that its first connection already finds the node.
            self._open_routes(found)
        replace_file(BEGUN_FILE, str(os.fstat(1).st_size).encode())
        with self._guard:
            if self._stopped.is_set():
                raise StoppedError
            self.api.start(plan.container)
            self._started.set()
        if not found["State"]["Pid"]:
            found = self._inspect()
            self._open_routes(found)
        self._look_at(found)

    def _look_at(self, found: dict[str, Any]) -> None:
        """The program runs: who it is, and what it uses from now on."""
        pid = int(found["State"]["Pid"])
        _note_program(pid)
        if pid:
            self._memory = MemoryPeak(pid, str(found["Id"]))

    def _inspect(self) -> dict[str, Any]:
        found = self.api.container(self._plan.container)
        if found is None:
            raise _VanishedError
        return found

    def _open_routes(self, found: dict[str, Any]) -> None:
        pid = int(found["State"]["Pid"])
        if not self._plan.routes or not pid:
            return
        try:
            made = listeners(pid, [(host, port) for host, port, _ in self._plan.routes])
        except (NoEntryError, OSError) as fault:
            with suppress(EngineGoneError):
                self.api.remove(self._plan.container)
            raise NoEntryError(
                say("network_not_entered", fault=fault.words if isinstance(fault, NoEntryError) else str(fault))
            ) from None
        for each, (_, _, target) in zip(made, self._plan.routes, strict=True):
            start_relay(each.detach(), target)

    def _until_ended(self) -> dict[str, Any]:
        """The container once it has ended. An engine that is away for a while is waited for."""
        answered = time.monotonic()
        while True:
            try:
                with suppress(EngineRefusalError):
                    self.api.wait(self._plan.container, _LONGEST_WAIT_S, self._plan.podman)
                found = self._inspect()
            except (EngineGoneError, EngineRefusalError) as fault:
                away = time.monotonic() - answered
                if away > self._plan.patience_s:
                    raise EngineGoneError(say("engine_lost", fault=fault.words, seconds=f"{away:.0f}")) from None
                time.sleep(_PAUSE_S)
                continue
            answered = time.monotonic()
            if found["State"]["Status"] in _OVER:
                return found
            time.sleep(_STOP_PAUSE_S)

    def _ending_of(self, found: dict[str, Any]) -> Ending:
        state = found["State"]
        peak = 0
        if self._memory is not None:
            self._memory.join()
            peak = self._memory.bytes
        code = int(state["ExitCode"])
        number = code - 128 if code in _BY_SIGNAL else None
        if self._flooded.is_set() and number == signal.SIGKILL:
            most = self._plan.output_bytes / _MIB
            error = f"it printed more than the {most:,.0f} MiB of its disk limit; raise that, or let it print less"
            return Ending(signal=number, error=error, cause="disk", peak=peak)
        limit = self._plan.memory_bytes
        # Not every engine tells; but nobody else kills a container that has a limit and was not asked to end.
        killed = number == signal.SIGKILL and limit and not self._stopped.is_set()
        if killed or (state.get("OOMKilled") and code):
            full = say("container_over_limit", mib=f"{limit / _MIB:,.0f}") if limit else say("container_machine_full")
            return Ending(code=None if number else code, signal=number, error=full, cause="memory", peak=peak)
        return Ending(signal=number, peak=peak) if number else Ending(code=code, peak=peak)

    # The log

    def _copy(self) -> None:
        while not self._over.is_set():
            with (
                suppress(EngineGoneError, EngineRefusalError, OSError),
                self.api.logs(self._plan.container, follow=True) as (pieces, connection),
            ):
                self._copying = connection
                if not self._over.is_set() and not _append(pieces, self._plan.output_bytes):
                    self._flooded.set()
            # The stream has ended: with the container, or with the engine.
            self._copying = None
            if self._flooded.is_set():
                with suppress(EngineGoneError, EngineRefusalError):
                    self.api.kill(self._plan.container, "SIGKILL")
            self._over.wait(_PAUSE_S)

    def _end_copying(self, copier: threading.Thread) -> None:
        """Afterwards nothing is appended by the copier, which may still wait for the engine's answer.

        Podman sometimes never gives one for a container that ended just then. So the copier is waited for only if
        it has its answer; the other way round, it looks at `_over` once it has told what it copies from.
        """
        self._over.set()
        if (copying := self._copying) is not None:
            with suppress(OSError):
                copying.shutdown(socket.SHUT_RDWR)
            copier.join()

    def _copy_rest(self) -> None:
        for _ in range(_LOG_ATTEMPTS):
            with suppress(EngineGoneError, EngineRefusalError):
                with self.api.logs(self._plan.container, follow=False) as (pieces, _):
                    if not _append(pieces, self._plan.output_bytes):
                        self._flooded.set()
                return
            time.sleep(_PAUSE_S)


def _append(pieces: Iterable[bytes], most: int) -> bool:
    """Append what the log does not have yet; `pieces` start with the first byte that the container printed.

    False if that is more than `most` bytes (0 = any), of which the log then has all.
    """
    begun = int(Path(BEGUN_FILE).read_text())
    written = known = os.fstat(1).st_size - begun
    for piece in pieces:
        fresh = piece[known:]
        known = max(0, known - len(piece))
        kept = fresh[: max(0, most - written)] if most else fresh
        if kept:
            when_there_is_room(partial(_write, kept), PATIENCE_FOR_EXIT_S)
            written += len(kept)
        if len(kept) < len(fresh):
            return False
    return True


def _write(content: bytes) -> None:
    size = os.fstat(1).st_size
    try:
        while content:
            content = content[os.write(1, content) :]
    except OSError:
        # Nothing of it, so that the whole can be tried again.
        os.ftruncate(1, size)
        raise


def program_of(run_directory: Path) -> int | None:
    """The first process of an attempt's container, as this machine counts it; None if it is not alive."""
    try:
        pid, ticks = (int(text) for text in (run_directory / PROGRAM_FILE).read_text().split())
    except (OSError, ValueError):
        return None
    return pid if start_ticks(pid) == ticks else None


def _note_program(pid: int) -> None:
    if ticks := start_ticks(pid):
        replace_file(PROGRAM_FILE, f"{pid} {ticks}".encode())


def _was_started(found: dict[str, Any]) -> bool:
    return str(found["State"]["Status"]) not in ("created", "initialized", "configured")
