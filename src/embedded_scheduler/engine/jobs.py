"""Use cases around jobs: what partners, the own platform and the operator can ask for.

All are safe to repeat: the same request again finds the work done and answers as before.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.effects import CallPeer, Decision
from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.domain.job import SYNC_CALLBACK, Document, JobSpec, parse_job
from embedded_scheduler.domain.lifecycle import JOB, ApprovalState, JobState, TaskState
from embedded_scheduler.domain.party import matches_role
from embedded_scheduler.domain.permit import Permit
from embedded_scheduler.domain.planner import combined_state
from embedded_scheduler.domain.policy import Action
from embedded_scheduler.domain.session import common_style, session_conflict, session_id
from embedded_scheduler.domain.snapshot import CallState, JobSnapshot
from embedded_scheduler.engine import components, permits, policies, votes
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.transitions import Cause, Reaction, Scene, advance
from embedded_scheduler.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    Refused,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from embedded_scheduler.store import attempts, inbox, jobs, ledger
from embedded_scheduler.store.database import Reader, Tx

TOMBSTONES = 1000
"""Stops of jobs that are not known here which are remembered for one partner."""
_AUTOMATIC = "policy for jobs of this partner"
"""Why a job is approved when the partner's own setting says so."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """`nodes` says per participant how far creation has come: accepted, approved, rejected, undelivered, pending."""

    job_id: str
    state: str
    nodes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job as `status_all` reports it. `tasks` has an entry for every task that was given an id."""

    job_status: str
    outcome: str | None
    reason: str
    tasks: Mapping[str, str]
    names: Mapping[str, str]


# -- how every verb reaches a job -------------------------------------------------------------------------------------


def scene(engine: Engine) -> Scene:
    return Scene(
        self_node=engine.node_id,
        traits=engine.directory.traits,
        mint=engine.mint,
        copies=engine.copies,
    )


async def react(engine: Engine, job_id: str, cause: Cause, reaction: Reaction | None) -> JobSnapshot:
    """Apply a reaction to a job in one transaction and wake whoever has to act on what followed."""
    here = scene(engine)
    return await commit(engine, lambda tx: advance(tx, here, job_id, cause, reaction))


async def commit(engine: Engine, work: Callable[[Tx], JobSnapshot]) -> JobSnapshot:
    """A transaction that leaves a job as `work` returns it, and what follows from that outside the database.

    The services hear of it even when the caller is gone by then (a partner that hung up on its own request).
    """
    snapshot = await engine.db.write(work, committed=lambda after: announce(engine, after))
    await close_ended(engine, snapshot)
    return snapshot


async def settle(engine: Engine, snapshot: JobSnapshot) -> None:
    """After a commit: let the services know, and close the channel of a job that is over."""
    announce(engine, snapshot)
    await close_ended(engine, snapshot)


def announce(engine: Engine, snapshot: JobSnapshot) -> None:
    """Let the services know what was committed."""
    if engine.watchlist.update(snapshot, engine.clock.monotonic(), engine.settings.timing.poll_first):
        engine.bus.wakeup("watching").set()
    engine.bus.wakeup("delivery").set()
    engine.bus.settled(snapshot.spec.job_id)


async def close_ended(engine: Engine, snapshot: JobSnapshot) -> None:
    """Close the channel sessions of a job that is over."""
    if JOB.is_terminal(snapshot.state):
        for session in sessions(engine, snapshot):
            await engine.channel.close_session(session)


def sessions(engine: Engine, snapshot: JobSnapshot) -> set[str]:
    """Every channel session this job can have had on this node."""
    return {
        session_id(snapshot.spec, task.name, task.task_id, snapshot.coordinator, engine.directory.session_need)
        for task in snapshot.tasks.values()
        if task.task_id
    }


async def view(engine: Engine, job_id: str) -> JobSnapshot:
    """The job as it is; `NotFound` when this node does not know it."""
    found = await engine.db.read(lambda reader: _snapshot(engine, reader, job_id))
    if found is None:
        raise NotFound(f"this node knows no job {shorten(job_id)}")
    return found


def _snapshot(engine: Engine, reader: Reader, job_id: str) -> JobSnapshot | None:
    return jobs.snapshot(reader, job_id, self_node=engine.node_id, traits=engine.directory.traits, copies=engine.copies)


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
    return NotFound(f"this node knows no {f'task {shorten(task_id)}' if task_id else f'job {shorten(s.spec.job_id)}'}")


def _check_partner(engine: Engine, node_id: str) -> None:
    if node_id != engine.node_id and not engine.directory.knows(node_id):
        raise Forbidden(f"{shorten(node_id)} is no partner of this node: its operator has to add it first")


# -- creating ---------------------------------------------------------------------------------------------------------


async def submit(
    engine: Engine, document: Mapping[str, Any], *, actor: str, trace_id: str, as_sent: bytes = b""
) -> Submitted:
    """A job of this node's own platform or operator (control layer §5.1).

    Returns when every participant answered, or after `timing.submit_wait` with what is known then: the rest is
    delivered as soon as it can be. Raises `Refused` when a participant said no.
    """
    job_id = engine.mint.job_id()
    spec = await engine.db.read(lambda reader: _normalised(reader, job_id, document))
    if spec.initiator != engine.node_id:
        raise InvalidRequest(
            f"config.initiator.node_id is {spec.initiator}; jobs submitted here start at {engine.node_id}"
        )
    coordinator = spec.coordinator_hint or engine.settings.coordinator or engine.node_id
    for node in (coordinator, *(spec.nodes if coordinator == engine.node_id else ())):
        if node != engine.node_id and not engine.directory.knows(node):
            raise InvalidRequest(f"{node} is no partner of this node: add it with `nodeconsole peer add`")
    spec = _with_session_style(engine, spec, coordinator)
    if problem := session_conflict(spec, engine.directory.session_need):
        raise InvalidRequest(problem)
    cause = Cause(actor, trace_id or job_id)
    own = "own job" if engine.settings.approval.own_jobs == "auto" else ""
    approve = await _ruled(engine, spec, coordinator, otherwise=own, frank=True)
    await _insert(engine, spec, coordinator=coordinator, cause=cause, as_sent=as_sent, approve=approve)
    return await _created_everywhere(engine, job_id)


def _normalised(reader: Reader, job_id: str, document: Mapping[str, Any]) -> JobSpec:
    """The submitted job with `task_params` entries for exactly the roles each component has.

    Partners tell from those entries who takes part in a task, so a job that names nobody gets them from the manifest.
    """
    spec = parse_job(job_id, document)
    task_params = spec.document["config"]["task_params"]
    for node in spec.flow.nodes:
        roles = components.roles_of(reader, node.component)
        if len(spec.parties_of(node.name)) < len(spec.parties) or not roles:
            continue
        for party in spec.parties:
            if party.role in roles:
                task_params[party.role].setdefault(str(party.index), {}).setdefault(node.name, {})
    return parse_job(job_id, spec.document)


def _with_session_style(engine: Engine, spec: JobSpec, coordinator: str) -> JobSpec:
    """The submitted job, saying how its channel sessions are named if that is not our way: another participant need
    not know the node because of which it is so."""
    style = common_style((*spec.nodes, coordinator), engine.directory.session_need)
    if not style or spec.session_hint:
        return spec
    spec.document["config"]["job_params"]["common"]["session_style"] = style
    return parse_job(spec.job_id, spec.document)


async def create_all(
    engine: Engine,
    job_id: str,
    document: Mapping[str, Any],
    *,
    source: str,
    trace_id: str,
    as_sent: bytes = b"",
    shown: Sequence[Permit] = (),
) -> Submitted:
    """An initiator asks this node to drive its job (control layer §3.1). `shown` are the permits of its request."""
    spec = parse_job(job_id, document)
    initiator = source or spec.initiator
    _check_partner(engine, initiator)
    if spec.initiator != initiator:
        raise Forbidden(f"{initiator} cannot submit a job whose initiator is {spec.initiator}")
    if spec.coordinator_hint not in ("", engine.node_id):
        raise Refused(f"the job names {spec.coordinator_hint} as its coordinator, not {engine.node_id}")
    if not await _known_already(engine, spec):
        for node in spec.nodes:
            if node != engine.node_id and not engine.directory.knows(node):
                raise Refused(f"{node} is no partner of the coordinator {engine.node_id}")
        if problem := session_conflict(spec, engine.directory.session_need):
            raise Refused(problem)
        auto = "" if engine.directory.approval(initiator) == "manual" else _AUTOMATIC
        approve = await _ruled(engine, spec, engine.node_id, otherwise=auto, shown=shown)
        cause = Cause(f"peer:{initiator}", trace_id)
        await _insert(
            engine, spec, coordinator=engine.node_id, cause=cause, as_sent=as_sent, approve=approve, shown=shown
        )
    return await _created_everywhere(engine, job_id)


async def create(
    engine: Engine,
    job_id: str,
    document: Mapping[str, Any],
    *,
    source: str,
    trace_id: str,
    as_sent: bytes = b"",
    shown: Sequence[Permit] = (),
) -> str:
    """A coordinator makes this node a participant (control layer §3.2). `shown` are the permits of its request.

    Returns `PENDING` while this node's decision is open, `READY` when it approved. `Refused` says why not.
    """
    spec = parse_job(job_id, document)
    coordinator = source or spec.initiator
    _check_partner(engine, coordinator)
    if engine.node_id not in spec.nodes:
        raise Refused(f"{engine.node_id} has no role in job {job_id}")
    if not await _known_already(engine, spec, coordinator=coordinator):
        if spec.initiator == engine.node_id:
            # What starts here is stored here before anybody else hears of it.
            raise Forbidden(f"{engine.node_id} has not submitted job {job_id}: nobody else can in its name")
        approve = await _policy(engine, spec, coordinator, shown)
        cause = Cause(f"peer:{coordinator}", trace_id)
        await _insert(
            engine, spec, coordinator=coordinator, cause=cause, as_sent=as_sent, approve=approve, shown=shown
        )
    return _creation_state(await view(engine, job_id), engine.node_id)


def _creation_state(s: JobSnapshot, node_id: str) -> str:
    own = s.approvals.get(node_id)
    if s.state is JobState.REJECTED or (own is not None and own.state is ApprovalState.REJECTED):
        raise Refused(s.reason or (own.reason if own else "") or f"{node_id} refused the job")
    return JobState.READY if own is not None and own.state is ApprovalState.APPROVED else JobState.PENDING


async def _policy(engine: Engine, spec: JobSpec, coordinator: str, shown: Sequence[Permit]) -> str:
    """Why the job is approved at once, or empty: the operator decides. `Refused` when nobody could ever say yes."""
    auto = engine.directory.approval(coordinator) == "auto" and not _wants_asking(engine, spec.initiator)
    beforehand = await engine.db.read(lambda reader: permits.decided_before(reader, spec, coordinator))
    otherwise = beforehand or (_AUTOMATIC if auto else "")
    approve = await _ruled(engine, spec, coordinator, otherwise=otherwise, shown=shown)
    if not approve and not engine.directory.decides_at_create(coordinator):
        return ""
    if not approve:
        raise Refused(
            f"{engine.node_id} approves jobs by hand, and {coordinator} cannot wait for that: "
            "its protocol has no approval channel; agree on automatic approval"
        )
    problems = await own_problems(engine, spec)
    if problems:
        raise Refused(f"{engine.node_id} cannot run its part: {'; '.join(problems)}")
    return approve


async def _ruled(
    engine: Engine,
    spec: JobSpec,
    coordinator: str,
    *,
    otherwise: str,
    shown: Sequence[Permit] = (),
    frank: bool = False,
) -> str:
    """Why the job is approved at once by the rules of the policy, or empty: a rule asks the operator. `otherwise` when
    no rule applies. `Refused` when a rule refuses; `frank`: the caller is this node's own side and is told which."""
    permitted = await permits.permitted(engine, spec, (coordinator, spec.initiator), shown)
    ruling = await policies.decide(engine, spec, coordinator, spec.initiator, permitted=permitted)
    if ruling.action is Action.REFUSE:
        raise Refused(ruling.note if frank else ruling.refusal)
    if ruling.action is Action.APPROVE:
        return ruling.note
    return "" if ruling.binding else otherwise


