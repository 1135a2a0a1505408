"""What a person meets who types `nodeconsole` for the first time, in a real terminal."""

from __future__ import annotations

import shlex
import shutil
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


def _run(terminal: Terminal, tmp_path: Path, *words: str) -> Path:
    """Start the program with a home and a place for temporary files of its own; where its exit code is written."""
    outcome = tmp_path / "outcome"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    settings = f"HOME={tmp_path} XDG_STATE_HOME={tmp_path}/state XDG_CONFIG_HOME={tmp_path}/config TMPDIR={scratch}"
    terminal.start(f"sh -c '{settings} {shlex.join([*program(), *words])}; echo $? > {outcome}; exec cat'")
    return outcome


def _ended(terminal: Terminal, outcome: Path) -> str:
    limit = time.monotonic() + 30
    while not outcome.exists() or not outcome.read_text():
        assert time.monotonic() < limit, terminal.screen()
        time.sleep(0.05)
    return outcome.read_text().strip()


def test_the_demo_shows_a_node_and_leaves_nothing_behind(terminal: Terminal, tmp_path: Path) -> None:
    outcome = _run(terminal, tmp_path, "--demo")
    screen = terminal.shows("DEMO", "psi-credit-daily", within=60)
    assert "sgb-train-v12" in screen
    assert list((tmp_path / "scratch").iterdir())
    terminal.press("C-q")
    assert _ended(terminal, outcome) == "0"
    assert not list((tmp_path / "scratch").iterdir())
    assert not (tmp_path / ".nodeconsole").exists()


def test_a_first_start_with_enter_alone_makes_a_node(terminal: Terminal, tmp_path: Path) -> None:
    outcome = _run(terminal, tmp_path)
    terminal.shows("step 1 of 5")
    for number in range(1, 6):
        terminal.shows(f"step {number} of 5")
        assert not (tmp_path / ".nodeconsole").exists()
        terminal.press("Enter")
    terminal.shows("DEMO", "tour 1 of 6", within=60)
    terminal.press("C-q")
    terminal.shows("online", "warnings", within=60)
    assert (tmp_path / ".nodeconsole" / "node.toml").exists()
    terminal.press("C-q")
    assert _ended(terminal, outcome) == "0"
