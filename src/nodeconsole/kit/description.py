"""What in a self-description is wrong: where, what, and what would be right. Stricter than what nodes read over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from algorithm_components.sdk.forms.model import Note
from algorithm_components.sdk.forms.selfdesc import form_of_component
from embedded_scheduler.domain.component import BoolStyle, parse_manifest
from embedded_scheduler.domain.party import ROLES
from embedded_scheduler.errors import InvalidRequest
from nodeconsole.i18n.catalogue import load

Level = Literal["error", "warning"]

INPUT_CATEGORIES = ("dataset", "training_set", "test_set", "datasets", "model")
OUTPUT_CATEGORIES = ("dataset", "training_set", "test_set", "model", "report", "metric")

_VERSION = re.compile(r"\d+(\.\d+){1,3}([-+.][0-9A-Za-z.-]+)?")
_OF_THE_NODE = frozenset({"dataset_id", "namespace", "name"})
_TYPES: Mapping[str, tuple[type, ...]] = {"text": (str,), "list": (list,), "boolean": (bool,), "any": (object,)}
_KINDS: Mapping[str, str] = {
    "text": "text in quotes",
    "list": "a list [...]",
    "boolean": "true or false, without quotes",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`error`: it cannot be registered; `warning`: read over or left out. `right` may be empty."""

    level: Level
    place: str
    wrong: str
    right: str = ""

    @property
    def text(self) -> str:
        place = f"{self.place}: " if self.place else ""
        return f"{self.level}: {place}{self.wrong}" + (f"; right is {self.right}" if self.right else "")


@dataclass(frozen=True, slots=True)
class _Member:
    """One member of an object: its kind, and what to say when it is missing (empty = it may be)."""

    kind: str
    demanded: str = ""


_DEMANDED = "missing, and the specification demands it"
_TOP: Mapping[str, _Member] = {
    "componentName": _Member("text"),
    "provider": _Member("text"),
    "version": _Member("text"),
    "title": _Member("text", _DEMANDED),
    "description": _Member("text", "missing: operators read it when they choose"),
    "roleList": _Member("list", _DEMANDED),
    "desVersion": _Member("text"),
    "storageEngine": _Member("list"),
    "inputParam": _Member("list", _DEMANDED),
    "inputData": _Member("list", _DEMANDED),
    "outputData": _Member("list", _DEMANDED),
    "result": _Member("list", _DEMANDED),
    "disclosure": _Member("list", "missing: the operator who approves a job reads nothing about what leaves the node"),
    "adversary": _Member("text"),
    "code": _Member("text"),
    "boolStyle": _Member("text"),
}
_PARAMETER: Mapping[str, _Member] = {
    "name": _Member("text"),
    "title": _Member("text", _DEMANDED),
    "description": _Member("text"),
    "type": _Member("text", _DEMANDED),
    "bindingData": _Member("any"),
    "optional": _Member("boolean"),
    "defaultValue": _Member("any"),
    "validator": _Member("any"),
    "dependsOn": _Member("list"),
    "UIPattern": _Member("text"),
    "groupTag": _Member("list"),
    "UIType": _Member("text"),
    "roleList": _Member("list"),
}
_PORT: Mapping[str, _Member] = {
    "name": _Member("text", _DEMANDED),
    "description": _Member("text"),
    "category": _Member("text", _DEMANDED),
    "dataFormat": _Member("any"),
    "optional": _Member("boolean"),
}
_RESULT: Mapping[str, _Member] = {
    "resultCode": _Member("text", _DEMANDED),
    "resultMessage": _Member("text", _DEMANDED),
}
_EXAMPLES: Mapping[str, str] = {
    "roleList": '["guest", "host"]',
    "disclosure": '["Nothing leaves the node."], or a list of {"to": "host", "what": "how many rows the guest has"}',
    "result": '[{"resultCode": "0", "resultMessage": "done"}]',
    "inputParam": "[] if there are none",
    "inputData": "[] if there are none",
    "outputData": "[] if there are none",
}
_RIGHT: Mapping[str, str] = {
    "no_parameters": "a list of objects, one for each parameter",
    "no_name": 'a "name"',
    "repeated": "a name of its own for each",
    "not_text": "text in quotes",
    "not_list": "a list of texts",
    "unknown_type": "string, integer, number, boolean or object",
    "unknown_control": "input, textArea, numberPicker, checkbox, radio, switch, select or selectTree",
    "no_choices": 'bindingData [{"label": "...", "value": "..."}], or UIType input',
    "bad_optional": "true or false",
    "unknown_pattern": "editable, readOnly or hidden",
    "bad_binding": '[{"label": "...", "value": "..."}], or "call_function name()"',
    "bad_call": "call_function name()",
    "repeated_choice": "every value once",
    "bad_default": "a default that type, range and choices allow",
    "choices_refused": "choices that the validator allows, or no validator",
    "unknown_validator": "a range such as [0,1) or (0,∞), or regular:'^[A-Z]+$'",
    "empty_pattern": "an expression: regular:'^[A-Z]+$'",
    "placeholder_pattern": "an expression: regular:'^[A-Z]+$'",
    "bad_pattern": "an expression without looking ahead, back references and possessive repetition",
    "empty_range": "the smaller bound first",
    "unknown_dependency": "a parameter's name, or name.value",
    "cycle": "parameters that do not depend on each other in turn",
}