def _wants_asking(engine: Engine, initiator: str) -> bool:
    """The operator decides by hand about this partner's jobs, whoever drives them. For a node that is no partner its
    coordinator's word counts alone."""
    return engine.directory.knows(initiator) and engine.directory.approval(initiator) == "manual"


async def own_problems(engine: Engine, spec: JobSpec) -> list[str]:
    """Sentences why this node cannot run its part of the job; empty = it can."""
    own = [party for party in spec.parties if party.node_id == engine.node_id]
    return await engine.db.read(lambda reader: components.problems(reader, spec, own, engine.runners))


async def _known_already(engine: Engine, spec: JobSpec, *, coordinator: str = "") -> bool:
    def look(reader: Reader) -> tuple[JobSpec | None, jobs.JobHead | None]:
        return jobs.spec(reader, spec.job_id), jobs.head(reader, spec.job_id)

    known, head = await engine.db.read(look)
    if head is None or known is None:
        return False
    caller = coordinator or spec.initiator
    if caller not in (head.coordinator, head.initiator):
        # Nothing about the job it belongs to, not even that there is one.
        raise Conflict(f"the job id {shorten(spec.job_id)} cannot be used here: take a fresh one")
    # A job submitted here comes back in the words of the coordinator it was given to; what was submitted holds.
    given_away = head.initiator == engine.node_id and coordinator == head.coordinator
    if known.digest != spec.digest and not (given_away and known.is_same_computation(spec)):
        raise Conflict(f"job {spec.job_id} exists here with other content")
    return True


