"""What the beginning of a stored object shows: a table, a document, text, or nothing."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from embedded_scheduler.sentences import Words

MOST_CELL = 200
"""Characters of one value of a table."""
MOST_COLUMNS = 200
MOST_TEXT = 20_000
MOST_DEPTH = 60
_CUT = "…"
_BETWEEN = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class Preview:
    kind: str
    """table, document, text, binary"""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    total: int | None = None
    document: Any = None
    text: str = ""
    whole: bool = True
    why: Words = ""
    """Of kind binary: why a table is not shown."""


def preview_of(data: bytes, declared: str, *, whole: bool, rows: int) -> Preview:
    """`data` is the object's beginning, or (`whole`) all of it; `declared` its type in the specification.

    A table is CSV with a header line, or JSON: objects one after the other, or in an array.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The end may have cut a character in two; anything else is not text.
        if whole or error.start < len(data) - 3:
            return Preview("binary", whole=not data)
        text = data[: error.start].decode("utf-8-sig")
    if "\0" in text:
        return Preview("binary", whole=False)
    if declared == "dataset":
        table = _table_of_objects(text, rows, whole=whole)
        if table is not None:
            return table
    document = _document(text) if whole else None
    if document is not None:
        return Preview("document", document=document)
    if declared == "dataset" or _looks_like_a_table(text):
        table = _table(text, rows, whole=whole)
        if table is not None:
            return table
    return Preview("text", text=text[:MOST_TEXT], whole=whole and len(text) <= MOST_TEXT)


def table_of(columns: Sequence[str], rows: Sequence[Sequence[str]], *, whole: bool) -> Preview:
    """Rows that somebody else has read; `whole`: there are no more."""
    return Preview(
        "table",
        tuple(map(_shown, columns[:MOST_COLUMNS])),
        tuple(tuple(map(_shown, row[:MOST_COLUMNS])) for row in rows),
        len(rows) if whole else None,
        whole=whole and len(columns) <= MOST_COLUMNS,
    )


def _document(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        document = json.loads(text, parse_constant=str, parse_float=_finite)
        # Half a surrogate pair can be written in JSON but not be sent.
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return document if _is_shallow(document, MOST_DEPTH) else None


def _table_of_objects(text: str, rows: int, *, whole: bool) -> Preview | None:
    """None for what is no such table. One object alone is a document, not a table."""
    in_array = text.lstrip().startswith("[")
    records, complete = _objects(text, in_array=in_array)
    if not records or (whole and not complete) or (whole and len(records) == 1 and not in_array):
        return None
    header = list(records[0])
    found = [[_cell(record.get(name)) for name in header[:MOST_COLUMNS]] for record in records[:rows]]
    shown = table_of(header, found, whole=whole and len(records) <= rows)
    return replace(shown, total=len(records) if whole else None)


def _objects(text: str, *, in_array: bool) -> tuple[list[dict[str, Any]], bool]:
    """The objects at the beginning of a text, and whether there is nothing else in it."""
    found: list[dict[str, Any]] = []
    decode = json.JSONDecoder(parse_constant=str, parse_float=_finite).raw_decode
    at = text.index("[") + 1 if in_array else 0
    while (mark := _BETWEEN.match(text, at)) and (at := mark.end()) < len(text) and text[at] == "{":
        try:
            record, at = decode(text, at)
            json.dumps(record, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return found, False
        found.append(record)
    return found, text[at:].strip() == ("]" if in_array else "")


def _finite(text: str) -> float | str:
    """A number beyond all floats stays what was written: infinities cannot be sent."""
    value = float(text)
    return text if math.isinf(value) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_shallow(value: Any, left: int) -> bool:
    """Whether nothing is nested deeper than so many levels."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left > 0 and all(_is_shallow(item, left - 1) for item in inner)


def _looks_like_a_table(text: str) -> bool:
    lines = text.split("\n", 2)
    return len(lines) > 1 and "," in lines[0] and lines[0].count(",") == lines[1].count(",")


def _table(text: str, rows: int, *, whole: bool) -> Preview | None:
    if not whole:
        # The last line may be cut.
        text = text[: text.rfind("\n") + 1]
    found: list[tuple[str, ...]] = []
    count = 0
    try:
        reader = csv.reader(io.StringIO(text, newline=""))
        header = next(reader, [])
        for row in reader:
            if row:
                count += 1
                if len(found) < rows:
                    found.append(tuple(map(_shown, row[:MOST_COLUMNS])))
    except csv.Error:
        return None
    if not header:
        return None
    complete = whole and count <= rows and len(header) <= MOST_COLUMNS
    columns = tuple(map(_shown, header[:MOST_COLUMNS]))
    return Preview("table", columns, tuple(found), count if whole else None, whole=complete)


def _shown(value: str) -> str:
    return value if len(value) <= MOST_CELL else value[: MOST_CELL - 1] + _CUT
