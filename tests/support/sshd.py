"""A real sshd on loopback, as the user of the test: own configuration, own keys, own port."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from nodeconsole.node_process import free_addresses
from nodeconsole.remote.target import SshTarget, parse_ssh

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_PROGRAMS = {name: shutil.which(name, path=_PATH) for name in ("sshd", "ssh", "ssh-keygen")}
MISSING = ", ".join(name for name, path in _PROGRAMS.items() if path is None)
"""The programs that this machine lacks for a test with ssh; empty = none."""

_SSHD = """
ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host_key
PidFile none
AuthorizedKeysFile {directory}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PermitUserEnvironment no
AllowTcpForwarding no
X11Forwarding no
PrintMotd no
LogLevel VERBOSE
Subsystem sftp internal-sftp
"""
_CLIENT = """
Host *
  IdentityFile {directory}/user_key
  IdentitiesOnly yes
  UserKnownHostsFile {directory}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  IdentityAgent none
  LogLevel ERROR
  {extra}
"""


@dataclass(frozen=True, slots=True)
class Sshd:
    """The running daemon. `environment` makes every `ssh` that is started with it use this daemon's keys only."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.directory / "sshd.log"

    def url(self, home: Path | str = "") -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{home}"

    def target(self, home: Path | str = "", program: str = "") -> SshTarget:
        return parse_ssh(self.url(home), program or shlex.join([sys.executable, "-m", "nodeconsole"]))

    def configure(self, extra: str) -> None:
        """One more line for the clients, such as a ProxyCommand."""
        (self.directory / "config").write_text(_CLIENT.format(directory=self.directory, extra=extra))

    def forget_host(self) -> None:
        (self.directory / "known_hosts").write_text("")

    def know_host(self, key: str = "host_key") -> None:
        """Let the clients trust this key for the daemon's address."""
        public = (self.directory / f"{key}.pub").read_text()
        (self.directory / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}")

    def authorize(self, key: str = "user_key") -> None:
        shutil.copy(self.directory / f"{key}.pub", self.directory / "authorized_keys")

    def sessions(self) -> list[int]:
        """The processes of the daemon that serve one connection each."""
        return _children(self.process.pid)

    def cut(self) -> int:
        """Break every connection, as a pulled cable does when somebody notices; how many there were."""
        cut = self.sessions()
        for pid in cut:
            for child in (*_children(pid), pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        return len(cut)


@contextlib.contextmanager
def sshd() -> Iterator[Sshd]:
    """Started, and ended with everything that hangs on it."""
    with TemporaryDirectory(prefix="ncssh") as name:
        directory = Path(name)
        for key in ("host_key", "other_host_key", "user_key", "other_user_key"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / key))
        port = int(free_addresses(1)[0].rpartition(":")[2])
        (directory / "sshd_config").write_text(_SSHD.format(port=port, directory=directory))
        if os.geteuid() == 0:
            # The system's package makes it when it starts its own daemon.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        wrapper = directory / "bin" / "ssh"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\nexec {_PROGRAMS["ssh"]} -F {directory}/config "$@"\n')
        wrapper.chmod(0o755)
        process = subprocess.Popen(
            [str(_PROGRAMS["sshd"]), "-D", "-f", str(directory / "sshd_config"), "-E", str(directory / "sshd.log")],
            stdin=subprocess.DEVNULL,
        )
        running = Sshd(directory, port, process, {"PATH": f"{wrapper.parent}:{os.environ['PATH']}"})
        try:
            running.configure("")
            running.know_host()
            running.authorize()
            _until_it_listens(running)
            yield running
        finally:
            running.cut()
            process.terminate()
            process.wait()


def _until_it_listens(daemon: Sshd) -> None:
    limit = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", daemon.port)) == 0:
                return
        if daemon.process.poll() is not None or time.monotonic() > limit:
            raise RuntimeError(f"sshd did not start: {daemon.log.read_text()}")
        time.sleep(0.02)


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


def _run(name: str, *arguments: str) -> None:
    subprocess.run([str(_PROGRAMS[name]), *arguments], check=True, capture_output=True)
