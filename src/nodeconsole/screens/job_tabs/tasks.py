"""The tasks as a list, with what is known of the chosen one, or of the job, below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.screens.job_tabs.tab import PanelTab
from nodeconsole.viewmodels.job import overview_lines, parties_of, task_cells, task_columns, task_lines
from nodeconsole.widgets.table import VirtualTable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail, TaskRow
    from nodeconsole.screens.job import JobScreen


class TasksTab(PanelTab):
    name = "tasks"

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(screen)
        self._parties: tuple[str, ...] = ()
        self.table: VirtualTable[TaskRow] = VirtualTable(
            lambda task: task.name, lambda task: task_cells(task, self._parties, self.session.display()), id="tasks"
        )
        self.whole_job = False
        """The lower part is about the job, not about the task."""

    @property
    def main(self) -> VirtualTable[TaskRow]:
        return self.table

    def show(self, detail: JobDetail) -> None:
        display = self.session.display()
        self._parties = parties_of(detail)
        self.table.set_columns(task_columns(detail, display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        self.table.show(detail.tasks, empty=(display.text("job.no_tasks"),))
        width = self.panel_width
        task = self.table.item
        if self.whole_job or task is None:
            lines = overview_lines(detail, display, width)
        else:
            lines = task_lines(task, detail, display, width)
        about = "job" if self.whole_job or task is None else "task"
        self.show_panel(display.text(f"job.about.{about}"), lines)

    def choose(self, task: str) -> None:
        self.table.move_to_key(task)
