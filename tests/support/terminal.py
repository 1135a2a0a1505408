"""A real terminal for tests: tmux, with keys pressed and screens read as a person does."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path


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
