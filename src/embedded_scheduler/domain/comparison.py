"""How a job differs from one that was approved before: what an operator has to look at, and nothing else.

What identifies a run (the job's id) and what only its dialect writes differently is no difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from embedded_scheduler.domain.environment import source_dataset
from embedded_scheduler.domain.flow import ComponentRef, FlowNode
from embedded_scheduler.domain.job import JobSpec
from embedded_scheduler.domain.party import Party

_DATA_MEMBERS = frozenset({"dataset_id", "namespace", "name"})
"""Members of a source task's parameters that say which dataset it reads: a change of those is one of data."""
_LONGEST_VALUE = 160


class Aspect(StrEnum):
    """What differs. The order is that of weight: who takes part comes first, settings last."""

    PARTY = "party"
    INITIATOR = "initiator"
    COORDINATOR = "coordinator"
    COMPONENT = "component"
    VERSION = "version"
    DATASET = "dataset"
    COLUMN = "column"
    INPUT = "input"
    OUTPUT = "output"
    PARAMETER = "parameter"
    SETTING = "setting"


@dataclass(frozen=True, slots=True)
class Difference:
    """`before` empty = it is new, `after` empty = it is gone. `where`: the task, and the party where it is one's."""

    aspect: Aspect
    name: str
    where: str = ""
    before: str = ""
    after: str = ""


def component_text(ref: ComponentRef) -> str:
    """`provider name version`, as far as the flow says it."""
    return " ".join(part for part in (ref.provider, ref.name or ref.code, ref.version) if part)


def named_columns(spec: JobSpec, task_name: str, party: Party, columns: Sequence[str]) -> tuple[str, ...]:
    """Those columns of a dataset that the parameters of its reader name, in the dataset's order; empty = none is named,
    so the task takes what it likes. A component can read the whole table in either case."""
    named = set(_texts(spec.parameters(task_name, party)))
    return tuple(column for column in columns if column in named)


def differences(
    before: JobSpec, after: JobSpec, columns: Mapping[str, Sequence[str]] | None = None
) -> tuple[Difference, ...]:
    """What `after` has that `before` had not, and the other way round. `columns`: those of known datasets, by id."""
    found = [*_people(before, after), *_flow(before, after), *_data(before, after, columns or {})]
    found += [*_parameters(before, after), *_settings(before, after)]
    order = list(Aspect)
    return tuple(sorted(dict.fromkeys(found), key=lambda one: order.index(one.aspect)))


def _people(before: JobSpec, after: JobSpec) -> Iterator[Difference]:
    old, new = ({(party.role, party.node_id) for party in spec.parties} for spec in (before, after))
    for role, node_id in sorted(new - old):
        yield Difference(Aspect.PARTY, f"{role}:{node_id}", after=node_id)
    for role, node_id in sorted(old - new):
        yield Difference(Aspect.PARTY, f"{role}:{node_id}", before=node_id)
    yield from _changed(Aspect.INITIATOR, "initiator", before.initiator, after.initiator)
    yield from _changed(Aspect.COORDINATOR, "coordinator", before.coordinator_hint, after.coordinator_hint)


def _flow(before: JobSpec, after: JobSpec) -> Iterator[Difference]:
    for name in after.flow.order:
        if name not in before.flow:
            yield Difference(Aspect.COMPONENT, name, after=component_text(after.flow.node(name).component))
    for name in before.flow.order:
        if name not in after.flow:
            yield Difference(Aspect.COMPONENT, name, before=component_text(before.flow.node(name).component))
    for name in _common_tasks(before, after):
        yield from _node(before.flow.node(name), after.flow.node(name))


