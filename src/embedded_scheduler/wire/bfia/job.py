"""Messages about a whole job (control layer §3.1 to §3.7, §3.10, §5), and how a job is written for each dialect."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.job import Document
from embedded_scheduler.domain.lifecycle import JobState, Outcome
from embedded_scheduler.wire.bfia.message import (
    Identifier,
    InstanceName,
    Message,
    Open,
    OptionalInstanceName,
    OptionalText,
    upper,
)
from embedded_scheduler.wire.bfia.task import task_word

_log = logging.getLogger(__name__)

Dialect = Literal["s0", "s1", "union"]
"""How components are named: s0 = componentName + provider (v1.0.0, v1.2.0), s1 = code + module_name (legacy)."""


class DataPort(Open):
    """`key` of an input is `<component>.<output key>`."""

    key: str
    type: str | None = None


class DagComponent(Open):
    """§6.7 in both dialects; which names are enough is the domain's rule."""

    name: str
    componentName: str | None = None
    provider: str | None = None
    code: str | None = None
    module_name: str | None = None
    version: str | None = None
    input: list[DataPort] | None = None
    output: list[DataPort] | None = None


class Dag(Open):
    """§6.7"""

    version: str | None = None
    components: list[DagComponent]


class Initiator(Open):
    role: str | None = None
    node_id: str | None = None
    nodeId: str | None = None
    """The integration guide's template spells it so."""


class Config(Open):
    """§6.6. Parameters are per role: `{"common": {…}, "guest": {"0": {…}}, …}`."""

    version: str | None = None
    initiator: Initiator
    role: dict[str, list[str] | None]
    job_params: dict[str, dict[str, Any] | None] | None = None
    task_params: dict[str, dict[str, Any] | None] | None = None


class SubmitJob(Message):
    """§5.1, from the own platform: the node makes the job id. `old_job_id` is accepted and ignored."""

    flow_id: OptionalText = ""
    dag: Dag
    config: Config


class CreateJob(SubmitJob):
    """§3.1, §3.2"""

    job_id: Identifier


class JobReference(Message):
    """§3.3, §3.7, §5.2, §5.3"""

    job_id: Identifier


class StopJob(JobReference):
    """§3.5, §3.6: without `task_name` the whole job, else that task and all that follow it."""

    task_name: OptionalInstanceName = ""


class StopJobFrom(JobReference):
    """§5.7"""

    task_name: InstanceName


class AuditConfirm(JobReference):
    """§3.10. APPROVED is the management layer's word for READY."""

    status: Annotated[Literal["READY", "REJECTED", "APPROVED"], BeforeValidator(upper)]

    @property
    def approved(self) -> bool:
        return self.status != "REJECTED"


class JobListQuery(Message):
    """§5.6: without `flow_id` every job of the node."""

    flow_id: OptionalText = ""


class Created(Message):
    """`data` of `job/create`: PENDING while this node's operator has not decided, else READY."""

    status: str


class CreatedAll(Message):
    """`data` of `create_all`: the collective result."""

    job_id: str
    status: str
    nodes: dict[str, str] = Field(default_factory=dict)
    """Answer of each node, as far as it came in time."""


class JobProgress(Message):
    """`data` of `status_all`: `status` maps task id to state. `outcome` and `reason` are our addition."""

    job_status: str = ""
    status: dict[str, str]
    outcome: str | None = None
    reason: str = ""
    task_names: dict[str, str] | None = None
    """Task id to component name; on the platform API alone."""


class JobList(Message):
    job_list: dict[str, str]


def raw_document(members: Mapping[str, Any]) -> Document:
    """`{flow_id, dag, config}` of a create as sent, for `domain.job.parse_job`."""
    return {name: members.get(name) for name in ("flow_id", "dag", "config")}


@dataclass(frozen=True, slots=True)
class JobStyle:
    """How a partner needs `dag` and `config` written."""

    dialect: Dialect = "union"
    party_entries: bool = False
    """A party takes part in a task only if `task_params.<role>.<index>` has a member for it, be it `{}`."""
    dataset_reference: Literal["as_is", "all"] = "as_is"
    """all = a dataset is named by `dataset_id` and by `namespace` + `name`, each derived from the other."""
    scalar_parameters: bool = False
    """Lists are sent as JSON text and nulls left out: its components never start with them."""
    old_job_id: bool = False
    """`old_job_id` must be there, empty."""


_COMPONENT_KEYS: Mapping[Dialect, frozenset[str]] = {
    "s0": frozenset({"code", "module_name"}),
    "s1": frozenset({"componentName", "provider"}),
    "union": frozenset(),
}
"""Members of the other dialect, which are left out."""


