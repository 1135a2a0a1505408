"""The filter language of lists: what is typed after `/`, after `:jobs`, after `job list`, and sent as `q`.

All terms must hold: `psi` (part of a text; a capital letter makes case count), `!psi`, `~psi` (its letters in this
order), `re:^psi_\\d+`, `status:failed,running`, `party:bob`, `age:<2h`, `dur:>10m`, `mine`, `waiting`. Quotes hold
together what has blanks in it, and make a word of what would be a term: `"mine"`. For this no library is loaded: the
console reads it while one types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from embedded_scheduler.domain.pattern import Pattern, PatternFault, compile_pattern
from embedded_scheduler.errors import Spoken
from embedded_scheduler.sentences import Words, say

LONGEST = 500
"""Characters of a filter."""
MOST_TERMS = 20
STATUSES = ("waiting", "pending", "ready", "running", "done", "failed", "stopped", "rejected", "finished")
"""What a job is up to: `waiting` for this node's decision, `finished` however it ended."""

_TOKEN = re.compile(r'\s*((?:"[^"]*"?|[^\s"])+)')
_FIELD = re.compile(r"(status|state|party|age|dur|re):(.*)", re.DOTALL)
_SPAN = re.compile(r"([<>])=?(\d{1,6}(?:\.\d{1,3})?)([smhdw])")
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class Kind(Enum):
    """Of a term. The value names the text that says what is wrong with one."""

    PART = "part"
    FUZZY = "fuzzy"
    PATTERN = "pattern"
    STATUS = "status"
    PARTY = "party"
    AGE = "age"
    TOOK = "dur"
    MINE = "mine"
    WAITING = "waiting"


class QueryFault(Spoken, ValueError):
    """A term that means nothing: which, and what it could be."""

    def __init__(self, term: str, kind: Kind | None, why: Words) -> None:
        super().__init__(say("filter_at", term=repr(term), why=why))
        self.term = term
        self.kind = kind
        self.why = why


@dataclass(frozen=True, slots=True)
class Term:
    kind: Kind
    value: str = ""
    negated: bool = False
    statuses: tuple[str, ...] = ()
    less: bool = False
    """AGE and TOOK: less than `span_ms`, else more."""
    span_ms: int = 0
    pattern: Pattern | None = field(default=None, compare=False)

    def fits(self, text: str) -> bool:
        """Whether a PART, FUZZY or PATTERN term holds for a text."""
        return self._found_in(text) != self.negated

    def _found_in(self, text: str) -> bool:
        if self.pattern is not None:
            return self.pattern.found_in(text)
        text = text if has_capital(self.value) else folded(text)
        if self.kind is Kind.PART:
            return self.value in text
        letters = iter(text)
        return all(letter in letters for letter in self.value if not letter.isspace())


Query = tuple[Term, ...]


def folded(text: str) -> str:
    """In lower case, as far as the node's database folds: A to Z."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def has_capital(text: str) -> bool:
    """Then case counts."""
    return text != folded(text)


@lru_cache(maxsize=64)
def parse_query(text: str) -> Query:
    """The terms of a filter; `QueryFault` names the first that means nothing."""
    if len(text) > LONGEST:
        raise QueryFault(text[:20], None, say("query_long", most=LONGEST))
    terms = tuple(term for token in tokens(text) if (term := _term(token)) is not None)
    if len(terms) > MOST_TERMS:
        raise QueryFault(text[:20], None, say("query_terms", most=MOST_TERMS))
    return terms


def tokens(text: str) -> Iterator[str]:
    """The terms as they were typed."""
    at = 0
    while (found := _TOKEN.match(text, at)) is not None:
        at = found.end()
        yield found.group(1)


def _term(token: str) -> Term | None:
    negated = token.startswith("!")
    body = token[1:] if negated else token
    field_ = _FIELD.fullmatch(body)
    if field_ is not None:
        return _field(token, field_.group(1), unquoted(field_.group(2)), negated=negated)
    if body in ("mine", "waiting"):
        return Term(Kind(body), negated=negated)
    if body.startswith("~"):
        value = unquoted(body[1:])
        return Term(Kind.FUZZY, value, negated) if value else None
    value = unquoted(body)
    # A lone ! or ~ is the beginning of something.
    return Term(Kind.PART, value, negated) if value else None


def unquoted(text: str) -> str:
    """A term without what holds it together."""
    return text.replace('"', "")


def _field(token: str, name: str, value: str, *, negated: bool) -> Term:
    if name == "re":
        return _pattern(token, value, negated=negated)
    if name in ("status", "state"):
        return _statuses(token, value, negated=negated)
    if name == "party":
        if not value:
            raise QueryFault(token, Kind.PARTY, say("query_party"))
        return Term(Kind.PARTY, value, negated)
    kind = Kind(name)
    found = _SPAN.fullmatch(value)
    if found is None or negated:
        raise QueryFault(token, kind, say("query_span", name=name))
    sign, number, unit = found.groups()
    return Term(kind, value, less=sign == "<", span_ms=round(float(number) * _UNITS[unit]))


def _statuses(token: str, value: str, *, negated: bool) -> Term:
    words = tuple(word for word in value.lower().split(",") if word)
    if not words or not set(words) <= set(STATUSES):
        raise QueryFault(token, Kind.STATUS, say("query_status", known=", ".join(STATUSES)))
    return Term(Kind.STATUS, value, negated, statuses=words)


def _pattern(token: str, value: str, *, negated: bool) -> Term:
    if not value:
        raise QueryFault(token, Kind.PATTERN, say("query_pattern"))
    try:
        return Term(Kind.PATTERN, value, negated, pattern=compile_pattern(value))
    except PatternFault as fault:
        raise QueryFault(token, Kind.PATTERN, fault.words) from None
