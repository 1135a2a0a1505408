"""What the beginning of a stored object shows."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_scheduler.domain.preview import MOST_CELL, MOST_COLUMNS, MOST_TEXT, Preview, preview_of


def test_a_table_by_its_declared_type_or_its_look() -> None:
    data = b"\xef\xbb\xbfid,income\n1,200\n2,300\n"
    expected = Preview("table", ("id", "income"), (("1", "200"), ("2", "300")), 2)
    assert preview_of(data, "dataset", whole=True, rows=5) == expected
    assert preview_of(data, "", whole=True, rows=5) == expected
    assert preview_of(b"id\n1\n", "dataset", whole=True, rows=5).kind == "table"
    assert preview_of(b"id\n1\n", "model", whole=True, rows=5).kind == "text"


def test_only_whole_rows_are_shown_and_only_so_many() -> None:
    few = preview_of(b"id,x\n1,2\n3,4\n5,6\n", "dataset", whole=True, rows=2)
    assert (few.rows, few.total, few.whole) == ((("1", "2"), ("3", "4")), 3, False)
    cut = preview_of(b"id,x\n1,2\n3,", "dataset", whole=False, rows=9)
    assert (cut.rows, cut.total, cut.whole) == ((("1", "2"),), None, False)


def test_long_values_and_many_columns_are_cut() -> None:
    wide = ",".join(f"c{n}" for n in range(MOST_COLUMNS + 1))
    shown = preview_of(f"{wide}\n{'y' * 1000},2\n".encode(), "dataset", whole=True, rows=2)
    assert len(shown.columns) == MOST_COLUMNS
    assert len(shown.rows[0][0]) == MOST_CELL
    assert not shown.whole


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"auc": 0.87}', "document"),
        (b"[1, 2]", "document"),
        (b'{"auc": ', "text"),
        (b"[" * 61 + b"]" * 61, "text"),
        (b'["\\ud800"]', "text"),
        (b"plain words", "text"),
        (b"\xff\xfe\x00", "binary"),
        (b"a\x00b", "binary"),
    ],
)
def test_other_kinds(data: bytes, kind: str) -> None:
    assert preview_of(data, "report", whole=True, rows=5).kind == kind


@pytest.mark.parametrize("data", [b'{"a": 1e999, "b": -1e999, "c": NaN}', b'[{"a": 1e999, "b": -1e999, "c": NaN}]'])
def test_numbers_beyond_all_floats_are_shown_as_they_were_written(data: bytes) -> None:
    shown = preview_of(data, "report", whole=True, rows=5).document
    record = shown[0] if isinstance(shown, list) else shown
    assert record == {"a": "1e999", "b": "-1e999", "c": "NaN"}
    json.dumps(shown, allow_nan=False)


def test_a_character_cut_in_two_at_the_end_is_no_fault() -> None:
    data = "列,值\n样本,对齐".encode()[:-1]
    assert preview_of(data, "dataset", whole=False, rows=5).columns == ("列", "值")
    assert preview_of(data, "dataset", whole=True, rows=5).kind == "binary"


@pytest.mark.parametrize(
    ("data", "whole", "rows", "total"),
    [
        (b'{"id": 1, "b": null}\n{"id": "x", "b": [true]}\n', True, (("1", ""), ("x", "[true]")), 2),
        (b'[{"id": 1, "b": 2}]', True, (("1", "2"),), 1),
        (b'[{"id": 1, "b": 2},\n{"id": 2, "b"', False, (("1", "2"),), None),
    ],
)
def test_objects_are_a_table(data: bytes, whole: bool, rows: tuple[tuple[str, ...], ...], total: int | None) -> None:
    expected = Preview("table", ("id", "b"), rows, total, whole=whole)
    assert preview_of(data, "dataset", whole=whole, rows=5) == expected
    assert preview_of(data, "report", whole=whole, rows=5).columns != ("id", "b")


@pytest.mark.parametrize("data", [b'{"one": "object"}', b"[1]", b'{"a": 1} and text', b'[{"a": 1}] and text'])
def test_other_json_is_no_table(data: bytes) -> None:
    assert preview_of(data, "dataset", whole=True, rows=5).columns != ("a",)
    assert preview_of(data, "dataset", whole=True, rows=5).columns != ("one",)


@given(st.binary(max_size=300), st.booleans(), st.sampled_from(["dataset", "model", ""]))
def test_anything_can_be_shown(data: bytes, whole: bool, declared: str) -> None:
    shown = preview_of(data, declared, whole=whole, rows=3)
    assert len(shown.rows) <= 3
    assert len(shown.text) <= MOST_TEXT
