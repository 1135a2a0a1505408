"""Small plots as text: sparklines, bars and lines, from block characters, braille, or plain ASCII."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def line(values: Values, width: int, height: int, glyphs: Glyphs, top: float | None = None) -> list[str]:
    """Points joined by lines, the highest line first; in braille where there is any, else one `*` per cell."""
    across, up = (2, 4) if glyphs.dots else (1, 1)
    dots_wide, dots_high = width * across, height * up
    highest = top or max((value for value in values if value is not None), default=0) or 1
    grid = [[False] * dots_wide for _ in range(dots_high)]
    before: tuple[int, int] | None = None
    last = max(1, len(values) - 1)
    for place, value in enumerate(values):
        if value is None:
            before = None
            continue
        point = (place * (dots_wide - 1) // last, round(min(value, highest) / highest * (dots_high - 1)))
        for x, y in _between(before or point, point):
            grid[y][x] = True
        before = point
    return [_line_cells(grid, line, across, up, glyphs) for line in range(height - 1, -1, -1)]


def _between(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (
            round(start[0] + (end[0] - start[0]) * step / steps),
            round(start[1] + (end[1] - start[1]) * step / steps),
        )
        for step in range(steps + 1)
    ]


def _line_cells(grid: list[list[bool]], line: int, across: int, up: int, glyphs: Glyphs) -> str:
    cells = []
    for column in range(len(grid[0]) // across):
        if not glyphs.dots:
            cells.append("*" if grid[line][column] else " ")
            continue
        bits = sum(
            _DOTS[up - 1 - row][dot]
            for row in range(up)
            for dot in range(across)
            if grid[line * up + row][column * across + dot]
        )
        cells.append(chr(ord(glyphs.dots) + bits) if bits else " ")
    return "".join(cells)
