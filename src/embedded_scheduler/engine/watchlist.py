"""What this node keeps asking partners about, in memory: derived from snapshots, rebuilt at start."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from embedded_scheduler.domain.lifecycle import JOB, TASK, JobState, TaskState
from embedded_scheduler.domain.snapshot import CallState, JobSnapshot, TaskView


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
    asking: bool = False
    hinted: bool = False
    """News came while the question was under way: its answer may be older."""


REMEMBERED = 4096
"""Jobs whose last revision is kept in mind, those that are over included."""


class Watchlist:
    """Questions by job, asked in the order they fall due. Belongs to the event loop thread."""

    def __init__(self) -> None:
        self.polls: dict[PollKey, PollState] = {}
        self._of_job: dict[str, dict[str, frozenset[PollKey]]] = {}
        self._early: dict[str, set[tuple[str, str]]] = {}
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._agenda: list[tuple[float, int, PollKey]] = []
        self._entries = itertools.count()
        self._asking: Counter[str] = Counter()
        self._held: dict[str, deque[PollKey]] = {}

    def update(self, snapshot: JobSnapshot, now: float, first: float) -> bool:
        """Add what is to be asked about this job, drop what is not any more. A first answer is due after `first` s.

        True when there is something new to ask. Whoever wrote last does not always get here last, so a snapshot older
        than one already seen is ignored.
        """
        job_id = snapshot.spec.job_id
        seen = self._seen.get(job_id, 0)
        if snapshot.revision < seen or (snapshot.revision and snapshot.revision == seen):
            return False
        self._seen[job_id] = snapshot.revision
        self._seen.move_to_end(job_id)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        known = self._of_job.setdefault(job_id, {})
        partial = snapshot.news if snapshot.follows and snapshot.follows == seen else None
        fresh = False
        for task_name in ("", *(snapshot.tasks if partial is None else partial)):
            fresh |= self._update_task(known, _questions(snapshot, task_name), snapshot, task_name, now, first)
        if not known:
            del self._of_job[job_id]
        if JOB.is_terminal(snapshot.state):
            self._early.pop(job_id, None)
        return fresh

    def _update_task(
        self,
        known: dict[str, frozenset[PollKey]],
        wanted: frozenset[PollKey],
        snapshot: JobSnapshot,
        task_name: str,
        now: float,
        first: float,
    ) -> bool:
        before = known.get(task_name, frozenset())
        if wanted == before:
            return False
        for key in before - wanted:
            del self.polls[key]
        early = self._early.get(snapshot.spec.job_id, set())
        for key in wanted - before:
            news = (key.task_name, key.node_id) in early
            self.polls[key] = PollState(due=0.0, pause=first)
            self._schedule(key, now if news else now + first)
            early.discard((key.task_name, key.node_id))
        if wanted:
            known[task_name] = wanted
        else:
            del known[task_name]
        return bool(wanted - before)

    def hint(self, job_id: str, task_name: str, node_id: str, now: float) -> None:
        """A partner has news: ask now, or as soon as it is asked at all.

        A short task may be over there before the answer to its start was taken in here.
        """
        asked = [k for k in self._of_job.get(job_id, {}).get(task_name, ()) if k.node_id == node_id]
        for key in asked:
            state = self.polls[key]
            if state.asking:
                state.hinted = True
            else:
                self._schedule(key, now)
        if not asked:
            self._early.setdefault(job_id, set()).add((task_name, node_id))

    def take(self, now: float, *, at_once: int, per_partner: int) -> list[PollKey]:
        """What to ask now; every one taken has to be `answered`. A partner that hangs keeps back its own alone."""
        taken: list[PollKey] = []
        while self._agenda and self._agenda[0][0] <= now:
            due, _, key = heapq.heappop(self._agenda)
            state = self.polls.get(key)
            if state is not None and state.due == due and not state.asking:
                self._held.setdefault(key.node_id, deque()).append(key)
        for node_id in list(self._held):
            waiting = self._held[node_id]
            while waiting and self._asking[node_id] < per_partner and self._asking.total() < at_once:
                key = waiting.popleft()
                state = self.polls.get(key)
                if state is not None and not state.asking:
                    state.asking = True
                    self._asking[node_id] += 1
                    taken.append(key)
            # Whoever had to wait comes last next time.
            del self._held[node_id]
            if waiting:
                self._held[node_id] = waiting
        return taken

    def answered(self, key: PollKey, state: PollState | None, now: float, due: float) -> None:
        """The question is free to be asked again at `due`, at once if there was news meanwhile."""
        self._asking[key.node_id] -= 1
        if self._asking[key.node_id] <= 0:
            del self._asking[key.node_id]
        if state is None or self.polls.get(key) is not state:
            return
        state.asking = False
        self._schedule(key, now if state.hinted else due)
        state.hinted = False

    def forget_asking(self) -> None:
        """Nobody is asking any more: the service starts again."""
        self._asking.clear()
        self._held.clear()
        self._agenda.clear()
        for key, state in self.polls.items():
            state.asking = False
            self._schedule(key, state.due)

    def next_due(self) -> float | None:
        """When the next question falls due; those that wait for a place are not counted."""
        while self._agenda:
            due, _, key = self._agenda[0]
            state = self.polls.get(key)
            if state is not None and state.due == due and not state.asking:
                return due
            heapq.heappop(self._agenda)
        return None

    def _schedule(self, key: PollKey, due: float) -> None:
        self.polls[key].due = due
        heapq.heappush(self._agenda, (due, next(self._entries), key))
        if len(self._agenda) > 64 and len(self._agenda) > 4 * len(self.polls):
            self._agenda = [(s.due, next(self._entries), k) for k, s in self.polls.items() if not s.asking]
            heapq.heapify(self._agenda)


def _questions(s: JobSnapshot, task_name: str) -> frozenset[PollKey]:
    """What to ask about one task; with an empty name, about the whole job."""
    if JOB.is_terminal(s.state):
        return frozenset()
    if not s.coordinates:
        return frozenset() if task_name else frozenset(_verdict_question(s))
    if not task_name:
        return frozenset()
    return frozenset(_task_questions(s, s.tasks[task_name]))


def _task_questions(s: JobSnapshot, task: TaskView) -> Iterable[PollKey]:
    if TASK.is_terminal(task.state) or not task.task_id:
        return
    for share in task.shares:
        if s.is_local(share) or TASK.is_terminal(share.state) or share.state is TaskState.PENDING:
            continue
        call = s.calls.get(f"task:{task.name}:{share.party.node_id}")
        if call is not None and call.state is CallState.ACKNOWLEDGED:
            yield PollKey(s.spec.job_id, task.name, task.task_id, share.party.node_id, share.party.role)


def _verdict_question(s: JobSnapshot) -> set[PollKey]:
    """Some coordinators never say that a job is over (Kuscia), so whoever runs one asks now and then."""
    created = s.calls.get("create_all")
    if created is not None and created.state is not CallState.ACKNOWLEDGED:
        return set()
    if s.stop_reason or (s.state is JobState.PENDING and created is None):
        return set()
    return {PollKey(s.spec.job_id, "", "", s.coordinator, "")}
