"""A component's folder: its manifest, its package, and what lies beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algorithm_components.sdk.forms.relaxed import Unreadable, parse_object
from nodeconsole.bundles import parts

MANIFEST = "manifest.json"
_LARGEST = 16 * 1024 * 1024
_SKIPPED = re.compile(r"[._]|(?:build|dist|tests|wheels|data)$")


class KitFault(Exception):
    """The kit cannot do what was asked; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Project:
    """`directory` is what the author works in, `package` the Python package that holds the manifest.

    `mended`: what had to be read over in the manifest to read it at all (`comments`, `commas`).
    """

    directory: Path
    package: Path
    manifest: dict[str, Any]
    mended: tuple[str, ...]
    image_url: str
    """What the file itself says, if it is a register message; empty = nothing."""

    @property
    def name(self) -> str:
        return str(self.manifest.get("componentName") or self.package.name)

    @property
    def program(self) -> Path:
        """Where `component build` puts the finished program."""
        return self.directory / "dist" / f"{self.package.name}.pyz"

    @property
    def interpreter(self) -> Path | None:
        """The Python of the folder's own virtual environment, if there is one."""
        path = self.directory / ".venv" / "bin" / "python"
        return path if path.exists() else None


def open_project(path: Path) -> Project:
    """The component in a folder, or the one that a manifest file describes. `KitFault` says why there is none."""
    file = find_manifest(path)
    try:
        if file.stat().st_size > _LARGEST:
            raise KitFault(f"{file}: larger than 16 MiB")
        document, mended = parse_object(file.read_text("utf-8-sig"))
    except OSError as error:
        raise KitFault(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise KitFault(f"{file}: not UTF-8 (byte {error.start})") from None
    except Unreadable as error:
        raise KitFault(f"{file}: {error}") from None
    manifest, image_url = parts(document)
    package = file.parent
    directory = path if path.is_dir() else package
    return Project(directory.absolute(), package.absolute(), dict(manifest), mended, image_url)


def find_manifest(path: Path) -> Path:
    """The manifest that `path` is or holds: at its top, or in exactly one package below it."""
    if not path.is_dir():
        return path
    if (path / MANIFEST).is_file():
        return path / MANIFEST
    below = sorted(
        file for pattern in (f"*/{MANIFEST}", f"src/*/{MANIFEST}") for file in path.glob(pattern) if _counts(file, path)
    )
    if len(below) == 1:
        return below[0]
    if not below:
        raise KitFault(f"{path} holds no {MANIFEST}: `nodeconsole component new NAME` makes a folder to start from")
    found = ", ".join(str(file.relative_to(path)) for file in below)
    raise KitFault(f"{path} holds several components ({found}): name the manifest of one")


def _counts(file: Path, path: Path) -> bool:
    return not any(_SKIPPED.match(part) for part in file.parent.relative_to(path).parts)
