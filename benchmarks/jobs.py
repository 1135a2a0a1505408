"""Time per task of chains and a fan of two-party `probe` tasks, over the floor of the same minute."""

from __future__ import annotations

import os

from tests.support.probe_jobs import chain, fan, probe_job

from benchmarks import floor
from benchmarks.pair import GUEST, HOST, Pair, usual_message
from benchmarks.rows import Row

ROUNDS = 5
LONG_ROUNDS = 2
CHAINS = (1, 5, 20)
LONG = 100
FATE_SECONDS = 61.5
"""What FATE-Flow 2.2.0 needs for a chain of 20 no-op tasks between two nodes."""
CHAIN_LIMIT_SECONDS = 1.5
CHAIN_AIM = 4.0


async def measure(nodes: Pair) -> list[Row]:
    """Floor, chains and fan in turn, again and again; every job is divided by the floor of its own round."""
    floors: list[floor.Floor] = []
    chains: dict[int, list[tuple[float, floor.Floor]]] = {length: [] for length in (*CHAINS, LONG)}
    fans: list[tuple[float, floor.Floor]] = []
    await nodes.run(_document(chain(1)))
    for number in range(ROUNDS):
        here = await floor.measure(nodes.directory, nodes.bare, usual_message(nodes.bare))
        floors.append(here)
        for length in CHAINS:
            chains[length].append((await nodes.run(_document(chain(length))), here))
        if number < LONG_ROUNDS:
            chains[LONG].append((await nodes.run(_document(chain(LONG))), here))
            fans.append((await nodes.run(_document(fan(LONG))), here))
    return [*_floor_rows(floors), *_chain_rows(chains), *_fan_rows(fans)]


def _document(tasks: dict[str, list[str]]) -> dict[str, object]:
    return probe_job({"guest": GUEST, "host": HOST}, tasks)


def _floor_rows(floors: list[floor.Floor]) -> list[Row]:
    return [
        Row("floor: start /bin/true", "ms", tuple(f.spawn * 1e3 for f in floors)),
        Row("floor: start python -I -S", "ms", tuple(f.python * 1e3 for f in floors)),
        Row("floor: durable commit", "ms", tuple(f.commit * 1e3 for f in floors)),
        Row("floor: HTTP round trip", "ms", tuple(f.round_trip * 1e3 for f in floors)),
    ]


def _chain_rows(chains: dict[int, list[tuple[float, floor.Floor]]]) -> list[Row]:
    rows = []
    for length, runs in chains.items():
        spent = tuple(1e3 * seconds / length for seconds, _ in runs)
        with_python = tuple(1e3 * here.with_python().chain(length) / length for _, here in runs)
        with_true = tuple(1e3 * here.chain(length) / length for _, here in runs)
        rows.append(
            Row(
                f"chain of {length}, per task / Python floor",
                "ms",
                spent,
                with_python,
                aim=CHAIN_AIM if length > 1 else None,
            )
        )
        rows.append(Row(f"chain of {length}, per task / bare floor", "ms", spent, with_true))
    whole = tuple(seconds for seconds, _ in chains[20])
    rows.append(
        Row("chain of 20, whole job", "s", whole, aim=CHAIN_LIMIT_SECONDS, note=f"FATE-Flow 2.2.0: {FATE_SECONDS:g} s")
    )
    return rows


def _fan_rows(fans: list[tuple[float, floor.Floor]]) -> list[Row]:
    cores = os.cpu_count() or 1
    spent = tuple(1e3 * seconds / LONG for seconds, _ in fans)
    floors = tuple(1e3 * here.with_python().fan(LONG, cores) / LONG for _, here in fans)
    return [Row(f"fan of {LONG}, per task / Python floor", "ms", spent, floors)]
