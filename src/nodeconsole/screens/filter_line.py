"""The line behind `/` of a list: it filters while one types, and completes the names and values of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodeconsole.viewmodels.completion import Completion, beginning_with, candidate_lines
from nodeconsole.viewmodels.list_filter import cut_word
from nodeconsole.viewmodels.spans import Line

if TYPE_CHECKING:
    from nodeconsole.screens.listing import ListingScreen

KIND = "filter"


class FilterLine:
    def __init__(self, screen: ListingScreen[Any]) -> None:
        self._screen = screen
        self._completion = Completion()
        self._filled = ""
        """What Tab put into the line: no news when it arrives as typed."""

    def open(self) -> None:
        self._completion = self._completable(self._screen.pattern)
        self._screen.open_prompt(KIND, "/", self._screen.pattern)

    def typed(self, text: str) -> None:
        if text != self._filled:
            self._completion = self._completable(text)
        self._filled = ""
        self._screen.filter(text)
        self._screen.repaint_chrome()

    def _completable(self, text: str) -> Completion:
        head, last = cut_word(text)
        return Completion(head, last, beginning_with(last, self._screen.filter_words(last)) if last else ())

    def tab(self, step: int) -> None:
        if self._completion.found:
            self._completion, self._filled = self._completion.stepped(step)
            self._screen.fill_prompt(self._filled)
            self._screen.repaint_chrome()

    def lines(self, width: int) -> tuple[Line, ...]:
        return candidate_lines(self._completion, width) if self._completion.found else ()
