"""Requests for datasets, projects, flows, jobs and models, in both directions, and what the operator does with them.

`engine.requests` has the partners' part.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.lifecycle import GRANT, JOB, AgreementState, AgreementTrigger, JobState
from embedded_scheduler.engine import jobs, permits, progress, votes
from embedded_scheduler.engine.agreements import contract_with
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.messages import queue
from embedded_scheduler.engine.ports import Delivery, Outgoing
from embedded_scheduler.engine.transitions import Cause, fire_agreement
from embedded_scheduler.errors import Conflict, InvalidRequest, NodeError, NotFound, Unavailable
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import datasets, grants, ledger
from embedded_scheduler.store import permits as permit_store
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.grants import Direction, Grant, Kind
from embedded_scheduler.store.permits import StoredPermit, Use

_LOG = logging.getLogger(__name__)

DEFAULT_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. `resource_id` is the dataset, project …; `body` the members of the request's message."""

    kind: Kind
    audit_id: str
    resource_id: str
    contract_id: str
    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """For how long, for how many jobs and on which level something is granted; None = as asked for."""

    level: int | None = None
    times: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Detail:
    """One request with its permit and the jobs that used it."""

    grant: Grant
    permit: StoredPermit | None
    uses: tuple[Use, ...]
    approvals: tuple[str, ...] = ()
    """Who approved so far, where several persons have to."""

    @property
    def open_jobs(self) -> tuple[str, ...]:
        """Jobs under way that were admitted with this permit."""
        return tuple(use.job_id for use in self.uses if use.state and not JOB.is_terminal(JobState(use.state)))


NO_TERMS = Terms()


def add(
    tx: Tx, direction: Direction, request: Request, node_id: str, contract_id: str, actor: str, trace_id: str
) -> Grant:
    """A new request, APPLIED, with its event."""
    grant = grants.add(
        tx,
        direction=direction,
        node_id=node_id,
        kind=request.kind,
        audit_id=request.audit_id,
        resource_id=request.resource_id,
        contract_id=contract_id,
        name=request.name,
        body=request.body,
        trace_id=trace_id,
    )
    ledger.append(
        tx,
        subject="grant",
        subject_id=grant.grant_id,
        event="grant.applied",
        actor=actor,
        trace_id=trace_id,
        data={
            "direction": direction,
            "node_id": node_id,
            "kind": request.kind,
            "resource_id": request.resource_id,
            "audit_id": request.audit_id,
            "digest": grant.digest,
        },
    )
    return grant


async def request(
    engine: Engine, kind: Kind, node_id: str, resource_id: str, name: str, members: Mapping[str, Any], *, actor: str
) -> Grant:
    """Ask a partner for something; delivered as soon as it can be. `members` are those of the message beside ids."""
    audit_id = engine.mint.nonce()

    def work(tx: Tx) -> Grant:
        contract = contract_with(tx, node_id)
        body = _body(kind, audit_id, contract.contract_id, resource_id, name, members)
        asked = Request(kind, audit_id, resource_id, contract.contract_id, str(body.get("name", "")), body)
        grant = add(tx, "out", asked, node_id, contract.contract_id, actor, engine.mint.nonce())
        _send(tx, engine, grant, "apply", body)
        return grant

    grant = await engine.db.write(work)
    engine.wake()
    return grant


def _body(
    kind: Kind, audit_id: str, contract_id: str, resource_id: str, name: str, members: Mapping[str, Any]
) -> dict[str, Any]:
    body: dict[str, Any] = {**members, "audit_id": audit_id, f"{kind}_id": resource_id}
    if kind in ("dataset", "project"):
        body["contract_id"] = contract_id
    if kind not in ("dataset", "model"):
        body["name"] = name or members.get("name") or resource_id
    return body


async def decide(
    engine: Engine, grant_id: str, *, approve: bool, reason: Words = "", terms: Terms = NO_TERMS, actor: str
) -> Grant:
    """The operator's decision about a partner's request; where several persons have to approve, one of them.

    `Conflict` when it was decided otherwise. An approval of a job that is here already approves the job.
    """
    grant = await settle(engine, grant_id, approve=approve, reason=reason, terms=terms, actor=actor)
    if grant.kind == "job" and grant.state is not AgreementState.APPLIED:
        await _decide_job(engine, grant, approve=approve, reason=reason, actor=actor)
    return grant


