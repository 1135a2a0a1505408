"""What a key means to a screen: text for a line, a label to jump to, a choice that is offered, or an action."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.timer import Timer
from textual.widgets import Input

from nodeconsole.actions import Action, Pending, plain_key
from nodeconsole.screens import command_line

if TYPE_CHECKING:
    from nodeconsole.screens.base import ConsoleScreen

_APPEARS_SECONDS = 3.0
"""Within so long a line to type into is there, or will not come."""


class Keyboard:
    """The keys of one screen, and those that were pressed before the line was there that they belong into."""

    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen
        self._ahead: list[events.Key] | None = None
        self._ahead_timer: Timer | None = None

    # Typed ahead.

    def expect_line(self) -> None:
        """A line to type into is about to appear: keys are kept for it from now on."""
        self.give_ahead()
        self._ahead = []
        self._ahead_timer = self._screen.set_timer(_APPEARS_SECONDS, self.give_ahead)

    def give_ahead(self) -> None:
        """To whoever has the focus now."""
        ahead, self._ahead = self._ahead, None
        if self._ahead_timer is not None:
            self._ahead_timer.stop()
            self._ahead_timer = None
        for key in ahead or ():
            # As the app hands it on. What a screen sends ends at the screen: Enter would find no binding of the line.
            receiver = self._screen.focused or self._screen
            receiver._forward_event(events.Key(key.key, key.character).set_sender(self._screen.app))

    # One key.

    def take(self, event: events.Key) -> None:
        """Do what it means; what it means nothing to goes on to the app."""
        if self._ahead is not None:
            self._ahead.append(event)
        elif isinstance(self._screen.focused, Input):
            if not self._beside_typing(event.key):
                return
        elif not self._command(pressed(event)):
            return
        event.stop()
        event.prevent_default()

    def _beside_typing(self, key: str) -> bool:
        """The keys that the line itself does not take."""
        screen = self._screen
        kind = screen.prompt_kind
        if key == "escape":
            screen.close_prompt()
            screen.prompt_cancelled(kind)
        elif key in ("up", "down") and kind == command_line.KIND:
            screen.command_line.recall(-1 if key == "up" else 1)
        elif key in ("tab", "shift+tab"):
            step = 1 if key == "tab" else -1
            if kind == command_line.KIND:
                screen.command_line.tab(step)
            else:
                screen.prompt_tab(kind, step)
        else:
            return False
        return True

    def _command(self, name: str) -> bool:
        screen, session = self._screen, self._screen.session
        if screen.jumping.active:
            screen.jumping.take(plain_key(name))
        elif name == "escape" and session.tour is not None and not screen.strips.offered:
            session.tour = None
            session.say(session.text("tour.left"), "dim")
        elif screen.strips.offered:
            screen.strips.take(name)
        elif not self._action(name):
            return False
        screen.repaint_chrome()
        return True

    def _action(self, name: str) -> bool:
        """By the table of actions: at once, or when the second key of a pair has come."""
        strips = self._screen.strips
        before = strips.typed
        strips.end()
        meaning = self._screen.keymap.resolve((*before, name))
        if meaning is Pending.MORE:
            strips.wait_for_second(name)
        elif isinstance(meaning, Action):
            self._screen.perform(meaning)
        else:
            return bool(before)
        return True


def pressed(event: events.Key) -> str:
    """The name of the key, as the table of actions has it."""
    return event.character if event.is_printable and event.character and event.key != "space" else event.key
