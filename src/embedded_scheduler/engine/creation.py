"""Jobs come into being: submitted here, or sent by a partner as its coordinator's or participant's part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.effects import CallPeer, Decision
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.job import Document, JobSpec, parse_job
from embedded_scheduler.domain.lifecycle import JOB, ApprovalState, JobState
from embedded_scheduler.domain.permit import Permit
from embedded_scheduler.domain.policy import Action
from embedded_scheduler.domain.session import common_style, session_conflict
from embedded_scheduler.domain.snapshot import CallState, JobSnapshot
from embedded_scheduler.engine import components, permits, policies, progress, space
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.transitions import Cause, advance
from embedded_scheduler.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    Refused,
    TooMany,
    Unavailable,
)
from embedded_scheduler.sentences import Words, say, together
from embedded_scheduler.store import inbox, jobs, ledger
from embedded_scheduler.store.database import Reader, Tx

_AUTOMATIC = say("automatic")
"""Why a job is approved when the partner's own setting says so."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """`nodes` says per participant how far creation has come: accepted, approved, rejected, undelivered, pending."""

    job_id: str
    state: str
    nodes: Mapping[str, str]


def _check_partner(engine: Engine, node_id: str) -> None:
    if node_id != engine.node_id and not engine.directory.knows(node_id):
        raise Forbidden(say("partner_to_be_added", node=shorten(node_id)))


async def submit(
    engine: Engine, document: Mapping[str, Any], *, actor: str, trace_id: str, as_sent: bytes = b""
) -> Submitted:
    """A job of this node's own platform or operator (control layer §5.1).

    Returns when every participant answered, or after `timing.submit_wait` with what is known then: the rest is
    delivered as soon as it can be. Raises `Refused` when a participant said no.
    """
    job_id = engine.mint.job_id()
    spec, coordinator = await plan(engine, job_id, document)
    await space.check_room(engine, engine.node_id)
    cause = Cause(actor, trace_id or job_id)
    own = say("own_job") if engine.settings.approval.own_jobs == "auto" else ""
    approve = await _ruled(engine, spec, coordinator, otherwise=own, frank=True)
    await _insert(engine, spec, coordinator=coordinator, cause=cause, as_sent=as_sent, approve=approve)
    return await _created_everywhere(engine, job_id)


async def plan(engine: Engine, job_id: str, document: Mapping[str, Any]) -> tuple[JobSpec, str]:
    """A job of this node's own side as it would be submitted, and its coordinator. Nothing is stored or sent.

    Raises what is wrong with the document itself, or with who is to take part.
    """
    spec = await engine.db.read(lambda reader: _normalised(reader, job_id, document))
    if spec.initiator != engine.node_id:
        raise InvalidRequest(say("initiator_elsewhere", initiator=spec.initiator, node=engine.node_id))
    coordinator = spec.coordinator_hint or engine.settings.coordinator or engine.node_id
    for node in (coordinator, *(spec.nodes if coordinator == engine.node_id else ())):
        if node != engine.node_id and not engine.directory.knows(node):
            raise InvalidRequest(say("no_partner_add", node=node))
    spec = _with_session_style(engine, spec, coordinator)
    if problem := session_conflict(spec, engine.directory.session_need):
        raise InvalidRequest(problem)
    return spec, coordinator


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
        raise Forbidden(say("submitted_for_other", node=initiator, initiator=spec.initiator))
    if spec.coordinator_hint not in ("", engine.node_id):
        raise Refused(say("other_coordinator", named=spec.coordinator_hint, node=engine.node_id))
    if not await _known_already(engine, spec):
        await space.check_room(engine, initiator)
        for node in spec.nodes:
            if node != engine.node_id and not engine.directory.knows(node):
                raise Refused(say("no_partner_of_coordinator", node=node, coordinator=engine.node_id))
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
        raise Refused(say("no_role_in_job", node=engine.node_id, job=job_id))
    if not await _known_already(engine, spec, coordinator=coordinator):
        if spec.initiator == engine.node_id:
            # What starts here is stored here before anybody else hears of it.
            raise Forbidden(say("not_submitted_here", node=engine.node_id, job=job_id))
        await space.check_room(engine, coordinator)
        approve = await _policy(engine, spec, coordinator, shown)
        cause = Cause(f"peer:{coordinator}", trace_id)
        await _insert(engine, spec, coordinator=coordinator, cause=cause, as_sent=as_sent, approve=approve, shown=shown)
    return _creation_state(await progress.view(engine, job_id), engine.node_id)


def _creation_state(s: JobSnapshot, node_id: str) -> str:
    own = s.approvals.get(node_id)
    if s.state is JobState.REJECTED or (own is not None and own.state is ApprovalState.REJECTED):
        raise Refused(s.reason or (own.reason if own else "") or say("node_refused_job", node=node_id))
    return JobState.READY if own is not None and own.state is ApprovalState.APPROVED else JobState.PENDING


