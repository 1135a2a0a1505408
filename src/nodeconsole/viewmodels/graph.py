"""Drawing a flow: which box stands where, and the lines between them. Pure geometry in terminal cells.

Layers by longest path, an order within each by barycentre sweeps, columns by isotonic regression, then one horizontal
track per source between two layers. Every line enters a box at a column of its own, and where lines of different
sources cross, the vertical one passes over the other: a corner or a junction always belongs to one source.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
_VERTICAL = UP | DOWN
_SWEEPS = 4
_GAP = 3
"""Cells between two boxes; beside a line that passes, one is enough."""
_STRAIGHT = 4.0
"""How much more a line that passes a layer insists on being straight than a box on its place."""

Cell = tuple[int, int]
"""Column and row."""
Edge = tuple[str, str]
"""From, to."""


@dataclass(frozen=True, slots=True)
class Box:
    """A node as a rectangle; `x`, `y` = its upper left cell."""

    key: str
    layer: int
    x: int
    y: int
    width: int
    height: int

    @property
    def centre(self) -> int:
        return self.x + self.width // 2


@dataclass(frozen=True, slots=True)
class Layout:
    """`paths` = the cells of each edge in order, from below its first box to above its last; `rows` = per row, what
    is drawn in which column: directions (`UP` …) in which a line leaves the cell."""

    boxes: Mapping[str, Box]
    paths: Mapping[Edge, tuple[Cell, ...]]
    rows: tuple[Mapping[int, int], ...]
    width: int

    @property
    def height(self) -> int:
        return len(self.rows)

    def neighbour(self, key: str, across: int, down: int) -> str | None:
        """The nearest box that way (one of `across`, `down` is -1 or 1); None when there is none.

        Up and down follow the lines where there are any.
        """
        here = self.boxes[key]
        if down:
            joined = [pair[1 if down > 0 else 0] for pair in self.paths if pair[0 if down > 0 else 1] == key]
            boxes = [self.boxes[name] for name in joined] or list(self.boxes.values())
            ahead = [box for box in boxes if (box.y - here.y) * down > 0]
            found = min(ahead, key=lambda box: (abs(box.y - here.y), abs(box.centre - here.centre)), default=None)
        else:
            beside = [box for box in self.boxes.values() if (box.centre - here.centre) * across > 0]
            found = min(beside, key=lambda box: abs(box.centre - here.centre) + abs(box.y - here.y) * 12, default=None)
        return found.key if found else None


EMPTY = Layout({}, {}, (), 0)


def layers_of(upstream: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Each node below all it reads from; one that reads nothing stands just above the first that reads it.

    Names that are not there, and edges that would close a circle, count for nothing.
    """
    readers: dict[str, list[str]] = {name: [] for name in upstream}
    missing: dict[str, int] = {}
    for name in upstream:
        sources = _sources(upstream, name)
        missing[name] = len(sources)
        for source in sources:
            readers[source].append(name)
    layers = {name: 0 for name in upstream if not missing[name]}
    queue = list(layers)
    for name in queue:
        for reader in readers[name]:
            layers[reader] = max(layers.get(reader, 0), layers[name] + 1)
            missing[reader] -= 1
            if not missing[reader]:
                queue.append(reader)
    placed = set(queue)
    for name in upstream:
        if name not in placed:
            layers[name] = 0
        elif readers[name] and not _sources(upstream, name):
            below = [layers[reader] for reader in readers[name] if reader in placed]
            layers[name] = min(below, default=1) - 1
    return layers


def _sources(upstream: Mapping[str, Sequence[str]], name: str) -> list[str]:
    return [source for source in dict.fromkeys(upstream[name]) if source in upstream and source != name]


def arrange(upstream: Mapping[str, Sequence[str]], width: int, height: int = 1) -> Layout:
    """Place boxes of `width` x `height` cells (wider where many lines enter) and draw the edges between them."""
    edges, layers = _edges(upstream)
    joined = {name for edge in edges for name in edge}
    plan = _Plan(edges, {name: layers[name] for name in upstream if name in joined}, width, height)
    alone = [name for name in upstream if name not in joined]
    boxes = {**plan.boxes, **_grid(alone, plan.width, len(plan.rows), width | 1, height)}
    rows = list(plan.rows)
    rows += [{} for _ in range(max((box.y + box.height for box in boxes.values()), default=0) - len(rows))]
    across = max((box.x + box.width for box in boxes.values()), default=0)
    ordered = {name: boxes[name] for name in upstream}
    return Layout(ordered, plan.paths, tuple(rows), max(across, plan.width))


