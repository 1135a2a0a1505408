"""The SDK as a wheel, and a component as one executable file. The same content gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import BytesIO
from pathlib import Path

from nodeconsole import __version__
from nodeconsole.kit.project import KitFault, Project
from nodeconsole.programs import environment_for_others

SDK_WHEEL = f"nodeconsole_sdk-{__version__}-py3-none-any.whl"
SYSTEM_PYTHON = "/usr/bin/env python3"

_PACKAGE = "algorithm_components"
_SDK = "sdk"
_DATE = (1980, 1, 1, 0, 0, 0)
_LONGEST_SHEBANG = 250
"""What every Linux reads of the first line."""
_NODE_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where a component finds programs on a node."""
_OLDEST = (3, 11)

_METADATA = f"""Metadata-Version: 2.1
Name: nodeconsole-sdk
Version: {__version__}
Summary: What components of privacy-computing nodes are written with.
License: Apache-2.0
Requires-Python: >={_OLDEST[0]}.{_OLDEST[1]}
"""
_WHEEL = "Wheel-Version: 1.0\nGenerator: nodeconsole\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_MAIN = """import sys

if sys.version_info < {oldest}:
    sys.exit(f"error: this component needs Python {oldest[0]}.{oldest[1]} or newer; {{sys.executable}} is older")

from {package}.component import main

sys.exit(main())
"""


def write_sdk_wheel(directory: Path) -> Path:
    """The SDK of this very program as `SDK_WHEEL`, for `pip install` in images and virtual environments."""
    content = dict(sdk_files())
    info = f"nodeconsole_sdk-{__version__}.dist-info"
    content |= {f"{info}/METADATA": _METADATA.encode(), f"{info}/WHEEL": _WHEEL.encode()}
    record = [f"{name},sha256={_record_digest(data)},{len(data)}" for name, data in sorted(content.items())]
    content[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / SDK_WHEEL
    target.write_bytes(zipped(content))
    return target


def build_program(project: Project, target: Path, python: str = "") -> Path:
    """The component's package and the SDK as one executable file, run by `python` (a path; default: `default_python`).

    `KitFault` if the folder holds no package that can be run.
    """
    package = project.package
    if not (package / "component.py").is_file():
        raise KitFault(f"{package} has no component.py with main(): a program in another language is built by you")
    words = python or default_python()
    if len(words) > _LONGEST_SHEBANG or (words.startswith("/") and " " in words and words != SYSTEM_PYTHON):
        raise KitFault(f"{words} cannot start a program: its path is too long or has a space in it")
    content = dict(sdk_files())
    content |= {name: data for name, data in _walk(package, package.name) if not name.endswith("/__main__.py")}
    content["__main__.py"] = _MAIN.format(package=package.name, oldest=_OLDEST).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    pending = target.with_name(f".{target.name}.pending")
    pending.write_bytes(f"#!{words}\n".encode() + zipped(content))
    pending.chmod(0o755)
    # A run that has the old file open keeps it.
    pending.replace(target)
    return target


def default_python() -> str:
    """The system's Python where a node finds one that is new enough, else the one that runs this program."""
    found = shutil.which("python3", path=_NODE_PATH)
    if found is not None and _version_of(found) >= _OLDEST:
        return SYSTEM_PYTHON
    if getattr(sys, "frozen", False):
        raise KitFault(
            f"there is no Python {_OLDEST[0]}.{_OLDEST[1]} in {_NODE_PATH}: install one, or name it by --python"
        )
    return os.path.realpath(sys.executable)


def _version_of(python: str) -> tuple[int, int]:
    asked = subprocess.run(  # noqa: S603 - found on a fixed path
        [python, "-I", "-c", "import sys; print(*sys.version_info[:2])"],
        capture_output=True,
        text=True,
        env=environment_for_others(),
        check=False,
    )
    found = re.fullmatch(r"(\d+) (\d+)\s*", asked.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def sdk_files() -> Iterator[tuple[str, bytes]]:
    """The SDK of this very program, by path from where packages are found."""
    root = files(_PACKAGE)
    for name in ("__init__.py", "py.typed"):
        yield f"{_PACKAGE}/{name}", root.joinpath(name).read_bytes()
    yield from _walk(root.joinpath(_SDK), f"{_PACKAGE}/{_SDK}")


def _walk(place: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(place.iterdir(), key=lambda found: found.name):
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{name}/{entry.name}")
        else:
            yield f"{name}/{entry.name}", entry.read_bytes()


def zipped(content: Mapping[str, bytes]) -> bytes:
    """A zip archive without dates."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(content.items()):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _record_digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
