"""A report or a table as one page that needs nothing else: no scripts, no fonts, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from nodeconsole.exports.axes import ticks
from nodeconsole.exports.colours import SERIES
from nodeconsole.exports.forms import About
from nodeconsole.viewmodels.plots import Frame, Points, frame_of
from nodeconsole.viewmodels.report import named, number

MOST_ROWS = 10_000
"""Of a table on a page: browsers are slow with more."""

_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .8rem;border-bottom:1px solid #8884;text-align:left}
td.n,th.n{text-align:right}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;color:#777}
dt,dd{margin:0}svg{max-width:100%;height:auto}svg text{fill:currentColor;font-size:12px}
.note{color:#777}pre{white-space:pre-wrap}
"""
_WIDTH, _HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 16, 16, 44
_DASHES = ("", "6 3", "2 3", "8 3 2 3")
"""Lines are told apart without colour too."""


def report_page(document: Mapping[str, Any], about: About) -> Iterator[str]:
    """The page in parts. All text of the document is escaped."""
    yield from _head(str(document.get("title") or about.title), about)
    if document.get("description"):
        yield f"<p>{escape(document['description'])}</p>\n"
    scalars: list[Mapping[str, Any]] = []
    for item in document["items"]:
        if item["kind"] == "scalar":
            scalars.append(item)
            continue
        yield from _scalars(scalars)
        scalars = []
        yield f"<h2>{escape(named(item))}</h2>\n"
        if item.get("description"):
            yield f"<p class=note>{escape(item['description'])}</p>\n"
        if item["kind"] == "text":
            yield f"<pre>{escape(item['text'])}</pre>\n"
        elif item["kind"] == "table":
            names = [column.get("title") or column["name"] for column in item["columns"]]
            right = [column.get("type") in ("integer", "number") for column in item["columns"]]
            yield from _table(names, ([number(cell) for cell in row] for row in item["rows"]), right)
        else:
            yield from _curve(item)
    yield from _scalars(scalars)
    yield "</body></html>\n"


def table_page(header: Sequence[str], rows: Iterable[Sequence[str]], about: About) -> Iterator[str]:
    """The first MOST_ROWS rows."""
    yield from _head(about.title, about)
    yield from _table(header, rows, ())
    yield "</body></html>\n"


def _head(title: str, about: About) -> Iterator[str]:
    yield "<!doctype html>\n<html><head><meta charset=utf-8>"
    yield "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n<dl>"
    for name, value in about.facts.items():
        yield f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
    yield "</dl>\n"


def _scalars(items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not items:
        return
    yield "<table>\n"
    for item in items:
        value = escape(" ".join(filter(None, (number(item["value"]), item.get("unit", "")))))
        note = escape(item.get("description", ""))
        yield f"<tr><th>{escape(named(item))}</th><td class=n>{value}</td><td class=note>{note}</td></tr>\n"
    yield "</table>\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool]) -> Iterator[str]:
    marks = [" class=n" if place < len(right) and right[place] else "" for place in range(len(header))]
    yield "<table>\n<tr>" + "".join(f"<th{marks[i]}>{escape(name)}</th>" for i, name in enumerate(header)) + "</tr>\n"
    cut = False
    for count, row in enumerate(rows):
        if count == MOST_ROWS:
            cut = True
            break
        cells = (f"<td{marks[i] if i < len(marks) else ''}>{escape(cell)}</td>" for i, cell in enumerate(row))
        yield f"<tr>{''.join(cells)}</tr>\n"
    yield "</table>\n"
    if cut:
        yield f"<p class=note>Only the first {MOST_ROWS} rows are on this page.</p>\n"


def _curve(item: Mapping[str, Any]) -> Iterator[str]:
    lines: list[Points] = [one["points"] for one in item["series"]]
    frame = frame_of(lines)
    if frame is None:
        yield "<p class=note>no points</p>\n"
        return
    yield f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-label="{escape(named(item), quote=True)}">\n'
    yield from _axes(item, frame)
    for place, points in enumerate(lines):
        colour, dash = SERIES[place % len(SERIES)], _DASHES[place // len(SERIES) % len(_DASHES)]
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        yield f'<path d="{_path(points, frame)}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>\n'
    yield "</svg>\n"
    if len(lines) > 1 or item["series"][0].get("title"):
        yield "<p>" + " &nbsp; ".join(_entry(place, one) for place, one in enumerate(item["series"])) + "</p>\n"


def _entry(place: int, series: Mapping[str, Any]) -> str:
    mark = f'<span style="color:{SERIES[place % len(SERIES)]}">&#9632;</span>'
    known = [y for _, y in series["points"] if y is not None]
    last = f" <span class=note>(last {number(float(known[-1]))})</span>" if known else ""
    return f"{mark} {escape(series.get('title') or str(place + 1))}{last}"


def _axes(item: Mapping[str, Any], frame: Frame) -> Iterator[str]:
    for value in ticks(frame.bottom, frame.top):
        y = _y(value, frame)
        yield f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#8884"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(float(value))}</text>\n'
    for value in ticks(frame.left, frame.right, 9):
        yield (
            f'<text x="{_x(value, frame):.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
            f"{number(float(value))}</text>\n"
        )
    x_title, y_title = escape(item["x"].get("title", "")), escape(item["y"].get("title", ""))
    yield f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{x_title}</text>'
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    yield f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{y_title}</text>\n'


def _path(points: Points, frame: Frame) -> str:
    parts, pen = [], "M"
    for x, y in points:
        if y is None:
            pen = "M"
            continue
        parts.append(f"{pen}{_x(x, frame):.1f} {_y(y, frame):.1f}")
        pen = "L"
    return "".join(parts)


def _x(value: float, frame: Frame) -> float:
    share = (value - frame.left) / (frame.right - frame.left) if frame.right > frame.left else 0.5
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, frame: Frame) -> float:
    return _TOP + (frame.top - value) / (frame.top - frame.bottom) * (_HEIGHT - _TOP - _BOTTOM)
