"""Starts `ssh` and waits until the bridge at the other end speaks; if it fails, what ssh said is the reason."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from nodeconsole.programs import environment_for_others
from nodeconsole.remote.frames import HELLO, HELLO_ANY
from nodeconsole.remote.target import SshTarget

_NOISE_BYTES = 64 * 1024
"""What login scripts may print before the bridge speaks."""
_BATCH_SECONDS = 60.0
_LOOK_SECONDS = 0.2
"""So soon it is noticed that nobody wants the session any more."""
_NO_PROGRAM = (126, 127)
_ASKS = ("permission denied", "host key verification failed", "passphrase", "password", "authentication fail")


class LinkFailure(Exception):
    """There is no link; `message` is one line for the operator. `asks`: ssh could go on if it may ask somebody."""

    def __init__(self, message: str, *, asks: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.asks = asks


class Dial:
    """One ssh process. `interactive`: it may ask at the terminal; until it is through, `relay` gets what it says."""

    def __init__(self, target: SshTarget, *, interactive: bool, relay: Callable[[str], None] | None = None) -> None:
        self.target = target
        self._relay = relay
        self._interactive = interactive
        self._said: deque[str] = deque(maxlen=40)
        self._given_up = False
        self._hearing = threading.Lock()
        """Held while the pipe is read: nobody may close it then, its number could be another file's at once."""
        try:
            self.process = subprocess.Popen(  # noqa: S603 - words of our own; host and user are checked
                target.ssh(batch=not interactive),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment_for_others(),
                # Without a terminal of its own it can neither ask there nor be stopped from there.
                start_new_session=not interactive,
            )
        except FileNotFoundError:
            raise LinkFailure("there is no program `ssh` on this machine: install an OpenSSH client") from None
        self._ear = threading.Thread(target=self._listen, name="ssh-stderr", daemon=True)
        self._ear.start()

    def wait(self) -> bytes:
        """Block until the bridge speaks; returns what came behind its greeting. `LinkFailure` otherwise."""
        try:
            with self._hearing:
                heard = self._hear_greeting()
        except LinkFailure:
            self.abandon()
            raise
        self._relay = None
        return heard

    def _hear_greeting(self) -> bytes:
        assert self.process.stdout is not None
        pipe = self.process.stdout.fileno()
        limit = None if self._interactive else time.monotonic() + _BATCH_SECONDS
        heard = b""
        while HELLO not in heard:
            if limit is not None and time.monotonic() > limit:
                self._give_up(f"no answer within {_BATCH_SECONDS:.0f} seconds")
            if self._given_up:
                self._give_up("another node was chosen meanwhile")
            if not select.select([pipe], [], [], _LOOK_SECONDS)[0]:
                continue
            chunk = os.read(pipe, 65536)
            heard += chunk
            place = heard.find(HELLO_ANY)
            if place >= 0 and b"\n" in heard[place:] and HELLO not in heard:
                self._give_up("node and console are too different: install the same version on both machines")
            if not chunk or len(heard) > _NOISE_BYTES:
                self._give_up("" if not chunk else "another program answers instead of nodeconsole")
        return heard.partition(HELLO)[2]

    def _give_up(self, why: str) -> NoReturn:
        reason = why or self.reason()
        raise LinkFailure(reason, asks=not self._interactive and _would_ask(reason))

    def reason(self) -> str:
        """Why the process ended, in ssh's words if it said any; waits a moment for its end."""
        try:
            code = self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.kill()
            code = 0
        self._ear.join(1.0)
        if code in _NO_PROGRAM:
            program = self.target.program
            return (
                f"{self.target.host} has no program {program!r} in the PATH of an ssh session without a terminal:"
                " name it with --remote-program PATH, or in the context"
            )
        if self._said:
            return self._said[-1]
        return "the connection to the other machine broke"

    def abandon(self) -> None:
        """End a session that nobody took over, and whoever waits for it on another thread."""
        self._given_up = True
        self.kill()
        with self._hearing:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()

    def kill(self) -> None:
        """End the process now. Nothing is lost: the bridge keeps nothing."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as pipe:
            for raw in pipe:
                line = "".join(c if c.isprintable() else " " for c in raw.decode("utf-8", "replace")).strip()
                if line:
                    # The last line is the reason when it fails, and said then.
                    if self._relay is not None and self._said:
                        self._relay(self._said[-1])
                    self._said.append(line.removeprefix("nodeconsole: "))


def _would_ask(reason: str) -> bool:
    return any(word in reason.lower() for word in _ASKS)


def to_stderr(line: str) -> None:
    """The relay of commands: what ssh says is the operator's business."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
