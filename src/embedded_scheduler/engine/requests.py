"""What partners ask this node for, and what they answer to its requests (management layer §2–§7).

All are safe to repeat: a request is known by its applicant and the name (`audit_id`) the applicant gave it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.lifecycle import AgreementState, AgreementTrigger
from embedded_scheduler.domain.policy import Action, DataFact, Facts
from embedded_scheduler.engine import grants, jobs, policies, publications
from embedded_scheduler.engine.agreements import contract_with
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.grants import Request
from embedded_scheduler.engine.transitions import Cause
from embedded_scheduler.errors import Conflict, InvalidRequest, NotFound, TooMany
from embedded_scheduler.sentences import say
from embedded_scheduler.store import datasets
from embedded_scheduler.store import grants as grant_store
from embedded_scheduler.store import permits as permit_store
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.grants import Direction, Grant, Kind

MOST_OPEN = 500
MOST_OPEN_PER_PARTNER = 50
_UNSAFE = frozenset("/,")


@dataclass(frozen=True, slots=True)
class ReceivedPermit:
    """What a partner's confirmation gives."""

    token: str
    level: int
    resource_type: str
    resource_id: str
    resource_node_id: str
    resource_inst_id: str
    request_node_id: str
    request_inst_id: str
    time_limit_ms: int | None
    times_limit: int | None


async def apply(engine: Engine, request: Request, *, source: str, trace_id: str) -> Grant:
    """A partner asks this node for something; the policy or the operator decides.

    `Forbidden` without an approved contract, `NotFound` for a dataset that the partner may not see, `Conflict` when the
    same name was used for another request, `TooMany` while too many wait.
    """

    def work(tx: Tx) -> Grant:
        contract = contract_with(tx, source, request.contract_id)
        known = grant_store.find(tx, "in", source, request.kind, request.audit_id)
        if known is not None:
            if known.digest != grant_store.body_digest(request.body):
                raise Conflict(f"audit_id {request.audit_id} was used before for another request: take a new one")
            return known
        if request.kind == "dataset" and not publications.is_visible(tx, source, request.resource_id):
            raise NotFound(f"this node shows you no dataset {shorten(request.resource_id)}")
        _check_room(tx, source)
        return grants.add(tx, "in", request, source, contract.contract_id, f"peer:{source}", trace_id)

    grant = await engine.db.write(work)
    if grant.state is AgreementState.APPLIED:
        return await _rule(engine, grant)
    return grant


def _check_room(tx: Tx, source: str) -> None:
    if grant_store.open_count(tx, source) >= MOST_OPEN_PER_PARTNER or grant_store.open_count(tx) >= MOST_OPEN:
        raise TooMany("too many requests wait for this node's decision: ask again when some are decided")


async def _rule(engine: Engine, grant: Grant) -> Grant:
    """What the policy says of a new request; a job that was decided here already decides its request."""
    ruling = await policies.rule_on(engine, lambda reader: _facts(engine, reader, grant), digest=grant.digest)
    if ruling.action is Action.APPROVE:
        return await grants.settle(engine, grant.grant_id, approve=True, reason=ruling.note, actor="node")
    if ruling.action is Action.REFUSE:
        return await grants.settle(engine, grant.grant_id, approve=False, reason=ruling.refusal, actor="node")
    return grant


def _facts(engine: Engine, reader: Reader, grant: Grant) -> Facts:
    """A request as the rules see it."""
    data: tuple[DataFact, ...] = ()
    if grant.kind == "dataset":
        namespace, _, name = grant.resource_id.partition("#")
        found = datasets.get(reader, namespace, name)
        columns = tuple(column.name for column in found.columns) if found else None
        data = (DataFact(grant.resource_id, columns, found.rows if found else None),)
    return Facts(
        self_node=engine.node_id,
        initiator=grant.node_id,
        coordinator=grant.node_id,
        now=policies.local_time(reader.now_ms),
        on=grant.kind,
        subject=grant.grant_id,
        nodes=(grant.node_id,),
        data=data,
    )