def _node(before: FlowNode, after: FlowNode) -> Iterator[Difference]:
    old, new = component_text(before.component), component_text(after.component)
    yield from _changed(Aspect.VERSION, after.name, old, new)
    for aspect, ports in (
        (Aspect.INPUT, (before.inputs, after.inputs)),
        (Aspect.OUTPUT, (before.outputs, after.outputs)),
    ):
        was, is_ = ([port.key for port in side] for side in ports)
        for key in is_:
            if key not in was:
                yield Difference(aspect, key, after.name, after=key)
        for key in was:
            if key not in is_:
                yield Difference(aspect, key, after.name, before=key)


def _data(before: JobSpec, after: JobSpec, columns: Mapping[str, Sequence[str]]) -> Iterator[Difference]:
    old, new = _reads(before), _reads(after)
    for (task, party), dataset in new.items():
        was = old.get((task, party), "")
        yield from _changed(Aspect.DATASET, task, was, dataset, where=party)
        known = columns.get(dataset, ())
        now = named_columns(after, task, _party(after, party), known)
        then = named_columns(before, task, _party(before, party), known) if was else ()
        for column in now:
            if column not in then:
                yield Difference(Aspect.COLUMN, column, f"{task} {party}", after=column)
        for column in then:
            if column not in now:
                yield Difference(Aspect.COLUMN, column, f"{task} {party}", before=column)
    for (task, party), dataset in old.items():
        if (task, party) not in new:
            yield Difference(Aspect.DATASET, task, party, before=dataset)


def _reads(spec: JobSpec) -> dict[tuple[str, str], str]:
    """By task and party: the dataset it reads."""
    found = {}
    for name in spec.flow.order:
        for party in spec.parties_of(name):
            address = source_dataset(spec, name, party)
            if address is not None:
                found[name, party.key] = address.dataset_id
    return found


def _party(spec: JobSpec, key: str) -> Party:
    return next(party for party in spec.parties if party.key == key)


def _parameters(before: JobSpec, after: JobSpec) -> Iterator[Difference]:
    """Of each task the effective parameters, party by party; what changes alike for all is said once."""
    for name in _common_tasks(before, after):
        per_party: dict[tuple[str, str, str], list[str]] = {}
        both = [p for p in after.parties_of(name) if p in before.parties_of(name)]
        for party in both:
            old, new = (_flat(_settings_of(spec, name, party)) for spec in (before, after))
            for key in dict.fromkeys((*new, *old)):
                if old.get(key) != new.get(key):
                    per_party.setdefault((key, old.get(key, ""), new.get(key, "")), []).append(party.key)
        for (key, was, is_), parties in per_party.items():
            where = name if len(parties) == len(both) else f"{name} {' '.join(parties)}"
            yield Difference(Aspect.PARAMETER, key, where, was, is_)


def _settings_of(spec: JobSpec, task_name: str, party: Party) -> dict[str, Any]:
    given = spec.parameters(task_name, party)
    if source_dataset(spec, task_name, party) is None:
        return given
    return {key: value for key, value in given.items() if key not in _DATA_MEMBERS}


def _settings(before: JobSpec, after: JobSpec) -> Iterator[Difference]:
    """What the job as a whole is to be run with: time-outs, resources, how it is watched."""
    old, new = (_flat(spec.document["config"]["job_params"]) for spec in (before, after))
    for key in dict.fromkeys((*new, *old)):
        if key != "common.coordinator":
            yield from _changed(Aspect.SETTING, key, old.get(key, ""), new.get(key, ""))


def _common_tasks(before: JobSpec, after: JobSpec) -> Iterator[str]:
    return (name for name in after.flow.order if name in before.flow)


def _changed(aspect: Aspect, name: str, before: str, after: str, *, where: str = "") -> Iterator[Difference]:
    if before != after:
        yield Difference(aspect, name, where, before, after)


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted names and values as JSON, so that a change deep inside is named and not the whole."""
    found: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            found |= _flat(item, f"{prefix}{key}.")
        elif item not in ({}, [], None, ""):
            found[f"{prefix}{key}"] = _short(item)
    return found


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, and the parts of those that list names with commas."""
    if isinstance(value, str):
        yield value
        yield from (part.strip() for part in value.split(","))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
