"""What happened to one job: its events as rows, and as a chart of who worked when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.display import share_status, task_status
from nodeconsole.viewmodels.job import party_key
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Column, Line, Role, Span
from nodeconsole.viewmodels.text import cells, clip, printable
from nodeconsole.viewmodels.times import clock_seconds, exact_span, moment, span_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import EventRow, JobDetail, TaskRow
    from nodeconsole.viewmodels.display import Display

_ENDED = ("SUCCESS", "FAILED")
_LABEL = 22
_TOOK = 7
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 604800)


def event_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("time", text("event.time"), 8),
        Column("subject", text("event.subject"), 20, flex=2, most=44),
        Column("event", text("event.event"), 15, flex=1, most=24),
        Column("states", text("event.states"), 18, drop=1),
        Column("actor", text("event.actor"), 12, flex=1, most=28, drop=2),
        Column("reason", text("event.reason"), 8, flex=3, most=80, drop=3),
    )


def event_cells(event: EventRow, display: Display) -> Line:
    states = f"{event.source or ''} {display.glyphs.arrow} {event.target}" if event.target else ""
    role: Role = "bad" if event.target in ("FAILED", "REJECTED") else ""
    return (
        Span(clock_seconds(event.at_ms, display.zone), "dim"),
        Span(event_subject(event), role or "strong"),
        Span(printable(event.event)),
        Span(printable(states.strip()), role),
        Span(printable(event.actor), "dim"),
        Span(told(event, "reason", display)),
    )


def event_subject(event: EventRow) -> str:
    """What it was about, without the job's id: `share psi/guest.0`."""
    rest = event.subject_id.removeprefix(event.job_id).lstrip("/")
    return printable(f"{event.subject} {rest}".strip())


def event_why(event: EventRow, display: Display) -> Line:
    """The whole moment, and the reason, of the event under the cursor."""
    when = moment(event.at_ms, display.zone)
    return (
        Span(f"{when}  ", "dim"),
        Span(event_subject(event), "strong"),
        Span(f"  {told(event, 'reason', display) or printable(event.actor)}"),
    )


@dataclass(frozen=True, slots=True)
class Stretch:
    """Work of one party (or, `party` empty, of all) on a task. None = not yet."""

    task: str
    party: str
    node: str
    status: str
    ready_ms: int | None = None
    started_ms: int | None = None
    ended_ms: int | None = None

    @property
    def key(self) -> str:
        return f"{self.task}/{self.party}"


def stretches(detail: JobDetail, events: Iterable[EventRow]) -> list[Stretch]:
    """One per task and, below it, per party: when it became ready, began and ended.

    Of partners' shares the node knows when it heard of it; the process times of its own are exact.
    """
    seen: dict[str, Stretch] = {}
    for event in events:
        if event.subject in ("task", "share") and event.target:
            key = event.subject_id.removeprefix(f"{event.job_id}/")
            seen[key] = _after(seen.get(key) or Stretch(key, "", "", ""), event)
    found = []
    for task in detail.tasks:
        found.append(_task_stretch(task, seen.get(task.name)))
        for share in task.shares:
            party = party_key(share)
            known = seen.get(f"{task.name}/{party}") or Stretch("", "", "", "")
            found.append(
                Stretch(
                    task.name,
                    party,
                    share.node_id,
                    share_status(share),
                    known.ready_ms,
                    share.started_ms or known.started_ms,
                    share.ended_ms or known.ended_ms,
                )
            )
    return found


def _task_stretch(task: TaskRow, known: Stretch | None) -> Stretch:
    ready = known.ready_ms if known else None
    started = known.started_ms if known else task.started_ms
    return Stretch(task.name, "", "", task_status(task), ready, started, task.ended_ms)


def _after(stretch: Stretch, event: EventRow) -> Stretch:
    if event.target == "READY":
        return replace(stretch, ready_ms=event.at_ms)
    if event.target == "RUNNING":
        return replace(stretch, started_ms=event.at_ms)
    return replace(stretch, ended_ms=event.at_ms) if event.target in _ENDED else stretch


