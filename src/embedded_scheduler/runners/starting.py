"""Starts the processes of attempts: afresh, or several times faster as forks of the template (`template.py`)."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import itertools
import logging
import os
import signal
import socket
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

from embedded_scheduler.runners import pidfd
from embedded_scheduler.runners.attempt import LOCK_DESCRIPTOR
from embedded_scheduler.runners.template import ERRNO_BYTES, NUMBER_BYTES, SOCKET_DESCRIPTOR

_log = logging.getLogger(__name__)

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
_IMPORT = f"import sys; sys.path.insert(0, {_PACKAGE_ROOT!r}); from embedded_scheduler.runners."
_START_ATTEMPT = f"{_IMPORT}attempt import main; main(sys.argv[1])"
_START_KEEPER = f"{_IMPORT}keeper import main; main(sys.argv[1])"
_START_INSIDE = f"{_IMPORT}attempt import inside; inside()"
_START_TEMPLATE = f"{_IMPORT}template import main; main(sys.argv[1], sys.argv[2:])"
_PATIENCE_S = 3.0
_PAUSE_S = 60.0
_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ECONNREFUSED})

_Action = tuple[int, int, int] | tuple[int, int] | tuple[int, int, str, int, int]


class Starter:
    """How this node starts itself as something else.

    `python` is the interpreter, or the standalone executable if `frozen`. `package` and `path`: of the built-in
    components.
    """

    def __init__(self, python: str, *, frozen: bool, package: str = "", path: Sequence[str] = ()) -> None:
        self._python = python
        self._frozen = frozen
        self._package = package
        self._path = tuple(path)

    def attempt(self, run_directory: Path, log: int, lock: int) -> int:
        """Process id of a new shim."""
        return self._with_log(self._command("__attempt__", _START_ATTEMPT, str(run_directory)), log, lock)

    def keeper(self, run_directory: Path, log: int, lock: int) -> int:
        """Process id of a new keeper of a container."""
        return self._with_log(self._command("__keeper__", _START_KEEPER, str(run_directory)), log, lock)

    def template(self, end: int) -> int:
        """Process id of a new template that serves the other end of the socket pair."""
        # The lock's number is taken, so that no descriptor it receives can get it.
        numbers = range(SOCKET_DESCRIPTOR)
        nulls = [
            (os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY if number in (1, 2) else os.O_RDONLY, 0)
            for number in numbers
        ]
        command = self._command("__template__", _START_TEMPLATE, self._package, *self._path)
        return self._spawn(command, nulls, {SOCKET_DESCRIPTOR: end})

    def inside(self) -> list[str]:
        """The command that becomes a component within its sandbox."""
        return self._command("__inside__", _START_INSIDE)

    def _with_log(self, command: list[str], log: int, lock: int) -> int:
        null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        return self._spawn(command, [null], {1: log, 2: log, LOCK_DESCRIPTOR: lock})

    def _command(self, word: str, source: str, *arguments: str) -> list[str]:
        if self._frozen:
            return [self._python, word, *arguments]
        # Neither site packages nor the user's settings: half of an interpreter's start. Imported by name, not run as
        # a script, because a script is compiled anew at every start.
        return [self._python, "-I", "-S", "-X", "utf8", "-c", source, *arguments]

    def _environment(self) -> dict[str, str]:
        environment = {"LANG": "C.UTF-8"}
        if self._frozen:
            environment |= {name: value for name, value in os.environ.items() if name.startswith("_PYI_")}
        return environment

    def _spawn(self, command: list[str], opened: Sequence[_Action], passed: Mapping[int, int]) -> int:
        last = max(passed)
        # Moved out of the way of the numbers they are copied to.
        moved: dict[int, int] = {}
        try:
            for target, source in passed.items():
                moved[target] = fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, last + 1)
            actions: list[_Action] = [
                *opened,
                *((os.POSIX_SPAWN_DUP2, source, target) for target, source in moved.items()),
                *((os.POSIX_SPAWN_CLOSE, leak) for leak in _inheritable_above(last)),
            ]
            return os.posix_spawn(
                self._python,
                command,
                self._environment(),
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD),
            )
        finally:
            for source in moved.values():
                os.close(source)


class Template:
    """The template process, started when it is first wanted and again when it is gone. Belongs to one event loop."""

    def __init__(self, starter: Starter, *, patience_s: float = _PATIENCE_S) -> None:
        self._starter = starter
        self._patience_s = patience_s
        self._link: _Link | None = None
        self._not_before = 0.0

    @property
    def pid(self) -> int | None:
        """The process as last seen alive."""
        return None if self._link is None or self._link.closed else self._link.pid

    async def start(self, run_directory: Path, log: int, lock: int) -> bool:
        """Whether a shim was forked for the attempt, whose order and lock are ready.

        False asks for a fresh start. A fork may still turn up after that: whoever takes the order first runs it.
        """
        request = os.fsencode(run_directory)
        answer = self._asked(request, log, lock)
        # One that ended since the last attempt is found out only now.
        if answer is None and self._link is not None and self._link.closed:
            answer = self._asked(request, log, lock)
        forked = answer is not None and await answer
        self._drop_useless()
        return forked

    def _asked(self, request: bytes, log: int, lock: int) -> asyncio.Future[bool] | None:
        self._drop_useless()
        if self._link is None or self._link.closed:
            self._link = self._open()
        return None if self._link is None else self._link.ask(request, log, lock)

    def _drop_useless(self) -> None:
        link = self._link
        if link is not None and link.closed and not link.proven:
            self._pause("it ended, or was ended, before its first answer")

    def _open(self) -> _Link | None:
        if time.monotonic() < self._not_before:
            return None
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        own.settimeout(0)
        try:
            pid = self._starter.template(other.fileno())
        except OSError as error:
            own.close()
            self._pause(str(error))
            return None
        finally:
            other.close()
        return _Link(pid, own, self._patience_s)

    def _pause(self, why: str) -> None:
        self._link = None
        self._not_before = time.monotonic() + _PAUSE_S
        _log.warning(
            "built-in components start more slowly for the next %d s: the process they are forked from could not be "
            "used (%s)",
            _PAUSE_S,
            why,
        )


class _Link:
    """One template process and what it was asked for."""

    def __init__(self, pid: int, own: socket.socket, patience_s: float) -> None:
        self.pid = pid
        self.proven = False
        """It has answered, so it works."""
        self._socket = own
        self._patience_s = patience_s
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bool]] = {}
        self._silence: asyncio.TimerHandle | None = None
        # Also when the runner is dropped; the kernel does the same for a node that is killed.
        self._end = weakref.finalize(self, _end, own, pid)

    @property
    def closed(self) -> bool:
        return not self._end.alive

    def ask(self, request: bytes, log: int, lock: int) -> asyncio.Future[bool] | None:
        """The answer to come; None if the request could not be sent (the link is closed if its process is gone)."""
        number = next(self._numbers)
        try:
            socket.send_fds(self._socket, [number.to_bytes(NUMBER_BYTES, sys.byteorder), request], [log, lock])
        except OSError as error:
            if error.errno in _GONE:
                self._close()
            return None
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        self._waiting[number] = answer
        if len(self._waiting) == 1:
            loop.add_reader(self._socket, self._read)
            self._expect_answer(loop)
        # Also when the launch is cancelled: the answer that may still come is of no interest then.
        answer.add_done_callback(lambda _: self._done(number))
        return answer

    def _read(self) -> None:
        while not self.closed:
            try:
                answer = self._socket.recv(NUMBER_BYTES + ERRNO_BYTES)
            except BlockingIOError:
                return
            except OSError:
                answer = b""
            if not answer:
                self._close()
                return
            self.proven = True
            # Silence is counted from the last answer: behind many requests one waits longer, and all is well.
            self._expect_answer(asyncio.get_running_loop())
            waiting = self._waiting.get(int.from_bytes(answer[:NUMBER_BYTES], sys.byteorder))
            if waiting is not None and not waiting.done():
                fault = int.from_bytes(answer[NUMBER_BYTES:], sys.byteorder)
                waiting.set_result(fault == 0)

    def _expect_answer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = loop.call_later(self._patience_s, self._close)

    def _done(self, number: int) -> None:
        self._waiting.pop(number, None)
        if not self._waiting:
            self._stop_listening()

    def _stop_listening(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if not self.closed:
            asyncio.get_running_loop().remove_reader(self._socket)

    def _close(self) -> None:
        """End the process: it is gone already, or cannot be relied on. What it has not answered is started afresh."""
        if not self.closed:
            self._stop_listening()
            self._end()
        for waiting in list(self._waiting.values()):
            if not waiting.done():
                waiting.set_result(False)


def _end(own: socket.socket, pid: int) -> None:
    """Requests that the process has not read are dropped with the locks they hold; what it has forked runs on."""
    own.close()
    # In a fork of the node it is no child, and counts as ended.
    if not pidfd.collect(pid):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _inheritable_above(limit: int) -> list[int]:
    """Descriptors that a child would get by accident, such as the sockets a web server makes inheritable.

    A component that outlives the node would keep the node's ports busy.
    """
    leaks = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
        descriptor = int(name)
        try:
            if descriptor > limit and os.get_inheritable(descriptor):
                leaks.append(descriptor)
        except OSError:
            # The listing's own descriptor, closed by now; or one that another thread closed.
            continue
    return leaks
