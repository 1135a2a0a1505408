"""`dependsOn`: which fields are shown because of the values of others."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from algorithm_components.sdk.forms.model import Condition, Field, Kind, Note, note
from algorithm_components.sdk.forms.values import is_on, same_value

_MOST_CONDITIONS = 50
"""Of one field. No description needs more, and a hostile one must not cost more."""


def checked_conditions(fields: Mapping[str, Field]) -> tuple[dict[str, Field], list[Note]]:
    """The fields with what they depend on. What names no field, or goes round in a circle, counts for nothing and is
    noted."""
    notes: list[Note] = []
    given = {name: _conditions(field, fields, notes) for name, field in fields.items()}
    for name in given:
        cycle = _cycle(name, given)
        if cycle:
            notes.append(note("cycle", name, cycle=" -> ".join(cycle)))
    circular = {said.about for said in notes if said.code == "cycle"}
    return {
        name: replace(field, conditions=() if name in circular else given[name]) for name, field in fields.items()
    }, notes


def _conditions(field: Field, fields: Mapping[str, Field], notes: list[Note]) -> tuple[Condition, ...]:
    """All of them have to hold; values of one field are alternatives."""
    wanted: dict[str, list[str] | None] = {}
    for text in _written(_member(field.raw, "dependson"))[:_MOST_CONDITIONS]:
        name, value = _split(text, fields)
        if name not in fields:
            notes.append(note("unknown_dependency", field.name, dependency=text))
            continue
        if value is None:
            wanted.setdefault(name, None)
            continue
        known = wanted.setdefault(name, [])
        if known is not None:
            known.append(value)
    return tuple(Condition(name, tuple(values or ())) for name, values in wanted.items())


def _member(raw: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in raw.items() if str(key).lower() == name), None)


def _written(value: object) -> list[str]:
    if isinstance(value, str):
        value = value.replace("，", ",").split(",")
    if not isinstance(value, list | tuple):
        return []
    return [item.strip() for item in value if isinstance(item, str) and item.strip()]


def _split(text: str, fields: Mapping[str, Field]) -> tuple[str, str | None]:
    """`param` or `param.value`; names and values may hold dots, so the longest name that exists counts."""
    if text in fields:
        return text, None
    for at in range(len(text) - 1, 0, -1):
        if text[at] == "." and text[:at] in fields:
            return text[:at], text[at + 1 :]
    return text.split(".", 1)[0], None


def _cycle(start: str, given: Mapping[str, tuple[Condition, ...]]) -> list[str]:
    """The way from a field back to itself; empty = there is none."""
    came_from: dict[str, str] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        for condition in given[name]:
            if condition.name == start:
                return _way(start, name, came_from)
            if condition.name not in came_from:
                came_from[condition.name] = name
                waiting.append(condition.name)
    return []


def _way(start: str, last: str, came_from: Mapping[str, str]) -> list[str]:
    way = [start, last] if last != start else [start]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return [*way[::-1], start] if len(way) == 1 else way[::-1]


def dependency_order(fields: Mapping[str, Field]) -> tuple[str, ...]:
    """The names, every field behind those it depends on."""
    waiting = {
        name: {condition.name for condition in field.conditions if condition.name in fields}
        for name, field in fields.items()
    }
    dependents: dict[str, list[str]] = {}
    for name, others in waiting.items():
        for other in others:
            dependents.setdefault(other, []).append(name)
    ready = deque(name for name, others in waiting.items() if not others)
    order: list[str] = []
    while ready:
        name = ready.popleft()
        order.append(name)
        for dependent in dependents.get(name, ()):
            waiting[dependent].discard(name)
            if not waiting[dependent]:
                ready.append(dependent)
    placed = set(order)
    return (*order, *(name for name in fields if name not in placed))


def holds(condition: Condition, field: Field, text: str) -> bool:
    """Whether a field's text fulfils a condition."""
    if condition.values:
        return any(same_value(text, value) for value in condition.values)
    return is_on(text) if field.kind is Kind.FLAG else bool(text.strip())
