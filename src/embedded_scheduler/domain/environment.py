"""What a component is told: the environment variables of the component layer, and the addresses of its data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from embedded_scheduler.domain.component import BoolStyle, ComponentManifest, DataPort
from embedded_scheduler.domain.flow import Port
from embedded_scheduler.domain.identifiers import shorten, task_id_for
from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.domain.party import Party
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say

DEFAULT_NAMESPACE = "datasets"
"""Where a dataset lives that was registered, or is named by a job, without a namespace."""

_INPUT = "runtime.component.input."
_OUTPUT = "runtime.component.output."

DATASET_PORT = "data"
"""Formal name of a source task's input when the component declares none."""


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """What is particular to one attempt: its channel session, its secret, and the trace of its job."""

    session_id: str
    token: str = field(repr=False)
    trace_id: str


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Where a component finds its node. `inst_ids`: institution per node id; a missing one is the node id itself."""

    storage_url: str
    callback_url: str
    transport: str
    """`host:port` of the component channel."""
    log_path: str
    inst_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Address:
    """Where one table or blob is stored."""

    namespace: str
    name: str

    @property
    def dataset_id(self) -> str:
        return f"{self.namespace}#{self.name}"


@dataclass(frozen=True, slots=True)
class OutputAddress:
    """Where a task's output is stored; `formal` is what the component calls it, `port` what the flow does."""

    port: Port
    formal: str
    address: Address


def dataset_address(parameters: Mapping[str, Any]) -> Address | None:
    """The dataset that parameters refer to, in any of the forms in use, or None.

    `dataset_id` (`<namespace>#<name>`, or a bare name in `DEFAULT_NAMESPACE`) goes before `namespace` + `name`.
    """
    dataset_id = parameters.get("dataset_id")
    if isinstance(dataset_id, str) and dataset_id:
        before, separator, after = dataset_id.partition("#")
        return Address(before or DEFAULT_NAMESPACE, after) if separator else Address(DEFAULT_NAMESPACE, dataset_id)
    name, namespace = parameters.get("name"), parameters.get("namespace")
    if isinstance(name, str) and name and isinstance(namespace, str) and namespace:
        return Address(namespace, name)
    return None


def source_dataset(spec: JobSpec, task_name: str, party: Party) -> Address | None:
    """The dataset a source task (one without inputs) of this party reads, or None."""
    if spec.flow.node(task_name).inputs:
        return None
    return dataset_address(spec.parameters(task_name, party))


def result_namespace(job_id: str, party: Party) -> str:
    """Namespace of everything one party's tasks of a job store: `<job id>-<role>-<index>`."""
    return f"{job_id}-{party.role}-{party.index}"


def output_addresses(
    spec: JobSpec, task_name: str, party: Party, task_id: str, manifest: ComponentManifest | None = None
) -> list[OutputAddress]:
    """Where a party's share of a task stores what the flow declares, in the flow's order."""
    outputs = spec.flow.node(task_name).outputs
    formals = formal_names(outputs, manifest.outputs if manifest else ())
    namespace = result_namespace(spec.job_id, party)
    return [
        OutputAddress(port, formal, Address(namespace, f"{task_id}-{port.key}"))
        for port, formal in zip(outputs, formals, strict=True)
    ]


def formal_names(ports: Sequence[Port], declared: Sequence[DataPort]) -> list[str]:
    """What the component calls each port of the flow: by position, then by type, then the flow's own key.

    A position whose type contradicts goes to the port of that type if there is one: that is how an optional port
    can be left out in the middle. Names are unique.
    """
    names: dict[int, str] = {}
    free = dict(enumerate(declared))
    for index, port in enumerate(ports):
        if index in free and free[index].category == port.type:
            names[index] = free.pop(index).name
    for index, port in enumerate(ports):
        if index not in names:
            match = next((at for at, formal in free.items() if formal.category == port.type), None)
            if match is not None:
                names[index] = free.pop(match).name
    taken = set(names.values())
    for index, port in enumerate(ports):
        if index not in names:
            own_key = port.output or port.key
            name = free.pop(index).name if index in free else own_key if own_key not in taken else port.key
            names[index] = name
            taken.add(name)
    return [names[index] for index in range(len(ports))]


