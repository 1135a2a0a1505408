"""A component's parties without a node: the environment exactly as the node makes it, a runner, storage, a channel.

Used by `nodeconsole component test` and by the conformance kit.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from algorithm_components.sdk.testing import LocalNode
from embedded_scheduler.domain.component import parse_manifest
from embedded_scheduler.domain.environment import (
    AttemptFacts,
    NodeFacts,
    build_environment,
    data_addresses,
    output_addresses,
    result_namespace,
)
from embedded_scheduler.domain.identifiers import task_id_for
from embedded_scheduler.domain.job import JobSpec, parse_job
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.table_metadata import BESIDE
from embedded_scheduler.spi.runner import LaunchSpec, Runner
from embedded_scheduler.storage.local import LocalStorage
from nodeconsole.kit.project import KitFault

JOB = "trial"
DATASETS = "datasets"

_GIVEN = "given"
"""Task that stands for whatever made the inputs, where a component has more than one."""

RunnerOf = Callable[[Path], Runner]
"""Makes a runner whose attempts lie in the given directory."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried: a component by its self-description and address, and what each party (`guest.0`) gives it."""

    manifest: Mapping[str, Any]
    image_url: str
    parties: tuple[str, ...]
    data: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    """Files by party and formal input."""
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By party."""


@dataclass(frozen=True, slots=True)
class Output:
    """A declared output and where it is to be. `formal` and `category` as declared."""

    formal: str
    category: str
    path: Path

    @property
    def written(self) -> bool:
        return self.path.is_file()


class Bench:
    """One directory with a storage per party. A plan that is run again uses the same addresses, as a repeated task.

    `InvalidRequest` or `InvalidFlow` if the manifest or the parameters make no job.
    """

    def __init__(self, directory: Path, plan: Plan, runner_of: RunnerOf) -> None:
        self.directory = directory.absolute()
        self.plan = plan
        self.manifest = parse_manifest(plan.manifest)
        self.task = f"{self.manifest.name}_0".replace(".", "_")
        self.spec = self._job()
        self._runs = self.directory / "runs"
        self._runs.mkdir(parents=True, exist_ok=True)
        self.runner = runner_of(self._runs)
        self._storages = {party.key: LocalStorage(self._root(party.key) / "storage") for party in self.spec.parties}
        self._attempts = 0

    def party(self, key: str) -> Party:
        return next(party for party in self.spec.parties if party.key == key)

    def _root(self, party: str) -> Path:
        return self.directory / party

    # The job

    def _job(self) -> JobSpec:
        nodes: dict[str, list[str]] = {}
        for key in self.plan.parties:
            role, _, index = key.partition(".")
            nodes.setdefault(role, []).append(role if index == "0" else f"{role}-{index}")
        own: dict[str, dict[str, Any]] = {}
        for key in self.plan.parties:
            role, _, index = key.partition(".")
            values = {**self.plan.parameters.get(key, {}), **self._dataset()}
            # Whoever is named takes part.
            given: dict[str, Any] = {_GIVEN: {}} if self._has_producer else {}
            own.setdefault(role, {})[index] = {self.task: values, **given}
        first = self.plan.parties[0].partition(".")[0]
        document = {
            "flow_id": JOB,
            "dag": {"components": self._components()},
            "config": {
                "initiator": {"role": first, "node_id": nodes[first][0]},
                "role": nodes,
                "task_params": {"common": {}, **own},
            },
        }
        return parse_job(JOB, document)

    @property
    def _inputs(self) -> list[str]:
        """Formal inputs that any party gives, in the order of the declaration."""
        given = {name for files in self.plan.data.values() for name in files}
        return [port.name for port in self.manifest.inputs if port.name in given]

    @property
    def _has_producer(self) -> bool:
        """A source task reads one dataset; more inputs have to come from another task."""
        return self._inputs not in ([], [port.name for port in self.manifest.inputs[:1]])

    def _dataset(self) -> dict[str, str]:
        return {} if self._has_producer or not self._inputs else {"dataset_id": f"{DATASETS}#{self._inputs[0]}"}

    def _components(self) -> list[dict[str, Any]]:
        declared = self.manifest
        identity = {"componentName": declared.name, "provider": declared.provider, "version": declared.version}
        outputs = [{"key": port.name, "type": port.category} for port in declared.outputs]
        own = {"name": self.task, **identity, "input": [], "output": outputs}
        if not self._has_producer:
            return [own]
        kinds = {port.name: port.category for port in declared.inputs}
        ports = [{"key": name, "type": kinds[name]} for name in self._inputs]
        read = [{**port, "key": f"{_GIVEN}.{port['key']}"} for port in ports]
        producer = {"name": _GIVEN, **identity, "input": [], "output": ports}
        return [producer, {**own, "input": read}]

    # Data

    def store_data(self) -> None:
        """Every party's files where its component will look for them. `KitFault` names a file that cannot be read."""
        for party in self.spec.parties:
            for name, file in self.plan.data.get(party.key, {}).items():
                target = self._input_path(party, name)
                target.parent.mkdir(mode=0o700, exist_ok=True)
                target.unlink(missing_ok=True)
                try:
                    shutil.copyfile(file, target)
                except OSError as error:
                    raise KitFault(f"{file}: {error.strerror or error}") from None

    def remove_data(self, party: str) -> None:
        """As if the party's inputs had been lost."""
        for name in self.plan.data.get(party, {}):
            self._input_path(self.party(party), name).unlink(missing_ok=True)

    def _input_path(self, party: Party, name: str) -> Path:
        if not self._has_producer:
            return self._storages[party.key].path(DATASETS, name)
        producer = task_id_for(self.spec.job_id, _GIVEN)
        return self._storages[party.key].path(result_namespace(self.spec.job_id, party), f"{producer}-{name}")

    def outputs(self, party: str) -> list[Output]:
        """What the component was told to store, in the order of the declaration."""
        holder = self.party(party)
        addresses = output_addresses(self.spec, self.task, holder, self._task_id, self.manifest)
        storage = self._storages[party]
        return [
            Output(found.formal, found.port.type, storage.path(found.address.namespace, found.address.name))
            for found in addresses
        ]

    def strays(self, party: str) -> list[Path]:
        """What else lies where the outputs belong: pending files, results under names that nobody gave.

        The metadata of tables belongs to them.
        """
        named = {output.path for output in self.outputs(party)}
        named |= {self._input_path(self.party(party), name) for name in self.plan.data.get(party, {})}
        directory = self._storages[party].directory(result_namespace(self.spec.job_id, self.party(party)))
        lying = (path for path in directory.iterdir() if not path.name.startswith(BESIDE))
        return sorted(path for path in lying if path not in named)

    @property
    def _task_id(self) -> str:
        return task_id_for(self.spec.job_id, self.task)

    # Launches

    def token(self) -> str:
        """A secret as the node makes one for an attempt."""
        return secrets.token_urlsafe(32)

    def launches(
        self,
        node: LocalNode,
        *,
        parameters: Mapping[str, str] | None = None,
        callback_url: str = "",
    ) -> dict[str, LaunchSpec]:
        """One attempt for each party, of one channel session that only these may use.

        `parameters` replaces parameters as they are written, which no job could.
        """
        self._attempts += 1
        session = f"session_{JOB}_{self._attempts}"
        found = {}
        for party in self.spec.parties:
            token = self.token()
            node.tokens[party.node_id] = token
            log = self._root(party.key) / "logs" / f"{self._attempts}.log"
            environment = build_environment(
                spec=self.spec,
                task_name=self.task,
                party=party,
                manifest=self.manifest,
                task_ids={},
                attempt=AttemptFacts(session_id=session, token=token, trace_id=JOB),
                node=NodeFacts(
                    storage_url=self._storages[party.key].root_url,
                    callback_url=callback_url or node.callback_url,
                    transport=node.address,
                    log_path=str(log.parent),
                ),
            )
            for name, value in (parameters or {}).items():
                environment[f"runtime.component.parameter.{name}"] = value
            found[party.key] = self._launch(party.key, environment, log, node)
        return found

    def _launch(self, party: str, environment: Mapping[str, str], log: Path, node: LocalNode) -> LaunchSpec:
        attempt = f"{JOB}-{os.getpid()}-{self._attempts}-{party}-{secrets.token_hex(4)}"
        log.parent.mkdir(parents=True, exist_ok=True)
        storage = self._storages[party]
        reads, writes = data_addresses(environment)
        return LaunchSpec(
            attempt_id=attempt,
            image_url=self.plan.image_url,
            environment=environment,
            run_directory=self._runs / attempt,
            log_path=log,
            node_address=node.address,
            reads=tuple(storage.path(address.namespace, address.name) for address in reads),
            writes=tuple(sorted({storage.directory(address.namespace) for address in writes})),
        )


def read_parameters(content: str, parties: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Parameters by party from a JSON object: `common`, roles and parties as members, or the parameters of all.

    `KitFault` if it is something else.
    """
    try:
        given = json.loads(content)
    except ValueError as error:
        raise KitFault(f"not JSON: {error}") from None
    if not isinstance(given, dict):
        raise KitFault("not a JSON object of parameters")
    roles = {party.partition(".")[0] for party in parties}
    sections = {"common", *roles, *parties}
    if not given.keys() <= sections:
        mixed = sorted(given.keys() & sections)
        if mixed and all(isinstance(given[name], dict) for name in mixed):
            strange = ", ".join(sorted(given.keys() - sections))
            raise KitFault(f"{strange}: neither common nor a party of this trial ({', '.join(parties)})")
        given = {"common": given}
    if not all(isinstance(values, dict) for values in given.values()):
        raise KitFault("common, roles and parties have to be objects of parameters")
    return {
        party: {**given.get("common", {}), **given.get(party.partition(".")[0], {}), **given.get(party, {})}
        for party in parties
    }
