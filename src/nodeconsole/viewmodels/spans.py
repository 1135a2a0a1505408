"""What every view model produces: pieces of text with a role, and columns. No colours: the theme decides those."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nodeconsole.viewmodels.text import cells, fit

Role = Literal["", "dim", "strong", "run", "ok", "wait", "bad", "warn", "key", "accent", "match", "label"]


class Span(NamedTuple):
    """A piece of one line. `text` is printable already (see `printable`)."""

    text: str
    role: Role = ""


Line = tuple[Span, ...]


def plain(line: Iterable[Span]) -> str:
    """The line without its roles."""
    return "".join(span.text for span in line)


def fit_line(spans: Sequence[Span], width: int, cut: str) -> Line:
    """A whole line in at most `width` cells, marked by `cut` when something is missing."""
    left = width
    fitted: list[Span] = []
    for span in spans:
        length = cells(span.text)
        if length > left:
            fitted.append(Span(fit(span.text, left, cut), span.role))
            break
        fitted.append(span)
        left -= length
    return tuple(fitted)


def spread(left: Sequence[Span], right: Sequence[Span], width: int, cut: str) -> Line:
    """A line of `width` cells whose right part keeps its place; the left one is cut when it is too narrow for both."""
    taken = sum(cells(span.text) for span in right)
    if taken + 1 > width:
        return fit_line(left, width, cut)
    fitted = fit_line(left, width - taken - (1 if taken else 0), cut)
    blank = width - taken - sum(cells(span.text) for span in fitted)
    return (*fitted, Span(" " * blank), *right)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `width` is its least width in cells."""

    id: str
    title: str
    width: int
    flex: int = 0
    """Share of the space left over; 0 = always exactly `width`."""
    most: int = 48
    """What a flexible column never grows beyond."""
    right: bool = False
    drop: int = 0
    """When it is tight, columns with a higher value go first; 0 = never."""
    letter: str = ""
    """Its key in the sort menu; empty = the first letter of its id that is free."""


class Fitted(NamedTuple):
    """A column that is shown, its place in the row, and how many cells it gets."""

    column: Column
    place: int
    width: int


def fit_columns(columns: Sequence[Column], width: int, gap: int = 1) -> tuple[Fitted, ...]:
    """Choose which columns fit into `width` cells and share what is left among the flexible ones."""
    shown = list(range(len(columns)))

    def needed() -> int:
        return sum(columns[i].width for i in shown) + gap * max(0, len(shown) - 1)

    while needed() > width:
        droppable = [i for i in shown if columns[i].drop]
        if not droppable:
            break
        shown.remove(max(droppable, key=lambda i: (columns[i].drop, i)))
    left = max(0, width - needed())
    shares = sum(columns[i].flex for i in shown)
    fitted = []
    for i in shown:
        extra = left * columns[i].flex // shares if shares else 0
        fitted.append(Fitted(columns[i], i, max(columns[i].width, min(columns[i].width + extra, columns[i].most))))
    return tuple(fitted)


def wide_columns(columns: Sequence[Column], width: int, skipped: int, gap: int = 1) -> tuple[Fitted, ...]:
    """Every column as wide as it may become: the first one stays, `skipped` of the others have been scrolled past."""
    places = [0, *range(1 + skipped, len(columns))] if columns else []
    fitted: list[Fitted] = []
    left = width
    for place in places:
        column = columns[place]
        cells = min(max(column.width, column.most if column.flex else column.width), left)
        if cells <= 0:
            break
        fitted.append(Fitted(column, place, cells))
        left -= cells + gap
    return tuple(fitted)
