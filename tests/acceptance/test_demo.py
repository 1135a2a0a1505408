"""`nodeconsole demo` as a person runs it: real processes, real sockets, exit status 0 only for a right result."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.processes import processes_of

from nodeconsole.demo.steps import Demo
from nodeconsole.demo.verdict import read_table
from nodeconsole.node_process import program


def demo_command(*options: str) -> list[str]:
    return [*program(), "demo", *options]


def run_demo(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(demo_command(*options), capture_output=True, text=True, timeout=100, check=False)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def assert_right(result: dict[str, Any], home: Path) -> None:
    assert result["right"] is True
    assert result["problems"] == []
    assert result["expected"] == 439
    assert {side["role"]: (side["rows"], side["intersection"]) for side in result["sides"]} == {
        "guest": (512, 439),
        "host": (496, 439),
    }
    for side in result["sides"]:
        assert Path(side["result"]).is_relative_to(home / side["role"])
        assert Path(side["result"]).stat().st_size > 0
        assert "nodeconsole: end of log" in Path(side["log"]).read_text()
    for seconds in result["seconds"].values():
        assert seconds > 0


def test_two_parties(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    done = run_demo("--home", str(home))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert ["guest", "512", "439", "right"] in [line.split() for line in lines]
    assert ["host", "496", "439", "right"] in [line.split() for line in lines]
    assert "Plain join of the two files: 439 of 569 records are on both sides." in lines
    assert str(home) in done.stdout
    assert processes_of(home) == []


def test_three_parties_with_a_coordinating_arbiter(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    done = run_demo("--home", str(home), "--parties", "3", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert_right(result, home)
    assert [node["node_id"] for node in result["nodes"]] == ["guest", "host", "arbiter"]
    assert processes_of(home) == []


def test_keep_leaves_the_nodes_running_and_a_second_run_replaces_the_demo(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    done = run_demo("--home", str(home), "--keep", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert_right(result, home)
    pids = [node["pid"] for node in result["nodes"]]
    try:
        for node in result["nodes"]:
            command = [*program(), "job", "list", "--json", "--home", node["home"]]
            listed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            assert listed.returncode == 0, listed.stderr
            assert result["job_id"] in listed.stdout
    finally:
        ended = run_demo("--end", "--home", str(home))
    assert (ended.returncode, ended.stdout) == (0, "ended: guest, host\n"), ended.stderr
    limit = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < limit, "the kept nodes do not end"
        time.sleep(0.05)
    assert run_demo("--end", "--home", str(home)).stderr == ""
    assert "--end --home DIR" in run_demo("--end").stderr

    refused = run_demo("--home", str(home))
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    again = run_demo("--home", str(home), "--yes", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["job_id"] != result["job_id"]


def test_a_directory_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = run_demo("--home", str(tmp_path), "--yes")
    assert done.returncode == 1
    assert "holds no earlier demo" in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("step", ["init", "serve"])
def test_interrupting_it_leaves_no_process(tmp_path: Path, number: signal.Signals, step: str) -> None:
    home = tmp_path / "demo"
    running = subprocess.Popen(
        demo_command("--home", str(home)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    limit = time.monotonic() + 30
    while len(processes_of(home, step)) < 2:
        assert time.monotonic() < limit, f"the nodes' {step} does not start"
        time.sleep(0.01)
    running.send_signal(number)
    _, said = running.communicate(timeout=40)
    assert running.returncode in (130, 143)
    assert "Traceback" not in said
    assert processes_of(home) == []


async def test_a_wrong_result_is_found(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "demo")
    try:
        verdict = await demo.run()
        assert verdict.right
        guest, host = verdict.sides
        lines = guest.result.read_text().splitlines()
        whole = "\n".join(lines) + "\n"

        guest.result.chmod(0o600)
        guest.result.write_text("\n".join(lines[:-1]) + "\n")
        assert "lacks 1 ids" in (await demo.check(verdict.job_id)).problems[0]

        foreign = next(i for i in read_table(demo.data_file("guest")).ids if i not in set(read_table(host.result).ids))
        guest.result.write_text("\n".join([*lines[:-1], lines[-1].replace(lines[-1].split(",")[0], foreign)]) + "\n")
        assert "has 1 others" in (await demo.check(verdict.job_id)).problems[0]

        swapped = [lines[0], lines[2], lines[1], *lines[3:]]
        guest.result.write_text("\n".join(swapped) + "\n")
        assert (await demo.check(verdict.job_id)).problems == ["the two results list the ids in different orders"]

        altered = whole.replace(lines[1], lines[1][:-1] + ("1" if lines[1][-1] != "1" else "2"))
        guest.result.write_text(altered)
        assert "not as in its file" in (await demo.check(verdict.job_id)).problems[0]

        guest.result.write_text(whole)
        assert (await demo.check(verdict.job_id)).right
    finally:
        await demo.close()
