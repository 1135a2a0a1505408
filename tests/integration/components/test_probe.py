"""The probe as a process."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.integration.components.party import environment, run


def bare(tmp_path: Path, **parameters: object) -> dict[str, str]:
    """A probe without inputs and outputs."""
    variables = environment("guest.0", tmp_path, **parameters)
    return {name: value for name, value in variables.items() if ".input." not in name and ".output." not in name}


def test_it_says_who_it_is_and_ends(tmp_path: Path) -> None:
    assert run("probe", bare(tmp_path)) == (0, "probe of guest.0, task task-1\n")


def test_lines_and_echo(tmp_path: Path) -> None:
    code, output = run("probe", bare(tmp_path, lines=2500, echo="你好, world"))
    lines = output.splitlines()
    assert code == 0
    assert lines[1] == "echo: 你好, world"
    assert lines[2:] == [f"line {number} of 2500" for number in range(1, 2501)]


@pytest.mark.parametrize(
    ("fail", "code"), [("true", 1), ("True", 1), ("7", 7), ("255", 255), ("false", 0), ("0", 0), ("", 0)]
)
def test_it_fails_as_asked(tmp_path: Path, fail: str, code: int) -> None:
    ended, output = run("probe", bare(tmp_path, fail=fail))
    assert ended == code
    assert (f"failing as asked with exit code {code}" in output) == bool(code)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [({"fail": "256"}, "fail"), ({"fail": "-1"}, "fail"), ({"sleep": "long"}, "sleep"), ({"lines": -1}, "lines")],
)
def test_bad_parameters(tmp_path: Path, parameters: dict[str, object], named: str) -> None:
    code, output = run("probe", bare(tmp_path, **parameters))
    assert code == 1
    assert output.startswith(f"error: the parameter {named} must be")


def test_inputs_reach_every_output(tmp_path: Path) -> None:
    variables = environment("guest.0", tmp_path)
    variables["runtime.component.input.more"] = '{"namespace": "datasets", "name": "more"}'
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "people").write_bytes(b"id\n\xff\n")
    (tmp_path / "datasets" / "more").write_bytes(b"more\n")
    code, output = run("probe", variables)
    assert code == 0, output
    for name in ("task-1-data0", "task-1-report"):
        found = tmp_path / "job-1" / name
        assert found.read_bytes() == b"id\n\xff\nmore\n"
        assert stat.S_IMODE(found.stat().st_mode) == 0o600
    assert "input people" not in output
    assert "input data: 5 bytes" in output
    assert sorted(path.name for path in (tmp_path / "job-1").iterdir()) == ["task-1-data0", "task-1-report"]


def test_outputs_without_inputs_hold_the_echo(tmp_path: Path) -> None:
    variables = {
        name: value for name, value in environment("host.0", tmp_path, echo="hi").items() if ".input." not in name
    }
    assert run("probe", variables)[0] == 0
    assert (tmp_path / "job-1" / "task-1-data0").read_text() == "hi\n"


def test_a_missing_input_fails_and_writes_nothing(tmp_path: Path) -> None:
    code, output = run("probe", environment("guest.0", tmp_path))
    assert code == 1
    assert output.splitlines()[-1] == "error: input data cannot be read: No such file or directory"
    assert not (tmp_path / "job-1").exists()


def test_a_failing_run_writes_no_output(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "people").write_bytes(b"id\n")
    assert run("probe", environment("guest.0", tmp_path, fail="true"))[0] == 1
    assert not (tmp_path / "job-1").exists()


@pytest.mark.parametrize("storage", ["s3://h?password=topsecret", "hdfs://h?password=topsecret", "file://relative"])
def test_other_storages_are_refused_without_showing_their_password(tmp_path: Path, storage: str) -> None:
    code, output = run("probe", {**environment("guest.0", tmp_path), "system.storage": storage})
    assert code == 1
    assert "storage" in output
    assert "topsecret" not in output


def test_an_address_cannot_leave_the_storage(tmp_path: Path) -> None:
    variables = environment("guest.0", tmp_path / "root")
    variables["runtime.component.input.data"] = '{"namespace": "..", "name": "secret"}'
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root").mkdir()
    code, output = run("probe", variables)
    assert code == 1
    assert "is not a storage address" in output
