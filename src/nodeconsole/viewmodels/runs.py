"""The runs of one flow: tasks down, runs across, a sign where they meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.display import job_status
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells, clip, printable, short_id
from nodeconsole.viewmodels.times import duration, exact_span, moment

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_tasks import FlowRun
    from nodeconsole.viewmodels.display import Display

_CELL = 3
_LABEL = 24
_WORDS = {
    "PENDING": "pending",
    "READY": "ready",
    "RUNNING": "running",
    "SUCCESS": "done",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}
WHOLE = ""
"""The row of the run itself."""


@dataclass(frozen=True, slots=True)
class Grid:
    """`runs` oldest first; `tasks` in the order of the flow. The first row is the run itself."""

    tasks: tuple[str, ...] = ()
    runs: tuple[FlowRun, ...] = ()

    @property
    def rows(self) -> tuple[str, ...]:
        return (WHOLE, *self.tasks)

    def status(self, row: int, column: int) -> str:
        """The status word of a cell; empty where the run has no such task."""
        run, task = self.runs[column], self.rows[row]
        return job_status(run.job) if task == WHOLE else _WORDS.get(run.tasks.get(task, ""), "")

    def next_failed(self, row: int, column: int, step: int) -> tuple[int, int] | None:
        """The nearest failed task after (`step` 1: towards the newest) or before a cell, by run, then by task."""
        places = [
            (at, down)
            for at in range(len(self.runs))
            for down in range(1, len(self.rows))
            if self.status(down, at) == "failed"
        ]
        ahead = [place for place in places if (place > (column, row) if step > 0 else place < (column, row))]
        found = ahead or places
        return (found[0 if step > 0 else -1][1], found[0 if step > 0 else -1][0]) if found else None


def grid_lines(grid: Grid, row: int, column: int, width: int, display: Display, *, chart: int = 0) -> list[Line]:
    """How long each run took, in `chart` lines, and a line per row; as many runs as fit around the chosen one."""
    names = [printable(name) or display.text("runs.run") for name in grid.rows]
    label = min(_LABEL, max(map(cells, names)) + 2, max(8, width // 3))
    label = max(label, cells(names[0]) + 2)
    first, last = _window(len(grid.runs), column, max(1, (width - label - 2) // _CELL))
    lines = _chart(grid.runs[first:last], label, chart, display) if chart else []
    for number, name in enumerate(names):
        shown = clip(name, label - 1, display.glyphs.cut)
        role: Role = "key" if number == row else "strong" if not number else ""
        spans = [Span(f" {shown}{' ' * (label - cells(shown))}", role)]
        for at in range(first, last):
            spans += _cell(grid.status(number, at), display, chosen=(number, at) == (row, column))
        lines.append(tuple(spans))
    return lines


def _chart(runs: Sequence[FlowRun], label: int, height: int, display: Display) -> list[Line]:
    """A bar per run, from nothing to the longest time that is seen."""
    levels = display.glyphs.levels
    took = [_took(run, display.now_ms) for run in runs]
    longest = max(took, default=0)
    if not longest:
        return [()] * height
    heights = [max(1 if ms else 0, ms * height * len(levels) // longest) for ms in took]
    lines: list[Line] = []
    for number in range(height):
        title = exact_span(longest) if number == 0 else "0" if number == height - 1 else ""
        spans = [Span(f" {title:>{label - 1}} ", "dim")]
        for run, full in zip(runs, heights, strict=True):
            filled = min(len(levels), full - (height - 1 - number) * len(levels))
            role = display.badge(job_status(run.job)).role
            spans.append(Span(f" {levels[filled - 1] if filled > 0 else ' '} ", "dim" if role == "ok" else role))
        lines.append(tuple(spans))
    return lines


def _took(run: FlowRun, now_ms: int) -> int:
    job = run.job
    return max(0, (job.ended_ms or now_ms) - job.started_ms) if job.started_ms else 0


def _window(number: int, column: int, room: int) -> tuple[int, int]:
    """Which runs are seen: the newest ones, unless the chosen one is further back."""
    first = max(0, min(number - room, column - room // 4))
    return first, min(number, first + room)


def _cell(status: str, display: Display, *, chosen: bool) -> list[Span]:
    badge = display.badge(status) if status else Span(" ")
    sign = Span(badge.text.split(" ", 1)[0] or " ", badge.role)
    return [Span("[", "key"), sign, Span("]", "key")] if chosen else [Span(" "), sign, Span(" ")]


def run_facts(run: FlowRun, task: str, status: str, display: Display) -> Line:
    """About the chosen cell: which run, when, how it went."""
    job = run.job
    took = duration(job.started_ms, job.ended_ms, display.now_ms)
    spans = [
        Span(f" {short_id(job.job_id)}  ", "strong"),
        Span(f"{moment(job.created_ms, display.zone)}  "),
        Span(display.text("runs.took", time=took), "dim"),
    ]
    if task:
        spans.append(Span(f"   {printable(task)} ", "strong"))
    if status:
        spans += [Span("  "), display.badge(status)]
    if job.reason:
        spans.append(Span(f"  {told(job, 'reason', display)}", "dim"))
    return tuple(spans)


def axis_facts(runs: Sequence[FlowRun], display: Display) -> Line:
    """From when to when the runs are."""
    if not runs:
        return ()
    first, last = runs[0].job.created_ms, runs[-1].job.created_ms
    return (Span(f"{moment(first, display.zone)} {display.glyphs.arrow} {moment(last, display.zone)} ", "dim"),)
