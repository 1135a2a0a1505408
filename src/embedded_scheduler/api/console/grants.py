"""`/grants`, `/publications`: what partners ask for, what this node asks for, and what partners may see."""

from __future__ import annotations

from typing import Any

from quart import Quart

from embedded_scheduler.api.console import endpoint
from embedded_scheduler.api.console.messages import message_row
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.domain.lifecycle import GRANT, AgreementState, AgreementTrigger
from embedded_scheduler.domain.roles import Role
from embedded_scheduler.engine import grants as verbs
from embedded_scheduler.engine import policies, publications, receipts
from embedded_scheduler.engine.grants import Detail, Terms
from embedded_scheduler.engine.publications import Shown
from embedded_scheduler.errors import InvalidRequest, Unavailable
from embedded_scheduler.sentences import say
from embedded_scheduler.store.grants import KINDS, LAST, Direction, Grant, Kind
from embedded_scheduler.wire.bfia.message import validate
from embedded_scheduler.wire.bfia.resource import (
    Apply,
    DatasetApply,
    DatasetRecord,
    DatasetRecords,
    FlowApply,
    JobApply,
    ModelApply,
    ProjectApply,
)
from embedded_scheduler.wire.console import ColumnRow, said
from embedded_scheduler.wire.console_grants import (
    GrantDecision,
    GrantDetail,
    GrantPage,
    GrantRequest,
    GrantRow,
    PartnerDatasetList,
    PartnerDatasetRow,
    PermitRow,
    PublicationList,
    PublicationRequest,
    PublicationRow,
    RevokeReply,
    RevokeRequest,
)

_LONGEST_PAGE = 500
_APPLY: dict[Kind, type[Apply]] = {
    "dataset": DatasetApply,
    "project": ProjectApply,
    "flow": FlowApply,
    "job": JobApply,
    "model": ModelApply,
}
_OWN_MEMBERS = frozenset({"audit_id", "contract_id", "contract_Id"})


def install(app: Quart, console: Console) -> None:
    grants = Grants(console)
    endpoint.route(app, "GET", "/grants", grants.page)
    endpoint.route(app, "POST", "/grants", grants.request)
    endpoint.route(app, "GET", "/grants/<grant_id>", grants.show)
    endpoint.route(app, "POST", "/grants/<grant_id>/approve", grants.approve, role=Role.APPROVER)
    endpoint.route(app, "POST", "/grants/<grant_id>/reject", grants.reject, role=Role.APPROVER)
    endpoint.route(app, "POST", "/grants/<grant_id>/revoke", grants.revoke, role=Role.APPROVER)
    endpoint.route(app, "POST", "/grants/<grant_id>/refresh", grants.refresh)
    published = Publications(console)
    endpoint.route(app, "GET", "/publications", published.all)
    endpoint.route(app, "PUT", "/publications/<namespace>/<name>", published.put)
    endpoint.route(app, "DELETE", "/publications/<namespace>/<name>", published.remove)
    endpoint.route(app, "GET", "/peers/<node_id>/datasets", published.of_partner)


