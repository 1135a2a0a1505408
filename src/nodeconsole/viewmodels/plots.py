"""Small plots as text: sparklines, bars and lines, from block characters, braille, or plain ASCII."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nodeconsole.viewmodels.glyphs import Glyphs

Values = Sequence[float | None]
"""None = nothing is known there: the place stays empty."""

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a cell's dots: four rows of two."""


def gathered(values: Values, width: int) -> list[float | None]:
    """At most `width` values: neighbours are put together, and the largest of them counts."""
    if len(values) <= width or width <= 0:
        return list(values)
    found: list[float | None] = []
    for place in range(width):
        part = values[place * len(values) // width : (place + 1) * len(values) // width]
        known = [value for value in part if value is not None]
        found.append(max(known) if known else None)
    return found


def stretched(values: Values, width: int) -> list[float | None]:
    """Every value as often as it fits into `width` cells."""
    each = max(1, width // len(values)) if values else 1
    return [value for value in values for _ in range(each)]


def spark(values: Values, width: int, glyphs: Glyphs, top: float | None = None) -> str:
    """One cell per value; more than nothing never looks like nothing. `top` = what fills a cell, else the largest."""
    shown = gathered(values, width)
    highest = top or max((value for value in shown if value is not None), default=0) or 1
    levels = glyphs.levels
    return "".join(" " if value is None else levels[_level(value, highest, len(levels) - 1)] for value in shown)


def _level(value: float, top: float, most: int) -> int:
    return 0 if value <= 0 else max(1, min(most, math.ceil(value / top * most)))


def gauge(part: float, whole: float, width: int, glyphs: Glyphs) -> str:
    filled = max(1 if part > 0 else 0, min(width, round(width * part / whole))) if whole > 0 else 0
    return glyphs.full * filled + glyphs.empty * (width - filled)


def bars(values: Values, width: int, height: int, glyphs: Glyphs, top: float | None = None) -> list[str]:
    """Columns, the highest line first. Each is as wide as there is room for, with a gap if it is wide enough."""
    shown = gathered(values, width)
    highest = top or max((value for value in shown if value is not None), default=0) or 1
    each = max(1, width // max(1, len(shown)))
    fill = each - 1 if each > 2 else each
    lines = []
    for line in range(height - 1, -1, -1):
        cells = [_bar_cell(value, highest, line, height, glyphs) for value in shown]
        lines.append("".join(cell * fill + " " * (each - fill) for cell in cells))
    return lines


def _bar_cell(value: float | None, top: float, line: int, height: int, glyphs: Glyphs) -> str:
    if value is None or value <= 0:
        return " "
    levels = glyphs.levels
    filled = max(1, round(min(value, top) / top * height * len(levels))) - line * len(levels)
    return " " if filled <= 0 else levels[min(filled, len(levels)) - 1]


Points = Sequence[tuple[float, float | None]]
"""Pairs of x and y in the order in which they are joined; y None = a gap."""

MARKS = "*+ox#@%&"
"""What lines that share axes are drawn with, in their order; over again after the last."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a plot shows of the plane."""

    left: float
    right: float
    bottom: float
    top: float


def frame_of(lines: Sequence[Points]) -> Frame | None:
    """Just what holds all points; None = there is nothing to show. A flat line stands in the middle."""
    # Whole numbers beyond 2^53 may differ, and be the same when they are drawn.
    known = [(float(x), float(y)) for points in lines for x, y in points if y is not None]
    if not known:
        return None
    left, right = min(x for x, _ in known), max(x for x, _ in known)
    bottom, top = min(y for _, y in known), max(y for _, y in known)
    if bottom == top:
        bottom, top = bottom - (abs(bottom) or 1), top + (abs(top) or 1)
    return Frame(left, right, bottom, top)


def line(values: Values, width: int, height: int, glyphs: Glyphs, top: float | None = None) -> list[str]:
    """Values at equal distances, from zero up; see `curves`."""
    highest = top or max((value for value in values if value is not None), default=0) or 1
    points = [(place, None if value is None else min(value, highest)) for place, value in enumerate(values)]
    return curves([points], Frame(0, max(1, len(values) - 1), 0, highest), width, height, glyphs)


def curves(lines: Sequence[Points], frame: Frame, width: int, height: int, glyphs: Glyphs) -> list[str]:
    """Points joined by lines, the highest row first. One line is drawn in braille where there is any; several are drawn
    with a mark each (`MARKS`), so that they are told apart without colour."""
    fine = bool(glyphs.dots) and len(lines) == 1
    across, up = (2, 4) if fine else (1, 1)
    grid = [[-1] * (width * across) for _ in range(height * up)]
    for number, points in enumerate(lines):
        before: tuple[int, int] | None = None
        for x, y in points:
            if y is None:
                before = None
                continue
            dot = (
                _place(x, frame.left, frame.right, width * across),
                _place(y, frame.bottom, frame.top, height * up),
            )
            for column, row in _between(before or dot, dot):
                grid[row][column] = number
            before = dot
    rows = range(height - 1, -1, -1)
    if fine:
        return [_braille(grid[row * up : row * up + up], glyphs) for row in rows]
    return ["".join(" " if number < 0 else MARKS[number % len(MARKS)] for number in grid[row]) for row in rows]


def _place(value: float, low: float, high: float, places: int) -> int:
    return 0 if high <= low else round((value - low) / (high - low) * (places - 1))


def _between(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (
            round(start[0] + (end[0] - start[0]) * step / steps),
            round(start[1] + (end[1] - start[1]) * step / steps),
        )
        for step in range(steps + 1)
    ]


def _braille(rows: Sequence[Sequence[int]], glyphs: Glyphs) -> str:
    """One row of cells from four rows of dots, the lowest first."""
    cells = []
    for column in range(0, len(rows[0]), 2):
        bits = sum(
            _DOTS[len(rows) - 1 - height][dot]
            for height, row in enumerate(rows)
            for dot in (0, 1)
            if row[column + dot] >= 0
        )
        cells.append(chr(ord(glyphs.dots) + bits) if bits else " ")
    return "".join(cells)