async def confirm(
    engine: Engine, kind: Kind, audit_id: str, *, approved: bool, permit: ReceivedPermit | None, source: str
) -> None:
    """A partner decides about a request of this node. `NotFound` for a request that was not made there.

    For a job it decides the partner's approval too, as the control layer's audit_confirm does; a partner that was never
    asked may name the job itself.
    """

    def work(tx: Tx) -> Grant | None:
        grant = grant_store.find(tx, "out", source, kind, audit_id)
        if grant is None:
            return None
        return _confirmed(tx, grant, approved=approved, permit=permit, node_id=engine.node_id)

    grant = await engine.db.write(work)
    if kind == "job":
        with contextlib.suppress(NotFound) if grant is not None else contextlib.nullcontext():
            job_id = grant.resource_id if grant is not None else audit_id
            await jobs.audit_confirm(engine, job_id, approved=approved, source=source)
    elif grant is None:
        raise NotFound(f"this node asked {shorten(source)} for no {kind} under audit_id {shorten(audit_id)}")


def _confirmed(tx: Tx, grant: Grant, *, approved: bool, permit: ReceivedPermit | None, node_id: str) -> Grant:
    if approved and permit is not None:
        _check_permit(grant, permit, node_id)
    wanted = AgreementState.APPROVED if approved else AgreementState.REJECTED
    if grant.state is AgreementState.APPLIED:
        trigger = AgreementTrigger.APPROVE if approved else AgreementTrigger.REJECT
        grants.fire(tx, grant, trigger, Cause(f"peer:{grant.node_id}", grant.trace_id), say("decided_by_partner"))
    elif grant.state is not wanted:
        raise Conflict(f"the request {grant.audit_id} is {grant.state} here")
    if approved and permit is not None:
        permit_store.add(
            tx,
            grant_id=grant.grant_id,
            issued=False,
            token=permit.token,
            level=permit.level,
            resource_type=permit.resource_type or grant.kind.upper(),
            resource_id=grant.resource_id,
            resource_node_id=grant.node_id,
            resource_inst_id=permit.resource_inst_id,
            request_node_id=node_id,
            request_inst_id=permit.request_inst_id,
            time_limit_ms=permit.time_limit_ms or None,
            times_limit=permit.times_limit or None,
        )
    return grants.reread(tx, grant)


def _check_permit(grant: Grant, permit: ReceivedPermit, node_id: str) -> None:
    """The permit must be for what was asked, and fit into a header."""
    said = (
        ("resource_id", permit.resource_id, grant.resource_id),
        ("resource_node_id", permit.resource_node_id, grant.node_id),
        ("request_node_id", permit.request_node_id, node_id),
    )
    for name, value, wanted in said:
        if value and value != wanted:
            raise InvalidRequest(f"resource_permit.{name} is {shorten(value)}; what was asked for has {wanted}")
    token = permit.token
    if not token.isascii() or not token.isprintable() or " " in token or not _UNSAFE.isdisjoint(token):
        raise InvalidRequest(
            "resource_permit.token must be ASCII without spaces, '/' and ',': it travels in x-mprac-token-set"
        )


async def terminate(engine: Engine, kind: Kind, audit_id: str, *, source: str) -> None:
    """A partner ends what was granted, as the one who asked or the one who was asked."""

    def work(tx: Tx) -> None:
        sides: tuple[Direction, ...] = ("in", "out")
        found = [grant for side in sides if (grant := grant_store.find(tx, side, source, kind, audit_id)) is not None]
        if not found:
            raise NotFound(f"there is no {kind} request {shorten(audit_id)} between this node and {shorten(source)}")
        # Both sides may have used the same name: what can be ended is meant.
        grant = next((g for g in found if g.state is AgreementState.APPROVED), found[0])
        if grant.state is not AgreementState.TERMINATED:
            grants.fire(
                tx, grant, AgreementTrigger.TERMINATE, Cause(f"peer:{source}", grant.trace_id), say("partner_ended")
            )

    await engine.db.write(work)


async def state_of(engine: Engine, kind: Kind, audit_id: str, *, source: str) -> AgreementState:
    """How a partner's own request stands here."""
    grant = await engine.db.read(lambda reader: grant_store.find(reader, "in", source, kind, audit_id))
    if grant is None:
        raise NotFound(f"this node knows no {kind} request {shorten(audit_id)} of yours")
    return grant.state


async def agreed(engine: Engine, node_id: str, contract_id: str, kind: Kind) -> list[Grant]:
    """What was agreed with a partner, in both directions. `Forbidden` without an approved contract."""

    def look(reader: Reader) -> list[Grant]:
        contract_with(reader, node_id, contract_id)
        return grant_store.of_node(reader, node_id, kind, AgreementState.APPROVED)

    return await engine.db.read(look)
