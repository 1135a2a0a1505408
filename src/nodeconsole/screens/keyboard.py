"""What a key means to a screen: text for a line, a label to jump to, a choice that is offered, or an action."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from nodeconsole.actions import Action, Pending, plain_key
from nodeconsole.screens import command_line
from nodeconsole.widgets.line import Line

if TYPE_CHECKING:
    from nodeconsole.screens.base import ConsoleScreen

Typed = events.Key | events.Paste

_APPEARS_SECONDS = 3.0
"""Within so long a line to type into is there, or will not come."""


class Keyboard:
    """The keys of one screen, and what is pasted, in the order in which it was typed: also what came before the line
    was there that it belongs into, and what came behind the key that ended a line."""

    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen
        self._ahead: list[Typed] | None = None
        self._ahead_timer: Timer | None = None
        self._under_way: list[Typed] = []
        """Handed to the screen and not taken by it yet, oldest first."""
        self._ended: Line | None = None
        """A line that has been ended, as long as keys come from it."""
        self._held: list[Typed] = []
        """What came to the screen meanwhile, oldest first."""

    @property
    def busy(self) -> bool:
        return bool(self._under_way) or self._ended is not None

    def route(self, typed: Typed) -> None:
        """Hand it on: to the line that has the focus, unless keys before it have still to get there."""
        line = self._screen.focused
        if line is not None and self._ahead is None and self._ended is None and not self._under_way:
            self._give(typed, line)
        else:
            self._under_way.append(typed)
            self._screen._forward_event(typed)

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
        for typed in ahead or ():
            self._hand_over(typed, self._screen.focused or self._screen)

    def _hand_over(self, typed: Typed, receiver: Widget) -> None:
        self._give(self._anew(typed), receiver)

    def _anew(self, typed: Typed) -> Typed:
        """As from the app. What a screen sends ends at the screen: Enter would find no binding of the line."""
        anew = events.Paste(typed.text) if isinstance(typed, events.Paste) else events.Key(typed.key, typed.character)
        anew.set_sender(self._screen.app)
        return anew

    def _give(self, typed: Typed, receiver: Widget) -> None:
        if isinstance(receiver, Line) and isinstance(typed, events.Key):
            receiver.awaited += 1
        receiver._forward_event(typed)

    # One of them.

    def take(self, event: Typed) -> None:
        """Do what it means; what it means nothing to goes on to the app."""
        routed = event in self._under_way
        if routed:
            del self._under_way[: self._under_way.index(event) + 1]
        held = routed and self._ended is not None
        if held:
            self._held.append(event)
        if held or self._mean(event, on_its_way=routed):
            event.stop()
            event.prevent_default()

    # Behind the end of a line.

    def follow(self, line: Line) -> None:
        """Take what was typed behind its end, then what came to the screen meanwhile."""
        self._ended = line
        line.leave_to(self)
        self.line_gone()

    def take_behind(self, key: events.Key) -> None:
        self._mean(key, on_its_way=True)
        self.line_gone()

    def line_gone(self) -> None:
        if self._ended is not None and not self._ended.awaited:
            held, self._held, self._ended = self._held, [], None
            for typed in held:
                self._mean(typed, on_its_way=True)

    def _mean(self, typed: Typed, *, on_its_way: bool) -> bool:
        """`on_its_way`: no line has seen it yet."""
        line = self._screen.focused
        if on_its_way and self._screen.app.screen is not self._screen:
            self._screen.console.pass_on(self._anew(typed))
        elif self._ahead is not None:
            self._ahead.append(typed)
        elif isinstance(line, Input) and on_its_way:
            self._hand_over(typed, line)
        elif isinstance(typed, events.Paste):
            return False
        else:
            return self._beside_typing(typed.key) if isinstance(line, Input) else self._command(pressed(typed))
        return True

    def _beside_typing(self, key: str) -> bool:
        """The keys that the line itself does not take."""
        screen = self._screen
        kind = screen.prompt_kind
        if key == "escape":
            screen.cancel_prompt()
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
        if screen.grabs(name):
            pass
        elif screen.jumping.active:
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