async def _insert(
    engine: Engine,
    spec: JobSpec,
    *,
    coordinator: str,
    cause: Cause,
    as_sent: bytes,
    approve: str,
    shown: Sequence[Permit] = (),
) -> None:
    """Store a job and let the planner begin. `approve` non-empty = this node agrees at once, for that reason."""
    coordinates = coordinator == engine.node_id
    member = engine.node_id in spec.nodes
    if member and approve and (problems := await own_problems(engine, spec)):
        raise Refused(f"{engine.node_id} cannot run its part: {'; '.join(problems)}")
    approvals = spec.nodes if coordinates else ((engine.node_id,) if member else ())
    shares = [
        (name, party)
        for name in spec.flow.order
        for party in spec.parties_of(name)
        if coordinates or party.node_id == engine.node_id
    ]
    here = scene(engine)

    def first_steps(s: JobSnapshot) -> list[Decision]:
        steps: list[Decision] = []
        if member and approve:
            steps += reactions.decide(s, engine.node_id, approve=True, reason=approve)
        if not coordinates and spec.initiator == engine.node_id:
            body: Document = {"job_id": spec.job_id, **spec.document}
            steps.insert(0, CallPeer(coordinator, "job/create_all", "create_all", body))
        return steps

    def work(tx: Tx) -> JobSnapshot:
        existing = jobs.digest(tx, spec.job_id)
        if existing is not None:
            if existing != spec.digest:
                raise Conflict(f"job {spec.job_id} exists here with other content")
            return advance(tx, here, spec.job_id, cause)
        if inbox.is_tombstoned(tx, spec.job_id, coordinator):
            raise Conflict(f"job {spec.job_id} was stopped before it was created")
        if jobs.open_count(tx) >= engine.settings.limits.open_jobs:
            raise Unavailable(
                f"{engine.node_id} has {engine.settings.limits.open_jobs} open jobs and takes no more now"
            )
        _check_open_jobs(engine, tx, spec.initiator, coordinator)
        permits.check(tx, engine.node_id, spec, (coordinator, spec.initiator), shown)
        if coordinates:
            permits.keep(tx, engine.node_id, spec, shown)
        seq = ledger.append(
            tx,
            subject="job",
            subject_id=spec.job_id,
            job_id=spec.job_id,
            event="job.created",
            actor=cause.actor,
            trace_id=cause.trace_id,
            data={"coordinator": coordinator, "initiator": spec.initiator, "digest": spec.digest},
        )
        jobs.insert(
            tx,
            spec,
            seq=seq,
            coordinator=coordinator,
            as_sent=as_sent,
            trace_id=cause.trace_id,
            approvals=approvals,
            shares=shares,
        )
        return advance(tx, here, spec.job_id, cause, first_steps)

    await commit(engine, work)


