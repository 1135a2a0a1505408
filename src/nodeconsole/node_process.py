"""A real node as a process of this machine: what the demo, the tests and the benchmarks start, kill and restart."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from embedded_scheduler.home import Home
from nodeconsole.client import ClientError, NodeClient, NodeUnreachable

_PORTS = range(20_000, 30_000)
"""Below the range from which systems take ports for outgoing connections: a port stays ours while its node is down."""
_READY_POLL = 0.005


class NodeFailure(Exception):
    """A node could not be created or started, or ended by itself; the message quotes what it said."""


def program() -> tuple[str, ...]:
    """How to start this very program again: the standalone executable itself, or Python with the package."""
    return (sys.executable,) if getattr(sys, "frozen", False) else (sys.executable, "-m", "nodeconsole")


def free_addresses(count: int) -> list[str]:
    """`count` different loopback addresses `127.0.0.1:<port>` on which nothing listens now."""
    found: list[str] = []
    with contextlib.ExitStack() as open_sockets:
        for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
            if len(found) == count:
                break
            probe = open_sockets.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(f"127.0.0.1:{port}")
    if len(found) < count:
        raise NodeFailure(f"no free port between {_PORTS.start} and {_PORTS.stop} on 127.0.0.1")
    return found


class NodeProcess:
    """One node with its own home. `listen` is what partners reach, with TLS as `tls` says (mutual, server, off);
    `platform` serves components and the platform.

    The process survives the object; `stop()` or `kill()` ends it.
    """

    def __init__(
        self,
        node_id: str,
        directory: Path,
        *,
        listen: str,
        platform: str,
        tls: str = "mutual",
        command: Sequence[str] | None = None,
    ) -> None:
        self.node_id = node_id
        self.home = Home(directory)
        self.listen = listen
        self.platform = platform
        self.tls = tls
        self._command = tuple(command or program())
        self._process: subprocess.Popen[bytes] | None = None
        self._token: str | None = None

    @property
    def url(self) -> str:
        """What a partner enters as this node's address."""
        return f"{'http' if self.tls == 'off' else 'https'}://{self.listen}"

    @property
    def platform_url(self) -> str:
        return f"http://{self.platform}"

    async def platform_headers(self) -> dict[str, str]:
        """A credential of the own platform: a token that this object makes once, while the node runs."""
        if self._token is None:
            async with self.client() as client:
                self._token = (await client.create_token(f"process-{secrets.token_hex(6)}")).text
        return {"Authorization": f"Bearer {self._token}"}

    @property
    def output(self) -> Path:
        """What the process of the last start printed, both streams."""
        return self.home.path / "serve.out"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of the last process: negative = the signal that ended it; None = runs, or was never started."""
        return None if self._process is None else self._process.poll()

    def client(self) -> NodeClient:
        """A new client of this node's console interface; an async context manager."""
        return NodeClient(self.home.socket)

    def command_line(self, *words: str) -> tuple[str, ...]:
        """The command `words` for this node, as one would type it."""
        return (*self._command, *words, "--home", str(self.home.path))

    async def create(self, settings: str = "") -> None:
        """`nodeconsole init`; `settings` as for `change_settings`."""
        arguments = ("--node-id", self.node_id, "--listen", self.listen, "--platform", self.platform, "--tls", self.tls)
        done = await asyncio.create_subprocess_exec(
            *self.command_line("init"),
            *arguments,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            said, _ = await done.communicate()
        except asyncio.CancelledError:
            # `init` can be cut short anywhere and repeated.
            done.kill()
            await done.wait()
            raise
        if done.returncode != 0:
            raise NodeFailure(f"node {self.node_id} was not created: {said.decode('utf-8', 'replace').strip()}")
        if settings:
            self.change_settings(settings)

    def change_settings(self, settings: str) -> None:
        """Append lines such as `timing.poll_first = 1.0` to `node.toml`; read at the next start."""
        with self.home.settings_file.open("a", encoding="utf-8") as file:
            file.write("\n" + settings.strip() + "\n")

    async def start(self, *, environment: Mapping[str, str] | None = None, within: float = 60.0) -> float:
        """Start the process and return, once it accepts requests, how many seconds that took.

        `environment` is added to this process's own. `NodeFailure` if it ends before, or is not ready `within` seconds.
        """
        started = time.monotonic()
        self._spawn(environment or {})
        while not self._has_announced():
            if not self.running:
                raise NodeFailure(f"node {self.node_id} {self.last_words()}")
            if time.monotonic() - started > within:
                self.kill()
                raise NodeFailure(f"node {self.node_id} was not ready after {within:g} seconds; {self.last_words()}")
            await asyncio.sleep(_READY_POLL)
        return time.monotonic() - started

    def _spawn(self, environment: Mapping[str, str]) -> None:
        if self.running:
            raise NodeFailure(f"node {self.node_id} runs already (process {self.pid})")
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                self.command_line("serve"),
                env=_environment() | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl+C at the terminal is for the caller, who then ends the node in order.
                start_new_session=True,
            )

    def _has_announced(self) -> bool:
        """`serve` prints one line when it accepts requests; warnings may precede it."""
        said = self.output.read_bytes()
        return said.endswith(b"\n") and self.listen.encode() in said

    def last_words(self) -> str:
        """How the process ended, the last line it printed, and where the others are."""
        said = self.output.read_text("utf-8", "replace").strip() if self.output.exists() else ""
        if not said:
            return f"ended with {self.exit_code} and said nothing"
        return f"ended with {self.exit_code}: {said.splitlines()[-1][:500]} (all it said is in {self.output})"

    def kill(self) -> None:
        """SIGKILL, without any chance to tidy up; returns when the process is gone. Components it started go on."""
        if self._process is not None:
            # The whole group: a one-file executable runs the node in a child of the process that we started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    async def stop(self, *, grace: float = 15.0) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds; returns when the process is gone."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.to_thread(process.wait, grace)
        except subprocess.TimeoutExpired:
            self.kill()

    async def answers(self) -> bool:
        """Whether the console interface answers now."""
        try:
            async with self.client() as client:
                await client.status()
        except (NodeUnreachable, ClientError):
            return False
        return True

    def end_components(self) -> int:
        """Kill the component processes of this home that are left after the node's end; how many there were."""
        left = list(_processes_below(self.home.runs))
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(left)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NODECONSOLE_")}
    if getattr(sys, "frozen", False):
        # A one-file executable must unpack itself anew: the directory of this process goes away with it.
        kept["PYINSTALLER_RESET_ENVIRONMENT"] = "1"
    return kept


def _processes_below(runs: Path) -> Iterable[int]:
    """Processes whose command line names a run directory below `runs`: an attempt's shim and what it forked."""
    mark = os.fsencode(runs) + b"/"
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark in (entry / "cmdline").read_bytes():
                    yield int(entry.name)
