"""The list of all files of an installed pack with their SHA-256, and what has changed since."""

from __future__ import annotations

import os
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
        return "".join(f"{digest}  {path}\n" for path, digest in sorted(self.entries.items())).encode(
            "utf-8", "surrogateescape"
        )

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
    lines = (directory / FILES_FILE).read_bytes().decode("utf-8", "surrogateescape").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def differences(kept: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """One line for each file that is missing, changed, or was added."""
    faults = [f"{path} is missing" for path in kept.keys() - found.keys()]
    faults += [f"{path} was added" for path in found.keys() - kept.keys()]
    faults += [f"{path} was changed" for path in kept.keys() & found.keys() if kept[path] != found[path]]
    return sorted(faults)


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