def _check_open_jobs(engine: Engine, tx: Tx, initiator: str, coordinator: str) -> None:
    partner = initiator if coordinator == engine.node_id else coordinator
    most = engine.settings.limits.partner_open_jobs
    if engine.node_id in (partner, initiator):
        return
    # Looking at all open jobs is worth it only when there are so many.
    if jobs.open_count(tx) >= most and jobs.open_count_of(tx, partner, most) >= most:
        raise TooMany(f"{partner} has {most} open jobs here: try again when some are over (limits.partner_open_jobs)")


async def _created_everywhere(engine: Engine, job_id: str) -> Submitted:
    """Wait until no create is under way any more, at most `timing.submit_wait`."""
    with engine.bus.job(job_id) as changed:
        deadline = engine.clock.monotonic() + engine.settings.timing.submit_wait
        while True:
            snapshot = await view(engine, job_id)
            left = deadline - engine.clock.monotonic()
            if not _creating(snapshot) or left <= 0:
                break
            await changed.wait(min(left, 1.0))
    if snapshot.state is JobState.REJECTED:
        raise Refused(f"job {job_id} was refused: {snapshot.reason}")
    return Submitted(job_id, snapshot.state.value, {node: _progress(snapshot, node) for node in snapshot.spec.nodes})


def _creating(s: JobSnapshot) -> bool:
    waiting = (call.state is CallState.WAITING for call in s.calls.values() if call.operation.startswith("job/create"))
    # The submitter itself is READY as soon as it has approved, whatever the coordinator will say.
    return not JOB.is_terminal(s.state) and any(waiting)


