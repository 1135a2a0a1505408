"""CSV files as people really have them."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedded_scheduler.connectors.csv import CsvConnector
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.spi.connector import Connector, FileConnector

CSV = CsvConnector()


def write(tmp_path: Path, content: str | bytes, encoding: str = "utf-8") -> dict[str, Any]:
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return {"path": str(path)}


def test_fulfils_the_contracts() -> None:
    assert isinstance(CSV, Connector)
    assert isinstance(CSV, FileConnector)


def test_a_plain_table(tmp_path: Path) -> None:
    options = write(tmp_path, "id,name,age\n1,Ann,30\n2,Bo,\n")
    probe = CSV.probe(options)
    assert [(column.name, column.type) for column in probe.columns] == [
        ("id", "integer"),
        ("name", "string"),
        ("age", "integer"),
    ]
    content = Path(options["path"]).read_bytes()
    assert (probe.rows, probe.size_bytes) == (2, len(content))
    assert probe.fingerprint == hashlib.sha256(content).hexdigest() == CSV.fingerprint(options)
    assert list(CSV.rows(options)) == [("1", "Ann", "30"), ("2", "Bo", "")]
    assert CSV.plain_file(options) == Path(options["path"])


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (["1", "-2", "0"], "integer"),
        (["1", "2.5"], "float"),
        (["1e3", ".5", "-1."], "float"),
        (["true", "False"], "boolean"),
        (["1", "true"], "string"),
        (["2.5", "x"], "string"),
        (["007"], "string"),
        (["00.5"], "string"),
        (["6222021234567890123"], "string"),
        (["true", "1"], "string"),
        (["1", "true", "1"], "string"),
        (["１２"], "string"),
        (["nan"], "string"),
        (["", ""], "string"),
        (["", "5"], "integer"),
        (["2026-11-22"], "string"),
    ],
)
def test_types(tmp_path: Path, values: list[str], type_: str) -> None:
    options = write(tmp_path, "x,y\n" + "".join(f"{value},-\n" for value in values))
    assert CSV.probe(options).columns[0].type == type_


def test_quoted_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    options = write(tmp_path, 'id,note\r\n1,"a, ""b""\r\nc"\r\n2,"x\ny"\r\n')
    assert CSV.probe(options).rows == 2
    assert list(CSV.rows(options)) == [("1", 'a, "b"\r\nc'), ("2", "x\ny")]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    options = write(tmp_path, "id,x\n1,2\n", "utf-8-sig")
    assert CSV.probe(options).columns[0].name == "id"
    assert CSV.plain_file(options) is None


def test_gb18030(tmp_path: Path) -> None:
    options = write(tmp_path, "编号,姓名\n1,张三\n2,𠮷田\n", "gb18030")
    with pytest.raises(InvalidRequest, match=r"line 1: is not utf-8.*gb18030"):
        CSV.probe(options)
    options["encoding"] = "GB18030"
    assert list(CSV.rows(options)) == [("1", "张三"), ("2", "𠮷田")]
    assert [column.name for column in CSV.probe(options).columns] == ["编号", "姓名"]
    assert CSV.plain_file(options) is None


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    options = write(tmp_path, f'"a,b"{delimiter}c\n1{delimiter}2\n')
    assert [column.name for column in CSV.probe(options).columns] == ["a,b", "c"]
    assert CSV.plain_file(options) is None
    assert list(CSV.rows({**options, "delimiter": delimiter})) == [("1", "2")]


def test_a_stated_delimiter_is_obeyed(tmp_path: Path) -> None:
    options = {**write(tmp_path, "a;b,c\n1;2,3\n"), "delimiter": ";"}
    assert list(CSV.rows(options)) == [("1", "2,3")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1: there is no header"),
        ("\n1,2\n", "line 1: the header is empty"),
        ("a,a\n1,2\n", "line 1: columns 1 and 2"),
        ("a,\n1,2\n", "line 1: column 2 has no name"),
        ("a,b\n1,2\n3\n", "line 3: 1 fields, but the header has 2"),
        ("a,b\n1,2,3\n", "line 2: 3 fields"),
        ('a,b\n"x\ny",2\n3\n', "line 4: 1 fields"),
        ("a,b\n1,2\n\n3,4\n", "line 3: the line is empty"),
        ('a,b\n1,"x\n', "line 2: quoting"),
        ('a,b\n1,"x"y\n', "line 2: quoting"),
        ("a,b\n1,\0\n", "line 2: contains a NUL"),
        (b"a,b\n1,2\n3,\xff\n", "line 3: is not utf-8"),
        ('"a\tb",c\n1,2\n', "line 1: the name of column 1"),
    ],
)
def test_faults_name_the_line(tmp_path: Path, content: str | bytes, said: str) -> None:
    options = write(tmp_path, content)
    with pytest.raises(InvalidRequest, match=said):
        CSV.probe(options)


def test_lines_that_end_as_on_an_old_macintosh_are_a_fault_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="quoting is broken"):
        CSV.probe(write(tmp_path, b"a,b\r1,2\r"))


def test_a_header_wider_than_one_field_may_be(tmp_path: Path) -> None:
    """Before it is known what divides it, it is one field."""
    names = [f"column_{number}" for number in range(20_000)]
    probe = CSV.probe(write(tmp_path, ",".join(names) + "\n"))
    assert [column.name for column in probe.columns] == names


def test_blank_lines_at_the_end_are_no_rows(tmp_path: Path) -> None:
    assert CSV.probe(write(tmp_path, "a\n1\n\n\n")).rows == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "path"),
        ({"path": "relative.csv"}, "absolute"),
        ({"path": "/nowhere/at/all.csv"}, "no file"),
        ({"path": "/"}, "not a file"),
        ({"path": "/x", "encoding": "latin-1"}, "encoding"),
        ({"path": "/x", "delimiter": "::"}, "delimiter"),
        ({"path": "/x", "seperator": ","}, "unknown option"),
        ({"path": "/x\0"}, "path"),
    ],
)
def test_bad_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        CSV.probe(options)


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(cells, cells), max_size=20))
def test_as_many_rows_come_out_as_went_in(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([("a", "b"), *rows])
    options = write(tmp_path, text.getvalue())
    assert list(CSV.rows(options)) == rows
    assert CSV.probe(options).rows == len(rows)
