"""A real container engine for tests: Podman's service on a socket of its own, and images made from nothing.

The engine needs root (of this machine, or of the container that the tests run in). On a machine with hybrid control
groups it gets a mount namespace without the second kind, so that its limits work. What is not possible here ends in a
reason to skip.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from embedded_scheduler.runners.engine_api import EngineApi, EngineGoneError, EngineRefusalError, _Connection

BUSYBOX = Path("/bin/busybox")
_STARTING_S = 20.0
_LARGEST = 2 << 20
_LEFT_OUT = re.compile(
    r"(__pycache__|config-.*|curses|dbm|dist-packages|distutils|ensurepip|idlelib|lib2to3|msilib|pydoc_data|site-packages"
    r"|sqlite3|tests?|tkinter|turtledemo|unittest|venv|wsgiref|xmlrpc)$"
)
"""Directories of the standard library that no program of the tests needs."""
_LEFT_OUT_MODULES = re.compile(r"(_?test|_?xx|_ctypes_test|_curses|_dbm|_gdbm|_sqlite3|_tkinter|audioop|nis|readline)")
_NEEDED = ("podman", "crun", "busybox", "unshare")
_NEEDED_ROOTLESS = ("newuidmap", "setpriv")
_CONFIGURATION = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_OWN_VIEW = """
if [ -d /sys/fs/cgroup/unified ]; then
  umount /sys/fs/cgroup/unified; umount /sys/fs/cgroup/systemd
fi 2>/dev/null
# A user that only this engine knows, with the numbers that its containers need.
mount --bind "$HOME/passwd" /etc/passwd
mount --bind "$HOME/group" /etc/group
for file in /etc/subuid /etc/subgid; do
  [ -e "$file" ] && mount --bind "$HOME/subuid" "$file"
done
exec "$@"
"""
_FIRST_SUBORDINATE = 3_000_000


def missing(*, rootless: bool = False) -> str:
    """Why no engine can be started here; empty = it can be tried."""
    needed = (*_NEEDED, *(_NEEDED_ROOTLESS if rootless else ()))
    absent = [name for name in needed if shutil.which(name) is None]
    if rootless and not Path("/etc/subuid").exists():
        absent.append("/etc/subuid")
    if absent:
        return f"no container engine: {', '.join(absent)} not installed"
    return "" if os.geteuid() == 0 else "the test's container engine needs root"


@dataclass
class Engine:
    """A running engine. `insecure` are registries on loopback that it speaks plain HTTP with."""

    root: Path
    process: subprocess.Popen[bytes]
    insecure: Sequence[str] = ()
    user: int = 0

    @property
    def socket(self) -> str:
        return str(self.root / "engine.sock")

    @property
    def api(self) -> EngineApi:
        return EngineApi(self.socket)

    def load(self, tag: str, files: Mapping[str, bytes | Path], config: Mapping[str, Any]) -> str:
        """An image of one layer with `files` (path inside: content, or a file of this machine); its id.

        `config` is the image's: `Entrypoint`, `Env`, `WorkingDir`, `User`.
        """
        layer = layer_of(files)
        description = json.dumps(
            {
                "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
                "os": "linux",
                "config": dict(config),
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            }
        ).encode()
        image = hashlib.sha256(description).hexdigest()
        manifest = [{"Config": f"{image}.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w") as archive:
            _add(archive, f"{image}.json", description)
            _add(archive, "layer.tar", layer)
            _add(archive, "manifest.json", json.dumps(manifest).encode())
        self._post("/images/load", whole.getvalue())
        return f"sha256:{image}"

    def _post(self, path: str, content: bytes) -> None:
        connection = _Connection(self.socket, 60.0)
        try:
            connection.request("POST", path, content, {"Content-Type": "application/x-tar"})
            response = connection.getresponse()
            answer = response.read()
            if response.status != 200 or b'"error"' in answer:
                raise RuntimeError(answer[-2000:].decode())
        finally:
            connection.close()

    def cpu_seconds(self) -> float:
        """What the service has computed so far, with the programs that it started and that have ended."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system + times.children_user + times.children_system

    def stop(self) -> None:
        # A rootless one is a process below the one that was started. Asked to end, it takes five seconds.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)

    def kill(self) -> None:
        """Its containers go on."""
        self.process.kill()
        self.process.wait(20)

    def restart(self) -> None:
        """End it, if it runs, and start it again over the same storage."""
        self.kill()
        self.process = start(self.root, insecure=self.insecure, user=self.user).process


def layer_of(files: Mapping[str, bytes | Path]) -> bytes:
    """A tar archive of `files` (path inside: content, or a file of this machine), all executable."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, source in files.items():
            _add(archive, name, source)
    return content.getvalue()


def shell_files(script: str) -> dict[str, bytes | Path]:
    """The files of an image whose `/main.sh` runs in a shell that has busybox's commands."""
    return {"bin/busybox": BUSYBOX, "bin/sh": BUSYBOX, "main.sh": script.encode()}


SHELL_CONFIG: Mapping[str, Any] = {"Entrypoint": ["/bin/sh", "/main.sh"], "WorkingDir": "/tmp"}