async def _policy(engine: Engine, spec: JobSpec, coordinator: str, shown: Sequence[Permit]) -> Words:
    """Why the job is approved at once, or empty: the operator decides. `Refused` when nobody could ever say yes."""
    auto = engine.directory.approval(coordinator) == "auto" and not _wants_asking(engine, spec.initiator)
    beforehand = await engine.db.read(lambda reader: permits.decided_before(reader, spec, coordinator))
    otherwise = beforehand or (_AUTOMATIC if auto else "")
    approve = await _ruled(engine, spec, coordinator, otherwise=otherwise, shown=shown)
    if not approve and not engine.directory.decides_at_create(coordinator):
        return ""
    if not approve:
        raise Refused(say("approves_by_hand", node=engine.node_id, coordinator=coordinator))
    problems = await own_problems(engine, spec)
    if problems:
        raise Refused(say("cannot_run", node=engine.node_id, problems=together(problems)))
    return approve


async def _ruled(
    engine: Engine,
    spec: JobSpec,
    coordinator: str,
    *,
    otherwise: Words,
    shown: Sequence[Permit] = (),
    frank: bool = False,
) -> Words:
    """Why the job is approved at once by the rules of the policy, or empty: a rule asks the operator. `otherwise` when
    no rule applies. `Refused` when a rule refuses; `frank`: the caller is this node's own side and is told which."""
    # A rule takes a permit from whom it was given to. That this is the initiator is its coordinator's word alone.
    holder = spec.initiator if coordinator == engine.node_id else coordinator
    permitted = await permits.permitted(engine, spec, (holder,), shown)
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


async def own_problems(engine: Engine, spec: JobSpec) -> list[Words]:
    """Sentences why this node cannot run its part of the job; empty = it can."""
    own = policies.own_parties(engine, spec)
    return await engine.db.read(lambda reader: components.problems(reader, spec, own, engine.placement))


async def _known_already(engine: Engine, spec: JobSpec, *, coordinator: str = "") -> bool:
    def look(reader: Reader) -> tuple[JobSpec | None, jobs.JobHead | None]:
        return jobs.spec(reader, spec.job_id), jobs.head(reader, spec.job_id)

    known, head = await engine.db.read(look)
    if head is None or known is None:
        return False
    caller = coordinator or spec.initiator
    if caller not in (head.coordinator, head.initiator):
        # Nothing about the job it belongs to, not even that there is one.
        raise Conflict(say("job_id_taken", job=shorten(spec.job_id)))
    # A job submitted here comes back in the words of the coordinator it was given to; what was submitted holds.
    given_away = head.initiator == engine.node_id and coordinator == head.coordinator
    if known.digest != spec.digest and not (given_away and known.is_same_computation(spec)):
        raise Conflict(say("job_differs", job=spec.job_id))
    return True


async def _insert(
    engine: Engine,
    spec: JobSpec,
    *,
    coordinator: str,
    cause: Cause,
    as_sent: bytes,
    approve: Words,
    shown: Sequence[Permit] = (),
) -> None:
    """Store a job and let the planner begin. `approve` non-empty = this node agrees at once, for that reason."""
    coordinates = coordinator == engine.node_id
    member = engine.node_id in spec.nodes
    if member and approve and (problems := await own_problems(engine, spec)):
        raise Refused(say("cannot_run", node=engine.node_id, problems=together(problems)))
    approvals = spec.nodes if coordinates else ((engine.node_id,) if member else ())
    shares = [
        (name, party)
        for name in spec.flow.order
        for party in spec.parties_of(name)
        if coordinates or party.node_id == engine.node_id
    ]
    here = progress.scene(engine)

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
                raise Conflict(say("job_differs", job=spec.job_id))
            return advance(tx, here, spec.job_id, cause)
        _check_room(engine, tx, spec, coordinator)
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

    await progress.commit(engine, work)


def _check_room(engine: Engine, tx: Tx, spec: JobSpec, coordinator: str) -> None:
    if jobs.task_by_id(tx, spec.job_id) is not None:
        # Its channel session would be that task's.
        raise Conflict(say("job_id_taken", job=shorten(spec.job_id)))
    if inbox.is_tombstoned(tx, spec.job_id, coordinator):
        raise Conflict(say("job_stopped_before", job=spec.job_id))
    limits, count = engine.settings.limits, jobs.open_count(tx)
    if count >= limits.open_jobs:
        raise Unavailable(say("too_many_jobs", node=engine.node_id, count=limits.open_jobs))
    partner = spec.initiator if coordinator == engine.node_id else coordinator
    if engine.node_id in (partner, spec.initiator):
        return
    most = limits.partner_open_jobs
    # Looking at all open jobs is worth it only when there are so many.
    if count >= most and jobs.open_count_of(tx, partner, most) >= most:
        raise TooMany(say("partner_too_many_jobs", node=partner, count=most))


async def _created_everywhere(engine: Engine, job_id: str) -> Submitted:
    """Wait until no create is under way any more, at most `timing.submit_wait`."""
    with engine.bus.job(job_id) as changed:
        deadline = engine.clock.monotonic() + engine.settings.timing.submit_wait
        while True:
            snapshot = await progress.view(engine, job_id)
            left = deadline - engine.clock.monotonic()
            if not _creating(snapshot) or left <= 0:
                break
            await changed.wait(min(left, 1.0))
    if snapshot.state is JobState.REJECTED:
        raise Refused(say("job_was_refused", job=job_id, reason=snapshot.reason))
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
