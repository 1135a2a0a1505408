"""The flow as boxes and lines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from textual.widget import Widget

from nodeconsole.screens.job_tabs.tab import JobTab
from nodeconsole.viewmodels.graph import Cell, Layout
from nodeconsole.viewmodels.job import task_lines
from nodeconsole.viewmodels.jobgraph import (
    LEVELS,
    component_facts,
    critical_path,
    faces_of,
    fitting_level,
    graph_of,
    lit_cells,
    path_facts,
    port_facts,
    task_facts,
    upstream_of,
)
from nodeconsole.viewmodels.spans import Span
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.graph import GraphView
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail, TaskRow
    from nodeconsole.screens.job import JobScreen
    from nodeconsole.viewmodels.display import Display
    from nodeconsole.viewmodels.spans import Role

_LARGE = 150
"""A graph of more tasks is laid out beside the event loop."""


class GraphTab(JobTab):
    name = "graph"

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(screen)
        self.view = GraphView(id="graph")
        self._facts, self._more, self._side = Bar(id="graph-facts"), Bar(id="graph-more"), Sheet(id="graph-side")
        self._level = ""
        """Empty = whatever fits."""
        self._shown_level = "name"
        self._topology: object = None
        self._layouts: dict[str, Layout] = {}
        self._path_shown = False
        self._ports_shown = False

    def widgets(self) -> Iterable[Widget]:
        from textual.containers import Horizontal  # noqa: PLC0415

        yield Horizontal(self.view, self._side, id="graph-body")
        yield self._facts
        yield self._more

    @property
    def main(self) -> GraphView:
        return self.view

    async def load(self) -> bool:
        detail = self.screen.detail
        if detail is not None and len(detail.tasks) > _LARGE:
            await asyncio.to_thread(self._laid_out, detail.tasks, self.session.display())
        return True

    def _laid_out(self, tasks: Sequence[TaskRow], display: Display) -> tuple[str, Layout]:
        """The level of detail and the layout; a layout is made anew only when the topology is another one."""
        names = upstream_of(tasks)
        if self._topology != (names, display.glyphs.name):
            self._topology, self._layouts = (names, display.glyphs.name), {}

        def layout(level: str) -> Layout:
            if level not in self._layouts:
                self._layouts[level] = graph_of(tasks, level, display)
            return self._layouts[level]

        width, height = self.view.view_width or 78, self.view.view_height or 14
        self._shown_level = self._level or fitting_level(layout, len(tasks), width - 4, height)
        return self._shown_level, layout(self._shown_level)

    def show(self, detail: JobDetail) -> None:
        display = self.session.display()
        level, layout = self._laid_out(detail.tasks, display)
        faces = faces_of(detail.tasks, layout, level, display)
        self.view.show(layout, faces, display.glyphs.lines, empty=display.text("job.no_tasks"))
        self._side.display = self.screen.size.width >= 120
        self._light(detail)
        task = self.screen.chosen_task
        if task is None:
            return
        cut = display.glyphs.cut
        self._facts.show(task_facts(task, display), cut=cut)
        if self._path_shown:
            more = path_facts(critical_path(detail.tasks, display.now_ms), display)
        else:
            more = port_facts(task, detail, display) if self._ports_shown else component_facts(task, display)
        self._more.show(more, cut=cut)
        width = max(20, self._side.view_width - 2)
        self._side.show([(Span(" "), *line) for line in task_lines(task, detail, display, width)])

    def _light(self, detail: JobDetail) -> None:
        """The lines of the chosen box, and of the critical path."""
        chosen, graph = self.view.key, self.view.graph
        lit: dict[Cell, Role] = dict.fromkeys(lit_cells(graph, lambda edge: chosen in edge), "accent")
        if self._path_shown:
            steps = set(pairwise(critical_path(detail.tasks, self.session.now_ms())))
            lit |= dict.fromkeys(lit_cells(graph, lambda edge: edge in steps), "warn")
        self.view.light(lit)

    def choose(self, task: str) -> None:
        self.view.go(task)

    def act_graph_left(self) -> None:
        self.view.step(-1, 0)

    def act_graph_right(self) -> None:
        self.view.step(1, 0)

    def act_graph_path(self) -> None:
        self._path_shown, self._ports_shown = not self._path_shown, False
        self.screen.retranslate()

    def act_graph_ports(self) -> None:
        self._path_shown, self._ports_shown = False, not self._ports_shown
        self.screen.retranslate()

    def act_graph_finer(self) -> None:
        self._change_level(1)

    def act_graph_coarser(self) -> None:
        self._change_level(-1)

    def act_graph_fit(self) -> None:
        self._level = ""
        self.screen.retranslate()

    def _change_level(self, step: int) -> None:
        self._level = LEVELS[max(0, min(LEVELS.index(self._shown_level) + step, len(LEVELS) - 1))]
        self.screen.retranslate()