async def settle(
    engine: Engine, grant_id: str, *, approve: bool, reason: Words, terms: Terms = NO_TERMS, actor: str
) -> Grant:
    """As `decide`, but for the job of a job's request."""

    def work(tx: Tx) -> Grant:
        grant = _get(tx, grant_id)
        if grant.direction != "in":
            raise Conflict(say("grant_own", grant=grant_id, node=grant.node_id))
        wanted = AgreementState.APPROVED if approve else AgreementState.REJECTED
        if grant.state is wanted:
            return grant
        if grant.state is not AgreementState.APPLIED:
            raise Conflict(say("grant_over", grant=grant_id, state=grant.state.value))
        if approve:
            _check_still_possible(tx, grant)
            needed = 1 if actor == "node" else approvers(engine, grant)
            if not votes.record(tx, "grant", grant_id, actor, needed, reason=reason):
                return grant
        trigger = AgreementTrigger.APPROVE if approve else AgreementTrigger.REJECT
        fire(tx, grant, trigger, Cause(actor, grant.trace_id), reason)
        body: dict[str, Any] = {"audit_id": grant.audit_id, "status": wanted.value}
        if approve:
            body["resource_permit"] = _issue(tx, engine, grant, terms)
        _send(tx, engine, grant, "confirm", body)
        return reread(tx, grant)

    grant = await engine.db.write(work)
    engine.wake()
    return grant


def approvers(engine: Engine, grant: Grant) -> int:
    """A job's request decides the job, so it takes as many people."""
    approval = engine.settings.approval
    return approval.job_approvers if grant.kind == "job" else approval.dataset_approvers


def _check_still_possible(tx: Tx, grant: Grant) -> None:
    contract_with(tx, grant.node_id, grant.contract_id)
    if grant.kind == "dataset":
        namespace, _, name = grant.resource_id.partition("#")
        if datasets.get(tx, namespace, name) is None:
            raise Conflict(say("grant_dataset_gone", dataset=grant.resource_id))


def _issue(tx: Tx, engine: Engine, grant: Grant, terms: Terms) -> dict[str, Any]:
    """Store a permit and return it as it is sent, but for the token, which is added when it is (`fill_in`)."""
    until = terms.until_ms if terms.until_ms is not None else _number(grant.body.get("time_limit"))
    times = terms.times if terms.times is not None else _number(grant.body.get("times_limit"))
    if until is not None and until <= tx.now_ms:
        raise InvalidRequest(say("grant_time_passed"))
    contract = contract_with(tx, grant.node_id, grant.contract_id)
    shown: dict[str, Any] = {
        "resource_level": DEFAULT_LEVEL if terms.level is None else terms.level,
        "resource_type": grant.kind.upper(),
        "resource_id": grant.resource_id,
        "resource_node_id": engine.node_id,
        "resource_inst_id": engine.settings.inst_id or engine.node_id,
        "request_node_id": grant.node_id,
        "request_inst_id": contract.inst_id or grant.node_id,
    }
    permit_store.add(
        tx,
        grant_id=grant.grant_id,
        issued=True,
        token=permits.token_of(engine.attempt_secret, grant.grant_id),
        level=shown["resource_level"],
        resource_type=shown["resource_type"],
        resource_id=grant.resource_id,
        resource_node_id=engine.node_id,
        resource_inst_id=shown["resource_inst_id"],
        request_node_id=grant.node_id,
        request_inst_id=shown["request_inst_id"],
        time_limit_ms=until,
        times_limit=times,
    )
    limits = {"time_limit": until, "times_limit": times}
    return {**shown, **{name: value for name, value in limits.items() if value is not None}}


