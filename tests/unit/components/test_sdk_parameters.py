"""Parameters as components get them: typed and refused by the self-description alone."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

import nodeconsole
from algorithm_components.sdk.environment import ComponentError, Environment
from algorithm_components.sdk.parameters import SENTENCES, Parameters, manifest_of

MANIFEST: dict[str, Any] = {
    "componentName": "example",
    "inputParam": [
        {"name": "rounds", "type": "int", "defaultValue": 5, "validator": "[1,100]"},
        {"name": "rate", "type": "float", "defaultValue": "0.1", "validator": "(0,1]"},
        {"name": "label", "type": "string", "optional": False},
        {"name": "code", "type": "string", "validator": "regular:'^[A-Z]{3}$'"},
        {"name": "mode", "defaultValue": "fast", "bindingData": [{"value": "fast"}, {"value": "safe"}]},
        {"name": "steps", "type": "int", "dependsOn": ["mode.safe"], "optional": False},
        {"name": "columns", "bindingData": [{"value": "a"}, {"value": "b"}], "UIType": "checkbox"},
        {"name": "verbose", "type": "boolean", "defaultValue": False},
        {"name": "extra", "type": "object"},
        {"name": "hosts_only", "type": "int", "optional": False, "roleList": ["host"]},
    ],
}


def parameters(role: str = "guest.0", **given: str) -> Parameters:
    variables = {f"runtime.component.parameter.{name}": value for name, value in given.items()}
    return Parameters(MANIFEST, Environment({"config.self_role": role, **variables}))


def test_values_have_the_declared_types_and_defaults() -> None:
    found = parameters(label="y", columns='["b", "a"]', verbose="True", extra='{"k": [1]}', rounds="7.0")
    assert dict(found) == {
        "rounds": 7,
        "rate": 0.1,
        "label": "y",
        "code": None,
        "mode": "fast",
        "steps": None,
        "columns": ["b", "a"],
        "verbose": True,
        "extra": {"k": [1]},
    }
    assert (found.integer("rounds"), found.number("rate"), found.text("label"), found.text("code")) == (7, 0.1, "y", "")
    assert (found.flag("verbose"), found.choices("columns"), found.number("rounds")) == (True, ["b", "a"], 7.0)
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "parameter label: must be given"),
        ({"label": "y", "rounds": "0"}, "parameter rounds: must be in [1,100] (got '0')"),
        ({"label": "y", "rounds": "many"}, "parameter rounds: must be a whole number (got 'many')"),
        ({"label": "y", "rate": "0"}, "parameter rate: must be in (0,1] (got '0')"),
        ({"label": "y", "code": "AB"}, "parameter code: must match ^[A-Z]{3}$ (got 'AB')"),
        ({"label": "y", "mode": "slow"}, "parameter mode: slow is not one of fast, safe"),
        ({"label": "y", "mode": "safe"}, "parameter steps: must be given"),
        ({"label": "y", "columns": "c"}, "parameter columns: c is not one of a, b"),
        ({"label": "y", "verbose": "maybe"}, "parameter verbose: must be true or false (got 'maybe')"),
        ({"label": "y", "extra": "{"}, "parameter extra: not JSON: line 1, column 2: "),
        ({"rounds": "x", "rate": "y"}, "; parameter rate: must be a number (got 'y'); parameter label: must be given"),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, str], said: str) -> None:
    with pytest.raises(ComponentError) as caught:
        parameters(**given)
    assert said in str(caught.value)


def test_parameters_of_other_roles_and_unmet_conditions_do_not_count() -> None:
    assert "hosts_only" not in parameters(label="y")
    with pytest.raises(ComponentError, match="hosts_only: must be given"):
        parameters("host.0", label="y")
    assert parameters(label="y", steps="garbage", mode="fast").text("mode") == "fast"


def test_what_is_not_declared_is_told_with_what_was_meant() -> None:
    found = parameters(label="y", round="3", dataset_id="a#b", namespace="a", name="b")
    assert found.unknown == ("round",)
    assert found.nearest("round") == "rounds"
    with pytest.raises(ComponentError, match="declares no parameter round"):
        found["round"]


def test_asking_for_another_type_is_refused() -> None:
    found = parameters(label="y")
    for ask in (lambda: found.integer("rate"), lambda: found.number("mode"), lambda: found.flag("rounds")):
        with pytest.raises(ComponentError, match="is no "):
            ask()
    with pytest.raises(ComponentError, match="steps: must be given"):
        found.integer("steps")


def test_the_sentences_are_those_of_the_console() -> None:
    catalogue = tomllib.loads((Path(nodeconsole.__file__).parent / "i18n" / "en_US.toml").read_text("utf-8"))
    for key, sentence in SENTENCES.items():
        assert catalogue["form"]["note"][key.removeprefix("form.note.")] == sentence


def test_a_manifest_is_found_in_its_package() -> None:
    assert manifest_of("algorithm_components.probe")["componentName"] == "probe"
    with pytest.raises(ComponentError, match=r"manifest\.json of nowhere"):
        manifest_of("nowhere")