def build_environment(
    *,
    spec: JobSpec,
    task_name: str,
    party: Party,
    manifest: ComponentManifest | None,
    task_ids: Mapping[str, str],
    attempt: AttemptFacts,
    node: NodeFacts,
) -> dict[str, str]:
    """The complete environment of one attempt (component layer, "environment variables").

    `task_ids` maps task names to the ids in use; a name that is missing has the derived id. `InvalidRequest` when a
    value cannot be passed (a NUL character) or a parameter's name cannot be a variable's.
    """
    task_id = _task_id(spec, task_name, task_ids)
    environment = {
        "system.storage": node.storage_url,
        "system.callback": node.callback_url,
        "system.transport": node.transport,
        "config.self_role": party.key,
        "config.task_id": task_id,
        "config.session_id": attempt.session_id,
        "config.trace_id": attempt.trace_id,
        "config.token": attempt.token,
        "config.log.path": node.log_path,
        "runtime.component.name": spec.flow.node(task_name).component.name,
    }
    for each in spec.parties:
        environment[f"config.node_id.{each.key}"] = each.node_id
        environment[f"config.inst_id.{each.key}"] = node.inst_ids.get(each.node_id) or each.node_id
    environment.update(_threads(spec.resources(party).get("cpu")))
    bool_style = manifest.bool_style if manifest else BoolStyle.LOWER
    environment.update(_parameters(spec, task_name, party, bool_style))
    environment.update(_inputs(spec, task_name, party, manifest, task_ids))
    for output in output_addresses(spec, task_name, party, task_id, manifest):
        environment[f"{_OUTPUT}{output.formal}"] = _address_text(output.address)
    _check(environment)
    return environment


def data_addresses(environment: Mapping[str, str]) -> tuple[list[Address], list[Address]]:
    """What an attempt with this environment reads, and where it writes."""
    found: dict[str, list[Address]] = {_INPUT: [], _OUTPUT: []}
    for name, value in environment.items():
        for prefix, addresses in found.items():
            if name.startswith(prefix):
                members = json.loads(value)
                addresses.append(Address(members["namespace"], members["name"]))
    return found[_INPUT], found[_OUTPUT]


def encode_value(value: object, bool_style: BoolStyle = BoolStyle.LOWER) -> str:
    """A parameter as text: strings as they are, numbers by `str`, booleans by style, objects and lists as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return bool_style.value if value else ("false" if bool_style is BoolStyle.LOWER else "False")
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _task_id(spec: JobSpec, task_name: str, task_ids: Mapping[str, str]) -> str:
    return task_ids.get(task_name) or task_id_for(spec.job_id, task_name)


def _threads(cpu: object) -> dict[str, str]:
    if isinstance(cpu, bool) or not isinstance(cpu, int | float) or cpu <= 0:
        return {}
    return {"config.n_threads": str(max(1, int(cpu)))}


def _parameters(spec: JobSpec, task_name: str, party: Party, bool_style: BoolStyle) -> dict[str, str]:
    parameters: dict[str, Any] = spec.parameters(task_name, party)
    dataset = source_dataset(spec, task_name, party)
    if dataset is not None:
        # Running components differ in which form they read, so they get all of them.
        parameters = {
            **parameters,
            "namespace": dataset.namespace,
            "name": dataset.name,
            "dataset_id": dataset.dataset_id,
        }
    elif spec.flow.node(task_name).inputs and dataset_address(parameters) is not None:
        # Only what a task without inputs reads was looked at and approved. A component falls back on these names.
        parameters = {name: value for name, value in parameters.items() if name not in ("dataset_id", "namespace")}
    # A null says "not given": an empty string would be a value.
    return {
        f"runtime.component.parameter.{name}": encode_value(value, bool_style)
        for name, value in parameters.items()
        if value is not None
    }


def _inputs(
    spec: JobSpec, task_name: str, party: Party, manifest: ComponentManifest | None, task_ids: Mapping[str, str]
) -> Iterable[tuple[str, str]]:
    ports = spec.flow.node(task_name).inputs
    declared = manifest.inputs if manifest else ()
    namespace = result_namespace(spec.job_id, party)
    for port, formal in zip(ports, formal_names(ports, declared), strict=True):
        producer = _task_id(spec, port.producer, task_ids)
        yield f"{_INPUT}{formal}", _address_text(Address(namespace, f"{producer}-{port.output}"))
    dataset = source_dataset(spec, task_name, party)
    if dataset is not None:
        formal = declared[0].name if declared else DATASET_PORT
        yield f"{_INPUT}{formal}", _address_text(dataset)


def _address_text(address: Address) -> str:
    return json.dumps({"namespace": address.namespace, "name": address.name}, ensure_ascii=False)


def _check(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        if "\0" in name or "=" in name:
            raise InvalidRequest(say("parameter_with_equals", name=shorten(name)))
        if "\0" in value:
            raise InvalidRequest(say("parameter_with_nul", name=shorten(name)))
        try:
            value.encode("utf-8")
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidRequest(say("parameter_no_text", name=shorten(name))) from None
