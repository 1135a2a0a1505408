"""Finds the Python that a pack asks for, and a pip that can install for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded_scheduler.domain.pack import PythonRange
from embedded_scheduler.errors import Refused
from embedded_scheduler.sentences import say

_PLACES = ("/usr/local/bin", "/usr/bin", "/bin")
_MINORS = range(8, 30)
_ASK = (
    "import json, sys; "
    "print(json.dumps([getattr(sys, '_base_executable', '') or sys.executable, *sys.version_info[:3], "
    "sys.implementation.name, sys.base_prefix, sys.base_exec_prefix]))"
)
_PATIENCE_S = 30.0
_PASSED = re.compile(r"(?i)(https?|all|no)_proxy|PIP_\w+|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|PATH|HOME|LANG|XDG_\w+")
"""What of the node's environment an installation needs; nothing else reaches it, least of all a passphrase."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """`path` is no virtual environment's. `needs`: directories without which it does not run."""

    path: str
    version: tuple[int, int, int]
    needs: tuple[str, ...]

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


def own_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)}


def find(wanted: PythonRange, named: str = "") -> Interpreter | None:
    """The first CPython that fits, of those on PATH, of pyenv and of uv; None if there is none. Blocks.

    `named`: the operator's choice, which alone is looked at: `Refused` if it does not fit.
    """
    if named:
        chosen = _ask(shutil.which(named) or named)
        if chosen is None:
            raise Refused(say("no_python", path=named))
        if not wanted.holds(chosen.version[:2]):
            raise Refused(say("python_version", path=named, version=chosen.version_text, wanted=wanted.text))
        return chosen
    asked: set[str] = set()
    for candidate in _candidates(wanted):
        real = os.path.realpath(candidate)
        if real in asked:
            continue
        asked.add(real)
        found = _ask(candidate)
        if found is not None and wanted.holds(found.version[:2]):
            return found
    return None


@dataclass(frozen=True, slots=True)
class Pip:
    command: Sequence[str]
    version: tuple[int, int]

    @property
    def tells_progress(self) -> bool:
        """It says in a form for programs how far a download is."""
        return self.version >= _RAW_PROGRESS


def pip_for(interpreter: Interpreter, scratch: Path) -> Pip:
    """A pip that can install into an environment of this interpreter. Blocks.

    `scratch` is a directory that may be created for it. `Refused` says what to install if there is none.
    """
    own = [] if getattr(sys, "frozen", False) else [sys.executable]
    for python in dict.fromkeys([*own, interpreter.path]):
        found = _pip([python, "-m", "pip"])
        if found.version >= _SEPARATE:
            return found
    made = _run([interpreter.path, "-I", "-m", "venv", str(scratch)])
    found = _pip([str(scratch / "bin" / "python"), "-m", "pip"])
    if made is not None and found.version >= _SEPARATE:
        return found
    major, minor = interpreter.version[:2]
    raise Refused(say("no_pip", low=_SEPARATE[0], high=_SEPARATE[1], path=interpreter.path, major=major, minor=minor))


_SEPARATE = (22, 3)
"""Since then pip installs for another interpreter."""
_RAW_PROGRESS = (24, 1)


def _candidates(wanted: PythonRange) -> Iterator[str]:
    path = os.pathsep.join([*os.environ.get("PATH", "").split(os.pathsep), *_PLACES])
    fitting = [f"3.{minor}" for minor in _MINORS if wanted.holds((3, minor))]
    if not getattr(sys, "frozen", False):
        yield sys.executable
    for name in (*(f"python{version}" for version in fitting), "python3"):
        found = shutil.which(name, path=path)
        if found:
            yield found
    home = Path.home()
    kept = (
        (Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions", "*{}.*/bin/python3"),
        (Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share") / "uv/python", "*-{}.*/bin/python3"),
    )
    for folder, pattern in kept:
        for version in fitting:
            yield from sorted(map(str, folder.glob(pattern.format(version))))


def _ask(python: str) -> Interpreter | None:
    answer = _run([python, "-I", "-c", _ASK])
    try:
        path, major, minor, micro, kind, *prefixes = json.loads(answer or "")
    except ValueError:
        return None
    if kind != "cpython":
        return None
    real = os.path.realpath(path)
    needs = dict.fromkeys([*prefixes, str(Path(real).parent.parent)])
    return Interpreter(real, (major, minor, micro), tuple(needs))


def _pip(command: Sequence[str]) -> Pip:
    found = re.match(r"pip (\d+)\.(\d+)", _run([*command, "--version"]) or "")
    return Pip(command, (int(found[1]), int(found[2])) if found else (0, 0))


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str | None:
    """What it printed; None if it cannot be run or failed."""
    try:
        done = subprocess.run(  # noqa: S603 - an interpreter of this machine, our own words
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            env=own_environment() if environment is None else dict(environment),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None