def _add(archive: tarfile.TarFile, name: str, source: bytes | Path) -> None:
    content = source if isinstance(source, bytes) else source.read_bytes()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o755
    archive.addfile(entry, io.BytesIO(content))


def start(root: Path, *, insecure: Sequence[str] = (), user: int = 0) -> Engine:
    """Start the service over the storage in `root`; again on the same after it was stopped or killed.

    With a `user` it is rootless: that user need not be known to this machine.
    """
    driver = "vfs" if user else "overlay"
    storage = f'[storage]\ndriver = "{driver}"\nrunroot = "{root}/run"\ngraphroot = "{root}/graph"\n'
    _write_all(
        root,
        {
            "containers.conf": _CONFIGURATION,
            "storage.conf": storage,
            "registries.conf": "".join(f'[[registry]]\nlocation = "{each}"\ninsecure = true\n' for each in insecure),
            "passwd": f"{Path('/etc/passwd').read_text()}nctester:x:{user}:{user}::{root}:/bin/sh\n",
            "group": f"{Path('/etc/group').read_text()}nctester:x:{user}:\n",
            "subuid": f"nctester:{_FIRST_SUBORDINATE}:65536\n",
        },
    )
    environment = {
        **os.environ,
        "CONTAINERS_CONF": str(root / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(root / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(root / "registries.conf"),
        "TMPDIR": str(root),
        "HOME": str(root),
        "XDG_RUNTIME_DIR": str(root),
    }
    socket = root / "engine.sock"
    socket.unlink(missing_ok=True)
    command = ["podman", "system", "service", "-t", "0", f"unix://{socket}"]
    if user:
        shutil.chown(root, user, user)
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
    with (root / "service.log").open("ab") as log:
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", _OWN_VIEW, "sh", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=root,  # conmon leaves a file there when memory runs out
            start_new_session=True,
        )
    engine = Engine(root, process, insecure, user)
    until = time.monotonic() + _STARTING_S
    while True:
        try:
            engine.api.facts()
        except (EngineGoneError, EngineRefusalError):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((root / "service.log").read_text()[-2000:]) from None
            time.sleep(0.05)
        else:
            return engine


def _write_all(root: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (root / name).write_text(text)


@contextmanager
def engine(*, insecure: Sequence[str] = (), user: int = 0) -> Iterator[Engine]:
    """An engine over a storage of its own, which is gone afterwards, with every container."""
    # Short: the names of sockets below it are limited.
    root = Path(tempfile.mkdtemp(prefix="ncengine-", dir="/tmp"))
    running = None
    try:
        running = start(root, insecure=insecure, user=user)
        yield running
    finally:
        if running is not None:
            _remove_containers(running)
            running.stop()
        _end_pause(root)
        _remove_storage(root)


def _remove_containers(running: Engine) -> None:
    for found in running.api._json("GET", "/containers/json?all=1"):
        running.api.remove(found["Id"])


def _end_pause(root: Path) -> None:
    """A rootless Podman leaves a process that keeps its user namespace."""
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        os.kill(int((root / "libpod" / "tmp" / "pause.pid").read_text()), signal.SIGKILL)


def _remove_storage(root: Path) -> None:
    """Images leave nothing mounted; a container that was running when its engine was killed may."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for path in sorted((each for each in mounted if each.startswith(str(root))), reverse=True):
        subprocess.run(["umount", "-l", path], check=False)
    shutil.rmtree(root, ignore_errors=True)


@functools.cache
def python_tree() -> Mapping[str, bytes | Path]:
    """The files of a small Python for an image: this interpreter, its libraries, what programs of the tests import."""
    interpreter = (Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}").resolve()
    found: dict[str, bytes | Path] = {"usr/bin/python3": interpreter}
    binaries = [interpreter]
    for directory, below, names in os.walk(sysconfig.get_path("stdlib")):
        below[:] = [name for name in below if not _LEFT_OUT.match(name)]
        for path in (Path(directory, name) for name in names):
            if path.suffix == ".py" and path.stat().st_size < _LARGEST:
                found |= compiled(str(path).lstrip("/"), path)
            elif path.suffix == ".so" and not _LEFT_OUT_MODULES.match(path.name):
                found[str(path).lstrip("/")] = path
                binaries.append(path)
    for library in _libraries(binaries):
        found[str(library).lstrip("/")] = library
    return found


def compiled(name: str, path: Path) -> dict[str, bytes | Path]:
    """A module of an image: its translation, if this machine has a fresh one, for in there nobody could keep one."""
    translated = Path(importlib.util.cache_from_source(str(path)))
    code = translated.read_bytes() if translated.exists() else b""
    made_from = path.stat()
    facts = [int(made_from.st_mtime) & 0xFFFFFFFF, made_from.st_size & 0xFFFFFFFF]
    if [int.from_bytes(code[place : place + 4], "little") for place in (8, 12)] != facts:
        return {name: path}
    return {f"{name}c": code}


def _libraries(binaries: Sequence[Path]) -> set[Path]:
    done = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False)
    words = [word for line in done.stdout.splitlines() for word in line.split() if word.startswith("/")]
    return {Path(word) for word in words if not word.endswith(":") and Path(word).exists()}