def _number(value: object) -> int | None:
    """A limit that a partner asked for; 0 and nothing mean none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


async def _decide_job(engine: Engine, grant: Grant, *, approve: bool, reason: Words, actor: str) -> None:
    """A job that came before its request was decided is decided with it."""
    try:
        job = await progress.view(engine, grant.resource_id)
    except NotFound:
        return
    known = job.approvals.get(engine.node_id)
    asked_by_its_driver = grant.node_id in (job.coordinator, job.spec.initiator)
    if known is None or known.state != "PENDING" or not asked_by_its_driver:
        return
    if permits.is_request_for(grant, job.spec):
        await jobs.decide(engine, grant.resource_id, approve=approve, reason=reason, actor=actor)


async def revoke(
    engine: Engine, grant_id: str, *, reason: str, stop_jobs: bool, actor: str
) -> tuple[Grant, tuple[str, ...]]:
    """End what was granted, in either direction; the partner is told. Also returns the jobs that it concerns: they are
    stopped with `stop_jobs` and go on otherwise."""

    def work(tx: Tx) -> Grant:
        grant = _get(tx, grant_id)
        if grant.state is AgreementState.TERMINATED:
            return grant
        fire(tx, grant, AgreementTrigger.TERMINATE, Cause(actor, grant.trace_id), reason)
        _send(tx, engine, grant, "terminate", {"audit_id": grant.audit_id})
        return reread(tx, grant)

    grant = await engine.db.write(work)
    engine.wake()
    concerned = (await show(engine, grant_id)).open_jobs
    for job_id in concerned if stop_jobs else ():
        try:
            await jobs.stop_all(engine, job_id, "", actor=actor, reason=reason or say("grant_revoked", grant=grant_id))
        except NodeError as error:
            _LOG.error("job %s could not be stopped: %s", job_id, error.message)
    return grant, concerned


async def refresh(engine: Engine, grant_id: str) -> Grant:
    """Ask the partner how a request of ours stands, for a decision that got lost. `Unavailable` says why not."""
    detail = await show(engine, grant_id)
    grant = detail.grant
    if grant.direction != "out" or grant.kind == "job":
        raise Conflict(say("grant_not_asked", grant=grant_id))
    operation = f"{grant.kind}/audit/query"
    call = Outgoing(grant.node_id, operation, {"audit_id": grant.audit_id}, engine.mint.nonce(), grant.trace_id)
    reply = await engine.gateway.call(call)
    if reply.delivery is not Delivery.OK:
        raise Unavailable(reply.error)
    return await engine.db.write(lambda tx: _learn(tx, grant_id, str(reply.data.get("status") or "").upper()))


def _learn(tx: Tx, grant_id: str, said: str) -> Grant:
    """Follow what the partner says along the rows of the lifecycle; another order of states is not believed."""
    grant = _get(tx, grant_id)
    cause = Cause(f"peer:{grant.node_id}", grant.trace_id)
    for trigger in AgreementTrigger:
        if GRANT.allows(grant.state, trigger) and GRANT.row(grant.state, trigger).target == said:
            fire(tx, grant, trigger, cause, say("learned_by_asking"))
            return reread(tx, grant)
    return grant


async def listing(
    engine: Engine,
    *,
    direction: Direction | None,
    state: AgreementState | None,
    before_ms: int = grants.LAST,
    limit: int = 200,
) -> list[Detail]:
    """Requests, newest first."""

    def look(reader: Reader) -> list[Detail]:
        found = grants.page(reader, direction=direction, state=state, before_ms=before_ms, limit=limit)
        return [_detail(reader, grant) for grant in found]

    return await engine.db.read(look)


async def show(engine: Engine, grant_id: str) -> Detail:
    """One request by its id or a beginning of it that fits no other."""

    def look(reader: Reader) -> Detail:
        found = grants.by_prefix(reader, grant_id)
        if found is None:
            raise NotFound(say("grant_unknown", grant=shorten(grant_id)))
        return _detail(reader, _get(reader, found))

    return await engine.db.read(look)


def _detail(reader: Reader, grant: Grant) -> Detail:
    voters = tuple(vote.actor for vote in votes.so_far(reader, "grant", grant.grant_id))
    return Detail(
        grant, permit_store.get(reader, grant.grant_id), tuple(permit_store.uses(reader, grant.grant_id)), voters
    )


def _get(reader: Reader, grant_id: str) -> Grant:
    grant = grants.get(reader, grant_id)
    if grant is None:
        raise NotFound(say("grant_unknown", grant=shorten(grant_id)))
    return grant


def reread(reader: Reader, grant: Grant) -> Grant:
    """As it is now."""
    return _get(reader, grant.grant_id)


def fire(tx: Tx, grant: Grant, trigger: AgreementTrigger, cause: Cause, reason: Words) -> None:
    """Change its state, with its event."""
    fire_agreement(
        tx,
        GRANT,
        grant.grant_id,
        grant.state,
        trigger,
        cause,
        "grants.set_state",
        reason=reason,
        data={"node_id": grant.node_id, "kind": grant.kind, "resource_id": grant.resource_id},
        grant_id=grant.grant_id,
    )


def _send(tx: Tx, engine: Engine, grant: Grant, verb: str, body: Mapping[str, Any]) -> None:
    queue(
        tx,
        engine,
        node_id=grant.node_id,
        operation=f"{grant.kind}/audit/{verb}",
        body=body,
        key=f"{grant.grant_id}/{verb}",
        trace_id=grant.trace_id,
    )