def _progress(s: JobSnapshot, node: str) -> str:
    approval = s.approvals.get(node)
    if approval is not None and approval.state is not ApprovalState.PENDING:
        return approval.state.lower()
    call = s.calls.get("create_all") or s.calls.get(f"create:{node}")
    if call is None:
        return "pending"
    return {CallState.ACKNOWLEDGED: "accepted", CallState.REFUSED: "rejected"}.get(call.state, "undelivered")


# -- deciding ---------------------------------------------------------------------------------------------------------


async def decide(engine: Engine, job_id: str, *, approve: bool, reason: str, actor: str) -> JobSnapshot:
    """The operator's decision. An approval is `Refused` while this node could not run its part.

    Where several persons have to approve (`approval.job_approvers`), the job waits on until enough of them did.
    """
    snapshot = await view(engine, job_id)
    if approve:
        problems = await own_problems(engine, snapshot.spec)
        if problems:
            raise Refused(f"cannot be approved as things stand: {'; '.join(problems)}")
    here, cause = scene(engine), Cause(actor, await _trace(engine, job_id))
    needed = engine.settings.approval.job_approvers

    def work(tx: Tx) -> JobSnapshot:
        def reaction(s: JobSnapshot) -> list[Decision]:
            decisions = reactions.decide(s, engine.node_id, approve=approve, reason=reason)
            if approve and decisions and not votes.record(tx, "job", job_id, actor, needed, reason=reason):
                return []
            return decisions

        return advance(tx, here, job_id, cause, reaction)

    return await commit(engine, work)


async def audit_confirm(engine: Engine, job_id: str, *, approved: bool, source: str) -> None:
    """A participant's decision reaches its coordinator (control layer §3.10)."""

    def reaction(s: JobSnapshot) -> list[Decision]:
        _check_member(s, source)
        if not s.coordinates:
            # Sent to the initiator instead of the coordinator, as the text allows: nothing to do with it here.
            return []
        node = source or _only_undecided(s)
        return reactions.decide(s, node, approve=approved, reason="")

    await react(engine, job_id, Cause(f"peer:{source}"), reaction)


