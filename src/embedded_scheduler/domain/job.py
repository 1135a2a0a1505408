"""A job's specification: flow, parties and parameters, with the canonical document it is stored as."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.domain.flow import ComponentRef, Flow, FlowNode, Port
from embedded_scheduler.domain.identifiers import check_component_name, check_id, shorten
from embedded_scheduler.domain.party import Party
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say

Document = dict[str, Any]
"""Plain JSON data."""

SYNC_POLL = "poll"
SYNC_CALLBACK = "callback"

SESSION_PREFIX = "session_"
"""With an id behind it, it names a channel session (`domain.session`)."""
MOST_PARTIES = 128
MOST_SHARES = 10_000
"""Parts of tasks, over all parties: each is a row, a state and, where it runs, a process."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What is to be computed by whom. Immutable; equal specifications have equal `digest`."""

    job_id: str
    flow_id: str
    flow: Flow
    initiator: str
    parties: tuple[Party, ...]
    document: Document
    """Canonical JSON `{flow_id, dag, config}` in the union of both dialects; every optional member present."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node that holds a role, each once, in role order."""
        return tuple(dict.fromkeys(party.node_id for party in self.parties))

    @property
    def sync_type(self) -> str:
        return str(self.common_job_params.get("sync_type") or SYNC_POLL)

    @property
    def common_job_params(self) -> Mapping[str, Any]:
        common: Mapping[str, Any] = self.document["config"]["job_params"]["common"]
        return common

    @property
    def coordinator_hint(self) -> str:
        """Our extension `job_params.common.coordinator`: the node that is to drive the job; empty = not said."""
        return str(self.common_job_params.get("coordinator") or "")

    @property
    def session_hint(self) -> str:
        """Our extension `job_params.common.session_style`: how channel sessions are named; empty = not said."""
        return str(self.common_job_params.get("session_style") or "")

    def is_same_computation(self, other: JobSpec) -> bool:
        """Whether `other` is this job as another node writes it: same parties, components and edges.

        Parameters, and what a dialect has no words for (`provider`, `code`), may differ.
        """
        return (
            self.parties == other.parties
            and self.initiator == other.initiator
            and len(self.flow.nodes) == len(other.flow.nodes)
            and all(map(_is_same_node, self.flow.nodes, other.flow.nodes))
        )

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the canonical `dag` and `config`: tells a repeated create from a conflicting one."""
        body = {"dag": self.document["dag"], "config": self.document["config"]}
        return hashlib.sha256(canonical_json(body)).hexdigest()

    def parties_of(self, task_name: str) -> tuple[Party, ...]:
        """Who takes part in a task.

        A party takes part if `task_params.<role>.<index>` has a member named after the component; if no party's has,
        all take part (the specification does not say; running implementations differ, see docs/conformance.md).
        """
        named = tuple(p for p in self.parties if task_name in self._own_task_params(p))
        return named or self.parties

    def parameters(self, task_name: str, party: Party) -> Document:
        """Effective parameters of one party: `task_params.common` with the party's own on top."""
        common = self.document["config"]["task_params"]["common"].get(task_name)
        own = self._own_task_params(party).get(task_name)
        merged: Document = {}
        for part in (common, own):
            if isinstance(part, Mapping):
                merged.update(part)
        return merged

    def resources(self, party: Party) -> Document:
        """`job_params.<role>.<index>.resources` (cpu cores, memory GiB, disk GiB; -1 = no limit), or `{}`."""
        params = self.document["config"]["job_params"].get(party.role, {}).get(str(party.index), {})
        found = params.get("resources") if isinstance(params, Mapping) else None
        return dict(found) if isinstance(found, Mapping) else {}

    def runner_hint(self, task_name: str, party: Party) -> str:
        """Our extension `job_params.<role>.<index>.runner`: a runner's name for all of the party's parts, or an object
        from task name to runner; empty = not said. It is for the party's own node if that submitted the job."""
        params = self.document["config"]["job_params"].get(party.role, {}).get(str(party.index), {})
        found = params.get("runner") if isinstance(params, Mapping) else None
        if isinstance(found, Mapping):
            found = found.get(task_name)
        return found if isinstance(found, str) else ""

    def _own_task_params(self, party: Party) -> Mapping[str, Any]:
        found = self.document["config"]["task_params"].get(party.role, {}).get(str(party.index), {})
        return found if isinstance(found, Mapping) else {}


def _is_same_node(one: FlowNode, other: FlowNode) -> bool:
    mine, theirs = one.component, other.component
    return (
        one.name == other.name
        and mine.name == theirs.name
        and (mine.provider == theirs.provider or "" in (mine.provider, theirs.provider))
        and [port.key for port in one.inputs] == [port.key for port in other.inputs]
        and [port.key for port in one.outputs] == [port.key for port in other.outputs]
    )


