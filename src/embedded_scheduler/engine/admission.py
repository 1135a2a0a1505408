"""Which part of this machine's memory running components may take: what does not fit waits, rather than start and be
killed."""

from __future__ import annotations

import os
from dataclasses import dataclass

from embedded_scheduler.errors import Unavailable
from embedded_scheduler.sentences import Words, say

GIB = 1024**3
_ID_SHOWN = 12
"""Characters of a job's id that name it to a person, and to the commands, which take a beginning."""


class Waits(Unavailable):
    """It starts by itself once others have ended; nothing is wrong."""


@dataclass(frozen=True, slots=True)
class _Held:
    size: int
    name: Words


class MemoryBudget:
    """What the memory limits of attempts add up to. An attempt without a limit takes no part in it: nobody can say what
    it will use."""

    def __init__(self, gib: float) -> None:
        """`gib` 0 = what this machine has."""
        self.bytes = int(gib * GIB) if gib > 0 else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._held: dict[str, _Held] = {}

    def hold(self, attempt_id: str, wanted: int, name: Words) -> None:
        """It runs: whatever it takes is taken. `name` is for those who wait for it."""
        if wanted:
            self._held[attempt_id] = _Held(wanted, name)

    def admit(self, attempt_id: str, wanted: int, name: Words) -> None:
        """Take its part, or `Waits`. Once more for the same attempt is harmless."""
        others = [held for holder, held in self._held.items() if holder != attempt_id]
        taken = sum(held.size for held in others)
        # What would never fit was refused before; if the setting became smaller since, it may run alone.
        if wanted and taken and taken + wanted > self.bytes:
            largest = sorted(others, key=lambda held: -held.size)
            running = tuple(say("takes_memory", part=held.name, size=gib_text(held.size)) for held in largest)
            free = gib_text(self.bytes - taken)
            raise Waits(say("memory_short", needs=gib_text(wanted), free=free, of=self.text, running=running))
        self.hold(attempt_id, wanted, name)

    def release(self, attempt_id: str) -> None:
        self._held.pop(attempt_id, None)

    @property
    def text(self) -> str:
        return gib_text(self.bytes)


def gib_text(size: float) -> str:
    """`7.9 GiB`"""
    return f"{max(0.0, size) / GIB:.1f} GiB"


def part_name(task_name: str, job_id: str) -> Words:
    """A task that runs, for those who wait for its end."""
    return say("part_of_job", task=task_name, job=job_id[:_ID_SHOWN])
