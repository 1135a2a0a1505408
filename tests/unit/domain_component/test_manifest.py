"""Self-descriptions: what is indispensable, and what is read over."""

from __future__ import annotations

from typing import Any

import pytest

from embedded_scheduler.domain.component import Disclosure, parse_manifest
from embedded_scheduler.errors import InvalidRequest

IDENTITY = {"componentName": "HeteroLR", "provider": "acme", "version": "1.2.0"}


def param(**members: Any) -> dict[str, Any]:
    return {**IDENTITY, "inputParam": [{"name": "rounds", **members}]}


def test_a_description_as_the_specification_writes_it_leaves_no_warning() -> None:
    manifest = parse_manifest(
        {
            **IDENTITY,
            "title": "Logistic regression",
            "roleList": ["guest", "Host"],
            "storageEngine": ["s3", "file"],
            "inputParam": [
                {
                    "name": "rounds",
                    "title": "Rounds",
                    "type": "int",
                    "optional": False,
                    "dependsOn": ["mode.value"],
                    "UIPattern": "editeable",
                    "groupTag": ["basic"],
                    "UIType": "redio",
                }
            ],
            "inputData": [{"name": "train", "category": "dataset"}],
            "outputData": [{"name": "model", "category": "model", "dataFormat": ["json"]}],
            "result": [{"resultCode": "0", "resultMessage": "ok"}],
            "unknownMember": {"kept": True},
        }
    )
    assert manifest.warnings == ()
    assert manifest.identity == ("acme", "HeteroLR", "1.2.0")
    assert manifest.code == "acme-heterolr"
    assert manifest.roles == ("guest", "host")
    assert manifest.runs_as("HOST")
    assert not manifest.runs_as("arbiter")
    [rounds] = manifest.params
    assert (rounds.required, rounds.ui_pattern, rounds.ui_type) == (True, "editable", "radio")
    assert (rounds.depends_on, rounds.group_tag) == (("mode.value",), ("basic",))
    assert [port.name for port in manifest.inputs + manifest.outputs] == ["train", "model"]
    assert not manifest.inputs[0].required
    assert manifest.results[0].message == "ok"
    assert manifest.raw["unknownMember"] == {"kept": True}


@pytest.mark.parametrize("member", ["componentName", "provider", "version"])
@pytest.mark.parametrize("value", [None, "", "  ", [], {"a": 1}, True, "a/b", "line\nbreak", "x" * 129])
def test_identity_is_indispensable(member: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match=member):
        parse_manifest({**IDENTITY, member: value})


@pytest.mark.parametrize(
    ("written", "optional"), [("true", True), ("False", False), ("0", False), (1, True), (None, True), ("maybe", True)]
)
def test_optional_in_every_spelling(written: object, optional: bool) -> None:
    [found] = parse_manifest(param(optional=written)).params
    assert found.optional is optional


def test_a_default_makes_a_parameter_dispensable() -> None:
    assert not parse_manifest(param(optional=False, defaultValue=0)).params[0].required


def test_sloppy_lists_are_read_and_noted() -> None:
    manifest = parse_manifest(param(groupTag="basic", dependsOn="", type=None))
    assert manifest.params[0].group_tag == ("basic",)
    assert manifest.params[0].depends_on == ()
    assert manifest.params[0].type == "string"
    assert manifest.warnings == ("inputParam[0].groupTag is a string, read as a list of one",)


def test_useless_members_are_left_out_and_noted() -> None:
    manifest = parse_manifest(
        {**IDENTITY, "inputParam": [{"title": "nameless"}, "text", {"name": "a"}, {"name": "a"}], "outputData": 7}
    )
    assert [found.name for found in manifest.params] == ["a"]
    assert manifest.outputs == ()
    assert len(manifest.warnings) == 4


def test_numbers_are_read_as_text() -> None:
    manifest = parse_manifest({**IDENTITY, "version": 2})
    assert manifest.version == "2"
    assert "version is a number, read as text" in manifest.warnings


def test_disclosure_in_both_forms() -> None:
    manifest = parse_manifest({**IDENTITY, "disclosure": [{"to": "host", "what": "sums"}, "row counts", 7]})
    assert manifest.disclosure == (Disclosure("host", "sums"), Disclosure("", "row counts"))
    assert manifest.disclosure[0].text == "host: sums"
    assert manifest.warnings == ("disclosure[2] says nothing, left out",)


def test_an_absurd_description_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="inputParam"):
        parse_manifest({**IDENTITY, "inputParam": [{"name": str(i)} for i in range(1001)]})
    with pytest.raises(InvalidRequest, match="object"):
        parse_manifest(["not", "an", "object"])  # type: ignore[arg-type]
