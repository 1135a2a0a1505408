"""The environment of a party's component in these tests, and running one as a process, as the node does."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parents[3] / "src"
NODES = {"guest.0": "alice", "host.0": "bob"}


def environment(
    party: str, root: Path, transport: str = "127.0.0.1:1", task: str = "task-1", **parameters: Any
) -> dict[str, str]:
    """What the node would set for `party` of a task with one table in and a table and a report out."""
    variables = {
        "system.storage": f"file://{root}",
        "system.transport": transport,
        "config.self_role": party,
        "config.task_id": task,
        "config.session_id": "session_job-1",
        "config.trace_id": "trace-1",
        "config.token": f"token-of-{party}",
        "runtime.component.input.data": json.dumps({"namespace": "datasets", "name": "people"}),
        "runtime.component.output.intersection": json.dumps({"namespace": "job-1", "name": f"{task}-data0"}),
        "runtime.component.output.report": json.dumps({"namespace": "job-1", "name": f"{task}-report"}),
    }
    for each, node in NODES.items():
        variables[f"config.node_id.{each}"] = node
        variables[f"config.inst_id.{each}"] = f"{node}-company"
    for name, value in parameters.items():
        variables[f"runtime.component.parameter.{name}"] = str(value)
    return variables


def start(component: str, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    """The component in a fresh process whose environment is `variables` alone."""
    code = (
        f"import sys; sys.path[:0] = {[str(SOURCES), *(p for p in sys.path if p)]!r}\n"
        f"import importlib; sys.exit(importlib.import_module('algorithm_components.{component}.component').main())"
    )
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code],
        env=dict(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(component: str, variables: Mapping[str, str]) -> tuple[int, str]:
    """Exit code and output."""
    process = start(component, variables)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def write_table(root: Path, rows: Sequence[Sequence[object]], name: str = "people") -> Path:
    path = root / "datasets" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def read_table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))
