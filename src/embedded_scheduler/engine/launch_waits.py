"""Why what this node is to start has not started yet.

It is found out whenever a start is put off, and after a restart at once, when everything is tried anew: so it is kept
in memory. Written on the loop's thread, read on the database's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.waiting import FindPutOff, PutOff, nothing_put_off
from embedded_scheduler.sentences import Sentence, Words, say
from embedded_scheduler.store.outbox import OutboxRow


@dataclass(frozen=True, slots=True)
class Part:
    """One party's part of a task: what one launch order is about."""

    job_id: str
    task_name: str
    party_key: str

    @classmethod
    def of(cls, row: OutboxRow) -> Part:
        party = Party(role=row.body["role"], index=row.body["index"], node_id="")
        return cls(row.job_id, str(row.body["task"]), party.key)


@dataclass(frozen=True, slots=True)
class _NoPlace:
    """As many run as may: what is not being started now waits for one of them to end."""

    put_off: PutOff
    starting: Collection[Part]


class LaunchWaits:
    """What keeps launches back, as far as it was found out."""

    def __init__(self) -> None:
        self._found: dict[str, dict[Part, PutOff]] = {}
        """By job."""
        self._no_place: _NoPlace | None = None

    def put_off(self, part: Part, found: PutOff) -> bool:
        """Whether that is news: another reason than before. How often it was tried, and who runs meanwhile, is none."""
        of_job = self._found.setdefault(part.job_id, {})
        before = of_job.get(part)
        of_job[part] = found
        return before is None or _kind(before.why) != _kind(found.why)

    def over(self, part: Part) -> None:
        """It was started, or never will be."""
        of_job = self._found.get(part.job_id, {})
        of_job.pop(part, None)
        if not of_job:
            self._found.pop(part.job_id, None)

    def places(self, free: int, limit: int, running: Sequence[Words], starting: Collection[Part]) -> None:
        """How many more may start now."""
        if free > 0:
            self._no_place = None
            return
        why = say("no_place", limit=limit, running=tuple(running))
        self._no_place = _NoPlace(PutOff(why, say("next_room")), starting)

    def of_job(self, job_id: str) -> FindPutOff:
        """`nothing_put_off` itself when nothing is known of it."""
        if self._no_place is None and job_id not in self._found:
            return nothing_put_off
        return partial(self._find, job_id)

    def _find(self, job_id: str, task_name: str, party_key: str) -> PutOff | None:
        part, no_place = Part(job_id, task_name, party_key), self._no_place
        found = self._found.get(job_id, {}).get(part)
        if found is not None or no_place is None or part in no_place.starting:
            return found
        return no_place.put_off


def _kind(why: Words) -> str:
    return why.code if isinstance(why, Sentence) and why.code == "memory_short" else str(why)
