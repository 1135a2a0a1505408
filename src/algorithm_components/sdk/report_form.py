"""The form of `report` and `metric` outputs: scalars, tables, curves and texts, as JSON that consoles draw.

`report.schema.json` beside this module is the form as a JSON schema; docs/components.md explains it. A document is
checked when it is written, so what is stored can be drawn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from algorithm_components.sdk.environment import ComponentError

FORM = "nodeconsole.report/1"
MOST_ITEMS = 200
MOST_COLUMNS = 100
MOST_ROWS = 10_000
MOST_SERIES = 50
MOST_POINTS = 10_000
LONGEST_TEXT = 10_000
LARGEST_NUMBER = 1e300
"""Of points, either way: so that distances between them are numbers too; and of whole numbers."""

Cell = str | float | bool | None
"""What a scalar or a cell of a table may be."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,63}", re.ASCII)
_HALVES = re.compile("[\ud800-\udfff]")
_TYPES = ("string", "integer", "number", "boolean")
_ITEM_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "scalar": ("value",),
    "text": ("text",),
    "table": ("columns", "rows"),
    "curve": ("x", "y", "series"),
}
_OPTIONAL = {"kind", "name", "title", "description", "unit"}


class Report:
    """One document, put together item by item in the order in which it is to be shown.

    Names are unique and stay the same between runs, so that runs can be compared; titles are for people. Every method
    raises `ComponentError` for what the form does not allow: numbers that are none (NaN, infinite), too much of
    anything, rows of another length than the header.
    """

    def __init__(self, title: str = "", description: str = "") -> None:
        self._head = {"title": title, "description": description}
        self._items: list[dict[str, Any]] = []

    def scalar(self, name: str, value: Cell, *, title: str = "", unit: str = "", description: str = "") -> None:
        """One figure; None = it could not be computed."""
        self._add("scalar", name, title, description, unit=unit, value=value)

    def text(self, name: str, text: str, *, title: str = "") -> None:
        """A remark, in lines."""
        self._add("text", name, title, "", text=text)

    def table(
        self,
        name: str,
        columns: Sequence[str | Mapping[str, str]],
        rows: Iterable[Sequence[object]],
        *,
        title: str = "",
        description: str = "",
    ) -> None:
        """`columns`: names, or `{"name", "title", "type"}`; cells are text, numbers, booleans or None."""
        declared = [{"name": column} if isinstance(column, str) else dict(column) for column in columns]
        self._add("table", name, title, description, columns=declared, rows=[list(row) for row in rows])

    def curve(
        self,
        name: str,
        series: Mapping[str, Iterable[tuple[float, float | None]]],
        *,
        x: str = "",
        y: str = "",
        title: str = "",
        description: str = "",
    ) -> None:
        """Lines over one pair of axes: the points (x, y) of each series by its title. y None is a gap."""
        lines = [{"title": label, "points": [list(point) for point in points]} for label, points in series.items()]
        self._add("curve", name, title, description, x={"title": x}, y={"title": y}, series=lines)

    def document(self) -> dict[str, Any]:
        """JSON data that follows the form."""
        return {"form": FORM, **{key: value for key, value in self._head.items() if value}, "items": list(self._items)}

    def _add(self, kind: str, name: str, title: str, description: str, **members: Any) -> None:
        shown = {"title": title, "description": description, "unit": members.pop("unit", "")}
        item = {"kind": kind, "name": name, **{key: value for key, value in shown.items() if value}, **members}
        place = f"items[{len(self._items)}]"
        fault = next(_item(place, item, {known["name"] for known in self._items}), "")
        if not fault and len(self._items) >= MOST_ITEMS:
            fault = f"at most {MOST_ITEMS} items are allowed"
        if fault:
            raise ComponentError(f"the report cannot hold this: {fault}")
        self._items.append(item)


def faults_of(document: object) -> Iterator[str]:
    """What in a document is not as the form says, as sentences that name the place; nothing if it follows the form."""
    if not isinstance(document, Mapping):
        yield "it is not an object"
        return
    if document.get("form") != FORM:
        yield f"form must be {FORM!r}"
    yield from _texts(document, "", ("title", "description"))
    items = document.get("items")
    if not isinstance(items, list):
        yield "items must be a list"
        return
    if len(items) > MOST_ITEMS:
        yield f"items has {len(items)} members, at most {MOST_ITEMS} are allowed"
        return
    seen: set[str] = set()
    for at, item in enumerate(items):
        yield from _item(f"items[{at}]", item, seen)


