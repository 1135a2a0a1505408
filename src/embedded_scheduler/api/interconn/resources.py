"""What partners may see and ask for: `/v1/interconn/dataset/…`, `project`, `component`, `flow`, `job`, `model`.

Everything is for partners with an approved contract alone; a partner without one learns nothing of what there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from quart import Quart

from embedded_scheduler.api.authentication import PartnerAuthenticator, Partners
from embedded_scheduler.api.family import Call, Family, Gate, InboxAnswers
from embedded_scheduler.api.verbs import Host
from embedded_scheduler.domain.component import parse_manifest
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.engine import compatibility, components, publications, receipts, requests
from embedded_scheduler.engine.agreements import contract_with
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.grants import Request
from embedded_scheduler.engine.publications import Shown
from embedded_scheduler.engine.requests import ReceivedPermit
from embedded_scheduler.errors import NotFound
from embedded_scheduler.spi.connector import Column
from embedded_scheduler.store import components as component_store
from embedded_scheduler.store.components import Component
from embedded_scheduler.store.database import Database, Reader
from embedded_scheduler.store.grants import Grant, Kind
from embedded_scheduler.wire.bfia.resource import (
    MOST_RECORDS,
    Apply,
    AuditReference,
    AuditStatus,
    ColumnMeta,
    ComponentDetail,
    ComponentPage,
    ComponentRecord,
    ComponentRecords,
    ComponentReference,
    Confirm,
    DatasetApply,
    DatasetRecord,
    DatasetRecords,
    DatasetReference,
    FlowApply,
    JobApply,
    MessageReceipt,
    ModelApply,
    Page,
    ProjectApply,
    ProjectDetail,
    ProjectRecord,
    ProjectRecords,
    ProjectReference,
    ResourcePermit,
)
from embedded_scheduler.wire.bfia.signature import Signer

PREFIX = "/v1/interconn"
NO_VERBS = None
"""The handlers call the engine's modules themselves."""

family: Family[None] = Family("resources", PREFIX, base=PREFIX)

T = TypeVar("T")
A = TypeVar("A", DatasetApply, ProjectApply, FlowApply, JobApply, ModelApply)


def _page(items: Sequence[T], page: Page) -> Sequence[T]:
    size = MOST_RECORDS if page.page_size < 1 else min(page.page_size, MOST_RECORDS)
    start = (page.page_num - 1) * size
    return items[start : start + size]


# -- datasets ---------------------------------------------------------------------------------------------------------


@family.endpoint(
    "GET", "/dataset/pub/list", Page, section="management §2.1", answer=DatasetRecords, reads=True, stored=False
)
async def dataset_list(call: Call[None, Page]) -> DatasetRecords:
    """The datasets that this partner may see."""
    shown = await publications.visible(call.engine, call.caller.source, call.body.contract_id)
    records = [_dataset(call.engine, one) for one in _page(shown, call.body)]
    return DatasetRecords(records=records, total=len(shown))


@family.endpoint(
    "GET", "/dataset/pub/query", DatasetReference, section="management §2.2", answer=DatasetRecord, reads=True
)
async def dataset_query(call: Call[None, DatasetReference]) -> DatasetRecord:
    """One dataset that this partner may see, with its columns."""
    body = call.body
    shown = await publications.visible_one(call.engine, call.caller.source, body.contract_id, body.dataset_id)
    return _dataset(call.engine, shown)


def _dataset(engine: Engine, shown: Shown) -> DatasetRecord:
    return DatasetRecord(
        dataset_id=shown.publication.dataset_id,
        name=shown.publication.name,
        owner=engine.settings.inst_id or engine.node_id,
        category=shown.publication.category,
        count=shown.dataset.rows if shown.dataset is not None else 0,
        description=shown.description,
        join_columns=[],
        label_columns=[],
        column_metas=[_column(column) for column in shown.columns],
    )


def _column(column: Column) -> ColumnMeta:
    distribution = "CONTINUOUS" if column.type == "float" else "DISCRETE"
    return ColumnMeta(name=column.name, data_type=column.type, description="", distribution=distribution)


# -- projects ---------------------------------------------------------------------------------------------------------