def render_job(job_id: str, document: Mapping[str, Any], style: JobStyle) -> Document:
    """Body of `job/create` and `job/create_all` from a canonical document (`JobSpec.document`); the document itself is
    not changed. `flow_id` is never null, every optional member is there."""
    dropped = _COMPONENT_KEYS[style.dialect]
    dag = document["dag"]
    components = [{key: value for key, value in item.items() if key not in dropped} for item in dag["components"]]
    config = dict(document["config"])
    config["task_params"] = _task_params(config, [item["name"] for item in components], style)
    body: Document = {
        "job_id": job_id,
        "flow_id": document.get("flow_id") or "",
        "dag": {**dag, "components": components},
        "config": config,
    }
    if style.old_job_id:
        body["old_job_id"] = ""
    return body


def _task_params(config: Mapping[str, Any], names: Iterable[str], style: JobStyle) -> Document:
    params: Document = {}
    for role, given in config["task_params"].items():
        if role == "common":
            params[role] = {name: _parameters(value, style) for name, value in given.items()}
        else:
            params[role] = {
                index: {name: _private(value, style) for name, value in own.items()} for index, own in given.items()
            }
    if style.party_entries:
        _add_party_entries(params, config["role"], names)
    return params


def _private(value: Any, style: JobStyle) -> Any:
    rendered = _parameters(value, style)
    if style.dataset_reference == "all" and isinstance(rendered, dict):
        return with_dataset_names(rendered)
    return rendered


def _parameters(value: Any, style: JobStyle) -> Any:
    if not style.scalar_parameters or not isinstance(value, Mapping):
        return value
    return {
        name: json.dumps(item, ensure_ascii=False) if isinstance(item, list) else item
        for name, item in value.items()
        if item is not None
    }


def with_dataset_names(parameters: Mapping[str, Any]) -> Document:
    """Parameters that name a dataset one way, naming it both ways (`dataset_id` = `<namespace>#<name>`)."""
    dataset_id, namespace, name = (parameters.get(key) for key in ("dataset_id", "namespace", "name"))
    completed = dict(parameters)
    if isinstance(dataset_id, str) and "#" in dataset_id and namespace is None and name is None:
        completed["namespace"], completed["name"] = dataset_id.split("#", 1)
    elif dataset_id is None and isinstance(namespace, str) and isinstance(name, str):
        completed["dataset_id"] = f"{namespace}#{name}"
    return completed


def _add_party_entries(params: Document, roles: Mapping[str, list[str]], names: Iterable[str]) -> None:
    parties = [(role, str(index)) for role, nodes in roles.items() for index in range(len(nodes))]
    for name in names:
        # A component that no party names belongs to all of them (JobSpec.parties_of): say so in so many words.
        if not any(name in params.get(role, {}).get(index, {}) for role, index in parties):
            for role, index in parties:
                params.setdefault(role, {}).setdefault(index, {})[name] = {}


_JOB_WORDS = {state.value: (state.value, None) for state in JobState} | {
    # Task words that FATE-Flow and Kuscia use for jobs.
    "SUCCESS": (JobState.FINISHED.value, Outcome.SUCCEEDED.value),
    "FAILED": (JobState.FINISHED.value, Outcome.FAILED.value),
}


def read_progress(data: Mapping[str, Any], *, told_by: str) -> Document:
    """A partner's `status_all` as `{job_status, outcome, reason, status}`.

    `job_status` is one of the five words, or empty when the partner said none; `outcome` is None unless said (also by a
    task word in place of a job word); `status` maps task ids, or names at some partners, to task words.
    """
    word = data.get("job_status")
    state, outcome = _job_word(word, told_by) if isinstance(word, str) and word else ("", None)
    said = data.get("outcome")
    if state == JobState.FINISHED and isinstance(said, str) and said in {item.value for item in Outcome}:
        outcome = said
    reason = data.get("reason")
    tasks = data.get("status")
    return {
        "job_status": state,
        "outcome": outcome,
        "reason": reason[:500] if isinstance(reason, str) else "",
        "status": {key: task_word(value, told_by=told_by) for key, value in tasks.items()}
        if isinstance(tasks, Mapping)
        else {},
    }


def _job_word(word: str, told_by: str) -> tuple[str, str | None]:
    known = _JOB_WORDS.get(word.strip().upper())
    if known is None:
        _log.warning("partner %s says a job is %s, which is no job status; ignored", told_by, shorten(word))
        return "", None
    return known