def _only_undecided(s: JobSnapshot) -> str:
    """Who speaks, when the request does not say: clear only if one partner's decision is missing."""
    undecided = [
        a.node_id for a in s.approvals.values() if a.state is ApprovalState.PENDING and a.node_id != s.self_node
    ]
    if len(undecided) != 1:
        raise InvalidRequest("the request does not say which node decides (header x-source-node-id)")
    return undecided[0]


# -- running ----------------------------------------------------------------------------------------------------------


async def start(engine: Engine, job_id: str, *, source: str) -> None:
    """`job/start` (control layer §3.3)."""

    def reaction(s: JobSnapshot) -> list[Decision]:
        _check_driver(s, source)
        return [] if s.coordinates else reactions.start(s)

    await react(engine, job_id, Cause(f"peer:{source}"), reaction)


async def start_task(engine: Engine, job_id: str, task_id: str, task_name: str, *, source: str) -> None:
    """`task/start` (control layer §3.4)."""
    check_id("task_id", task_id)

    def reaction(s: JobSnapshot) -> list[Decision]:
        _check_driver(s, source)
        if s.coordinates:
            raise Conflict(f"{s.self_node} coordinates job {job_id} itself")
        return reactions.start_task(s, task_id, task_name)

    await react(engine, job_id, Cause(f"peer:{source}"), reaction)


async def stop(engine: Engine, job_id: str, task_name: str, *, source: str) -> None:
    """`job/stop` from the coordinator or initiator (control layer §3.6). Stopping what has ended changes nothing.

    A stop for an unknown job is remembered, so that a create which was overtaken cannot bring it to life.
    """

    def reaction(s: JobSnapshot) -> list[Decision]:
        _check_driver(s, source)
        return reactions.stop(s, task_name, f"stopped by {source or 'a partner'}")

    try:
        await react(engine, job_id, Cause(f"peer:{source}"), reaction)
    except NotFound:
        if source and not task_name and engine.directory.knows(source):
            await engine.db.write(lambda tx: _bury(tx, check_id("job_id", job_id), source))
        raise


def _bury(tx: Tx, job_id: str, source: str) -> None:
    if inbox.tombstones_of(tx, source, TOMBSTONES) < TOMBSTONES:
        inbox.tombstone(tx, job_id, source)


async def stop_all(
    engine: Engine, job_id: str, task_name: str, *, actor: str, source: str = "", reason: str = ""
) -> JobSnapshot:
    """Stop a job, or a task and all after it, everywhere (control layer §3.5, §5.2, §5.7).

    At the coordinator it takes effect; elsewhere the coordinator is asked, and for a whole job the own part ends.
    """

    def reaction(s: JobSnapshot) -> list[Decision]:
        _check_member(s, source)
        why = f"stopped by {actor.removeprefix('operator:').removeprefix('peer:')}"
        return reactions.ask_coordinator_to_stop(s, task_name, f"{why}: {reason}" if reason else why)

    return await react(engine, job_id, Cause(actor, await _trace(engine, job_id)), reaction)


async def stop_task(engine: Engine, task_id: str, *, source: str) -> None:
    """`task/stop {task_id}`: no clause has it, a Kuscia node sends it. Ends this node's part of one task."""
    snapshot, name = await _view_of_task(engine, task_id)
    # Before the transaction, which a caller could tell from its time.
    _check_driver(snapshot, source, task_id)

    def reaction(s: JobSnapshot) -> list[Decision]:
        return reactions.stop_one(s, name)

    await react(engine, snapshot.spec.job_id, Cause(f"peer:{source}"), reaction)


async def callback(engine: Engine, task_id: str, status: str, role: str, *, source: str) -> None:
    """A participant says how far its part is (control layer §3.9).

    The truth in callback mode. In poll mode a reason to ask at once: the answer to a poll cannot be forged by a third.
    """
    snapshot, name = await _view_of_task(engine, task_id)
    _check_member(snapshot, source, task_id)
    job_id = snapshot.spec.job_id
    if not snapshot.coordinates:
        return
    node = source or _role_owner(snapshot, name, role)
    if snapshot.spec.sync_type == SYNC_CALLBACK:
        word = TaskState(status)
        await react(
            engine,
            job_id,
            Cause(f"peer:{node}"),
            lambda s: reactions.partner_status(s, name, node, role, word),
        )
    elif not JOB.is_terminal(snapshot.state):
        engine.watchlist.hint(job_id, name, node, engine.clock.monotonic())
        engine.bus.wakeup("watching").set()


