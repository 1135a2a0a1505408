"""The keys of the screen one came from, out of the same table that gives them their meaning; again: those of all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL, KeyMap
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.keysheet import groups, sheet
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import wrap
from nodeconsole.widgets.sheet import Sheet

_EVERYWHERE = ("move", GLOBAL)


class HelpScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("move", GLOBAL)

    def __init__(self, session: Session, of: KeyMap) -> None:
        super().__init__(session)
        self._of = of
        # A screen without keys of its own has those of all only.
        self._everywhere = all(action.scope in _EVERYWHERE for action in of.actions)

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="help")

    @property
    def main(self) -> Sheet:
        return self.query_one("#help", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        text = self.session.text
        which = text("help_page.everywhere" if self._everywhere else "help_page.here")
        return (Span(f" {text('help_page.title')}", "accent"), Span(f"  {which}", "dim")), ()

    def why(self) -> Line:
        return () if self._everywhere else (Span(self.session.text("help_page.again"), "dim"),)

    def repaint_body(self) -> None:
        width = max(40, self.main.view_width - 1)
        actions = [
            replace(action, keys=self._of.keys_of(action))
            for action in self._of.actions
            if (action.scope in _EVERYWHERE) is self._everywhere
        ]
        lines = sheet(groups(actions, self.session.text), width)
        if not self._everywhere:
            for key in ("filter", "fields"):
                grammar = wrap(self.session.text(f"help_page.{key}"), width - 2)
                lines += [(), *((Span(f" {part}", "dim"),) for part in grammar)]
        self.main.show(lines)

    def act_app_help(self, *_: str) -> None:
        """From this screen's keys to everybody's, and from those back."""
        if self._everywhere:
            self.act_app_back()
        else:
            self._everywhere = True
            self.main.first()
            self.retranslate()
