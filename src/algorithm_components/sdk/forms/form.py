"""A form being filled in: what stands in each field, what is shown, what is wrong, what would be submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from algorithm_components.sdk.forms.conditions import dependency_order, holds
from algorithm_components.sdk.forms.model import Choice, Condition, Field, FormSpec, Kind, Note
from algorithm_components.sdk.forms.values import Reading, read, shown_text


class Form:
    """`given`: values that exist already, by name; None = everything is new.

    A new form submits every value that is shown or hidden by its description, so that a component reads the same
    whether it knows its defaults or not. One that is given values submits those and what was changed, so that nothing
    changes by looking at it; members that no field describes stay as they are.

    `inherited` are values that hold where the form gives none: they stand in the place of defaults.
    """

    def __init__(
        self,
        spec: FormSpec,
        given: Mapping[str, Any] | None = None,
        *,
        inherited: Mapping[str, Any] | None = None,
        role: str = "",
    ) -> None:
        self.spec = spec
        self._given = dict(given or {})
        self._is_new = given is None
        self._fields = {
            field.name: _inheriting(field, inherited or {})
            for field in spec.fields
            if not field.roles or not role or role.lower() in field.roles
        }
        self._text: dict[str, str] = {}
        self._read: dict[str, tuple[str, Reading]] = {}
        self._applying: dict[str, bool] = {}
        self._order = dependency_order(self._fields)
        for name, value in self._given.items():
            if name in self._fields and value is not None:
                self._text[name] = shown_text(value)

    # What it consists of.

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(self._fields.values())

    def field(self, name: str) -> Field:
        return self._fields[name]

    def offer(self, name: str, choices: Sequence[Choice]) -> None:
        """The choices that the provider of a field came up with."""
        self._fields[name] = replace(self._fields[name], choices=tuple(choices))
        self._forget()

    # What stands in it.

    def text(self, name: str) -> str:
        return self._text.get(name, self._fields[name].default)

    def set(self, name: str, text: str) -> None:
        """Write into a field. Nothing is refused: `fault` says what is wrong."""
        if text == self._fields[name].default and name not in self._given:
            self._text.pop(name, None)
        else:
            self._text[name] = text
        self._forget()

    def reset(self, name: str) -> None:
        """The default again."""
        self._text[name] = self._fields[name].default
        if name not in self._given:
            del self._text[name]
        self._forget()

    def _forget(self) -> None:
        self._applying.clear()

    def is_changed(self, name: str) -> bool:
        """It differs from what it would be by itself."""
        return self.text(name) != self._fields[name].default

    def is_shown(self, name: str) -> bool:
        """Its description shows it, and so do the values of the fields it depends on."""
        return not self._fields[name].hidden and self.applies(name)

    def applies(self, name: str) -> bool:
        """The fields it depends on let it have a value."""
        if not self._applying:
            for one in self._order:
                self._applying[one] = all(map(self._holds, self._fields[one].conditions))
        return self._applying[name]

    def _holds(self, condition: Condition) -> bool:
        field = self._fields.get(condition.name)
        if field is None:
            return True
        return self._applying.get(field.name, False) and holds(condition, field, self.text(field.name))

    def reading(self, name: str) -> Reading:
        """The JSON data of a field."""
        text = self.text(name)
        field = self._fields[name]
        known = self._read.get(name)
        if known is None or known[0] is not text or field.provider:
            known = self._read[name] = (text, read(field, text))
        return known[1]

    def fault(self, name: str) -> Note | None:
        """What is wrong with a field; nothing is with one that does not count now."""
        return self.reading(name).fault if self.applies(name) else None

    @property
    def faulty(self) -> tuple[str, ...]:
        return tuple(name for name in self._fields if self.fault(name) is not None)

    @property
    def changed(self) -> tuple[str, ...]:
        return tuple(name for name in self._fields if self.is_changed(name) and self.is_shown(name))

    def values(self) -> dict[str, Any]:
        """What would be submitted. Faulty fields are left out: ask `faulty` first."""
        values = {name: value for name, value in self._given.items() if name not in self._fields}
        for name in self._fields:
            if not self.applies(name) or self.reading(name).fault is not None:
                continue
            if self._untouched(name):
                values[name] = self._given[name]
            elif self._is_new or self.is_changed(name) or name in self._given:
                value = self.reading(name).value
                if value is not None:
                    values[name] = value
                elif self._fields[name].kind is Kind.TEXT and self.is_changed(name):
                    values[name] = ""
        # What was given keeps its place.
        order = [*(name for name in self._given if name in values), *(name for name in values)]
        return {name: values[name] for name in order}

    def _untouched(self, name: str) -> bool:
        return name in self._given and self.text(name) == shown_text(self._given[name])

    # Drafts.

    def draft(self) -> dict[str, str]:
        """What was typed, for `restore`. Secrets are not in it."""
        return {name: text for name, text in self._text.items() if not self._fields[name].secret}

    def restore(self, draft: Mapping[str, object]) -> None:
        for name, text in draft.items():
            if name in self._fields and isinstance(text, str):
                self.set(name, text)


def _inheriting(field: Field, inherited: Mapping[str, Any]) -> Field:
    value = inherited.get(field.name)
    return field if value is None else replace(field, default=shown_text(value), required=False)
