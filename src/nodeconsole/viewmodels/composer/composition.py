"""A job that is being put together: the specification's `{flow_id, dag, config}`, edited step by step.

Every edit leaves a new document, so each can be taken back. What the console does not know stays as it is, so that a
file which is loaded and saved again is the same.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodeconsole.viewmodels.composer.catalogue import Port, Program, assigned

Document = dict[str, Any]

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
COMMON = "common"
RUNNER = "runner"
"""Our extension of `job_params.<role>.<index>`: a runner's name for all parts of a party, or one by task."""
_DEEPEST_UNDO = 200


@dataclass(frozen=True, slots=True)
class Party:
    """A node in a role; `key` is what the specification calls it."""

    role: str
    index: int
    node_id: str

    @property
    def key(self) -> str:
        return f"{self.role}.{self.index}"


@dataclass(frozen=True, slots=True)
class Task:
    """One component of the flow, as the document has it."""

    name: str
    component: str
    provider: str
    version: str
    inputs: tuple[Port, ...]
    """`name` is `<task>.<output>`."""
    outputs: tuple[Port, ...]

    @property
    def upstream(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(port.name.split(".", 1)[0] for port in self.inputs))


def is_job(document: Mapping[str, Any]) -> bool:
    """Whether it can be edited at all."""
    return isinstance(document.get("dag"), dict) and isinstance(document.get("config"), dict)


def empty(node_id: str) -> Document:
    """A job of this node alone, without tasks."""
    return {
        "flow_id": "",
        "dag": {"version": "2.0", "components": []},
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": node_id},
            "role": {"guest": [node_id]},
            "job_params": {"common": {}},
            "task_params": {"common": {}},
        },
    }


