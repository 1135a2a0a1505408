"""A component's parameters, typed and checked by its own self-description, as the node's forms read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.resources import files
from typing import Any

from algorithm_components.sdk.environment import ComponentError, Environment
from algorithm_components.sdk.forms.form import Form
from algorithm_components.sdk.forms.model import Kind, Note
from algorithm_components.sdk.forms.selfdesc import form_of_component
from algorithm_components.sdk.forms.values import shortened

SENTENCES: Mapping[str, str] = {
    "form.note.too_long": "longer than {most} characters",
    "form.note.required": "must be given",
    "form.note.not_in": "{value} is not one of {choices}",
    "form.note.whole": "must be a whole number",
    "form.note.number": "must be a number",
    "form.note.flag": "must be true or false",
    "form.note.json": "not JSON: line {line}, column {column}: {fault}",
    "form.note.outside": "must be in {range}",
    "form.note.no_match": "must match {pattern}",
}
"""What the console says about a value, in English: components log in one language."""

_OF_THE_NODE = frozenset({"dataset_id", "namespace", "name"})
"""Parameters by which a job names a dataset; every component may be given them."""


class _English:
    def text(self, key: str, /, **values: object) -> str:
        return SENTENCES[key].format(**values)


def manifest_of(package: str) -> dict[str, Any]:
    """The self-description `manifest.json` in a component's package, wherever the package is (a zip file too)."""
    try:
        text = files(package).joinpath("manifest.json").read_text("utf-8")
        found = json.loads(text)
    except (OSError, ImportError) as error:
        raise ComponentError(f"the manifest.json of {package} cannot be read: {error}") from None
    except ValueError as error:
        raise ComponentError(f"the manifest.json of {package} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ComponentError(f"the manifest.json of {package} must be an object")
    return found


class Parameters(Mapping[str, Any]):
    """Values by name: what the job gives, else the declared default, else None.

    Text, int, float, bool, or JSON data as the self-description types them; a list where several choices may be made.
    Making one raises `ComponentError` that names every parameter at fault. A parameter whose `dependsOn` does not hold
    has its default and is not checked. `unknown` are names that were given and are not declared.
    """

    def __init__(self, manifest: Mapping[str, Any], environment: Environment) -> None:
        given = environment.parameters
        self._form = Form(form_of_component(manifest), given, role=environment.self_role)
        faults = [said for name in self._form.faulty if (said := self._fault(name))]
        if faults:
            raise ComponentError("; ".join(faults))
        self._values = {field.name: self._form.reading(field.name).value for field in self._form.fields}
        declared = {field.name for field in self._form.spec.fields}
        self.unknown = tuple(sorted(given.keys() - declared - _OF_THE_NODE))

    def _fault(self, name: str) -> str:
        note: Note | None = self._form.fault(name)
        if note is None:
            return ""
        text = self._form.text(name)
        got = f" (got {shortened(text, 60)!r})" if text.strip() and note.code != "not_in" else ""
        return f"parameter {name}: {note.text(_English())}{got}"

    def nearest(self, unknown: str) -> str:
        """A declared name that `unknown` may have been meant as, or nothing."""
        return next(iter(get_close_matches(unknown, self._values, 1)), "")

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise ComponentError(f"the manifest declares no parameter {name} for this role")
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def text(self, name: str) -> str:
        """A text or a choice; empty if nothing is given."""
        value = self[name]
        return "" if value is None else value if isinstance(value, str) else str(value)

    def integer(self, name: str) -> int:
        value = self._typed(name, Kind.INTEGER)
        return int(value)

    def number(self, name: str) -> float:
        value = self._typed(name, Kind.NUMBER, Kind.INTEGER)
        return float(value)

    def flag(self, name: str) -> bool:
        """False if nothing is given."""
        value = self[name]
        return bool(value) if isinstance(value, bool) or value is None else bool(self._typed(name, Kind.FLAG))

    def choices(self, name: str) -> list[str]:
        """What was chosen of a list of choices, in the order in which it was given."""
        value = self[name]
        if value is None:
            return []
        return [str(item) for item in value] if isinstance(value, list) else [str(value)]

    def _typed(self, name: str, *kinds: Kind) -> Any:
        value = self[name]
        if value is None:
            raise ComponentError(f"parameter {name}: must be given")
        if self._form.field(name).kind not in kinds or isinstance(value, str):
            # A choice may be of another type than its parameter.
            raise ComponentError(f"parameter {name}: {value!r} is no {kinds[0].value}")
        return value
