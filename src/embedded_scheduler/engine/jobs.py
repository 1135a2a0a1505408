"""Use cases around jobs: what partners, the own platform and the operator can ask for.

All are safe to repeat: the same request again finds the work done and answers as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.effects import Decision
from embedded_scheduler.domain.failure import Failure
from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.domain.job import SYNC_CALLBACK
from embedded_scheduler.domain.lifecycle import JOB, TASK, ApprovalState, TaskState
from embedded_scheduler.domain.party import matches_role
from embedded_scheduler.domain.planner import combined_state
from embedded_scheduler.domain.snapshot import JobSnapshot
from embedded_scheduler.engine import failures, progress, space, votes
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.creation import Submitted, create, create_all, own_problems, submit
from embedded_scheduler.engine.transitions import Cause, advance
from embedded_scheduler.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    Refused,
    Unauthenticated,
)
from embedded_scheduler.security.secrets import is_kept
from embedded_scheduler.sentences import Words, say, together
from embedded_scheduler.store import attempts, inbox, jobs
from embedded_scheduler.store.database import Reader, Tx

__all__ = [
    "JobStatus",
    "Submitted",
    "audit_confirm",
    "callback",
    "component_callback",
    "create",
    "create_all",
    "decide",
    "job_list",
    "poll",
    "start",
    "start_task",
    "status_all",
    "stop",
    "stop_all",
    "stop_task",
    "submit",
]

TOMBSTONES = 1000
"""Stops of jobs that are not known here which are remembered for one partner."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job as `status_all` reports it. `tasks` has an entry for every task that was given an id."""

    job_status: str
    outcome: str | None
    reason: str
    tasks: Mapping[str, str]
    names: Mapping[str, str]


def _check_driver(s: JobSnapshot, source: str, task_id: str = "") -> None:
    """Only the coordinator or the initiator may drive a job; others learn not even that it exists.

    `task_id` is what the caller named instead of the job, so that the refusal does not tell it the job's id.
    """
    if source not in (s.coordinator, s.spec.initiator):
        raise _unknown(s, task_id)


def _check_member(s: JobSnapshot, source: str, task_id: str = "") -> None:
    """As `_check_driver`, for every node of the job; an empty source is this node's own platform or operator."""
    if source and source not in (s.coordinator, s.spec.initiator, *s.spec.nodes):
        raise _unknown(s, task_id)


def _unknown(s: JobSnapshot, task_id: str) -> NotFound:
    if task_id:
        return NotFound(say("task_unknown", task=shorten(task_id)))
    return NotFound(say("job_unknown", job=shorten(s.spec.job_id)))


# -- deciding ---------------------------------------------------------------------------------------------------------


async def decide(engine: Engine, job_id: str, *, approve: bool, reason: Words, actor: str) -> JobSnapshot:
    """The operator's decision. An approval is `Refused` while this node could not run its part.

    Where several persons have to approve (`approval.job_approvers`), the job waits on until enough of them did.
    """
    snapshot = await progress.view(engine, job_id)
    if approve:
        problems = [*await own_problems(engine, snapshot.spec), *filter(None, [await space.no_room(engine)])]
        if problems:
            raise Refused(say("cannot_approve", problems=together(problems)))
    here, cause = progress.scene(engine), Cause(actor, await _trace(engine, job_id))
    needed = engine.settings.approval.job_approvers

    def work(tx: Tx) -> JobSnapshot:
        def reaction(s: JobSnapshot) -> list[Decision]:
            decisions = reactions.decide(s, engine.node_id, approve=approve, reason=reason)
            if approve and decisions and not votes.record(tx, "job", job_id, actor, needed, reason=reason):
                return []
            return decisions

        return advance(tx, here, job_id, cause, reaction)

    return await progress.commit(engine, work)


async def audit_confirm(engine: Engine, job_id: str, *, approved: bool, source: str) -> None:
    """A participant's decision reaches its coordinator (control layer §3.10)."""

    def reaction(s: JobSnapshot) -> list[Decision]:
        _check_member(s, source)
        if not s.coordinates:
            # Sent to the initiator instead of the coordinator, as the text allows: nothing to do with it here.
            return []
        node = source or _only_undecided(s)
        return reactions.decide(s, node, approve=approved, reason="")

    await progress.react(engine, job_id, Cause(f"peer:{source}"), reaction)


def _only_undecided(s: JobSnapshot) -> str:
    """Who speaks, when the request does not say: clear only if one partner's decision is missing."""
    undecided = [
        a.node_id for a in s.approvals.values() if a.state is ApprovalState.PENDING and a.node_id != s.self_node
    ]
    if len(undecided) != 1:
        raise InvalidRequest(say("no_source_decides"))
    return undecided[0]


# -- running ----------------------------------------------------------------------------------------------------------


