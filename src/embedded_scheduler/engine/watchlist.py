"""What this node keeps asking partners about, in memory: derived from snapshots, rebuilt at start."""

from __future__ import annotations

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


class Watchlist:
    """Questions by job. Belongs to the event loop thread."""

    def __init__(self) -> None:
        self.polls: dict[PollKey, PollState] = {}
        self._of_job: dict[str, set[PollKey]] = {}

    def update(self, snapshot: JobSnapshot, now: float, first: float) -> None:
        """Add what is to be asked about this job, drop what is not any more. A first answer is due after `first` s."""
        job_id = snapshot.spec.job_id
        wanted = _questions(snapshot)
        before = self._of_job.get(job_id, set())
        for key in before - wanted:
            self.polls.pop(key, None)
        for key in wanted - before:
            self.polls[key] = PollState(due=now + first, pause=first)
        if wanted:
            self._of_job[job_id] = wanted
        else:
            self._of_job.pop(job_id, None)

    def hint(self, job_id: str, task_name: str, node_id: str, now: float) -> bool:
        """A partner has news: ask now. False if nothing is asked about that."""
        hit = False
        for key in self._of_job.get(job_id, ()):
            if key.task_name == task_name and key.node_id == node_id:
                self.polls[key].due = now
                hit = True
        return hit

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
