"""Parquet and JSON files as datasets."""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from embedded_scheduler.connectors.json import JsonConnector
from embedded_scheduler.connectors.parquet import ParquetConnector
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.spi.connector import Connector, DescribedConnector, FileConnector

JSON, PARQUET = JsonConnector(), ParquetConnector()


def write(tmp_path: Path, content: str | bytes) -> dict[str, Any]:
    path = tmp_path / "table"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return {"path": str(path)}


def store(tmp_path: Path, columns: dict[str, Any], **how: Any) -> dict[str, Any]:
    path = tmp_path / "table.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path, **how)
    return {"path": str(path)}


@pytest.mark.parametrize("connector", [JSON, PARQUET])
def test_fulfils_the_contracts(connector: object, tmp_path: Path) -> None:
    assert isinstance(connector, Connector)
    assert isinstance(connector, FileConnector)
    assert isinstance(connector, DescribedConnector)
    assert connector.options_schema["required"] == ["path"]
    for options, said in (
        ({}, "option path"),
        ({"path": "relative"}, "must be absolute"),
        ({"path": str(tmp_path / "none")}, "there is no file"),
        ({"path": str(tmp_path)}, "is not a file"),
        ({"path": "/x", "pth": 1}, "unknown option 'pth'"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            connector.probe(options)


RECORDS = [
    {"id": "007", "n": 1, "x": 1, "ok": True, "mixed": 1, "deep": {"a": [1]}},
    {"id": "张", "n": -2, "x": 2.5, "ok": False, "mixed": "a", "deep": None},
    {"id": "", "n": None, "mixed": None},
]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(map(json.dumps, RECORDS)),
        json.dumps(RECORDS, ensure_ascii=False),
        "\ufeff" + json.dumps(RECORDS, indent=3) + "\n\n",
        "".join(map(json.dumps, RECORDS)),
    ],
)
def test_json_in_all_forms(tmp_path: Path, text: str) -> None:
    options = write(tmp_path, text)
    probe = JSON.probe(options)
    kinds = ["string", "integer", "float", "boolean", "string", "string"]
    assert [(column.name, column.type) for column in probe.columns] == list(zip(RECORDS[0], kinds, strict=True))
    content = Path(options["path"]).read_bytes()
    assert (probe.rows, probe.size_bytes) == (3, len(content))
    assert probe.fingerprint == hashlib.sha256(content).hexdigest() == JSON.fingerprint(options)
    assert list(JSON.rows(options)) == [
        ("007", "1", "1", "true", "1", '{"a": [1]}'),
        ("张", "-2", "2.5", "false", "a", ""),
        ("", "", "", "", "", ""),
    ]
    assert JSON.plain_file(options) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "has no objects"),
        ("[]", "has no objects"),
        ("{}", "there are no columns"),
        ('{"": 1}', "'' cannot be a column's name"),
        ('{"a\\n": 1}', "cannot be a column's name"),
        ('{"a": 1}\n{"b": 1}', "object 2: 'b' is no member of the first object"),
        ('{"a": 1}\n{"a": 1', "object 2: this is not JSON"),
        ('{"a": 1}\n3', "object 2: this is not an object"),
        ('{"a": NaN}', "object 1: this is not JSON"),
        ('{"a": 1e999}', "object 1: this is not JSON"),
        ('{"a": 1}\n{"a": "\\ud800"}', "object 2: it has half of a surrogate pair"),
        ('{"a": {"b": ["\\uDFFF"]}}', "object 1: it has half of a surrogate pair"),
        ('[{"a": 1} {"a": 1}]', "object 1: no comma"),
        ('[{"a": 1},]', "object 1: a comma without"),
        ('[{"a": 1}', "object 1: no comma or end"),
        ('[{"a": 1},', "object 1: the array does not end"),
        ('[{"a": 1}] {}', "object 1: there is something after"),
        (b'{"a": "\xff"}', "is not UTF-8"),
        ("id,name\n1,2\n", "object 1: this is not JSON"),
        ('{"a":' + "[" * 100_000, "object 1: this is not JSON"),
    ],
)
def test_json_that_is_no_dataset(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        JSON.probe(write(tmp_path, content))


def test_json_longer_than_a_piece(tmp_path: Path) -> None:
    records = [{"id": number, "text": "文" * (number % 3000)} for number in range(1500)]
    options = write(tmp_path, json.dumps(records, ensure_ascii=False))
    assert [int(row[0]) for row in JSON.rows(options)] == list(range(1500))


def test_parquet_with_its_types(tmp_path: Path) -> None:
    options = store(
        tmp_path,
        {
            "id": ["007", "张", None],
            "n": [1, None, -(2**62)],
            "x": [0.5, 1e300, None],
            "ok": [True, False, None],
            "money": [Decimal("1.50"), None, Decimal("-0.01")],
            "day": [date(2024, 2, 29), None, None],
            "when": [datetime(2024, 2, 29, 1, tzinfo=UTC), None, None],
            "many": [[1, 2], [], None],
        },
        row_group_size=2,
    )
    probe = PARQUET.probe(options)
    kinds = ["string", "integer", "float", "boolean", "float", "string", "string", "string"]
    assert [column.type for column in probe.columns] == kinds
    content = Path(options["path"]).read_bytes()
    assert (probe.rows, probe.size_bytes) == (3, len(content))
    assert probe.fingerprint == hashlib.sha256(content).hexdigest() == PARQUET.fingerprint(options)
    rows = list(PARQUET.rows(options))
    assert rows[0] == ("007", "1", "0.5", "true", "1.50", "2024-02-29", "2024-02-29 01:00:00+00:00", "[1, 2]")
    assert rows[2] == ("", str(-(2**62)), "", "", "-0.01", "", "", "")


def test_parquet_that_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="not a Parquet file"):
        PARQUET.probe(write(tmp_path, b"PAR1" + b"x" * 1000 + b"PAR1"))
    with pytest.raises(InvalidRequest, match="column blob holds bytes"):
        PARQUET.probe(store(tmp_path, {"blob": [b"\xff"]}))
    options = store(tmp_path, {"id": [str(number) * 10 for number in range(50_000)]}, compression="zstd")
    path = Path(options["path"])
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 2000] = bytes(2000)
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match="after row"):
        PARQUET.probe(options)


def test_without_its_library_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = store(tmp_path, {"id": ["1"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidRequest, match=r"has no pyarrow: .*pip install"):
        PARQUET.probe(options)
