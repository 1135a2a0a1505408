"""What this node keeps asking partners about, in memory: derived from snapshots, rebuilt at start."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from embedded_scheduler.domain.lifecycle import JOB, TASK, JobState, TaskState
from embedded_scheduler.domain.snapshot import CallState, JobSnapshot


@dataclass(frozen=True, slots=True)
class PollKey:
    """One question: how far is `node_id` in `role` with this task? With an empty task: how far is the whole job?"""

    job_id: str
    task_name: str
    task_id: str
    node_id: str
    role: str


@dataclass(slots=True)
class PollState:
    """When to ask next and how the last tries went; times are monotonic seconds."""

    due: float
    pause: float
    failing_since: float | None = None
    refused_since: float | None = None
    """Since when every readable answer has been a refusal."""


REMEMBERED = 4096
"""Jobs whose last revision is kept in mind, those that are over included."""


class Watchlist:
    """Questions by job. Belongs to the event loop thread."""

    def __init__(self) -> None:
        self.polls: dict[PollKey, PollState] = {}
        self._of_job: dict[str, set[PollKey]] = {}
        self._early: dict[str, set[tuple[str, str]]] = {}
        self._seen: OrderedDict[str, int] = OrderedDict()

    def update(self, snapshot: JobSnapshot, now: float, first: float) -> bool:
        """Add what is to be asked about this job, drop what is not any more. A first answer is due after `first` s.

        True when there is something new to ask. Whoever wrote last does not always get here last, so a snapshot older
        than one already seen is ignored.
        """
        job_id = snapshot.spec.job_id
        if snapshot.revision < self._seen.get(job_id, 0):
            return False
        self._seen[job_id] = snapshot.revision
        self._seen.move_to_end(job_id)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        wanted = _questions(snapshot)
        before = self._of_job.get(job_id, set())
        for key in before - wanted:
            self.polls.pop(key, None)
        early = self._early.get(job_id, set())
        for key in wanted - before:
            news = (key.task_name, key.node_id) in early
            self.polls[key] = PollState(due=now if news else now + first, pause=first)
            early.discard((key.task_name, key.node_id))
        if wanted:
            self._of_job[job_id] = wanted
        else:
            self._of_job.pop(job_id, None)
        if JOB.is_terminal(snapshot.state):
            self._early.pop(job_id, None)
        return bool(wanted - before)

    def hint(self, job_id: str, task_name: str, node_id: str, now: float) -> None:
        """A partner has news: ask now, or as soon as it is asked at all.

        A short task may be over there before the answer to its start was taken in here.
        """
        asked = [k for k in self._of_job.get(job_id, ()) if k.task_name == task_name and k.node_id == node_id]
        for key in asked:
            self.polls[key].due = now
        if not asked:
            self._early.setdefault(job_id, set()).add((task_name, node_id))

    def due(self, now: float) -> list[PollKey]:
        return [key for key, state in self.polls.items() if state.due <= now]

    def next_due(self) -> float | None:
        return min((state.due for state in self.polls.values()), default=None)


def _questions(s: JobSnapshot) -> set[PollKey]:
    if JOB.is_terminal(s.state):
        return set()
    if not s.coordinates:
        return _verdict_question(s)
    questions = set()
    for task in s.tasks.values():
        if TASK.is_terminal(task.state) or not task.task_id:
            continue
        for share in task.shares:
            if s.is_local(share) or TASK.is_terminal(share.state) or share.state is TaskState.PENDING:
                continue
            call = s.calls.get(f"task:{task.name}:{share.party.node_id}")
            if call is not None and call.state is CallState.ACKNOWLEDGED:
                questions.add(PollKey(s.spec.job_id, task.name, task.task_id, share.party.node_id, share.party.role))
    return questions


def _verdict_question(s: JobSnapshot) -> set[PollKey]:
    """Some coordinators never say that a job is over (Kuscia), so whoever runs one asks now and then."""
    created = s.calls.get("create_all")
    if created is not None and created.state is not CallState.ACKNOWLEDGED:
        return set()
    if s.stop_reason or (s.state is JobState.PENDING and created is None):
        return set()
    return {PollKey(s.spec.job_id, "", "", s.coordinator, "")}
