"""What the tabs of the job screen have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.widget import Widget

from nodeconsole.screens.movement import Movable
from nodeconsole.viewmodels.document import places
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.sheet import Sheet
from nodeconsole.widgets.table import VirtualTable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail
    from nodeconsole.screens.job import JobScreen

T = TypeVar("T")


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

    def find_row(self, table: VirtualTable[T], text: str, line: Callable[[T], str]) -> None:
        """Go to the next row of a table whose `line` has what was typed."""
        found = self.next_place([line(row) for row in table.items], text, table.cursor)
        if found is not None:
            table.move_to(found)

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


class PanelTab(JobTab):
    """Below its table a rule with a heading, and what is known of the row under the cursor."""

    table: Widget

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(screen)
        self._rule, self._panel = Bar(id=f"{self.name}-rule"), Sheet(id=f"{self.name}-panel")

    def widgets(self) -> Iterable[Widget]:
        yield self.table
        yield self._rule
        yield self._panel

    @property
    def panel_width(self) -> int:
        """Cells for what `show_panel` gets."""
        return max(20, self._panel.view_width - 2)

    def show_panel(self, heading: str, lines: Iterable[Line]) -> None:
        self._rule.show(self.title(heading), cut=self.session.glyphs.rule)
        self._panel.show([(Span(" "), *line) for line in lines])

    def act_panel_down(self) -> None:
        self._panel.move(3)

    def act_panel_up(self) -> None:
        self._panel.move(-3)
