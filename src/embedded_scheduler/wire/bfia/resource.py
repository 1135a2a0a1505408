"""Messages of the management layer about datasets, projects, components, flows, jobs and models (v1.2.0, §2 to §7)."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, StringConstraints

from embedded_scheduler.wire.bfia.message import Identifier, Message, OptionalText, upper

MOST_RECORDS = 1000
"""On one page, also when all are asked for: the count tells that there are more."""


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must hold printable characters alone")
    return value


def _object(value: object) -> object:
    """An object may come as its JSON text; empty = not given."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("must be an object or its JSON text") from None


def _number(value: object) -> object:
    return None if value == "" else value


ResourceId = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_printable)]
"""dataset_id and the like: every node has its own form."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_printable)]
LongText = Annotated[str, StringConstraints(max_length=2000), BeforeValidator(lambda v: "" if v is None else v)]
Decision = Annotated[Literal["APPROVED", "REJECTED"], BeforeValidator(upper)]
Milliseconds = Annotated[Annotated[int, Field(ge=0, lt=1 << 63)] | None, BeforeValidator(_number)]
Times = Annotated[Annotated[int, Field(ge=0, lt=1 << 31)] | None, BeforeValidator(_number)]
Document = Annotated[dict[str, Any], BeforeValidator(_object)]
OptionalDocument = Annotated[dict[str, Any] | None, BeforeValidator(_object)]
ContractId = Annotated[Identifier, Field(validation_alias=AliasChoices("contract_id", "contract_Id"))]
"""`contract_Id` is the spelling of §4.1."""


# -- asking what there is ---------------------------------------------------------------------------------------------


class Page(Message):
    """`page_size` -1 = all."""

    contract_id: ContractId
    page_num: int = Field(default=1, ge=1, le=1_000_000)
    page_size: int = Field(default=20, ge=-1, le=1_000_000)


class DatasetReference(Message):
    contract_id: ContractId
    dataset_id: ResourceId


class ProjectReference(Message):
    contract_id: ContractId
    project_id: ResourceId


class ComponentPage(Page):
    category: OptionalText = ""
    developer: OptionalText = ""


class ComponentReference(Message):
    contract_id: ContractId
    code: ResourceId
    version: ResourceId


class ColumnMeta(Message):
    name: str
    data_type: str = ""
    description: str = ""
    distribution: str = ""


class DatasetRecord(Message):
    """`owner` is an institution's id. Read from partners too, who may leave out what is not required."""

    dataset_id: ResourceId
    name: str = ""
    owner: str = ""
    category: str | None = None
    count: int | None = None
    description: str | None = None
    join_columns: list[Any] | None = None
    label_columns: list[Any] | None = None
    column_metas: list[ColumnMeta] | None = None


class DatasetRecords(Message):
    records: list[DatasetRecord]
    total: int = 0


class ProjectRecord(Message):
    project_id: str
    name: str
    type: str = ""
    description: str = ""


class ProjectRecords(Message):
    records: list[ProjectRecord]
    total: int


class ProjectDetail(ProjectRecord):
    nodes: list[str]
    datasets: dict[str, list[str]]


class ComponentRecord(Message):
    code: str
    version: str
    category: str = ""
    developer: str = ""


class ComponentRecords(Message):
    records: list[ComponentRecord]
    total: int


class ComponentDetail(ComponentRecord):
    name: str
    description: str = ""
    engine: str
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    status: str
    extension: dict[str, str]


# -- asking for it ----------------------------------------------------------------------------------------------------


class DatasetApply(Message):
    audit_id: Identifier
    contract_id: ContractId
    dataset_id: ResourceId
    auth_scope: Annotated[dict[str, list[str]] | None, BeforeValidator(_object)] = None
    time_limit: Milliseconds = None
    times_limit: Times = None


class ProjectApply(Message):
    audit_id: Identifier
    contract_id: ContractId
    project_id: ResourceId
    name: Text
    type: OptionalText = ""
    datasets: list[Any] | None = None


class FlowApply(Message):
    audit_id: Identifier
    flow_id: ResourceId
    name: Text
    dag: Document
    config: OptionalDocument = None
    description: LongText = ""
    project_id: OptionalText = ""


class JobApply(Message):
    """`conf`, where every other message says `config`; both are read."""

    audit_id: Identifier
    job_id: Identifier
    flow_id: OptionalText
    name: Text
    project_id: OptionalText
    dag: Document
    conf: Annotated[Document, Field(validation_alias=AliasChoices("conf", "config"))]


class ModelApply(Message):
    audit_id: Identifier
    model_id: ResourceId
    apply_project_id: ResourceId
    digest: OptionalText = ""
    task_id: OptionalText = ""


class ResourcePermit(Message):
    token: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(repr=False)
    resource_level: int = Field(ge=-(1 << 31), lt=1 << 31)
    resource_type: OptionalText = ""
    resource_id: OptionalText = ""
    resource_node_id: OptionalText = ""
    resource_inst_id: OptionalText = ""
    request_node_id: OptionalText = ""
    request_inst_id: OptionalText = ""
    time_limit: Milliseconds = None
    times_limit: Times = None


class Confirm(Message):
    """The tables say object for dataset, project and flow, string for job and model; both are read everywhere."""

    audit_id: Identifier
    status: Decision
    resource_permit: Annotated[ResourcePermit | None, BeforeValidator(_object)] = None


class AuditReference(Message):
    audit_id: Identifier


class AuditStatus(Message):
    status: str


class MessageReceipt(Message):
    """Our extension between nodes of this kind: a person looked at a request (`kind`, `audit_id`) or a job."""

    kind: OptionalText = ""
    audit_id: OptionalText = ""
    job_id: OptionalText = ""
    state: Annotated[Literal["OPENED"], BeforeValidator(upper)]


Apply = DatasetApply | ProjectApply | FlowApply | JobApply | ModelApply
