"""The SDK's tables and reports on a real directory."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from algorithm_components.sdk.environment import Address, ComponentError, Environment
from algorithm_components.sdk.log import say
from algorithm_components.sdk.report import Progress, call_back, write_report
from algorithm_components.sdk.tables import Tables

HERE = Address("job-1", "task-1-data0")


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(f"file://{tmp_path}")


def put(tables: Tables, content: bytes) -> None:
    path = tables.path(HERE)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def test_what_is_written_is_read(tables: Tables) -> None:
    rows = [["1", 'a,"b"\nc'], ["", "张三"]]
    assert tables.write(HERE, ["id", "note"], rows) == 2
    with tables.read(HERE) as table:
        assert table.header == ("id", "note")
        assert table.column("note") == 1
        assert list(table) == rows
    assert stat.S_IMODE(tables.path(HERE).stat().st_mode) == 0o600


def test_a_second_run_replaces_the_first(tables: Tables) -> None:
    tables.write(HERE, ["id"], [["1"], ["2"]])
    tables.write(HERE, ["id"], [["3"]])
    with tables.read(HERE) as table:
        assert list(table) == [["3"]]
    beside = tables.path(HERE).parent
    assert {path.name for path in beside.iterdir()} == {HERE.name, f".metadata-{HERE.name}"}
    assert tables.metadata(HERE)["count"] == 1


def test_a_write_that_fails_leaves_nothing(tables: Tables) -> None:
    def rows() -> object:
        yield ["1"]
        raise ComponentError("the partner is gone")

    with pytest.raises(ComponentError, match="partner"):
        tables.write(HERE, ["id"], rows())  # type: ignore[arg-type]
    assert list(tables.path(HERE).parent.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no header"),
        (b"\xff", "not a table"),
        (b"a,b\n1\n", "line 2: 1 fields"),
        (b'a,b\n1,"x\n', "after line 2"),
        (b"a,b\n" + b"1,2\n" * 5000 + b"\xff,1\n", "after line"),
    ],
)
def test_what_is_no_table(tables: Tables, content: bytes, said: str) -> None:
    put(tables, content)
    with pytest.raises(ComponentError, match=said), tables.read(HERE) as table:
        list(table)


def test_marks_and_blank_lines_are_no_data(tables: Tables) -> None:
    put(tables, b"\xef\xbb\xbfid\r\n1\r\n\r\n")
    with tables.read(HERE) as table:
        assert table.header == ("id",)
        assert list(table) == [["1"]]


@pytest.mark.parametrize(("namespace", "name"), [("..", "x"), ("n", "../x"), ("", "x"), ("n", ".hidden"), ("n", "a\0")])
def test_addresses_stay_inside(tables: Tables, namespace: str, name: str) -> None:
    with pytest.raises(ComponentError, match="not a storage address"):
        tables.path(Address(namespace, name))


def test_a_password_in_the_url_is_not_shown() -> None:
    with pytest.raises(ComponentError, match="file://") as caught:
        Tables("hdfs://host?password=topsecret")
    assert "topsecret" not in str(caught.value)


def test_missing_objects_are_named(tables: Tables) -> None:
    with pytest.raises(ComponentError, match="job-1/task-1-data0"):
        tables.read_bytes(HERE)


def test_a_report_is_json(tables: Tables) -> None:
    write_report(tables, HERE, {"数": 1})
    assert json.loads(tables.read_bytes(HERE)) == {"数": 1}


def test_one_call_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("two\nlines\\")
    assert capsys.readouterr().out == "two\\nlines\\\\\n"


def test_progress_is_told_now_and_then_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    moments = iter(range(0, 100))
    progress = Progress("masked", 10, every=3.0, now=lambda: float(next(moments)))
    for _ in range(10):
        progress.add(1)
    progress.add(0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "masked: 10 of 10 (100 %)"
    assert 1 < len(lines) < 6
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("url", ["", "https://127.0.0.1:1/x", "http://127.0.0.1:1/x"])
def test_a_callback_that_cannot_be_delivered_is_no_failure(url: str) -> None:
    variables = {"system.callback": url, "config.task_id": "t", "config.self_role": "guest.0"}
    assert not call_back(Environment(variables), "RUNNING")
