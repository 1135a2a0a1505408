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
from embedded_scheduler.sentences import say

CHUNK = 1024 * 1024


def file_of(connector: str, options: Mapping[str, Any], known: Collection[str]) -> Path:
    """The option `path`; `InvalidRequest` for one that is missing or relative, and for options that are not `known`."""
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InvalidRequest(
            say("option_unknown", connector=connector, option=shorten(unknown[0]), known=", ".join(sorted(known)))
        )
    path = options.get("path")
    if not isinstance(path, str) or not path or "\0" in path:
        raise InvalidRequest(say("option_path_missing", connector=connector))
    if not Path(path).is_absolute():
        raise InvalidRequest(say("option_path_absolute", connector=connector, path=shorten(path)))
    return Path(path)


def opened(connector: str, path: Path) -> BinaryIO:
    try:
        if not path.is_file():
            what = f"there is no file {path}" if not path.exists() else f"{path} is not a file"
            raise InvalidRequest(say("about", name=connector, what=what))
        return path.open("rb")
    except OSError as error:
        raise InvalidRequest(
            say("source_unreadable", connector=connector, path=str(path), error=str(error.strerror or error))
        ) from None


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
        raise InvalidRequest(say("source_no_columns", what=what))
    bad = next((name for name in header if not name.strip() or not name.isprintable()), None)
    if bad is not None:
        raise InvalidRequest(say("source_bad_column", what=what, name=shorten(bad)))
    if len(set(header)) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise InvalidRequest(say("source_same_columns", what=what, name=shorten(twice)))
    return header
