"""A component written with the SDK, all parties at once, and alone as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from tests.integration.components.party import SOURCES

from algorithm_components.sdk.environment import ComponentError
from algorithm_components.sdk.report_form import Report
from algorithm_components.sdk.running import STOPPED, Task
from algorithm_components.sdk.testing import LocalNode, environment_of, rehearse
from embedded_scheduler.domain.component import parse_manifest
from embedded_scheduler.domain.environment import AttemptFacts, NodeFacts, build_environment
from embedded_scheduler.domain.job import parse_job

MANIFEST: dict[str, Any] = {
    "componentName": "counting",
    "provider": "tests",
    "version": "1.0.0",
    "inputParam": [
        {"name": "times", "type": "int", "defaultValue": 1, "validator": "[1,10]"},
        {"name": "loud", "type": "boolean", "defaultValue": False},
    ],
    "inputData": [{"name": "data", "category": "dataset"}],
    "outputData": [{"name": "summary", "category": "dataset"}, {"name": "report", "category": "report"}],
}


def count(task: Task) -> None:
    with task.tables.read(task.input()) as table:
        own = sum(1 for _ in table) * task.parameters.integer("times")
    for party in task.others:
        task.channel.sender(party, "rows").send_json(own)
    theirs = {party: task.channel.receiver(party, "rows").receive_json(timeout=10) for party in task.others}
    task.write_table("summary", ["party", "rows"], [[task.party, own], *theirs.items()])
    report = Report("Rows")
    report.scalar("rows", own)
    task.write_report("report", report)


def test_all_parties_of_a_component_at_once() -> None:
    rows = {"guest": [["id"], ["a"], ["b"]], "host": [["id"], ["c"]], "host.1": [["id"]]}
    ended = rehearse(count, MANIFEST, rows, {"loud": True}, own={"host": {"times": 3}})
    assert {party: found.code for party, found in ended.items()} == {"guest.0": 0, "host.0": 0, "host.1": 0}
    assert ended["guest.0"].table("summary") == [["party", "rows"], ["guest.0", "2"], ["host.0", "3"], ["host.1", "0"]]
    assert ended["host.0"].document("report")["items"] == [{"kind": "scalar", "name": "rows", "value": 3}]


def test_faults_end_with_1_and_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(task: Task) -> None:
        raise ComponentError("no common rows") if task.role == "guest" else KeyError("x")

    with LocalNode() as node:
        pass
    ended = rehearse(fail, MANIFEST, {"guest": [["id"]], "host": [["id"]]}, {"tims": 3}, node=node)
    assert [found.code for found in ended.values()] == [1, 1]
    said = capsys.readouterr()
    assert "error: no common rows\n" in said.out
    assert "error: KeyError: 'x'\n" in said.out
    assert "Traceback" in said.err
    assert "warning: parameter tims is not declared and has no effect; did you mean times?" in said.out
    assert sorted(told["status"] for told in node.callbacks) == ["FAILED", "FAILED", "RUNNING", "RUNNING"]


def test_a_bad_parameter_costs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with LocalNode() as node:
        pass
    ended = rehearse(count, MANIFEST, {"guest": [["id"]]}, {"times": 11}, node=node)
    assert ended["guest.0"].code == 1
    assert "error: parameter times: must be in [1,10] (got '11')" in capsys.readouterr().out
    assert not node.calls["push"]
    assert ended["guest.0"].outputs == {}


def test_a_stranger_at_the_channel_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    node = LocalNode(tokens={"node-guest.0": "right", "node-host.0": "right"})
    environment = environment_of("guest.0", ["guest.0", "host.0"], Path("/nowhere"), node, MANIFEST, {})
    assert environment["config.token"] == "right"
    node.tokens["node-guest.0"] = "another"
    ended = rehearse(count, MANIFEST, {"guest": [["id"]], "host": [["id"]]}, node=node)
    # Both were given the present tokens.
    assert [found.code for found in ended.values()] == [0, 0]
    capsys.readouterr()


def test_the_rehearsal_sets_what_a_node_sets() -> None:
    parameters = {"times": 3, "loud": True, "extra": {"a": [1]}, "text": "x"}
    role = {"guest": ["node-guest.0"], "host": ["node-host.0"]}
    ports = [{"key": port["name"], "type": port["category"]} for port in MANIFEST["outputData"]]
    component = {"name": "counting_0", "componentName": "counting", "provider": "tests", "version": "1.0.0"}
    spec = parse_job(
        "job-1",
        {
            "dag": {"components": [{**component, "input": [], "output": ports}]},
            "config": {
                "initiator": {"role": "guest", "node_id": "node-guest.0"},
                "role": role,
                "task_params": {"common": {"counting_0": {**parameters, "dataset_id": "datasets#data"}}},
            },
        },
    )
    node = LocalNode()
    real = build_environment(
        spec=spec,
        task_name="counting_0",
        party=spec.parties[0],
        manifest=parse_manifest(MANIFEST),
        task_ids={"counting_0": "task-1"},
        attempt=AttemptFacts("session-1", "token-of-guest.0", "trace-1"),
        node=NodeFacts("file:///root", node.callback_url, node.address, "/root"),
    )
    ours = environment_of("guest.0", ["guest.0", "host.0"], Path("/root"), node, MANIFEST, parameters)
    named = {"dataset_id", "namespace", "name"}
    assert ours.keys() == real.keys() - {f"runtime.component.parameter.{name}" for name in named}
    different = {name for name in ours if ours[name] != real[name]}
    # Where results go is the node's own business.
    assert different == {"runtime.component.output.summary", "runtime.component.output.report"}


def test_sigterm_ends_a_waiting_component_in_order(tmp_path: Path) -> None:
    program = tmp_path / "waiting.py"
    program.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(SOURCES)!r})
        from algorithm_components.sdk.running import run

        def wait(task):
            try:
                task.log.info("waiting")
                task.channel.receiver("host.0").receive()
            finally:
                task.log.info("closed")

        sys.exit(run(wait, {json.dumps(MANIFEST).replace("false", "False")}))
        """)
    )
    with LocalNode() as node:
        variables = environment_of("guest.0", ["guest.0", "host.0"], tmp_path, node, MANIFEST, {})
        command = [sys.executable, "-I", str(program)]
        process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "info: waiting\n"
        os.kill(process.pid, signal.SIGTERM)
        said, _ = process.communicate(timeout=10)
    assert process.returncode == STOPPED == 143
    assert said == "info: closed\nwarning: stopped: the node asked this component to end\n"
    assert [told["status"] for told in node.callbacks] == ["RUNNING"]
