"""The next key decides: a choice that was offered, or what comes after the first key of a pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.timer import Timer

from nodeconsole.actions import key_name, plain_key
from nodeconsole.viewmodels.spans import Line
from nodeconsole.viewmodels.strips import Choice, following, strip_lines

if TYPE_CHECKING:
    from nodeconsole.screens.base import ConsoleScreen


@dataclass(frozen=True, slots=True)
class Strip:
    """A choice in the message line: `choices` is key → word; the next key is one of them, or nothing is chosen."""

    title: str
    choices: Mapping[str, str]
    chosen: Callable[[str], None]


class Strips:
    """What one screen offers now: a strip, shown at once, or what may follow a prefix, shown to who hesitates."""

    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen
        self._offered: Strip | None = None
        self._typed: tuple[str, ...] = ()
        self._hesitates = False
        self._timer: Timer | None = None

    @property
    def offered(self) -> bool:
        """The next key goes to `take`."""
        return self._offered is not None

    @property
    def typed(self) -> tuple[str, ...]:
        """The first key of a pair, if the second one is waited for."""
        return self._typed

    @property
    def shown(self) -> bool:
        return self.offered or self._hesitates

    def offer(self, strip: Strip) -> None:
        self.end()
        self._offered = strip

    def take(self, key: str) -> None:
        """One of the choices, or nothing."""
        strip = self._offered
        self.end()
        key = plain_key(key)
        if strip is not None and key in strip.choices:
            strip.chosen(key)

    def wait_for_second(self, key: str) -> None:
        """`key` begins a pair. What may follow is shown when nothing came for a while."""
        self.end()
        self._typed = (key,)
        self._timer = self._screen.set_timer(self._screen.session.hesitation, self._show)

    def _show(self) -> None:
        self._hesitates = True
        self._screen.repaint_chrome()

    def end(self) -> None:
        self._offered, self._typed, self._hesitates = None, (), False
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def lines(self, width: int) -> tuple[Line, ...]:
        if self._offered is not None:
            choices = [Choice(key_name(key), word) for key, word in self._offered.choices.items()]
            return strip_lines(self._offered.title, choices, width)
        if not self._hesitates:
            return ()
        prefix = plain_key(self._typed[0])
        choices = following(self._screen.keymap, prefix, self._screen.session.text)
        return strip_lines(f"{key_name(prefix)} ...", choices, width)
