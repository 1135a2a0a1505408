"""A job's flow as a graph: what stands in each box at each level of detail, and what is said about the one chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.display import share_status, task_status
from nodeconsole.viewmodels.graph import Box, Cell, Edge, Layout, arrange, layers_of
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells, clip, printable
from nodeconsole.viewmodels.times import duration

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail, TaskRow
    from nodeconsole.viewmodels.display import Display

LEVELS = ("dot", "name", "box")
_NAME, _TIME = 16, 6
_LEAST = 7
_PARTIES = 30
_MANY = 60

Face = tuple[Line, ...]
"""What stands in a box, a line per row, each exactly as wide as the box."""


def upstream_of(tasks: Sequence[TaskRow]) -> dict[str, tuple[str, ...]]:
    """The topology: who reads from whom."""
    return {task.name: tuple(task.upstream) for task in tasks}


def graph_of(tasks: Sequence[TaskRow], level: str, display: Display) -> Layout:
    """Depends on names, edges, parties and level only: a change of state leaves every box where it is."""
    return arrange(upstream_of(tasks), _width(tasks, level, display), 4 if level == "box" else 1)


def _width(tasks: Sequence[TaskRow], level: str, display: Display) -> int:
    if level == "dot":
        return 3
    longest = max((cells(printable(task.name)) for task in tasks), default=0)
    width = 4 + min(_NAME, max(_LEAST, longest)) + 1 + _TIME
    if level == "box":
        parties = max((cells(_parties_text(task, display)) for task in tasks), default=0)
        width = max(width + 2, 4 + min(_PARTIES, parties))
    return width | 1


def fitting_level(layout: Callable[[str], Layout], tasks: int, width: int, height: int) -> str:
    """The most detail with which the whole graph is seen at once; else the least that names the tasks, so that one
    reads and scrolls; dots for a graph that is large in every way."""
    if tasks <= _MANY:
        for level in ("box", "name"):
            if layout(level).width <= width and layout(level).height <= height:
                return level
    return "name" if tasks <= _MANY else "dot"


def faces_of(tasks: Sequence[TaskRow], layout: Layout, level: str, display: Display) -> dict[str, Face]:
    if level == "box":
        edges = _borders(layout, display.glyphs.lines)
        return {task.name: _large(task, layout.boxes[task.name], edges[task.name], display) for task in tasks}
    return {task.name: _small(task, layout.boxes[task.name], level, display) for task in tasks}


def _small(task: TaskRow, box: Box, level: str, display: Display) -> Face:
    inner = (_sign(task, display),) if level == "dot" else _title(task, box.width - 2, display)
    blank = box.width - 2 - sum(cells(span.text) for span in inner)
    left = blank // 2
    return ((Span("[", "dim"), Span(" " * left), *inner, Span(" " * (blank - left)), Span("]", "dim")),)


def _large(task: TaskRow, box: Box, edges: tuple[str, str], display: Display) -> Face:
    side = Span(display.glyphs.lines[3], "dim")
    inner = box.width - 4
    parties = clip(_parties_text(task, display), inner, display.glyphs.cut)
    parties += " " * (inner - cells(parties))
    return (
        (Span(edges[0], "dim"),),
        (side, Span(" "), *_title(task, inner, display), Span(" "), side),
        (side, Span(" "), Span(parties, "dim"), Span(" "), side),
        (Span(edges[1], "dim"),),
    )


def _sign(task: TaskRow, display: Display) -> Span:
    badge = display.badge(task_status(task))
    return Span(badge.text.split(" ", 1)[0], badge.role)


def _title(task: TaskRow, width: int, display: Display) -> Line:
    """Sign, name, and how long it takes, in exactly `width` cells."""
    sign = _sign(task, display)
    time = duration(task.started_ms, task.ended_ms, display.now_ms) if task.started_ms else ""
    name = clip(printable(task.name), width - 2 - _TIME - 1, display.glyphs.cut)
    blank = width - 2 - cells(name) - cells(time)
    role: Role = sign.role if sign.role in ("bad", "run") else ""
    return sign, Span(" "), Span(name, role), Span(" " * blank), Span(time, "dim")


def _borders(layout: Layout, lines: str) -> dict[str, tuple[str, str]]:
    """Upper and lower edge of large boxes, open where lines come and go."""
    upper = {key: [lines[10], *(lines[12] * (box.width - 2)), lines[6]] for key, box in layout.boxes.items()}
    lower = {key: [lines[9], *(lines[12] * (box.width - 2)), lines[5]] for key, box in layout.boxes.items()}
    for (source, target), path in layout.paths.items():
        upper[target][path[-1][0] - layout.boxes[target].x] = lines[13]
        lower[source][path[0][0] - layout.boxes[source].x] = lines[14]
    return {key: ("".join(upper[key]), "".join(lower[key])) for key in layout.boxes}


def _parties_text(task: TaskRow, display: Display) -> str:
    signs = []
    for share in task.shares:
        sign = display.badge(share_status(share)).text.split(" ", 1)[0]
        signs.append(f"{printable(share.node_id)} {sign}")
    return "  ".join(signs)


def critical_path(tasks: Sequence[TaskRow], now_ms: int) -> tuple[str, ...]:
    """The chain of tasks that took longest; tasks that did not start count nothing, but end the chain."""
    by_name = {task.name: task for task in tasks}
    best: dict[str, tuple[int, int, str]] = {}
    layers = layers_of(upstream_of(tasks))
    for name in sorted(layers, key=layers.__getitem__):
        task = by_name[name]
        took = max(0, (task.ended_ms or now_ms) - task.started_ms) if task.started_ms else 0
        above = max(((best[up][0], best[up][1], up) for up in task.upstream if up in best), default=(0, 0, ""))
        best[name] = (above[0] + took, above[1] + 1, above[2])
    if not best:
        return ()
    at = max(best, key=lambda name: (best[name][0], best[name][1]))
    path = [at]
    while best[at][2]:
        at = best[at][2]
        path.append(at)
    return tuple(reversed(path))


def lit_cells(layout: Layout, wanted: Callable[[Edge], bool]) -> frozenset[Cell]:
    """The cells of the edges that are to stand out."""
    return frozenset(cell for edge, path in layout.paths.items() if wanted(edge) for cell in path)


def task_facts(task: TaskRow, display: Display) -> Line:
    """One line about the box under the cursor: state, what it reads, each party's state."""
    badge = display.badge(task_status(task))
    spans: list[Span] = [Span(f" {printable(task.name)} ", "strong"), Span(" "), badge]
    if task.upstream and not task.started_ms:
        spans.append(Span(f"  {display.text('job.reads', names=display.listed(map(printable, task.upstream)))}", "dim"))
    for share in task.shares:
        state = display.badge(share_status(share))
        # Most parties are where the task is: their sign says it again.
        shown = Span(state.text.split(" ")[0], state.role) if state.text == badge.text else state
        spans += [Span(f"  {printable(share.node_id)}:{printable(share.role)} "), shown]
    return tuple(spans)


