"""What this machine and this process use, sampled while somebody looks; an idle node reads nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from embedded_scheduler.clock import Clock

EVERY = 2.0
"""Seconds between two samples."""
_LOOKED_AT = 15.0
"""So long after the last question sampling goes on."""
_KEPT = 180
_SMOOTHED = 3
"""Samples that one figure of use is averaged over: noise must not repaint a screen."""
_OTHERS = ("lo",)
"""Interfaces whose bytes leave no machine."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Use of this machine. None = it cannot be told here, or not yet: rates need two samples.

    `cpu` in percent of all cores, `net_in`/`net_out` in bytes per second over all interfaces but loopback.
    """

    at_ms: int
    cpu: int | None
    memory_used: int | None
    net_in: int | None
    net_out: int | None
    load: float


@dataclass(frozen=True, slots=True)
class Resources:
    """The newest figures and what was before them, oldest first."""

    samples: tuple[Sample, ...]
    cores: int
    memory_total: int | None
    disk_free: int
    disk_total: int
    process_memory: int | None


@dataclass(frozen=True, slots=True)
class _Counters:
    """What only grows."""

    at: float
    busy: int
    total: int
    received: int
    sent: int


class ResourceSource(Protocol):
    """Who can say how this machine is; a service of the node."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None: ...

    async def look(self) -> Resources: ...

    def disk_free(self) -> int: ...


class ResourceWatch:
    """The service: samples while `look` was called lately, and sleeps without a timer otherwise."""

    name = "resources"

    def __init__(self, home: Path, clock: Clock, *, proc: Path = Path("/proc")) -> None:
        self._home = home
        self._clock = clock
        self._proc = proc
        self._wanted = asyncio.Event()
        self._asked = 0.0
        self._counters: deque[_Counters] = deque(maxlen=_SMOOTHED + 1)
        self._samples: deque[Sample] = deque(maxlen=_KEPT)

    async def look(self) -> Resources:
        """The figures now. The first call after a while has no rates yet."""
        self._asked = self._clock.monotonic()
        if not self._wanted.is_set():
            await asyncio.to_thread(self._sample)
            self._wanted.set()
        return await asyncio.to_thread(self._resources)

    def disk_free(self) -> int:
        """Bytes that are left where the home is. Blocks for a moment."""
        return shutil.disk_usage(self._home).free

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            await asyncio.sleep(EVERY)
            if self._clock.monotonic() - self._asked > _LOOKED_AT:
                self._wanted.clear()
                # Rates over the time in which nobody looked would be shown as if they were of now.
                self._counters.clear()
                self._samples.clear()
                continue
            await asyncio.to_thread(self._sample)

    def _resources(self) -> Resources:
        disk = shutil.disk_usage(self._home)
        memory = self._memory()
        return Resources(
            samples=tuple(self._samples),
            cores=os.cpu_count() or 1,
            memory_total=memory.get("MemTotal"),
            disk_free=disk.free,
            disk_total=disk.total,
            process_memory=self._process_memory(),
        )

    def _sample(self) -> None:
        counters = self._read_counters()
        memory = self._memory()
        total, available = memory.get("MemTotal"), memory.get("MemAvailable")
        used = total - available if total is not None and available is not None else None
        before = self._counters[0] if self._counters else None
        cpu = net_in = net_out = None
        if counters is not None:
            self._counters.append(counters)
        if counters is not None and before is not None and counters.at > before.at:
            seconds = counters.at - before.at
            cpu = round(100 * (counters.busy - before.busy) / max(1, counters.total - before.total))
            net_in = max(0, round((counters.received - before.received) / seconds))
            net_out = max(0, round((counters.sent - before.sent) / seconds))
        load = round(os.getloadavg()[0], 1)
        self._samples.append(Sample(self._clock.now_ms(), cpu, used, net_in, net_out, load))

    def _read_counters(self) -> _Counters | None:
        try:
            # user nice system idle iowait irq softirq steal; the rest is counted in these already.
            times = [int(word) for word in self._text("stat").split("\n", 1)[0].split()[1:9]]
        except (OSError, ValueError):
            return None
        idle = sum(times[3:5])
        received, sent = self._network()
        return _Counters(self._clock.monotonic(), sum(times) - idle, sum(times), received, sent)

    def _network(self) -> tuple[int, int]:
        received = sent = 0
        try:
            lines = self._text("net/dev").splitlines()[2:]
        except OSError:
            return 0, 0
        for line in lines:
            name, _, figures = line.partition(":")
            words = figures.split()
            if name.strip() not in _OTHERS and len(words) > 8:
                received += int(words[0])
                sent += int(words[8])
        return received, sent

    def _memory(self) -> Mapping[str, int]:
        """Bytes by name."""
        try:
            lines = self._text("meminfo").splitlines()
        except OSError:
            return {}
        pairs = (line.partition(":") for line in lines[:8])
        return {name: int(value.split()[0]) * 1024 for name, _, value in pairs if value.split()}

    def _process_memory(self) -> int | None:
        try:
            return int(self._text("self/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            return None

    def _text(self, name: str) -> str:
        return (self._proc / name).read_text("ascii", "replace")
