"""The runs of one flow as a grid: tasks down, runs across, newest on the right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.runs import Grid, axis_facts, grid_lines, run_facts
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count, printable
from nodeconsole.widgets.sheet import Sheet

_PAGE = 40
_CHART, _LEAST_CHART = 8, 3


class RunsScreen(Moves, ConsoleScreen):
    """Moving left beyond the oldest run that is here asks for older ones."""

    SCOPES: ClassVar[tuple[str, ...]] = ("runs", "move", GLOBAL)

    def __init__(self, session: Session, flow_id: str) -> None:
        super().__init__(session)
        self._flow_id = flow_id
        self._grid = Grid()
        self._next: str | None = None
        self._row = 0
        self._job_id = ""
        """The chosen run; empty = the newest."""

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="grid")

    @property
    def main(self) -> RunsScreen:
        return self

    @property
    def _sheet(self) -> Sheet:
        return self.query_one("#grid", Sheet)

    @property
    def _chart(self) -> int:
        """Lines for the chart of times: what the rows leave free, if that is enough to read."""
        free = self._sheet.view_height - len(self._grid.rows) - 1
        return min(_CHART, free) if free >= _LEAST_CHART else 0

    @property
    def _column(self) -> int:
        places = [place for place, run in enumerate(self._grid.runs) if run.job.job_id == self._job_id]
        return places[0] if places else len(self._grid.runs) - 1

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        left = (
            Span(f" {text('runs.title')} > ", "dim"),
            Span(printable(self._flow_id), "accent"),
            Span(f"  {text('runs.count', n=count(len(self._grid.runs)))}", "dim"),
        )
        return left, axis_facts(self._grid.runs, self.session.display())

    def why(self) -> Line:
        if not self._grid.runs:
            return ()
        run, task = self._grid.runs[self._column], self._grid.rows[self._row]
        return run_facts(run, task, self._grid.status(self._row, self._column), self.session.display())

    def repaint_body(self) -> None:
        display = self.session.display()
        width = max(20, self._sheet.view_width)
        if self._grid.runs:
            lines = grid_lines(self._grid, self._row, self._column, width, display, chart=self._chart)
            self._sheet.show(lines)
        elif self.has_data:
            self._sheet.show([(), (Span(f"   {display.text('runs.none')}", "strong"),)])

    async def reload(self, changes: Changes) -> bool:
        known = {run.job.job_id for run in self._grid.runs}
        if not changes.everything and not changes.jobs & known and "job" not in changes.subjects:
            return True
        return await self._read(None)

    async def _read(self, before: str | None) -> bool:
        """The newest page (what is older stays), or the one before what is here."""
        page = await self.session.ask(lambda client: client.runs(self._flow_id, before=before, limit=_PAGE))
        if page is None:
            return False
        fresh = {run.job.job_id: run for run in page.runs}
        kept = [run for run in self._grid.runs if run.job.job_id not in fresh]
        runs = sorted((*kept, *fresh.values()), key=lambda run: int(run.job.cursor or 0))
        tasks = dict.fromkeys((*page.tasks, *self._grid.tasks))
        if before is not None or not kept:
            self._next = page.next
        self._grid = Grid(tuple(tasks), tuple(runs))
        self._row = min(self._row, len(self._grid.rows) - 1)
        self.retranslate()
        return True

    # Movement.

    def _go(self, row: int, column: int) -> None:
        if not self._grid.runs:
            return
        if column < 0 and self._next is not None:
            self.work("older", self._read, self._next)
        self._row = max(0, min(row, len(self._grid.rows) - 1))
        column = max(0, min(column, len(self._grid.runs) - 1))
        # At the newest one stays with the newest.
        newest = column == len(self._grid.runs) - 1
        self._job_id = "" if newest else self._grid.runs[column].job.job_id
        self.retranslate()
        self._sheet.bring_into_view(self._row + self._chart)

    def move(self, rows: int) -> None:
        self._go(self._row + rows, self._column)

    def page(self, pages: int) -> None:
        self._go(self._row + pages * max(1, self._sheet.view_height - 1), self._column)

    def first(self) -> None:
        self._go(0, self._column)

    def last(self) -> None:
        self._go(len(self._grid.rows) - 1, self._column)

    def act_runs_left(self) -> None:
        self._go(self._row, self._column - 1)

    def act_runs_right(self) -> None:
        self._go(self._row, self._column + 1)

    def act_list_problem(self) -> None:
        self._problem(1)

    def act_list_problem_before(self) -> None:
        self._problem(-1)

    def _problem(self, step: int) -> None:
        found = self._grid.next_failed(self._row, self._column, step) if self._grid.runs else None
        if found is None:
            self.session.say(self.session.text("message.no_problem"), "dim")
        else:
            self._go(*found)

    def act_runs_open(self) -> None:
        from nodeconsole.screens.job import JobScreen  # noqa: PLC0415 - loaded when it is asked for

        if self._grid.runs:
            job, task = self._grid.runs[self._column].job, self._grid.rows[self._row]
            self.app.push_screen(JobScreen(self.session, job.job_id, task=task))


def open_runs(screen: ConsoleScreen, session: Session, flow_id: str) -> None:
    """The runs of a flow, on top of a screen."""
    if flow_id:
        screen.app.push_screen(RunsScreen(session, flow_id))
    else:
        session.say(session.text("message.no_flow"), "dim")
