"""Invitation codes: a new one, to give to one partner, shown this once; and all that were given out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.confirm import put_question, question_facts, typed_id
from nodeconsole.screens.dialog import Question
from nodeconsole.screens.inventory import InventoryScreen, Kind
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.changes import Changes
from nodeconsole.viewmodels.document import as_document
from nodeconsole.viewmodels.facts import when
from nodeconsole.viewmodels.invitations import OPEN, invitation_cells, invitation_columns, invitation_state
from nodeconsole.viewmodels.listing import Listing
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable, wrap
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_contracts import InvitationReply, InvitationRow
    from nodeconsole.client import NodeClient


class InvitationScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("invitation", "move", GLOBAL)

    def __init__(self, session: Session, made: InvitationReply) -> None:
        super().__init__(session)
        self._made = made

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="invitation")

    @property
    def main(self) -> Sheet:
        return self.query_one("#invitation", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        return (Span(f" {self.session.text('invitation.title')}", "accent"),), ()

    def why(self) -> Line:
        return (Span(self.session.text("invitation.once"), "wait"),)

    def repaint_body(self) -> None:
        width = max(20, self.main.view_width)
        text, made = self.session.text, self._made
        good = text(
            "invitation.good", at=when(made.expires_ms, self.session.display()), address=printable(made.address)
        )
        lines: list[Line] = [()]
        # From the first column to the last: what a terminal selects is the code and nothing else.
        lines += [(Span(part, "strong"),) for part in wrap(self.session.secret(printable(made.code)), width)]
        for sentence in (good, text("invitation.give"), text("invitation.then")):
            lines += [(), *((Span(f" {part}"),) for part in wrap(sentence, width - 2))]
        self.main.show(lines)

    def act_invitation_copy(self, *_: str) -> None:
        self.console.copy(self._made.code, self.session.text("invitation.title"))


class InvitationsScreen(InventoryScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("invitations", "list", "move", GLOBAL)
    PREVIEW_LINES: ClassVar[int] = 0

    def __init__(self, session: Session) -> None:
        listing: Listing[InvitationRow] = Listing(
            "invitations",
            lambda row: row.id,
            invitation_columns,
            invitation_cells,
            values={"left": lambda row, _: row.expires_ms, "age": lambda row, _: -row.created_ms},
            document=as_document,
        )
        super().__init__(session, Kind(listing, frozenset({"invitation"}), lambda client: client.invitations()))

    @property
    def invitation(self) -> InvitationRow | None:
        found: InvitationRow | None = self.main.item
        return found

    def offered(self) -> Sequence[str]:
        status, row = self.session.status, self.invitation
        if status is None or "invite" not in status.actions:
            return ()
        revocable = row is not None and invitation_state(row, self.session.now_ms()) == OPEN
        return ("invite", "revoke") if revocable else ("invite",)

    def act_partner_invite(self, *_: str) -> None:
        from nodeconsole.screens.partner import ask_invite  # noqa: PLC0415 - which loads this module for the answer

        ask_invite(self, self.session)

    def act_invitations_revoke(self, *_: str) -> None:
        """Whoever has the code can apply with it no more (L3)."""
        row, session, text = self.invitation, self.session, self.session.text
        if row is None:
            return
        question = Question(
            title=text("invitations.revoke_title", id=printable(row.id)),
            facts=question_facts([(text("data.means"), text("invitations.revoke_means"))]),
            fields=(typed_id(session, row.id),),
            act=text("action.invitations.revoke"),
            typed_confirmation=True,
        )

        async def send(client: NodeClient, _: dict[str, str]) -> str:
            await client.revoke_invitation(row.id)
            return row.id

        def done(invitation_id: str) -> None:
            session.say(text("invitations.revoked", id=invitation_id), "ok")
            session.publish(Changes(subjects=frozenset({"invitation"})))

        put_question(self, session, question, send, done)
