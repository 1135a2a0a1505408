"""Named SQL: every statement of the store lives in `store/sql/*.sql` as a block headed `-- name: jobs.head`."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from types import MappingProxyType

_HEADER = re.compile(r"--\s*name:\s*([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+)\s*")


@functools.cache
def statements() -> Mapping[str, str]:
    """All blocks by name, read once. `ValueError` names file and fault of a malformed or duplicate block."""
    folder = resources.files("embedded_scheduler.store").joinpath("sql")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return MappingProxyType(collect((file.name, file.read_text("utf-8")) for file in files))


def collect(files: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The blocks of (file name, text) pairs by name; `ValueError` if a name comes twice."""
    found: dict[str, str] = {}
    for file, text in files:
        for name, sql in blocks(file, text):
            if name in found:
                raise ValueError(f"{file}: {name} is defined twice")
            found[name] = sql
    return found


def blocks(file: str, text: str) -> Iterator[tuple[str, str]]:
    """The (name, SQL) pairs of one file in order; `file` is only named in errors."""
    name = ""
    lines: list[str] = []
    for line in text.splitlines():
        header = _HEADER.fullmatch(line.strip())
        if header:
            yield from _finished(file, name, lines)
            name, lines = header.group(1), []
        elif line.lstrip().startswith("-- name:"):
            raise ValueError(f"{file}: {line.strip()!r} does not name a block (wanted `-- name: topic.verb`)")
        elif name:
            lines.append(line)
        elif line.strip() and not line.lstrip().startswith("--"):
            raise ValueError(f"{file}: {line.strip()!r} stands before the first `-- name:`")
    yield from _finished(file, name, lines)


def _finished(file: str, name: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    if not name:
        return
    if not any(line.strip() and not line.lstrip().startswith("--") for line in lines):
        raise ValueError(f"{file}: {name} is empty")
    yield name, "\n".join(lines).strip()
