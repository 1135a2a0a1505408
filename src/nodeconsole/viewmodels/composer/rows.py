"""A job that is being put together, as lines: parties, tasks, what they read, what is given for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from algorithm_components.sdk.forms.values import shown_text
from nodeconsole.viewmodels.composer.catalogue import Port, Program, assigned
from nodeconsole.viewmodels.composer.composition import COMMON, Composition, Party, Task
from nodeconsole.viewmodels.composer.problems import DATASET, Problem, reads_data
from nodeconsole.viewmodels.facts import bullets
from nodeconsole.viewmodels.graph import Layout, arrange
from nodeconsole.viewmodels.sentences import sentences
from nodeconsole.viewmodels.spans import Column, Line, Role, Span
from nodeconsole.viewmodels.text import cells, clip, printable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobCheck
    from nodeconsole.viewmodels.display import Display

RowKind = Literal["flow", "party", "task", "input", "given"]
_WIDEST_BOX = 24


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `task` and `party` say what it is about; `place` is the number of an input."""

    kind: RowKind
    task: str = ""
    party: Party | None = None
    place: int = -1
    port: str = ""
    value: str = ""
    note: str = ""

    @property
    def key(self) -> str:
        who = self.party.key if self.party is not None else COMMON if self.kind == "given" else ""
        return f"{self.kind}/{self.task}/{who}/{self.place}"


@dataclass(frozen=True, slots=True)
class Situation:
    """A composition with what is known around it."""

    composition: Composition
    programs: Mapping[str, Program]
    """By task."""
    problems: Sequence[Problem]
    node_id: str


def all_rows(situation: Situation, display: Display) -> list[Row]:
    composition, text = situation.composition, display.text
    rows = [Row("flow", value=composition.flow_id, note=text("compose.n_tasks", n=len(composition.tasks)))]
    for party in composition.parties:
        # What was chosen first: at 80 columns the rest is cut.
        facts = [_run_by(runner, display)] if (runner := composition.runner_of_all(party)) else []
        if party.node_id == situation.node_id:
            facts.append(text("compose.this_node"))
        if party.node_id == composition.initiator:
            facts.append(text("compose.initiator"))
        rows.append(Row("party", party=party, value=party.node_id, note="  ".join(facts)))
    for task in composition.tasks:
        rows += _task_rows(situation, task, display)
    return rows


def _task_rows(situation: Situation, task: Task, display: Display) -> Iterable[Row]:
    program = situation.programs.get(task.name)
    what = " ".join(filter(None, (task.component, task.version)))
    note = " ".join(filter(None, (task.provider, program.why_not if program is not None else "")))
    yield Row("task", task.name, value=what, note=note)
    formal = program.inputs if program is not None else task.inputs
    reads = _reads(task, formal)
    for place, port in enumerate(formal):
        own = place == 0 and program is not None and reads_data(task, program)
        value = reads.get(place) or (display.text("compose.own_data") if own else "")
        yield Row("input", task.name, place=place, port=port.name, value=value, note=port.type)
    composition = situation.composition
    yield _given_row(composition, task, None, display)
    taking_part = composition.parties_of(task.name)
    for party in composition.parties:
        if party in taking_part:
            yield _given_row(composition, task, party, display)
        elif program is None or program.runs_as(party.role):
            yield Row("given", task.name, party, note=display.text("compose.not_in_it"))


def _reads(task: Task, formal: Sequence[Port]) -> dict[int, str]:
    """What each formal input reads."""
    places = assigned(task.inputs, formal)
    return {place: port.name for port, place in zip(task.inputs, places, strict=True) if place is not None}


def _given_row(composition: Composition, task: Task, party: Party | None, display: Display) -> Row:
    given = composition.parameters(task.name, party)
    # Some jobs name their data in both ways.
    address = "#".join(str(given.pop(name)) for name in ("namespace", "name") if name in given)
    dataset = given.pop(DATASET, "") or address
    values = " ".join(f"{name}={shown_text(value)}" for name, value in given.items() if value is not None)
    number = display.text("compose.n_given", n=len(given)) if given else ""
    node = display.text("compose.for_all") if party is None else party.node_id
    runner = "" if party is None else composition.runner(task.name, party)
    facts = [_run_by(runner, display), number] if runner else [number or node]
    value = " ".join(filter(None, (str(dataset), values)))
    return Row("given", task.name, party, value=value, note="  ".join(filter(None, facts)))


def _run_by(runner: str, display: Display) -> str:
    return display.text("compose.run_by", runner=runner)


def columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("mark", "", 1),
        Column("name", text("compose.column.name"), 18, flex=1, most=30),
        Column("value", text("compose.column.value"), 20, flex=3, most=80),
        Column("note", text("compose.column.note"), 20, flex=1, most=40),
    )


def row_cells(row: Row, situation: Situation, display: Display) -> Line:
    wrong = any(_is_at(problem, row) for problem in situation.problems)
    name, role = _name(row, display)
    return (
        Span("!" if wrong else "", "bad"),
        Span(printable(name), role),
        Span(printable(row.value) or "-", "bad" if wrong else "" if row.value else "dim"),
        Span(printable(row.note), "dim"),
    )


def _name(row: Row, display: Display) -> tuple[str, Role]:
    text = display.text
    if row.kind == "flow":
        return text("compose.flow"), "dim"
    if row.kind == "party":
        return row.party.key if row.party is not None else "", "accent"
    if row.kind == "task":
        return row.task, "strong"
    if row.kind == "input":
        return f"  {display.glyphs.arrow} {row.port}", ""
    return f"  {row.party.key if row.party is not None else text('compose.all')}", ""


def _is_at(problem: Problem, row: Row) -> bool:
    if row.kind == "task":
        return problem.task == row.task and not problem.party and not problem.port
    if row.kind == "input":
        return problem.task == row.task and problem.port in (row.port, row.value) and bool(problem.port)
    if row.kind == "given":
        return problem.task == row.task and row.party is not None and problem.party == row.party.key
    if row.kind == "party":
        return not problem.task and row.party is not None and problem.party == row.party.key
    return not problem.task and not problem.party


def row_of(problem: Problem, rows: Sequence[Row]) -> Row | None:
    """Where it is mended."""
    return next((row for row in rows if _is_at(problem, row)), None)


def problem_lines(situation: Situation, display: Display, width: int) -> list[Line]:
    return bullets([printable(problem.text(display)) for problem in situation.problems], width, "bad")


def said_lines(checked: JobCheck, display: Display, width: int) -> list[Line]:
    """What the node and the partners said."""
    problems = sentences(checked.problems, checked.said, "problems", display)
    warnings = sentences(checked.warnings, checked.said, "warnings", display)
    return [*bullets(problems, width, "bad"), *bullets(warnings, width, "warn")]


def graph(composition: Composition, display: Display) -> tuple[Layout, dict[str, tuple[Line, ...]]]:
    """The flow, each task a box with its name."""
    upstream = composition.upstream()
    names = {name: clip(printable(name), _WIDEST_BOX, display.glyphs.cut) for name in upstream}
    width = max((cells(name) for name in names.values()), default=0) + 4
    # An odd width has a middle for the lines.
    layout = arrange(upstream, width | 1)
    faces: dict[str, tuple[Line, ...]] = {}
    for name, shown in names.items():
        blank = layout.boxes[name].width - 2 - cells(shown)
        left = blank // 2
        box = (Span("[", "dim"), Span(" " * left), Span(shown), Span(" " * (blank - left)), Span("]", "dim"))
        faces[name] = (box,)
    return layout, faces
