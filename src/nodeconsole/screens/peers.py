"""The partners: who is connected, who can be believed, and how one becomes or ceases to be one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.confirm import put_question, question_facts
from nodeconsole.screens.contract import ContractScreen, ask_terminate
from nodeconsole.screens.dialog import Field, Question, required
from nodeconsole.screens.inventory import InventoryScreen, Kind
from nodeconsole.screens.invitation import InvitationScreen
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.partners import (
    Partner,
    needs_attention,
    partner_cells,
    partner_columns,
    partner_document,
    partner_facts,
    partners,
)

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_contracts import ContractRow, InvitationReply
    from embedded_scheduler.wire.console_grants import MessageRow
    from nodeconsole.client import NodeClient

_LONGEST_CODE = 8192
_REFRESH_MS = 10_000
"""Partners answer without an event; so often they are asked for while they are looked at."""
_MOST_HOURS = 24 * 30


async def _load(client: NodeClient) -> list[Partner]:
    return partners(await client.peers(), await client.contracts(), await client.messages())


PARTNERS = Kind(
    Listing(
        "peers",
        lambda row: str(row.node_id),
        partner_columns,
        partner_cells,
        problem=needs_attention,
        facts=partner_facts,
        document=partner_document,
    ),
    frozenset({"peer", "contract", "message", "grant", "identity"}),
    _load,
)


class PeersScreen(InventoryScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("peers", "list", "move", GLOBAL)
    PREVIEW_LINES: ClassVar[int] = 11
    DEFAULT_CSS = """
    PeersScreen #list.-below #preview { height: 11; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session, PARTNERS)
        self._asked_ms = session.now_ms()

    @property
    def partner(self) -> Partner | None:
        """The one under the cursor."""
        found: Partner | None = self.main.item
        return found

    def tick(self) -> None:
        super().tick()
        if self.session.online and self.session.now_ms() - self._asked_ms >= _REFRESH_MS:
            self.changed(Changes(subjects=frozenset({"peer"})))

    async def reload(self, changes: Changes) -> bool:
        self._asked_ms = self.session.now_ms()
        return await super().reload(changes)

    def offered(self) -> Sequence[str]:
        status, partner = self.session.status, self.partner
        offered = list(status.actions) if status is not None else []
        if partner is not None and partner.contract is not None:
            offered += partner.contract.actions
        if self._unsent() is not None:
            offered.append("resend")
        return offered

    def _unsent(self) -> MessageRow | None:
        """The newest undelivered message to the partner that may be sent again."""
        partner = self.partner
        if partner is None:
            return None
        return next((message for message in partner.messages if "resend" in message.actions), None)

    def act_list_open(self, *_: str) -> None:
        partner = self.partner
        if partner is None:
            return
        if partner.contract is None:
            self.session.say(self.session.text("peers.no_contract", node=partner.node_id), "warn")
        else:
            self.app.push_screen(ContractScreen(self.session, partner.contract.contract_id))

    def act_peers_invite(self, *_: str) -> None:
        session, text = self.session, self.session.text

        def fault(typed: str) -> str:
            good = typed.isascii() and typed.isdecimal() and len(typed) < 5 and 0 < int(typed) <= _MOST_HOURS
            return "" if good else text("invite.bad_hours", most=_MOST_HOURS)

        question = Question(
            title=text("invite.title"),
            facts=question_facts([(text("invite.for"), text("invite.one_partner"))]),
            fields=(Field("hours", text("invite.hours"), fault, 4, "24"),),
            act=text("action.peers.invite"),
        )

        def made(reply: InvitationReply) -> None:
            self.app.push_screen(InvitationScreen(session, reply))

        put_question(self, session, question, lambda client, v: client.invite(hours=float(v["hours"])), made)

    def act_peers_join(self, *codes: str) -> None:
        session, text = self.session, self.session.text
        question = Question(
            title=text("join.title"),
            facts=question_facts([(text("join.then"), text("join.compare"))]),
            fields=(Field("code", text("join.code"), required(text("join.no_code")), _LONGEST_CODE, "".join(codes)),),
            act=text("action.peers.join"),
        )

        def joined(contract: ContractRow) -> None:
            session.say(text("join.done", node=contract.node_id), "ok")
            session.publish(Changes(subjects=frozenset({"contract", "peer"})))
            self.app.push_screen(ContractScreen(session, contract.contract_id))

        put_question(self, session, question, lambda client, v: client.join(v["code"]), joined)

    def act_peers_terminate(self, *_: str) -> None:
        partner = self.partner
        if partner is not None and partner.contract is not None:
            ask_terminate(self, self.session, partner.contract)

    def act_peers_resend(self, *_: str) -> None:
        message = self._unsent()
        if message is not None:
            self.app.run_worker(self._resend(message), group="writes")

    async def _resend(self, message: MessageRow) -> None:
        sent = await self.session.ask(lambda client: client.resend_message(message.id))
        if sent is not None:
            self.session.say(self.session.text("peers.resent", what=sent.operation), "ok")
            self.changed(Changes(subjects=frozenset({"message"})))
