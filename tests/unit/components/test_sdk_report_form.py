"""The report form: what is written can be drawn, and the published schema says the same."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from algorithm_components.sdk.environment import Address, ComponentError
from algorithm_components.sdk.report import write_report
from algorithm_components.sdk.report_form import FORM, Report, faults_of
from algorithm_components.sdk.tables import Tables

SCHEMA = json.loads(files("algorithm_components.sdk").joinpath("report.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)


def full() -> Report:
    report = Report("Training", "of a small model")
    report.scalar("auc", 0.93, title="AUC", unit="", description="on the host's labels")
    report.scalar("ks", None)
    report.scalar("protocol", "ecdh-psi")
    report.table("parties", ["party", {"name": "rows", "type": "integer"}], [("guest", 1), ("host", None)])
    report.curve("loss", {"guest": [(1, 0.5), (2, 0.25)], "host": [(1, None)]}, x="epoch", y="loss", title="Loss")
    report.text("note", "two\nlines", title="Note")
    return report


def test_a_report_follows_form_and_schema() -> None:
    document = json.loads(json.dumps(full().document()))
    assert list(faults_of(document)) == []
    assert VALIDATOR.is_valid(document)
    assert [item["name"] for item in document["items"]] == ["auc", "ks", "protocol", "parties", "loss", "note"]
    assert document["items"][4]["series"][1] == {"title": "host", "points": [[1, None]]}


def item(**members: Any) -> dict[str, Any]:
    return {"form": FORM, "items": [{"name": "x", **members}]}


CURVE: dict[str, Any] = {"kind": "curve", "x": {"title": "t"}, "y": {}, "series": [{"points": [[0, 1]]}]}

WRONG: list[tuple[Any, str]] = [
    ([], "it is not an object"),
    ({"items": []}, "form must be 'nodeconsole.report/1'"),
    ({"form": FORM}, "items must be a list"),
    ({"form": FORM, "title": 3, "items": []}, "title must be a text"),
    ({"form": FORM, "items": [{}] * 201}, "items has 201 members, at most 200"),
    ({"form": FORM, "items": [3]}, "items[0].kind must be one of scalar, text, table, curve"),
    (item(kind="pie"), "items[0].kind must be one of"),
    (item(kind="scalar", name="1x", value=1), "items[0].name must be 1 to 64 characters"),
    (item(kind="scalar"), "items[0].value is missing"),
    (item(kind="scalar", value=[1]), "items[0].value must be a text, a number, a boolean or null"),
    (item(kind="scalar", value=1, colour="red"), "members that a scalar does not have: colour"),
    (item(kind="text", text=1), "items[0].text must be a text"),
    (item(kind="table", columns=[], rows=[]), "items[0].columns must be a list of 1 to 100"),
    (item(kind="table", columns=[{"name": ""}], rows=[]), "columns[0].name must be a text"),
    (item(kind="table", columns=[{"name": "a", "type": "date"}], rows=[]), "columns[0].type must be one of"),
    (item(kind="table", columns=[{"name": "a"}], rows=[[{}]]), "rows[0] must be a text"),
    (item(kind="table", columns=[{"name": "a"}], rows=[["x"]] * 10_001), "at most 10000 rows"),
    (item(**{**CURVE, "x": "t"}), "items[0].x must be an object"),
    (item(**{**CURVE, "series": {}}), "series must be a list"),
    (item(**{**CURVE, "series": [{}]}), "series[0].points must be a list"),
    (item(**{**CURVE, "series": [{"points": [[0]]}]}), "points must be pairs of numbers"),
    (item(**{**CURVE, "series": [{"points": [[None, 1]]}]}), "points must be pairs of numbers"),
    (item(**{**CURVE, "series": [{"points": [[True, 1]]}]}), "points must be pairs of numbers"),
]


@pytest.mark.parametrize(("document", "said"), WRONG)
def test_what_cannot_be_drawn_is_named_and_refused_by_the_schema_too(document: Any, said: str) -> None:
    assert said in next(faults_of(document))
    assert not VALIDATOR.is_valid(document)


def test_what_the_schema_cannot_say_is_checked_all_the_same() -> None:
    scalar = {"kind": "scalar", "name": "x", "value": 1}
    assert "occurs twice" in next(faults_of({"form": FORM, "items": [scalar, scalar]}))
    table = item(kind="table", columns=[{"name": "a"}], rows=[["1", "2"]])
    assert "list of 1 cells, one per column" in next(faults_of(table))


def test_adding_what_the_form_does_not_allow_fails_at_once() -> None:
    report = full()
    for number in (math.nan, math.inf):
        with pytest.raises(ComponentError, match="write null"):
            report.scalar("bad", number)
    with pytest.raises(ComponentError, match="occurs twice"):
        report.scalar("auc", 1)
    with pytest.raises(ComponentError, match="2 cells"):
        report.table("t", ["a", "b"], [["1"]])
    with pytest.raises(ComponentError, match="pairs of numbers"):
        report.curve("c", {"s": [(0, math.nan)]})
    assert list(faults_of(report.document())) == []


def test_the_limit_of_items_holds() -> None:
    report = Report()
    for number in range(200):
        report.scalar(f"s{number}", number)
    with pytest.raises(ComponentError, match="at most 200 items"):
        report.scalar("one_more", 1)


def test_what_is_stored_was_checked(tmp_path: Path) -> None:
    tables, address = Tables(f"file://{tmp_path}"), Address("job", "report")
    write_report(tables, address, full())
    assert json.loads(tables.read_bytes(address)) == full().document()
    write_report(tables, address, {"own": "shape"})
    assert json.loads(tables.read_bytes(address)) == {"own": "shape"}
    with pytest.raises(ComponentError, match=r"items\[0\]\.kind"):
        write_report(tables, address, {"form": FORM, "items": [{"kind": "pie"}]})
    with pytest.raises(ComponentError, match="is no JSON"):
        write_report(tables, address, {"x": math.nan})
    assert json.loads(tables.read_bytes(address)) == {"own": "shape"}
