"""What a node without some library tells its operator to type."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from embedded_scheduler.extras import how_to_get

ROOT = Path(__file__).parents[3]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", ["s3", "parquet", "kubernetes", "png", "web"])
def test_the_command_installs_what_the_extra_declares(extra: str) -> None:
    python, *words, requirement = shlex.split(str(how_to_get(extra)))
    assert (python, words) == (sys.executable, ["-m", "pip", "install"])
    declared = EXTRAS[extra][0]
    name = declared.split("<")[0].split(">")[0]
    assert requirement.startswith(name)
    assert set(requirement.removeprefix(name).split(",")) == set(declared.removeprefix(name).split(","))


def test_the_executable_cannot_be_given_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    said = str(how_to_get("parquet"))
    assert "pip" not in said
    assert "its extra parquet" in said


def test_the_executable_is_built_without_them() -> None:
    listed = re.search(r"^EXTRAS = \((.*)\)$", (ROOT / "packaging/nodeconsole.spec").read_text(), re.MULTILINE)
    assert listed is not None
    left_out = set(re.findall(r'"(\w+)"', listed[1]))
    for extra in ("s3", "parquet", "kubernetes", "png", "web"):
        name = EXTRAS[extra][0].split("<")[0].split(">")[0]
        brings = {module for module, of in packages_distributions().items() if name in of and module[0] != "_"}
        assert brings <= left_out, extra
