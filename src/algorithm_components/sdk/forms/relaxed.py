"""JSON as people write it, and the specification: with comments, and with commas before closing brackets."""

from __future__ import annotations

import json
import re
from typing import Any

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|//[^\n]*|/\*.*?\*/|,(?=(?:\s|//[^\n]*|/\*.*?\*/)*[}\]])', re.DOTALL)


class Unreadable(Exception):
    """Not JSON, even read liberally. The text names the place."""


def parse_object(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The object, and what was read over: `comments`, `commas`."""
    text = text.removeprefix("\ufeff")
    try:
        return _object(text), ()
    except json.JSONDecodeError as error:
        mended, found = _mended(text)
        if not found:
            raise Unreadable(_place(error)) from None
    try:
        return _object(mended), found
    except json.JSONDecodeError as error:
        raise Unreadable(_place(error)) from None


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise Unreadable(str(error)) from None
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    return value


def _mended(text: str) -> tuple[str, tuple[str, ...]]:
    """Blanks in the place of what is not JSON, so that lines and columns of other faults stay true."""
    found: dict[str, None] = {}

    def blank(match: re.Match[str]) -> str:
        piece = match[0]
        if piece.startswith('"'):
            return piece
        found["commas" if piece == "," else "comments"] = None
        return re.sub(r"[^\n]", " ", piece)

    return _TOKEN.sub(blank, text), tuple(found)


def _place(error: json.JSONDecodeError) -> str:
    return f"line {error.lineno}, column {error.colno}: {error.msg}"


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
