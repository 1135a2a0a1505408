"""Where an operator's own files lie (configuration and state, by the rules of the XDG base directories), and how files
are written for the operator alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def config_directory(environ: Mapping[str, str]) -> Path | None:
    """`$XDG_CONFIG_HOME/nodeconsole`; None where nobody has a home."""
    return _directory(environ, "XDG_CONFIG_HOME", ".config")


def state_directory(environ: Mapping[str, str]) -> Path | None:
    """`$XDG_STATE_HOME/nodeconsole`."""
    return _directory(environ, "XDG_STATE_HOME", ".local/state")


def _directory(environ: Mapping[str, str], variable: str, default: str) -> Path | None:
    # The specification says that a relative path counts as none.
    chosen = environ.get(variable, "")
    if chosen.startswith("/"):
        return Path(chosen) / "nodeconsole"
    return Path(environ["HOME"]) / default / "nodeconsole" if environ.get("HOME") else None


def replace_file(path: Path, content: str) -> None:
    """Write a whole file (0600) or leave the old one; OSError when that is not possible."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def create_file(path: Path) -> int:
    """A descriptor to write a new file with, readable for this user alone: what an operator saves names partners and
    data. FileExistsError when there is one, which is never replaced."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
