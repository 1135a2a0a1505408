"""The data section: our datasets, the kinds of sources, grants in both directions, what partners show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Container
from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens import granting
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.inventory import InventoryScreen, Kind
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels import data
from nodeconsole.viewmodels.changes import EVERYTHING, Changes
from nodeconsole.viewmodels.data import TABS, OwnData, dataset_page, own_data, tab_words
from nodeconsole.viewmodels.document import as_document
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.tabs import tab_line
from nodeconsole.viewmodels.text import printable
from nodeconsole.widgets.sheet import Sheet
from nodeconsole.widgets.table import VirtualTable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import DatasetUsage
    from embedded_scheduler.wire.console_grants import GrantRow, PartnerDatasetRow
    from nodeconsole.client import NodeClient

_MOST_GRANTS = 500


async def load_own(client: NodeClient) -> list[OwnData]:
    page = await client.grants(direction="in", state="APPROVED", limit=_MOST_GRANTS)
    return own_data(await client.datasets(), await client.publications(), page.grants)


async def _grants(client: NodeClient) -> Sequence[GrantRow]:
    return (await client.grants(limit=_MOST_GRANTS)).grants


async def _theirs(client: NodeClient) -> list[PartnerDatasetRow]:
    """Asked of every partner with a contract now; who does not answer shows nothing."""
    from nodeconsole.client import ClientError  # noqa: PLC0415 - not before the first paint

    found: list[PartnerDatasetRow] = []
    for row in await client.peers():
        if row.contract == "APPROVED":
            with suppress(ClientError):
                found += await client.partner_datasets(row.node_id)
    return found


KINDS = {
    "datasets": Kind(
        Listing(
            "datasets",
            lambda row: str(row.dataset.dataset_id),
            data.data_columns,
            data.data_cells,
            values={
                "rows": lambda row, _: row.dataset.rows,
                "columns": lambda row, _: len(row.dataset.columns),
                "size": lambda row, _: row.dataset.size_bytes,
                "grants": lambda row, _: len(row.grants),
            },
            facts=data.data_facts,
            document=lambda row: as_document(row.dataset),
            title=lambda row: str(row.dataset.name),
        ),
        frozenset({"dataset", "grant"}),
        load_own,
    ),
    "connectors": Kind(
        Listing(
            "connectors",
            lambda row: str(row.name),
            data.connector_columns,
            data.connector_cells,
            facts=data.connector_facts,
            document=as_document,
        ),
        frozenset({"dataset"}),
        lambda client: client.connectors(),
    ),
    "grants": Kind(
        Listing(
            "grants",
            lambda row: str(row.grant_id),
            data.grant_columns,
            data.grant_cells,
            values={"age": lambda row, _: -row.created_ms},
            problem=lambda row: row.direction == "in" and row.state == "APPLIED",
            facts=data.grant_facts,
            document=as_document,
            title=lambda row: str(row.resource_id),
        ),
        # A new job may have used a permit.
        frozenset({"grant", "message", "job"}),
        _grants,
    ),
    "theirs": Kind(
        Listing(
            "theirs",
            lambda row: f"{row.node_id} {row.dataset_id}",
            data.theirs_columns,
            data.theirs_cells,
            values={"rows": lambda row, _: row.rows},
            facts=data.theirs_facts,
            document=as_document,
            title=lambda row: str(row.dataset_id),
        ),
        frozenset({"contract"}),
        _theirs,
    ),
}


class DataActions(ConsoleScreen):
    """Mixed into what shows datasets and grants; `chosen` is what is under the cursor."""

    @property
    def chosen(self) -> Any:
        raise NotImplementedError

    def offered(self) -> Sequence[str]:
        status = self.session.status
        admin = status is not None and status.role == "admin"
        return granting.offered(self.chosen, admin=admin)

    def act_data_grant(self, *_: str) -> None:
        granting.give(self, self.session, self.chosen)

    def act_data_revoke(self, *_: str) -> None:
        granting.take_back(self, self.session, self.chosen)

    def act_data_rescan(self, *_: str) -> None:
        if isinstance(self.chosen, OwnData):
            granting.rescan(self, self.session, self.chosen.dataset)

    def act_data_remove(self, *_: str) -> None:
        if isinstance(self.chosen, OwnData):
            granting.ask_remove(self, self.session, self.chosen)

    def act_data_register(self, *_: str) -> None:
        self.app.run_worker(self._register(), group="register")

    async def _register(self) -> None:
        from nodeconsole.screens.registering_dataset import choose_connector  # noqa: PLC0415 - loaded when it is asked for

        found = await self.session.ask(lambda client: client.connectors())
        if found is not None:
            choose_connector(self, self.session, found)


class DataScreen(InventoryScreen, DataActions):
    SCOPES: ClassVar[tuple[str, ...]] = ("data_tabs", "data", "list", "move", GLOBAL)

    def __init__(self, session: Session) -> None:
        super().__init__(session, KINDS[TABS[0]])
        self._tab = TABS[0]

    def body(self) -> Iterable[Widget]:
        # What identifies a row depends on the tab.
        table = VirtualTable[Any](self._key_of, self._cells, id="rows")
        yield Container(table, Sheet(id="preview"), id="list")

    def _key_of(self, row: Any) -> str:
        return self.listing.key(row)

    @property
    def chosen(self) -> Any:
        return self.main.item

    def crumbs(self) -> tuple[Line, Line]:
        left, right = super().crumbs()
        tabs = tab_line(tab_words(self.session.display()), self._tab, self.tab_labels)
        return (Span(" "), *tabs, *left[1:]), right

    def tab_names(self) -> Sequence[str]:
        return [name for name in TABS if name != self._tab]

    def act_data_tab(self, *_: str) -> None:
        self.open_tab(TABS[(TABS.index(self._tab) + 1) % len(TABS)])

    def act_data_tab_before(self, *_: str) -> None:
        self.open_tab(TABS[TABS.index(self._tab) - 1])

    def open_tab(self, name: str) -> None:
        """Another kind of rows, looked at as it was looked at last."""
        if name == self._tab:
            return
        self.rows, self._loaded = (), False
        if self._whole:
            # While the table still knows what the rows of the tab before are called.
            self.act_list_unmark()
            self.show_rows()
        self._tab, self._kind = name, KINDS[name]
        self.recall_view()
        self.retranslate()
        self.changed(EVERYTHING)

    def opened_with(self, *words: str) -> None:
        if words and words[0] in TABS:
            self.open_tab(words[0])
            words = words[1:]
        if self._whole:
            super().opened_with(*words)
        else:
            self._pattern = " ".join(words)

    def act_list_open(self, *_: str) -> None:
        row = self.chosen
        if isinstance(row, OwnData):
            self.app.push_screen(DatasetScreen(self.session, row))
        elif row is not None and self._tab == "grants":
            from nodeconsole.screens.grant import GrantScreen  # noqa: PLC0415 - loaded when it is asked for

            self.app.push_screen(GrantScreen(self.session, row.grant_id))
        elif row is not None:
            self.act_list_describe()


class DatasetScreen(Moves, DataActions):
    """One of our datasets: columns, who may use it, which jobs did."""

    SCOPES: ClassVar[tuple[str, ...]] = ("dataset_page", "data", "move", GLOBAL)

    def __init__(self, session: Session, own: OwnData) -> None:
        super().__init__(session)
        self._own = own
        self._usage: DatasetUsage | None = None

    @property
    def chosen(self) -> Any:
        return self._own

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="dataset")

    @property
    def main(self) -> Sheet:
        return self.query_one("#dataset", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        name = printable(self._own.dataset.dataset_id)
        heading = self.session.text("datasets.heading")
        return (Span(f" {heading} > ", "dim"), Span(name, "accent")), ()

    def repaint_body(self) -> None:
        width = max(20, self.main.view_width - 2)
        lines = dataset_page(self._own, self._usage, self.session.display(), width)
        self.main.show([(Span(" "), *line) for line in lines])

    async def reload(self, changes: Changes) -> bool:
        if not changes.everything and not changes.jobs and not changes.subjects & {"dataset", "grant"}:
            return True
        dataset = self._own.dataset
        rows = await self.session.ask(load_own)
        if rows is None:
            return False
        known = [one for one in rows if one.dataset.dataset_id == dataset.dataset_id]
        if not known:
            self.session.say(self.session.text("data.gone", name=dataset.dataset_id), "warn")
            if self.is_current:
                self.app.pop_screen()
            return True
        self._own = known[0]
        self._usage = await self.session.ask(lambda client: client.dataset_usage(dataset.namespace, dataset.name))
        self.retranslate()
        return True
