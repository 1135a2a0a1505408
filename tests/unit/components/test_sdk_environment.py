"""The SDK's reading of what the node says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from algorithm_components.sdk.environment import Address, ComponentError, Environment

SOURCES = Path(__file__).resolve().parents[3] / "src"
VARIABLES = {
    "config.task_id": "task-1",
    "config.self_role": "guest.0",
    "config.node_id.host.0": "bob",
    "config.node_id.guest.0": "alice",
    "config.inst_id.guest.0": "alice-company",
    "runtime.component.parameter.whole": "7",
    "runtime.component.parameter.fraction": "7.0",
    "runtime.component.parameter.rate": "0.25",
    "runtime.component.parameter.list": '["a", 1]',
    "runtime.component.parameter.yes": "True",
    "runtime.component.parameter.no": "false",
    "runtime.component.parameter.word": "Guest",
    "runtime.component.input.data": '{"namespace": "n", "name": "in"}',
    "runtime.component.output.report": '{"namespace": "n", "name": "out"}',
}


@pytest.fixture
def environment() -> Environment:
    return Environment(VARIABLES)


def test_who_and_where(environment: Environment) -> None:
    assert (environment.task_id, environment.self_party, environment.self_role) == ("task-1", "guest.0", "guest")
    assert list(environment.parties.items()) == [("guest.0", "alice"), ("host.0", "bob")]
    assert environment.inst_id("guest.0") == "alice-company"
    assert environment.inst_id("host.0") == "bob"


def test_typed_parameters(environment: Environment) -> None:
    assert environment.integer("whole", 0) == environment.integer("fraction", 0) == 7
    assert environment.integer("absent", 3) == 3
    assert environment.number("rate", 1.0) == 0.25
    assert environment.flag("yes", default=False)
    assert not environment.flag("no", default=True)
    assert environment.choice("word", ("guest", "host"), "host") == "guest"
    assert environment.data("list") == ["a", 1]
    assert environment.text("absent", "x") == "x"


def test_addresses(environment: Environment) -> None:
    assert environment.inputs == {"data": Address("n", "in")}
    assert environment.outputs == {"report": Address("n", "out")}
    assert environment.dataset() == Address("n", "in")
    parameters = {"runtime.component.parameter.namespace": "n", "runtime.component.parameter.name": "p"}
    assert Environment(parameters).dataset() == Address("n", "p")


@pytest.mark.parametrize(
    ("read", "named"),
    [
        (lambda e: e.required("system.storage"), "system.storage"),
        (lambda e: e.text("absent"), "absent"),
        (lambda e: e.integer("rate", 0), "rate"),
        (lambda e: e.integer("whole", 0, most=6), "whole"),
        (lambda e: e.number("word", 0.0), "word"),
        (lambda e: e.flag("word", default=False), "word"),
        (lambda e: e.choice("word", ("a", "b"), "a"), "word"),
        (lambda e: e.data("word"), "word"),
        (lambda e: e.dataset("other"), "other"),
        (lambda e: e.node_id("arbiter.0"), "arbiter.0"),
    ],
)
def test_faults_name_what_is_wrong(environment: Environment, read: Callable[[Environment], object], named: str) -> None:
    with pytest.raises(ComponentError, match=named):
        read(environment)


@pytest.mark.parametrize("text", ["nan", "-1", "inf"])
def test_bounds_exclude_what_is_no_number(text: str) -> None:
    with pytest.raises(ComponentError, match="at least 0"):
        Environment({"runtime.component.parameter.x": text}).number("x", 0.0, least=0.0, most=10.0)


@pytest.mark.parametrize("text", ["[]", "{}", '{"namespace": 1, "name": "n"}', "nonsense"])
def test_a_bad_address_is_refused(text: str) -> None:
    with pytest.raises(ComponentError, match=r"runtime\.component\.input\.data"):
        _ = Environment({"runtime.component.input.data": text}).inputs


@pytest.mark.parametrize(("limit", "most"), [("1", 1), ("", 10**6), ("100000", 10**6)])
def test_threads_are_limited_by_the_job_and_the_machine(limit: str, most: int) -> None:
    assert 1 <= Environment({"config.n_threads": limit}).threads <= min(most, os.cpu_count() or 1)


def test_the_probe_loads_next_to_nothing() -> None:
    """A start of the probe is to be hardly longer than a start of Python."""
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCES)!r}); "
        "import algorithm_components.probe.component; print(*sys.modules)"
    )
    found = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(found.stdout.split())
    assert "algorithm_components.sdk.environment" in loaded
    assert loaded.isdisjoint(
        {"json", "re", "typing", "dataclasses", "pathlib", "http", "http.client", "collections", "enum"}
    )
