"""What runs on this machine, for tests that look for what was left behind."""

from __future__ import annotations

import os
from pathlib import Path


def processes_of(path: Path, word: str = "") -> list[int]:
    """Processes whose command line names `path` or something below it, and `word`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(path) in command and word.encode() in command:
                found.append(int(entry.name))
    return found
