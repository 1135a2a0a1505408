"""What screens of several panes share: how the panes stand, which one has the keys, what Enter and `e` do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.containers import Grid
from textual.widget import Widget

from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.panes import PaneRow, Target
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.widgets.pane import Pane

NARROW, WIDE = 80, 140
"""Below the one there is room for one pane at a time, from the other on for three side by side."""
_LOW, _HIGH = 20, 30


class PanesScreen(Moves, ConsoleScreen):
    """Subclasses name their `PANES`, in reading order, and give `pane_rows`."""

    DEFAULT_CSS = """
    PanesScreen Grid { height: 1fr; grid-gutter: 0 2; }
    """
    PANES: ClassVar[tuple[str, ...]]
    """Ids of the panes between which Tab moves; `z` enlarges the chosen one."""
    MOST_COLUMNS = 3
    TALL: ClassVar[str] = ""
    """The last of the panes, if it is for high terminals only: it stands across the screen."""
    ROWS: ClassVar[str] = "1fr"
    """How the height is divided in high terminals, in two columns."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._pane = 0
        self._zoomed = False

    def body(self) -> Iterable[Widget]:
        with Grid(id="panes"):
            for name in self.PANES:
                yield Pane(self.session.glyphs, id=name)

    def pane_rows(self, name: str, width: int, height: int) -> tuple[Line, list[PaneRow]]:
        """Title and rows of a pane with so much room for them."""
        raise NotImplementedError

    # How they stand.

    @property
    def panes(self) -> tuple[str, ...]:
        """Those that there is room for."""
        return self.PANES if self._high else tuple(name for name in self.PANES if name != self.TALL)

    @property
    def _high(self) -> bool:
        return self.size.height >= _HIGH

    def on_mount(self) -> None:
        super().on_mount()
        self._arrange()

    def on_resize(self) -> None:
        self._arrange()
        super().on_resize()

    @property
    def _cramped(self) -> bool:
        return self.size.width < NARROW or self.size.height < _LOW

    def _arrange(self) -> None:
        alone = self._zoomed or self._cramped
        panes = self.panes
        self._pane = min(self._pane, len(panes) - 1)
        columns = 1 if alone else min(self.MOST_COLUMNS, 3 if self.size.width >= WIDE else 2)
        grid = self.query_one("#panes", Grid)
        grid.styles.grid_size_columns = columns
        grid.styles.grid_size_rows = 1 if alone else -(-len(panes) // columns)
        grid.styles.grid_rows = self.ROWS if self._high and columns == 2 else "1fr"
        for name in self.PANES:
            pane = self.query_one(f"#{name}", Pane)
            pane.display = name == self.pane if alone else name in panes
            pane.styles.column_span = columns if name == self.TALL else 1
            pane.active = name == self.pane

    # Which one has the keys.

    @property
    def pane(self) -> str:
        """The id of the chosen pane."""
        return self.panes[self._pane]

    def choose(self, name: str) -> None:
        """Give a pane the keys."""
        self._pane = self.PANES.index(name)
        self._arrange()
        self.repaint_chrome()

    def act_pane_next(self, *_: str) -> None:
        self._step(1)

    def act_pane_before(self, *_: str) -> None:
        self._step(-1)

    def _step(self, step: int) -> None:
        panes = self.panes
        self.choose(panes[(self._pane + step) % len(panes)])
        self.call_after_refresh(self.retranslate)

    def act_pane_zoom(self, *_: str) -> None:
        self._zoomed = not self._zoomed
        self._arrange()
        self.call_after_refresh(self.retranslate)

    def unwind(self) -> bool:
        zoomed = self._zoomed
        if zoomed:
            self.act_pane_zoom()
        return zoomed

    def on_pane_chosen(self, message: Pane.Chosen) -> None:
        self.choose(message.pane.id or self.pane)
        if message.again:
            self.act_pane_open()

    # What they show.

    @property
    def main(self) -> Pane:
        return self.query_one(f"#{self.pane}", Pane)

    def repaint_body(self) -> None:
        for name in self.PANES:
            pane = self.query_one(f"#{name}", Pane)
            if pane.display and pane.view_width > 0:
                title, rows = self.pane_rows(name, pane.view_width - 2, pane.room)
                pane.show(title, rows, self.session.glyphs)

    def why(self) -> Line:
        row = self.main.row
        return row.why if row is not None else ()

    def on_pane_moved(self) -> None:
        self.repaint_chrome()

    # What one does there.

    def act_pane_open(self, *_: str) -> None:
        row = self.main.row
        if row is not None and row.target is not None:
            self._open(row.target)

    def act_pane_runs(self, *_: str) -> None:
        """The runs of the flow under the cursor."""
        from nodeconsole.screens.runs import open_runs  # noqa: PLC0415 - loaded when it is asked for

        row = self.main.row
        kind, _space, name = (row.key if row is not None else "").partition(" ")
        if kind == "flow":
            open_runs(self, self.session, name)
        else:
            self.session.say(self.session.text("message.no_flow_here"), "dim")

    def _open(self, target: Target) -> None:
        match target.kind:
            case "job":
                from nodeconsole.screens.job import JobScreen  # noqa: PLC0415 - loaded when it is asked for

                self.app.push_screen(JobScreen(self.session, target.name))
            case "card":
                from nodeconsole.screens.card import CardScreen  # noqa: PLC0415

                self.app.push_screen(CardScreen(self.session, target.name))
            case "contract":
                from nodeconsole.screens.contract import ContractScreen  # noqa: PLC0415

                self.app.push_screen(ContractScreen(self.session, target.name))
            case "grant":
                from nodeconsole.screens.grant import GrantScreen  # noqa: PLC0415

                self.app.push_screen(GrantScreen(self.session, target.name))
            case _:
                self.console.open_section(target.name, *target.words)

    def act_list_problem(self, *_: str) -> None:
        self._problem(1)

    def act_list_problem_before(self, *_: str) -> None:
        self._problem(-1)

    def _problem(self, step: int) -> None:
        """Through this pane, then through the others in turn."""
        at = self.panes.index(self.pane)
        if self.main.find(_is_problem, step, wrap=False):
            return
        for distance in range(1, len(self.panes) + 1):
            name = self.panes[(at + step * distance) % len(self.panes)]
            pane = self.query_one(f"#{name}", Pane)
            if pane.find(_is_problem, step, wrap=True):
                self.choose(name)
                return
        self.session.say(self.session.text("message.no_problem"), "dim")

    def heading(self, name: str) -> tuple[Span, ...]:
        """The title of a pane in this language."""
        return (Span(self.session.text(f"pane.{name}")),)


def _is_problem(row: PaneRow) -> bool:
    return row.problem
