"""What a task stored: the beginning of a table, a report as a table, or text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import cells, clip, count, printable, size, wrap

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_tasks import ResultPreview
    from nodeconsole.viewmodels.display import Display

_WIDEST = 24
_MOST_FACTS = 500


def preview_lines(preview: ResultPreview, display: Display, width: int) -> list[Line]:
    text = display.text
    if preview.kind == "table":
        lines = _table_lines(preview.columns, preview.rows, display, width)
    elif preview.kind == "document":
        lines = _document_lines(preview.document, display, width)
    elif preview.kind == "text":
        lines = [(Span(part),) for line in preview.text.split("\n") for part in wrap(printable(line), width) or [""]]
    else:
        return [(Span(text("results.binary", size=size(preview.size)), "dim"),)]
    return [(Span(_extent(preview, display), "dim"),), *lines]


def _extent(preview: ResultPreview, display: Display) -> str:
    """How much of it is seen."""
    text = display.text
    if preview.kind != "table":
        return text("results.whole" if preview.whole else "results.beginning", size=size(preview.size))
    shown, columns = count(len(preview.rows)), len(preview.columns)
    if preview.total is None:
        return text("results.rows_more", shown=shown, columns=columns)
    return text("results.rows", shown=shown, total=count(preview.total), columns=columns)


def _table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], display: Display, width: int) -> list[Line]:
    """Columns as wide as what they show, as many as fit."""
    head = [printable(name) for name in columns]
    body = [[printable(value) for value in row] for row in rows]
    widths = []
    for place, name in enumerate(head):
        values = [row[place] for row in body if place < len(row)]
        widths.append(min(_WIDEST, max(map(cells, (name, *values)))))
    fitting = 0
    while fitting < len(widths) and sum(widths[: fitting + 1]) + 2 * fitting <= width:
        fitting += 1
    cut = display.glyphs.cut
    lines: list[Line] = [(Span(_row(head[:fitting], widths, cut), "strong"),)]
    lines += [(Span(_row(row[:fitting], widths, cut)),) for row in body]
    if fitting < len(head):
        hidden = display.listed(head[fitting:])
        note = display.text("results.hidden", n=len(head) - fitting, names=clip(hidden, max(10, width - 30), cut))
        lines.insert(0, (Span(note, "dim"),))
    return lines


def _row(values: Sequence[str], widths: Sequence[int], cut: str) -> str:
    shown = [clip(value, widths[place], cut) for place, value in enumerate(values)]
    return "  ".join(value + " " * (widths[place] - cells(value)) for place, value in enumerate(shown)).rstrip()


def _document_lines(document: object, display: Display, width: int) -> list[Line]:
    """A list of objects as a table; anything else as one fact per line, named by its place."""
    if isinstance(document, list) and document and all(isinstance(item, Mapping) for item in document):
        names = list(dict.fromkeys(str(name) for item in document for name in item))
        rows = [[_value(item.get(name, "")) for name in names] for item in document]
        return _table_lines(names, rows, display, width)
    facts = []
    for place, value in _facts("", document):
        facts.append([place, value])
        if len(facts) == _MOST_FACTS:
            break
    return _table_lines(
        (display.text("results.metric"), display.text("results.value")), facts, display, max(width, 2 * _WIDEST + 2)
    )


def _facts(place: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _facts(f"{place}.{name}" if place else str(name), item)
    elif isinstance(value, list) and value and any(isinstance(item, Mapping | list) for item in value):
        for number, item in enumerate(value):
            yield from _facts(f"{place}[{number}]", item)
    else:
        yield place, _value(value)


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