class Composition:
    """`text` is what the document was read from; it comes out again as long as nothing is changed."""

    def __init__(self, document: Mapping[str, Any], text: str = "") -> None:
        self._document: Document = copy.deepcopy(dict(document))
        self._loaded = (self._document, text) if text else None
        self._before: list[Document] = []
        self._after: list[Document] = []

    # The document.

    @property
    def document(self) -> Document:
        """For reading; every edit leaves a new one."""
        return self._document

    def text(self) -> str:
        if self._loaded is not None and self._loaded[0] == self._document:
            return self._loaded[1]
        return json.dumps(self._document, ensure_ascii=False, indent=2) + "\n"

    @property
    def is_changed(self) -> bool:
        return bool(self._before)

    def undo(self) -> bool:
        return self._step(self._before, self._after)

    def redo(self) -> bool:
        return self._step(self._after, self._before)

    def _step(self, source: list[Document], target: list[Document]) -> bool:
        if not source:
            return False
        target.append(self._document)
        self._document = source.pop()
        return True

    def _edit(self, change: Callable[[Document], None]) -> None:
        edited = copy.deepcopy(self._document)
        change(edited)
        if edited != self._document:
            self._before = [*self._before[-_DEEPEST_UNDO:], self._document]
            self._after.clear()
            self._document = edited

    # What it consists of.

    @property
    def flow_id(self) -> str:
        return str(self._document.get("flow_id") or "")

    @property
    def tasks(self) -> tuple[Task, ...]:
        return tuple(_task(node) for node in _components(self._document) if isinstance(node.get("name"), str))

    def task(self, name: str) -> Task:
        return next(task for task in self.tasks if task.name == name)

    @property
    def parties(self) -> tuple[Party, ...]:
        roles = _member(_config(self._document), "role")
        return tuple(
            Party(str(role), index, str(node))
            for role, nodes in roles.items()
            if isinstance(nodes, list)
            for index, node in enumerate(nodes)
        )

    @property
    def initiator(self) -> str:
        initiator = _member(_config(self._document), "initiator")
        return str(initiator.get("node_id") or initiator.get("nodeId") or "")

    def parties_of(self, task: str) -> tuple[Party, ...]:
        """Who takes part: whoever has an entry for the task; all if nobody has."""
        named = tuple(party for party in self.parties if self._own(party).get(task) is not None)
        return named or self.parties

    def parameters(self, task: str, party: Party | None) -> dict[str, Any]:
        """What is given for a party, or for all (None)."""
        source = _member(_params(self._document), COMMON) if party is None else self._own(party)
        found = source.get(task)
        return dict(found) if isinstance(found, Mapping) else {}

    def runner(self, task: str, party: Party) -> str:
        """Which runner a party's part of a task is to be run by; empty = its node decides."""
        found = _job_params(self._document, party).get(RUNNER)
        found = found.get(task) if isinstance(found, Mapping) else found
        return found if isinstance(found, str) else ""

    def runner_of_all(self, party: Party) -> str:
        """The one runner of all parts of a party; empty = none, or it is said for each."""
        found = _job_params(self._document, party).get(RUNNER)
        return found if isinstance(found, str) else ""

    def _own(self, party: Party) -> Mapping[str, Any]:
        return _member(_member(_params(self._document), party.role), str(party.index))

    @property
    def sources(self) -> dict[str, str]:
        """Every output that can be read: `<task>.<output>` and its type."""
        return {f"{task.name}.{port.name}": port.type for task in self.tasks for port in task.outputs}

    def upstream(self) -> dict[str, tuple[str, ...]]:
        """Who reads from whom, of those that exist."""
        names = {task.name for task in self.tasks}
        return {task.name: tuple(up for up in task.upstream if up in names) for task in self.tasks}

    def downstream_of(self, name: str) -> frozenset[str]:
        """Everything that reads from it, through others too, and itself."""
        upstream, found = self.upstream(), {name}
        while True:
            more = {task for task, ups in upstream.items() if task not in found and found.intersection(ups)}
            if not more:
                return frozenset(found)
            found |= more

    # Edits.

    def set_flow(self, flow_id: str) -> None:
        self._edit(lambda document: document.__setitem__("flow_id", flow_id))

    def add_task(self, program: Program) -> str:
        """With all its outputs; the parties whose roles it knows take part. Its name is returned."""
        name = self._free_name(program.name)
        node = {
            "name": name,
            "componentName": program.name,
            "version": program.version,
            "provider": program.provider,
            "input": [],
            "output": [{"key": port.name, "type": port.type} for port in program.outputs],
        }

        def change(document: Document) -> None:
            document.setdefault("dag", {}).setdefault("components", []).append(node)
            for party in self.parties:
                if program.runs_as(party.role):
                    _own_entry(document, party)[name] = {}

        self._edit(change)
        return name

    def _free_name(self, wanted: str) -> str:
        base = re.sub(r"[^A-Za-z0-9_-]", "_", wanted)[:50] or "task"
        taken = {task.name for task in self.tasks}
        numbered = (f"{base}_{number}" for number in range(2, len(taken) + 3))
        return next(name for name in (base, *numbered) if name not in taken)

    def rename_task(self, old: str, new: str) -> None:
        """Its readers and its parameters follow."""

        def change(document: Document) -> None:
            for node in _components(document):
                if node.get("name") == old:
                    node["name"] = new
                for port in _ports(node, "input"):
                    producer, dot, output = str(port.get("key")).partition(".")
                    if producer == old and dot:
                        port["key"] = f"{new}.{output}"
            for entries in _parameter_entries(document):
                if old in entries:
                    # In its place: the order of members is the author's.
                    renamed = {new if name == old else name: value for name, value in entries.items()}
                    entries.clear()
                    entries.update(renamed)

        self._edit(change)

    def remove_task(self, name: str) -> None:
        """With its parameters and with what reads from it."""

        def change(document: Document) -> None:
            kept = [node for node in _components(document) if node.get("name") != name]
            for node in kept:
                inputs = _ports(node, "input")
                left = [port for port in inputs if str(port.get("key")).partition(".")[0] != name]
                if len(left) != len(inputs):
                    node["input"] = left
            _member(document, "dag")["components"] = kept
            for entries in _parameter_entries(document):
                entries.pop(name, None)

        self._edit(change)

    def wire(self, name: str, program: Program | None, place: int, source: str) -> None:
        """Let a formal input read `source`; empty = nothing. The others keep what they read."""
        task = self.task(name)
        formal = program.inputs if program is not None else task.inputs
        reads: dict[int, Port] = {}
        rest: list[Port] = []
        for port, at in zip(task.inputs, assigned(task.inputs, formal), strict=True):
            if at is None:
                rest.append(port)
            else:
                reads[at] = port
        reads.pop(place, None)
        if source:
            reads[place] = Port(source, self.sources.get(source, ""))
        wired = [*(reads[at] for at in sorted(reads)), *rest]

        def change(document: Document) -> None:
            for node in _components(document):
                if node.get("name") == name:
                    node["input"] = [{"key": port.name, "type": port.type} for port in wired]

        self._edit(change)

    def add_party(self, role: str, node_id: str, programs: Mapping[str, Program]) -> None:
        """It takes part in the tasks whose programs (by task) run in its role."""

        def change(document: Document) -> None:
            nodes = _config(document).setdefault("role", {}).setdefault(role, [])
            nodes.append(node_id)
            party = Party(role, len(nodes) - 1, node_id)
            for task in self.tasks:
                program = programs.get(task.name)
                if program is None or program.runs_as(role):
                    _own_entry(document, party).setdefault(task.name, {})

        self._edit(change)

    def set_party(self, party: Party, node_id: str) -> None:
        """Another node in this role."""

        def change(document: Document) -> None:
            _config(document)["role"][party.role][party.index] = node_id

        self._edit(change)

    def remove_party(self, party: Party) -> None:
        """Those behind it in the same role move up, with their parameters."""

        def change(document: Document) -> None:
            roles = _config(document)["role"]
            nodes = roles[party.role]
            del nodes[party.index]
            if not nodes:
                del roles[party.role]
            for name in ("task_params", "job_params"):
                by_index = _member(_config(document), name).get(party.role)
                if isinstance(by_index, dict):
                    _move_up(by_index, party.index)

        self._edit(change)

    def set_taking_part(self, task: str, party: Party, *, takes_part: bool) -> None:
        def change(document: Document) -> None:
            # Who was meant by nobody being named has to be named now.
            for one in self.parties_of(task):
                _own_entry(document, one).setdefault(task, {})
            if takes_part:
                _own_entry(document, party).setdefault(task, {})
            else:
                _own_entry(document, party).pop(task, None)

        self._edit(change)

    def set_runner(self, task: str, party: Party, runner: str) -> None:
        """Of a party's part of a task, or of all its parts (no task); empty = its node decides."""

        def change(document: Document) -> None:
            by_index = _config(document).setdefault("job_params", {}).setdefault(party.role, {})
            own = by_index.setdefault(str(party.index), {})
            if task:
                named = {one.name: self.runner(one.name, party) for one in self.tasks} | {task: runner}
                own[RUNNER] = {name: chosen for name, chosen in named.items() if chosen}
            else:
                own[RUNNER] = runner
            if not own[RUNNER]:
                del own[RUNNER]
            if not own:
                del by_index[str(party.index)]
            if not by_index:
                del _config(document)["job_params"][party.role]

        self._edit(change)

    def set_parameters(self, task: str, party: Party | None, values: Mapping[str, Any]) -> None:
        """For a party, or for all."""

        def change(document: Document) -> None:
            params = _config(document).setdefault("task_params", {})
            entries = params.setdefault(COMMON, {}) if party is None else _own_entry(document, party)
            if values or party is not None:
                entries[task] = dict(values)
            else:
                entries.pop(task, None)

        self._edit(change)


