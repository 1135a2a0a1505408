"""What a form consists of, wherever its description came from: a component, a connector, the console itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from algorithm_components.sdk.forms.validators import Validator


class Translates(Protocol):
    """A catalogue, a display or a session: whatever knows the texts of the language in use."""

    def text(self, key: str, /, **values: object) -> str: ...


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence about a value or about the description, in the language of whoever reads it: `form.note.<code>`."""

    code: str
    about: str = ""
    """The field it is about; empty = the description as a whole."""
    facts: tuple[tuple[str, str], ...] = ()
    """What the sentence names. It comes from elsewhere: pass the result through `printable`."""

    def text(self, words: Translates) -> str:
        return words.text(f"form.note.{self.code}", **dict(self.facts))


def note(code: str, about: str = "", **facts: object) -> Note:
    return Note(code, about, tuple((name, str(value)) for name, value in facts.items()))


class Kind(StrEnum):
    """What a value is, whatever the description calls it."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    JSON = "json"


class Control(StrEnum):
    """How it is edited; the names are the specification's, misspellings mended."""

    INPUT = "input"
    AREA = "textArea"
    NUMBER = "numberPicker"
    CHECKBOX = "checkbox"
    RADIO = "radio"
    SWITCH = "switch"
    SELECT = "select"
    TREE = "selectTree"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values to choose from. A heading of a tree cannot be chosen itself."""

    value: str
    label: str = ""
    depth: int = 0
    heading: bool = False

    @property
    def shown(self) -> str:
        """`label (value)`, or the one of them that says it all."""
        return f"{self.label} ({self.value})" if self.label and self.label != self.value else self.value


@dataclass(frozen=True, slots=True)
class Condition:
    """A field is shown if the named one has one of these values; none = if it is set at all."""

    name: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together. `shown` = without being asked for."""

    name: str
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Field:
    """One value to give. Values are edited and kept as text; `values.read` makes JSON data of it."""

    name: str
    title: str = ""
    description: str = ""
    kind: Kind = Kind.TEXT
    control: Control = Control.INPUT
    type_name: str = "string"
    """The type as its description calls it."""
    required: bool = False
    default: str = ""
    choices: tuple[Choice, ...] = ()
    provider: str = ""
    """The node's provider of the choices; they come later."""
    validator: Validator | None = None
    conditions: tuple[Condition, ...] = ()
    read_only: bool = False
    hidden: bool = False
    """Never shown; its default is submitted."""
    group: str = ""
    roles: tuple[str, ...] = ()
    """For parties in these roles alone; empty = for all."""
    multiple: bool = False
    """Several choices at once: a list."""
    secret: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The description as it was sent, with members nobody knows."""

    @property
    def label(self) -> str:
        """`title (name)`; the name alone if there is no other title."""
        return f"{self.title} ({self.name})" if self.title and self.title != self.name else self.name


@dataclass(frozen=True, slots=True)
class FormSpec:
    """A form to fill in. `notes` are about the description itself: what in it is wrong, and what was made of it."""

    title: str
    fields: tuple[Field, ...] = ()
    groups: tuple[Group, ...] = ()
    notes: tuple[Note, ...] = ()

    def field(self, name: str) -> Field | None:
        return next((found for found in self.fields if found.name == name), None)