def findings_of(manifest: Mapping[str, Any], mended: Sequence[str] = ()) -> list[Finding]:
    """Everything that is wrong, errors first. `mended`: what was read over to read it as JSON at all."""
    found = [Finding("error", "", fault) for fault in _unusable(manifest)]
    found += [Finding("warning", "", f"it has {what}, which JSON does not allow", "plain JSON") for what in mended]
    found += _members(manifest, "", _TOP)
    found += _top_values(manifest)
    found += _inside(manifest, "inputParam", _PARAMETER)
    found += [_of_note(note, manifest) for note in form_of_component(manifest).notes if note.code != "misspelt"]
    found += _parameter_names(manifest)
    for member, categories in (("inputData", INPUT_CATEGORIES), ("outputData", OUTPUT_CATEGORIES)):
        found += _inside(manifest, member, _PORT)
        found += _ports(manifest, member, categories)
    found += _inside(manifest, "result", _RESULT)
    return list(dict.fromkeys(found))


def _unusable(manifest: Mapping[str, Any]) -> Iterator[str]:
    try:
        parse_manifest(manifest)
    except InvalidRequest as refusal:
        yield refusal.message.removeprefix("self-description: ")


def _members(holder: Mapping[str, Any], place: str, known: Mapping[str, _Member]) -> Iterator[Finding]:
    """Unknown members, members of another kind, and members that are missing."""
    prefix = f"{place}." if place else ""
    for name, value in holder.items():
        member = known.get(name)
        if member is None:
            meant = _meant(name, known)
            # What nobody knows may be somebody's extension; what looks like a slip is none.
            if meant:
                yield Finding("warning", f"{prefix}{name}", "no such member", meant)
        elif value is not None and not isinstance(value, _TYPES[member.kind]):
            wrong = f"{type_name(value)}, not {member.kind}"
            yield Finding("warning", f"{prefix}{name}", wrong, _EXAMPLES.get(name, _KINDS[member.kind]))
    for name, member in known.items():
        if member.demanded and holder.get(name) in (None, ""):
            yield Finding("warning", f"{prefix}{name}", member.demanded, _EXAMPLES.get(name, ""))


def _meant(name: str, known: Mapping[str, _Member]) -> str:
    by_lower = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), by_lower, 1, 0.8)
    return by_lower[near[0]] if near else ""


def type_name(value: object) -> str:
    """What JSON calls the type of a value."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), "null")


def _top_values(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    version = manifest.get("version")
    if isinstance(version, str) and version and not _VERSION.fullmatch(version):
        yield Finding("warning", "version", f"{version!r} cannot be compared with other versions", '"1.0.0"')
    style = manifest.get("boolStyle")
    if isinstance(style, str) and style not in set(BoolStyle):
        yield Finding("warning", "boolStyle", f"{style!r} is no way to write booleans", '"true" or "True"')
    for at, role in enumerate(_list(manifest, "roleList")):
        if not isinstance(role, str) or role.lower() not in ROLES:
            yield Finding("warning", f"roleList[{at}]", f"{role!r} is a role that few nodes know", ", ".join(ROLES))
    for at, item in enumerate(_list(manifest, "disclosure")):
        says = item.get("what") if isinstance(item, Mapping) else item
        if not isinstance(says, str) or not says.strip():
            yield Finding("warning", f"disclosure[{at}]", "says nothing, left out", '{"to": "...", "what": "..."}')


def _inside(manifest: Mapping[str, Any], member: str, known: Mapping[str, _Member]) -> Iterator[Finding]:
    for at, item in enumerate(_list(manifest, member)):
        if isinstance(item, Mapping):
            yield from _members(item, f"{member}[{at}]", known)
        elif member != "inputParam":
            yield Finding("warning", f"{member}[{at}]", f"{type_name(item)}, left out", "an object {...}")


def _ports(manifest: Mapping[str, Any], member: str, categories: Sequence[str]) -> Iterator[Finding]:
    seen: set[str] = set()
    for at, item in enumerate(_list(manifest, member)):
        name = item.get("name") if isinstance(item, Mapping) else None
        if not isinstance(name, str) or not name:
            continue
        if name in seen:
            yield Finding(
                "warning", f"{member}[{at}].name", f"{name} occurs twice: left out", "a name of its own for each"
            )
        seen.add(name)
        category = item.get("category")
        if isinstance(category, str) and category and category not in categories:
            yield Finding("warning", f"{member}[{at}].category", f"{category!r} is not known", ", ".join(categories))


def _parameter_names(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    for at, item in enumerate(_list(manifest, "inputParam")):
        name = item.get("name") if isinstance(item, Mapping) else None
        if not isinstance(name, str):
            continue
        if name in _OF_THE_NODE:
            yield Finding(
                "warning", f"inputParam[{at}].name", f"{name} is set by the node to name the dataset", "another"
            )
        elif "=" in name or "\0" in name:
            yield Finding(
                "warning", f"inputParam[{at}].name", "cannot be the name of a variable, left out", "without ="
            )


def _of_note(note: Note, manifest: Mapping[str, Any]) -> Finding:
    """What the form says, at its place in the list."""
    places = [
        f"inputParam[{at}] ({note.about})"
        for at, item in enumerate(_list(manifest, "inputParam"))
        if isinstance(item, Mapping) and item.get("name") == note.about
    ]
    place = places[0] if places else note.about or "inputParam"
    return Finding("warning", place, note.text(load("en_US")), _RIGHT.get(note.code, ""))


def _list(manifest: Mapping[str, Any], member: str) -> list[Any]:
    found = manifest.get(member)
    return found if isinstance(found, list) else []
