"""The lines around what a screen shows: status, crumbs, what the cursor is on, the message, the footer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodeconsole.actions import key_name
from nodeconsole.screens import command_line
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.node import LinkState, status_line, waiting_total
from nodeconsole.viewmodels.spans import Line, Span, plain
from nodeconsole.viewmodels.text import cells, printable
from nodeconsole.viewmodels.tour import tip
from nodeconsole.widgets.bar import Bar
from nodeconsole.widgets.painted import Painted
from nodeconsole.widgets.sheet import Sheet

if TYPE_CHECKING:
    from nodeconsole.screens.base import ConsoleScreen


class Chrome:
    """Paints them; a line whose text is what it was sends nothing."""

    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen

    def paint(self) -> None:
        """All of it; the screen's widgets must be there."""
        screen, session = self._screen, self._screen.session
        display = session.display()
        cut = display.glyphs.cut
        left, right = status_line(
            session.status, session.link, session.data_ms, display, read_only=session.read_only, place=session.place
        )
        screen.bar("status").show(left, right, cut=cut)
        screen.bar("crumbs").show(*screen.crumbs(), cut=cut)
        screen.bar("why").show((Span(" "), *screen.why()), cut=cut)
        self._show_message(display)
        self._show_tour(display)
        screen.bar("footer").show(self._footer(), cut=cut)
        self._show_age()

    def _show_message(self, display: Display) -> None:
        """The message line, and above it what does not fit in there."""
        screen, width = self._screen, self._screen.size.width - 2
        offered = screen.strips.lines(width)
        message = (Span(" "), *(offered[-1] if offered else self._message()))
        kind = screen.prompt_kind
        typing = screen.command_line.lines(width) if kind == command_line.KIND else screen.prompt_lines(kind, width)
        self._show_above(typing if kind else offered[:-1])
        aside = (*screen.chips(), *self._held())
        screen.bar("flash").show(message, aside or self._tip(message, display), cut=display.glyphs.cut)

    def _message(self) -> Line:
        screen, session = self._screen, self._screen.session
        if screen.jumping.active:
            return screen.jumping.line()
        if session.flashing is not None:
            return (Span(session.flashing.text, session.flashing.role),)
        if session.held:
            return session.held.line()
        if session.link.state is LinkState.OFFLINE:
            return (Span(f"{printable(session.link.why)}", "warn"),)
        waiting = waiting_total(session.status)
        if waiting:
            return (Span(session.text("node.needs_you", n=waiting), "wait"),)
        warnings = len(session.status.warnings) if session.status else 0
        return (Span(session.text("node.warned", n=warnings), "warn"),) if warnings else ()

    def _held(self) -> Line:
        """What is held back, in short where something else is said."""
        session = self._screen.session
        return session.held.line(short=True) if session.flashing is not None or self._screen.strips.shown else ()

    def _tip(self, message: Line, display: Display) -> Line:
        """Where there is room for it, and nothing waits for its key."""
        screen = self._screen
        waits = screen.strips.shown or screen.jumping.active
        found = tip(screen.keymap, screen.session.uses, display) if not waits else ()
        return found if cells(plain(message)) + cells(plain(found)) + 2 <= screen.size.width else ()

    def _show_above(self, lines: Sequence[Line]) -> None:
        above = self._screen.query_one("#above", Sheet)
        above.display = bool(lines)
        above.styles.height = len(lines)
        above.show([(Span(" "), *line) for line in lines])

    def _show_tour(self, display: Display) -> None:
        mark, session = self._screen.query_one("#tour", Sheet), self._screen.session
        lines = (
            session.tour.lines(session.actions, display, self._screen.size.width) if session.tour is not None else ()
        )
        if bool(lines) != mark.display or len(lines) != len(mark.lines):
            mark.display = bool(lines)
            mark.styles.height = len(lines)
        mark.show(lines)

    def _footer(self) -> Line:
        screen = self._screen
        spans: list[Span] = []
        for action in screen.keymap.footer():
            possible = screen.possible(action)
            key = key_name(screen.keymap.keys_of(action)[0])
            spans.append(Span(f" {key}", "key" if possible else "dim"))
            spans.append(Span(f" {screen.session.text(f'action.{action.id}')} ", "" if possible else "dim"))
        return tuple(spans)

    def _show_age(self) -> None:
        """What was read before the node went away looks so."""
        offline = self._screen.session.link.state is LinkState.OFFLINE
        for widget in self._screen.query(Painted):
            if not isinstance(widget, Bar):
                widget.stale = offline