def canonical_json(value: object) -> bytes:
    """The one byte form of JSON data that is hashed: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode(
        "utf-8", "surrogatepass"
    )


def _mapping(what: str, value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidRequest(say("must_be_object", what=what))
    return value


def _list(what: str, value: object) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise InvalidRequest(say("must_be_list", what=what))
    return list(value)


def _text(what: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidRequest(say("must_be_string", what=what))
    return str(value)


def parse_job(job_id: str, document: Mapping[str, Any]) -> JobSpec:
    """Check a `{flow_id, dag, config}` document in either dialect and build its specification.

    Optional members may be missing or null; `InvalidRequest` or `InvalidFlow` names the first fault. The stored
    document carries both dialects' component keys, so it can be sent to any partner.
    """
    check_id("job_id", job_id)
    if job_id.startswith(SESSION_PREFIX):
        # A channel session may be named by the job id alone, and must not be that of another job.
        raise InvalidRequest(say("job_id_reserved", prefix=SESSION_PREFIX, job=shorten(job_id)))
    flow_id = _text("flow_id", document.get("flow_id"))
    dag = _mapping("dag", document.get("dag"))
    config = _mapping("config", document.get("config"))
    flow = _parse_flow(dag)
    initiator = _mapping("config.initiator", config.get("initiator"))
    initiator_node = initiator.get("node_id") or initiator.get("nodeId")
    role_map = {
        role: [check_id(f"config.role.{role}", node) for node in _list(f"config.role.{role}", nodes)]
        for role, nodes in _roles(config).items()
    }
    parties = tuple(
        Party(role=role, index=index, node_id=node)
        for role, nodes in role_map.items()
        for index, node in enumerate(nodes)
    )
    if not parties:
        raise InvalidRequest(say("no_parties"))
    if len(parties) > MOST_PARTIES:
        raise InvalidRequest(say("too_many_parties", count=len(parties), most=MOST_PARTIES))
    canonical_config: Document = {
        "version": _text("config.version", config.get("version")) or "2.0.0",
        "initiator": {
            "role": _text("config.initiator.role", initiator.get("role")) or "guest",
            "node_id": check_id("config.initiator.node_id", initiator_node),
        },
        "role": role_map,
        "job_params": _params("config.job_params", config.get("job_params"), role_map),
        "task_params": _params("config.task_params", config.get("task_params"), role_map),
    }
    canonical: Document = {"flow_id": flow_id, "dag": _flow_document(flow), "config": canonical_config}
    spec = JobSpec(
        job_id=job_id,
        flow_id=flow_id,
        flow=flow,
        initiator=canonical_config["initiator"]["node_id"],
        parties=parties,
        document=canonical,
    )
    shares = sum(len(spec.parties_of(name)) for name in flow.order)
    if shares > MOST_SHARES:
        raise InvalidRequest(say("too_many_shares", count=shares, most=MOST_SHARES))
    return spec


def _shown(key: object) -> str:
    text = str(key)
    return text if text.isprintable() and len(text) <= 60 else shorten(text)


def _roles(config: Mapping[str, Any]) -> dict[str, Any]:
    roles = _mapping("config.role", config.get("role"))
    ordered: dict[str, Any] = {"guest": None, "host": None, "arbiter": None}
    for role, nodes in roles.items():
        name = check_component_name(role).lower()
        if "-" in name:
            # `<job id>-<role>-<index>` is where results are: with a hyphen in it one job's could be another's.
            raise InvalidRequest(say("role_with_hyphen", role=shorten(role)))
        ordered[name] = nodes
    return ordered


def _params(what: str, value: object, role_map: Mapping[str, list[str]]) -> Document:
    given = _mapping(what, value)
    result: Document = {"common": dict(_mapping(f"{what}.common", given.get("common")))}
    for role in role_map:
        per_index = _mapping(f"{what}.{role}", given.get(role))
        result[role] = {
            str(index): dict(_mapping(f"{what}.{role}.{_shown(index)}", own)) for index, own in per_index.items()
        }
    return result


def _parse_flow(dag: Mapping[str, Any]) -> Flow:
    nodes = []
    for position, raw in enumerate(_list("dag.components", dag.get("components"))):
        item = _mapping(f"dag.components[{position}]", raw)
        name = check_component_name(item.get("name"))
        nodes.append(
            FlowNode(
                name=name,
                component=_component_ref(name, item),
                inputs=_ports(f"input of {name}", item.get("input")),
                outputs=_ports(f"output of {name}", item.get("output")),
            )
        )
    return Flow(version=_text("dag.version", dag.get("version")) or "2.0", nodes=tuple(nodes))


def _component_ref(name: str, item: Mapping[str, Any]) -> ComponentRef:
    class_name = _text(f"componentName of {name}", item.get("componentName") or item.get("module_name"))
    code = _text(f"code of {name}", item.get("code"))
    provider = _text(f"provider of {name}", item.get("provider"))
    if not class_name and not code:
        raise InvalidRequest(say("component_unnamed", name=name))
    class_name = class_name or code
    return ComponentRef(
        provider=provider,
        name=class_name,
        version=_text(f"version of {name}", item.get("version")),
        code=code or default_code(provider, class_name),
    )


def default_code(provider: str, class_name: str) -> str:
    """The legacy `code` for a component that was only named by provider and class: a legal image name."""
    return "-".join(part for part in (provider, class_name) if part).lower().replace("_", "-")


def _ports(what: str, value: object) -> tuple[Port, ...]:
    ports = []
    for raw in _list(what, value):
        item = _mapping(what, raw)
        key = _text(what, item.get("key"))
        if not key or len(key) > 257 or not key.isprintable() or "/" in key:
            raise InvalidRequest(say("bad_key", what=what))
        ports.append(Port(key=key, type=_text(what, item.get("type"))))
    return tuple(ports)


def _flow_document(flow: Flow) -> Document:
    return {
        "version": flow.version,
        "components": [
            {
                "name": node.name,
                "componentName": node.component.name,
                "provider": node.component.provider,
                "version": node.component.version,
                "code": node.component.code,
                "module_name": node.component.name,
                "input": [{"key": port.key, "type": port.type} for port in node.inputs],
                "output": [{"key": port.key, "type": port.type} for port in node.outputs],
            }
            for node in flow.nodes
        ],
    }