async def start(engine: Engine, job_id: str, *, source: str) -> None:
    """`job/start` (control layer §3.3)."""

    def reaction(s: JobSnapshot) -> list[Decision]:
        _check_driver(s, source)
        return [] if s.coordinates else reactions.start(s)

    await progress.react(engine, job_id, Cause(f"peer:{source}"), reaction)


async def start_task(engine: Engine, job_id: str, task_id: str, task_name: str, *, source: str) -> None:
    """`task/start` (control layer §3.4)."""
    check_id("task_id", task_id)

    def taken(reader: Reader) -> bool:
        # A channel session may be named by either kind of id, so neither may be one of another job.
        job = jobs.head(reader, task_id)
        return jobs.task_by_id(reader, task_id) not in (None, (job_id, task_name)) or (
            job is not None and job.job_id != job_id
        )

    is_taken = await engine.db.read(taken)

    def reaction(s: JobSnapshot) -> list[Decision]:
        _check_driver(s, source)
        if s.coordinates:
            raise Conflict(say("coordinates_itself", node=s.self_node, job=job_id))
        if is_taken:
            raise Conflict(say("task_id_taken", task=shorten(task_id)))
        return reactions.start_task(s, task_id, task_name)

    await progress.react(engine, job_id, Cause(f"peer:{source}"), reaction)


async def stop(engine: Engine, job_id: str, task_name: str, *, source: str) -> None:
    """`job/stop` from the coordinator or initiator (control layer §3.6). Stopping what has ended changes nothing.

    A stop for an unknown job is remembered, so that a create which was overtaken cannot bring it to life.
    """

    def reaction(s: JobSnapshot) -> list[Decision]:
        _check_driver(s, source)
        return reactions.stop(s, task_name, say("stopped_by", who=source or say("some_partner")))

    try:
        await progress.react(engine, job_id, Cause(f"peer:{source}"), reaction)
    except NotFound:
        if source and not task_name and engine.directory.knows(source):
            await engine.db.write(lambda tx: _bury(tx, check_id("job_id", job_id), source))
        raise


def _bury(tx: Tx, job_id: str, source: str) -> None:
    if inbox.tombstones_of(tx, source, TOMBSTONES) < TOMBSTONES:
        inbox.tombstone(tx, job_id, source)


async def stop_all(
    engine: Engine, job_id: str, task_name: str, *, actor: str, source: str = "", reason: Words = ""
) -> JobSnapshot:
    """Stop a job, or a task and all after it, everywhere (control layer §3.5, §5.2, §5.7).

    At the coordinator it takes effect; elsewhere the coordinator is asked, and for a whole job the own part ends.
    """

    def reaction(s: JobSnapshot) -> list[Decision]:
        _check_member(s, source)
        who = actor.removeprefix("operator:").removeprefix("peer:")
        why = say("stopped_by_because", who=who, why=reason) if reason else say("stopped_by", who=who)
        return reactions.ask_coordinator_to_stop(s, task_name, why)

    return await progress.react(engine, job_id, Cause(actor, await _trace(engine, job_id)), reaction)


async def stop_task(engine: Engine, task_id: str, *, source: str) -> None:
    """`task/stop {task_id}`: no clause has it, a Kuscia node sends it. Ends this node's part of one task."""
    snapshot, name = await _view_of_task(engine, task_id)
    # Before the transaction, which a caller could tell from its time.
    _check_driver(snapshot, source, task_id)

    def reaction(s: JobSnapshot) -> list[Decision]:
        return reactions.stop_one(s, name)

    await progress.react(engine, snapshot.spec.job_id, Cause(f"peer:{source}"), reaction)


async def callback(
    engine: Engine,
    task_id: str,
    status: str,
    role: str,
    *,
    source: str,
    proven: bool = False,
    failure: Failure | None = None,
) -> None:
    """A participant says how far its part is (control layer §3.9).

    The truth in callback mode, and in poll mode where the participant's signature proves it (`proven`), as it would
    prove the answer to a poll. Else a reason to ask at once: the answer to a poll cannot be forged by a third.
    """
    snapshot, name = await _view_of_task(engine, task_id)
    _check_member(snapshot, source, task_id)
    job_id = snapshot.spec.job_id
    if not snapshot.coordinates:
        return
    node = source or _role_owner(snapshot, name, role)
    if proven or snapshot.spec.sync_type == SYNC_CALLBACK:
        word = TaskState(status)
        snapshot = await progress.react(
            engine,
            job_id,
            Cause(f"peer:{node}"),
            lambda s: reactions.partner_status(s, name, node, role, word, failure),
        )
    # Where that was not (all of) the truth yet: a task may end before the answer to its start is taken in here.
    if snapshot.spec.sync_type != SYNC_CALLBACK and _is_awaited(snapshot, name, node):
        engine.watchlist.hint(job_id, name, node, engine.clock.monotonic())
        engine.bus.wakeup("watching").set()


def _is_awaited(s: JobSnapshot, task_name: str, node_id: str) -> bool:
    """Whether a node has not ended its part of a task of a job that goes on."""
    shares = (share for share in s.tasks[task_name].shares if share.party.node_id == node_id)
    return not JOB.is_terminal(s.state) and any(not TASK.is_terminal(share.state) for share in shares)


