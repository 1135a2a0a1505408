"""What the node told this component: the specification's environment variables, typed.

Imports nothing but `os` until JSON has to be read: a short component's run is hardly longer than this import.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_PARAMETER = "runtime.component.parameter."
_INPUT = "runtime.component.input."
_OUTPUT = "runtime.component.output."
_NODE = "config.node_id."
_INST = "config.inst_id."
_TRUE = ("true", "1", "yes")
_FALSE = ("false", "0", "no", "")


class ComponentError(Exception):
    """The component cannot do its work; the message tells the operator why and what to change."""


class Address:
    """Where a table or blob is stored: `namespace` and `name`, each one path component."""

    __slots__ = ("name", "namespace")

    def __init__(self, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and (self.namespace, self.name) == (other.namespace, other.name)

    def __hash__(self) -> int:
        return hash((self.namespace, self.name))

    def __repr__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Environment:
    """A view of the component's environment. Every accessor raises `ComponentError` naming the variable at fault."""

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables

    def required(self, name: str) -> str:
        value = self._variables.get(name, "")
        if not value:
            raise ComponentError(f"the environment variable {name} is missing: the node did not start this component")
        return value

    def optional(self, name: str, default: str = "") -> str:
        return self._variables.get(name) or default

    @property
    def task_id(self) -> str:
        return self.required("config.task_id")

    @property
    def self_party(self) -> str:
        """`<role>.<index>` of this party; the first one if the node gave several."""
        return self.required("config.self_role").split(",")[0].strip()

    @property
    def self_role(self) -> str:
        return self.self_party.split(".")[0]

    @property
    def parties(self) -> dict[str, str]:
        """Node id of every party (`<role>.<index>`) of the job, in the lexicographic order of the parties."""
        found = {name.removeprefix(_NODE): value for name, value in self._variables.items() if name.startswith(_NODE)}
        return dict(sorted(found.items()))

    def node_id(self, party: str) -> str:
        return self.required(_NODE + party)

    def inst_id(self, party: str) -> str:
        return self.optional(_INST + party, self.node_id(party))

    @property
    def threads(self) -> int:
        """How many processors to use at most: the job's limit if it sets one, else the machine's."""
        machine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        limit = self.optional("config.n_threads")
        return max(1, min(machine, int(limit))) if limit.isdigit() else machine

    @property
    def parameters(self) -> dict[str, str]:
        """Every parameter as it was written."""
        return self._named(_PARAMETER)

    def text(self, name: str, default: str | None = None) -> str:
        """A parameter as text; without a default it has to be given and not be empty."""
        value = self._variables.get(_PARAMETER + name)
        if value:
            return value
        if default is None:
            raise ComponentError(f"the parameter {name} is missing: set it in the job's task_params")
        return default

    def integer(self, name: str, default: int, *, least: int | None = None, most: int | None = None) -> int:
        given = self.text(name, "")
        try:
            # Some user interfaces write whole numbers with a fraction.
            value = int(given.removesuffix(".0")) if given else default
        except ValueError:
            raise ComponentError(f"the parameter {name} must be a whole number (got {given[:60]!r})") from None
        return int(_within(name, value, least, most))

    def number(self, name: str, default: float, *, least: float | None = None, most: float | None = None) -> float:
        given = self.text(name, "")
        try:
            value = float(given) if given else default
        except ValueError:
            raise ComponentError(f"the parameter {name} must be a number (got {given[:60]!r})") from None
        return _within(name, value, least, most)

    def flag(self, name: str, *, default: bool) -> bool:
        given = self._variables.get(_PARAMETER + name)
        if given is None:
            return default
        word = given.strip().lower()
        if word not in _TRUE + _FALSE:
            raise ComponentError(f"the parameter {name} must be true or false (got {given[:60]!r})")
        return word in _TRUE

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(name, default).strip().lower()
        if value not in choices:
            raise ComponentError(f"the parameter {name} must be one of {', '.join(choices)} (got {value[:60]!r})")
        return value

    def data(self, name: str, default: Any = None) -> Any:
        """A parameter that is an object or a list, or anything else written as JSON."""
        given = self.text(name, "")
        return _json(f"the parameter {name}", given) if given else default

    @property
    def inputs(self) -> dict[str, Address]:
        """Address of every input by its formal name."""
        return {name: _address(_INPUT + name, value) for name, value in self._named(_INPUT).items()}

    @property
    def outputs(self) -> dict[str, Address]:
        return {name: _address(_OUTPUT + name, value) for name, value in self._named(_OUTPUT).items()}

    def dataset(self, formal: str = "data") -> Address:
        """The data to work on: the input `formal`, or what the parameters `namespace` and `name` say."""
        inputs = self.inputs
        if formal in inputs:
            return inputs[formal]
        namespace, name = self.text("namespace", ""), self.text("name", "")
        if namespace and name:
            return Address(namespace, name)
        raise ComponentError(
            f"there is no data to read: connect the input {formal}, or give dataset_id in this party's task_params"
        )

    def _named(self, prefix: str) -> dict[str, str]:
        return {name.removeprefix(prefix): value for name, value in self._variables.items() if name.startswith(prefix)}


def _within(name: str, value: float, least: float | None, most: float | None) -> float:
    # Written so that a number that is none fails too.
    if (least is not None and not value >= least) or (most is not None and not value <= most):
        bounds = [f"at least {least}"] * (least is not None) + [f"at most {most}"] * (most is not None)
        raise ComponentError(f"the parameter {name} must be {' and '.join(bounds)} (got {value})")
    return value


def _json(what: str, text: str) -> Any:
    import json  # noqa: PLC0415 - several milliseconds that a component without data need not spend

    try:
        return json.loads(text)
    except ValueError:
        raise ComponentError(f"{what} is not JSON (got {text[:60]!r})") from None


def _address(variable: str, text: str) -> Address:
    value = _json(f"the environment variable {variable}", text)
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("namespace"), str)
        or not isinstance(value.get("name"), str)
    ):
        raise ComponentError(f"the environment variable {variable} must be an object with namespace and name")
    return Address(value["namespace"], value["name"])
