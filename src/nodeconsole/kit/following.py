"""Runs all parties of a trial at once and follows their logs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from embedded_scheduler.errors import NodeError
from embedded_scheduler.spi.runner import END_OF_LOG, Exit, LaunchSpec, Runner

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

AFTER_FAILURE = 1.0
"""Seconds in which the others may fail by themselves, and say why, before they are ended as a node would."""
_LOG_POLL = 0.05

OnLine = Callable[[str, str], None]
"""(party, line of its log)"""


@dataclass(frozen=True, slots=True)
class Ended:
    """One party's end. `stopped`: it was ended because another failed, or the time was over."""

    party: str
    exit: Exit
    seconds: float
    log: Path
    stopped: bool

    @property
    def why(self) -> str:
        """In a few words: `0`, `1`, `SIGKILL`, or the runner's sentence."""
        if self.exit.error:
            return str(self.exit.error)
        if self.exit.code is None:
            return f"signal {self.exit.signal}"
        return str(self.exit.code)


async def run_all(
    runner: Runner,
    launches: Mapping[str, LaunchSpec],
    *,
    within: float,
    on_line: OnLine,
    after_failure: float = AFTER_FAILURE,
) -> list[Ended]:
    """Launch every party and return when all have ended: by themselves, because one failed, or `within` seconds."""
    began = time.monotonic()
    deadline = began + within
    async with asyncio.TaskGroup() as group:
        endings = {party: group.create_task(_one(runner, party, spec, began)) for party, spec in launches.items()}
        for party, spec in launches.items():
            group.create_task(_followed(_Tail(spec.log_path), party, endings[party], on_line))
        pending = set(endings.values())
        while pending:
            rest = max(0.0, deadline - time.monotonic())
            done, pending = await asyncio.wait(pending, timeout=rest, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            if any(not task.result().exit.ok for task in done):
                deadline = min(deadline, time.monotonic() + after_failure)
        stopped = {party for party, task in endings.items() if task in pending}
        await asyncio.gather(*(_end(runner, launches[party]) for party in stopped))
    for spec in launches.values():
        await runner.forget(runner.handle(spec))
    return [replace(task.result(), stopped=party in stopped) for party, task in endings.items()]


async def _one(runner: Runner, party: str, spec: LaunchSpec, began: float) -> Ended:
    try:
        await runner.launch(spec)
        ending = await runner.wait(runner.handle(spec))
    except NodeError as error:
        ending = Exit(code=None, error=error.message)
    except asyncio.CancelledError:
        # Ctrl+C: nothing is left behind.
        await _end(runner, spec)
        raise
    return Ended(party, ending, time.monotonic() - began, spec.log_path, stopped=False)


async def _end(runner: Runner, spec: LaunchSpec) -> None:
    await runner.terminate(runner.handle(spec), GRACE)


class _Tail:
    """A log that another process appends to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def lines(self) -> list[str]:
        """Whole lines that were added since."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        self._offset += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines if not line.startswith(END_OF_LOG.encode())]


async def _followed(log: _Tail, party: str, ending: asyncio.Task[Ended], on_line: OnLine) -> None:
    # There is only looking: the file is written by a process that is none of ours.
    over = False
    while not over:
        over = ending.done()
        for line in log.lines():
            on_line(party, line)
        if not over:
            await asyncio.wait([ending], timeout=_LOG_POLL)
