"""Regular expressions of strangers, matched in a time that cannot run away.

A description may hold any expression, and Python's own matcher can take years over a short one. This one walks all
alternatives at once, so each character of the value costs at most one look at each part of the expression; looking
ahead and back references, which cannot be matched like that, are not supported.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field

LONGEST_PATTERN = 500
LONGEST_VALUE = 4_000
_MOST_STATES = 2_000
_MOST_STEPS = 200_000
_QUANTIFIER = re.compile(r"\{(\d*)(?:(,)(\d*))?\}", re.ASCII)
_CODE_POINT = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|0[0-7]{0,2})")
_PLAIN_GROUP = re.compile(r"\?(?::|P<\w+>)")


class PatternFault(Exception):
    """The expression is not valid, or has what is not supported; the text says which."""


@dataclass(slots=True)
class _State:
    """One place in the expression: `test` takes a character to `next`; without a test the ways lead on at once."""

    test: re.Pattern[str] | None = None
    anchor: str = ""
    next: list[int] = field(default_factory=list)


class Pattern:
    """`matches` says yes, no, or None: it would take too long to tell.

    An expression with `^` or `$` is searched for as its author meant it; any other has to match the whole value.
    """

    def __init__(self, source: str) -> None:
        if len(source) > LONGEST_PATTERN:
            raise PatternFault(f"longer than {LONGEST_PATTERN} characters")
        self._states: list[_State] = []
        self._anchored = False
        try:
            _compiled(source)
            self._start, self._end = _Reader(source, self).whole()
        except (re.error, OverflowError) as error:
            raise PatternFault(str(error)) from None
        except RecursionError:
            raise PatternFault("nested too deeply") from None

    def matches(self, value: str) -> bool | None:
        if len(value) > LONGEST_VALUE:
            return None
        steps = 0
        here = self._closure([self._start], value, 0)
        for at, char in enumerate(value):
            if self._anchored and self._end in here:
                return True
            steps += len(here)
            if steps > _MOST_STEPS:
                return None
            following = [
                target
                for place in here
                if (test := self._states[place].test) is not None and test.fullmatch(char)
                for target in self._states[place].next
            ]
            if self._anchored:
                following.append(self._start)
            here = self._closure(following, value, at + 1)
        return self._end in here

    def _closure(self, places: list[int], value: str, at: int) -> set[int]:
        """All places that are reached from these without taking a character."""
        seen: set[int] = set()
        waiting = places
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            state = self._states[place]
            if state.test is None and _holds(state.anchor, value, at):
                waiting.extend(state.next)
        return seen

    def add(self, *, test: re.Pattern[str] | None = None, anchor: str = "") -> int:
        if len(self._states) >= _MOST_STATES:
            raise PatternFault("it repeats too much")
        self._states.append(_State(test, anchor))
        self._anchored = self._anchored or anchor in ("^", "$")
        return len(self._states) - 1

    def lead(self, source: int, target: int) -> None:
        self._states[source].next.append(target)


def _compiled(source: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        # A stranger's expression must not write to the terminal, or end a strict program.
        warnings.simplefilter("ignore")
        return re.compile(source)


def _holds(anchor: str, value: str, at: int) -> bool:
    if anchor == "^":
        return at == 0
    if anchor == "$":
        return at == len(value)
    if anchor in ("b", "B"):
        before = at > 0 and _is_word(value[at - 1])
        after = at < len(value) and _is_word(value[at])
        return (before != after) is (anchor == "b")
    return True


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


_Part = tuple[int, int]


class _Reader:
    """Reads an expression that Python's own compiler has found valid."""

    def __init__(self, source: str, pattern: Pattern) -> None:
        self._source = source
        self._at = 0
        self._pattern = pattern

    def whole(self) -> _Part:
        part = self._alternatives()
        if self._at < len(self._source):
            raise PatternFault(f"unexpected {self._source[self._at]!r}")
        return part

    def _peek(self) -> str:
        return self._source[self._at : self._at + 1]

    def _alternatives(self) -> _Part:
        start, end = self._pattern.add(), self._pattern.add()
        while True:
            first, last = self._sequence()
            self._pattern.lead(start, first)
            self._pattern.lead(last, end)
            if self._peek() != "|":
                return start, end
            self._at += 1

    def _sequence(self) -> _Part:
        start = end = self._pattern.add()
        while self._peek() not in ("", "|", ")"):
            first, last = self._repeated()
            self._pattern.lead(end, first)
            end = last
        return start, end

    def _repeated(self) -> _Part:
        begin = self._at
        part = self._atom()
        source = self._source[begin : self._at]
        least, most = self._quantifier()
        if (least, most) == (1, 1):
            return part
        return self._copies(source, part, least, most)

    def _quantifier(self) -> tuple[int, int | None]:
        char = self._peek()
        bounds: tuple[int, int | None] = (1, 1)
        if char and char in "*+?":
            self._at += 1
            bounds = {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        elif (found := _QUANTIFIER.match(self._source, self._at)) is not None and found[0] != "{}":
            self._at = found.end()
            least = int(found[1] or 0)
            bounds = (least, least) if found[2] is None else (least, int(found[3]) if found[3] else None)
        else:
            return bounds
        # Lazy or possessive: the set of values that match whole differs only for possessive ones, which are rare.
        if self._peek() == "?":
            self._at += 1
        elif self._peek() == "+":
            raise PatternFault("possessive repetition is not supported")
        return bounds

    def _copies(self, source: str, part: _Part, least: int, most: int | None) -> _Part:
        lead = self._pattern.lead
        start, end = self._pattern.add(), self._pattern.add()
        copies = max(least, most or 0, 1)
        here = start
        for number in range(copies):
            first, last = part if number == 0 else self._again(source)
            lead(here, first)
            if number >= least:
                lead(here, end)
            if most is None and number == copies - 1:
                lead(last, first)
            here = last
        lead(here, end)
        if most == 0:
            empty = self._pattern.add()
            return empty, empty
        return start, end

    def _again(self, source: str) -> _Part:
        outer, at = self._source, self._at
        self._source, self._at = source, 0
        part = self._atom()
        self._source, self._at = outer, at
        return part

    def _atom(self) -> _Part:
        char = self._peek()
        if char == "(":
            return self._group()
        if char == "[":
            return self._char(self._class_source())
        if char == "\\":
            return self._escape()
        self._at += 1
        if char in ("^", "$"):
            return self._anchor(char)
        return self._char("." if char == "." else re.escape(char))

    def _group(self) -> _Part:
        self._at += 1
        if self._peek() == "?":
            named = _PLAIN_GROUP.match(self._source, self._at)
            if named is None:
                raise PatternFault(f"{self._source[self._at - 1 : self._at + 3]} is not supported")
            self._at = named.end()
        part = self._alternatives()
        self._at += 1
        return part

    def _class_source(self) -> str:
        begin = self._at
        self._at += 2 if self._source[self._at + 1 : self._at + 2] == "^" else 1
        if self._peek() == "]":
            self._at += 1
        while self._peek() not in ("]", ""):
            self._at += 2 if self._peek() == "\\" else 1
        self._at += 1
        return self._source[begin : self._at]

    def _escape(self) -> _Part:
        letter = self._source[self._at + 1 : self._at + 2]
        long = _CODE_POINT.match(self._source, self._at)
        if long is not None:
            self._at = long.end()
            return self._char(long[0])
        if letter.isdigit():
            raise PatternFault("back references are not supported")
        self._at += 2
        if letter in "bB":
            return self._anchor(letter)
        if letter in "AZ":
            return self._anchor("^" if letter == "A" else "$")
        return self._char("\\" + letter)

    def _anchor(self, anchor: str) -> _Part:
        place = self._pattern.add(anchor=anchor)
        return place, place

    def _char(self, source: str) -> _Part:
        start, end = self._pattern.add(test=_compiled(source)), self._pattern.add()
        self._pattern.lead(start, end)
        return start, end