def _item(place: str, item: object, seen: set[str]) -> Iterator[str]:
    kind = item.get("kind") if isinstance(item, Mapping) else None
    if not isinstance(item, Mapping) or not isinstance(kind, str) or kind not in _ITEM_MEMBERS:
        yield f"{place}.kind must be one of {', '.join(_ITEM_MEMBERS)}"
        return
    name = item.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"{place}.name must be 1 to 64 characters of A-Z a-z 0-9 _ . - and begin with a letter or _"
    elif name in seen:
        yield f"{place}.name {name} occurs twice"
    else:
        seen.add(name)
    unknown = sorted(set(map(str, item)) - _OPTIONAL - set(_ITEM_MEMBERS[kind]))
    if unknown:
        yield f"{place} has members that a {kind} does not have: {', '.join(unknown)}"
    yield from _texts(item, f"{place}.", ("title", "description", "unit"))
    missing = [member for member in _ITEM_MEMBERS[kind] if member not in item]
    if missing:
        yield f"{place}.{missing[0]} is missing"
    elif kind == "scalar":
        yield from _cell(f"{place}.value", item["value"])
    elif kind == "text":
        yield from _texts(item, f"{place}.", ("text",))
    elif kind == "table":
        yield from _table(place, item["columns"], item["rows"])
    else:
        yield from _curve(place, item)


def _table(place: str, columns: object, rows: object) -> Iterator[str]:
    if not isinstance(columns, list) or not 0 < len(columns) <= MOST_COLUMNS:
        yield f"{place}.columns must be a list of 1 to {MOST_COLUMNS} columns"
        return
    for at, column in enumerate(columns):
        if not isinstance(column, Mapping) or not isinstance(column.get("name"), str) or not column["name"]:
            yield f"{place}.columns[{at}].name must be a text"
        elif column.get("type", "string") not in _TYPES:
            yield f"{place}.columns[{at}].type must be one of {', '.join(_TYPES)}"
        else:
            yield from _texts(column, f"{place}.columns[{at}].", ("name", "title"))
    if not isinstance(rows, list) or len(rows) > MOST_ROWS:
        yield f"{place}.rows must be a list of at most {MOST_ROWS} rows"
        return
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            yield f"{place}.rows[{at}] must be a list of {len(columns)} cells, one per column"
            return
        for cell in row:
            yield from _cell(f"{place}.rows[{at}]", cell)


def _curve(place: str, item: Mapping[str, Any]) -> Iterator[str]:
    for axis in ("x", "y"):
        if not isinstance(item[axis], Mapping):
            yield f"{place}.{axis} must be an object with a title"
        else:
            yield from _texts(item[axis], f"{place}.{axis}.", ("title",))
    series = item["series"]
    if not isinstance(series, list) or len(series) > MOST_SERIES:
        yield f"{place}.series must be a list of at most {MOST_SERIES} series"
        return
    for at, line in enumerate(series):
        points = line.get("points") if isinstance(line, Mapping) else None
        if not isinstance(points, list) or len(points) > MOST_POINTS:
            yield f"{place}.series[{at}].points must be a list of at most {MOST_POINTS} points"
            continue
        yield from _texts(line, f"{place}.series[{at}].", ("title",))
        if not all(map(_is_point, points)):
            yield f"{place}.series[{at}].points must be pairs of numbers [x, y]; y may be null"


def _is_point(point: object) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and _is_number(point[0])
        and (point[1] is None or _is_number(point[1]))
    )


def _is_number(value: object) -> bool:
    # Compared, not converted: JSON has whole numbers that are beyond every float. NaN is not smaller than anything.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER


def _cell(place: str, value: object) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{place} is {value}: write null for what could not be computed"
    elif value is not None and not isinstance(value, str | int | float):
        yield f"{place} must be a text, a number, a boolean or null"
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        yield f"{place} is a number of more than 300 digits"
    elif isinstance(value, str) and len(value) > LONGEST_TEXT:
        yield f"{place} is longer than {LONGEST_TEXT} characters"
    elif isinstance(value, str) and not _is_whole(value):
        yield f"{place} has half of a surrogate pair: it is not text"


def _texts(holder: Mapping[str, Any], place: str, members: Iterable[str]) -> Iterator[str]:
    for member in members:
        value = holder.get(member, "")
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            yield f"{place}{member} must be a text of at most {LONGEST_TEXT} characters"
        elif not _is_whole(value):
            yield f"{place}{member} has half of a surrogate pair: it is not text"


def _is_whole(text: str) -> bool:
    """JSON can say what no file of text can hold."""
    return text.isascii() or not _HALVES.search(text)
