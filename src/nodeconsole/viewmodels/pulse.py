"""The home screen: how the node is, in a few lines each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.display import run_status
from nodeconsole.viewmodels.glyphs import progress
from nodeconsole.viewmodels.panes import PaneRow, Target
from nodeconsole.viewmodels.partners import Partner, connection, fails
from nodeconsole.viewmodels.plots import gauge, spark, stretched
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Role, Span, plain
from nodeconsole.viewmodels.text import cells, count, fit, printable, short_id, subject_name
from nodeconsole.viewmodels.times import HOUR, age, clock, exact_span, span_text
from nodeconsole.viewmodels.waiting import waiting_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import EventRow, JobRow, NodeStatus, PeerRow
    from embedded_scheduler.wire.console_pulse import FlowRun, ResourceReport, ResourceSample, Statistics
    from nodeconsole.viewmodels.display import Display

GIB = 1024**3
_LABEL = 7
_STEP = 5
"""Percent of use are shown in steps of so many: noise must not repaint the screen."""
_SPAN_MS = 20_000
"""One cell of a plot of use stands for so long."""
_NET_TOP = 8
"""A full cell of the plot of bytes is ten to the power of this, per second; the plot is logarithmic."""


# -- jobs -------------------------------------------------------------------------------------------------------------


def job_rows(status: NodeStatus | None, found: Statistics | None, display: Display, width: int) -> list[PaneRow]:
    rows = [_states(status, display)] if status is not None else []
    if found is None:
        return rows
    buckets = found.buckets
    room = max(6, width - _LABEL - 6)
    ended = [bucket.succeeded + bucket.failed + bucket.stopped + bucket.rejected + bucket.other for bucket in buckets]
    failed = [bucket.failed for bucket in buckets]
    figures = Target("section", "statistics")
    for name, values, role in (("ended", ended, "run"), ("failed", failed, "bad")):
        total = sum(values)
        plot = spark(stretched(values, room), room, display.glyphs)
        shown: Role = role if total else "dim"  # type: ignore[assignment]
        rows.append(
            PaneRow(
                (Span(_label(display.text(f"pulse.{name}"))), Span(plot, shown)),
                (Span(count(total), shown if name == "failed" else ""),),
                key=name,
                target=figures,
            )
        )
    rows.append(PaneRow(tuple(_summary(found, display)), key="took", target=figures))
    return rows


def _states(status: NodeStatus, display: Display) -> PaneRow:
    """How many jobs are in each state that is not over, each with sign and word."""
    counts = {"waiting": status.jobs.get("waiting", 0)}
    counts |= {word: status.jobs.get(word.upper(), 0) for word in ("running", "ready", "pending")}
    spans: list[Span] = []
    for word, number in counts.items():
        badge = display.badge(word)
        if number or word == "running":
            spans += [Span(f"{badge.text} {count(number)}", badge.role if number else "dim"), Span("  ")]
    return PaneRow(tuple(spans), key="states", target=Target("section", "jobs"))


def _summary(found: Statistics, display: Display) -> Iterable[Span]:
    took = found.took
    p50 = exact_span(took.p50_ms) if took.p50_ms is not None else "-"
    p95 = exact_span(took.p95_ms) if took.p95_ms is not None else "-"
    yield Span("p50 ", "dim")
    yield Span(p50)
    yield Span("  p95 ", "dim")
    yield Span(p95)
    if found.success is not None:
        yield Span(f"  {display.text('pulse.success')} ", "dim")
        yield Span(f"{found.success:.1%}", "ok" if found.success >= 0.95 else "warn")


# -- what runs --------------------------------------------------------------------------------------------------------


def running_rows(jobs: Sequence[JobRow] | None, display: Display, width: int) -> list[PaneRow]:
    if jobs is None:
        return []
    bar = 9 if width < 44 else 14
    name = max(8, width - bar - 12)
    rows = [_running(job, display, name, bar) for job in jobs]
    return rows or [PaneRow((Span(display.text("pulse.nothing_runs"), "dim"),))]


def _running(job: JobRow, display: Display, name: int, bar: int) -> PaneRow:
    title = printable(job.flow_id) or short_id(job.job_id)
    percent = 100 * job.tasks_done // job.tasks_total if job.tasks_total else 0
    role: Role = "warn" if job.stuck else "run"
    sign = "! " if job.stuck else ""
    why: tuple[Span, ...] = (Span(f"{short_id(job.job_id)} ", "strong"),)
    if job.waiting is not None:
        why += (Span(waiting_text(job.waiting, display), "wait"),)
    return PaneRow(
        (
            Span(fit(sign + title, name, display.glyphs.cut), "warn" if job.stuck else ""),
            Span(" "),
            Span(progress(job.tasks_done, job.tasks_total, bar, display.glyphs), role),
        ),
        (Span(f"{percent}%"), Span(f" {age(job.started_ms, display.now_ms):>5}", "dim")),
        key=job.job_id,
        target=Target("job", job.job_id),
        problem=bool(job.stuck),
        why=why,
    )


# -- partners ---------------------------------------------------------------------------------------------------------


def peer_rows(peers: Sequence[PeerRow] | None, display: Display, width: int) -> list[PaneRow]:
    if peers is None:
        return []
    name = max(6, min(16, width - 24))
    rows = [_peer(peer, display, name) for peer in sorted(peers, key=lambda peer: (not fails(peer), peer.node_id))]
    return rows or [PaneRow((Span(display.text("pulse.no_peers"), "dim"),))]


def _peer(peer: PeerRow, display: Display, name: int) -> PaneRow:
    state = connection(Partner(peer.node_id, peer, None), display)
    took = f"{peer.took_ms} ms" if peer.took_ms is not None and not fails(peer) else ""
    waiting = display.text("pulse.queue", n=count(peer.undelivered)) if peer.undelivered else ""
    why = (Span(f"{printable(peer.node_id)} ", "strong"), Span(told(peer, "last_error", display), "warn"))
    return PaneRow(
        (Span(fit(printable(peer.node_id), name, display.glyphs.cut)), Span(" "), state),
        (Span(f"{waiting} " if waiting else "", "warn"), Span(took, "dim")),
        key=peer.node_id,
        target=Target("section", "peers", (peer.node_id,)),
        problem=fails(peer),
        why=why if fails(peer) else (),
    )


# -- this machine -----------------------------------------------------------------------------------------------------


def node_rows(
    report: ResourceReport | None, samples: Sequence[ResourceSample], display: Display, width: int
) -> list[PaneRow]:
    """What cannot be told here is left out."""
    if report is None:
        return []
    room = max(6, min(24, width - 30))
    newest = samples[-1] if samples else None
    rows = []
    if newest is not None and newest.cpu is not None:
        plot = spark(_over_time([sample.cpu for sample in samples], samples), room, display.glyphs, top=100)
        cores = display.text("pulse.cores", n=report.cores)
        rows.append(_use("cpu", plot, f"{_rounded(newest.cpu)}%", cores, display, room))
    if newest is not None and newest.memory_used is not None and report.memory_total:
        used = newest.memory_used
        plot = gauge(used, report.memory_total, room, display.glyphs)
        of = f"{used / GIB:.1f}/{report.memory_total / GIB:.0f} GiB"
        rows.append(_use("mem", plot, f"{round(100 * used / report.memory_total)}%", of, display, room))
    taken = report.disk_total - report.disk_free
    plot = gauge(taken, report.disk_total, room, display.glyphs)
    free = display.text("pulse.free", size=f"{report.disk_free / GIB:.0f} GiB")
    percent = f"{round(100 * taken / report.disk_total)}%" if report.disk_total else "-"
    rows.append(_use("disk", plot, percent, free, display, room))
    if newest is not None and newest.net_in is not None and newest.net_out is not None:
        moved = [_magnitude((sample.net_in or 0) + (sample.net_out or 0)) for sample in samples]
        both = f"{display.text('pulse.in')} {rate(newest.net_in)} {display.text('pulse.out')} {rate(newest.net_out)}"
        left = max(1, min(room, width - 3 - _LABEL - cells(both)))
        plot = spark(_over_time(moved, samples), left, display.glyphs, top=_NET_TOP)
        rows.append(_use("net", plot, "", both, display, left))
    return rows


def _use(name: str, plot: str, percent: str, more: str, display: Display, room: int) -> PaneRow:
    line = (Span(_label(display.text(f"pulse.{name}"))), Span(" " * (room - cells(plot)) + plot, "run"))
    value = (Span(f" {percent:>4}"),) if percent else ()
    return PaneRow((*line, *value), (Span(more, "dim"),), key=name, target=Target("section", "doctor"))


def _over_time(values: Sequence[float | None], samples: Sequence[ResourceSample]) -> list[float | None]:
    """One value per `_SPAN_MS` of the clock, so that a plot moves on by one cell when such a span is over."""
    spans: dict[int, float] = {}
    for value, sample in zip(values, samples, strict=True):
        if value is not None:
            place = sample.at_ms // _SPAN_MS
            spans[place] = max(spans.get(place, 0), value)
    return [spans.get(place) for place in range(min(spans), max(spans) + 1)] if spans else []


def _rounded(percent: int) -> int:
    return _STEP * round(percent / _STEP)


def _magnitude(rate_: int) -> float:
    return len(str(rate_)) - 1 if rate_ >= 1_000 else 0


def rate(bytes_per_second: int) -> str:
    """`2.1MB/s`, to two digits; what is less than a kilobyte is noise."""
    value, unit = bytes_per_second / 1000, "kB/s"
    if value < 1:
        return "<1kB/s"
    if value >= 1000:
        value, unit = value / 1000, "MB/s"
    return f"{value:.1f}{unit}" if value < 10 else f"{float(f'{value:.2g}'):.0f}{unit}"


# -- flows ------------------------------------------------------------------------------------------------------------


def flow_rows(found: Statistics | None, display: Display, width: int) -> list[PaneRow]:
    """The latest flows, and how their newest runs ended, the newest at the right."""
    if found is None:
        return []
    runs = max(5, min(20, width // 4))
    name = max(8, width - 2 * runs - 1)
    rows = []
    for flow in found.lately:
        signs: list[Span] = []
        for run in flow.runs[:runs][::-1]:
            badge = _sign(run, display)
            signs += [Span(badge.text[:1], badge.role), Span(" ")]
        title = fit(printable(flow.flow_id) or "-", name, display.glyphs.cut)
        newest = flow.runs[0] if flow.runs else None
        failed = newest is not None and newest.outcome == "failed"
        target = Target("section", "jobs", (flow.flow_id,)) if flow.flow_id else None
        rows.append(
            PaneRow((Span(title), Span(" "), *signs), key=f"flow {flow.flow_id}", target=target, problem=failed)
        )
    return rows or [PaneRow((Span(display.text("pulse.no_runs"), "dim"),))]


def _sign(run: FlowRun, display: Display) -> Span:
    return display.badge(run_status(run.state, run.outcome))


# -- what happened last -----------------------------------------------------------------------------------------------


_QUIET = frozenset({"share", "task", "receipt"})
"""Kinds of things whose events are too many for one line."""


def recent_line(events: Sequence[EventRow], display: Display, width: int) -> tuple[Span, ...]:
    """As many of the newest as fit whole."""
    spans: list[Span] = []
    for event in events:
        if event.subject in _QUIET:
            continue
        subject = subject_name(event.subject_id, event.job_id)
        who = printable(event.actor.partition(":")[2] or event.actor)
        said = [
            Span(f" {clock(event.at_ms, display.zone)} ", "dim"),
            Span(f"{who} "),
            Span(printable(event.event), "accent"),
            Span(f" {subject}  "),
        ]
        if spans and cells(plain((*spans, *said)).rstrip()) > width:
            break
        spans += said
    return tuple(spans)


def recent_rows(events: Sequence[EventRow] | None, display: Display) -> list[PaneRow]:
    """The same where there is room for one to a line."""
    cut, rows = display.glyphs.cut, []
    for event in events or ():
        if event.subject in _QUIET:
            continue
        who = printable(event.actor.partition(":")[2] or event.actor)
        line = (
            Span(f"{clock(event.at_ms, display.zone)}  ", "dim"),
            Span(f"{fit(who, 14, cut)}  "),
            Span(f"{fit(printable(event.event), 24, cut)}  ", "accent"),
            Span(f"{fit(subject_name(event.subject_id, event.job_id), 24, cut)}  "),
            Span(told(event, "reason", display), "dim"),
        )
        target = Target("job", event.job_id) if event.job_id else Target("section", "audit")
        rows.append(PaneRow(line, (Span(age(event.at_ms, display.now_ms), "dim"),), f"event {event.seq}", target))
    return rows


def _label(text: str) -> str:
    return text + " " * max(1, _LABEL - cells(text))


def window_text(hours: int, display: Display) -> str:
    return display.text("pulse.last", span=f"{hours}h" if hours <= 48 else span_text(hours * HOUR))
