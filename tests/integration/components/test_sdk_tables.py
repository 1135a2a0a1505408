"""The SDK's tables in every format, in files and in an object store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY, Fault, S3Server

from algorithm_components.sdk.environment import Address, ComponentError
from algorithm_components.sdk.tables import Tables

HERE = Address("job-1-guest-0", "task-1-data0")
MIB = 1024 * 1024
HEADER = ["id", "note", "n", "x", "ok"]
ROWS = [["1", 'a,"b"\nc', 7, 0.5, True], ["2", "张三", -1, 1e300, False], ["3", "", 0, 2.0, True]]
TEXT = [["1", 'a,"b"\nc', "7", "0.5", "true"], ["2", "张三", "-1", "1e+300", "false"], ["3", "", "0", "2.0", "true"]]


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with S3Server().running() as server:
        yield server


def url_of(s3: S3Server, more: str = "") -> str:
    password = SECRET_KEY.replace("/", "%2F").replace("+", "%2B")
    return f"s3://127.0.0.1:{s3.port}?username={ACCESS_KEY}&password={password}{more}"


@pytest.fixture(params=["file", "s3", "s3-guide"])
def tables(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Server) -> Tables:
    if request.param == "file":
        return Tables(f"file://{tmp_path}")
    return Tables(url_of(s3, "&layout=guide" if request.param == "s3-guide" else "&bucket=storage"))


@pytest.mark.parametrize("format_", ["csv", "parquet", "json"])
def test_what_is_written_is_read(tables: Tables, format_: str) -> None:
    kinds = ["string", "string", "integer", "float", "boolean"]
    assert tables.write(HERE, HEADER, ROWS, format=format_, types=kinds, description="d") == 3
    with tables.read(HERE) as table:
        assert table.header == tuple(HEADER)
        found = list(table)
    # CSV has no types: booleans are what Python calls them.
    assert [row[:4] for row in found] == [row[:4] for row in TEXT]
    assert [row[4].lower() for row in found] == [row[4] for row in TEXT]
    metadata = tables.metadata(HERE)
    assert (metadata["count"], metadata["file_type"], metadata["description"]) == (3, format_, "d")
    assert [column["type"] for column in metadata["column_info"]] == kinds


@pytest.mark.parametrize("format_", ["csv", "parquet", "json"])
def test_a_large_table_comes_back(tables: Tables, format_: str) -> None:
    rows = 45_000
    tables.write(HERE, ["id", "n"], ((f"{number:040d}" * 5, number) for number in range(rows)), format=format_)
    with tables.read(HERE) as table:
        assert sum(int(n) for _, n in table) == rows * (rows - 1) // 2


def test_a_table_that_breaks_off_leaves_nothing(tables: Tables, s3: S3Server, tmp_path: Path) -> None:
    def rows() -> Iterator[list[str]]:
        yield from (["x" * 1000] for _ in range(20_000))
        raise ComponentError("the partner is gone")

    with pytest.raises(ComponentError, match="partner"):
        tables.write(HERE, ["id"], rows())
    assert not s3.objects
    assert not s3.uploads
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_table_is_made_of_another_one(tables: Tables) -> None:
    tables.write(HERE, ["id"], ([f"{number:0100d}"] for number in range(90_000)))
    there = Address("job-1-guest-0", "task-2-data0")
    with tables.read(HERE) as table:
        assert tables.write(there, table.header, table) == 90_000
    assert tables.read_bytes(there) == tables.read_bytes(HERE)


def test_a_blob_comes_back(tables: Tables) -> None:
    content = bytes(range(256)) * 50_000
    tables.write_chunks(HERE, [content[:100], content[100:]])
    assert tables.read_bytes(HERE) == content
    tables.write_text(HERE, "文")
    assert tables.read_bytes(HERE).decode() == "文"
    assert tables.metadata(HERE) == {}


def test_missing_objects_are_named(tables: Tables) -> None:
    with pytest.raises(ComponentError, match="job-1-guest-0"), tables.read(HERE):
        pass


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"a": 1, "b": null}\n{"b": [1, {"c": "x"}], "a": true}\n', [["1", ""], ["true", '[1, {"c": "x"}]']]),
        ('\ufeff[\n{"a": "1", "b": 1.50},\n {"a": "2"}\n]\n', [["1", "1.5"], ["2", ""]]),
        ('[{"a":"]},{","b":""}]', [["]},{", ""]]),
    ],
)
def test_json_in_both_forms(tmp_path: Path, text: str, rows: list[list[str]]) -> None:
    tables = Tables(f"file://{tmp_path}")
    tables.write_text(HERE, text)
    with tables.read(HERE) as table:
        assert table.header == ("a", "b")
        assert list(table) == rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "no objects"),
        ('{"a": 1}\n{"a": 1, "b": 2}\n', "object 2: 'b' is no member"),
        ('{"a": 1}\n{"a": \n', "object 2: this is not JSON"),
        ('{"a": 1}\n[2]\n', "object 2: this is not an object"),
        ('[{"a": 1} {"a": 2}]', "after object 1: a comma is missing"),
        ('[{"a": 1},\n', "the array does not end"),
    ],
)
def test_json_that_is_no_table(tmp_path: Path, text: str, said: str) -> None:
    tables = Tables(f"file://{tmp_path}")
    tables.write_text(HERE, text)
    with pytest.raises(ComponentError, match=said), tables.read(HERE) as table:
        list(table)


def test_json_longer_than_a_piece(tmp_path: Path) -> None:
    tables = Tables(f"file://{tmp_path}")
    for opening, separator, closing in (("", "\n", "\n"), ("[", ",\n", "]")):
        records = [{"id": str(number), "text": "x" * (number % 5000)} for number in range(2000)]
        tables.write_text(HERE, opening + separator.join(map(json.dumps, records)) + closing)
        with tables.read(HERE) as table:
            assert [row[0] for row in table] == [str(number) for number in range(2000)]


def test_parquet_of_others(tmp_path: Path) -> None:
    tables = Tables(f"file://{tmp_path}")
    tables.write_text(HERE, "")
    columns = {"when": pyarrow.array([0, None], pyarrow.timestamp("ms")), "many": [[1, 2], []], "t": ["a", None]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tables.path(HERE))
    with tables.read(HERE) as table:
        assert list(table) == [["1970-01-01 00:00:00", "[1, 2]", "a"], ["", "[]", ""]]
    tables.write_chunks(HERE, [b"PAR1 and no more"])
    with pytest.raises(ComponentError, match="not a Parquet file"), tables.read(HERE):
        pass


def test_a_column_of_parquet_keeps_its_type(tmp_path: Path) -> None:
    tables = Tables(f"file://{tmp_path}")
    rows = [[number] for number in range(70_000)] + [["text"]]
    with pytest.raises(ComponentError, match="column n, rows from 65537: not all values are integer"):
        tables.write(HERE, ["n"], rows, format="parquet")
    with pytest.raises(ComponentError, match="csv, parquet, json"):
        tables.write(HERE, ["n"], rows, format="xlsx")


def test_partitions_of_others_are_one_table(s3: S3Server) -> None:
    s3.put("job-1-guest-0/task-1-data0/data_0", b"id,n\n1,1\n")
    s3.put("job-1-guest-0/task-1-data0/data_1", b'{"id": "2", "n": 2}\n')
    s3.put("job-1-guest-0/task-1-data0/data_10", b"id,n\n3,3\n")
    s3.put("job-1-guest-0/task-1-data0/metadata", b'{"count": 3, "partitions": 3}')
    tables = Tables(url_of(s3))
    with tables.read(HERE) as table:
        assert list(table) == [["1", "1"], ["2", "2"], ["3", "3"]]
    assert tables.metadata(HERE)["partitions"] == 3
    s3.put("job-1-guest-0/task-1-data0/data_2", b"id\n3\n")
    with pytest.raises(ComponentError, match="different columns"), tables.read(HERE) as table:
        list(table)
    tables.write(HERE, ["id"], [["x"]])
    assert set(s3.objects) == {"job-1-guest-0/task-1-data0/data_0", "job-1-guest-0/task-1-data0/metadata"}


def test_a_store_that_fails_now_and_then(s3: S3Server) -> None:
    tables = Tables(url_of(s3))
    tables.write(HERE, ["id"], ([f"{number:060d}"] for number in range(100_000)))
    s3.faults.append(Fault(lambda request: request.method == "GET" and bool(request.key), times=2, cut_after=2_000_000))
    s3.faults.append(Fault(lambda _: True, times=2, status=503, code="SlowDown"))
    with tables.read(HERE) as table:
        assert sum(int(row[0]) for row in table) == 100_000 * 99_999 // 2


def test_a_download_may_break_off_as_often_as_it_gets_further(s3: S3Server) -> None:
    tables = Tables(url_of(s3))
    content = bytes(range(256)) * 4096 * 9
    tables.write_chunks(HERE, [content])
    s3.faults.append(Fault(lambda request: request.method == "GET" and bool(request.key), times=7, cut_after=MIB + 1))
    assert tables.read_bytes(HERE) == content
    s3.faults.append(Fault(lambda request: request.method == "GET" and bool(request.key), cut_after=2 * MIB))
    s3.faults.append(Fault(lambda request: bool(request.range), before=lambda: s3.put(f"{HERE}/data_0", content[1:])))
    with pytest.raises(ComponentError, match="PreconditionFailed"):
        tables.read_bytes(HERE)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://127.0.0.1:{port}?username=NOBODY&password=topsecret", "InvalidAccessKeyId"),
        ("s3://127.0.0.1:{port}?username=" + ACCESS_KEY + "&password=topsecret", "SignatureDoesNotMatch"),
        ("s3://127.0.0.1:{port}?username=u", "s3://host:port"),
        ("s3://127.0.0.1:x?username=u&password=topsecret", "s3://host:port"),
        ("s3://?username=u&password=topsecret", "s3://host:port"),
    ],
)
def test_faults_show_no_password(s3: S3Server, url: str, said: str) -> None:
    with pytest.raises(ComponentError, match=said) as caught:
        Tables(url.replace("{port}", str(s3.port))).write_text(HERE, "x")
    assert "topsecret" not in str(caught.value)


def test_no_bucket_is_said(s3: S3Server) -> None:
    with pytest.raises(ComponentError, match="no such bucket"):
        Tables(url_of(s3, "&bucket=elsewhere")).write_text(HERE, "x")
