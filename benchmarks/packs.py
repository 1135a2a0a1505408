"""`spu.psi` through two nodes against the same over sockets of its own. Needs what `make test-interop` installs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.channel import waiting_job
from benchmarks.pair import GUEST, HOST, Pair
from benchmarks.rows import Row
from nodeconsole.node_process import free_addresses
from nodeconsole.packs import shipped_packs

IDENTIFIERS = int(os.environ.get("BENCH_IDENTIFIERS", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
AIM = 1.2
PROTOCOLS = ("ecdh", "rr22")
PARTIES = (("guest.0", GUEST), ("host.0", HOST))
_ROOT = Path(__file__).parents[1]
_PATIENCE_MS = 600_000


def interpreter() -> Path:
    """The Python that has the wheel; `RuntimeError` says how to get it."""
    found = Path(os.environ.get("NODECONSOLE_INTEROP_PYTHON") or _ROOT / ".venv-interop" / "bin" / "python")
    if not found.is_file():
        raise RuntimeError(f"{found} is not there: run `make test-interop` once, which installs spu")
    return found


async def measure(plain: Pair, trusted: Pair) -> list[Row]:
    """Each protocol over sockets, over nodes with plain HTTP, and over nodes with TLS and signatures, in turns."""
    inputs = [_identifiers(plain.directory, rank) for rank in range(len(PARTIES))]
    rows = []
    for protocol in PROTOCOLS:
        taken: dict[str, list[float]] = {"sockets": [], "plain": [], "trusted": []}
        for _ in range(ROUNDS):
            taken["sockets"].append(await _over_sockets(plain.directory, inputs, protocol))
            taken["plain"].append(await _over_nodes(plain, inputs, protocol))
            taken["trusted"].append(await _over_nodes(trusted, inputs, protocol))
        floor = tuple(taken["sockets"])
        name = f"spu.psi {protocol}, {IDENTIFIERS:,} x {IDENTIFIERS:,}, through nodes"
        rows.append(Row(f"{name} / own sockets", "s", tuple(taken["plain"]), floor, aim=AIM))
        rows.append(Row(f"{name} with TLS and signatures / own sockets", "s", tuple(taken["trusted"]), floor))
    return rows


def _identifiers(directory: Path, rank: int) -> Path:
    """Overlapping by half."""
    start = rank * IDENTIFIERS // 2
    path = directory / f"identifiers-{rank}.csv"
    with path.open("w") as file:
        file.write("key\n")
        file.writelines(f"id-{number:012d}\n" for number in range(start, start + IDENTIFIERS))
    return path


async def _over_sockets(directory: Path, inputs: list[Path], protocol: str) -> float:
    hosts = free_addresses(len(PARTIES))
    return await _run(directory, inputs, protocol, hosts, [{}, {}])


async def _over_nodes(nodes: Pair, inputs: list[Path], protocol: str) -> float:
    """On the session of a job that waits meanwhile."""
    async with waiting_job(nodes) as job_id:
        return await _run(nodes.directory, inputs, protocol, [], _environments(nodes, job_id))


def _environments(nodes: Pair, job_id: str) -> list[dict[str, str]]:
    environments = []
    for party, node in PARTIES:
        said = {
            "system.transport": nodes.nodes[node].platform,
            "config.trace_id": "0" * 32,
            "config.token": "not looked at",
            "config.session_id": f"session_{job_id}",
            "config.self_role": party,
        }
        said |= {f"config.node_id.{each}": its for each, its in PARTIES}
        environments.append(said | {f"config.inst_id.{each}": its for each, its in PARTIES})
    return environments


async def _run(
    directory: Path, inputs: list[Path], protocol: str, hosts: list[str], environments: list[dict[str, str]]
) -> float:
    """Seconds of the slower party."""
    code = str(shipped_packs()["algorithms"] / "code")
    commands = []
    for rank, source in enumerate(inputs):
        order: dict[str, Any] = {
            "parties": PARTIES,
            "rank": rank,
            "protocol": protocol,
            "receiver_rank": 0,
            "broadcast": True,
            "timeout_ms": _PATIENCE_MS,
            "source": str(source),
            "target": str(directory / f"common-{rank}.csv"),
            "hosts": hosts,
        }
        path = directory / f"order-{rank}.json"
        path.write_text(json.dumps(order))
        commands.append([str(interpreter()), str(_ROOT / "benchmarks" / "psi_party.py"), str(path)])
    usual = {"PATH": os.environ["PATH"], "HOME": str(directory), "TMPDIR": str(directory)}
    usual["PYTHONPATH"] = os.pathsep.join([code, str(_ROOT / "src")])
    processes = [
        await asyncio.create_subprocess_exec(
            *command,
            env=usual | environment,
            cwd=directory,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for command, environment in zip(commands, environments, strict=True)
    ]
    outputs = await asyncio.gather(*(process.communicate() for process in processes))
    results = []
    for process, (said, complained) in zip(processes, outputs, strict=True):
        if process.returncode != 0:
            sys.stderr.write(complained.decode("utf-8", "replace")[-2000:])
            raise RuntimeError(f"a party of {protocol} ended with {process.returncode}")
        # The library logs there too.
        results += [json.loads(line) for line in said.decode("utf-8", "replace").splitlines() if line[:1] == "{"]
    if {result["common"] for result in results} != {IDENTIFIERS - IDENTIFIERS // 2}:
        raise RuntimeError(f"the parties found {results}, which is wrong")
    return max(float(result["seconds"]) for result in results)