@dataclass(frozen=True, slots=True)
class Scale:
    """From moments to cells: `width` cells for the time from `start_ms` to `end_ms`."""

    start_ms: int
    end_ms: int
    width: int

    def cell(self, at_ms: int) -> int:
        return min(self.width, max(0, (at_ms - self.start_ms) * self.width // max(1, self.end_ms - self.start_ms)))


def scale_of(rows: Sequence[Stretch], detail: JobDetail, now_ms: int, width: int) -> Scale:
    """From the first thing that happened to the end, or to now while it runs."""
    starts = [at for row in rows for at in (row.ready_ms, row.started_ms) if at]
    ends = [row.ended_ms for row in rows if row.ended_ms]
    running = any(row.started_ms and not row.ended_ms for row in rows)
    start = min(starts, default=detail.job.started_ms or detail.job.created_ms)
    end = max([*ends, now_ms] if running else ends, default=now_ms)
    return Scale(start, max(end, start + 1000), max(1, width))


def axis_lines(scale: Scale, label: int, display: Display) -> list[Line]:
    """Clock times in the local zone above the chart."""
    room = max(2, scale.width // 12)
    seconds = (scale.end_ms - scale.start_ms) / 1000
    step = next((step for step in _STEPS if seconds / step <= room), _STEPS[-1]) * 1000
    at = scale.start_ms - scale.start_ms % step + step
    words, marks = [" "] * (scale.width + 9), [" "] * scale.width
    _write(words, 0, clock_seconds(scale.start_ms, display.zone))
    while at < scale.end_ms:
        cell = scale.cell(at)
        if cell >= 9 and cell < scale.width:
            _write(words, cell, clock_seconds(at, display.zone))
            marks[cell] = display.glyphs.lines[3]
        at += step
    marks[0] = display.glyphs.lines[3]
    blank = " " * label
    return [
        (Span(blank + "".join(words)[: scale.width + 8].rstrip(), "dim"),),
        (Span(blank + "".join(marks).rstrip(), "dim"),),
    ]


def _write(cells_: list[str], at: int, text: str) -> None:
    for offset, char in enumerate(text):
        if at + offset < len(cells_):
            cells_[at + offset] = char


def label_width(rows: Sequence[Stretch], width: int) -> int:
    longest = max((cells(_label(row)) for row in rows), default=0)
    return min(longest + 4, _LABEL if width < 100 else _LABEL + 8)


def chart_line(row: Stretch, whole: Stretch, scale: Scale, label: int, display: Display, *, chosen: bool) -> Line:
    """A bar: waiting to be started, at work, and done but waiting for the other parties of the task."""
    sign = display.badge(row.status)
    name = clip(_label(row), label - 3, display.glyphs.cut)
    mark = display.glyphs.cursor if chosen else " "
    role: Role = "strong" if not row.party else ""
    head = (
        Span(f"{mark[:1]}", "key"),
        Span(sign.text.split(" ", 1)[0] + " ", sign.role),
        Span(name + " " * (label - 2 - cells(name)), role),
    )
    return (*head, *_bar(row, whole, scale, sign.role, display), *_took(row, display))


def _label(row: Stretch) -> str:
    return f"  {printable(row.node)}:{row.party}" if row.party else printable(row.task)


def _bar(row: Stretch, whole: Stretch, scale: Scale, role: Role, display: Display) -> Line:
    glyphs = display.glyphs
    begun = row.ready_ms or row.started_ms
    if not begun:
        return (Span(" " * scale.width),)
    end_ms = row.ended_ms or (display.now_ms if row.started_ms else None)
    first = scale.cell(begun)
    work = scale.cell(row.started_ms) if row.started_ms else first
    done = max(work + 1, scale.cell(end_ms)) if end_ms and row.started_ms else scale.cell(end_ms or display.now_ms)
    until = done
    if row.party and row.ended_ms and row.started_ms:
        until = max(done, scale.cell(whole.ended_ms or display.now_ms) if whole.started_ms else done)
    spans = (
        Span(" " * first),
        Span(glyphs.empty * max(0, work - first), "dim"),
        Span((glyphs.full if row.started_ms else glyphs.empty) * max(0, done - work), role),
        Span(glyphs.wait * (until - done), "wait"),
    )
    used = sum(cells(span.text) for span in spans)
    return (*spans, Span(" " * max(0, scale.width - used)))


def _took(row: Stretch, display: Display) -> Line:
    if not row.started_ms:
        return (Span(" " * (_TOOK + 1)),)
    took = exact_span(row.ended_ms - row.started_ms) if row.ended_ms else span_text(display.now_ms - row.started_ms)
    return (Span(f" {took:>{_TOOK}}", "dim"),)


def chart_lines(
    rows: Sequence[Stretch], detail: JobDetail, display: Display, width: int, chosen: str
) -> tuple[list[Line], list[Line]]:
    """The time axis, and a line per row. `chosen` = key of the row of the cursor."""
    label = label_width(rows, width)
    scale = scale_of(rows, detail, display.now_ms, width - label - _TOOK - 2)
    wholes: Mapping[str, Stretch] = {row.task: row for row in rows if not row.party}
    lines = [chart_line(row, wholes[row.task], scale, label, display, chosen=row.key == chosen) for row in rows]
    return axis_lines(scale, label, display), lines


def runs_by(detail: JobDetail, key: str) -> str:
    """What runs the part of a chosen row (its key), and where; empty = nothing of this node, or not known."""
    found = ((f"{task.name}/{party_key(share)}", share) for task in detail.tasks for share in task.shares)
    share = next((share for name, share in found if name == key), None)
    return "" if share is None else share.where or share.runner


def legend(display: Display) -> Line:
    glyphs, text = display.glyphs, display.text
    return (
        Span(f" {glyphs.empty * 2} ", "dim"),
        Span(text("timeline.ready"), "dim"),
        Span(f"   {glyphs.full * 2} ", "run"),
        Span(text("timeline.running"), "dim"),
        Span(f"   {glyphs.wait * 2} ", "wait"),
        Span(text("timeline.waiting"), "dim"),
        Span(f"   {text('timeline.heard')}", "dim"),
    )
