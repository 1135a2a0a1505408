"""The console in a real terminal of 80 x 24: a person approves the demo's job with the keyboard."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeconsole.node_process import program

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """One tmux server with one window."""

    def __init__(self, directory: Path, columns: int, lines: int) -> None:
        self._base = ["tmux", "-S", str(directory / "tmux"), "-f", "/dev/null"]
        self.columns = columns
        self.lines = lines

    def start(self, command: str) -> None:
        size = ["-x", str(self.columns), "-y", str(self.lines)]
        self._run("new-session", "-d", *size, f"LANG=C.UTF-8 TERM=screen-256color {command}")

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def type(self, text: str) -> None:
        self._run("send-keys", "-l", text)

    def screen(self) -> str:
        return self._run("capture-pane", "-p")

    def shows(self, *texts: str, within: float = 40.0) -> str:
        """The screen once it has every text; fails the test with the last screen otherwise."""
        limit = time.monotonic() + within
        while True:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            assert time.monotonic() < limit, f"no {texts} on the screen:\n{screen}"
            time.sleep(0.05)

    def press_until_gone(self, key: str, text: str) -> None:
        """As a person does: press, look, press again."""
        for _ in range(20):
            self.press(key)
            limit = time.monotonic() + 1.0
            while time.monotonic() < limit:
                if text not in self.screen():
                    return
                time.sleep(0.05)
        raise AssertionError(f"{text} stays on the screen:\n{self.screen()}")

    def end(self) -> None:
        subprocess.run([*self._base, "kill-server"], capture_output=True, check=False)

    def _run(self, *command: str) -> str:
        return subprocess.run([*self._base, *command], capture_output=True, text=True, check=True, timeout=20).stdout


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

    jobs = terminal.shows("waits for your decision", within=60)
    assert all(len(line) <= 80 for line in jobs.splitlines())
    assert "guest → host" in jobs

    terminal.press("A")
    card = terminal.shows("sample_alignment", "demo#breast_cancer", "WHAT LEAVES THIS NODE")
    assert "asked by     guest" in card

    terminal.press("A")
    terminal.shows("to approve")
    terminal.type(_job_id(home)[-4:])
    # Once for the id and once for the remark, which stays empty.
    terminal.press_until_gone("Enter", "to approve")
    terminal.shows("✓ done")

    terminal.press("d")
    detail = terminal.shows("psi_0", "approvals and results")
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
