"""Latency of the job list and of a restart as the number of stored jobs grows."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import time
from functools import partial
from pathlib import Path

from tests.support.probe_jobs import chain, probe_job

from benchmarks.rows import Row
from embedded_scheduler.clock import RandomMint, SystemClock
from embedded_scheduler.domain.job import JobSpec, parse_job
from embedded_scheduler.store import jobs, ledger
from embedded_scheduler.store.database import Database, Tx
from nodeconsole.node_process import NodeProcess

SMALL, MIDDLE, LARGE = 1_000, 10_000, 100_000
WAITING = 200
"""Of the stored jobs, how many still wait for a decision at a restart; the others are over."""
READS = 60
RESTARTS = 3
_BATCH = 2_000


async def measure(node: NodeProcess) -> list[Row]:
    """`node` exists, is stopped and has no jobs; afterwards it is stopped and has `LARGE`."""
    empty = [await _restart(node) for _ in range(RESTARTS)]
    latencies: dict[int, tuple[float, ...]] = {}
    restarts: list[float] = []
    stored = 0
    for size in (SMALL, MIDDLE, LARGE):
        await _store(node.home.database, node.node_id, size - stored, waiting=WAITING if size == SMALL else 0)
        stored = size
        restarts_here = []
        for _ in range(RESTARTS):
            restarts_here.append(await node.start())
            if len(restarts_here) == RESTARTS:
                latencies[size] = await _latencies(node)
            await node.stop()
        if size == MIDDLE:
            restarts = restarts_here
    medians = {size: statistics.median(found) for size, found in latencies.items()}
    exponent = math.log(medians[LARGE] / medians[SMALL]) / math.log(LARGE / SMALL)
    return [
        Row(f"job list, 50 of {SMALL:,} jobs", "ms", tuple(1e3 * s for s in latencies[SMALL])),
        Row(f"job list, 50 of {LARGE:,} jobs", "ms", tuple(1e3 * s for s in latencies[LARGE])),
        Row("job list, exponent of growth", "", (exponent,), aim=0.1),
        Row(f"restart with {MIDDLE:,} jobs / with none", "s", tuple(restarts), tuple(empty), aim=1.5),
    ]


async def _restart(node: NodeProcess) -> float:
    took = await node.start()
    await node.stop()
    return took


async def _latencies(node: NodeProcess) -> tuple[float, ...]:
    found = []
    async with node.client() as client:
        await client.jobs(limit=50)
        for _ in range(READS):
            began = time.perf_counter()
            await client.jobs(limit=50)
            found.append(time.perf_counter() - began)
    return tuple(found)


async def _store(path: Path, node_id: str, count: int, *, waiting: int) -> None:
    """Add jobs by the store's own functions: events, guards and hash chain hold for them as for any job."""
    document = probe_job({"guest": node_id}, chain(1))
    spec = parse_job(RandomMint().job_id(), document)
    database = await Database.open(path, clock=SystemClock())
    try:
        for start in range(0, count, _BATCH):
            numbers = range(start, min(start + _BATCH, count))
            specs = [dataclasses.replace(spec, job_id=RandomMint().job_id()) for _ in numbers]
            over = [number >= waiting for number in numbers]
            await database.write(partial(_insert, node_id=node_id, specs=specs, over=over))
    finally:
        await database.close()


def _insert(tx: Tx, *, node_id: str, specs: list[JobSpec], over: list[bool]) -> None:
    document = json.dumps(specs[0].document).encode()
    for spec, ended in zip(specs, over, strict=True):
        seq = ledger.append(
            tx, subject="job", subject_id=spec.job_id, job_id=spec.job_id, event="job.created", actor="benchmark"
        )
        jobs.insert(
            tx,
            spec,
            seq=seq,
            coordinator=node_id,
            as_sent=document,
            trace_id=spec.job_id,
            approvals=[node_id],
            shares=[(node.name, party) for node in spec.flow.nodes for party in spec.parties],
        )
        if ended:
            _end(tx, spec.job_id)


def _end(tx: Tx, job_id: str) -> None:
    seq = ledger.append(
        tx,
        subject="job",
        subject_id=job_id,
        job_id=job_id,
        event="job.finished",
        source="PENDING",
        target="FINISHED",
        actor="benchmark",
        data={"outcome": "stopped"},
    )
    tx.run(
        "jobs.set_state",
        job_id=job_id,
        source="PENDING",
        target="FINISHED",
        seq=seq,
        now_ms=tx.now_ms,
        outcome="stopped",
        reason="stored by the benchmark",
        terminal=True,
    )
