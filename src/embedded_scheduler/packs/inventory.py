"""The list of all files of an installed pack with their SHA-256, and what has changed since."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path

from embedded_scheduler.domain.pack import FILES_FILE, RECORD_FILE

_OWN = frozenset({FILES_FILE, RECORD_FILE})
_LINK = "link:"


@dataclass(frozen=True, slots=True)
class Inventory:
    """`entries`: path below the pack's directory to SHA-256 (hex), or `link:` and where a link leads."""

    entries: Mapping[str, str]
    size: int

    def encode(self) -> bytes:
        lines = (_line(path, digest) for path, digest in sorted(self.entries.items()))
        return "".join(lines).encode("utf-8", "surrogateescape")

    @property
    def digest(self) -> str:
        return sha256(self.encode()).hexdigest()


def take(directory: Path) -> Inventory:
    """Reads every file. Blocks."""
    entries: dict[str, str] = {}
    size = 0
    for path in _walk(directory):
        name = str(path.relative_to(directory))
        if path.is_symlink():
            entries[name] = _LINK + str(path.readlink())
            continue
        with path.open("rb") as file:
            entries[name] = file_digest(file, "sha256").hexdigest()
            size += os.fstat(file.fileno()).st_size
    return Inventory(entries, size)


def read(directory: Path) -> Mapping[str, str]:
    """The list that was kept at the installation; `OSError` or ValueError if it cannot be read. Blocks."""
    text = (directory / FILES_FILE).read_bytes().decode("utf-8", "surrogateescape")
    return dict(map(_entry, text.split("\n")[:-1]))


def differences(kept: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """One line for each file that is missing, changed, or was added."""
    faults = [f"{path} is missing" for path in kept.keys() - found.keys()]
    faults += [f"{path} was added" for path in found.keys() - kept.keys()]
    faults += [f"{path} was changed" for path in kept.keys() & found.keys() if kept[path] != found[path]]
    return sorted(faults)


def _line(path: str, digest: str) -> str:
    """As sha256sum writes it: a backslash before a line whose path has a line break, which is `\\n` there."""
    if "\n" not in path:
        return f"{digest}  {path}\n"
    escaped = path.replace("\\", "\\\\").replace("\n", "\\n")
    return f"\\{digest}  {escaped}\n"


def _entry(line: str) -> tuple[str, str]:
    digest, path = line.split("  ", 1)
    if not digest.startswith("\\"):
        return path, digest
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], path), digest[1:]


def _walk(directory: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(directory):
        here = Path(folder)
        yield from (here / name for name in files if here != directory or name not in _OWN)
        yield from (here / name for name in folders if (here / name).is_symlink())


def digest_of(directory: Path) -> str:
    """SHA-256 (hex) of the list that was kept; empty if there is none. Blocks."""
    try:
        return sha256((directory / FILES_FILE).read_bytes()).hexdigest()
    except OSError:
        return ""
