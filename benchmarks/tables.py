"""A table of 2 GiB from a file through dataset, component and result to whoever downloads it: what memory it takes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from tests.support.probe_jobs import chain, probe_job
from tests.support.rclone import rclone_program, rclone_server
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY

from benchmarks.rows import Row
from embedded_scheduler.wire.console import DatasetRequest
from nodeconsole.client import NodeClient
from nodeconsole.node_process import NodeProcess, free_addresses

MIB = 1024 * 1024
SIZE = int(os.environ.get("NODECONSOLE_BENCH_TABLE_MIB", "2048")) * MIB
NODE_AIM_MIB, COMPONENT_AIM_MIB = 256.0, 128.0
_PATIENCE_S = 900.0
_COLUMNS = 4
_CELL = "x" * 1000
_COMPONENT = """#!{python}
import resource
from algorithm_components.sdk.running import run

def work(task):
    with task.tables.read(task.input("data")) as table:
        task.write_table("copy", list(table.header), table)
    task.log.info(f"peak {{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}} KiB")

raise SystemExit(run(work, {{}}))
"""
_MANIFEST = {
    "componentName": "copy_table",
    "provider": "benchmark",
    "version": "1.0.0",
    "inputData": [{"name": "data", "category": "dataset"}],
    "outputData": [{"name": "copy", "category": "dataset"}],
}


async def measure(directory: Path) -> list[Row]:
    source = directory / "source.csv"
    await asyncio.to_thread(_write, source)
    rows = await _through("local", directory, source, "")
    if rclone_program() is None:
        return rows
    with ExitStack() as stack:
        (root := directory / "buckets").joinpath("storage").mkdir(parents=True)
        endpoint = stack.enter_context(rclone_server(root))
        rows += await _through("s3", directory, source, f'storage.driver = "s3"\nstorage.endpoint = "{endpoint}"\n')
    return rows


def _write(source: Path) -> None:
    source.parent.mkdir()
    line = ",".join([_CELL] * _COLUMNS) + "\n"
    with source.open("w") as file:
        file.write(",".join(f"c{number}" for number in range(_COLUMNS)) + "\n")
        for _ in range(SIZE // (1000 * len(line))):
            file.write(line * 1000)


async def _through(kind: str, directory: Path, source: Path, settings: str) -> list[Row]:
    program = directory / f"copy_{kind}"
    program.write_text(_COMPONENT.format(python=sys.executable))
    program.chmod(0o700)
    settings += f'components.allow_exec = ["{program}"]\ncomponents.sandbox = "off"\n'
    async with _node(directory / kind, settings) as node, node.client() as client:
        if kind == "s3":
            await client.put_secret("storage", f"{ACCESS_KEY}:{SECRET_KEY}")
        await client.register_component(f"exec:{program}", _MANIFEST)
        idle = _peak(node)
        began = time.perf_counter()
        await client.add_dataset(
            DatasetRequest(namespace="datasets", name="table", connector="csv", options={"path": str(source)})
        )
        job_id = (await client.submit(_job())).job_id
        await _over(client, job_id)
        job_s = time.perf_counter() - began
        began, size = time.perf_counter(), 0
        async for chunk in client.result_content(job_id, "probe_0", "guest.0", "data"):
            size += len(chunk)
        down_s = time.perf_counter() - began
        assert size > SIZE - 1000 * (len(_CELL) + 1) * _COLUMNS, f"{size} bytes came back"
        lines = (await client.log(job_id, "probe_0")).lines
        component = next(int(line.split()[-2]) for line in lines if "peak " in line) / 1024
        peak = _peak(node)
    what, gib = f"table of {SIZE // MIB} MiB, {kind}", SIZE / (1024 * MIB)
    return [
        Row(f"{what}: node's memory at most", "MiB", (peak,), aim=NODE_AIM_MIB, note=f"{idle:.0f} before"),
        Row(f"{what}: component's memory at most", "MiB", (component,), aim=COMPONENT_AIM_MIB),
        Row(f"{what}: taken in, copied row by row", "s/GiB", (job_s / gib,)),
        Row(f"{what}: downloaded", "s/GiB", (down_s / gib,)),
    ]


def _job() -> dict[str, object]:
    document = probe_job({"guest": "tables"}, chain(1))
    document["dag"]["components"][0] |= {"componentName": "copy_table", "provider": "benchmark"}
    document["config"]["task_params"]["guest"]["0"]["probe_0"] = {"dataset_id": "datasets#table"}
    return document


async def _over(client: NodeClient, job_id: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    async for _ in client.events():
        detail = await client.job(job_id)
        if detail.job.state == "FINISHED":
            assert detail.job.outcome == "succeeded", (await client.log(job_id, "probe_0")).lines
            return
        assert time.monotonic() < deadline, detail


@asynccontextmanager
async def _node(home: Path, settings: str) -> AsyncIterator[NodeProcess]:
    listen, own = free_addresses(2)
    node = NodeProcess("tables", home, listen=listen, platform=own)
    try:
        await node.create(settings)
        await node.start()
        yield node
    finally:
        await node.stop()


def _peak(node: NodeProcess) -> float:
    """MiB that the process ever held."""
    status = Path(f"/proc/{node.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
