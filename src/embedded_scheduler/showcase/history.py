"""Writes the jobs of the history: what their rows, events and messages would be if it had all happened.

The jobs of the last days go through the planner, step by step, with every message answered, so that what is open now is
as a node would have left it. Of the many older ones only what a node keeps is written, along the same lifecycles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from embedded_scheduler.clock import HOUR_MS
from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.effects import (
    Decision,
    FireApproval,
    FireJob,
    FireShare,
    FireTask,
    NameTask,
    NoteCall,
    RecordVerdict,
    RequestStop,
)
from embedded_scheduler.domain.identifiers import task_id_for
from embedded_scheduler.domain.job import JobSpec, parse_job
from embedded_scheduler.domain.lifecycle import (
    TASK,
    ApprovalState,
    ApprovalTrigger,
    JobState,
    JobTrigger,
    Outcome,
    TaskState,
    TaskTrigger,
)
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.snapshot import ApprovalView, CallState, JobSnapshot, Share, TaskView
from embedded_scheduler.engine.transitions import Cause, Reaction, Scene, advance, apply, attempt_id
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.showcase.catalogue import FLOWS, document
from embedded_scheduler.showcase.exhibit import RUNNER, UNREACHABLE
from embedded_scheduler.showcase.plot import Story
from embedded_scheduler.store import attempts, jobs, ledger, outbox
from embedded_scheduler.store.database import Tx


@dataclass(frozen=True, slots=True)
class Trace:
    """A run of a component on this node, for those who write its log and its results. Times are epoch ms."""

    story: Story
    spec: JobSpec
    task: str
    party: Party
    attempt_id: str
    began_ms: int
    ended_ms: int | None = None
    fault: str = ""


def tell(story: Story, teller: Teller) -> Iterator[int]:
    """The story, moment by moment: yields when something happens next, and lets it happen when it is resumed."""
    ending = story.ending
    yield story.created_ms
    teller.create()
    for node, after_ms in sorted(story.patience.items(), key=lambda item: item[1]):
        if node in (ending.undecided, ending.undelivered):
            continue
        yield story.created_ms + after_ms
        refused = ending.refusal is not None and ending.refusal[0] == node
        teller.decide(node, approve=not refused, reason=ending.refusal[1] if refused and ending.refusal else "")
    if ending.refusal or ending.undecided or ending.undelivered:
        return
    started_ms = story.created_ms + max(story.patience.values(), default=0) + 900
    yield started_ms
    teller.start()
    for at_ms, kind, task in _moments(story, started_ms + 200):
        yield at_ms
        if kind == "stop":
            assert ending.stop is not None
            teller.stop(f"operator:{ending.stop[1]}", ending.stop[2])
            return
        if kind == "release":
            teller.release(task)
        elif kind == "run":
            teller.run(task)
        elif ending.failing is not None and ending.failing[0] == task:
            teller.fail(task, ending.failing[1], ending.failing[2])
            return
        else:
            teller.end(task)
    yield at_ms + 700
    teller.finish()


def _moments(story: Story, begin_ms: int) -> list[tuple[int, str, str]]:
    found = []
    for task, start, end in story.spans(begin_ms):
        found += [(start, "release", task), (start + 600, "run", task), (end, "end", task)]
    if story.ending.stop is not None:
        found.append((begin_ms + round(story.ending.stop[0] * 1000), "stop", ""))
    # What ends makes room for what is released at the same moment.
    order = ("end", "release", "run", "stop")
    return sorted(found, key=lambda moment: (moment[0], order.index(moment[1])))


@lru_cache(maxsize=64)
def _specification(flow_id: str) -> JobSpec:
    facts = next(facts for facts in FLOWS if facts.flow_id == flow_id)
    return parse_job("job-template", document(facts))


class Teller:
    """What both ways of telling share: how a job comes into being, and the runs of its components on this node."""

    def __init__(self, tx: Tx, scene: Scene, story: Story, logs: str) -> None:
        self.tx = tx
        self.scene = scene
        self.story = story
        self.spec = replace(_specification(story.flow.flow_id), job_id=story.job_id)
        self.coordinates = self.spec.initiator == scene.self_node
        self.traces: dict[str, Trace] = {}
        self._logs = logs

    def create(self) -> None:
        """The job arrives; its initiator agrees with itself."""
        raise NotImplementedError

    def decide(self, node: str, *, approve: bool, reason: str) -> None:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def release(self, task: str) -> None:
        raise NotImplementedError

    def run(self, task: str) -> None:
        raise NotImplementedError

    def end(self, task: str) -> None:
        raise NotImplementedError

    def fail(self, task: str, party: str, reason: str) -> None:
        raise NotImplementedError

    def stop(self, actor: str, reason: str) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        raise NotImplementedError

    # -- for both --------------------------------------------------------------------------------------------------

    @property
    def coordinator(self) -> str:
        return self.spec.initiator

    @property
    def known_approvals(self) -> tuple[str, ...]:
        return self.spec.nodes if self.coordinates else (self.scene.self_node,)

    @property
    def known_shares(self) -> list[tuple[str, Party]]:
        return [
            (name, party)
            for name in self.spec.flow.order
            for party in self.spec.parties_of(name)
            if self.coordinates or party.node_id == self.scene.self_node
        ]

    def cause_of(self, node: str) -> Cause:
        """Who acts for a node: its operator here, else the node itself."""
        own = node == self.scene.self_node
        return Cause("operator:li" if own else f"peer:{node}", self.spec.job_id)

    @property
    def by_node(self) -> Cause:
        return Cause("node", self.spec.job_id)

    def insert(self) -> None:
        """The rows of a new job, and its event."""
        actor = self.story.actor if self.coordinates else f"peer:{self.coordinator}"
        job_id = self.spec.job_id
        seq = ledger.append(
            self.tx,
            subject="job",
            subject_id=job_id,
            job_id=job_id,
            event="job.created",
            actor=actor,
            trace_id=job_id,
            data={"coordinator": self.coordinator, "initiator": self.spec.initiator, "digest": self.spec.digest},
        )
        jobs.insert(
            self.tx,
            self.spec,
            seq=seq,
            coordinator=self.coordinator,
            as_sent=b"",
            trace_id=job_id,
            approvals=self.known_approvals,
            shares=self.known_shares,
        )

    def is_local(self, party: Party) -> bool:
        return party.node_id == self.scene.self_node

    def parties(self, task: str) -> list[Party]:
        """Those whose share of a task this node keeps track of."""
        return [party for name, party in self.known_shares if name == task]

    def launch(self, task: str, party: Party) -> None:
        """A component begins to run here."""
        attempt = attempt_id(task_id_for(self.spec.job_id, task), party.key, 1)
        attempts.insert(
            self.tx,
            attempt_id=attempt,
            job_id=self.spec.job_id,
            task_name=task,
            party=party,
            number=1,
            runner=RUNNER,
            handle={},
            session_id=self.spec.job_id,
            token_hash="",
            log_path=f"{self._logs}/{self.spec.job_id}/{attempt}.log",
        )
        attempts.launched(self.tx, attempt)
        self.traces[attempt] = Trace(self.story, self.spec, task, party, attempt, self.tx.now_ms)

    def exited(self, task: str, party: Party, fault: str = "") -> None:
        """It is over, if it ran."""
        attempt = attempt_id(task_id_for(self.spec.job_id, task), party.key, 1)
        known = self.traces.get(attempt)
        if known is None or known.ended_ms is not None:
            return
        code = int(fault.removeprefix("exit code ")) if fault.startswith("exit code ") else None if fault else 0
        number = {"ended by SIGKILL": 9}.get(fault, 15) if code is None else None
        attempts.ended(self.tx, attempt, code=code, signal=number, error="")
        self.traces[attempt] = replace(known, ended_ms=self.tx.now_ms, fault=fault)

    def stop_words(self, actor: str, reason: str) -> Words:
        return say("stopped_by_because", who=actor.removeprefix("operator:"), why=reason)


class Planned(Teller):
    """Told through the planner: every effect is in the outbox, every message is answered."""

    def create(self) -> None:
        self.insert()
        own = self.scene.self_node
        agrees = say("automatic")

        def agree(s: JobSnapshot) -> Sequence[Decision]:
            return reactions.decide(s, own, approve=True, reason=agrees) if self.coordinates else ()

        self._advance(Cause(self.story.actor, self.spec.job_id), agree)

    def decide(self, node: str, *, approve: bool, reason: str) -> None:
        self._advance(self.cause_of(node), lambda s: reactions.decide(s, node, approve=approve, reason=reason))

    def start(self) -> None:
        if not self.coordinates:
            self._advance(self.cause_of(self.coordinator), reactions.start)

    def release(self, task: str) -> None:
        if not self.coordinates:
            task_id = task_id_for(self.spec.job_id, task)
            self._advance(self.cause_of(self.coordinator), lambda s: reactions.start_task(s, task_id, task))

    def run(self, task: str) -> None:
        for party in self.parties(task):
            if self.is_local(party):
                self.launch(task, party)
                self._done(jobs.launch_key(task, party))
            self._report(task, party, TaskState.RUNNING)

    def end(self, task: str) -> None:
        for party in self.parties(task):
            if self.is_local(party):
                self.exited(task, party)
            self._report(task, party, TaskState.SUCCESS)

    def fail(self, task: str, party: str, reason: str) -> None:
        failing = next(each for each in self.parties(task) if each.key == party)
        self.exited(task, failing, reason)
        self._report(task, failing, TaskState.FAILED, reason)
        self._reap()

    def stop(self, actor: str, reason: str) -> None:
        words = self.stop_words(actor, reason)
        self._advance(Cause(actor, self.spec.job_id), lambda s: reactions.stop(s, "", words))
        self._reap()

    def finish(self) -> None:
        if self.coordinates:
            return
        cause = self.cause_of(self.coordinator)
        words = f"{self.coordinator} ended the job"
        self._advance(cause, lambda s: reactions.stop(s, "", words), answered=False)
        done = [TaskState.SUCCESS] * len(self.spec.flow.nodes)

        def over(s: JobSnapshot) -> Sequence[Decision]:
            taken = NoteCall("verdict", CallState.ACKNOWLEDGED, "", self.tx.now_ms)
            return [taken, *reactions.verdict(s, JobState.FINISHED, done, Outcome.SUCCEEDED, "")]

        self._advance(cause, over)

    def _report(self, task: str, party: Party, state: TaskState, reason: str = "") -> None:
        """How one share stands now: known here, or told by its node."""
        if not self.is_local(party):
            self._advance(
                self.cause_of(party.node_id),
                lambda s: reactions.partner_status(s, task, party.node_id, party.role, state),
            )
        elif state is TaskState.RUNNING:
            self._advance(self.by_node, lambda s: reactions.share_running(s, task, party))
        else:
            ok = state is TaskState.SUCCESS
            self._advance(self.by_node, lambda s: reactions.share_ended(s, task, party, ok=ok, reason=reason))

    def _advance(self, cause: Cause, reaction: Reaction, *, answered: bool = True) -> JobSnapshot:
        snapshot = advance(self.tx, self.scene, self.spec.job_id, cause, reaction)
        while answered and (waiting := [c for c in snapshot.calls.values() if c.state is CallState.WAITING]):
            call = next((c for c in waiting if c.node_id != self.story.ending.undelivered), None)
            if call is None:
                return self._unanswered(waiting[0].key)
            snapshot = self._note(self.cause_of(call.node_id), call.key, CallState.ACKNOWLEDGED)
        return snapshot

    def _unanswered(self, key: str) -> JobSnapshot:
        """A message that nobody took; it is tried again long after anybody looks."""
        error = UNREACHABLE.format(node=self.story.ending.undelivered)
        return self._note(self.by_node, key, CallState.WAITING, error, after_ms=12 * HOUR_MS)

    def _note(self, cause: Cause, key: str, state: CallState, error: str = "", *, after_ms: int = 0) -> JobSnapshot:
        """One try of a message is over."""
        note = NoteCall(key, state, error, self.tx.now_ms + after_ms)
        return advance(self.tx, self.scene, self.spec.job_id, cause, lambda _: [note])

    def _reap(self) -> None:
        """What was told to end, ends."""
        snapshot = advance(self.tx, self.scene, self.spec.job_id, self.by_node)
        for task in snapshot.tasks.values():
            for share in task.shares:
                if share.terminating and not TASK.is_terminal(share.state):
                    self.exited(task.name, share.party, "stopped")
                    self._done(jobs.terminate_key(task.name, share.party))
                    self._report(task.name, share.party, TaskState.FAILED, "stopped")

    def _done(self, key: str) -> None:
        for row in outbox.for_job(self.tx, self.spec.job_id):
            if row.key == key:
                outbox.acknowledge(self.tx, row.id)


class Recorded(Teller):
    """Told by what is left of it after a while: rows and events, no messages."""

    def create(self) -> None:
        self.insert()
        now = self.tx.now_ms
        shares: dict[str, list[Share]] = {}
        for name, party in self.known_shares:
            shares.setdefault(name, []).append(Share(party, TaskState.PENDING, since_ms=now))
        self._snapshot = JobSnapshot(
            self_node=self.scene.self_node,
            coordinator=self.coordinator,
            spec=self.spec,
            state=JobState.PENDING,
            since_ms=now,
            tasks={
                name: TaskView(name, "", TaskState.PENDING, False, now, tuple(shares.get(name, ())))  # noqa: FBT003
                for name in self.spec.flow.order
            },
            approvals={node: ApprovalView(node, ApprovalState.PENDING, "", now) for node in self.known_approvals},
        )
        if self.coordinates:
            self._do(Cause(self.story.actor), FireApproval(self.scene.self_node, ApprovalTrigger.APPROVE))
            self._settle_approval()

    def decide(self, node: str, *, approve: bool, reason: str) -> None:
        trigger = ApprovalTrigger.APPROVE if approve else ApprovalTrigger.REJECT
        self._do(self.cause_of(node), FireApproval(node, trigger, reason))
        if not approve:
            self._do(self.by_node, FireJob(JobTrigger.REJECT, f"refused by {node}: {reason}"))
        else:
            self._settle_approval()

    def _settle_approval(self) -> None:
        if all(approval.state is ApprovalState.APPROVED for approval in self._snapshot.approvals.values()):
            self._do(self.by_node, FireJob(JobTrigger.APPROVE))

    def start(self) -> None:
        self._do(self.cause_of(self.coordinator) if not self.coordinates else self.by_node, FireJob(JobTrigger.START))

    def release(self, task: str) -> None:
        steps: list[Decision] = [
            NameTask(task, task_id_for(self.spec.job_id, task)),
            FireTask(task, TaskTrigger.RELEASE),
        ]
        steps += [FireShare(task, party, TaskTrigger.RELEASE) for party in self.parties(task)]
        self._do(self.by_node, *steps)

    def run(self, task: str) -> None:
        for party in self.parties(task):
            if self.is_local(party):
                self.launch(task, party)
            self._do(self._teller_of(party), FireShare(task, party, TaskTrigger.RUN))
        if self.parties(task):
            self._do(self.by_node, FireTask(task, TaskTrigger.RUN))

    def end(self, task: str) -> None:
        for party in self.parties(task):
            self.exited(task, party)
            self._do(self._teller_of(party), FireShare(task, party, TaskTrigger.SUCCEED, Outcome.SUCCEEDED))
        if self.parties(task):
            self._do(self.by_node, FireTask(task, TaskTrigger.SUCCEED))

    def fail(self, task: str, party: str, reason: str) -> None:
        failing = next((each for each in self.parties(task) if each.key == party), None)
        if failing is not None:
            said = reason if self.is_local(failing) else f"{failing.node_id} says FAILED"
            self.exited(task, failing, reason)
            self._do(self._teller_of(failing), FireShare(task, failing, TaskTrigger.FAIL, Outcome.FAILED, said))
            reason = said
        else:
            self._do(self.cause_of(self.coordinator), RequestStop(f"{self.coordinator} ended the job"))
        why = f"task {task} failed: {party}: {reason}"
        self._halt(why)
        self._do(self.by_node, FireJob(JobTrigger.FINISH, why, Outcome.FAILED))

    def stop(self, actor: str, reason: str) -> None:
        words = self.stop_words(actor, reason)
        self._do(Cause(actor, self.spec.job_id), RequestStop(words))
        self._halt(words)
        self._do(self.by_node, FireJob(JobTrigger.FINISH, words, Outcome.STOPPED))

    def finish(self) -> None:
        if not self.coordinates:
            verdict = RecordVerdict(JobState.FINISHED, Outcome.SUCCEEDED, "", final=True)
            self._do(self.cause_of(self.coordinator), verdict, RequestStop(f"{self.coordinator} ended the job"))
        self._do(self.by_node, FireJob(JobTrigger.FINISH, "", Outcome.SUCCEEDED))

    def _halt(self, reason: str) -> None:
        for task in self._snapshot.tasks.values():
            if not task.task_id or TASK.is_terminal(task.state):
                continue
            for share in task.shares:
                if not TASK.is_terminal(share.state):
                    self.exited(task.name, share.party, "stopped")
                    stopped = FireShare(task.name, share.party, TaskTrigger.FAIL, Outcome.STOPPED, reason)
                    self._do(self.by_node, stopped)
            self._do(self.by_node, FireTask(task.name, TaskTrigger.FAIL, reason))

    def _teller_of(self, party: Party) -> Cause:
        return self.by_node if self.is_local(party) else self.cause_of(party.node_id)

    def _do(self, cause: Cause, *decisions: Decision) -> None:
        for decision in decisions:
            self._snapshot = apply(self.tx, self.scene, self._snapshot, decision, cause)
