"""The pack `algorithms` in real nodes: installed once, by the node, and linked into the homes of the others."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nodeconsole.client import NodeClient
from nodeconsole.packs import archive_of
from tests.support.mesh import Mesh
from tests.support.nodes import eventually

NAME, VERSION = "algorithms", "1.0.0"


def wheels() -> str:
    """The directory that `make test-interop` filled; empty = it was not run."""
    return os.environ.get("NODECONSOLE_INTEROP_WHEELS", "")


async def install(net: Mesh) -> None:
    """In the first node from the wheels; the others find the same files, as after a crash before the registration."""
    first, *others = net.nodes
    archive = archive_of(NAME)
    row = await net.clients[first].install_pack(archive, wheels=wheels())
    await _installed(net.clients[first])
    packs = net.nodes[first].home.packs
    for name in others:
        subprocess.run(["cp", "-al", str(packs), str(net.nodes[name].home.path)], check=True)
        row = await net.clients[name].install_pack(archive)
        assert row.components == ["nodeconsole/spu_alignment/1.0.0"]


async def _installed(client: NodeClient) -> None:
    async def over() -> str | None:
        news = await client.pack_progress(NAME, VERSION, 0)
        return "\n".join(news.lines) if news.state in ("installed", "failed") else None

    lines = await eventually(over, what="the pack to be installed", within=300)
    assert lines.endswith("installed"), lines


def job(
    parties: Mapping[str, Sequence[str]],
    component: str,
    *,
    common: Mapping[str, Any] | None = None,
    own: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """One alignment. `parties`: nodes by role; `own`: parameters by party (`guest.0`), beside its dataset `people`."""
    task_params: dict[str, Any] = {"common": {"align": dict(common or {})}}
    for role, nodes in parties.items():
        for index, _ in enumerate(nodes):
            given = {"dataset_id": "default#people", **(own or {}).get(f"{role}.{index}", {})}
            task_params.setdefault(role, {})[str(index)] = {"align": given}
    return {
        "flow_id": f"align-{secrets.token_hex(4)}",
        "dag": {
            "version": "2.0",
            "components": [
                {
                    "name": "align",
                    "componentName": component,
                    "provider": "nodeconsole",
                    "version": "1.0.0",
                    "input": [],
                    "output": [{"key": "intersection", "type": "dataset"}, {"key": "report", "type": "report"}],
                }
            ],
        },
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": parties["guest"][0]},
            "role": {role: list(nodes) for role, nodes in parties.items()},
            "job_params": {"common": {}},
            "task_params": task_params,
        },
    }


async def output(client: NodeClient, job_id: str, party: str, name: str) -> bytes:
    stream = client.result_content(job_id, "align", party, name)
    return b"".join([piece async for piece in stream])


async def log_of(net: Mesh, job_id: str, at: Sequence[str]) -> str:
    """What the parties' logs say at their ends."""
    text = []
    for name in at:
        page = await net.clients[name].log(job_id, "align", start=-60, limit=60)
        text += [f"{name} | {line}" for line in page.lines]
    return "\n".join(text)


def dataset(folder: Path, rows: Sequence[Sequence[str]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "people.csv"
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    path.write_text("\n".join(quoted) + "\n", "utf-8")
    return path
