"""The keys of the screen one came from, out of the same table that gives them their meaning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.widget import Widget

from nodeconsole.actions import GLOBAL, Action, KeyMap, key_name
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.movement import Moves
from nodeconsole.screens.session import Session
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import cells
from nodeconsole.widgets.sheet import Sheet

_KEYS = 16


class HelpScreen(Moves, ConsoleScreen):
    SCOPES: ClassVar[tuple[str, ...]] = ("move", GLOBAL)

    def __init__(self, session: Session, of: KeyMap) -> None:
        super().__init__(session)
        self._of = of

    def body(self) -> Iterable[Widget]:
        yield Sheet(id="help")

    @property
    def main(self) -> Sheet:
        return self.query_one("#help", Sheet)

    def crumbs(self) -> tuple[Line, Line]:
        return (Span(f" {self.session.text('help_page.title')}", "accent"),), ()

    def repaint_body(self) -> None:
        self.main.show(help_lines(self._of, self.session))

    def act_app_help(self, *_: str) -> None:
        self.act_app_back()


def help_lines(keymap: KeyMap, session: Session) -> list[Line]:
    """All actions by scope: keys, what they do, the command."""
    lines: list[Line] = []
    scope = ""
    for action in keymap.actions:
        if action.scope != scope:
            scope = action.scope
            if lines:
                lines.append(())
            lines.append((Span(f" {session.text(f'scope.{scope}')}", "accent"),))
        lines.append(_action_line(action, keymap, session))
    lines += [(), (Span(f" {session.text('help_page.filter')}", "dim"),)]
    return lines


def _action_line(action: Action, keymap: KeyMap, session: Session) -> Line:
    keys = "  ".join(key_name(key) for key in keymap.keys_of(action))
    line = [Span(f"   {keys}{' ' * max(1, _KEYS - cells(keys))}", "key"), Span(session.text(f"help.{action.id}"))]
    if action.command:
        word = f":{action.command[0]} {action.argument}".rstrip()
        line.append(Span(f"  {word}", "dim"))
    return tuple(line)
