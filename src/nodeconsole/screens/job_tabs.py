"""The tabs of the job screen. Each shows the same job in another way; what is chosen in one is chosen in the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from nodeconsole.screens import keeping
from nodeconsole.screens.movement import Movable
from nodeconsole.viewmodels.document import coloured, json_lines, marked, places, yaml_lines
from nodeconsole.viewmodels.graph import Cell, Layout
from nodeconsole.viewmodels.history import (
    Stretch,
    chart_lines,
    event_cells,
    event_columns,
    event_subject,
    event_why,
    legend,
    runs_by,
    stretches,
)
from nodeconsole.viewmodels.job import (
    overview_lines,
    parties_of,
    result_cells,
    result_columns,
    result_lines,
    task_cells,
    task_columns,
    task_lines,
)
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
from nodeconsole.viewmodels.results import preview_lines
from nodeconsole.viewmodels.space import keeping_span
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count, printable, size
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.graph import GraphView
from nodeconsole.widgets.sheet import Sheet
from nodeconsole.widgets.table import VirtualTable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import EventRow, JobDetail, ResultRow, TaskRow
    from embedded_scheduler.wire.console_tasks import ResultPreview
    from nodeconsole.screens.job import JobScreen
    from nodeconsole.viewmodels.display import Display
    from nodeconsole.viewmodels.spans import Role

_LARGE = 150
"""A graph of more tasks is laid out beside the event loop."""


class JobTab:
    """`act_<action id>` of the open tab goes before the screen's own."""

    name: ClassVar[str]

    def __init__(self, screen: JobScreen) -> None:
        self.screen = screen
        self.session = screen.session

    @property
    def scope(self) -> str:
        return f"job_{self.name}"

    def widgets(self) -> Iterable[Widget]:
        raise NotImplementedError

    @property
    def main(self) -> Movable:
        raise NotImplementedError

    def show(self, detail: JobDetail, /) -> None:
        """Paint the job as it is now."""
        raise NotImplementedError

    async def load(self) -> bool:
        """Ask the node for what the job itself does not bring along; False when it did not answer."""
        return True

    def choose(self, task: str) -> None:
        """Put the cursor on a task; a tab without tasks keeps in mind which one the others are about."""
        self.screen.chosen = task

    def why(self) -> Line | None:
        """The line about what is under the cursor; None = about the chosen task."""
        return None

    def note(self) -> str:
        """What is seen of how much, for the right end of the head line."""
        return ""

    def offered(self) -> Sequence[str]:
        """What the node offers for what this tab shows, beside what it offers for job and task."""
        return ()

    def find(self, text: str) -> None:
        """What was typed behind `/`: the next task whose name has it."""
        names = [task.name for task in self.screen.detail.tasks] if self.screen.detail else []
        found = self.next_place(names, text, names.index(self.screen.chosen) if self.screen.chosen in names else -1)
        if found is not None:
            self.choose(names[found])
            self.screen.retranslate()

    def next_place(self, lines: Sequence[str], text: str, after: int) -> int | None:
        """The next line with `text`, around the end; says so when there is none."""
        found = places(lines, text)
        if not found:
            self.session.say(self.session.text("message.no_match", text=text), "dim")
            return None
        return next((place for place in found if place > after), found[0])

    def save(self, path: str) -> None:
        """What was typed when asked where to save to."""

    def opened(self) -> None:
        """The row of the cursor was clicked again: as Enter."""
        self.screen.act_job_task()

    def title(self, text: str) -> Line:
        """A rule with a heading, across the screen."""
        rule = self.session.glyphs.rule
        return (
            Span(f" {rule * 2} ", "dim"),
            Span(text, "accent"),
            Span(f" {rule * self.screen.size.width}", "dim"),
        )

    def problem(self, step: int) -> bool:
        """Go to the next (1) or previous (-1) problem; False when there is none."""
        return self.screen.problem_task(step)


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


