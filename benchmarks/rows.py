"""What a benchmark reports, and the table it becomes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One measured thing. `rounds` are interleaved repetitions; `baseline` the same rounds of what it is compared with.

    `unit` belongs to both. `aim` is the limit of the ratio (or of the value when there is no baseline); it is
    an upper one unless `higher_is_better`.
    """

    name: str
    unit: str
    rounds: tuple[float, ...]
    baseline: tuple[float, ...] = ()
    aim: float | None = None
    higher_is_better: bool = False
    note: str = ""

    @property
    def value(self) -> float:
        return statistics.median(self.rounds)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Per round, so that a slow minute of the machine is in both numbers."""
        return tuple(ours / floor for ours, floor in zip(self.rounds, self.baseline, strict=True))

    @property
    def judged(self) -> float:
        """The number that `aim` speaks of."""
        return statistics.median(self.ratios) if self.baseline else self.value

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None without one."""
        if self.aim is None:
            return None
        return self.judged >= self.aim if self.higher_is_better else self.judged <= self.aim


HEADER = ("what", "unit", "median", "spread", "baseline", "ratio", "aim", "", "note")


def table(rows: Sequence[Row]) -> str:
    """Columns as in `HEADER`; spread = smallest to largest round."""
    cells = [HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([lines[0], "-" * min(sum(widths) + 2 * len(widths), 150), *lines[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    aim = "" if row.aim is None else f"{'>=' if row.higher_is_better else '<='} {row.aim:g}"
    verdict = {None: "", True: "met", False: "MISSED"}[row.met]
    return (
        row.name,
        row.unit,
        _number(row.value),
        f"{_number(min(row.rounds))} to {_number(max(row.rounds))}" if len(row.rounds) > 1 else "",
        _number(statistics.median(row.baseline)) if row.baseline else "",
        f"{row.judged:.2f}" if row.baseline else "",
        aim,
        verdict,
        row.note,
    )


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"
