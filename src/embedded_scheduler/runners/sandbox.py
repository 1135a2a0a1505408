"""What a component sees of the machine: a sandbox made by bubblewrap (`bwrap`), where that works.

The view holds the system's programs and libraries, the interpreter with its packages, and nothing that changes there;
the attempt's own directories; what it reads (read-only) and where it writes in the storage. The node's home is hidden.
The network is a loopback of its own on which only the node's platform listener answers (`relay.py`). Processes are
numbered anew, and all of them end with the attempt.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from embedded_scheduler.errors import Refused
from embedded_scheduler.runners.attempt import SCRATCH, WORK
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.spi.runner import Containment

Mode = Literal["auto", "require", "off"]

_PROGRAM = "bwrap"
_PLACES = "/usr/local/bin:/usr/bin:/bin"
_PROBE_PATIENCE_S = 10.0
_ISOLATION = (
    "--unshare-user-try",
    "--unshare-ipc",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--die-with-parent",
    "--cap-drop",
    "ALL",
)
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Links into /usr on most systems, directories on others."""
_ETC = (
    "alternatives",
    "ca-certificates",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "nsswitch.conf",
    "pki/ca-trust",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
)
"""What programs need of /etc: libraries, time zone, names of this host, public certificates; no keys, no accounts."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One part of the view: `kind` is read, write, or hide (nothing of `source` is seen at `target`)."""

    kind: Literal["read", "write", "hide"]
    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class NoSandbox:
    """Why there is no sandbox. `required`: then nothing starts."""

    why: Words
    required: bool
    advice: Words = ""

    def admit(self) -> None:
        """`Refused` if components may not start."""
        if self.required:
            raise Refused(say("sandbox_required", why=self.why, advice=self.advice))

    def describe(self) -> Containment:
        if self.required:
            return Containment("none", say("contained_none", why=self.why), self.advice)
        return Containment("plain", say("contained_plain", why=self.why), self.advice)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Builds views. `home` is hidden in all of them; `readable` is what the operator adds, read-only."""

    program: str
    home: Path
    readable: tuple[Path, ...] = ()

    def admit(self) -> None:
        """Components may start."""

    def describe(self) -> Containment:
        return Containment("sandbox", say("contained", program=self.program))

    def mounts(
        self,
        run: Path,
        needed: Iterable[Path],
        python_path: Iterable[str],
        reads: Mapping[Path, Path],
        writes: Sequence[Path],
    ) -> list[Mount]:
        """One attempt's view, in the order in which it has to be mounted.

        `reads`: where the component looks for a file, to where it is; `needed`: its own program or environment.
        """
        found = {Mount("hide", self.home, self.home)}
        found |= {Mount("read", path, path) for path in self._programs(needed, python_path)}
        found |= {Mount("write", run / name, run / name) for name in (WORK, SCRATCH)}
        found |= {Mount("write", path, path) for path in writes}
        found |= {Mount("read", source, target) for target, source in reads.items()}
        # What is deeper goes on top. At one place, hiding first.
        return sorted(found, key=lambda mount: (len(mount.target.parts), mount.kind != "hide", str(mount.target)))

    def _programs(self, needed: Iterable[Path], python_path: Iterable[str]) -> set[Path]:
        wanted = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_exec_prefix), *self.readable}
        wanted |= {_package_root()}
        if getattr(sys, "frozen", False):
            wanted = {Path(sys.executable), Path(getattr(sys, "_MEIPASS", sys.prefix)), *self.readable}
        # A directory that is merely searched must not uncover data: the one the node was started in, or one above it.
        here = Path.cwd()
        wanted |= {path for path in map(Path, python_path) if path != here and not self.home.is_relative_to(path)}
        wanted |= set(needed)
        return {path for path in wanted if path.exists() and path != Path("/") and not _is_system(path)}

    def command(self, mounts: Iterable[Mount], directory: Path, inside: Sequence[str]) -> list[str]:
        """The command line that runs `inside` in this view, in `directory`."""
        words = [self.program, *_ISOLATION, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", *_system_view()]  # noqa: S108
        for mount in mounts:
            match mount.kind:
                case "hide":
                    words += ["--tmpfs", str(mount.target)]
                case "read":
                    words += ["--ro-bind", str(mount.source), str(mount.target)]
                case "write":
                    words += ["--bind", str(mount.source), str(mount.target)]
        return [*words, "--chdir", str(directory), "--", *inside]


def choose(mode: Mode, home: Path, readable: Sequence[str] = ()) -> Sandbox | NoSandbox:
    """What contains this node's components, by the setting and by what works here. Tries it: some 20 ms, once."""
    if mode == "off":
        return NoSandbox(say("sandbox_off"), required=False, advice=say("sandbox_off_fix"))
    program = shutil.which(_PROGRAM, path=_PLACES)
    required = mode == "require"
    if program is None:
        return NoSandbox(say("sandbox_missing"), required=required, advice=say("sandbox_missing_fix"))
    sandbox = Sandbox(program, home.absolute(), tuple(Path(path) for path in readable))
    fault = _fault(sandbox)
    if fault:
        return NoSandbox(say("sandbox_fails", fault=fault), required=required, advice=say("sandbox_fails_fix"))
    return sandbox


def _fault(sandbox: Sandbox) -> str:
    """Why a sandbox cannot be made; empty if it can."""
    command = sandbox.command([], Path("/"), ["/bin/sh", "-c", ":"])
    try:
        done = subprocess.run(  # noqa: S603 - our own words only
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_PROBE_PATIENCE_S,
            env={"LANG": "C.UTF-8"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it does not answer within {_PROBE_PATIENCE_S:.0f} s"
    except OSError as error:
        return error.strerror or str(error)
    if done.returncode == 0:
        return ""
    return done.stderr.decode("utf-8", "replace").strip()[:300] or f"it ends with {done.returncode}"


def _system_view() -> list[str]:
    words = ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            words += ["--ro-bind", name, name]
    for name in _ETC:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return words


def _is_system(path: Path) -> bool:
    """Whether every view holds it anyway."""
    return any(path.is_relative_to(place) for place in ("/usr", *_SYSTEM))


def _package_root() -> Path:
    return Path(os.path.abspath(__file__)).parents[2]  # noqa: PTH100 - links stay as the interpreter knows them
