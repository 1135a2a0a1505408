"""What the node knows: its partners, components and datasets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels import inventory
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import count
from nodeconsole.widgets.sheet import Sheet
from nodeconsole.widgets.table import VirtualTable

if TYPE_CHECKING:
    from nodeconsole.client import NodeClient
    from nodeconsole.viewmodels.display import Display


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing to list. `name` prefixes its texts; `subjects` is what events call it and what it consists of."""

    name: str
    subjects: frozenset[str]
    key: Callable[[Any], str]
    columns: Callable[[Display], tuple[Column, ...]]
    cells: Callable[[Any, Display], Line]
    facts: Callable[[Any, Display, int], list[Line]]
    load: Callable[[NodeClient], Awaitable[Sequence[Any]]]


COMPONENTS = Kind(
    "components",
    frozenset({"component"}),
    lambda row: f"{row.provider}/{row.name}/{row.version}",
    inventory.component_columns,
    inventory.component_cells,
    inventory.component_facts,
    lambda client: client.components(),
)
DATASETS = Kind(
    "datasets",
    frozenset({"dataset"}),
    lambda row: row.dataset_id,
    inventory.dataset_columns,
    inventory.dataset_cells,
    inventory.dataset_facts,
    lambda client: client.datasets(),
)


class InventoryScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("move", GLOBAL)
    DEFAULT_CSS = """
    InventoryScreen #facts { height: 7; }
    """

    def __init__(self, session: Session, kind: Kind) -> None:
        super().__init__(session)
        self._kind = kind
        self._rows: Sequence[Any] = ()

    def body(self) -> Iterable[Widget]:
        kind = self._kind
        yield VirtualTable[Any](kind.key, lambda row: kind.cells(row, self.session.display()), id="rows")
        yield Sheet(id="facts")

    @property
    def main(self) -> VirtualTable[Any]:
        return self.query_one("#rows", VirtualTable)

    def crumbs(self) -> tuple[Line, Line]:
        title = self.session.text(f"{self._kind.name}.heading")
        return (Span(f" {title}", "accent"),), (Span(f"{count(len(self._rows))} ", "dim"),)

    def repaint_body(self) -> None:
        display = self.session.display()
        self.main.set_columns(self._kind.columns(display), cursor=display.glyphs.cursor, cut=display.glyphs.cut)
        name = self._kind.name
        empty = (display.text(f"{name}.none"), display.text(f"{name}.none_hint")) if self.has_data else ()
        self.main.show(self._rows, empty=empty)
        self._repaint_facts()

    def _repaint_facts(self) -> None:
        facts = self.query_one("#facts", Sheet)
        row = self.main.item
        lines = [] if row is None else self._kind.facts(row, self.session.display(), max(20, facts.view_width - 3))
        facts.show([(Span("  "), *line) for line in lines])

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and not self._kind.subjects & changes.subjects:
            return True
        rows = await self.session.ask(self._kind.load)
        if rows is None:
            return False
        self._rows = rows
        self._loaded = True
        self.retranslate()
        return True

    def on_virtual_table_moved(self) -> None:
        self._repaint_facts()
        self.repaint_chrome()


def components(session: Session) -> InventoryScreen:
    return InventoryScreen(session, COMPONENTS)


def datasets(session: Session) -> InventoryScreen:
    return InventoryScreen(session, DATASETS)
