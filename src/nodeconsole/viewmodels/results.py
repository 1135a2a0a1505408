"""What a task stored: the beginning of a table, a report as a table, or text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.report import fault_of, is_report, report_lines
from nodeconsole.viewmodels.sentences import sentence
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.tables import WIDEST, table_lines
from nodeconsole.viewmodels.text import count, printable, size, wrap

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_tasks import ResultPreview
    from nodeconsole.viewmodels.display import Display

_MOST_FACTS = 500


def preview_lines(preview: ResultPreview, display: Display, width: int) -> list[Line]:
    text = display.text
    if preview.kind == "table":
        lines = table_lines(preview.columns, preview.rows, display, width)
    elif preview.kind == "document":
        lines = _document_lines(preview.document, display, width)
    elif preview.kind == "text":
        lines = [(Span(part),) for line in preview.text.split("\n") for part in wrap(printable(line), width) or [""]]
    else:
        why = sentence(preview.said.get("why"), preview.why, display)
        explained: list[Line] = [(Span(part, "dim"),) for part in wrap(why, width)]
        return explained if why else [(Span(text("results.binary", size=size(preview.size)), "dim"),)]
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


def _document_lines(document: object, display: Display, width: int) -> list[Line]:
    """A report is drawn; a list of objects is a table; anything else one fact per line, named by its place."""
    if is_report(document):
        assert isinstance(document, Mapping)
        return report_lines(document, display, width)
    fault = fault_of(document)
    if fault:
        note = display.text("results.no_report", fault=printable(fault))
        return [*((Span(part, "warn"),) for part in wrap(note, width)), *_plain_lines(document, display, width)]
    return _plain_lines(document, display, width)


def _plain_lines(document: object, display: Display, width: int) -> list[Line]:
    if isinstance(document, list) and document and all(isinstance(item, Mapping) for item in document):
        names = list(dict.fromkeys(str(name) for item in document for name in item))
        rows = [[_value(item.get(name, "")) for name in names] for item in document]
        return table_lines(names, rows, display, width)
    facts = []
    for place, value in _facts("", document):
        facts.append([place, value])
        if len(facts) == _MOST_FACTS:
            break
    return table_lines(
        (display.text("results.metric"), display.text("results.value")), facts, display, max(width, 2 * WIDEST + 2)
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
