"""The command line and the call that do what a screen shows, and what can be done on it now."""

from __future__ import annotations

from pathlib import Path

from nodeconsole import equivalents
from nodeconsole.remote.target import SshTarget
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.document import DocumentScreen
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import printable


def equivalents_screen(of: ConsoleScreen, where: Path | SshTarget) -> DocumentScreen:
    """Of the screen itself first, then of every change that is possible on it."""
    session, subject = of.session, of.subject
    found = [(session.text("equivalents.shows"), equivalents.VIEWS.get(of.scopes[0], equivalents.NODE))]
    for action in of.keymap.actions:
        known = equivalents.WRITES.get(action.id)
        if known is not None and of.possible(action):
            found.append((session.text(f"help.{action.id}"), known))
    lines: list[Line] = []
    for what, known in found:
        lines.append((Span(f" # {what}", "dim"),))
        for words in (equivalents.command_line(known, where, subject), equivalents.curl(known, where, subject)):
            clean = [printable(word) for word in words]
            lines += [(Span(f" {line}"),) for line in equivalents.folded(clean, of.size.width - 3)]
        lines.append(())
    return DocumentScreen(session, session.text("equivalents.title"), lines)
