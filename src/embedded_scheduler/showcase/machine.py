"""The machine of a shown node: always the same figures for the same moment, whatever machine shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from embedded_scheduler.clock import Clock
from embedded_scheduler.config import MIB
from embedded_scheduler.engine.resources import EVERY, Resources, Sample

_GIB = 1024 * MIB
_EVERY_MS = round(EVERY * 1000)
_SAMPLES = 180
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class StagedMachine:
    """Stands in for `engine.resources.ResourceWatch`."""

    clock: Clock
    name: ClassVar[str] = "resources"

    async def look(self) -> Resources:
        newest = self.clock.now_ms() // _EVERY_MS
        return Resources(
            samples=tuple(_sample(place * _EVERY_MS) for place in range(newest - _SAMPLES + 1, newest + 1)),
            cores=8,
            memory_total=23 * _GIB,
            disk_free=self.disk_free(),
            disk_total=312 * _GIB,
            process_memory=85 * MIB,
        )

    def disk_free(self) -> int:
        return 122 * _GIB

    async def run(self) -> None:
        """There is nothing to sample."""


def _sample(at_ms: int) -> Sample:
    minutes = at_ms / _MINUTE_MS
    wave = (math.sin(minutes * 1.7) + math.sin(minutes * 4.1)) / 2
    return Sample(
        at_ms=at_ms,
        cpu=round(34 + 22 * wave),
        memory_used=round((14.0 + 0.4 * math.sin(minutes / 3)) * _GIB),
        net_in=round(420_000 * (1.2 + wave)),
        net_out=round(2_100_000 * (1.1 + wave)),
        load=round(1.2 + wave / 2, 1),
    )