class Grants:
    """The handlers. `grant_id` may be a beginning that fits one request only."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def page(self) -> GrantPage:
        found = await verbs.listing(
            self._engine,
            direction=_direction(endpoint.text_query("direction")),
            state=_state(endpoint.text_query("state")),
            before_ms=endpoint.number_query("before", LAST, low=0, high=LAST),
            limit=endpoint.number_query("limit", 200, low=1, high=_LONGEST_PAGE),
        )
        return GrantPage(grants=[self._shown(detail) for detail in found])

    async def request(self) -> GrantRow:
        asked = await endpoint.body_message(GrantRequest, self._console.depth)
        kind = _kind(asked.kind)
        members = _checked_members(kind, asked)
        grant = await verbs.request(
            self._engine, kind, asked.node_id, asked.resource_id, asked.name, members, actor=endpoint.operator()
        )
        return await self._row(grant.grant_id)

    async def show(self, grant_id: str) -> GrantDetail:
        detail = await verbs.show(self._engine, grant_id)
        grant = detail.grant
        ruling = await self._engine.db.read(lambda reader: policies.ruling_of(reader, grant.kind, grant.grant_id))
        policy = ruling.reasoning if ruling is not None else ()
        sent = await receipts.of_grant(self._engine, grant)
        await receipts.opened(self._engine, grant)
        return GrantDetail(
            grant=self._shown(detail),
            body=grant.body,
            policy=list(map(str, policy)),
            said=said(policy=policy),
            messages=[message_row(message) for message in sent],
        )

    async def approve(self, grant_id: str) -> GrantRow:
        return await self._decide(grant_id, approve=True)

    async def reject(self, grant_id: str) -> GrantRow:
        return await self._decide(grant_id, approve=False)

    async def _decide(self, grant_id: str, *, approve: bool) -> GrantRow:
        decision = await endpoint.body_message(GrantDecision, self._console.depth)
        found = (await verbs.show(self._engine, grant_id)).grant.grant_id
        terms = Terms(decision.level, decision.times, decision.until_ms)
        await verbs.decide(
            self._engine, found, approve=approve, reason=decision.reason, terms=terms, actor=endpoint.operator()
        )
        return await self._row(found)

    async def revoke(self, grant_id: str) -> RevokeReply:
        asked = await endpoint.body_message(RevokeRequest, self._console.depth)
        found = (await verbs.show(self._engine, grant_id)).grant.grant_id
        _, jobs = await verbs.revoke(
            self._engine, found, reason=asked.reason, stop_jobs=asked.stop_jobs, actor=endpoint.operator()
        )
        return RevokeReply(grant=await self._row(found), jobs=list(jobs))

    async def refresh(self, grant_id: str) -> GrantRow:
        found = (await verbs.show(self._engine, grant_id)).grant.grant_id
        await verbs.refresh(self._engine, found)
        return await self._row(found)

    async def _row(self, grant_id: str) -> GrantRow:
        return self._shown(await verbs.show(self._engine, grant_id))

    def _shown(self, detail: Detail) -> GrantRow:
        row = grant_row(detail)
        if row.direction == "in" and detail.grant.state is AgreementState.APPLIED:
            row.approvers_needed = verbs.approvers(self._engine, detail.grant)
        return row


class Publications:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def all(self) -> PublicationList:
        return PublicationList(publications=[_publication(shown) for shown in await publications.listing(self._engine)])

    async def put(self, namespace: str, name: str) -> PublicationRow:
        asked = await endpoint.body_message(PublicationRequest, self._console.depth)
        shown = await publications.publish(
            self._engine,
            namespace,
            name,
            access=asked.access,
            audience=asked.audience,
            columns=asked.columns,
            description=asked.description,
            category=asked.category,
            actor=endpoint.operator(),
        )
        return _publication(shown)

    async def remove(self, namespace: str, name: str) -> None:
        await publications.unpublish(self._engine, namespace, name, actor=endpoint.operator())

    async def of_partner(self, node_id: str) -> PartnerDatasetList:
        """Asked now; nothing of it is kept."""
        data = await publications.of_partner(self._engine, node_id)
        try:
            records = validate(DatasetRecords, data).records
        except InvalidRequest as error:
            raise Unavailable(say("publications_unreadable", node=node_id, error=error.message)) from None
        return PartnerDatasetList(datasets=[_partner_dataset(node_id, record) for record in records])


def grant_row(detail: Detail) -> GrantRow:
    grant, permit = detail.grant, detail.permit
    shown = None
    if permit is not None:
        shown = PermitRow(
            issued=permit.issued,
            level=permit.level,
            request_node_id=permit.request_node_id,
            resource_node_id=permit.resource_node_id,
            time_limit_ms=permit.time_limit_ms,
            times_limit=permit.times_limit,
            used=permit.used,
        )
    return GrantRow(
        grant_id=grant.grant_id,
        direction=grant.direction,
        node_id=grant.node_id,
        kind=grant.kind,
        resource_id=grant.resource_id,
        name=grant.name,
        audit_id=grant.audit_id,
        contract_id=grant.contract_id,
        state=grant.state.value,
        reason=grant.reason,
        decided_by=grant.decided_by,
        approvals=list(detail.approvals),
        created_ms=grant.created_ms,
        since_ms=grant.since_ms,
        permit=shown,
        open_jobs=list(detail.open_jobs),
        actions=_actions(grant),
    )


def _actions(grant: Grant) -> list[str]:
    if grant.state is AgreementState.APPLIED:
        return ["approve", "reject"] if grant.direction == "in" else ["refresh"]
    return ["revoke"] if GRANT.allows(grant.state, AgreementTrigger.TERMINATE) else []


def _checked_members(kind: Kind, asked: GrantRequest) -> dict[str, Any]:
    """The members that the request's message lists, checked like those of a partner's request."""
    trial = {**asked.members, "audit_id": "x", "contract_id": "x", f"{kind}_id": asked.resource_id}
    trial.setdefault("name", asked.name or asked.resource_id)
    message = validate(_APPLY[kind], trial)
    kept = message.model_dump(exclude_none=True, exclude_unset=True)
    return {name: value for name, value in kept.items() if name not in _OWN_MEMBERS}


def _kind(text: str) -> Kind:
    for kind in KINDS:
        if text == kind:
            return kind
    raise InvalidRequest(say("named_one_of", name="kind", known=", ".join(KINDS)))


def _direction(text: str) -> Direction | None:
    if text not in ("", "in", "out"):
        raise InvalidRequest(say("direction_in_out"))
    return None if not text else "in" if text == "in" else "out"


def _state(text: str) -> AgreementState | None:
    try:
        return AgreementState(text.upper()) if text else None
    except ValueError:
        raise InvalidRequest(say("named_one_of", name="state", known=", ".join(AgreementState))) from None


def _publication(shown: Shown) -> PublicationRow:
    row = shown.publication
    return PublicationRow(
        dataset_id=row.dataset_id,
        access=row.access,
        audience=list(row.audience),
        columns=[ColumnRow(name=column.name, type=column.type) for column in shown.columns],
        description=shown.description,
        category=row.category,
        registered=shown.dataset is not None,
        published_by=row.published_by,
        published_ms=row.published_ms,
    )


def _partner_dataset(node_id: str, record: DatasetRecord) -> PartnerDatasetRow:
    return PartnerDatasetRow(
        node_id=node_id,
        dataset_id=record.dataset_id,
        name=record.name,
        owner=record.owner,
        rows=record.count,
        description=record.description or "",
        columns=[ColumnRow(name=column.name, type=column.data_type) for column in record.column_metas or ()],
    )