def _task(node: Mapping[str, Any]) -> Task:
    return Task(
        name=str(node["name"]),
        component=str(node.get("componentName") or node.get("module_name") or node.get("code") or ""),
        provider=str(node.get("provider") or ""),
        version=str(node.get("version") or ""),
        inputs=_parsed(_ports(node, "input")),
        outputs=_parsed(_ports(node, "output")),
    )


def _parsed(ports: Sequence[Mapping[str, Any]]) -> tuple[Port, ...]:
    return tuple(Port(str(port.get("key") or ""), str(port.get("type") or "")) for port in ports)


def _member(of: Any, name: str) -> dict[str, Any]:
    """An object within another; an empty one where there is none."""
    found = of.get(name) if isinstance(of, Mapping) else None
    return found if isinstance(found, dict) else {}


def _config(document: Document) -> dict[str, Any]:
    return _member(document, "config")


def _params(document: Document) -> dict[str, Any]:
    return _member(_config(document), "task_params")


def _components(document: Document) -> list[dict[str, Any]]:
    found = _member(document, "dag").get("components")
    return [node for node in found if isinstance(node, dict)] if isinstance(found, list) else []


def _ports(node: Mapping[str, Any], side: str) -> list[dict[str, Any]]:
    found = node.get(side)
    return [port for port in found if isinstance(port, dict)] if isinstance(found, list) else []


def _own_entry(document: Document, party: Party) -> dict[str, Any]:
    """What is given for a party, made where it is missing."""
    params = _config(document).setdefault("task_params", {})
    entry: dict[str, Any] = params.setdefault(party.role, {}).setdefault(str(party.index), {})
    return entry


def _job_params(document: Document, party: Party) -> Mapping[str, Any]:
    return _member(_member(_member(_config(document), "job_params"), party.role), str(party.index))


def _parameter_entries(document: Document) -> Iterable[dict[str, Any]]:
    """Every object that says something by task: parameters, and runners."""
    for by_index in _member(_config(document), "job_params").values():
        for given in by_index.values() if isinstance(by_index, dict) else ():
            yield _member(given, RUNNER)
    for role, given in _params(document).items():
        if role == COMMON and isinstance(given, dict):
            yield given
        elif isinstance(given, dict):
            yield from (entries for entries in given.values() if isinstance(entries, dict))


def _move_up(by_index: dict[str, Any], removed: int) -> None:
    numbered = sorted((int(key), value) for key, value in by_index.items() if key.isdecimal())
    for number, _ in numbered:
        del by_index[str(number)]
    for number, value in numbered:
        if number != removed:
            by_index[str(number - (number > removed))] = value
