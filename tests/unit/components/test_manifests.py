"""The self-descriptions that come with the components."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from embedded_scheduler.domain.component import parse_manifest

COMPONENTS = resources.files("algorithm_components")
NAMES = ("probe", "sample_alignment")


@pytest.mark.parametrize("name", NAMES)
def test_they_are_as_the_specification_wants_them(name: str) -> None:
    raw: dict[str, Any] = json.loads(
        (resources.files("algorithm_components") / name / "manifest.json").read_text("utf-8")
    )
    manifest = parse_manifest(raw)
    assert manifest.warnings == ()
    # The address `builtin:<componentName>` names the package.
    assert manifest.name == name
    assert manifest.provider == "nodeconsole"
    assert manifest.disclosure
    assert manifest.adversary
    assert all(param.description for param in manifest.params)
    assert {
        "componentName",
        "title",
        "provider",
        "version",
        "storageEngine",
        "inputParam",
        "inputData",
        "outputData",
    } <= set(raw)
    assert {result.code for result in manifest.results} == {"0", "1"}


def test_every_component_has_one() -> None:
    found = {
        each.name for each in resources.files("algorithm_components").iterdir() if (each / "component.py").is_file()
    }
    assert found == set(NAMES)
