"""A flow: the acyclic graph of component instances of a job (control layer §6.7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from embedded_scheduler.errors import InvalidFlow
from embedded_scheduler.sentences import say

MOST_COMPONENTS = 1000
"""Every component is a row and a part of every plan; ten times what anybody runs, and no burden for a node yet."""

_LONGEST_CYCLE = 20
"""Names of a cycle that a message shows."""


@dataclass(frozen=True, slots=True)
class ComponentRef:
    """Which component an instance runs. v1.0.0 names it (provider, name, version); the legacy dialect uses `code`.

    `name` is `componentName` = legacy `module_name`; `code` is the legacy package key.
    """

    provider: str
    name: str
    version: str
    code: str


@dataclass(frozen=True, slots=True)
class Port:
    """One declared input (`key` = `<producer>.<output key>`) or output (`key` = its own name) with its data type."""

    key: str
    type: str

    @property
    def producer(self) -> str:
        return self.key.split(".", 1)[0]

    @property
    def output(self) -> str:
        return self.key.split(".", 1)[1] if "." in self.key else ""


@dataclass(frozen=True, slots=True)
class FlowNode:
    """One component instance. `name` is unique in the flow and is the task's name."""

    name: str
    component: ComponentRef
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()

    @property
    def upstream(self) -> tuple[str, ...]:
        """Names of the instances it reads, each once, in input order."""
        return tuple(dict.fromkeys(port.producer for port in self.inputs))


@dataclass(frozen=True)
class Flow:
    """A checked flow: building one raises `InvalidFlow` naming the component and the fault."""

    version: str
    nodes: tuple[FlowNode, ...]
    warnings: tuple[str, ...] = field(init=False, compare=False)
    """Faults that running partners let pass (an edge whose two ends state different types)."""

    def __post_init__(self) -> None:
        if not self.nodes:
            raise InvalidFlow(say("flow_empty"))
        if len(self.nodes) > MOST_COMPONENTS:
            raise InvalidFlow(say("flow_too_large", count=len(self.nodes), most=MOST_COMPONENTS))
        by_name: dict[str, FlowNode] = {}
        for node in self.nodes:
            if node.name in by_name:
                raise InvalidFlow(say("flow_same_name", name=node.name))
            by_name[node.name] = node
        object.__setattr__(self, "_by_name", by_name)
        object.__setattr__(self, "warnings", tuple(self._check_edges(by_name)))
        object.__setattr__(self, "_order", _topological_order(self.nodes))
        object.__setattr__(self, "_readers", self._find_readers())

    def _check_edges(self, by_name: Mapping[str, FlowNode]) -> Iterable[str]:
        outputs = {node.name: {output.key: output.type for output in node.outputs} for node in self.nodes}
        for node in self.nodes:
            seen: set[str] = set()
            for output in node.outputs:
                if output.key in seen:
                    raise InvalidFlow(say("flow_output_twice", name=node.name, output=output.key))
                seen.add(output.key)
            for port in node.inputs:
                if not port.output:
                    raise InvalidFlow(say("flow_input_form", input=repr(port.key), name=node.name))
                producer = by_name.get(port.producer)
                if producer is None:
                    raise InvalidFlow(say("flow_no_producer", input=port.key, name=node.name, producer=port.producer))
                declared = outputs[producer.name]
                if port.output not in declared:
                    raise InvalidFlow(
                        say(
                            "flow_no_output", input=port.key, name=node.name, producer=port.producer, output=port.output
                        )
                    )
                if declared[port.output] != port.type:
                    yield f"input {port.key} of {node.name} is {port.type}, its output is {declared[port.output]}"

    def node(self, name: str) -> FlowNode:
        """The instance, or KeyError."""
        by_name: dict[str, FlowNode] = self.__dict__["_by_name"]
        return by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__["_by_name"]

    @property
    def order(self) -> tuple[str, ...]:
        """All names, producers before consumers, otherwise as written."""
        order: tuple[str, ...] = self.__dict__["_order"]
        return order

    def _find_readers(self) -> Mapping[str, tuple[FlowNode, ...]]:
        readers: dict[str, list[FlowNode]] = {}
        for node in self.nodes:
            for up in node.upstream:
                readers.setdefault(up, []).append(node)
        return {name: tuple(found) for name, found in readers.items()}

    def readers_of(self, name: str) -> tuple[FlowNode, ...]:
        """The instances that read `name` directly, in flow order."""
        readers: Mapping[str, tuple[FlowNode, ...]] = self.__dict__["_readers"]
        return readers.get(name, ())

    def downstream_of(self, name: str) -> frozenset[str]:
        """Everything that reads `name`, directly or through others; not `name` itself."""
        found: set[str] = set()
        for candidate in self.order:
            if any(up == name or up in found for up in self.node(candidate).upstream):
                found.add(candidate)
        return frozenset(found)


def _topological_order(nodes: tuple[FlowNode, ...]) -> tuple[str, ...]:
    waiting_for = {node.name: len(node.upstream) for node in nodes}
    readers: dict[str, list[str]] = {node.name: [] for node in nodes}
    for node in nodes:
        for up in node.upstream:
            readers[up].append(node.name)
    free = deque(name for name, count in waiting_for.items() if count == 0)
    order: list[str] = []
    while free:
        name = free.popleft()
        order.append(name)
        for reader in readers[name]:
            waiting_for[reader] -= 1
            if waiting_for[reader] == 0:
                free.append(reader)
    if len(order) != len(nodes):
        raise InvalidFlow(say("flow_cycle", cycle=_shown(_cycle(nodes, set(order)))))
    return tuple(order)


def _shown(cycle: list[str]) -> str:
    names = cycle if len(cycle) <= _LONGEST_CYCLE else [*cycle[: _LONGEST_CYCLE - 1], "...", cycle[-1]]
    return " -> ".join(names)


def _cycle(nodes: tuple[FlowNode, ...], done: set[str]) -> list[str]:
    upstream = {node.name: [u for u in node.upstream if u not in done] for node in nodes if node.name not in done}
    name = next(name for name, ups in upstream.items() if ups)
    seen: dict[str, int] = {}
    while name not in seen:
        seen[name] = len(seen)
        name = upstream[name][0]
    # Walked from reader to producer; shown in the direction the data flows.
    return [*list(seen)[seen[name] :], name][::-1]