def _edges(upstream: Mapping[str, Sequence[str]]) -> tuple[list[Edge], dict[str, int]]:
    layers = layers_of(upstream)
    all_edges = [(source, name) for name in upstream for source in _sources(upstream, name)]
    return [(source, name) for source, name in all_edges if layers[source] < layers[name]], layers


def _grid(names: Sequence[str], across: int, top: int, width: int, height: int) -> dict[str, Box]:
    """Boxes without edges, in rows below the rest."""
    per_row = max(4, math.isqrt(len(names)), across // (width + _GAP))
    start = top + 1 if top else 0
    return {
        name: Box(name, -1, place % per_row * (width + _GAP), start + place // per_row * (height + 1), width, height)
        for place, name in enumerate(names)
    }


@dataclass(slots=True)
class _Vertex:
    """A box, or (no `name`) the place where lines of one source pass a layer. A box may be called the empty text."""

    source: int
    layer: int
    width: int
    name: str | None = None
    above: list[int] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    centre: int = 0


@dataclass(slots=True)
class _Net:
    """The lines of one source between two layers. `drops` = the column in which each target is entered."""

    vertex: int
    source: int
    exit: int
    drops: dict[int, int]
    track: int = -1
    detours: dict[int, tuple[int, int]] = field(default_factory=dict)
    """For a target whose column is taken at the track: another column, and the track on which to change over."""

    @property
    def bends(self) -> bool:
        return any(column != self.exit for column in self.drops.values())

    @property
    def span(self) -> tuple[int, int]:
        columns = [
            self.exit,
            *(self.detours[target][0] if target in self.detours else c for target, c in self.drops.items()),
        ]
        return min(columns), max(columns)


class _Plan:
    """The part of the graph that has edges."""

    def __init__(self, edges: Sequence[Edge], layers: Mapping[str, int], width: int, height: int) -> None:
        self._edges = edges
        self._height = height
        self._vertices: list[_Vertex] = []
        self._place: dict[str, int] = {}
        self._trunks: dict[str, list[int]] = {}
        """Per source: its own vertex, then one in each layer that its lines pass."""
        self._layers: list[list[int]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
        self._build(layers, width)
        self._order()
        self._columns()
        self.rows: list[dict[int, int]] = []
        self._owners: list[dict[int, int]] = []
        self._tops: list[int] = []
        self._routes: dict[tuple[int, int], list[Cell]] = {}
        self._draw()
        self.boxes = self._boxes()
        self.paths = {edge: tuple(self._path(edge)) for edge in edges}
        self.width = max((v.centre + v.width // 2 + 1 for v in self._vertices), default=0)
        self.width = max((self.width, *(max(row) + 1 for row in self.rows if row)))

    def _build(self, layers: Mapping[str, int], width: int) -> None:
        for name, layer in layers.items():
            self._place[name] = self._add(_Vertex(len(self._vertices), layer, width | 1, name))
        incoming: dict[str, int] = {}
        for source, target in self._edges:
            incoming[target] = incoming.get(target, 0) + 1
            self._vertices[self._place[target]].width = max(width, incoming[target]) | 1
            trunk = self._trunks.setdefault(source, [self._place[source]])
            start = self._vertices[trunk[0]]
            while start.layer + len(trunk) < layers[target]:
                passing = self._add(_Vertex(trunk[0], start.layer + len(trunk), 1))
                self._join(trunk[-1], passing)
                trunk.append(passing)
            self._join(trunk[layers[target] - start.layer - 1], self._place[target])

    def _add(self, vertex: _Vertex) -> int:
        self._vertices.append(vertex)
        self._layers[vertex.layer].append(len(self._vertices) - 1)
        return len(self._vertices) - 1

    def _join(self, upper: int, lower: int) -> None:
        self._vertices[upper].below.append(lower)
        self._vertices[lower].above.append(upper)

    # Order within the layers.

    def _order(self) -> None:
        best, fewest = [list(layer) for layer in self._layers], self._crossings()
        for sweep in range(_SWEEPS):
            if not fewest:
                break
            downwards = sweep % 2 == 0
            last = len(self._layers) - 1
            for number in range(1, last + 1) if downwards else range(last - 1, -1, -1):
                self._sort(number, downwards=downwards)
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(layer) for layer in self._layers], crossings
        self._layers = best

    def _sort(self, number: int, *, downwards: bool) -> None:
        layer = self._layers[number]
        beside = self._layers[number - 1 if downwards else number + 1]
        places = {vertex: place for place, vertex in enumerate(beside)}
        weights = {}
        for place, vertex in enumerate(layer):
            others = self._vertices[vertex].above if downwards else self._vertices[vertex].below
            weights[vertex] = sum(places[v] for v in others) / len(others) if others else float(place)
        layer.sort(key=weights.__getitem__)

    def _crossings(self) -> int:
        total = 0
        for upper, lower in pairwise(self._layers):
            places = {vertex: place for place, vertex in enumerate(lower)}
            seen: list[int] = []
            for vertex in upper:
                ends = sorted(places[below] for below in self._vertices[vertex].below)
                total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
                for end in ends:
                    insort(seen, end)
        return total

    # Columns.

    def _columns(self) -> None:
        for layer in self._layers:
            self._settle(layer, [0.0] * len(layer))
        for sweep in range(5):
            downwards = sweep % 2 == 0
            for layer in self._layers if downwards else self._layers[::-1]:
                self._settle(layer, [self._wish(vertex, downwards=downwards) for vertex in layer])
        left = min((v.centre - v.width // 2 for v in self._vertices), default=0)
        for vertex in self._vertices:
            vertex.centre -= left

    def _wish(self, number: int, *, downwards: bool) -> float:
        vertex = self._vertices[number]
        beside = (vertex.above if downwards else vertex.below) or vertex.below or vertex.above
        return sum(self._vertices[v].centre for v in beside) / len(beside)

    def _settle(self, layer: Sequence[int], wishes: Sequence[float]) -> None:
        """As near to the wishes as the order and the gaps allow (least squares)."""
        offset = 0
        blocks: list[tuple[float, float, list[tuple[int, int]]]] = []
        for place, (number, wish) in enumerate(zip(layer, wishes, strict=True)):
            vertex = self._vertices[number]
            if place:
                before = self._vertices[layer[place - 1]]
                gap = 1 if before.name is None or vertex.name is None else _GAP
                offset += before.width // 2 + vertex.width // 2 + 1 + gap
            weight = _STRAIGHT if vertex.name is None else 1.0
            mean, total, members = wish - offset, weight, [(number, offset)]
            while blocks and blocks[-1][0] > mean:
                other_mean, other_total, other_members = blocks.pop()
                mean = (mean * total + other_mean * other_total) / (total + other_total)
                total, members = total + other_total, other_members + members
            blocks.append((mean, total, members))
        for mean, _, members in blocks:
            for number, distance in members:
                self._vertices[number].centre = math.floor(mean + 0.5) + distance

    # Lines.

    def _draw(self) -> None:
        ports = self._ports()
        for number, layer in enumerate(self._layers):
            self._tops.append(len(self.rows))
            self._grow(self._height)
            for vertex in layer:
                if self._vertices[vertex].name is None:
                    self._pass(vertex, self._tops[-1])
            if number + 1 < len(self._layers):
                self._channel([self._net(vertex, ports) for vertex in layer if self._vertices[vertex].below])

    def _grow(self, rows: int) -> None:
        self.rows += [{} for _ in range(rows)]
        self._owners += [{} for _ in range(rows)]

    def _pass(self, number: int, top: int) -> None:
        vertex = self._vertices[number]
        cells = [(vertex.centre, top + row) for row in range(self._height)]
        self._routes[number, number] = cells
        self._lay(vertex.source, cells)

    def _ports(self) -> dict[tuple[int, int], int]:
        """The column in which a line from one vertex enters another, a different one for each line."""
        ports = {}
        for number, vertex in enumerate(self._vertices):
            sources = sorted(vertex.above, key=lambda upper: (self._vertices[upper].centre, upper))
            step = 2 if 2 * len(sources) - 1 <= vertex.width else 1
            first = vertex.centre - step * (len(sources) - 1) // 2
            ports.update({(source, number): first + step * place for place, source in enumerate(sources)})
        return ports

    def _net(self, number: int, ports: Mapping[tuple[int, int], int]) -> _Net:
        vertex = self._vertices[number]
        return _Net(number, vertex.source, vertex.centre, {below: ports[number, below] for below in vertex.below})

    def _channel(self, nets: Sequence[_Net]) -> None:
        top = len(self.rows)
        self._grow(max(1, _assign_tracks([net for net in nets if net.bends], _taken(nets))))
        bottom = len(self.rows) - 1
        for net in nets:
            for target, column in net.drops.items():
                corners = [(net.exit, top)]
                if column != net.exit:
                    corners.append((net.exit, top + net.track))
                    if target in net.detours:
                        aside, track = net.detours[target]
                        corners += [(aside, top + net.track), (aside, top + track), (column, top + track)]
                    else:
                        corners.append((column, top + net.track))
                cells = _cells([*corners, (column, bottom)])
                self._routes[net.vertex, target] = cells
                self._lay(net.source, cells)

    def _lay(self, source: int, cells: Sequence[Cell]) -> None:
        """Draw a line that comes from above its first cell and goes on below its last."""
        for place, (x, y) in enumerate(cells):
            before = cells[place - 1] if place else (x, y - 1)
            after = cells[place + 1] if place + 1 < len(cells) else (x, y + 1)
            bits = _towards((x, y), before) | _towards((x, y), after)
            owner = self._owners[y].get(x)
            if owner == source:
                self.rows[y][x] |= bits
            elif owner is None or bits == _VERTICAL:
                self.rows[y][x], self._owners[y][x] = bits, source

    # What comes of it.

    def _boxes(self) -> dict[str, Box]:
        found = {}
        for vertex in self._vertices:
            if vertex.name is not None:
                x = vertex.centre - vertex.width // 2
                found[vertex.name] = Box(
                    vertex.name, vertex.layer, x, self._tops[vertex.layer], vertex.width, self._height
                )
        return found

    def _path(self, edge: Edge) -> Iterable[Cell]:
        source, target = edge
        trunk = self._trunks[source]
        length = self._vertices[self._place[target]].layer - self._vertices[trunk[0]].layer
        chain = [*trunk[:length], self._place[target]]
        for upper, lower in pairwise(chain):
            yield from self._routes[upper, lower]
            yield from self._routes.get((lower, lower), ())


def _cells(corners: Sequence[Cell]) -> list[Cell]:
    """Every cell on the way from corner to corner, each once."""
    cells = [corners[0]]
    for x, y in corners[1:]:
        while cells[-1] != (x, y):
            column, row = cells[-1]
            cells.append((column + (x > column) - (x < column), row + (y > row) - (y < row)))
    return cells


def _towards(cell: Cell, other: Cell) -> int:
    if other[0] != cell[0]:
        return RIGHT if other[0] > cell[0] else LEFT
    return DOWN if other[1] > cell[1] else UP


def _taken(nets: Sequence[_Net]) -> set[int]:
    return {column for net in nets for column in (net.exit, *net.drops.values())}


def _assign_tracks(nets: Sequence[_Net], taken: set[int]) -> int:
    """Give each net a row of its own where they would touch; returns how many rows there are.

    A net that goes down in the column in which another one comes from its box has to lie below it. Where that goes
    round in a circle, a line leaves its track in a free column and changes over further down.
    """
    rows: list[list[tuple[int, int]]] = []
    by_exit = {net.exit: net for net in nets}
    waiting = sorted(nets, key=_from_outside)
    detours: list[tuple[_Net, int]] = []
    while waiting:
        net = next((net for net in waiting if not _blockers(net, by_exit, waiting)), None)
        if net is None:
            net = waiting[0]
            for target in _blockers(net, by_exit, waiting):
                aside = _free_column(net.drops[target], taken)
                taken.add(aside)
                net.detours[target] = (aside, -1)
                detours.append((net, target))
        waiting.remove(net)
        above = [
            by_exit[column].track
            for target, column in net.drops.items()
            if target not in net.detours and by_exit.get(column, net) is not net
        ]
        net.track = _first_room(rows, net.span, max(above, default=-1) + 1)
    last = len(rows)
    for net, target in detours:
        aside, column = net.detours[target][0], net.drops[target]
        span = (min(aside, column), max(aside, column))
        net.detours[target] = (aside, _first_room(rows, span, last))
    return len(rows)


def _from_outside(net: _Net) -> tuple[int, int]:
    """Of the nets that go right the rightmost first, of those that go left the leftmost: then they do not cross."""
    low, high = net.span
    right = high - net.exit > net.exit - low
    return (0, -net.exit) if right else (1, net.exit)


def _blockers(net: _Net, by_exit: Mapping[int, _Net], waiting: Sequence[_Net]) -> list[int]:
    """Targets of `net` in whose column another net, not placed yet, comes from above."""
    return [
        target
        for target, column in net.drops.items()
        if column in by_exit and (other := by_exit[column]) is not net and any(other is one for one in waiting)
    ]


def _free_column(near: int, taken: set[int]) -> int:
    distance = 1
    while True:
        for column in (near + distance, near - distance):
            if column >= 0 and column not in taken:
                return column
        distance += 1


def _first_room(rows: list[list[tuple[int, int]]], span: tuple[int, int], start: int) -> int:
    for number in range(start, len(rows)):
        # An end may touch another one's end: corners tell them apart.
        if all(span[1] < low or high < span[0] for low, high in rows[number]):
            rows[number].append(span)
            return number
    rows += [[] for _ in range(start - len(rows))]
    rows.append([span])
    return len(rows) - 1
