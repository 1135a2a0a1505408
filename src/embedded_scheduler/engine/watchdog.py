"""Looks at what runs here, now and then, and remembers when each attempt last did anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from embedded_scheduler.domain.watchdog import Signs, Vital, first_look, is_stuck, look_again, rebased
from embedded_scheduler.engine import attempts as attempt_verbs
from embedded_scheduler.engine.channel import Traffic
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.watching import Watching
from embedded_scheduler.spi.runner import MeasuringRunner
from embedded_scheduler.store.attempts import Attempt

_LOOKS = 20
"""Within the time after which something is stuck, it is looked at so often."""
_SHORTEST, _LONGEST = 0.2, 30.0
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """An attempt without a sign of life. Times are epoch ms; `partners_ms`: when each other node of its session was
    heard last, by a message in it."""

    attempt_id: str
    job_id: str
    task_name: str
    role: str
    index: int
    vital: Vital
    partners_ms: Mapping[str, int] = field(default_factory=dict)


class Watchdog:
    """The service. It reads counters and changes nothing: what it finds is a fact for people, no state of a task."""

    name = "watchdog"

    def __init__(self, engine: Engine, watching: Watching) -> None:
        self._engine = engine
        self._watching = watching
        self._vitals: dict[str, Vital] = {}
        self._stuck: tuple[Stuck, ...] = ()

    @property
    def stuck(self) -> tuple[Stuck, ...]:
        """What looked stuck when it was looked at last and still runs, the longest first."""
        return tuple(found for found in self._stuck if found.attempt_id in self._watching.attempts)

    def of_job(self, job_id: str) -> tuple[Stuck, ...]:
        return tuple(found for found in self.stuck if found.job_id == job_id)

    async def run(self) -> None:
        patience = self._engine.settings.timing.stuck
        if not patience:
            return
        pause = min(_LONGEST, max(_SHORTEST, patience / _LOOKS))
        while True:
            await self.look()
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """Read the counters of everything that runs."""
        running = tuple(self._watching.running)
        if not running:
            self._vitals, self._stuck = {}, ()
            return
        traffic = {attempt.attempt_id: self._engine.channel.traffic(attempt.session_id) for attempt in running}
        written, computed = await asyncio.to_thread(self._counters, running)
        now_ms = self._engine.clock.now_ms()
        vitals: dict[str, Vital] = {}
        for attempt in running:
            name = attempt.attempt_id
            signs = Signs(written.get(name, 0), traffic[name].moved, computed.get(name))
            before = self._vitals.get(name)
            vitals[name] = look_again(rebased(before, now_ms), signs, now_ms) if before else first_look(signs, now_ms)
        self._vitals = vitals
        self._stuck = self._judged(running, traffic, now_ms)

    def _judged(self, running: Iterable[Attempt], traffic: Mapping[str, Traffic], now_ms: int) -> tuple[Stuck, ...]:
        patience_ms = round(self._engine.settings.timing.stuck * 1000)
        found = [
            Stuck(
                attempt.attempt_id,
                attempt.job_id,
                attempt.task_name,
                attempt.role,
                attempt.index,
                self._vitals[attempt.attempt_id],
                traffic[attempt.attempt_id].heard_ms,
            )
            for attempt in running
            if is_stuck(self._vitals[attempt.attempt_id], now_ms, patience_ms)
        ]
        return tuple(sorted(found, key=lambda stuck: stuck.vital.last_ms))

    def _counters(self, running: Iterable[Attempt]) -> tuple[dict[str, int], dict[str, float]]:
        """Bytes of each log and CPU seconds of each attempt. Blocks."""
        written = {attempt.attempt_id: _size(attempt.log_path) for attempt in running}
        computed: dict[str, float] = {}
        for name, runner in self._engine.runners.items():
            if isinstance(runner, MeasuringRunner):
                own = [attempt_verbs.handle_of(attempt) for attempt in running if attempt.runner == name]
                computed |= runner.cpu_seconds(own)
        return written, computed


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size if path else 0
    except OSError:
        return 0
