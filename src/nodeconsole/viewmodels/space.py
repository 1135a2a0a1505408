"""What takes the disk: jobs and prepared datasets, the largest first, and what becomes of their results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.display import run_status
from nodeconsole.viewmodels.facts import fact_lines, when
from nodeconsole.viewmodels.sentences import sentence
from nodeconsole.viewmodels.spans import Column, Line, Role, Span
from nodeconsole.viewmodels.text import printable, short_id, size
from nodeconsole.viewmodels.times import span_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import Keeping
    from embedded_scheduler.wire.console_space import DatasetSpaceRow, JobSpaceRow, SpaceReport
    from nodeconsole.viewmodels.display import Display

SPACE = "space"
"""What changes of it are called."""
_ROLES: dict[str, Role] = {"fine": "", "tight": "warn", "soon": "warn", "full": "bad"}


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """A job or a dataset: one of them is there."""

    total: int
    job: JobSpaceRow | None = None
    dataset: DatasetSpaceRow | None = None

    @property
    def key(self) -> str:
        return self.job.job_id if self.job is not None else f"dataset {self.dataset.dataset_id}" if self.dataset else ""


def space_rows(report: SpaceReport) -> Sequence[SpaceRow]:
    """The largest first."""
    rows = [SpaceRow(job.total, job=job) for job in report.jobs]
    rows += [SpaceRow(dataset.size, dataset=dataset) for dataset in report.datasets]
    return sorted(rows, key=lambda row: -row.total)


def space_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("what", text("space.column.what"), 14, flex=1, most=48),
        Column("flow", text("space.column.flow"), 16, flex=2, most=32, drop=3),
        Column("state", text("space.column.state"), 12, drop=4),
        Column("total", text("space.column.total"), 10, right=True),
        Column("results", text("space.column.results"), 10, right=True, drop=1),
        Column("logs", text("space.column.logs"), 10, right=True, drop=5),
        Column("working", text("space.column.working"), 10, right=True, drop=6),
        Column("goes", text("space.column.goes"), 8, right=True),
    )


def space_cells(row: SpaceRow, display: Display) -> Line:
    job = row.job
    if job is None:
        name = printable(row.dataset.dataset_id) if row.dataset is not None else ""
        return (Span(name), Span(""), Span(display.text("space.dataset"), "dim"), Span(size(row.total)), *_NOTHING)
    state = (
        display.badge(run_status(job.state, job.outcome)) if job.state else Span(display.text("space.unknown"), "dim")
    )
    return (
        Span(short_id(job.job_id), "strong"),
        Span(printable(job.flow_id), "dim"),
        state,
        Span(size(job.total)),
        _amount(job.results),
        _amount(job.logs),
        _amount(job.runs + job.channel),
        _goes(job, display),
    )


_NOTHING = (Span(""),) * 4


def _amount(amount: int) -> Span:
    return Span(size(amount) if amount else "", "dim")


def _goes(job: JobSpaceRow, display: Display) -> Span:
    if job.kept:
        return Span(display.text("space.kept"), "ok")
    return Span(span_text(job.removal_ms - display.now_ms) if job.removal_ms is not None else "", "dim")


def space_facts(row: SpaceRow, display: Display, width: int) -> list[Line]:
    text, job = display.text, row.job
    if job is None:
        return fact_lines([(text("space.dataset"), text("space.dataset_means"))], width)
    goes = when(job.removal_ms, display) if job.removal_ms is not None else ""
    facts = [
        (text("job.ended"), when(job.ended_ms, display) if job.ended_ms else ""),
        (text("space.kind.results"), size(job.results)),
        (text("space.kind.logs"), size(job.logs)),
        (text("space.kind.runs"), size(job.runs)),
        (text("space.kind.channel"), size(job.channel) if job.channel else ""),
        (text("space.goes"), text("space.kept") if job.kept else goes),
    ]
    return fact_lines(facts, width)


def space_document(row: SpaceRow) -> object:
    """As data; None for neither."""
    found = row.job or row.dataset
    return found.model_dump(mode="json") if found is not None else None


def used_line(report: SpaceReport, display: Display) -> Line:
    """How much is used, and how much is left."""
    text, role = display.text, _ROLES.get(report.level, "")
    if report.quota:
        percent = report.used * 100 // report.quota
        used = text("space.used_of", used=size(report.used), quota=size(report.quota), percent=percent)
    else:
        used = text("space.used", used=size(report.used))
    return (Span(used, role), Span(f"  {text('space.free', free=size(report.disk_free))}", "dim"))


def kinds_line(report: SpaceReport, display: Display) -> Line:
    """Why new jobs are refused; else what it is made of."""
    if report.refusal:
        said = sentence(report.said.get("refusal"), report.refusal, display)
        return (Span(display.text("space.refused", why=said), "bad"),)
    return tuple(_kinds(report, display))


def _kinds(report: SpaceReport, display: Display) -> Iterator[Span]:
    if not report.storage_seen:
        yield Span(f"{display.text('space.unseen', where=printable(report.storage))}  ", "warn")
    for kind, amount in report.kinds.items():
        if amount:
            name = display.catalogue.get(f"space.kind.{kind}", printable(kind))
            yield Span(f"{name} ", "dim")
            yield Span(f"{size(amount)}  ")


def keeping_span(keeping: Keeping, display: Display) -> Span | None:
    """What becomes of a job's results, in a few words; None = nothing to say."""
    text = display.text
    if keeping.removed_ms is not None:
        by = text("keeping.by_age") if keeping.removed_by == "node" else printable(keeping.removed_by)
        return Span(text("keeping.removed", when=when(keeping.removed_ms, display), by=by), "warn")
    if keeping.kept_ms is not None:
        by = printable(keeping.kept_by.removeprefix("operator:"))
        return Span(text("keeping.is_kept", sign=display.glyphs.ok, by=by), "ok")
    if keeping.removal_ms is None:
        return None
    return Span(text("keeping.due", span=span_text(keeping.removal_ms - display.now_ms)), "dim")
