"""The form of a component, from its self-description (control layer §5.8 and §6.5), read as liberally as possible."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from algorithm_components.sdk.forms.conditions import checked_conditions
from algorithm_components.sdk.forms.model import Choice, Control, Field, FormSpec, Group, Kind, Note, note
from algorithm_components.sdk.forms.relaxed import Unreadable, parse_object
from algorithm_components.sdk.forms.validators import Validator, parse_validator
from algorithm_components.sdk.forms.values import read, selectable, shown_text, split_list

_MOST_PARAMETERS = 1_000
_MOST_CHOICES = 5_000
_DEEPEST = 20
_KINDS: Mapping[str, Kind] = {
    "string": Kind.TEXT,
    "str": Kind.TEXT,
    "text": Kind.TEXT,
    "int": Kind.INTEGER,
    "integer": Kind.INTEGER,
    "long": Kind.INTEGER,
    "float": Kind.NUMBER,
    "double": Kind.NUMBER,
    "number": Kind.NUMBER,
    "bool": Kind.FLAG,
    "boolean": Kind.FLAG,
    "object": Kind.JSON,
    "json": Kind.JSON,
    "dict": Kind.JSON,
    "list": Kind.JSON,
    "array": Kind.JSON,
}
_CONTROLS: Mapping[str, Control] = {control.value.lower(): control for control in Control} | {
    "redio": Control.RADIO,
    "textarea": Control.AREA,
    "numberpicker": Control.NUMBER,
    "selecttree": Control.TREE,
    "string": Control.INPUT,
}
_PATTERNS = ("editable", "editeable", "readonly", "hidden")
_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})
_CALL = re.compile(r"call_function\s+([A-Za-z_][\w.\-]{0,63})\s*\(\s*\)\s*;?")
_TAG_STATE = re.compile(r"\s*[-—–_]\s*(?:默认)?(不?)(?:显示|展示)\s*$")
_MEMBERS = (
    "name",
    "title",
    "description",
    "type",
    "bindingData",
    "optional",
    "defaultValue",
    "validator",
    "dependsOn",
    "UIPattern",
    "groupTag",
    "UIType",
    "roleList",
)
_BY_LOWER: Mapping[str, str] = {name.lower(): name for name in _MEMBERS}


def form_of_component(manifest: Mapping[str, Any]) -> FormSpec:
    """The parameters as a form. Whatever the description holds, there is a form; `notes` say what is wrong in it."""
    given = manifest.get("inputParam")
    notes: list[Note] = []
    if isinstance(given, Mapping):
        given = [given]
    if not isinstance(given, list | tuple):
        if given not in (None, ""):
            notes.append(note("no_parameters"))
        given = []
    if len(given) > _MOST_PARAMETERS:
        notes.append(note("too_many", most=_MOST_PARAMETERS))
    fields: dict[str, Field] = {}
    groups: dict[str, Group] = {}
    for place, item in enumerate(given[:_MOST_PARAMETERS]):
        reading = _Parameter(item, place)
        field = reading.field(groups)
        notes += reading.notes
        if field is None:
            continue
        if field.name in fields:
            notes.append(note("repeated", field.name))
            continue
        fields[field.name] = field
    mended, faults = checked_conditions(fields)
    title = shown_text(manifest.get("title")) or shown_text(manifest.get("componentName"))
    return FormSpec(title, tuple(mended.values()), tuple(groups.values()), tuple(dict.fromkeys(notes + faults)))


class _Parameter:
    """One member of `inputParam`."""

    def __init__(self, item: object, place: int) -> None:
        self.notes: list[Note] = []
        self._place = f"inputParam[{place}]"
        self._sent: Mapping[str, Any] = item if isinstance(item, Mapping) else {}
        self._members = self._named_members()
        self._name = ""

    def _named_members(self) -> dict[str, Any]:
        """By the specification's names, also where they are written in another case."""
        found: dict[str, Any] = {}
        for key, value in self._sent.items():
            name = _BY_LOWER.get(str(key).lower())
            if name is None:
                continue
            if key == name or name not in found:
                found[name] = value
            if key != name:
                self._note("misspelt", member=key, meant=name)
        return found

    def _note(self, code: str, **facts: object) -> None:
        self.notes.append(note(code, getattr(self, "_name", "") or self._place, **facts))

    def field(self, groups: dict[str, Group]) -> Field | None:
        self._name = self._text("name")
        if not self._name:
            self._note("no_name", place=self._place)
            return None
        self.notes = [Note(said.code, self._name, said.facts) for said in self.notes]
        type_name = self._text("type") or "string"
        choices, provider = self._binding()
        control = self._control(has_choices=bool(choices or provider))
        validator = self._validator()
        read_only, hidden = self._pattern()
        field = Field(
            name=self._name,
            title=self._text("title"),
            description=self._text("description"),
            kind=self._kind(type_name),
            control=control,
            type_name=type_name,
            required=not self._optional(),
            default=self._default(multiple=control is Control.CHECKBOX and bool(choices or provider)),
            choices=choices,
            provider=provider,
            validator=validator,
            conditions=(),
            read_only=read_only,
            hidden=hidden,
            group=self._group(groups),
            roles=tuple(role.lower() for role in self._texts("roleList")),
            multiple=control is Control.CHECKBOX and bool(choices or provider),
            raw=self._sent,
        )
        self._check(field)
        return field

    def _text(self, member: str) -> str:
        value = self._members.get(member)
        if isinstance(value, str):
            return value.strip()
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if value is not None:
            self._note("not_text", member=member)
        return ""

    def _texts(self, member: str) -> list[str]:
        value = self._members.get(member)
        if value in (None, "", [], ()):
            return []
        if isinstance(value, str):
            return split_list(value)
        if isinstance(value, list | tuple):
            return [str(item).strip() for item in value if isinstance(item, str | int | float) and str(item).strip()]
        self._note("not_list", member=member)
        return []

    def _kind(self, type_name: str) -> Kind:
        kind = _KINDS.get(type_name.lower())
        if kind is None:
            self._note("unknown_type", type=type_name)
            return Kind.TEXT
        return kind

    def _control(self, *, has_choices: bool) -> Control:
        written = self._text("UIType")
        if not written:
            return Control.SELECT if has_choices else Control.INPUT
        control = _CONTROLS.get(written.lower())
        if control is None:
            self._note("unknown_control", control=written)
            return Control.SELECT if has_choices else Control.INPUT
        if control in (Control.SELECT, Control.RADIO, Control.TREE) and not has_choices:
            self._note("no_choices", control=written)
            return Control.INPUT
        return control

    def _optional(self) -> bool:
        value = self._members.get("optional")
        if value is None or value == "":
            return True
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word not in _TRUE | _FALSE:
            self._note("bad_optional", value=word[:40])
        return word not in _FALSE

    def _default(self, *, multiple: bool) -> str:
        value = self._members.get("defaultValue")
        if isinstance(value, str) and self._text("type").lower() not in ("string", "str", "text", ""):
            return value.strip()
        if multiple and isinstance(value, str):
            return shown_text(split_list(value)) if value.strip() else ""
        return shown_text(value)

    def _validator(self) -> Validator | None:
        value = self._members.get("validator")
        if isinstance(value, list | tuple) and len(value) == 2:
            value = f"[{shown_text(value[0])},{shown_text(value[1])}]"
        if not isinstance(value, str):
            if value is not None:
                self._note("not_text", member="validator")
            return None
        validator, said = parse_validator(value, self._name)
        if said is not None:
            self.notes.append(said)
        return validator

    def _pattern(self) -> tuple[bool, bool]:
        """Read only, and hidden."""
        written = self._text("UIPattern").lower()
        if written and written not in _PATTERNS:
            self._note("unknown_pattern", pattern=written)
        return written == "readonly", written == "hidden"

    def _group(self, groups: dict[str, Group]) -> str:
        """The first tag's name; how it is to be shown is told by the first field that says so."""
        for tag in self._texts("groupTag"):
            found = _TAG_STATE.search(tag)
            name = tag[: found.start()].strip() if found else tag
            if name:
                groups.setdefault(name, Group(name, shown=not (found and found[1])))
                return name
        return ""

    def _binding(self) -> tuple[tuple[Choice, ...], str]:
        value = self._members.get("bindingData")
        if isinstance(value, str):
            text = value.strip()
            call = _CALL.fullmatch(text)
            if call is not None:
                return (), call[1]
            if not text:
                return (), ""
            value = self._static(text)
        if isinstance(value, Mapping):
            value = [value] if {"label", "value"} & set(value) else [{"label": v, "value": k} for k, v in value.items()]
        if not isinstance(value, list | tuple):
            if value is not None:
                self._note("bad_binding")
            return (), ""
        # The template of the specification: [{}].
        members = [member for member in value if member not in ({}, None)]
        return self._unique(_choices(members, 0)), ""

    def _static(self, text: str) -> object:
        """A list that was written as text; what begins with `call_function` but is no call without arguments is not
        one."""
        if text.startswith("call_function"):
            self._note("bad_call", call=text[:80])
            return None
        try:
            quoted = re.sub(r"([{,]\s*)(label|value|children)\s*:", r'\1"\2":', text)
            return parse_object('{"a":' + quoted + "}")[0]["a"]
        except Unreadable:
            self._note("bad_binding")
            return None

    def _unique(self, found: Iterable[Choice]) -> tuple[Choice, ...]:
        choices: dict[tuple[str, bool], Choice] = {}
        for choice in found:
            if len(choices) >= _MOST_CHOICES:
                self._note("too_many_choices", most=_MOST_CHOICES)
                break
            if (choice.value, choice.heading) in choices:
                self._note("repeated_choice", value=choice.value[:40])
            choices.setdefault((choice.value, choice.heading), choice)
        return tuple(choices.values())

    def _check(self, field: Field) -> None:
        """What the description says against itself."""
        if field.default.strip():
            fault = read(field, field.default).fault
            if fault is not None:
                self._note("bad_default", default=field.default[:40], why=fault.code)
        if field.choices and field.validator is not None:
            values = selectable(field.choices)
            refused = [value for value in values if field.validator.fault(_number_of(value), field.name) is not None]
            if refused:
                self._note("choices_refused", choices=", ".join(refused[:6]), validator=self._text("validator"))


def _choices(items: Iterable[object], depth: int) -> Iterable[Choice]:
    for item in items:
        if not isinstance(item, Mapping):
            if isinstance(item, str | int | float):
                yield Choice(shown_text(item), depth=depth)
            continue
        label = shown_text(item.get("label", item.get("title", item.get("name"))))
        children = item.get("children")
        value = item.get("value", item.get("key"))
        if value is not None or label:
            is_heading = value is None and isinstance(children, list | tuple)
            yield Choice(label if value is None else shown_text(value), label, depth, is_heading)
        if isinstance(children, list | tuple) and depth < _DEEPEST:
            yield from _choices(children, depth + 1)


def _number_of(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text
