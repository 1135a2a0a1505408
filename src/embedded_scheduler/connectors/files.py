"""What connectors that read one file of the node's machine have in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import InvalidRequest

CHUNK = 1024 * 1024


def file_of(connector: str, options: Mapping[str, Any], known: Collection[str]) -> Path:
    """The option `path`; `InvalidRequest` for one that is missing or relative, and for options that are not `known`."""
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InvalidRequest(f"{connector}: unknown option {shorten(unknown[0])}; known: {', '.join(sorted(known))}")
    path = options.get("path")
    if not isinstance(path, str) or not path or "\0" in path:
        raise InvalidRequest(f"{connector}: option path (an absolute file name) is missing")
    if not Path(path).is_absolute():
        raise InvalidRequest(f"{connector}: path must be absolute (got {shorten(path)})")
    return Path(path)


def opened(connector: str, path: Path) -> BinaryIO:
    try:
        if not path.is_file():
            what = f"there is no file {path}" if not path.exists() else f"{path} is not a file"
            raise InvalidRequest(f"{connector}: {what}")
        return path.open("rb")
    except OSError as error:
        raise InvalidRequest(f"{connector}: {path} cannot be read: {error.strerror or error}") from None


def fingerprint_of(connector: str, path: Path) -> str:
    """SHA-256 (hex) over the file's bytes."""
    digest = hashlib.sha256()
    with opened(connector, path) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def as_text(value: Any) -> str:
    """A typed value as components read it: nothing is an empty string, numbers are exact, lists and objects JSON."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case Decimal():
            return format(value, "f")
        case list() | dict():
            return json.dumps(value, ensure_ascii=False, default=str)
        case _:
            return str(value)


def check_header(what: str, names: Collection[str]) -> tuple[str, ...]:
    """Names of columns: some, none empty, none twice, all printable."""
    header = tuple(names)
    if not header:
        raise InvalidRequest(f"{what}: there are no columns")
    bad = next((name for name in header if not name.strip() or not name.isprintable()), None)
    if bad is not None:
        raise InvalidRequest(f"{what}: {shorten(bad)} cannot be a column's name")
    if len(set(header)) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise InvalidRequest(f"{what}: two columns are named {shorten(twice)}")
    return header