@family.endpoint("GET", "/project/list", Page, section="management §3.5", answer=ProjectRecords, reads=True)
async def project_list(call: Call[None, Page]) -> ProjectRecords:
    """The projects agreed with this partner, by whichever of the two proposed."""
    found = await requests.agreed(call.engine, call.caller.source, call.body.contract_id, "project")
    records = [ProjectRecord(**_project(grant)) for grant in _page(found, call.body)]
    return ProjectRecords(records=records, total=len(found))


@family.endpoint("GET", "/project/query", ProjectReference, section="management §3.6", answer=ProjectDetail, reads=True)
async def project_query(call: Call[None, ProjectReference]) -> ProjectDetail:
    """One project agreed with this partner."""
    source = call.caller.source
    found = await requests.agreed(call.engine, source, call.body.contract_id, "project")
    for grant in found:
        if grant.resource_id == call.body.project_id:
            nodes = [call.engine.node_id, source]
            named = grant.body.get("datasets")
            applicant = source if grant.direction == "in" else call.engine.node_id
            datasets = {applicant: [str(item) for item in named]} if isinstance(named, list) else {}
            return ProjectDetail(**_project(grant), nodes=nodes, datasets=datasets)
    raise NotFound(f"there is no project {shorten(call.body.project_id)} between this node and {source}")


def _project(grant: Grant) -> dict[str, str]:
    kind = str(grant.body.get("type") or "")
    return {"project_id": grant.resource_id, "name": grant.name, "type": kind, "description": ""}


# -- components -------------------------------------------------------------------------------------------------------


@family.endpoint(
    "GET", "/component/list", ComponentPage, section="management §4.1", answer=ComponentRecords, reads=True
)
async def component_list(call: Call[None, ComponentPage]) -> ComponentRecords:
    """The components registered here."""
    wanted = call.body
    rows = [
        row
        for row in await _components(call.engine, call.caller.source, wanted.contract_id)
        if wanted.developer in ("", row.provider) and wanted.category in ("", _category(row))
    ]
    records = [ComponentRecord(**_component(row)) for row in _page(rows, wanted)]
    return ComponentRecords(records=records, total=len(rows))


@family.endpoint(
    "GET", "/component/query", ComponentReference, section="management §4.2", answer=ComponentDetail, reads=True
)
async def component_query(call: Call[None, ComponentReference]) -> ComponentDetail:
    """One component registered here."""
    wanted = call.body
    for row in await _components(call.engine, call.caller.source, wanted.contract_id):
        if wanted.code in (row.code, row.name) and row.version == wanted.version:
            manifest = parse_manifest(row.manifest)
            runs = not components.refusal(row, call.engine.placement)
            return ComponentDetail(
                **_component(row),
                name=row.name,
                description=manifest.description,
                engine="BFIA",
                inputs=[{"name": port.name, "categories": [port.category]} for port in manifest.inputs],
                outputs=[{"name": port.name, "categories": [port.category]} for port in manifest.outputs],
                status="ENABLED" if runs else "DISABLED",
                extension={compatibility.DIGEST: row.digest},
            )
    raise NotFound(f"this node has no component {shorten(wanted.code)} of version {shorten(wanted.version)}")


async def _components(engine: Engine, source: str, contract_id: str) -> list[Component]:
    def look(reader: Reader) -> list[Component]:
        contract_with(reader, source, contract_id)
        return component_store.all(reader)

    return await engine.db.read(look)


def _component(row: Component) -> dict[str, str]:
    code = row.code or row.name
    return {"code": code, "version": row.version, "category": _category(row), "developer": row.provider}


def _category(row: Component) -> str:
    """Of the legacy self-description, when it has one."""
    return str(row.manifest.get("category") or "")


# -- the one machine of all requests ----------------------------------------------------------------------------------


@family.endpoint("POST", "/dataset/audit/apply", DatasetApply, section="management §2.3")
async def dataset_apply(call: Call[None, DatasetApply]) -> None:
    """Ask for a dataset; the decision comes with dataset/audit/confirm."""
    await _apply(call, "dataset", call.body.dataset_id, call.body.dataset_id, call.body.contract_id)


@family.endpoint("POST", "/project/audit/apply", ProjectApply, section="management §3.1")
async def project_apply(call: Call[None, ProjectApply]) -> None:
    """Propose a project."""
    await _apply(call, "project", call.body.project_id, call.body.name, call.body.contract_id)


@family.endpoint("POST", "/flow/audit/apply", FlowApply, section="management §5.1")
async def flow_apply(call: Call[None, FlowApply]) -> None:
    """Ask to agree to a flow."""
    await _apply(call, "flow", call.body.flow_id, call.body.name)


