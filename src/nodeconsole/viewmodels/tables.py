"""Tables of somebody's data as lines: columns as wide as what they show, as many as fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import cells, clip, printable

if TYPE_CHECKING:
    from nodeconsole.viewmodels.display import Display

WIDEST = 24
"""Cells of one column."""


def table_lines(
    columns: Sequence[str], rows: Sequence[Sequence[str]], display: Display, width: int, right: Sequence[bool] = ()
) -> list[Line]:
    """`right`: columns of numbers. What does not fit is named above."""
    head = [printable(name) for name in columns]
    body = [[printable(value) for value in row] for row in rows]
    widths = []
    for place, name in enumerate(head):
        values = [row[place] for row in body if place < len(row)]
        widths.append(min(WIDEST, max(map(cells, (name, *values)))))
    fitting = 0
    while fitting < len(widths) and sum(widths[: fitting + 1]) + 2 * fitting <= width:
        fitting += 1
    cut = display.glyphs.cut
    lines: list[Line] = [(Span(_row(head[:fitting], widths, right, cut), "strong"),)]
    lines += [(Span(_row(row[:fitting], widths, right, cut)),) for row in body]
    if fitting < len(head):
        hidden = display.listed(head[fitting:])
        note = display.text("results.hidden", n=len(head) - fitting, names=clip(hidden, max(10, width - 30), cut))
        lines.insert(0, (Span(note, "dim"),))
    return lines


def _row(values: Sequence[str], widths: Sequence[int], right: Sequence[bool], cut: str) -> str:
    shown = []
    for place, value in enumerate(values):
        text = clip(value, widths[place], cut)
        gap = " " * (widths[place] - cells(text))
        shown.append(gap + text if place < len(right) and right[place] else text + gap)
    return "  ".join(shown).rstrip()
