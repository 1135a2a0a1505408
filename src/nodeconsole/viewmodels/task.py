"""One task: where its time went, what it was given, what it made, and how each attempt ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from nodeconsole.viewmodels.display import share_status, task_status
from nodeconsole.viewmodels.facts import fact_lines
from nodeconsole.viewmodels.job import party_key, result_lines
from nodeconsole.viewmodels.jobgraph import component_of
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells, clip, count, printable, size, wrap
from nodeconsole.viewmodels.times import clock_seconds, exact_span, moment
from nodeconsole.viewmodels.waiting import waiting_facts

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobDetail, TaskRow
    from embedded_scheduler.wire.console_tasks import AttemptRow, TaskDetail, TrafficRow
    from nodeconsole.viewmodels.display import Display

_LABEL = 24
_TOPICS = 12
_RAN_OUT = ("memory", "disk", "time")
"""Causes that say more than the exit code."""


class Part(NamedTuple):
    """A piece of an attempt's time."""

    name: str
    ms: int


def time_parts(attempt: AttemptRow, now_ms: int) -> list[Part]:
    """Where the time of an attempt went; what is not known is left out, and what is over is not rounded up.

    Computing is what remains of the run after what was measured, so it holds whatever was not.
    """
    parts: list[Part] = []
    if attempt.ready_ms:
        parts.append(Part("queue", attempt.created_ms - attempt.ready_ms))
    end = attempt.ended_ms or now_ms
    begun = attempt.called_ms or attempt.launched_ms
    if attempt.launched_ms is None or begun is None:
        parts.append(Part("start", end - attempt.created_ms))
        return _positive(parts)
    parts.append(Part("start", begun - attempt.created_ms))
    run = max(0, end - begun)
    waiting = min(run, attempt.traffic.waiting_ms) if attempt.traffic else 0
    link = min(run - waiting, attempt.traffic.sending_ms) if attempt.traffic else 0
    parts.append(Part("compute", run - waiting - link))
    if attempt.traffic:
        parts += [Part("waiting", waiting), Part("link", link)]
    return _positive(parts)


def _positive(parts: Iterable[Part]) -> list[Part]:
    # The clock may have been set back between two moments.
    return [Part(name, max(0, ms)) for name, ms in parts]


