"""The components that a job can be made of, as the composer needs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from algorithm_components.sdk.forms.model import FormSpec
from algorithm_components.sdk.forms.selfdesc import form_of_component

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import ComponentRow


@dataclass(frozen=True, slots=True)
class Port:
    """A formal input or output; `type` is its kind of data."""

    name: str
    type: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """A registered component."""

    provider: str
    name: str
    version: str
    title: str = ""
    roles: tuple[str, ...] = ()
    """Empty = any."""
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    why_not: str = ""
    """Why it cannot run at this node; empty = it can."""
    form: FormSpec | None = field(default=None, compare=False)
    """Its parameters; None until its self-description has been asked for."""

    @property
    def key(self) -> str:
        return f"{self.provider}/{self.name}/{self.version}"

    def runs_as(self, role: str) -> bool:
        return not self.roles or role in self.roles


def program_of(row: ComponentRow) -> Program:
    return Program(
        provider=row.provider,
        name=row.name,
        version=row.version,
        title=row.title,
        roles=tuple(row.roles),
        inputs=tuple(Port(port.name, port.type, port.required) for port in row.inputs),
        outputs=tuple(Port(port.name, port.type) for port in row.outputs),
        why_not=row.why_not,
        form=form_of_component(row.manifest) if row.manifest else None,
    )


def find(programs: Iterable[Program], provider: str, name: str, version: str) -> Program | None:
    """The program that a flow means: without a version, or without a provider, the newest of those that fit."""
    fitting = [
        program
        for program in programs
        if program.name == name and provider in ("", program.provider) and version in ("", program.version)
    ]
    return max(fitting, key=lambda program: program.version, default=None)


def compatible(output: str, formal: str) -> bool:
    """Whether data of one kind can be read as the other. `datasets` are several tables, and training and test sets are
    tables too."""
    tables = ("dataset", "datasets", "training_set", "test_set")
    return output == formal or not output or not formal or (output in tables and formal in tables)


def assigned(wired: Sequence[Port], formal: Sequence[Port]) -> list[int | None]:
    """Which formal input each wired one is, as the node takes them: by position, and by type where that contradicts."""
    taken: set[int] = set()
    places: list[int | None] = []
    for at, port in enumerate(wired):
        place: int | None = at if at < len(formal) and at not in taken else None
        if place is None or not compatible(port.type, formal[place].type):
            fitting = [n for n, one in enumerate(formal) if n not in taken and compatible(port.type, one.type)]
            place = fitting[0] if fitting else place
        places.append(place)
        if place is not None:
            taken.add(place)
    return places