class TasksTab(JobTab):
    name = "tasks"

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(screen)
        self._parties: tuple[str, ...] = ()
        self.table: VirtualTable[TaskRow] = VirtualTable(
            lambda task: task.name, lambda task: task_cells(task, self._parties, self.session.display()), id="tasks"
        )
        self._rule, self._panel = Bar(id="tasks-rule"), Sheet(id="tasks-panel")
        self.whole_job = False
        """The lower part is about the job, not about the task."""

    def widgets(self) -> Iterable[Widget]:
        yield self.table
        yield self._rule
        yield self._panel

    @property
    def main(self) -> VirtualTable[TaskRow]:
        return self.table

    def show(self, detail: JobDetail) -> None:
        display = self.session.display()
        self._parties = parties_of(detail)
        self.table.set_columns(task_columns(detail, display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        self.table.show(detail.tasks, empty=(display.text("job.no_tasks"),))
        width = max(20, self._panel.view_width - 2)
        task = self.table.item
        if self.whole_job or task is None:
            lines = overview_lines(detail, display, width)
        else:
            lines = task_lines(task, detail, display, width)
        about = "job" if self.whole_job or task is None else "task"
        self._rule.show(self.title(display.text(f"job.about.{about}")), cut=display.glyphs.rule)
        self._panel.show([(Span(" "), *line) for line in lines])

    def choose(self, task: str) -> None:
        self.table.move_to_key(task)

    def act_panel_down(self) -> None:
        self._panel.move(3)

    def act_panel_up(self) -> None:
        self._panel.move(-3)


class TimelineTab(JobTab):
    name = "timeline"

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(screen)
        self._axis = (Bar(id="axis-words"), Bar(id="axis-marks"))
        self._sheet, self._legend = Sheet(id="timeline"), Bar(id="legend")
        self._rows: list[Stretch] = []
        self._at = ""

    def widgets(self) -> Iterable[Widget]:
        yield from self._axis
        yield self._sheet
        yield self._legend

    @property
    def main(self) -> TimelineTab:
        return self

    async def load(self) -> bool:
        return await self.screen.load_events()

    def show(self, detail: JobDetail) -> None:
        display = self.session.display()
        self._rows = stretches(detail, self.screen.events)
        if self._at.split("/")[0] != self.screen.chosen:
            self._at = f"{self.screen.chosen}/"
        axis, lines = chart_lines(self._rows, detail, display, self._sheet.view_width, self._at)
        for bar, line in zip(self._axis, axis, strict=True):
            bar.show(line, cut="")
        self._sheet.show(lines)
        runs = printable(runs_by(detail, self._at))
        self._legend.show((Span(f" {runs}  " if runs else ""), *legend(display)), cut=display.glyphs.cut)

    def choose(self, task: str) -> None:
        super().choose(task)
        if self._at.split("/")[0] != task:
            self._at = f"{task}/"
        self._sheet.bring_into_view(self._place)

    def spots(self) -> Sequence[str]:
        """The visible rows, by task and party."""
        return [row.key for row in self._rows[slice(*self._sheet.visible_lines)]]

    def put_labels(self, labels: Mapping[str, str], /) -> None:
        """Letters over the beginnings of rows, by key."""
        self._sheet.label_lines({place: labels[row.key] for place, row in enumerate(self._rows) if row.key in labels})

    def go_to_spot(self, key: str, /, *, opens: bool) -> None:
        self._go(next((place for place, row in enumerate(self._rows) if row.key == key), self._place))
        if opens:
            self.screen.act_job_task()

    # Movement.

    @property
    def _place(self) -> int:
        return next((number for number, row in enumerate(self._rows) if row.key == self._at), 0)

    def _go(self, place: int) -> None:
        if not self._rows:
            return
        place = max(0, min(place, len(self._rows) - 1))
        self._at = self._rows[place].key
        self.screen.task_chosen(self._rows[place].task)
        self._sheet.bring_into_view(place)

    def move(self, rows: int) -> None:
        self._go(self._place + rows)

    def page(self, pages: int) -> None:
        self._go(self._place + pages * max(1, self._sheet.view_height - 1))

    def first(self) -> None:
        self._go(0)

    def last(self) -> None:
        self._go(len(self._rows) - 1)


class EventsTab(JobTab):
    name = "events"

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(screen)
        self._table: VirtualTable[EventRow] = VirtualTable(
            lambda event: str(event.seq), lambda event: event_cells(event, self.session.display()), id="events"
        )

    def widgets(self) -> Iterable[Widget]:
        yield self._table

    @property
    def main(self) -> VirtualTable[EventRow]:
        return self._table

    async def load(self) -> bool:
        return await self.screen.load_events()

    def show(self, _: JobDetail) -> None:
        display = self.session.display()
        self._table.set_columns(event_columns(display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        # At the end one goes on reading what comes; elsewhere the cursor stays where it is.
        at_end = self._table.cursor >= len(self._table.items) - 1
        self._table.show(self.screen.events)
        if at_end:
            self._table.last()

    def note(self) -> str:
        return self.session.text("event.count", n=count(len(self.screen.events)))

    def why(self) -> Line | None:
        event = self._table.item
        return () if event is None else event_why(event, self.session.display())

    def problem(self, step: int) -> bool:
        return self._table.find(lambda event: event.target in ("FAILED", "REJECTED"), step)

    def find(self, text: str) -> None:
        lines = [" ".join((event_subject(e), e.event, e.actor, e.reason)) for e in self._table.items]
        found = self.next_place(lines, text, self._table.cursor)
        if found is not None:
            self._table.move_to(found)

    def opened(self) -> None:
        self.act_events_open()

    def act_events_open(self) -> None:
        event = self._table.item
        if event is not None:
            title = f"{self.session.text('event.title')} {event.seq}"
            self.screen.open_record(title, event.model_dump(mode="json"))


class ResultsTab(JobTab):
    name = "results"

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(screen)
        self._table: VirtualTable[ResultRow] = VirtualTable(_result_key, result_cells, id="results")
        self._rule, self._panel = Bar(id="results-rule"), Sheet(id="results-panel")
        self._previews: dict[tuple[str, int], ResultPreview] = {}
        """By output and size: what is stored anew is asked for anew."""

    def widgets(self) -> Iterable[Widget]:
        yield self._table
        yield self._rule
        yield self._panel

    @property
    def main(self) -> VirtualTable[ResultRow]:
        return self._table

    async def load(self) -> bool:
        row, detail = self._table.item, self.screen.detail
        if row is None or detail is None or (_result_key(row), row.size) in self._previews:
            return True
        found = await self.session.ask(lambda client: client.result(detail.job.job_id, row.task, row.party, row.output))
        if found is not None:
            self._previews[_result_key(row), row.size] = found
            self.screen.retranslate()
        return found is not None

    def show(self, detail: JobDetail) -> None:
        display = self.session.display()
        self._table.set_columns(result_columns(display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        gone = keeping_span(detail.keeping, display) if detail.keeping.removed_ms is not None else None
        hint = gone.text if gone is not None else display.text("results.none_hint")
        self._table.show(detail.results, empty=(display.text("results.none"), hint))
        self._rule.show(self.title(display.text("results.about")), cut=display.glyphs.rule)
        self._panel.show([(Span(" "), *line) for line in self._lines(max(20, self._panel.view_width - 2))])

    def _lines(self, width: int) -> list[Line]:
        row, display = self._table.item, self.session.display()
        if row is None:
            return []
        preview = self._previews.get((_result_key(row), row.size))
        shown = preview_lines(preview, display, width) if preview else []
        return [*shown, (), *result_lines(row, display, width)]

    def note(self) -> str:
        """What becomes of them."""
        detail = self.screen.detail
        found = keeping_span(detail.keeping, self.session.display()) if detail is not None else None
        return found.text if found is not None else ""

    def offered(self) -> Sequence[str]:
        return self.screen.detail.keeping.actions if self.screen.detail is not None else ()

    def act_results_keep(self, *_: str) -> None:
        if self.screen.detail is not None:
            keeping.keep(self.screen, self.session, self.screen.detail.job.job_id)

    def act_results_release(self, *_: str) -> None:
        if self.screen.detail is not None:
            keeping.release(self.screen, self.session, self.screen.detail.job.job_id)

    def act_results_discard(self, *_: str) -> None:
        detail = self.screen.detail
        if detail is not None:
            total = sum(row.size for row in detail.results)
            keeping.ask_discard(self.screen, self.session, detail.job.job_id, total)

    def find(self, text: str) -> None:
        found = self.next_place([_result_key(row) for row in self._table.items], text, self._table.cursor)
        if found is not None:
            self._table.move_to(found)

    def opened(self) -> None:
        self.act_results_open()

    def act_results_open(self) -> None:
        row = self._table.item
        if row is not None:
            title = f"{printable(row.task)}.{printable(row.output)}"
            self.screen.open_lines(title, self._lines(max(20, self.screen.size.width - 3)))

    def act_panel_down(self) -> None:
        self._panel.move(3)

    def act_panel_up(self) -> None:
        self._panel.move(-3)

    def act_results_save(self, *path: str) -> None:
        row = self._table.item
        if row is None:
            return
        if path:
            self.save(path[0])
        else:
            suffix = {"dataset": ".csv", "report": ".json", "metric": ".json"}.get(row.type, "")
            self.screen.open_prompt("save", self.session.text("log.save_to"), f"{row.task}-{row.output}{suffix}")

    def save(self, path: str) -> None:
        row, detail = self._table.item, self.screen.detail
        if row is not None and detail is not None:
            self.screen.work("save", self._save, Path(path).expanduser(), detail.job.job_id, row)

    async def _save(self, path: Path, job_id: str, row: ResultRow) -> None:
        """The name says the form: .csv, .json, .html, .png; any other = as it is stored."""
        from nodeconsole.exports.forms import ExportError  # noqa: PLC0415 - loaded when it is asked for
        from nodeconsole.exports.saving import save_result  # noqa: PLC0415

        text = self.session.text
        try:
            stored = await self.session.ask(lambda client: save_result(client, job_id, row, path))
        except (OSError, ExportError) as error:
            why = error.strerror if isinstance(error, OSError) else None
            self.session.say(text("log.not_saved", path=path, error=why or error), "bad")
        else:
            if stored is not None:
                self.session.say(text("message.saved", size=size(stored), path=path), "ok")


def _result_key(row: ResultRow) -> str:
    return f"{row.task}/{row.party}/{row.output}"


class SpecTab(JobTab):
    name = "spec"

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(screen)
        self._sheet = Sheet(id="spec")
        self._as_yaml = False
        self._wanted = ""
        self._found = -1
        self._lines: tuple[object, list[str]] = (None, [])

    def widgets(self) -> Iterable[Widget]:
        yield self._sheet

    @property
    def main(self) -> Sheet:
        return self._sheet

    def show(self, detail: JobDetail) -> None:
        lines = self._written(detail)
        hits = set(places(lines, self._wanted))
        shown = (marked(line, self._wanted) if n in hits else coloured(line) for n, line in enumerate(lines))
        self._sheet.show([(Span(" "), *line) for line in shown])

    def _written(self, detail: JobDetail) -> list[str]:
        key = (detail.job.job_id, self._as_yaml)
        if self._lines[0] != key:
            self._lines = (key, yaml_lines(detail.spec) if self._as_yaml else json_lines(detail.spec))
        return self._lines[1]

    def note(self) -> str:
        found = len(places(self._lines[1], self._wanted))
        if self._wanted:
            return self.session.text("spec.found", text=printable(self._wanted), n=count(found))
        return "YAML" if self._as_yaml else "JSON"

    def find(self, text: str) -> None:
        self._wanted, self._found = text, -1
        self._next(1)

    def _next(self, step: int) -> None:
        found = places(self._lines[1], self._wanted)
        if not found:
            self.session.say(self.session.text("message.no_match", text=self._wanted), "dim")
        else:
            ahead = [n for n in found if (n > self._found if step > 0 else n < self._found)]
            self._found = (ahead or found)[0 if step > 0 else -1]
            self._sheet.bring_into_view(self._found)
        self.screen.retranslate()

    def act_spec_form(self) -> None:
        self._as_yaml = not self._as_yaml
        self._found = -1
        self.screen.retranslate()

    def act_spec_copy(self) -> None:
        self.screen.app.copy_to_clipboard("\n".join(self._lines[1]))
        self.session.say(self.session.text("copy.sent", what=self.session.text("job.tab.spec")), "ok")

    def act_spec_next(self) -> None:
        self._next(1)

    def act_spec_before(self) -> None:
        self._next(-1)


TABS: tuple[type[JobTab], ...] = (GraphTab, TasksTab, TimelineTab, EventsTab, ResultsTab, SpecTab)
