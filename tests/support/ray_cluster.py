"""A real Ray of one machine: dashboard on loopback, a token asked for, everything of it gone at the end.

Ray lives in an environment of its own (`packaging/ray-venv`); the variable NODECONSOLE_RAY_PYTHON names another one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from nodeconsole.node_process import free_addresses

_ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("NODECONSOLE_RAY_PYTHON") or _ROOT / ".venv-ray/bin/python")
MISSING = "" if PYTHON.with_name("ray").exists() else "no Ray: packaging/ray-venv python3.11 .venv-ray installs it"
"""Why there is no Ray to test with; empty = there is one."""

_START_S = 60.0
_CORES = 4
"""Jobs are told apart by what they reserve, not by the machine's cores."""


@dataclass(frozen=True, slots=True)
class RayOfATest:
    address: str
    token_file: Path
    python: Path


@contextlib.contextmanager
def ray_cluster() -> Iterator[RayOfATest]:
    """Started, and answering. A path of a socket must be short, so it lives right below the temporary directory."""
    directory = Path(tempfile.mkdtemp(prefix="ray-"))
    token_file = directory / "token"
    token_file.write_text(secrets.token_hex(32))
    gcs, dashboard, client, agent = (address.rpartition(":")[2] for address in free_addresses(4))
    command = [
        str(PYTHON.with_name("ray")), "start", "--head", "--block", "--disable-usage-stats", "--include-dashboard=true",
        # 127.0.0.1 would be replaced by an address that others reach.
        "--node-ip-address=127.0.0.2", f"--port={gcs}", f"--ray-client-server-port={client}",
        f"--dashboard-agent-listen-port={agent}",
        "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", f"--num-cpus={_CORES}",
        "--object-store-memory=80000000", f"--temp-dir={directory / 't'}",
    ]  # fmt: skip
    environment = {
        "PATH": f"{PYTHON.parent}:/usr/bin:/bin",
        "HOME": str(directory),
        "LANG": "C.UTF-8",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with (directory / "ray.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        found = RayOfATest(f"http://127.0.0.1:{dashboard}", token_file, PYTHON)
        _await_answer(found, process, directory / "ray.log")
        yield found
    finally:
        _end(process)
        shutil.rmtree(directory, ignore_errors=True)


def _await_answer(ray: RayOfATest, process: subprocess.Popen[bytes], log: Path) -> None:
    """Also the nodes' agent has to be there: the first job needs it."""
    headers = {"Authorization": f"Bearer {ray.token_file.read_text()}"}
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{ray.address}/api/jobs/", headers=headers, timeout=5).is_success:
                return
        time.sleep(0.1)
    raise RuntimeError(f"Ray did not start: {log.read_text('utf-8', 'replace')[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """By their ids: Ray's own way ends every Ray of the machine."""
    with contextlib.suppress(psutil.NoSuchProcess):
        everything = psutil.Process(process.pid).children(recursive=True)
        for each in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(everything, timeout=10)
    process.kill()
    process.wait()
