"""The `spu` wheel's PSI through two nodes' single ports, over the deployed ("black box") form of the channel."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.channel.conftest import SESSION, TOKEN, NodeProcess, acquaint, start_all

pytestmark = pytest.mark.interop

PYTHON = os.environ.get("NODECONSOLE_INTEROP_PYTHON", "")
PARTIES = [("guest.0", "alice"), ("host.0", "bob")]
RANKS = range(len(PARTIES))


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[NodeProcess]]:
    if not PYTHON:
        pytest.skip("run by `make test-interop`, which installs spu and sets NODECONSOLE_INTEROP_PYTHON")
    nodes = [NodeProcess(tmp_path / node_id, node_id) for _, node_id in PARTIES]
    acquaint(*nodes)
    start_all(*nodes)
    yield nodes
    for node in nodes:
        node.kill()


def environment(rank: int, node: NodeProcess) -> dict[str, str]:
    """What a runner gives a component (the names contain dots, so no shell could export them)."""
    variables = {
        "system.transport": f"127.0.0.1:{node.platform_port}",
        "config.trace_id": "trace-1",
        "config.token": TOKEN,
        "config.session_id": SESSION,
        "config.self_role": PARTIES[rank][0],
        "TEST_PARTIES": json.dumps(PARTIES),
    }
    for party, node_id in PARTIES:
        variables[f"config.node_id.{party}"] = node_id
        variables[f"config.inst_id.{party}"] = f"inst-{node_id}"
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}


def identifiers(rank: int, count: int) -> list[str]:
    """Overlapping by half."""
    start = rank * count // 2
    return [f"id-{number:08d}" for number in range(start, start + count)]


@pytest.mark.parametrize("count", [1000, 100_000])
def test_psi_of_spu_runs_through_two_nodes(nodes: list[NodeProcess], tmp_path: Path, count: int) -> None:
    script = Path(__file__).with_name("psi_party.py")
    parties = []
    for rank, node in enumerate(nodes):
        source = tmp_path / f"in-{rank}.csv"
        source.write_text("\n".join(["id", *identifiers(rank, count)]) + "\n")
        parties.append(
            subprocess.Popen(
                [PYTHON, str(script), str(rank), str(source), str(tmp_path / f"out-{rank}.csv")],
                env=environment(rank, node),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        output = [party.communicate(timeout=100)[0] for party in parties]
    finally:
        for party in parties:
            party.kill()
            party.wait(10)
    expected = sorted(set(identifiers(0, count)) & set(identifiers(1, count)))
    for rank in RANKS:
        assert parties[rank].returncode == 0, output[rank]
        report = json.loads((tmp_path / f"out-{rank}.csv.report").read_text())
        assert report == {"original": count, "intersection": len(expected)}
        result = (tmp_path / f"out-{rank}.csv").read_text().replace('"', "").split()
        assert sorted(result[1:]) == expected
