"""Strict reading of JSON bodies: what two programs could read differently is refused."""

from __future__ import annotations

import json
import math
from typing import Any

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import InvalidRequest, TooLarge

LONGEST_INTEGER = 20
"""Digits; enough for every 64-bit number."""


class _FaultError(ValueError):
    """A value that JSON's grammar lets pass and we do not."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _FaultError(f"member {shorten(name)} appears twice in one object")
            seen.add(name)
    return result


def _integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise _FaultError(f"the number {shorten(text)} is too long")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _FaultError(f"the number {shorten(text)} is too large")
    return value


def _constant(text: str) -> Any:
    raise _FaultError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_number, parse_constant=_constant
)


def decode_object(body: bytes, *, depth: int) -> dict[str, Any]:
    """The JSON object in `body`.

    `InvalidRequest` for anything but one UTF-8 JSON object: malformed text, NaN and infinities, repeated members, half
    surrogates, integers of more than 20 digits. `TooLarge` for nesting deeper than `depth`.
    """
    if not body.strip():
        raise InvalidRequest("the body is empty: send a JSON object")
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except _FaultError as fault:
        raise InvalidRequest(f"the body cannot be accepted: {fault}") from None
    except RecursionError:
        raise _too_deep(depth) from None
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object")
    _check_structure(body, value, depth)
    return value


def _check_structure(body: bytes, value: dict[str, Any], depth: int) -> None:
    # Small bodies cannot be too deep and bodies without escapes have no half surrogates: the walk is for the rest.
    if body.count(b"{") + body.count(b"[") > depth or b"\\ud" in body or b"\\uD" in body:
        _walk(value, depth)


def _walk(value: Any, depth: int) -> None:
    level: list[Any] = [value]
    for _ in range(depth):
        following: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                for name, member in item.items():
                    _check_text(name)
                    following.append(member)
            elif isinstance(item, list):
                following.extend(item)
            elif isinstance(item, str):
                _check_text(item)
        if not following:
            return
        level = following
    if any(isinstance(item, dict | list) for item in level):
        raise _too_deep(depth)
    for item in level:
        if isinstance(item, str):
            _check_text(item)


def _check_text(text: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest(f"the body cannot be accepted: half a surrogate pair in {shorten(text)}")


def _too_deep(depth: int) -> TooLarge:
    return TooLarge(f"the body is nested deeper than {depth} levels (limits.json_depth)")