def _role_owner(s: JobSnapshot, task_name: str, role: str) -> str:
    owners = {share.party.node_id for share in s.tasks[task_name].shares if matches_role(share.party, role)}
    if len(owners) != 1:
        raise InvalidRequest("the request does not say which node calls back (header x-source-node-id)")
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
    claimed = hashlib.sha256((token or "").encode("utf-8", "surrogatepass")).hexdigest()
    mine = [a for a in found if trusted or hmac.compare_digest(a.token_hash, claimed)]
    if not mine:
        raise Unauthenticated("a component calls back with the token it was started with (config.token)")
    wanted = role.strip().lower()
    named = [a for a in mine if wanted in ("", a.role, f"{a.role}.{a.index}")]
    if not named:
        raise NotFound(f"task {task_id} has no role {shorten(role)} here")
    word = TaskState(status)
    here = scene(engine)

    def work(tx: Tx) -> JobSnapshot:
        for attempt in named:
            attempts.called_back(tx, attempt.attempt_id, word.value)

        def reaction(s: JobSnapshot) -> list[Decision]:
            if word is not TaskState.RUNNING:
                return []
            parties = [share.party for share in s.tasks[name].shares if any(a.is_of(share.party) for a in named)]
            return [decision for party in parties for decision in reactions.share_running(s, name, party)]

        return advance(tx, here, job_id, Cause("component"), reaction)

    await commit(engine, work)


# -- asking -----------------------------------------------------------------------------------------------------------


async def poll(engine: Engine, task_id: str, role: str, *, source: str = "") -> str:
    """The status of this node's shares of a task in `role`, or in all its roles when empty (control layer §3.8).

    SUCCESS when this node has no part in the task; FAILED for a task that will not be started any more.
    """
    s, name = await _view_of_task(engine, task_id)
    if source:
        _check_driver(s, source, task_id)
    task = s.tasks[name]
    own = [share.state for share in task.shares if s.is_local(share) and matches_role(share.party, role)]
    state = combined_state(own)
    if state in (TaskState.PENDING, TaskState.READY) and (task.cancelled or JOB.is_terminal(s.state)):
        return TaskState.FAILED
    return state


async def status_all(engine: Engine, job_id: str, *, source: str = "") -> JobStatus:
    """The job and its tasks (control layer §3.7, §5.3)."""
    s = await view(engine, job_id)
    _check_member(s, source)
    named = [task for task in s.tasks.values() if task.task_id]
    return JobStatus(
        job_status=s.state.value,
        outcome=s.outcome.value if s.outcome else None,
        reason=s.reason,
        tasks={task.task_id: task.state.value for task in named},
        names={task.task_id: task.name for task in named},
    )


async def job_list(engine: Engine, flow_id: str | None) -> dict[str, str]:
    """Job id → state, of one flow or of all (control layer §5.6)."""
    return await engine.db.read(lambda reader: jobs.states(reader, flow_id))


async def _task(engine: Engine, task_id: str) -> tuple[str, str]:
    found = await engine.db.read(lambda reader: jobs.task_by_id(reader, task_id))
    if found is None:
        raise NotFound(f"this node knows no task {shorten(task_id)}")
    return found


async def _view_of_task(engine: Engine, task_id: str) -> tuple[JobSnapshot, str]:
    """The job of a task and the task's name in it, in one look: partners ask for this more often than for anything."""

    def look(reader: Reader) -> tuple[JobSnapshot | None, str]:
        found = jobs.task_by_id(reader, task_id)
        return (None, "") if found is None else (_snapshot(engine, reader, found[0]), found[1])

    snapshot, name = await engine.db.read(look)
    if snapshot is None:
        raise NotFound(f"this node knows no task {shorten(task_id)}")
    return snapshot, name


async def _trace(engine: Engine, job_id: str) -> str:
    head = await engine.db.read(lambda reader: jobs.head(reader, job_id))
    return head.trace_id if head else ""
