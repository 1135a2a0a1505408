"""Which things events name, so that only those are asked for again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import EventRow


@dataclass(frozen=True, slots=True)
class Changes:
    """What may look different now. `everything` = the thread was lost (another database, a long absence)."""

    jobs: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    """Kinds of things (`peer`, `dataset`, …) that events were about."""
    everything: bool = False

    def __or__(self, other: Changes) -> Changes:
        return Changes(
            self.jobs | other.jobs, self.subjects | other.subjects, everything=self.everything or other.everything
        )

    def __bool__(self) -> bool:
        return self.everything or bool(self.jobs or self.subjects)


NOTHING = Changes()
EVERYTHING = Changes(everything=True)


def changes_of(events: Iterable[EventRow]) -> Changes:
    listed = list(events)
    jobs = frozenset(event.job_id for event in listed if event.job_id)
    return Changes(jobs, frozenset(event.subject for event in listed))
