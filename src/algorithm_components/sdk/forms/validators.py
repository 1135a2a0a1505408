"""The `validator` of a parameter: a range or a regular expression, in the spellings found in the wild."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from algorithm_components.sdk.forms.model import Note, note
from algorithm_components.sdk.forms.patterns import Pattern, PatternFault

_HALF_WIDTH = str.maketrans("（）［］，：＇‘’“”－＋", "()[],:'''\"\"-+")
_RANGE = re.compile(r"([(\[])\s*([^,]*?)\s*,\s*([^,]*?)\s*([)\]])")
_REGULAR = re.compile(r"regular\s*[:：\-=]\s*(.*)", re.DOTALL | re.IGNORECASE)
_PLACEHOLDERS = frozenset({"正则项", "正则表达式", "regex", "regexp", "regular expression"})
"""What descriptions carry over from the specification's template instead of an expression."""
_INFINITE = frozenset({"", "∞", "inf", "infinity", "sup", "null", "none"})


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number; an infinite one does not count."""

    low: float
    high: float
    with_low: bool
    with_high: bool
    source: str

    def fault(self, value: object, name: str) -> Note | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        above = value >= self.low if self.with_low else value > self.low
        below = value <= self.high if self.with_high else value < self.high
        if (above or self.low == -math.inf) and (below or self.high == math.inf):
            return None
        return note("outside", name, range=self.source)


@dataclass(frozen=True, slots=True)
class Expression:
    """A regular expression for a text."""

    pattern: Pattern
    source: str

    def fault(self, value: object, name: str) -> Note | None:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            return None
        return note("no_match", name, pattern=self.source) if self.pattern.matches(str(value)) is False else None


Validator = Range | Expression


def parse_validator(text: str, name: str) -> tuple[Validator | None, Note | None]:
    """The rule, and what is to be said about its writing. Without a rule every value is accepted."""
    written = text.strip()
    if not written:
        return None, None
    regular = _REGULAR.fullmatch(written)
    if regular is not None:
        return _expression(regular[1], written, name)
    bounds = _RANGE.fullmatch(written.translate(_HALF_WIDTH))
    if bounds is not None:
        return _range(bounds, written, name)
    return None, note("unknown_validator", name, validator=written)


def _expression(source: str, written: str, name: str) -> tuple[Validator | None, Note | None]:
    source = source.strip()
    for quote in ("'", '"', "`"):
        if len(source) >= 2 and source[0] == source[-1] == quote:
            source = source[1:-1]
    if len(source) > 2 and source[0] == source[-1] == "/":
        source = source[1:-1]
    if not source.strip():
        return None, note("empty_pattern", name, validator=written)
    if source.strip().lower() in _PLACEHOLDERS:
        return None, note("placeholder_pattern", name, validator=written)
    try:
        return Expression(Pattern(source), source), None
    except PatternFault as fault:
        return None, note("bad_pattern", name, validator=written, fault=fault)


def _range(bounds: re.Match[str], written: str, name: str) -> tuple[Validator | None, Note | None]:
    low, high = _bound(bounds[2], -math.inf), _bound(bounds[3], math.inf)
    if low is None or high is None:
        return None, note("unknown_validator", name, validator=written)
    if low == -math.inf and high == math.inf:
        return None, None
    if low > high:
        return None, note("empty_range", name, validator=written)
    source = bounds[0].replace(" ", "")
    return Range(low, high, bounds[1] == "[", bounds[4] == "]", source), None


def _bound(text: str, infinite: float) -> float | None:
    if text.lstrip("+-").strip().lower() in _INFINITE:
        return infinite
    try:
        value = float(text.replace("_", "x"))
    except ValueError:
        return None
    return None if math.isnan(value) else value


def range_of(low: object, high: object, *, with_low: bool = True, with_high: bool = True) -> Range | None:
    """A range of a schema's numbers; None where neither bound is one."""
    least = float(low) if isinstance(low, int | float) else -math.inf
    most = float(high) if isinstance(high, int | float) else math.inf
    if least == -math.inf and most == math.inf:
        return None
    source = "".join(_pieces(low, high, with_low=with_low, with_high=with_high))
    return Range(least, most, with_low, with_high, source)


def _pieces(low: object, high: object, *, with_low: bool, with_high: bool) -> Iterable[str]:
    yield "[" if with_low and low is not None else "("
    yield "-inf" if low is None else f"{low}"
    yield ","
    yield "inf" if high is None else f"{high}"
    yield "]" if with_high and high is not None else ")"