def time_bar(parts: Sequence[Part], width: int, display: Display) -> Line:
    """The parts side by side; what took any time gets a cell at least."""
    glyphs = display.glyphs
    signs: dict[str, tuple[str, Role]] = {
        "queue": (glyphs.empty, "dim"),
        "start": (glyphs.dot, ""),
        "compute": (glyphs.full, "run"),
        "waiting": (glyphs.wait, "wait"),
        "link": (glyphs.arrow[-1:], "accent"),
    }
    total = sum(part.ms for part in parts)
    shown = [part for part in parts if part.ms]
    room = width - len(shown)
    if not total or room < 0:
        return ()
    return tuple(Span(signs[part.name][0] * (1 + room * part.ms // total), signs[part.name][1]) for part in shown)


def time_lines(attempt: AttemptRow, display: Display, width: int) -> list[Line]:
    """Bar and table of one attempt."""
    text = display.text
    parts = time_parts(attempt, display.now_ms)
    total = sum(part.ms for part in parts)
    title = f"{attempt.party}  {text('task.attempt', n=attempt.number)}"
    lines: list[Line] = [(Span(f"  {title}", "strong"), Span(f"  {exact_span(total)}", "dim"))]
    lines.append((Span("  "), *time_bar(parts, max(10, min(60, width - 4)), display)))
    for part in parts:
        (sign,) = time_bar([part], 1, display) or (Span(" "),)
        label = text(f"task.part.{part.name}")
        share = f"{part.ms * 100 // total:>3}%" if total else ""
        gap = " " * max(1, _LABEL - cells(label))
        lines.append((Span("    "), sign, Span(f" {label}{gap}"), Span(f"{exact_span(part.ms):>8}  {share}", "dim")))
    if attempt.traffic is None:
        lines.append((Span(f"    {text('task.no_channel')}", "dim"),))
    elif attempt.traffic.partial:
        lines.append((Span(f"    {text('task.partial')}", "warn"),))
    return lines


def traffic_lines(traffic: TrafficRow, task_id: str, display: Display) -> list[Line]:
    """What went to and fro, the most first. Topics begin with the task's id, which says nothing here."""
    text = display.text
    links = sorted(traffic.links, key=lambda link: -(link.received_bytes + link.sent_bytes))
    lines: list[Line] = []
    for link in links[:_TOPICS]:
        topic = printable(link.topic.removeprefix(f"{task_id}/"))
        name = clip(f"{printable(link.node_id)} {topic}", _LABEL + 8, display.glyphs.cut)
        received = text("task.received", size=size(link.received_bytes), n=count(link.received))
        sent = text("task.sent", size=size(link.sent_bytes), n=count(link.sent))
        gap = " " * (_LABEL + 10 - cells(name))
        lines.append((Span(f"    {name}{gap}"), Span(f"{received}   {sent}", "dim")))
    if len(links) > _TOPICS:
        lines.append((Span(f"    {text('task.more_topics', n=len(links) - _TOPICS)}", "dim"),))
    return lines


def attempt_lines(attempt: AttemptRow, display: Display, width: int) -> list[Line]:
    text, zone = display.text, display.zone
    outcome, role = _outcome(attempt, display)
    head = (
        Span(f"  {printable(attempt.party)} {text('task.attempt', n=attempt.number)}", "strong"),
        Span(f"  {outcome}", role),
        Span(f"  {printable(attempt.runner)}", "dim"),
    )
    times = [
        (text(f"task.at.{name}"), clock_seconds(at, zone))
        for name, at in (
            ("ready", attempt.ready_ms),
            ("created", attempt.created_ms),
            ("launched", attempt.launched_ms),
            ("called", attempt.called_ms),
            ("ended", attempt.ended_ms),
        )
        if at
    ]
    lines: list[Line] = [head]
    if attempt.where:
        lines += [(Span(f"    {part}", "dim"),) for part in wrap(printable(attempt.where), width - 4)]
    lines += [(Span("    " + "   ".join(f"{label} {at}" for label, at in times), "dim"),)]
    used = _use_text(attempt, display)
    if used:
        lines += [(Span(f"    {part}", "dim"),) for part in wrap(used, width - 4)]
    if attempt.reason:
        lines += [(Span(f"    {part}", role),) for part in wrap(told(attempt, "reason", display), width - 4)]
    return lines


def _use_text(attempt: AttemptRow, display: Display) -> str:
    """`memory 7.9 GiB of 8 GiB (job)   cpu 4 (node, 16 asked)   earlier runs up to 8.1 GiB`"""
    text = display.text
    parts = []
    limited = {limit.kind for limit in attempt.limits}
    if attempt.peak_bytes and "memory" not in limited:
        parts.append(text("task.used", size=size(attempt.peak_bytes)))
    for limit in attempt.limits:
        unit = " GiB" if limit.kind in ("memory", "disk") else ""
        value = f"{limit.value:g}{unit}"
        if limit.kind == "memory" and attempt.peak_bytes:
            value = text("task.of", used=size(attempt.peak_bytes), limit=value)
        origin = text(f"task.origin.{limit.origin}")
        if limit.asked is not None:
            origin = text("task.asked", origin=origin, asked=f"{limit.asked:g}{unit}")
        parts.append(text(f"task.limit.{limit.kind}", value=value, origin=origin))
    if attempt.usual_peak_bytes and attempt.ended_ms is None:
        parts.append(text("task.usual", size=size(attempt.usual_peak_bytes)))
    return "   ".join(parts)


def _outcome(attempt: AttemptRow, display: Display) -> tuple[str, Role]:
    text = display.text
    if attempt.ended_ms is None:
        return (text("task.runs") if attempt.launched_ms else text("task.starts")), "run"
    if attempt.cause in _RAN_OUT:
        return text(f"task.cause.{attempt.cause}"), "bad"
    if attempt.exit_signal is not None:
        return text("task.signal", n=attempt.exit_signal), "bad"
    if attempt.exit_code is None:
        return text("task.never_ran"), "bad"
    return text("job.exit", code=attempt.exit_code), "bad" if attempt.exit_code else "ok"


def parameter_lines(detail: JobDetail, task: TaskRow, display: Display, width: int) -> list[Line]:
    """What the specification gives to all parties, and to each of its own; ours first."""
    text = display.text
    lines = _values(text("task.for_all"), _member(_params(detail), "common", task.name), width)
    shares = sorted(task.shares, key=lambda share: not share.local)
    for share in shares:
        own = _member(_params(detail), share.role, str(share.index), task.name)
        here = f" {text('job.here')}" if share.local else ""
        lines += _values(f"{printable(share.node_id)}:{party_key(share)}{here}", own, width)
    return lines


def _params(detail: JobDetail) -> Mapping[str, object]:
    return _member(detail.spec, "config", "task_params")


def _member(document: object, *names: str) -> Mapping[str, object]:
    for name in names:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document if isinstance(document, Mapping) else {}


def _values(title: str, values: Mapping[str, object], width: int) -> list[Line]:
    if not values:
        return []
    lines: list[Line] = [(Span(f"  {title}", "dim"),)]
    for name, value in values.items():
        label = printable(name)
        gap = " " * max(1, _LABEL - cells(label))
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        parts = wrap(printable(shown), max(10, width - 5 - max(_LABEL, cells(label))))
        lines.append((Span(f"    {label}{gap}"), Span(parts[0] if parts else "")))
        lines += [(Span(" " * (4 + _LABEL)), Span(part)) for part in parts[1:]]
    return lines


def port_lines(detail: JobDetail, task: TaskRow, display: Display, width: int) -> list[Line]:
    """What it reads, and what it stores here: the declared outputs and those that are there."""
    text = display.text
    node = component_of(detail, task.name)
    lines: list[Line] = []
    for side, sign in (("input", display.glyphs.arrow[-1:]), ("output", display.glyphs.dot)):
        ports = node.get(side)
        for port in ports if isinstance(ports, list) else ():
            key, kind = printable(str(port.get("key", ""))), printable(str(port.get("type", "")))
            lines.append((Span(f"  {text(f'task.{side}')} {sign} ", "dim"), Span(key), Span(f"  {kind}", "dim")))
    stored = [result for result in detail.results if result.task == task.name]
    lines += [line for result in stored for line in result_lines(result, display, width)]
    return lines


def task_page(found: TaskDetail, detail: JobDetail, display: Display, width: int) -> list[Line]:
    """The whole page, section by section; a section without content is left out."""
    task, text = found.task, display.text
    component = "/".join(part for part in (task.provider, task.component) if part)
    facts = [
        (text("graph.component"), f"{printable(component)} {printable(task.version)}"),
        (text("task.id"), printable(task.task_id)),
        (text("task.started"), moment(task.started_ms, display.zone) if task.started_ms else ""),
        (text("task.reads"), display.listed(map(printable, task.upstream))),
    ]
    lines = fact_lines(facts, width)
    if task.waiting is not None and task.state != "RUNNING":
        lines += _section(text("waiting.heading"), fact_lines(waiting_facts(task.waiting, display), width, "wait"))
    lines += _parties(task, display, width)
    times = [line for attempt in found.attempts for line in time_lines(attempt, display, width)]
    lines += _section(text("task.times"), times)
    exchanged = [line for a in found.attempts if a.traffic for line in traffic_lines(a.traffic, task.task_id, display)]
    lines += _section(text("task.channel"), exchanged)
    lines += _section(text("task.parameters"), parameter_lines(detail, task, display, width))
    lines += _section(text("task.ports"), port_lines(detail, task, display, width))
    attempts = [line for attempt in found.attempts for line in attempt_lines(attempt, display, width)]
    return lines + _section(text("task.attempts"), attempts)


def _parties(task: TaskRow, display: Display, width: int) -> list[Line]:
    lines: list[Line] = []
    for share in task.shares:
        badge = display.badge(share_status(share))
        lines.append((Span(f"  {printable(share.node_id)}:{party_key(share)}  "), badge))
        if share.reason:
            role: Role = "bad" if badge.role == "bad" else ""
            lines += [(Span(f"    {part}", role),) for part in wrap(told(share, "reason", display), width - 4)]
    return _section(display.text("task.parties"), lines)


def _section(title: str, lines: Sequence[Line]) -> list[Line]:
    return [(), (Span(title, "accent"),), *lines] if lines else []


def task_head(task: TaskRow, display: Display) -> Line:
    return (Span(f" {printable(task.name)}  ", "strong"), display.badge(task_status(task)))
