"""Reports and tables as CSV, JSON, pages and pictures."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from algorithm_components.sdk.report_form import Report, faults_of
from nodeconsole.exports import FORMS
from nodeconsole.exports.axes import ticks
from nodeconsole.exports.forms import About, ExportError, convert, form_of

EVIL = '<script>alert("1")</script>&'
ABOUT = About("train.metrics", {"job": "job-1", "task": EVIL})


def report() -> dict[str, Any]:
    made = Report(EVIL)
    made.scalar("auc", 0.5, title="AUC", unit="share")
    made.scalar("none", None)
    made.table("parties", ["party", {"name": "rows", "type": "integer"}], [["guest", 5], [EVIL, None]])
    made.curve("loss", {"train": [(0, 1.0), (1, None), (2, 0.5)], EVIL: [(0, 2.0)]}, x="epoch", y=EVIL)
    made.text("note", EVIL)
    document = made.document()
    assert list(faults_of(document)) == []
    return document


def exported(tmp_path: Path, content: bytes, form: str) -> bytes:
    stored = tmp_path / "stored"
    stored.write_bytes(content)
    out = io.BytesIO()
    convert(stored, out, form, ABOUT)
    return out.getvalue()


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_report_as_csv_has_a_row_per_value(tmp_path: Path) -> None:
    text = exported(tmp_path, json.dumps(report()).encode(), "csv").decode()
    assert list(csv.reader(io.StringIO(text))) == [
        ["item", "kind", "row", "column", "value"],
        ["auc", "scalar", "", "share", "0.5"],
        ["none", "scalar", "", "", ""],
        ["parties", "table", "1", "party", "guest"],
        ["parties", "table", "1", "rows", "5"],
        ["parties", "table", "2", "party", EVIL],
        ["parties", "table", "2", "rows", ""],
        ["loss", "curve", "0", "train", "1.0"],
        ["loss", "curve", "1", "train", ""],
        ["loss", "curve", "2", "train", "0.5"],
        ["loss", "curve", "0", EVIL, "2.0"],
        ["note", "text", "", "", EVIL],
    ]


def test_a_report_as_a_page_runs_nothing_and_asks_nobody(tmp_path: Path) -> None:
    page = Tags()
    text = exported(tmp_path, json.dumps(report()).encode(), "html").decode()
    page.feed(text)
    assert "script" not in page.tags
    assert page.tags.count("path") > 2
    assert EVIL in page.text
    assert "0.5 share" in page.text
    assert "default-src 'none'" in text
    assert "http:" not in text
    assert "NaN" not in text


def test_a_report_as_a_picture(tmp_path: Path) -> None:
    image = Image.open(io.BytesIO(exported(tmp_path, json.dumps(report()).encode(), "png")))
    assert (image.format, image.width) == ("PNG", 1280)
    assert {(0, 114, 178), (213, 94, 0)} <= {colour for _, colour in image.convert("RGB").getcolors(1 << 20) or []}
    bare = Report()
    bare.text("note", "nothing to draw")
    with pytest.raises(ExportError, match="makes no picture"):
        exported(tmp_path, json.dumps(bare.document()).encode(), "png")


def test_a_report_as_json_is_what_was_stored(tmp_path: Path) -> None:
    assert json.loads(exported(tmp_path, json.dumps(report()).encode(), "json")) == report()


def test_tables(tmp_path: Path) -> None:
    table = f'\ufeffid,name\n1,"a ""b"""\n2,{EVIL.replace(chr(34), "")}\n'.encode()
    assert json.loads(exported(tmp_path, table, "json"))[0] == {"id": "1", "name": 'a "b"'}
    assert exported(tmp_path, b"id\n", "json") == b"[\n]\n"
    page = Tags()
    page.feed(exported(tmp_path, table, "html").decode())
    assert page.tags.count("tr") == 3
    assert "script" not in page.tags
    assert exported(tmp_path, table, "csv").startswith(b"id,name\n")
    with pytest.raises(ExportError, match="makes no picture"):
        exported(tmp_path, table, "png")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no header line|makes no picture"),
        (b"\xff\xfe\x00binary", "no table|makes no picture"),
        (b'{"auc": 1}', "does not follow the report form"),
        (b'{"form": "nodeconsole.report/1", "items": 5}', "items must be a list"),
        (b'{"form": ', "no JSON"),
        (b"{" + b'"a":{' * 100_000, "no JSON"),
    ],
)
def test_what_cannot_be_exported_says_why(tmp_path: Path, content: bytes, form: str, why: str) -> None:
    with pytest.raises(ExportError, match=why):
        exported(tmp_path, content, form)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-3, 17, [0, 5, 10, 15]),
        (5, 5, [5]),
        (1e-12, 5e-12, [1e-12, 2e-12, 3e-12, 4e-12, 5e-12]),
    ],
)
def test_the_numbers_of_an_axis_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_the_name_of_a_file_says_its_form() -> None:
    assert [form_of(Path(name)) for name in ("a.csv", "b.PNG", "c.html", "d.json", "e", "f.parquet")] == [
        "csv",
        "png",
        "html",
        "json",
        "",
        "",
    ]
