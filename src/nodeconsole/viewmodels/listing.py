"""What all lists have in common, without a screen: how one is looked at, filtered, sorted and saved."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nodeconsole.viewmodels.list_filter import ListFilter
from nodeconsole.viewmodels.spans import Column, Line

if TYPE_CHECKING:
    from nodeconsole.state import Json
    from nodeconsole.viewmodels.display import Display

T = TypeVar("T")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"(\d+)")
_WIDEST = 500


def _nothing(row: Any) -> Any:  # noqa: ARG001 - a list without this property
    return None


def _no_problem(row: Any) -> bool:  # noqa: ARG001
    return False


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A kind of list. `name` prefixes its texts (`<name>.title`, `.none`, `.none_hint`).

    A column without an entry in `values` is sorted by what it shows, numbers in it by their value.
    """

    name: str
    key: Callable[[T], str]
    columns: Callable[[Display], tuple[Column, ...]]
    cells: Callable[[T, Display], Line]
    values: Mapping[str, Callable[[T, Display], Any]] = field(default_factory=dict)
    """What a column is sorted by; None sorts last."""
    problem: Callable[[T], bool] = _no_problem
    """What `e` goes to."""
    facts: Callable[[T, Display, int], list[Line]] | None = None
    """About one row, in lines of a width: the preview, and what `d` shows."""
    document: Callable[[T], object] = _nothing
    """A row as data, for reading, copying and saving; None = it has none."""
    title: Callable[[T], str] = _nothing
    """Its name in the copy menu; None = as the first column."""
    link: Callable[[T], str] = _nothing
    """What typed after `:` leads to the row; None = nothing does."""


@dataclass(frozen=True, slots=True)
class View:
    """How one looks at a list: kept while it is shown, whatever its rows do."""

    order: tuple[str, ...] = ()
    """Ids of columns that were moved to the front; the others follow in their own order."""
    hidden: frozenset[str] = frozenset()
    widths: Mapping[str, int] = field(default_factory=dict)
    by: str = ""
    """The column that sorts; empty = the list's own order."""
    reverse: bool = False
    wide: bool = False

    def kept(self) -> dict[str, Json]:
        """What is remembered over a restart; `kept_view` reads it."""
        return {
            "order": [*self.order],
            "hidden": [*sorted(self.hidden)],
            "widths": {**self.widths},
            "by": self.by,
            "reverse": self.reverse,
            "wide": self.wide,
        }

    def sorted_by(self, column: str) -> View:
        """By this column; by the one that sorts already: the other way round."""
        return replace(self, by=column, reverse=not self.reverse if column == self.by else False)


def kept_view(value: Mapping[str, Json], columns: Sequence[Column]) -> View:
    """How the list was looked at, as far as that still means something: columns come and go with versions."""
    known = [column.id for column in columns]
    order, hidden, widths, by = value.get("order"), value.get("hidden"), value.get("widths"), value.get("by")
    return View(
        order=tuple(name for name in _texts(order) if name in known),
        hidden=frozenset(name for name in _texts(hidden) if name in known),
        widths=_kept_widths(widths, known) if isinstance(widths, dict) else {},
        by=by if isinstance(by, str) and by in known else "",
        reverse=value.get("reverse") is True,
        wide=value.get("wide") is True,
    )


def _texts(value: Json) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _kept_widths(widths: Mapping[str, Json], known: Sequence[str]) -> dict[str, int]:
    return {name: w for name, w in widths.items() if name in known and isinstance(w, int) and 1 <= w <= _WIDEST}


def arranged(columns: Sequence[Column], view: View) -> tuple[tuple[Column, ...], tuple[int, ...]]:
    """The columns as the view wants them, and the place of each in the row's cells."""
    ids = {column.id: place for place, column in enumerate(columns)}
    moved = [ids[name] for name in view.order if name in ids]
    places = [*moved, *(place for place in range(len(columns)) if place not in moved)]
    shown = [place for place in places if columns[place].id not in view.hidden] or places[:1]
    return tuple(_sized(columns[place], view.widths) for place in shown), tuple(shown)


def _sized(column: Column, widths: Mapping[str, int]) -> Column:
    """A column whose width was chosen keeps it and is not dropped for want of space."""
    width = widths.get(column.id)
    return column if width is None else replace(column, width=width, most=width, flex=0, drop=0)


def sort_letters(columns: Sequence[Column]) -> dict[str, str]:
    """Letter → column id: its own letter, else the first of its id that is free, else any that is."""
    letters = {column.letter: column.id for column in columns if column.letter}
    for column in columns:
        if not column.letter:
            free = (letter for letter in f"{column.id}abcdefghijklmnopqrstuvwxyz" if letter not in letters)
            letters[next(free)] = column.id
    places = [column.id for column in columns]
    return dict(sorted(letters.items(), key=lambda item: places.index(item[1])))


def in_order(rows: Sequence[T], listing: Listing[T], view: View, display: Display) -> Sequence[T]:
    """Sorted as the view wants it; rows that compare equal keep their order, those without a value come last."""
    if not view.by:
        return rows
    place = next((i for i, c in enumerate(listing.columns(display)) if c.id == view.by), None)
    if place is None:
        return rows
    own = listing.values.get(view.by)

    def value(row: T) -> Any:
        return own(row, display) if own is not None else natural(listing.cells(row, display)[place].text)

    valued = [(value(row), row) for row in rows]
    known = sorted((pair for pair in valued if pair[0] is not None), key=lambda p: p[0], reverse=view.reverse)
    return [row for _, row in known] + [row for found, row in valued if found is None]


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A key under which `run 9` comes before `run 10`, and case does not count."""
    parts = _NUMBER.split(text.casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)


def matching(rows: Iterable[T], listing: Listing[T], wanted: ListFilter, display: Display) -> list[T]:
    """The rows that fit, in their order."""
    if not wanted.anywhere and not wanted.fields:
        return list(rows)
    names = [column.id for column in listing.columns(display)]
    return [
        row
        for row in rows
        if wanted.fits(dict(zip(names, (span.text for span in listing.cells(row, display)), strict=True)))
    ]


def as_csv(rows: Iterable[T], listing: Listing[T], view: View, display: Display) -> str:
    """What is seen: one line per row, one field per shown column."""
    columns, places = arranged(listing.columns(display), view)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.title for column in columns])
    for row in rows:
        cells = listing.cells(row, display)
        writer.writerow([_harmless(cells[place].text) for place in places])
    return out.getvalue()


def _harmless(text: str) -> str:
    """A spreadsheet runs what looks like a formula, and a partner can name a flow like one."""
    return f"'{text}" if text.startswith(_FORMULA) and len(text) > 1 else text


def as_json(rows: Iterable[T], listing: Listing[T], display: Display) -> str:
    """The rows as data; of a list without such data, what is seen."""
    columns = listing.columns(display)
    documents = []
    for row in rows:
        document = listing.document(row)
        if document is None:
            document = {c.id: s.text for c, s in zip(columns, listing.cells(row, display), strict=True)}
        documents.append(document)
    return json.dumps(documents, indent=2, ensure_ascii=False) + "\n"


def as_text(row: T, listing: Listing[T], view: View, display: Display) -> str:
    """One row as it is seen, its fields apart by tabs."""
    _, places = arranged(listing.columns(display), view)
    cells = listing.cells(row, display)
    return "\t".join(cells[place].text for place in places)
