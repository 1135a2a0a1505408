"""All actions of a screen, and what the node has, found by a few letters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from nodeconsole.actions import Action, KeyMap
from nodeconsole.screens.overlay import Overlay
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels import palette
from nodeconsole.viewmodels.palette import Entry, Wanted
from nodeconsole.viewmodels.spans import Line
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.table import VirtualTable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobRow
    from nodeconsole.client import NodeClient

T = TypeVar("T")
_REST_SECONDS = 0.12
"""So long nothing is typed before the node is asked."""
_JOBS = 10
_PAGES = 5
"""So many pieces of a search are looked through: who wants more filters the list of jobs."""


class PaletteScreen(Overlay[Entry | None]):
    """Dismissed with what was chosen, or None.

    Actions are found at once. The node is asked beside that: no key waits for it, an answer to what is not asked any
    more is dropped, and a node that does not answer only means that there are actions alone.
    """

    AUTO_FOCUS = "Input"
    DEFAULT_CSS = """
    PaletteScreen { align: center top; background: $background 60%; }
    PaletteScreen Vertical { width: 78; max-width: 100%; height: 20; max-height: 90%; background: $surface;
        border: round $role-dim; }
    PaletteScreen Input { background: $panel; color: $foreground; }
    PaletteScreen VirtualTable, PaletteScreen Bar { background: $surface; }
    """
    _STEPS: ClassVar[dict[str, int]] = {"down": 1, "up": -1, "pagedown": 10, "pageup": -10}

    def __init__(self, session: Session, keymap: KeyMap, possible: Callable[[Action], bool]) -> None:
        super().__init__()
        self.session = session
        display = session.display()
        self._actions = [
            palette.action_entry(action, keymap, display)
            for action in keymap.actions
            if action.scope != "move" and action.id != "app.palette" and possible(action)
        ]
        self._things: Sequence[Entry] | None = None
        """Partners, datasets and components, once the node has sent them."""
        self._jobs: Sequence[Entry] = ()
        self._asked = Wanted(None, "")

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Input(compact=True, placeholder=self.session.text("palette.placeholder"))
            yield VirtualTable[Entry](lambda entry: f"{entry.kind} {entry.key}", self._cells, id="found")
            yield Bar(id="signs")

    def _cells(self, entry: Entry) -> Line:
        return palette.entry_cells(entry, self.session.display())

    @property
    def _table(self) -> VirtualTable[Entry]:
        return self.query_one("#found", VirtualTable)

    def prepare(self) -> None:
        self.query_one(Input).cursor_blink = False
        display = self.session.display()
        self._table.set_columns(palette.columns(display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        self._show()

    # What is found.

    def _show(self) -> None:
        """The best one stays under the cursor until the cursor is moved."""
        if not self.query("#found"):
            # Being taken down: its widgets go before its workers end.
            return
        display, at_best = self.session.display(), self._table.cursor == 0
        self._table.show(
            palette.ranked(self._asked, [*self._actions, *self._jobs, *(self._things or ())]),
            empty=(display.text("palette.nothing"),),
        )
        if at_best:
            self._table.first()
        self.query_one("#signs", Bar).show(palette.hint(display, online=self.session.online))

    def on_input_changed(self, event: Input.Changed) -> None:
        self._asked = palette.wanted(event.value)
        empty = self._asked == Wanted(None, "")
        self._jobs = [] if empty else palette.still_found(self._asked, self._jobs)
        self._table.first()
        self._show()
        self.run_worker(self._ask_node(self._asked), group="find", exclusive=True)

    async def _ask_node(self, asked: Wanted) -> None:
        """Once nobody types any more; the next letter ends it."""
        if asked == Wanted(None, "") or not self.session.online:
            return
        await asyncio.sleep(_REST_SECONDS)
        if self._things is None:
            await self._load_things()
        if not asked.wants("job"):
            return
        found = await self._search(asked.pattern)
        if asked == self._asked:
            self._jobs = [palette.job_entry(job, self.session.display()) for job in found]
            self._show()

    async def _load_things(self) -> None:
        peers = await self._answer(lambda client: client.peers()) or []
        datasets = await self._answer(lambda client: client.datasets()) or []
        components = await self._answer(lambda client: client.components()) or []
        self._things = [
            *map(palette.partner_entry, peers),
            *map(palette.dataset_entry, datasets),
            *(palette.component_entry(row, components) for row in components),
        ]
        self._show()

    async def _search(self, pattern: str) -> list[JobRow]:
        """Jobs by the filter that was typed; if there are none, those that have its letters in this order."""
        found = await self._pages(pattern)
        return found or (await self._pages(f"~{pattern}") if pattern.isalnum() else [])

    async def _pages(self, q: str) -> list[JobRow]:
        found: list[JobRow] = []
        before: str | None = None
        for _ in range(_PAGES):
            at = before
            page = await self._answer(lambda client: client.jobs(q=q or None, before=at, limit=_JOBS))  # noqa: B023
            if page is None:
                break
            found += page.jobs
            before = page.next
            if before is None or len(found) >= _JOBS:
                break
        return found[:_JOBS]

    async def _answer(self, request: Callable[[NodeClient], Awaitable[T]]) -> T | None:
        """Nothing is said when there is none: what is typed may be half a filter, the node away, the role too small."""
        from nodeconsole.client import ClientError, NodeUnreachable  # noqa: PLC0415 - not before the first paint

        try:
            return await request(self.session.client) if self.session.client is not None else None
        except (ClientError, NodeUnreachable):
            return None

    # Choosing.

    def on_input_submitted(self) -> None:
        self.dismiss(self._table.item)

    def on_virtual_table_opened(self) -> None:
        self.dismiss(self._table.item)

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            self.dismiss(None)
        elif event.key in self._STEPS:
            self._table.move(self._STEPS[event.key])
        else:
            return
        event.stop()
        event.prevent_default()
