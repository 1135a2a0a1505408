"""What is wrong with a job before anybody is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from algorithm_components.sdk.forms.form import Form
from algorithm_components.sdk.forms.model import Field, FormSpec, Note, Translates
from nodeconsole.viewmodels.composer.catalogue import Program, assigned, compatible
from nodeconsole.viewmodels.composer.composition import NAME, Composition, Party, Task

DATASET = "dataset_id"
"""The parameter by which a party of a task without inputs names its data."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A sentence `compose.problem.<code>`; `task`, `party` and `port` say where it is, where it is somewhere."""

    code: str
    task: str = ""
    party: str = ""
    """`guest.0`; `common` = what is given for all."""
    port: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    why: Note | None = None

    def text(self, words: Translates) -> str:
        """Parts of it come from elsewhere: pass it through `printable`."""
        facts = dict(self.facts) | {"task": self.task, "party": self.party, "port": self.port}
        if self.why is not None:
            facts["why"] = self.why.text(words)
        return words.text(f"compose.problem.{self.code}", **facts)


def _problem(code: str, task: str = "", party: str = "", port: str = "", **facts: str) -> Problem:
    return Problem(code, task, party, port, tuple(facts.items()))


def problems(composition: Composition, programs: Mapping[str, Program], node_id: str) -> list[Problem]:
    """In the order in which one would mend them. `programs` by task; `node_id` is this node's."""
    return [
        *_about_parties(composition, node_id),
        *_about_flow(composition),
        *(found for task in composition.tasks for found in _about_task(composition, task, programs.get(task.name))),
    ]


def _about_parties(composition: Composition, node_id: str) -> Iterable[Problem]:
    if not composition.parties:
        yield _problem("no_parties")
    if node_id and composition.initiator != node_id:
        yield _problem("initiator", node=composition.initiator or "-", own=node_id)
    for party in composition.parties:
        if not party.node_id:
            yield _problem("no_node", party=party.key)


def _about_flow(composition: Composition) -> Iterable[Problem]:
    tasks = composition.tasks
    if not tasks:
        yield _problem("no_tasks")
    seen: set[str] = set()
    for task in tasks:
        if task.name in seen:
            yield _problem("same_name", task.name)
        seen.add(task.name)
        if not NAME.fullmatch(task.name):
            yield _problem("bad_name", task.name)
    for name in in_circle(composition):
        yield _problem("circle", name)


def in_circle(composition: Composition) -> list[str]:
    """Tasks that read, directly or not, from themselves."""
    upstream = composition.upstream()
    left = dict(upstream)
    while True:
        free = [name for name, ups in left.items() if not any(up in left for up in ups)]
        if not free:
            break
        for name in free:
            del left[name]
    return [name for name in left if any(name in upstream[other] for other in left)]


def _about_task(composition: Composition, task: Task, program: Program | None) -> Iterable[Problem]:
    if program is None:
        named = "/".join(filter(None, (task.provider, task.component, task.version)))
        yield _problem("unknown_component", task.name, component=named)
    yield from _about_inputs(composition, task, program)
    if program is None:
        return
    parties = composition.parties_of(task.name)
    for party in parties:
        if not program.runs_as(party.role):
            yield _problem("role", task.name, party.key, roles=" ".join(program.roles))
        yield from _about_parameters(composition, task, program, party)


def _about_inputs(composition: Composition, task: Task, program: Program | None) -> Iterable[Problem]:
    sources = composition.sources
    for port in task.inputs:
        if port.name not in sources:
            yield _problem("no_source", task.name, port=port.name)
    if program is None:
        return
    places = assigned(task.inputs, program.inputs)
    for port, place in zip(task.inputs, places, strict=True):
        if place is not None and not compatible(port.type, program.inputs[place].type):
            formal = program.inputs[place]
            yield _problem("type", task.name, port=formal.name, source=port.name, type=port.type, wanted=formal.type)
    for number, formal in enumerate(program.inputs):
        # A task without any input reads data of its parties; then its first input is that.
        if formal.required and number not in places and (task.inputs or number > 0):
            yield _problem("not_wired", task.name, port=formal.name)


def _about_parameters(composition: Composition, task: Task, program: Program, party: Party) -> Iterable[Problem]:
    form = form_of_party(composition, task, program, party)
    for name in form.faulty:
        fault = form.fault(name)
        if fault is not None:
            yield Problem("parameter", task.name, party.key, facts=(("parameter", name),), why=fault)


def form_of_party(composition: Composition, task: Task, program: Program, party: Party | None) -> Form:
    """What a party gives, or all of them (None): parameters, and its data where the task reads none from another."""
    spec = program.form or FormSpec(program.title)
    fields = spec.fields
    if party is not None and reads_data(task, program):
        required = program.inputs[0].required
        about = Field(
            name=DATASET,
            type_name="dataset",
            required=required,
            provider="datasets",
            description=program.inputs[0].name,
        )
        fields = (about, *(one for one in fields if one.name != DATASET))
    given = composition.parameters(task.name, party)
    if party is None:
        # What one party leaves out another gives: nothing is required of all.
        fields = tuple(_optional(one) for one in fields)
        return Form(FormSpec(spec.title, fields, spec.groups, spec.notes), given or None)
    if _names_data(given):
        fields = tuple(_optional(one) if one.name == DATASET else one for one in fields)
    inherited = composition.parameters(task.name, None)
    return Form(FormSpec(spec.title, fields, spec.groups, spec.notes), given, inherited=inherited, role=party.role)


def reads_data(task: Task, program: Program) -> bool:
    """Whether its parties name data of their own for it."""
    return bool(program.inputs) and not task.inputs


def _names_data(given: Mapping[str, object]) -> bool:
    return bool(given.get("namespace") and given.get("name"))


def _optional(one: Field) -> Field:
    return replace(one, required=False)
