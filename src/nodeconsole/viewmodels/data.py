"""The data section: our datasets, the kinds of sources, grants in both directions, what partners show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.display import approval_status
from nodeconsole.viewmodels.facts import bullets, fact_lines, grouped, when
from nodeconsole.viewmodels.grants import asked_limits, grant_badge, kind_name
from nodeconsole.viewmodels.inventory import dataset_facts
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.tabs import TabWord
from nodeconsole.viewmodels.text import cells, count, fit, printable, short_id, size
from nodeconsole.viewmodels.times import age

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import ColumnRow, ConnectorRow, DatasetJob, DatasetRow, DatasetUsage
    from embedded_scheduler.wire.console_grants import GrantRow, PartnerDatasetRow, PublicationRow
    from nodeconsole.viewmodels.display import Display

TABS = ("datasets", "connectors", "grants", "theirs")
_WIDEST_NAME = 32


@dataclass(frozen=True, slots=True)
class OwnData:
    """One of our datasets, who sees it, and the grants for it that count."""

    dataset: DatasetRow
    publication: PublicationRow | None = None
    grants: tuple[GrantRow, ...] = ()


def own_data(
    datasets: Iterable[DatasetRow], publications: Iterable[PublicationRow], grants: Iterable[GrantRow]
) -> list[OwnData]:
    shown = {row.dataset_id: row for row in publications}
    given: dict[str, list[GrantRow]] = {}
    for grant in grants:
        if grant.direction == "in" and grant.kind == "dataset" and grant.state == "APPROVED":
            given.setdefault(grant.resource_id, []).append(grant)
    return [OwnData(row, shown.get(row.dataset_id), tuple(given.get(row.dataset_id, ()))) for row in datasets]


# -- our datasets -----------------------------------------------------------------------------------------------------


def data_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("name", text("datasets.column.name"), 16, flex=2, most=40),
        Column("shown", text("datasets.column.shown"), 21, flex=1, most=30),
        Column("grants", text("datasets.column.grants"), 6, right=True),
        Column("rows", text("datasets.column.rows"), 9, right=True),
        Column("columns", text("datasets.column.columns"), 7, right=True, drop=3),
        Column("size", text("datasets.column.size"), 10, right=True, drop=1),
        Column("connector", text("datasets.column.connector"), 9, drop=2),
        Column("namespace", text("datasets.column.namespace"), 12, drop=4),
    )


def data_cells(own: OwnData, display: Display) -> Line:
    dataset = own.dataset
    return (
        Span(printable(dataset.name), "strong"),
        audience(own.publication, display),
        Span(count(len(own.grants)) if own.grants else ""),
        Span(count(dataset.rows)),
        Span(count(len(dataset.columns))),
        Span(size(dataset.size_bytes), "dim"),
        Span(printable(dataset.connector)),
        Span(printable(dataset.namespace), "dim"),
    )


def audience(publication: PublicationRow | None, display: Display) -> Span:
    """Who sees it, and whether a job needs a permit."""
    if publication is None:
        return Span(display.text("data.hidden"), "dim")
    to = " ".join(map(printable, publication.audience)) or display.text("data.everybody")
    return Span(to + display.aside(display.text("data.by_permit") if publication.access == "permit" else ""))


def data_facts(own: OwnData, display: Display, width: int) -> list[Line]:
    return [*dataset_facts(own.dataset, display, width), *fact_lines(_shown_facts(own, display), width)]


def _shown_facts(own: OwnData, display: Display) -> list[tuple[str, str]]:
    text, publication = display.text, own.publication
    facts = [(text("data.shown_to"), audience(publication, display).text)]
    if publication is not None:
        columns = " ".join(printable(column.name) for column in publication.columns)
        facts.append((text("data.shown_columns"), columns))
        facts.append((text("data.access"), text(f"data.access_{publication.access}")))
    return facts


def dataset_page(own: OwnData, usage: DatasetUsage | None, display: Display, width: int) -> list[Line]:
    """Everything about one: what it is, who may use it, who did."""
    text, dataset = display.text, own.dataset
    options = "  ".join(printable(f"{key}={value}") for key, value in dataset.options.items())
    facts = [
        (text("datasets.id"), printable(dataset.dataset_id)),
        (text("datasets.description"), printable(dataset.description)),
        (text("data.source"), f"{printable(dataset.connector)}  {options}"),
        (text("datasets.column.rows").lower(), f"{count(dataset.rows)}   {size(dataset.size_bytes)}"),
        (text("datasets.fingerprint"), grouped(printable(dataset.fingerprint))),
        (text("datasets.registered"), when(dataset.registered_ms, display)),
        *_shown_facts(own, display),
    ]
    lines = fact_lines(facts, width)
    lines += [(), _heading("data.columns", display)]
    widest = max((cells(printable(column.name)) for column in dataset.columns), default=0)
    lines += [_column_line(column, min(widest, _WIDEST_NAME), display) for column in dataset.columns]
    lines += [(), _heading("data.grants", display)]
    lines += bullets((_grant_text(grant, display) for grant in own.grants), width, "")
    if not own.grants:
        lines.append((Span(f"  {text('data.no_grants')}", "dim"),))
    return [*lines, (), *_usage(usage, display)]


def _heading(key: str, display: Display) -> Line:
    return (Span(display.text(key), "accent"),)


def _column_line(column: ColumnRow, widest: int, display: Display) -> Line:
    name = fit(printable(column.name), widest, display.glyphs.cut)
    return (Span("  - ", "dim"), Span(f"{name}  "), Span(printable(column.type), "dim"))


def _grant_text(grant: GrantRow, display: Display) -> str:
    parts = [printable(grant.node_id), short_id(grant.grant_id)]
    if grant.permit is not None:
        limits = {"times_limit": grant.permit.times_limit, "time_limit": grant.permit.time_limit_ms}
        parts += [asked_limits(limits, display), display.text("grant.used", n=grant.permit.used)]
    return "  ".join(parts)


def _usage(usage: DatasetUsage | None, display: Display) -> list[Line]:
    if usage is None:
        return []
    lines: list[Line] = [_heading("data.usage", display)]
    for job in usage.jobs:
        badge = display.badge(job_word(job))
        decided = display.badge(approval_status(job.decision)) if job.decision else Span("")
        ago = age(job.created_ms, display.now_ms)
        about = f"  {printable(job.initiator)}  {printable(job.flow_id or job.task)}  {ago}  "
        lines.append((Span(f"  - {short_id(job.job_id)}  ", "dim"), badge, Span(about), decided))
    if not usage.jobs:
        lines.append((Span(f"  {display.text('data.unused', n=usage.looked_at)}", "dim"),))
    elif not usage.complete:
        lines.append((Span(f"  {display.text('data.usage_of', n=usage.looked_at)}", "dim"),))
    return lines


_OUTCOMES = {"succeeded": "done", "failed": "failed", "stopped": "stopped"}


def job_word(job: DatasetJob) -> str:
    if job.state == "FINISHED":
        return _OUTCOMES.get(job.outcome or "", "finished")
    return job.state.lower()


# -- kinds of sources -------------------------------------------------------------------------------------------------


def connector_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("name", text("connectors.column.name"), 12),
        Column("title", text("connectors.column.title"), 18, flex=1, most=40),
        Column("options", text("connectors.column.options"), 24, flex=2, most=80),
        Column("used", text("connectors.column.used"), 8, right=True),
    )


def connector_cells(row: ConnectorRow, display: Display) -> Line:  # noqa: ARG001 - one signature for all lists
    names = " ".join(printable(name) for name in row.options.get("properties", {}))
    return (
        Span(printable(row.name), "strong"),
        Span(printable(str(row.options.get("title", "")))),
        Span(names),
        Span(count(row.datasets) if row.datasets else ""),
    )


def connector_facts(row: ConnectorRow, display: Display, width: int) -> list[Line]:
    """Its options: type, choices, what each means."""
    wanted = row.options.get("required", ())
    facts = []
    for name, option in row.options.get("properties", {}).items():
        choices = " ".join(f"'{choice}'" for choice in option.get("enum", ()))
        need = display.text("connectors.required") if name in wanted else ""
        said = [need, printable(choices), printable(str(option.get("description", "")))]
        facts.append((printable(str(name)), "  ".join(filter(None, said)) or printable(str(option.get("type", "")))))
    return fact_lines(facts, width)


# -- grants -----------------------------------------------------------------------------------------------------------


def grant_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("direction", text("grants.column.direction"), 7),
        Column("node", text("grants.column.node"), 10, flex=1, most=24),
        Column("kind", text("grants.column.kind"), 9, drop=2),
        Column("what", text("grants.column.what"), 20, flex=2, most=60),
        Column("state", text("grants.column.state"), 11),
        Column("limits", text("grants.column.limits"), 16, flex=1, most=40, drop=1),
        Column("age", text("grants.column.age"), 5, right=True),
    )


def grant_cells(grant: GrantRow, display: Display) -> Line:
    return (
        Span(display.text(f"grants.{grant.direction}"), "dim"),
        Span(printable(grant.node_id), "strong"),
        Span(kind_name(grant.kind, display)),
        Span(printable(grant.resource_id)),
        grant_badge(grant, display),
        Span(_limits(grant, display), "dim"),
        Span(age(grant.created_ms, display.now_ms), "dim"),
    )


def _limits(grant: GrantRow, display: Display) -> str:
    permit = grant.permit
    if permit is None:
        return ""
    uses = f"{permit.used}/{permit.times_limit or '-'}"
    return f"{uses} {when(permit.time_limit_ms, display)[:10]}" if permit.time_limit_ms else uses


def grant_facts(grant: GrantRow, display: Display, width: int) -> list[Line]:
    text = display.text
    facts = [
        (text("grant.id"), printable(grant.grant_id)),
        (text("grants.since"), when(grant.since_ms, display)),
        (text("grant.permit"), _grant_text(grant, display) if grant.permit is not None else ""),
        (text("grant.decided_by"), printable(grant.decided_by.removeprefix("operator:"))),
        (text("contract.reason"), told(grant, "reason", display)),
        (text("grants.open_jobs"), " ".join(map(short_id, grant.open_jobs))),
    ]
    return fact_lines(facts, width)


# -- what partners show -----------------------------------------------------------------------------------------------


def theirs_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("node", text("theirs.column.node"), 12, flex=1, most=24),
        Column("dataset", text("theirs.column.dataset"), 24, flex=2, most=60),
        Column("rows", text("theirs.column.rows"), 11, right=True),
        Column("columns", text("theirs.column.columns"), 7, right=True, drop=1),
        Column("description", text("theirs.column.description"), 16, flex=2, most=80, drop=2),
    )


def theirs_cells(row: PartnerDatasetRow, display: Display) -> Line:  # noqa: ARG001 - one signature for all lists
    return (
        Span(printable(row.node_id), "strong"),
        Span(printable(row.dataset_id)),
        Span(count(row.rows) if row.rows is not None else "-"),
        Span(count(len(row.columns))),
        Span(printable(row.description), "dim"),
    )


def theirs_facts(row: PartnerDatasetRow, display: Display, width: int) -> list[Line]:
    text = display.text
    columns = display.listed(printable(f"{column.name} {column.type}") for column in row.columns)
    facts = [
        (text("datasets.id"), printable(row.dataset_id)),
        (text("theirs.owner"), printable(row.owner)),
        (text("datasets.description"), printable(row.description)),
        (text("datasets.columns"), columns),
    ]
    return fact_lines(facts, width)


def tab_words(display: Display) -> tuple[TabWord, ...]:
    return tuple(TabWord(name, display.text(f"data.tab.{name}")) for name in TABS)
