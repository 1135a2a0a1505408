"""Which part of this machine's memory running components may take: what does not fit waits, rather than start and be
killed."""

from __future__ import annotations

import os

from embedded_scheduler.errors import Unavailable
from embedded_scheduler.sentences import say

GIB = 1024**3


class Waits(Unavailable):
    """It starts by itself once others have ended; nothing is wrong."""


class MemoryBudget:
    """What the memory limits of attempts add up to. An attempt without a limit takes no part in it: nobody can say what
    it will use."""

    def __init__(self, gib: float) -> None:
        """`gib` 0 = what this machine has."""
        self.bytes = int(gib * GIB) if gib > 0 else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._held: dict[str, int] = {}

    def hold(self, attempt_id: str, wanted: int) -> None:
        """It runs: whatever it takes is taken."""
        if wanted:
            self._held[attempt_id] = wanted

    def admit(self, attempt_id: str, wanted: int) -> None:
        """Take its part, or `Waits`. Once more for the same attempt is harmless."""
        others = sum(held for holder, held in self._held.items() if holder != attempt_id)
        # What would never fit was refused before; if the setting became smaller since, it may run alone.
        if wanted and others and others + wanted > self.bytes:
            raise Waits(
                say("waits_for_memory", needs=gib_text(wanted), free=gib_text(self.bytes - others), of=self.text)
            )
        self.hold(attempt_id, wanted)

    def release(self, attempt_id: str) -> None:
        self._held.pop(attempt_id, None)

    @property
    def text(self) -> str:
        return gib_text(self.bytes)


def gib_text(size: float) -> str:
    """`7.9 GiB`"""
    return f"{max(0.0, size) / GIB:.1f} GiB"
