"""Reports and metrics that follow the SDK's report form, as lines: figures, tables, curves, remarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from algorithm_components.sdk.report_form import FORM, faults_of
from nodeconsole.viewmodels.facts import fact_lines
from nodeconsole.viewmodels.plots import MARKS, Points, curves, frame_of
from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.tables import table_lines
from nodeconsole.viewmodels.text import cells, clip, printable, wrap

if TYPE_CHECKING:
    from nodeconsole.viewmodels.display import Display

_WIDEST_PLOT = 100
_PLOT_HEIGHT = 10
_AXIS = 10
"""Cells for the numbers beside a plot."""
_MOST_ROWS = 100
"""Of a table in a report; all of it is in what is exported."""


def is_report(document: object) -> bool:
    """It says so, and it can be drawn."""
    return isinstance(document, Mapping) and document.get("form") == FORM and next(faults_of(document), None) is None


def fault_of(document: object) -> str:
    """What is wrong with a document that says that it is a report; empty = nothing, or it does not say so."""
    if not isinstance(document, Mapping) or document.get("form") != FORM:
        return ""
    return next(faults_of(document), "")


def report_lines(document: Mapping[str, Any], display: Display, width: int) -> list[Line]:
    """All items of a document for which `is_report` holds, in their order; figures that follow one another stand
    together."""
    lines: list[Line] = []
    title, about = (printable(str(document.get(key) or "")) for key in ("title", "description"))
    if title:
        lines.append((Span(title, "strong"),))
    lines += [(Span(part, "dim"),) for part in wrap(about, width) if about]
    before = ""
    for item in document["items"]:
        if lines and not item["kind"] == before == "scalar":
            lines.append(())
        before = item["kind"]
        lines += _item(item, display, width)
    return lines


def _item(item: Mapping[str, Any], display: Display, width: int) -> Iterator[Line]:
    kind = item["kind"]
    if kind == "scalar":
        value = " ".join(filter(None, (number(item["value"]), printable(item.get("unit", "")))))
        note = printable(item.get("description", ""))
        yield from fact_lines(
            [(clip(named(item), 13, display.glyphs.cut), f"{value}   {note}" if note else value)], width
        )
        return
    yield (Span(named(item), "accent"),)
    if item.get("description"):
        yield from ((Span(part, "dim"),) for part in wrap(printable(item["description"]), width))
    if kind == "text":
        for text in item["text"].split("\n"):
            yield from ((Span(part),) for part in wrap(printable(text), width) or [""])
    elif kind == "table":
        yield from _table(item, display, width)
    else:
        yield from _curve(item, display, width)


def named(item: Mapping[str, Any]) -> str:
    return printable(item.get("title") or item["name"])


def number(value: object) -> str:
    """As short as it says the same to the eye: `0.9312`, `12500000`, `1.2e-07`; `-` for what could not be computed."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value))


def _table(item: Mapping[str, Any], display: Display, width: int) -> list[Line]:
    columns = [printable(column.get("title") or column["name"]) for column in item["columns"]]
    right = [column.get("type") in ("integer", "number") for column in item["columns"]]
    rows = [[number(cell) for cell in row] for row in item["rows"][:_MOST_ROWS]]
    lines = table_lines(columns, rows, display, width, right=right)
    left = len(item["rows"]) - len(rows)
    return [*lines, (Span(display.text("results.more_rows", n=left), "dim"),)] if left > 0 else lines


def _curve(item: Mapping[str, Any], display: Display, width: int) -> list[Line]:
    series = item["series"]
    lines: list[Points] = [one["points"] for one in series]
    frame = frame_of(lines)
    if frame is None:
        return [(Span(display.text("results.no_points"), "dim"),)]
    room = max(20, min(_WIDEST_PLOT, width) - _AXIS - 1)
    drawn = curves(lines, frame, room, _PLOT_HEIGHT, display.glyphs)
    upright, corner = ("|", "+") if not display.glyphs.dots else ("│", "└")
    flat = "-" if not display.glyphs.dots else "─"
    found: list[Line] = []
    axis = printable(item["y"].get("title", ""))
    if axis:
        found.append((Span(axis, "dim"),))
    for row, text in enumerate(drawn):
        scale = {0: frame.top, len(drawn) // 2: (frame.top + frame.bottom) / 2, len(drawn) - 1: frame.bottom}.get(row)
        label = "" if scale is None else number(float(scale))
        found.append((Span(f"{label[:_AXIS]:>{_AXIS}}{upright}", "dim"), Span(text.rstrip(), "run")))
    found.append((Span(" " * _AXIS + corner + flat * room, "dim"),))
    found.append((Span(_below(item, frame.left, frame.right, room), "dim"),))
    return [*found, *_legend(series, display, width)]


def _below(item: Mapping[str, Any], left: float, right: float, room: int) -> str:
    """The ends of the x axis, and its title between them."""
    first, last = number(float(left)), number(float(right))
    title = clip(printable(item["x"].get("title", "")), max(0, room - len(first) - len(last) - 2), "")
    gap = room - len(first) - len(last) - cells(title)
    return " " * (_AXIS + 1) + first + " " * (gap // 2) + title + " " * (gap - gap // 2) + last


def _legend(series: Sequence[Mapping[str, Any]], display: Display, width: int) -> list[Line]:
    """`* guest   + host`, with the last value of each; one line without a name needs none."""
    entries = []
    for place, one in enumerate(series):
        known = [y for _, y in one["points"] if y is not None]
        last = f"  {display.text('results.last', value=number(float(known[-1])))}" if known else ""
        mark = f"{MARKS[place % len(MARKS)]} " if len(series) > 1 else ""
        entries.append(f"{mark}{printable(one.get('title', ''))}{last}".strip())
    return [(Span(part),) for part in wrap("   ".join(filter(None, entries)), width)]
