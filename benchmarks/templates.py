"""Built-in components forked from the template against the same attempts in an interpreter of their own each."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows import Row
from embedded_scheduler.runners.process import ProcessRunner
from embedded_scheduler.runners.sandbox import NoSandbox, Sandbox, choose
from embedded_scheduler.spi.runner import LaunchSpec

ROUNDS = 5
ALONE, TOGETHER = 10, 20
"""Attempts per round: one after the other, and all at once."""
AIM = 0.5
_ENVIRONMENT = {"config.self_role": "guest.0", "config.task_id": "bench"}
_PLAIN = f"import sys; sys.path[:0] = {sys.path!r}; from algorithm_components.probe.component import main; main()"


@dataclass(frozen=True, slots=True)
class _Taken:
    """Seconds per attempt in one round, and the most memory that one component had, in MiB."""

    alone: float
    together: float
    peak: float


async def measure(directory: Path) -> list[Row]:
    """Without and (where bubblewrap works) with the sandbox; the runners take turns within each round."""
    rows = await _compare(directory / "plain", NoSandbox("not measured here", required=False), "")
    sandbox = choose("auto", directory)
    if isinstance(sandbox, Sandbox):
        rows += await _compare(directory / "contained", sandbox, ", sandboxed")
    return rows


async def _compare(directory: Path, containment: Sandbox | NoSandbox, suffix: str) -> list[Row]:
    runs = directory / "runs"
    runs.mkdir(parents=True)
    forking = _Bench(ProcessRunner(runs, containment=containment), directory, "forked")
    fresh = _Bench(ProcessRunner(runs, containment=containment, template=False), directory, "fresh")
    await forking.attempt()
    await fresh.attempt()
    taken: dict[str, list[_Taken]] = {"forked": [], "fresh": []}
    plain = []
    for _ in range(ROUNDS):
        for bench in (forking, fresh):
            taken[bench.name].append(await bench.round())
        plain.append(await _plain())
    return [
        _row(f"built-in, launch to end{suffix}, template / fresh", "ms", taken, "alone", 1e3, aim=AIM),
        _row(f"{TOGETHER} built-ins at once, per attempt{suffix}, template / fresh", "ms", taken, "together", 1e3),
        _row(f"built-in, peak memory{suffix}, template / fresh", "MiB", taken, "peak", 1.0),
        Row(
            f"built-in, launch to end{suffix}, template / bare interpreter",
            "ms",
            tuple(1e3 * each.alone for each in taken["forked"]),
            tuple(1e3 * seconds for seconds in plain),
        ),
    ]


def _row(
    name: str, unit: str, taken: dict[str, list[_Taken]], what: str, scale: float, *, aim: float | None = None
) -> Row:
    forked, fresh = (tuple(scale * getattr(each, what) for each in taken[kind]) for kind in ("forked", "fresh"))
    return Row(name, unit, forked, fresh, aim=aim)


class _Bench:
    """Attempts of `probe`, which does nothing, by one runner."""

    def __init__(self, runner: ProcessRunner, directory: Path, name: str) -> None:
        self.name = name
        self._runner = runner
        self._directory = directory
        self._numbers: Iterator[int] = itertools.count()

    async def round(self) -> _Taken:
        began = time.perf_counter()
        peaks = [await self.attempt() for _ in range(ALONE)]
        between = time.perf_counter()
        peaks += await asyncio.gather(*(self.attempt() for _ in range(TOGETHER)))
        ended = time.perf_counter()
        return _Taken((between - began) / ALONE, (ended - between) / TOGETHER, max(peaks))

    async def attempt(self) -> float:
        """From the launch until its end is known, forgotten again; its peak memory in MiB."""
        attempt_id = f"{self.name}-{next(self._numbers)}"
        runs, log = self._directory / "runs" / attempt_id, self._directory / "logs" / f"{attempt_id}.log"
        spec = LaunchSpec(attempt_id, "builtin:probe", _ENVIRONMENT, runs, log)
        await self._runner.launch(spec)
        handle = self._runner.handle(spec)
        ending = await self._runner.wait(handle)
        if not ending.ok:
            raise RuntimeError(f"an attempt of probe ended with {ending}: {log.read_text()[-2000:]}")
        await self._runner.forget(handle)
        return (ending.peak_bytes or 0) / (1 << 20)


async def _plain() -> float:
    """Seconds of the same component in the interpreter as it is, without runner, log, limits or exit file."""
    began = time.perf_counter()
    for _ in range(ALONE):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PLAIN, env=_ENVIRONMENT, stdout=asyncio.subprocess.DEVNULL
        )
        if await process.wait() != 0:
            raise RuntimeError("the probe did not run")
    return (time.perf_counter() - began) / ALONE
