"""A job beside the list: how far it is, its tasks in the order of its flow, why it waits, and what its log says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.display import job_status, share_status, task_status
from nodeconsole.viewmodels.graph import layers_of
from nodeconsole.viewmodels.jobs import job_name, node_names
from nodeconsole.viewmodels.logs import line_role
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells, printable, short_id, wrap
from nodeconsole.viewmodels.times import duration
from nodeconsole.viewmodels.waiting import waiting_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail, JobRow, ShareRow, TaskRow
    from nodeconsole.viewmodels.display import Display

LOG_LINES = 6
_DATE = re.compile(r"^\d{4}-\d\d-\d\d[ T]")
_DEEPEST = 6
"""Steps of indentation: a flow can be longer than a pane is wide."""


def watched_task(detail: JobDetail) -> TaskRow | None:
    """The task whose log tells most: the failed one, else the one that runs, else the last that has a log here."""
    logged = [task for task in detail.tasks if "logs" in task.actions]
    for state in ("FAILED", "RUNNING"):
        found = next((task for task in logged if task.state == state), None)
        if found is not None:
            return found
    return logged[-1] if logged else None


def preview_lines(
    job: JobRow, detail: JobDetail | None, log: Sequence[str], display: Display, width: int, height: int
) -> list[Line]:
    """Of at most `width` cells. `detail` None = it is on its way; `log` are the last lines of `watched_task`."""
    text, badge = display.text, display.badge(job_status(job))
    lines: list[Line] = [
        (Span(f"{short_id(job.job_id)} ", "strong"), Span(f"{job_name(job)}  "), badge),
        (
            Span(f"{text('job.initiator')} ", "dim"),
            Span(printable(job.initiator)),
            Span(f"  {text('job.parties')} ", "dim"),
            Span(" ".join(node_names(job))),
        ),
        (),
    ]
    tail = _log_lines(detail, log, display, width)
    if detail is not None:
        room = max(3, height - len(lines) - len(tail) - 4)
        lines += _task_lines(detail, display, width, room)
    lines += _why_lines(job, display, width)
    return lines + tail


def _task_lines(detail: JobDetail, display: Display, width: int, room: int) -> list[Line]:
    deep = layers_of({task.name: task.upstream for task in detail.tasks})
    tasks = sorted(detail.tasks, key=lambda task: deep[task.name])
    lines = [_task_line(task, min(deep[task.name], _DEEPEST), display, width) for task in tasks]
    if len(lines) > room:
        left_out = len(lines) - room + 1
        lines = [*lines[: room - 1], (Span(display.text("preview.more_tasks", n=left_out), "dim"),)]
    return lines


def _task_line(task: TaskRow, depth: int, display: Display, width: int) -> Line:
    badge = display.badge(task_status(task))
    sign = badge.text.split(" ")[0]
    took = duration(task.started_ms, task.ended_ms, display.now_ms) if task.started_ms else ""
    shares = [_share(share, display) for share in task.shares]
    name = f"{'  ' * depth}{sign} {printable(task.name)}"
    right = sum(cells(share.text) + 1 for share in shares)
    blank = width - cells(name) - right - 8
    if blank < 0:
        # The signs without the names of the nodes.
        shares = [share._replace(text=share.text.split(" ")[-1]) for share in shares]
        blank = max(1, width - cells(name) - sum(cells(share.text) + 1 for share in shares) - 8)
    spread = [piece for share in shares for piece in (share, Span(" "))]
    return (Span(name, badge.role), Span(" " * blank), *spread, Span(f"{took:>7}", "dim"))


def _share(share: ShareRow, display: Display) -> Span:
    badge = display.badge(share_status(share))
    return Span(f"{printable(share.node_id)} {badge.text.split(' ')[0]}", badge.role)


def _why_lines(job: JobRow, display: Display, width: int) -> list[Line]:
    said = waiting_text(job.waiting, display) if job.waiting is not None else told(job, "reason", display)
    role: Role = "wait" if job.waiting is not None else display.badge(job_status(job)).role
    return [(), *((Span(part, role),) for part in wrap(said, width)[:3])] if said else []


def _log_lines(detail: JobDetail | None, log: Sequence[str], display: Display, width: int) -> list[Line]:
    task = watched_task(detail) if detail is not None else None
    if task is None or not log:
        return []
    head = (Span(display.text("preview.log", task=printable(task.name)), "accent"),)
    return [(), head, *((Span(_without_date(printable(line))[:width], line_role(line)),) for line in log[-LOG_LINES:])]


def _without_date(line: str) -> str:
    """The last lines of what runs are of today, and a date takes a quarter of the pane."""
    return _DATE.sub("", line)
