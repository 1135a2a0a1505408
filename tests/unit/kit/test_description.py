"""Where a self-description is wrong, what is wrong, and what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from embedded_scheduler.plugins import builtin_manifests
from nodeconsole.kit.description import Finding, findings_of

GOOD: dict[str, Any] = {
    "componentName": "counts",
    "title": "Counts",
    "provider": "me",
    "version": "1.0.0",
    "description": "Counts.",
    "roleList": ["guest", "host"],
    "inputParam": [
        {"name": "rounds", "title": "Rounds", "type": "int", "validator": "[1,10]", "defaultValue": 2},
    ],
    "inputData": [{"name": "data", "category": "dataset"}],
    "outputData": [{"name": "summary", "category": "dataset"}],
    "result": [{"resultCode": "0", "resultMessage": "done"}],
    "disclosure": ["Nothing leaves the node."],
}


def with_parameter(**members: Any) -> dict[str, Any]:
    return {**GOOD, "inputParam": [{**GOOD["inputParam"][0], **members}]}


def test_a_good_one_has_no_findings() -> None:
    assert findings_of(GOOD) == []


@pytest.mark.parametrize("manifest", builtin_manifests(), ids=lambda found: str(found["componentName"]))
def test_our_own_are_good(manifest: dict[str, Any]) -> None:
    assert findings_of(manifest) == []


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({**GOOD, "provider": ""}, "error: provider is missing; it must be a non-empty string"),
        (
            {**GOOD, "version": "first"},
            "warning: version: 'first' cannot be compared with other versions; right is \"1.0.0\"",
        ),
        ({**GOOD, "tilte": "x"}, "warning: tilte: no such member; right is title"),
        ({**GOOD, "title": None}, "warning: title: missing, and the specification demands it"),
        ({**GOOD, "roleList": "guest"}, 'warning: roleList: text, not list; right is ["guest", "host"]'),
        (
            {**GOOD, "roleList": ["gest"]},
            "warning: roleList[0]: 'gest' is a role that few nodes know; right is guest, host, arbiter",
        ),
        ({**GOOD, "disclosure": []}, ""),
        (
            {**GOOD, "disclosure": [{}]},
            'warning: disclosure[0]: says nothing, left out; right is {"to": "...", "what": "..."}',
        ),
        (
            {**GOOD, "boolStyle": "TRUE"},
            'warning: boolStyle: \'TRUE\' is no way to write booleans; right is "true" or "True"',
        ),
        (
            with_parameter(optional="no"),
            "warning: inputParam[0].optional: text, not boolean; right is true or false, without quotes",
        ),
        (
            with_parameter(type="strng"),
            "warning: inputParam[0] (rounds): type strng is not known: taken as text; "
            "right is string, integer, number, boolean or object",
        ),
        (
            with_parameter(validator="between 1 and 3"),
            "warning: inputParam[0] (rounds): validator between 1 and 3 is not understood, left out; "
            "right is a range such as [0,1) or (0,∞), or regular:'^[A-Z]+$'",
        ),
        (
            with_parameter(defaultValue=99),
            "warning: inputParam[0] (rounds): the default 99 is not valid by its own description: choose a value; "
            "right is a default that type, range and choices allow",
        ),
        (
            with_parameter(name="namespace"),
            "warning: inputParam[0].name: namespace is set by the node to name the dataset",
        ),
        (with_parameter(name="a=b"), "warning: inputParam[0].name: cannot be the name of a variable, left out"),
        (with_parameter(uitype="input"), "warning: inputParam[0].uitype: no such member; right is UIType"),
        (with_parameter(vendorColour="red"), ""),
        (
            {**GOOD, "outputData": [{"name": "s", "category": "table"}]},
            "warning: outputData[0].category: 'table' is not known",
        ),
        ({**GOOD, "outputData": [{"category": "dataset"}]}, "warning: outputData[0].name: missing"),
        ({**GOOD, "inputData": [GOOD["inputData"][0]] * 2}, "warning: inputData[1].name: data occurs twice: left out"),
        ({**GOOD, "result": ["0"]}, "warning: result[0]: text, left out; right is an object {...}"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(manifest: dict[str, Any], said: str) -> None:
    found = [finding.text for finding in findings_of(manifest)]
    assert not said or any(text.startswith(said) for text in found), found
    assert bool(found) == bool(said)


def test_a_description_without_disclosure_says_what_operators_miss() -> None:
    manifest = {name: value for name, value in GOOD.items() if name != "disclosure"}
    (finding,) = findings_of(manifest)
    assert finding.place == "disclosure"
    assert "Nothing leaves the node." in finding.right


def test_what_had_to_be_mended_is_told() -> None:
    assert findings_of(GOOD, ("comments",)) == [
        Finding("warning", "", "it has comments, which JSON does not allow", "plain JSON")
    ]


@pytest.mark.parametrize("junk", [None, 3, [], {}, "x", [[]], [{"name": {}}], [{"name": "a", "type": [1]}]])
@pytest.mark.parametrize(
    "member", ["inputParam", "inputData", "outputData", "result", "roleList", "disclosure", "title"]
)
def test_no_description_breaks_the_check(member: str, junk: Any) -> None:
    for finding in findings_of({**GOOD, member: junk}):
        assert finding.text
