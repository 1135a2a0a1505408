"""A new invitation code, to give to one partner. It is shown this once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.facts import when
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable, wrap
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_contracts import InvitationReply


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
