"""The console in a real terminal of 80 x 24: a person approves the demo's job with the keyboard."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.terminal import Terminal

from nodeconsole.node_process import program

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path, 80, 24)
    yield made
    made.end()


def test_a_person_approves_the_demo_in_the_console(terminal: Terminal, tmp_path: Path) -> None:
    home = tmp_path / "demo"
    outcome = tmp_path / "outcome"
    command = shlex.join([*program(), "demo", "--interactive", "--home", str(home)])
    terminal.start(f"sh -c '{command}; echo demo ended with $? > {outcome}; exec cat'")

    home_screen = terminal.shows("NEEDS YOU 1", "from guest", within=60)
    assert all(len(line) <= 80 for line in home_screen.splitlines())

    terminal.press("Enter")
    card = terminal.shows("demo#breast_cancer", "WHAT LEAVES THIS NODE")
    assert "guest (guest)" in card

    terminal.press("A")
    terminal.shows("to confirm")
    terminal.type(_job_id(home)[-4:])
    # Once for the id and once for the remark, which stays empty.
    terminal.press_until_gone("Enter", "to confirm")
    terminal.press("g", "j")
    jobs = terminal.shows("✓ done")
    assert "guest" in jobs

    terminal.press("d")
    detail = terminal.shows("psi_0", "[Graph]")
    assert all(len(line) <= 80 for line in detail.splitlines())
    terminal.press("l")
    terminal.shows("end of log")

    terminal.press("C-q")
    limit = time.monotonic() + 60
    while not outcome.exists():
        assert time.monotonic() < limit, terminal.screen()
        time.sleep(0.05)
    assert outcome.read_text() == "demo ended with 0\n", terminal.screen()


def _job_id(home: Path) -> str:
    command = [*program(), "job", "list", "--json", "--home", str(home / "host")]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    start = listed.index("job-")
    return listed[start : start + len("job-") + 32]
