"""The component guide, followed literally: its commands in one shell, between two real nodes."""

from __future__ import annotations

import csv
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "component-guide.md"
TRANSLATION = ROOT / "docs" / "component-guide.zh.md"
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(guide: Path) -> str:
    return "".join(SHELL.findall(guide.read_text("utf-8")))


def test_both_languages_give_the_same_commands() -> None:
    assert commands(TRANSLATION) == commands(GUIDE)


@pytest.fixture
def shell_path(tmp_path: Path) -> str:
    """`nodeconsole` as it is typed; the rest of PATH as it is."""
    place = tmp_path / "bin"
    place.mkdir()
    program = place / "nodeconsole"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m nodeconsole "$@"\n')
    program.chmod(0o755)
    # The guide's own virtual environment is made by this Python, wherever it is.
    (place / "python3").symlink_to(os.path.realpath(sys.executable))
    return f"{place}:{os.environ['PATH']}"


def test_the_guide_works_as_it_stands(tmp_path: Path, shell_path: str) -> None:
    work = tmp_path / "work"
    work.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NODECONSOLE", "PYTHON"))}
    environment |= {
        "PATH": shell_path,
        "HOME": str(tmp_path),
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    script = f"set -eux\n{commands(GUIDE)}"
    try:
        done = subprocess.run(
            ["bash", "-c", script], cwd=work, env=environment, capture_output=True, text=True, timeout=100, check=False
        )
    finally:
        # If a step failed, the nodes still run; nothing happens if they have ended.
        subprocess.run(
            [sys.executable, "-m", "nodeconsole", "demo", "--end", "--home", str(work / "demo")],
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{done.stdout[-3000:]}"
    assert "guest.0,7,11.5" in done.stdout
    assert "Ran 4 tests" in done.stderr
    assert "info: 496 rows here" in done.stdout
    assert "ended: guest, host" in done.stdout
    (summary,) = (work / "row_counts" / "results").rglob("*summary*")
    with summary.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["party", "rows", "mean"]
    assert rows[1][:2] == ["guest.0", "512"]
    assert 14.0 < float(rows[1][2]) < 14.3
    assert rows[2] == ["host.0", "496", ""]
