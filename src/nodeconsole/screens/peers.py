"""The partners: who is connected, who can be believed, and how one becomes or ceases to be one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.inventory import InventoryScreen, Kind
from nodeconsole.screens.partner import PartnerActions, PartnerScreen
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.partner import advice
from nodeconsole.viewmodels.partners import (
    Partner,
    key_ends,
    needs_attention,
    partner_cells,
    partner_columns,
    partner_document,
    partner_facts,
    partners,
)
from nodeconsole.viewmodels.spans import Line, Span

if TYPE_CHECKING:
    from nodeconsole.client import NodeClient

_REFRESH_MS = 10_000
"""Partners answer without an event; so often they are asked for while they are looked at."""


async def _load(client: NodeClient) -> list[Partner]:
    return partners(await client.peers(), await client.contracts(), await client.messages())


PARTNERS = Kind(
    Listing(
        "peers",
        lambda row: str(row.node_id),
        partner_columns,
        partner_cells,
        values={
            "took": lambda row, _: row.peer.took_ms if row.peer is not None else None,
            "ends": lambda row, _: key_ends(row.contract),
        },
        problem=needs_attention,
        facts=partner_facts,
        document=partner_document,
    ),
    frozenset({"peer", "contract", "message", "grant", "identity"}),
    _load,
)


class PeersScreen(InventoryScreen, PartnerActions):
    SCOPES: ClassVar[tuple[str, ...]] = ("partner", "list", "move", GLOBAL)
    PREVIEW_LINES: ClassVar[int] = 8
    DEFAULT_CSS = """
    PeersScreen #list.-below #preview { height: 8; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session, PARTNERS)
        self._asked_ms = session.now_ms()

    @property
    def partner(self) -> Partner | None:
        """The one under the cursor."""
        found: Partner | None = self.main.item
        return found

    def why(self) -> Line:
        if self.partner is None:
            return ()
        sentence, role = advice(self.partner, self.session.display())[0]
        return (Span(sentence, role),)

    def tick(self) -> None:
        super().tick()
        if self.session.online and self.session.now_ms() - self._asked_ms >= _REFRESH_MS:
            self.changed(Changes(subjects=frozenset({"peer"})))

    async def reload(self, changes: Changes) -> bool:
        self._asked_ms = self.session.now_ms()
        return await super().reload(changes)

    def act_list_open(self, *_: str) -> None:
        if self.partner is not None:
            self.app.push_screen(PartnerScreen(self.session, self.partner.node_id))
