"""A report as one table in long form: one value a row, named by where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

HEADER = ("item", "kind", "row", "column", "value")


def tidy_rows(document: Mapping[str, Any]) -> Iterator[list[Any]]:
    """HEADER, then a row for each value. `row` counts from 1 in a table and is x in a curve; `column` is the table's
    column, or the curve's series; a scalar has its unit there. What could not be computed is empty."""
    yield list(HEADER)
    for item in document["items"]:
        for row, column, value in _values(item):
            yield [item["name"], item["kind"], row, column, "" if value is None else value]


def _values(item: Mapping[str, Any]) -> Iterator[tuple[Any, str, Any]]:
    if item["kind"] == "scalar":
        yield "", item.get("unit", ""), item["value"]
    elif item["kind"] == "text":
        yield "", "", item["text"]
    elif item["kind"] == "table":
        names = [column["name"] for column in item["columns"]]
        for number, row in enumerate(item["rows"], 1):
            yield from ((number, name, cell) for name, cell in zip(names, row, strict=True))
    else:
        for place, series in enumerate(item["series"], 1):
            title = series.get("title") or str(place)
            yield from ((x, title, y) for x, y in series["points"])
