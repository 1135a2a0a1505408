"""Completing a command line, without a screen: what is being typed, what could be meant, what Tab makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import cells, printable

_MOST_LINES = 3


class Candidate(NamedTuple):
    """`word` is what would stand in the line; `note` says what it is."""

    word: str
    note: str = ""


class Typed(NamedTuple):
    """A command line: its whole words, what stands before the last one, and that one, which may be empty."""

    before: tuple[str, ...]
    head: str
    last: str


def typed(line: str) -> Typed:
    cut = max((place + 1 for place, char in enumerate(line) if char.isspace()), default=0)
    cut = max(cut, len(line) - len(line.lstrip(":：")) if cut == 0 else cut)
    return Typed(tuple(line[:cut].lstrip(":：").split()), line[:cut], line[cut:])


def beginning_with(last: str, words: Iterable[str | Candidate]) -> tuple[Candidate, ...]:
    """Those that go on from what is typed, whatever its case."""
    candidates = (word if isinstance(word, Candidate) else Candidate(word) for word in words)
    return tuple(one for one in candidates if one.word.casefold().startswith(last.casefold()))


@dataclass(frozen=True, slots=True)
class Completion:
    """`found` for the last word of a line that begins with `head`; `at` = the one that stands in the line now."""

    head: str = ""
    last: str = ""
    found: tuple[Candidate, ...] = ()
    at: int | None = None

    def stepped(self, step: int) -> tuple[Completion, str]:
        """Tab (1) or shift+Tab (-1): what the line becomes. First what all have in common, then one after the other;
        the only one is taken, with a space behind it unless it goes on."""
        words = [one.word for one in self.found]
        if not words:
            return self, self.head + self.last
        if len(words) == 1:
            return Completion(), self.head + words[0] + ("" if words[0].endswith(("/", ":", "<", ">")) else " ")
        common = _common(words)
        if self.at is None and len(common) > len(self.last) and common.casefold().startswith(self.last.casefold()):
            return replace(self, last=common), self.head + common
        at = (0 if step > 0 else len(words) - 1) if self.at is None else (self.at + step) % len(words)
        return replace(self, at=at), self.head + words[at]


def _common(words: Sequence[str]) -> str:
    """How all of them begin."""
    first, last = min(words), max(words)
    same = next((place for place, char in enumerate(first) if last[place : place + 1] != char), len(first))
    return first[:same]


def candidate_lines(completion: Completion, width: int) -> tuple[Line, ...]:
    """The candidates in at most three lines, those around the one in the line; what is left out is counted."""
    pieces = [_piece(one, chosen=place == completion.at) for place, one in enumerate(completion.found)]
    start = 0
    while True:
        lines, shown = _broken(pieces[start:], width)
        if completion.at is None or start + shown > completion.at:
            break
        start += shown
    left = len(pieces) - start - shown
    if left:
        lines[-1].append(Span(f"+{left}", "dim"))
    return tuple(tuple(line) for line in lines)


def _piece(one: Candidate, *, chosen: bool) -> Sequence[Span]:
    note = (Span(f" {printable(one.note)}", "dim"),) if one.note else ()
    return (Span(printable(one.word), "label" if chosen else ""), *note, Span("  "))


def _broken(pieces: Sequence[Sequence[Span]], width: int) -> tuple[list[list[Span]], int]:
    """Lines, and how many pieces are in them. Room is left for the count of the others."""
    lines: list[list[Span]] = [[]]
    used = 0
    for number, piece in enumerate(pieces):
        length = sum(cells(span.text) for span in piece)
        if used and used + length > width - 6:
            if len(lines) == _MOST_LINES:
                return lines, number
            lines.append([])
            used = 0
        lines[-1] += piece
        used += length
    return lines, len(pieces)
