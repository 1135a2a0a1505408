"""How jobs went: plots over time, and the part of each flow and partner."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.panes import PaneRow, Target
from nodeconsole.viewmodels.plots import Values, bars, gathered, line, spark, stretched
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells, count, fit, printable
from nodeconsole.viewmodels.times import DAY, HOUR, age, clock, exact_span, month_day

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_pulse import Statistics, StatisticsBucket, StatisticsShare
    from nodeconsole.viewmodels.display import Display

_SCALE = 7
"""Cells at the left of a plot for what its height means."""
_OUTCOMES = (("succeeded", "done"), ("failed", "failed"), ("stopped", "stopped"), ("rejected", "rejected"))


def total_of(bucket: StatisticsBucket) -> int:
    return bucket.succeeded + bucket.failed + bucket.stopped + bucket.rejected + bucket.other


# -- plots ------------------------------------------------------------------------------------------------------------


def ended_rows(found: Statistics | None, display: Display, width: int, height: int) -> list[PaneRow]:
    """How many jobs ended in each step, and how many of them failed."""
    if found is None:
        return []
    totals = [total_of(bucket) for bucket in found.buckets]
    room = max(8, width - _SCALE)
    high = max(2, height - 4)
    most = max(totals, default=0)
    rows = [_row(_outcomes(found, display))]
    for number, drawn in enumerate(bars(totals, room, high, display.glyphs)):
        scale = count(most) if number == 0 else "0" if number == high - 1 else ""
        rows.append(_row((Span(f"{scale:>{_SCALE - 1}} ", "dim"), Span(drawn, "run"))))
    failed = [bucket.failed for bucket in found.buckets]
    sign = display.glyphs.bad
    drawn = spark(stretched(gathered(failed, room), room), room, display.glyphs)
    rows.append(
        _row((Span(f"{sign} {count(sum(failed)):>{_SCALE - 3}} ", "bad"), Span(drawn, "bad" if any(failed) else "dim")))
    )
    rows.append(_row((Span(" " * _SCALE), Span(_axis(found, _used(len(totals), room), display), "dim"))))
    return rows


def _used(columns: int, room: int) -> int:
    """How many cells columns take that are all of the same width."""
    return max(1, room // columns) * columns if 0 < columns <= room else room


def _outcomes(found: Statistics, display: Display) -> Line:
    spans: list[Span] = []
    for name, status in _OUTCOMES:
        number = sum(getattr(bucket, name) for bucket in found.buckets)
        if not number and name != "succeeded":
            continue
        badge = display.badge(status)
        spans += [Span(f"{badge.text} {count(number)}", badge.role if number else "dim"), Span("  ")]
    return tuple(spans)


def took_rows(found: Statistics | None, display: Display, width: int, height: int) -> list[PaneRow]:
    """How long jobs ran: the 95th percentile above, the median below, on one logarithmic scale, so that both show."""
    if found is None:
        return []
    room = max(8, width - _SCALE)
    high = max(1, (height - 2) // 2)
    p50, p95 = found.took.p50_ms, found.took.p95_ms
    rows = [_row((*_figure("p50", p50), Span("   "), *_figure("p95", p95)))]
    p95s: Values = [bucket.p95_ms for bucket in found.buckets]
    p50s: Values = [bucket.p50_ms for bucket in found.buckets]
    known = [value for value in (*p95s, *p50s) if value]
    low, top = (min(known), max(known)) if known else (1.0, 1.0)
    rows += _plot("p95", p95s, "warn", (low, top), room, high, display)
    rows += _plot("p50", p50s, "accent", (low, top), room, high, display)
    rows.append(_row((Span(" " * _SCALE), Span(_axis(found, room, display), "dim"))))
    return rows


def _plot(
    name: str, values: Values, role: Role, scale: tuple[float, float], room: int, high: int, display: Display
) -> list[PaneRow]:
    """With what its highest and its lowest line mean (milliseconds in `scale`), and between them what it is."""
    low, top = scale
    logs: Values = [None if value is None else math.log(max(value, low) / low) for value in values]
    marks = [""] * high
    marks[high // 2] = name
    if high > 1:
        marks[0], marks[-1] = exact_span(round(top)), exact_span(round(low))
    lines = line(logs, room, high, display.glyphs, top=math.log(top / low))
    return [
        _row((Span(f"{mark:>{_SCALE - 1}} ", "dim"), Span(drawn, role)))
        for mark, drawn in zip(marks, lines, strict=True)
    ]


def _figure(name: str, value_ms: int | None) -> Line:
    return (Span(f"{name} ", "dim"), Span(exact_span(value_ms) if value_ms is not None else "-", "strong"))


def _axis(found: Statistics, used: int, display: Display) -> str:
    """Where the window begins, its middle, and now, below the columns they belong to."""
    day = found.step_ms >= DAY or found.hours > 48
    moments = (found.since_ms, found.since_ms + len(found.buckets) // 2 * found.step_ms)
    marks = [month_day(at, display.zone) if day else clock(at, display.zone) for at in moments]
    now = display.text("statistics.now")
    text = fit(marks[0], used // 2, "") + marks[1]
    gap = used - cells(text) - cells(now)
    return text + " " * gap + now if gap > 0 else text


def _row(line_: Line) -> PaneRow:
    return PaneRow(line_)


# -- parts ------------------------------------------------------------------------------------------------------------


def flow_rows(found: Statistics | None, display: Display, width: int) -> list[PaneRow]:
    return _share_rows("flow", found.flows if found else None, display, width)


def partner_rows(found: Statistics | None, display: Display, width: int) -> list[PaneRow]:
    return _share_rows("partner", found.partners if found else None, display, width)


def _share_rows(kind: str, shares: Sequence[StatisticsShare] | None, display: Display, width: int) -> list[PaneRow]:
    """With a heading; durations only where there is room."""
    if shares is None:
        return []
    if not shares:
        return [PaneRow((Span(display.text("statistics.none"), "dim"),))]
    shown = _columns(kind, width)
    name = max(6, width - sum(size for _, size in shown))
    text = display.text
    heading = "".join(fit(text(f"statistics.{column}"), size, "", right=True) for column, size in shown)
    rows = [PaneRow((Span(fit(text(f"statistics.{kind}"), name, ""), "dim"), Span(heading, "dim")))]
    for share in shares:
        values = _values(share, display)
        figures = [
            Span(f"{values[column]:>{size}}", "bad" if column == "failed" and share.failed else "")
            for column, size in shown
        ]
        rows.append(
            PaneRow(
                (Span(fit(printable(share.name) or "-", name, display.glyphs.cut)), *figures),
                key=f"{kind} {share.name}",
                target=Target("section", "jobs", (share.name,)) if share.name else None,
                problem=share.failed > 0,
            )
        )
    return rows


def _columns(kind: str, width: int) -> tuple[tuple[str, int], ...]:
    """Figures and their cells: the name keeps room to be told from others."""
    most = (("total", 7), ("failed", 8), ("success", 7), ("p50", 8), ("p95", 8), ("last", 7))
    if width >= 70:
        return most
    if width >= 46:
        return tuple(column for column in most if column[0] not in ("p50", "last" if kind == "flow" else "p95"))
    return (("total", 5), ("failed", 7), ("p95" if kind == "flow" else "last", 7))


def _values(share: StatisticsShare, display: Display) -> dict[str, str]:
    return {
        "total": count(share.total),
        "failed": count(share.failed),
        "success": _percent(share),
        "p50": exact_span(share.p50_ms) if share.p50_ms is not None else "-",
        "p95": exact_span(share.p95_ms) if share.p95_ms is not None else "-",
        "last": age(share.last_ms, display.now_ms),
    }


def _percent(share: StatisticsShare) -> str:
    known = share.succeeded + share.failed
    return f"{100 * share.succeeded / known:.0f}%" if known else "-"


# -- files ------------------------------------------------------------------------------------------------------------


def as_csv(found: Statistics) -> str:
    """One line per step of the window; times in UTC."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ("created", "succeeded", "failed", "stopped", "rejected", "other", "p50_ms", "p95_ms")
    writer.writerow(("start", *names))
    for bucket in found.buckets:
        start = datetime.fromtimestamp(bucket.start_ms / 1000, UTC).isoformat()
        writer.writerow((start, *(getattr(bucket, name) for name in names)))
    return out.getvalue()


def as_json(found: Statistics) -> str:
    """Everything, as the node sent it."""
    return json.dumps(found.model_dump(mode="json"), ensure_ascii=False, indent=2) + "\n"


def hours_of(span_ms: int | None) -> int | None:
    """A span that was typed as whole hours, as far as the node counts; None when it is none."""
    if span_ms is None or not HOUR <= span_ms <= 366 * DAY:
        return None
    return span_ms // HOUR


def step_text(found: Statistics) -> str:
    """`1h`, `6h`, `1d`, `7d`."""
    return f"{found.step_ms // DAY}d" if found.step_ms >= DAY else f"{found.step_ms // HOUR}h"
