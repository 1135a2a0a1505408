"""Regular expressions that cannot hang: a subset without look-around and back-references, matched in linear time.

Python's `re` backtracks: a pattern of twenty characters can keep it (and, by the interpreter's lock, the node) busy for
hours. Here a pattern is a set of positions with what may follow each; a text is read once, and each of its characters
costs at most the number of positions. Known: `.` `[a-z]` `[^…]` `\\d \\w \\s \\D \\W \\S` `( )` `(?: )` `|` `* + ?`
`{m} {m,} {m,n}`, and `^` and `$` at the ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from embedded_scheduler.errors import Spoken
from embedded_scheduler.sentences import say

LONGEST = 100
"""Characters of a pattern."""
MOST_POSITIONS = 400
"""After repetitions are written out."""
_MOST_STATES = 500
"""Remembered states of a pattern; then they are found anew."""

Test = Callable[[str], bool]


class PatternFault(Spoken, ValueError):
    """What is wrong with a pattern."""


@dataclass(slots=True)
class _Part:
    """A piece of the automaton: can it be empty, where does it begin, where does it end."""

    nullable: bool = True
    first: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()


@dataclass(slots=True, eq=False)
class _State:
    """Where one is after some characters: the positions that were reached, and what the next character leads to."""

    positions: frozenset[int] = frozenset()
    accepts: bool = False
    steps: dict[str, _State] = field(default_factory=dict)


@dataclass(slots=True)
class Pattern:
    """A compiled pattern. What it remembers of one text makes the next one cheap and changes no answer."""

    tests: list[Test] = field(default_factory=list)
    follow: list[set[int]] = field(default_factory=list)
    whole: _Part = field(default_factory=_Part)
    at_start: bool = False
    at_end: bool = False
    folded: bool = False
    """Case does not count: the text is read in lower case."""
    _begin: _State = field(default_factory=_State)
    _states: dict[frozenset[int], _State] = field(default_factory=dict)

    def found_in(self, text: str) -> bool:
        """Whether it fits somewhere in `text`."""
        if self.whole.nullable and not (text and self.at_start and self.at_end):
            return True
        state = self._begin
        for char in text.lower() if self.folded else text:
            state = state.steps.get(char) or self._step(state, char)
            if state.accepts and not self.at_end:
                return True
        return state.accepts

    def _step(self, state: _State, char: str) -> _State:
        begins = state is self._begin or not self.at_start
        reach = set(self.whole.first) if begins else set()
        for position in state.positions:
            reach |= self.follow[position]
        positions = frozenset(position for position in reach if self.tests[position](char))
        if len(self._states) >= _MOST_STATES:
            self._states, self._begin = {}, _State()
        following = self._states.setdefault(positions, _State(positions, bool(positions & self.whole.last)))
        state.steps[char] = following
        return following


def compile_pattern(text: str) -> Pattern:
    """`PatternFault` says what is wrong. Smart case: without a capital letter case does not count."""
    if len(text) > LONGEST:
        raise PatternFault(say("pattern_long", most=LONGEST))
    pattern = Pattern(folded=_without_escapes(text) == _without_escapes(text).lower())
    if text.startswith("^"):
        pattern.at_start, text = True, text[1:]
    if text.endswith("$") and (len(text) - len(text[:-1].rstrip("\\"))) % 2 == 1:
        pattern.at_end, text = True, text[:-1]
    reader = _Reader(text, pattern)
    pattern.whole = reader.alternatives()
    if reader.more:
        raise PatternFault(say("pattern_closing"))
    return pattern


def _without_escapes(text: str) -> str:
    """`\\D` is no capital letter."""
    return "".join(char for i, char in enumerate(text) if i == 0 or text[i - 1] != "\\")


class _Reader:
    """Builds the automaton while it reads."""

    def __init__(self, text: str, pattern: Pattern) -> None:
        self._text = text
        self._at = 0
        self._pattern = pattern

    @property
    def more(self) -> bool:
        return self._at < len(self._text)

    def _next(self) -> str:
        if not self.more:
            raise PatternFault(say("pattern_short"))
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, wanted: str) -> bool:
        taken = self._text.startswith(wanted, self._at)
        self._at += len(wanted) if taken else 0
        return taken

    def alternatives(self) -> _Part:
        part = self._sequence()
        while self._take("|"):
            other = self._sequence()
            part = _Part(part.nullable or other.nullable, part.first | other.first, part.last | other.last)
        return part

    def _sequence(self) -> _Part:
        part = _Part()
        while self.more and self._text[self._at] not in "|)":
            part = self._joined(part, self._repeated())
        return part

    def _joined(self, one: _Part, other: _Part) -> _Part:
        for position in one.last:
            self._pattern.follow[position] |= other.first
        first = one.first | other.first if one.nullable else one.first
        last = one.last | other.last if other.nullable else other.last
        return _Part(one.nullable and other.nullable, first, last)

    def _repeated(self) -> _Part:
        began = self._at
        part = self._atom()
        written = self._text[began : self._at]
        counts = self._counts()
        while counts is not None:
            part = self._times(part, written, *counts)
            written = self._text[began : self._at]
            counts = self._counts()
        return part

    def _counts(self) -> tuple[int, int | None] | None:
        """How often what stands before is repeated: at least, at most."""
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return counts
        if not self._take("{"):
            return None
        inside = ""
        while (char := self._next()) != "}":
            inside += char
        least, comma, most = inside.partition(",")
        if not least.isdecimal() or (most and not most.isdecimal()):
            raise PatternFault(say("pattern_braces"))
        return int(least), (int(most) if most else None) if comma else int(least)

    def _times(self, part: _Part, written: str, least: int, most: int | None) -> _Part:
        """The part as often as that: written out, its last one in a loop when there is no limit."""
        copies = max(least, 1) if most is None else most
        if copies == 0 or (most is not None and most < least):
            raise PatternFault(say("pattern_braces_alone"))
        whole = _Part()
        for number in range(copies):
            copy = part if number == 0 else self._again(written)
            if most is None and number == copies - 1:
                for position in copy.last:
                    self._pattern.follow[position] |= copy.first
            if number >= least:
                copy = _Part(True, copy.first, copy.last)  # noqa: FBT003 - it may be left out
            whole = self._joined(whole, copy)
        return whole

    def _again(self, written: str) -> _Part:
        return _Reader(written, self._pattern)._repeated()

    def _atom(self) -> _Part:
        char = self._next()
        if char == "(":
            self._take("?:")
            if self._take("?"):
                raise PatternFault(say("pattern_group"))
            part = self.alternatives()
            if not self._take(")"):
                raise PatternFault(say("pattern_opening"))
            return part
        if char in "*+?{":
            raise PatternFault(say("pattern_nothing", char=char))
        if char in "^$":
            raise PatternFault(say("pattern_anchor", char=char))
        return self._position(self._test(char))

    def _position(self, test: Test) -> _Part:
        position = len(self._pattern.tests)
        if position >= MOST_POSITIONS:
            raise PatternFault(say("pattern_large"))
        self._pattern.tests.append(test)
        self._pattern.follow.append(set())
        return _Part(nullable=False, first=frozenset({position}), last=frozenset({position}))

    def _test(self, char: str) -> Test:
        if char == ".":
            return lambda _: True
        if char == "[":
            return self._set()
        if char == "\\":
            return _escaped(self._next())
        wanted = char.lower() if self._pattern.folded else char
        return lambda read: read == wanted

    def _set(self) -> Test:
        inverted = self._take("^")
        tests: list[Test] = []
        while True:
            char = self._next()
            if char == "]" and tests:
                break
            if char == "\\":
                tests.append(_escaped(self._next()))
            elif self._text[self._at : self._at + 1] == "-" and self._text[self._at + 1 : self._at + 2] not in (
                "]",
                "",
            ):
                self._next()
                tests.append(_between(char, self._next()))
            else:
                tests.append(_between(char, char))
        return lambda read: any(test(read) for test in tests) != inverted


def _between(low: str, high: str) -> Test:
    if high < low:
        raise PatternFault(say("pattern_range", low=low, high=high))
    return lambda read: low <= read <= high


def _escaped(char: str) -> Test:
    known: dict[str, Test] = {
        "d": str.isdecimal,
        "w": lambda read: read.isalnum() or read == "_",
        "s": str.isspace,
    }
    test = known.get(char.lower())
    if test is None:
        if char.isalnum():
            raise PatternFault(say("pattern_escape", char=char))
        return lambda read: read == char
    return test if char.islower() else lambda read: not test(read)
