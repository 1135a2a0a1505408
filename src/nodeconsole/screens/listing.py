"""The one grammar of all lists: move, open, filter, mark, sort, columns, preview, copy, save, act."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace as replaced
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from textual.containers import Container
from textual.widget import Widget

from nodeconsole.actions import GLOBAL, Action
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.filter_line import KIND as FILTER
from nodeconsole.screens.filter_line import FilterLine
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.screens.set_writes import SetWrite, ask_for_set
from nodeconsole.screens.strips import Strip
from nodeconsole.screens.taking_along import offer_copies, save_rows
from nodeconsole.state import Json
from nodeconsole.viewmodels.changes import EVERYTHING
from nodeconsole.viewmodels.list_filter import FilterFault, list_fault_text, parse_filter
from nodeconsole.viewmodels.listing import (
    Listing,
    View,
    arranged,
    in_order,
    kept_view,
    matching,
    sort_letters,
)
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count, printable
from nodeconsole.widgets.sheet import Sheet
from nodeconsole.widgets.table import VirtualTable

T = TypeVar("T")
_BESIDE_FROM, _BESIDE_AT_ONCE = 100, 120
"""From so many columns the preview stands beside the list; from so many it is there without being asked for."""


class ListingScreen(Moves, ConsoleScreen, Generic[T]):
    """Subclasses give `listing`, put all rows into `rows` and call `show_rows`.

    Filter and order are applied here to the complete set; a list that is never complete overrides `filter`, `sort` and
    `shown` and lets the node do it. Scopes: its own, `list`, `move`, global.
    """

    SCOPES: ClassVar[tuple[str, ...]] = ("list", "move", GLOBAL)
    PREVIEW_LINES: ClassVar[int] = 0
    """Lines of the preview below the list where there is no room beside it; 0 = none unless asked for."""
    DEFAULT_CSS = """
    ListingScreen #list { height: 1fr; layout: vertical; }
    ListingScreen #list.-beside { layout: horizontal; }
    ListingScreen #rows { width: 1fr; height: 1fr; }
    ListingScreen #preview { display: none; height: 8; }
    ListingScreen #list.-below #preview { display: block; }
    ListingScreen #list.-beside #preview { display: block; width: 40%; height: 1fr; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.rows: Sequence[T] = ()
        self.view = View()
        self._pattern = ""
        self._marked: dict[str, T] = {}
        self._previewing: bool | None = None
        self._fault: FilterFault | None = None
        self._filter_line = FilterLine(self)

    def on_mount(self) -> None:
        asked = self._pattern
        self.recall_view()
        if asked:
            self.recall_filter(asked)
        super().on_mount()

    # What is kept over a restart.

    def recall_view(self) -> None:
        """Columns, order and filter as the list was left."""
        nothing: dict[str, Json] = {}
        kept = self.session.state.recall(f"list.{self.listing.name}", nothing)
        self.view = kept_view(kept, self.listing.columns(self.session.display()))
        pattern = kept.get("filter")
        self.recall_filter(pattern if isinstance(pattern, str) else "")

    def recall_filter(self, text: str) -> None:
        """The filter that was left, before anything is loaded."""
        self._pattern = text

    def _keep_view(self) -> None:
        key, state = f"list.{self.listing.name}", self.session.state
        untouched: dict[str, Json] = {**View().kept(), "filter": ""}
        kept: dict[str, Json] = {**self.view.kept(), "filter": self._pattern}
        if state.recall(key, untouched) != kept:
            state.remember(key, kept)

    def act_list_reset(self, *_: str) -> None:
        """All columns, the list's own order, no filter."""
        self.view = View()
        self.filter("")
        self.retranslate()
        self.changed(EVERYTHING)
        self.session.say(self.session.text("list.reset"), "dim")

    @property
    @abstractmethod
    def listing(self) -> Listing[T]:
        """What kind of list it is."""

    def body(self) -> Iterable[Widget]:
        yield Container(
            VirtualTable[T](self.listing.key, self._cells, id="rows"),
            Sheet(id="preview"),
            id="list",
        )

    @property
    def main(self) -> VirtualTable[T]:
        return self.query_one("#rows", VirtualTable)

    def _cells(self, row: T) -> Line:
        cells = self.listing.cells(row, self.session.display())
        return tuple(cells[place] for place in self._places)

    @property
    def _places(self) -> tuple[int, ...]:
        return arranged(self.listing.columns(self.session.display()), self.view)[1]

    # What is shown.

    @property
    def pattern(self) -> str:
        """The filter, as it was typed."""
        return self._pattern

    def shown(self) -> Sequence[T]:
        """The rows that fit the filter, in order."""
        display, listing = self.session.display(), self.listing
        found = parse_filter(self._pattern, self._column_ids)
        self._fault = found.fault
        return in_order(matching(self.rows, listing, found, display), listing, self.view, display)

    @property
    def _column_ids(self) -> list[str]:
        return [column.id for column in self.listing.columns(self.session.display())]

    def filter_words(self, last: str) -> list[str]:  # noqa: ARG002 - of a list whose fields have values of their own
        """What the last word of the filter can begin with."""
        return [f"{name}:" for name in (*self._column_ids, "re")]

    def filter_fault(self) -> str:
        """What is wrong with the filter; empty = nothing."""
        return list_fault_text(self._fault, self.session.display()) if self._fault is not None else ""

    def more(self) -> str:
        """What to say below the last row when the node has further ones."""
        return ""

    def empty(self) -> tuple[str, ...]:
        """What to say instead of rows."""
        text, name = self.session.text, self.listing.name
        if not self.has_data:
            return ()
        return (text("list.none_found"),) if self._pattern else (text(f"{name}.none"), text(f"{name}.none_hint"))

    def show_rows(self, *, news: bool = False) -> None:
        """After any change of what belongs into the list; `news` = because something happened at the node."""
        rows = self.shown()
        self._keep_view()
        self._take_marked(rows)
        self.main.show(rows, more=self.more(), empty=self.empty(), news=news)
        self.show_preview()

    def take_rows(self, rows: Sequence[T]) -> None:
        """The whole list as the node has it now."""
        news, self.rows = self._loaded, rows
        self._loaded = True
        self.show_rows(news=news)
        self.repaint_chrome()

    def repaint_body(self) -> None:
        display = self.session.display()
        glyphs, view = display.glyphs, self.view
        columns, _ = arranged(self.listing.columns(display), view)
        sign = glyphs.down if view.reverse else glyphs.up
        self._lay_out()
        self.main.set_columns(
            columns,
            cursor=glyphs.cursor,
            cut=glyphs.cut,
            ordered=(view.by, sign) if view.by else ("", ""),
            wide=view.wide,
        )
        self.show_rows()

    def heading(self) -> str:
        return self.session.text(f"{self.listing.name}.heading")

    def counted(self) -> str:
        """How many rows of how many."""
        if not self.has_data:
            return ""
        shown, known = len(self.main.items), len(self.rows)
        if shown == known:
            return count(known)
        return self.session.text("list.counted", shown=count(shown), total=count(known))

    def crumbs(self) -> tuple[Line, Line]:
        left = [Span(f" {self.heading()}", "accent")]
        if self._pattern:
            left.append(Span(f"  {self.session.text('list.filtered', filter=printable(self._pattern))}", "wait"))
        fault = self.filter_fault()
        if fault:
            left.append(Span(f"  ! {fault}", "bad"))
        return tuple(left), (Span(f"{self.counted()} ", "dim"),)

    def chips(self) -> Line:
        text, glyphs = self.session.text, self.session.glyphs
        unseen = self.main.unseen
        spans: list[Span] = []
        if unseen.above:
            spans.append(Span(f" {glyphs.up} {text('list.new', n=unseen.above)} ", "wait"))
        if unseen.below:
            spans.append(Span(f" {glyphs.down} {text('list.new', n=unseen.below)} ", "wait"))
        if self.main.range_start is not None:
            spans.append(Span(f" {text('list.range', n=len(self.main.range))} ", "key"))
        if self._marked:
            spans.append(Span(f" {text('list.marked', n=count(len(self._marked)))} ", "accent"))
        return tuple(spans)

    # Preview.

    def preview(self, row: T, width: int, height: int) -> list[Line]:  # noqa: ARG002 - for one that fills its pane
        """About the row under the cursor."""
        facts = self.listing.facts
        return [] if facts is None else facts(row, self.session.display(), width)

    @property
    def previews(self) -> bool:
        """There is more to say about a row than the list does."""
        return self.listing.facts is not None

    def _lay_out(self) -> None:
        width = self.size.width
        shown = self._previewing
        if shown is None:
            shown = width >= _BESIDE_AT_ONCE or self.PREVIEW_LINES > 0
        shown = shown and self.previews
        place = self.query_one("#list", Container)
        place.set_class(shown and width >= _BESIDE_FROM, "-beside")
        place.set_class(shown and width < _BESIDE_FROM, "-below")

    @property
    def previewing(self) -> bool:
        return bool(self.query_one("#list", Container).classes & {"-beside", "-below"})

    def show_preview(self) -> None:
        sheet = self.query_one("#preview", Sheet)
        row = self.main.item
        width, height = max(20, sheet.view_width - 3), sheet.view_height
        lines = self.preview(row, width, height) if row is not None and self.previewing else []
        sheet.show([(Span("  "), *line) for line in lines])

    def act_list_preview(self, *_: str) -> None:
        self._previewing = not self.previewing
        self._lay_out()
        self.call_after_refresh(self.retranslate)

    # The cursor.

    def on_virtual_table_moved(self) -> None:
        self.show_preview()
        self.repaint_chrome()

    def on_virtual_table_scrolled(self) -> None:
        self.repaint_chrome()

    def on_virtual_table_opened(self) -> None:
        self.act_list_open()

    def on_virtual_table_headed(self, message: VirtualTable.Headed) -> None:
        self.sort(message.column)

    def act_list_open(self, *_: str) -> None:
        self.act_list_describe()

    def act_list_left(self, *_: str) -> None:
        self.main.sideways(-1)

    def act_list_right(self, *_: str) -> None:
        self.main.sideways(1)

    def act_list_problem(self, *_: str) -> None:
        self._problem(1)

    def act_list_problem_before(self, *_: str) -> None:
        self._problem(-1)

    def _problem(self, step: int) -> None:
        if not self.main.find(self.listing.problem, step):
            self.session.say(self.session.text("message.no_problem"), "dim")

    # Filter.

    def filter(self, text: str) -> None:
        """Show the rows that fit."""
        text = text.strip()
        if text != self._pattern:
            self._pattern = text
            self.show_rows()
            self.repaint_chrome()

    def act_list_filter(self, *_: str) -> None:
        self._filter_line.open()

    def prompt_typed(self, kind: str, text: str) -> None:
        if kind == FILTER:
            self._filter_line.typed(text)

    def prompt_tab(self, kind: str, step: int) -> None:
        if kind == FILTER:
            self._filter_line.tab(step)

    def prompt_lines(self, kind: str, width: int) -> tuple[Line, ...]:
        return self._filter_line.lines(width) if kind == FILTER else ()

    def prompt_entered(self, kind: str, text: str) -> None:
        if kind == "save":
            self.act_list_save(text)

    def prompt_cancelled(self, kind: str) -> None:
        if kind == FILTER:
            self.filter("")

    def opened_with(self, *words: str) -> None:
        self.filter(" ".join(words))

    def unwind(self) -> bool:
        """Back within the list: the range, then the filter, then the marks."""
        if self.main.range_start is not None:
            self.main.range_start = None
        elif self._pattern:
            self.filter("")
            return True
        elif self._marked:
            self._marked.clear()
        else:
            return False
        self._marks_changed()
        return True

    # Marks.

    @property
    def marked(self) -> list[T]:
        """The marked rows as they are now, also those that a filter hides."""
        return list(self._marked.values())

    def _take_marked(self, rows: Sequence[T]) -> None:
        if self._marked:
            for row in rows:
                key = self.listing.key(row)
                if key in self._marked:
                    self._marked[key] = row

    def _mark(self, rows: Iterable[T]) -> None:
        self._marked |= {self.listing.key(row): row for row in rows}
        self._marks_changed()

    def _unmark(self, rows: Iterable[T]) -> None:
        for row in rows:
            self._marked.pop(self.listing.key(row), None)
        self._marks_changed()

    def _marks_changed(self) -> None:
        self.main.marks = set(self._marked)
        self.main.repaint()
        self.repaint_chrome()

    def act_list_mark(self, *_: str) -> None:
        row = self.main.item
        if row is None:
            return
        if self._end_range():
            return
        if self.listing.key(row) in self._marked:
            self._unmark([row])
        else:
            self._mark([row])
        self.main.move(1)

    def act_list_range(self, *_: str) -> None:
        if not self._end_range():
            self.main.range_start = self.main.key
            self._marks_changed()

    def _end_range(self) -> bool:
        if self.main.range_start is None:
            return False
        keys = set(self.main.range)
        self.main.range_start = None
        self._mark(row for row in self.main.items if self.listing.key(row) in keys)
        return True

    def act_list_mark_all(self, *_: str) -> None:
        self._mark(self.main.items)

    def act_list_unmark(self, *_: str) -> None:
        self.main.range_start = None
        self._marked.clear()
        self._marks_changed()

    def over_marked(self, write: SetWrite[T], offered: Callable[[T], bool]) -> bool:
        """Ask once for all marked rows for which it is `offered`, and send it for each; False when none is marked."""
        if not self._marked:
            return False
        ask_for_set(self, write, self.listing, self.marked, offered, self._unmark)
        return True

    # Order and columns.

    def sort(self, column: str) -> None:
        """By a column; by the same again: the other way round."""
        self.view = self.view.sorted_by(column)
        self.retranslate()

    def act_list_sort(self, *_: str) -> None:
        columns, glyphs, view = self.listing.columns(self.session.display()), self.session.glyphs, self.view
        titles = {column.id: column.title for column in columns}
        if view.by in titles:
            titles[view.by] += glyphs.down if view.reverse else glyphs.up
        letters = sort_letters(columns)
        choices = {letter: titles[name] for letter, name in letters.items()}
        self.offer(Strip(self.session.text("list.sort"), choices, lambda letter: self.sort(letters[letter])))

    def act_list_wide(self, *_: str) -> None:
        self.view = replaced(self.view, wide=not self.view.wide)
        self.retranslate()

    def act_list_columns(self, *_: str) -> None:
        from nodeconsole.screens.columns import ColumnsScreen  # noqa: PLC0415 - loaded when it is asked for

        def chosen(view: View | None) -> None:
            if view is not None:
                self.view = view
                self.retranslate()

        self.app.push_screen(
            ColumnsScreen(self.session, self.listing.columns(self.session.display()), self.view), chosen
        )

    # The row as a whole.

    def act_list_describe(self, *_: str) -> None:
        from nodeconsole.screens.document import DocumentScreen  # noqa: PLC0415 - loaded when it is asked for

        row, facts = self.main.item, self.listing.facts
        if row is not None and facts is not None:
            display, width = self.session.display(), self.size.width - 3
            lines = [(Span(" "), *line) for line in facts(row, display, width)]
            self.app.push_screen(DocumentScreen(self.session, self._crumb(row), lines))

    def act_list_document(self, *_: str) -> None:
        from nodeconsole.screens.document import RecordScreen  # noqa: PLC0415

        row = self.main.item
        document = None if row is None else self.listing.document(row)
        if row is None:
            return
        if document is None:
            self.session.say(self.session.text("list.no_document"), "dim")
        else:
            self.app.push_screen(RecordScreen(self.session, self._crumb(row), document))

    def _crumb(self, row: T) -> str:
        return f"{self.heading()} > {printable(self.listing.title(row) or self.listing.key(row))}"

    def act_list_copy(self, *_: str) -> None:
        offer_copies(self)

    # Everything that can be done to it.

    def act_list_menu(self, *_: str) -> None:
        from nodeconsole.screens.menu import MenuScreen  # noqa: PLC0415

        if self.main.item is None:
            return
        actions = [action for action in self.keymap.actions if action.row and self.keymap.keys_of(action)]
        self.app.push_screen(MenuScreen(self.session, actions, self.keymap, self.possible), self._picked)

    def _picked(self, action: Action | None) -> None:
        if action is not None:
            self.perform(action)

    # Saving.

    def act_list_save(self, *words: str) -> None:
        if not words:
            self.open_prompt("save", self.session.text("saving.prompt"), f"{self.listing.name}.csv")
            return
        self.work("save", save_rows, self, Path(" ".join(words)).expanduser())

    async def all_rows(self) -> Sequence[T]:
        """Every row that fits the filter, in order; a list that loads by pages gets the rest of them."""
        return self.main.items