@family.endpoint("POST", "/job/audit/apply", JobApply, section="management §6.1")
async def job_apply(call: Call[None, JobApply]) -> None:
    """Ask to agree to a job before it is created; the decision counts when it is."""
    await _apply(call, "job", call.body.job_id, call.body.name)


@family.endpoint("POST", "/model/audit/apply", ModelApply, section="management §7.1")
async def model_apply(call: Call[None, ModelApply]) -> None:
    """Ask to use a model in a project."""
    await _apply(call, "model", call.body.model_id, call.body.model_id)


async def _apply(call: Call[None, A], kind: Kind, resource_id: str, name: str, contract_id: str = "") -> None:
    caller = call.caller
    request = as_request(kind, call.body, resource_id, name, contract_id)
    await requests.apply(call.engine, request, source=caller.source, trace_id=caller.trace_id)


def as_request(kind: Kind, body: Apply, resource_id: str, name: str, contract_id: str) -> Request:
    """The engine's request for a message; what the message does not list is not kept."""
    members = body.model_dump(exclude_none=True)
    return Request(kind, body.audit_id, resource_id, contract_id, name, members)


def _audits(kind: Kind, section: str, *, query: bool) -> None:
    """Confirm, terminate and query of one kind: they differ in nothing but their path."""

    async def confirm(call: Call[None, Confirm]) -> None:
        body = call.body
        permit = _permit(body.resource_permit) if body.resource_permit is not None else None
        await requests.confirm(
            call.engine,
            kind,
            body.audit_id,
            approved=body.status == "APPROVED",
            permit=permit,
            source=call.caller.source,
        )

    async def terminate(call: Call[None, AuditReference]) -> None:
        await requests.terminate(call.engine, kind, call.body.audit_id, source=call.caller.source)

    async def ask(call: Call[None, AuditReference]) -> AuditStatus:
        state = await requests.state_of(call.engine, kind, call.body.audit_id, source=call.caller.source)
        return AuditStatus(status=state.value)

    confirm.__doc__ = f"What was decided about a {kind} that this node asked for."
    terminate.__doc__ = f"End what was granted of a {kind}."
    ask.__doc__ = f"How the caller's request for a {kind} stands."
    path = f"/{kind}/audit"
    family.endpoint("POST", f"{path}/confirm", Confirm, section=section)(confirm)
    family.endpoint("POST", f"{path}/terminate", AuditReference, section=section)(terminate)
    if query:
        family.endpoint("GET", f"{path}/query", AuditReference, section=section, answer=AuditStatus, reads=True)(ask)


def _permit(sent: ResourcePermit) -> ReceivedPermit:
    return ReceivedPermit(
        token=sent.token,
        level=sent.resource_level,
        resource_type=sent.resource_type,
        resource_id=sent.resource_id,
        resource_node_id=sent.resource_node_id,
        resource_inst_id=sent.resource_inst_id,
        request_node_id=sent.request_node_id,
        request_inst_id=sent.request_inst_id,
        time_limit_ms=sent.time_limit,
        times_limit=sent.times_limit,
    )


@family.endpoint("POST", "/message/receipt", MessageReceipt, section="unspecified (ours)", stored=False)
async def message_receipt(call: Call[None, MessageReceipt]) -> None:
    """A person at the partner looked at what this node sent."""
    body, source = call.body, call.caller.source
    await receipts.told(call.engine, source, kind=body.kind, audit_id=body.audit_id, job_id=body.job_id)


_audits("dataset", "management §2", query=True)
_audits("project", "management §3", query=True)
_audits("flow", "management §5", query=True)
_audits("job", "management §6", query=False)
_audits("model", "management §7", query=True)


def register(
    app: Quart,
    engine: Host,
    *,
    partners: Partners,
    database: Database,
    signer: Signer | None = None,
    gate: Gate | None = None,
) -> None:
    """Serve the family in `app`; the parameters are those of the schedule family."""
    settings = engine.settings
    authenticator = PartnerAuthenticator(
        settings.node_id, partners, clock=engine.clock, signer=signer, mutual=settings.partner.tls == "mutual"
    )
    family.register(app, engine, verbs=NO_VERBS, authenticator=authenticator, answers=InboxAnswers(database), gate=gate)
