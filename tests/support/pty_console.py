"""The console in a real pseudo-terminal: what it sends, byte for byte, and what it does when the terminal goes away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_ESCAPES = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b.")
_DEADLINE = 15.0


class PtyConsole:
    """One process on a terminal of its own. `controlling`: the kernel tells it when the terminal is closed (SIGHUP).

    `cells`: how wide this terminal draws ambiguous characters, None = it does not answer.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        size: tuple[int, int] = (80, 24),
        controlling: bool = True,
        cells: int | None = None,
    ) -> None:
        self._cells = cells
        self.received = bytearray()
        self._master, slave = os.openpty()
        self.resize(*size)
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nodeconsole", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=subprocess.PIPE,
            env=kept | {"TERM": "xterm-256color", "LANG": "C.UTF-8"} | dict(environment),
            start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controlling else None,  # noqa: PLW1509
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()
        self.close_terminal()

    @property
    def text(self) -> str:
        """Everything received without what moves the cursor and colours."""
        return _ESCAPES.sub(b"", bytes(self.received)).decode("utf-8", "replace")

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def send(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def read(self, seconds: float) -> int:
        """Take what comes within this time; how many bytes that was."""
        before, limit = len(self.received), time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0 and self._take(left):
            pass
        return len(self.received) - before

    def until(self, text: str, *, within: float = _DEADLINE) -> float:
        """Wait for `text` in what is received from now on, `from_start` included; returns when it came (monotonic)."""
        limit = time.monotonic() + within
        while text not in self.text:
            left = limit - time.monotonic()
            assert left > 0, f"{text!r} did not come:\n{self.text[-3000:]}"
            assert self._take(left) or text in self.text, f"the terminal was closed before {text!r}:\n{self.text}"
        return time.monotonic()

    def quiet(self, seconds: float = 0.6, *, within: float = _DEADLINE) -> None:
        """Wait until nothing has come for so long."""
        limit = time.monotonic() + within
        while self.read(seconds):
            assert time.monotonic() < limit, "the console does not come to rest"

    def forget(self) -> None:
        self.received.clear()

    def close_terminal(self) -> None:
        """As when the window is closed or the ssh session drops."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def ended(self, *, within: float = _DEADLINE) -> int:
        """The exit code, once it has ended."""
        limit = time.monotonic() + within
        while self.process.poll() is None:
            assert time.monotonic() < limit, "the console did not end"
            if self._master >= 0:
                self._take(0.02)
            else:
                time.sleep(0.02)
        if self._master >= 0:
            self.read(0.1)
        return self.process.returncode

    def errors(self) -> str:
        """What it wrote to standard error, after its end."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode("utf-8", "replace")

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def interrupt(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def _take(self, seconds: float) -> bool:
        """One piece of output; False when there is no terminal any more."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        content = b""
        with contextlib.suppress(OSError):
            content = os.read(self._master, 65536)
        self.received += content
        if self._cells is not None and b"\x1b[6n" in content:
            os.write(self._master, b"\x1b[2;%dR" % (self._cells + 1))
        return bool(content)