def component_facts(task: TaskRow, display: Display) -> Line:
    component = "/".join(part for part in (task.provider, task.component) if part)
    what = f"{printable(component)} {printable(task.version)}"
    return Span(f" {display.text('graph.component')} ", "dim"), Span(what)


def path_facts(path: Sequence[str], display: Display) -> Line:
    """The critical path."""
    steps = f" {display.glyphs.arrow} ".join(map(printable, path))
    return Span(f" {display.text('graph.path')} ", "dim"), Span(steps, "warn")


def port_facts(task: TaskRow, detail: JobDetail, display: Display) -> Line:
    """What comes in over which edge, and what goes out, as the specification names it."""
    node = component_of(detail, task.name)
    text = display.text
    inputs = display.listed(_port(port, display) for port in _ports(node, "input")) or "-"
    outputs = display.listed(_port(port, display) for port in _ports(node, "output")) or "-"
    return (
        Span(f" {text('graph.inputs')} ", "dim"),
        Span(inputs),
        Span(f"   {text('graph.outputs')} ", "dim"),
        Span(outputs),
    )


def component_of(detail: JobDetail, name: str) -> Mapping[str, object]:
    """The task's entry in the specification, or nothing."""
    dag = detail.spec.get("dag")
    found = dag.get("components") if isinstance(dag, Mapping) else None
    for item in found if isinstance(found, list) else ():
        if isinstance(item, Mapping) and item.get("name") == name:
            return item
    return {}


def _ports(node: Mapping[str, object], side: str) -> list[Mapping[str, object]]:
    found = node.get(side)
    return [port for port in found if isinstance(port, Mapping)] if isinstance(found, list) else []


def _port(port: Mapping[str, object], display: Display) -> str:
    key, kind = printable(str(port.get("key") or "")), printable(str(port.get("type") or ""))
    return key + display.aside(kind)