def _role_owner(s: JobSnapshot, task_name: str, role: str) -> str:
    owners = {share.party.node_id for share in s.tasks[task_name].shares if matches_role(share.party, role)}
    if len(owners) != 1:
        raise InvalidRequest(say("no_source_calls_back"))
    return owners.pop()


async def component_callback(
    engine: Engine, task_id: str, status: str, role: str, *, token: str | None, trusted: bool
) -> None:
    """One of this node's components reports itself (control layer §4.1).

    `trusted` = the caller proved to be the own platform. SUCCESS and FAILED are remembered and weighed when the process
    has ended: a callback never overrides a non-zero exit.
    """
    job_id, name = await _task(engine, task_id)
    found = await engine.db.read(lambda reader: attempts.of_task(reader, job_id, name))
    mine = [a for a in found if trusted or is_kept(token or "", a.token_hash)]
    if not mine:
        raise Unauthenticated(say("component_token"))
    wanted = role.strip().lower()
    named = [a for a in mine if wanted in ("", a.role, f"{a.role}.{a.index}")]
    if not named:
        raise NotFound(say("task_without_role", task=task_id, role=shorten(role)))
    word = TaskState(status)
    here = progress.scene(engine)

    def work(tx: Tx) -> JobSnapshot:
        for attempt in named:
            attempts.called_back(tx, attempt.attempt_id, word.value)

        def reaction(s: JobSnapshot) -> list[Decision]:
            if word is not TaskState.RUNNING:
                return []
            parties = [share.party for share in s.tasks[name].shares if any(a.is_of(share.party) for a in named)]
            return [decision for party in parties for decision in reactions.share_running(s, name, party)]

        return advance(tx, here, job_id, Cause("component"), reaction)

    await progress.commit(engine, work)


# -- asking -----------------------------------------------------------------------------------------------------------


async def poll(engine: Engine, task_id: str, role: str, *, source: str = "") -> tuple[str, Failure | None]:
    """The status of this node's shares of a task in `role`, or in all its roles when empty (control layer §3.8).

    SUCCESS when this node has no part in the task; FAILED for a task that will not be started any more. Beside FAILED,
    what the asking node may know of why.
    """
    s, name = await _view_of_task(engine, task_id)
    if source:
        _check_driver(s, source, task_id)
    task = s.tasks[name]
    own = [share.state for share in task.shares if s.is_local(share) and matches_role(share.party, role)]
    state = combined_state(own)
    if state in (TaskState.PENDING, TaskState.READY) and (task.cancelled or JOB.is_terminal(s.state)):
        return TaskState.FAILED, None
    failure = await failures.of_task(engine, s.spec.job_id, name, role) if state is TaskState.FAILED else None
    return state, failure


async def status_all(engine: Engine, job_id: str, *, source: str = "") -> JobStatus:
    """The job and its tasks (control layer §3.7, §5.3)."""
    s = await progress.view(engine, job_id)
    _check_member(s, source)
    named = [task for task in s.tasks.values() if task.task_id]
    return JobStatus(
        job_status=s.state.value,
        outcome=s.outcome.value if s.outcome else None,
        reason=s.reason if not source or source == engine.node_id else await _public_reason(engine, s),
        tasks={task.task_id: task.state.value for task in named},
        names={task.task_id: task.name for task in named},
    )


async def _public_reason(engine: Engine, s: JobSnapshot) -> str:
    if not s.reason:
        return ""
    found = await engine.db.read(lambda reader: attempts.of_job(reader, s.spec.job_id))
    return failures.public_reason(s, found)


async def job_list(engine: Engine, flow_id: str | None) -> dict[str, str]:
    """Job id → state, of one flow or of all (control layer §5.6)."""
    return await engine.db.read(lambda reader: jobs.states(reader, flow_id))


async def _task(engine: Engine, task_id: str) -> tuple[str, str]:
    found = await engine.db.read(lambda reader: jobs.task_by_id(reader, task_id))
    if found is None:
        raise NotFound(say("task_unknown", task=shorten(task_id)))
    return found


async def _view_of_task(engine: Engine, task_id: str) -> tuple[JobSnapshot, str]:
    """The job of a task and the task's name in it, in one look: partners ask for this more often than for anything."""

    def look(reader: Reader) -> tuple[JobSnapshot | None, str]:
        found = jobs.task_by_id(reader, task_id)
        return (None, "") if found is None else (progress.snapshot_of(engine, reader, found[0]), found[1])

    snapshot, name = await engine.db.read(look)
    if snapshot is None:
        raise NotFound(say("task_unknown", task=shorten(task_id)))
    return snapshot, name


async def _trace(engine: Engine, job_id: str) -> str:
    head = await engine.db.read(lambda reader: jobs.head(reader, job_id))
    return head.trace_id if head else ""
