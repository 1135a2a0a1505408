"""A form from a JSON schema, as pydantic writes one: the options of a connector, a message of the console."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from algorithm_components.sdk.forms.model import Choice, Control, Field, FormSpec, Kind
from algorithm_components.sdk.forms.validators import Validator, parse_validator, range_of
from algorithm_components.sdk.forms.values import shown_text

_KINDS: Mapping[str, Kind] = {
    "string": Kind.TEXT,
    "integer": Kind.INTEGER,
    "number": Kind.NUMBER,
    "boolean": Kind.FLAG,
    "object": Kind.JSON,
    "array": Kind.JSON,
}


def form_of_schema(schema: Mapping[str, Any]) -> FormSpec:
    """One field per property. Of a choice of types the first that is not null counts; what is deeper than one level is
    edited as JSON. `format: password` and `writeOnly` make a secret; `x-provider` names a provider of the node."""
    properties = schema.get("properties")
    required = schema.get("required")
    names = set(required) if isinstance(required, list) else set()
    found = properties.items() if isinstance(properties, Mapping) else ()
    fields = tuple(
        _field(str(name), part, schema, required=name in names) for name, part in found if isinstance(part, Mapping)
    )
    return FormSpec(shown_text(schema.get("title")), fields)


def _field(name: str, part: Mapping[str, Any], whole: Mapping[str, Any], *, required: bool) -> Field:
    inner = _resolved(part, whole)
    choices = tuple(_choices(inner))
    type_name = inner.get("type") if isinstance(inner.get("type"), str) else "string" if choices else "object"
    kind = _KINDS.get(str(type_name), Kind.TEXT)
    items = inner.get("items")
    listed = tuple(_choices(_resolved(items, whole))) if isinstance(items, Mapping) else ()
    return Field(
        name=name,
        title=shown_text(part.get("title", inner.get("title"))),
        description=shown_text(part.get("description", inner.get("description"))),
        kind=Kind.TEXT if listed else kind,
        control=_control(kind, part, choices=bool(choices), listed=bool(listed)),
        type_name=str(type_name),
        required=required,
        default=shown_text(part.get("default", inner.get("default"))),
        choices=choices or listed,
        provider=shown_text(part.get("x-provider")),
        validator=_validator(inner, name),
        multiple=bool(listed),
        secret=part.get("format", inner.get("format")) == "password" or part.get("writeOnly") is True,
        raw=part,
    )


def _control(kind: Kind, part: Mapping[str, Any], *, choices: bool, listed: bool) -> Control:
    if listed:
        return Control.CHECKBOX
    if choices or part.get("x-provider"):
        return Control.SELECT
    if kind is Kind.FLAG:
        return Control.SWITCH
    if kind in (Kind.INTEGER, Kind.NUMBER):
        return Control.NUMBER
    return Control.AREA if kind is Kind.JSON or part.get("format") == "textarea" else Control.INPUT


def _resolved(part: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part itself, what it refers to, or the first of its alternatives that is not null."""
    for _ in range(8):
        reference = part.get("$ref")
        if isinstance(reference, str):
            part = _referred(reference, whole)
            continue
        options = part.get("anyOf", part.get("oneOf", part.get("allOf")))
        chosen = [one for one in options if isinstance(one, Mapping) and one.get("type") != "null"] if options else []
        if not chosen:
            return part
        part = chosen[0]
    return {}


def _referred(reference: str, whole: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = whole
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _choices(part: Mapping[str, Any]) -> Iterable[Choice]:
    values = part.get("enum", [part["const"]] if "const" in part else ())
    if isinstance(values, list | tuple):
        yield from (Choice(shown_text(value)) for value in values if value is not None)


def _validator(part: Mapping[str, Any], name: str) -> Validator | None:
    pattern = part.get("pattern")
    if isinstance(pattern, str):
        return parse_validator(f"regular:{pattern}", name)[0]
    low, high = part.get("minimum"), part.get("maximum")
    below, above = part.get("exclusiveMinimum"), part.get("exclusiveMaximum")
    return range_of(
        below if low is None else low,
        above if high is None else high,
        with_low=low is not None,
        with_high=high is not None,
    )
