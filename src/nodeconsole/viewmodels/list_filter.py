"""The filter of lists that the console holds whole: the words of the filter of jobs, and a field for every column.

`psi` (part of what a row shows; a capital letter makes case count), `!psi`, `~psi` (its letters in this order),
`re:^psi`, `state:failed,running` (part of one column), `size:>10MiB`, `age:<2h`, `rows:>=1000` (compared by value).
Quotes hold together what has blanks in it, and make a word of what would be a field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedded_scheduler.wire.query import QueryFault, Term, has_capital, parse_query, tokens, unquoted
from nodeconsole.viewmodels.text import printable

if TYPE_CHECKING:
    from nodeconsole.viewmodels.display import Display

_FIELD = re.compile(r"([a-z_]+):(?!//)(.*)", re.DOTALL)
_BOUND = re.compile(r"([<>]=?)(.*)")
_AMOUNT = re.compile(r"(\d+(?:[.,]\d+)*)\s*([A-Za-z%]*)")
_UNITS = {
    "": 1.0, "%": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0,
    "b": 1.0, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30, "tib": 2.0**40, "kb": 1e3, "mb": 1e6, "gb": 1e9, "k": 1e3,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FilterFault:
    """A term that means nothing. `kind` names the text that says why: column, amount, or pattern."""

    term: str
    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """`words`: any of them is part of the column. `sign`: the column is less or more than `bound`."""

    column: str
    negated: bool
    words: tuple[str, ...] = ()
    sign: str = ""
    bound: float = 0.0

    def fits(self, shown: str) -> bool:
        return self._holds(shown) != self.negated

    def _holds(self, shown: str) -> bool:
        if not self.sign:
            return any(word in (shown if has_capital(word) else shown.lower()) for word in self.words)
        value = amount(shown)
        if value is None:
            return False
        return {"<": value < self.bound, ">": value > self.bound, "<=": value <= self.bound, ">=": value >= self.bound}[
            self.sign
        ]


@dataclass(frozen=True, slots=True)
class ListFilter:
    """All terms have to hold; those that mean nothing (yet) are left out and told of."""

    anywhere: tuple[Term, ...] = ()
    fields: tuple[FieldTerm, ...] = ()
    fault: FilterFault | None = None

    def fits(self, cells: Mapping[str, str]) -> bool:
        """What a row shows, by column."""
        whole = " ".join(cells.values())
        return all(term.fits(cells[term.column]) for term in self.fields) and all(
            term.fits(whole) for term in self.anywhere
        )


def parse_filter(text: str, columns: Sequence[str]) -> ListFilter:
    anywhere: list[Term] = []
    fields: list[FieldTerm] = []
    fault: FilterFault | None = None
    for token in tokens(text):
        found = _field(token, columns)
        if isinstance(found, FieldTerm):
            fields.append(found)
        elif isinstance(found, FilterFault):
            fault = fault or found
        else:
            try:
                # What means something in the list of jobs only, is a word here.
                anywhere += parse_query(_as_word(token))
            except QueryFault as wrong:
                fault = fault or FilterFault(token, "pattern", str(wrong.why))
    return ListFilter(tuple(anywhere), tuple(fields), fault)


def _as_word(token: str) -> str:
    negation = token[: token.startswith("!")]
    body = token[len(negation) :]
    return token if body.startswith(("~", "re:")) else f'{negation}"{unquoted(body)}"'


def _field(token: str, columns: Sequence[str]) -> FieldTerm | FilterFault | None:
    """None for what is no field."""
    negated = token.startswith("!")
    match = _FIELD.fullmatch(token[1:] if negated else token)
    if match is None or match.group(1) == "re":
        return None
    name, value = match.group(1), unquoted(match.group(2))
    if name not in columns:
        return FilterFault(token, "column", " ".join(columns))
    bound = _BOUND.fullmatch(value)
    if bound is None:
        words = tuple(word for word in value.split(",") if word)
        return FieldTerm(name, negated, words) if words else FilterFault(token, "value", name)
    number = amount(bound.group(2))
    if number is None:
        return FilterFault(token, "amount", name)
    return FieldTerm(name, negated, sign=bound.group(1), bound=number)


def amount(shown: str) -> float | None:
    """The number that a text shows, in its basic unit: `1,234`, `31m`, `2h02`, `12.5 KiB`, `97%`; None = it shows none.
    In front of it may stand a sign."""
    match = _AMOUNT.search(shown)
    if match is None:
        return None
    digits, unit = match.group(1).replace(",", ""), match.group(2)
    factor = _UNITS.get(unit.lower()) if unit not in ("M", "K", "G") else {"K": 1e3, "M": 1e6, "G": 1e9}[unit]
    if factor is None or digits.count(".") > 1:
        return None
    value = float(digits) * factor
    rest = re.match(r"(\d+)", shown[match.end() :])
    # `2h02` is two hours and two minutes, `1m23` a minute and 23 seconds.
    return value + (int(rest.group(1)) * factor / 60 if rest and unit in ("h", "m") else 0)


def cut_word(text: str) -> tuple[str, str]:
    """A filter that is being typed: what stands before the beginning of a field, and that beginning."""
    head, blank, last = text.rpartition(" ")
    bare = last.lstrip("!")
    return head + blank + last[: len(last) - len(bare)], "" if '"' in bare else bare


def list_fault_text(fault: FilterFault, display: Display) -> str:
    """What is wrong with a filter, and what its term could be."""
    why = fault.detail if fault.kind == "pattern" else display.text(f"list.fault.{fault.kind}", detail=fault.detail)
    return display.text("jobs.fault.term", term=printable(fault.term), why=why)
