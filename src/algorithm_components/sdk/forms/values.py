"""Between what a person types and JSON data."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from algorithm_components.sdk.forms.model import Choice, Field, Kind, Note, note

_TRUE = frozenset({"true", "1", "yes", "y", "on", "是"})
_FALSE = frozenset({"false", "0", "no", "n", "off", "否"})
_INTEGER = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_WHOLE = re.compile(r"([+-]?\d{1,40})(?:\.0{1,20})?", re.ASCII)
"""Some programs write whole numbers with a fraction."""
_NUMBER = re.compile(r"[+-]?(\d{1,60}\.?\d{0,60}|\.\d{1,60})([eE][+-]?\d{1,4})?", re.ASCII)
_LONGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """JSON data, or why the text is none. `value` None = nothing was given."""

    value: Any = None
    fault: Note | None = None


def read(field: Field, text: str) -> Reading:
    """What the text of a field means, checked by everything its description says."""
    if len(text) > _LONGEST:
        return Reading(fault=note("too_long", field.name, most=_LONGEST))
    if not text.strip():
        if field.required:
            return Reading(fault=note("required", field.name))
        return Reading(text if text and field.kind is Kind.TEXT and not field.choices else None)
    reading = _read_list(field, text) if field.multiple else _read_one(field, text)
    if reading.fault is None and field.validator is not None and not field.choices:
        fault = field.validator.fault(reading.value, field.name)
        return Reading(reading.value, fault)
    return reading


def _read_one(field: Field, text: str) -> Reading:
    if not field.choices:
        return _typed(field, text)
    values = selectable(field.choices)
    chosen = text if text in values else text.strip()
    if chosen not in values:
        return Reading(fault=note("not_in", field.name, value=shortened(text), choices=", ".join(values)))
    typed = _typed(field, chosen)
    # A choice of another type than the parameter's is the author's word: `all` among numbers of rows.
    return Reading(chosen) if typed.fault is not None else typed


def _read_list(field: Field, text: str) -> Reading:
    known = selectable(field.choices)
    chosen = split_list(text)
    unknown = [item for item in chosen if known and item not in known]
    if unknown:
        return Reading(fault=note("not_in", field.name, value=", ".join(unknown), choices=", ".join(known)))
    values = []
    for item in chosen:
        typed = _typed(field, item)
        values.append(item if typed.fault is not None else typed.value)
    return Reading(values)


def selectable(choices: Sequence[Choice]) -> list[str]:
    return [choice.value for choice in choices if not choice.heading]


def split_list(text: str) -> list[str]:
    """A list as JSON or separated by commas."""
    if text.lstrip().startswith("["):
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, list):
            return [shown_text(item) for item in parsed]
    return [part.strip() for part in re.split("[,，、;；]", text) if part.strip()]


def join_list(values: Sequence[str]) -> str:
    return json.dumps(list(values), ensure_ascii=False) if values else ""


def _typed(field: Field, text: str) -> Reading:
    trimmed = text.strip()
    match field.kind:
        case Kind.INTEGER:
            whole = _WHOLE.fullmatch(trimmed)
            return Reading(int(whole[1])) if whole else Reading(fault=note("whole", field.name))
        case Kind.NUMBER:
            return _number(field, trimmed)
        case Kind.FLAG:
            word = trimmed.lower()
            if word in _TRUE or word in _FALSE:
                return Reading(word in _TRUE)
            return Reading(fault=note("flag", field.name))
        case Kind.JSON:
            return _json(field, text)
    return Reading(text)


def _number(field: Field, text: str) -> Reading:
    if _INTEGER.fullmatch(text):
        return Reading(int(text))
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return Reading(float(text))
    return Reading(fault=note("number", field.name))


def _json(field: Field, text: str) -> Reading:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        return Reading(fault=note("json", field.name, line=error.lineno, column=error.colno, fault=error.msg))
    except (ValueError, RecursionError) as error:
        return Reading(fault=note("json", field.name, line=1, column=1, fault=type(error).__name__))
    return Reading(value)


def _no_constant(name: str) -> float:
    raise ValueError(name)


def shown_text(value: object) -> str:
    """JSON data as the text that means it; None is nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def is_on(text: str) -> bool:
    return text.strip().lower() in _TRUE


def same_value(one: str, other: str) -> bool:
    """Whether two texts name the same choice: `True` and `true`, `1.0` and `1` do."""
    first, second = one.strip(), other.strip()
    if first.lower() == second.lower():
        return True
    if _NUMBER.fullmatch(first) and _NUMBER.fullmatch(second):
        return float(first) == float(second)
    return False


def shortened(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
