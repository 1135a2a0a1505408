"""The lists of components and datasets, with the facts of one entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.viewmodels.facts import fact_lines, when
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import count, printable, size

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import ComponentRow, DatasetRow
    from nodeconsole.viewmodels.display import Display


def component_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("name", text("components.column.name"), 18, flex=2),
        Column("version", text("components.column.version"), 8),
        Column("provider", text("components.column.provider"), 12, flex=1, drop=3),
        Column("roles", text("components.column.roles"), 12, flex=1, drop=4),
        Column("state", text("components.column.state"), 12),
        Column("image", text("components.column.image"), 16, flex=2, drop=2),
    )


def component_cells(component: ComponentRow, display: Display) -> Line:
    text = display.text
    glyphs = display.glyphs
    state = Span(f"{glyphs.ok} {text('components.runs')}", "ok")
    if not component.runnable:
        state = Span(f"{glyphs.bad} {text('components.cannot')}", "bad")
    return (
        Span(printable(component.name), "strong"),
        Span(printable(component.version)),
        Span(printable(component.provider)),
        Span(printable(" ".join(component.roles))),
        state,
        Span(printable(component.image_url), "dim"),
    )


def component_facts(component: ComponentRow, display: Display, width: int) -> list[Line]:
    text = display.text
    facts = [
        (text("components.title"), printable(component.title or component.code)),
        (text("components.description"), printable(component.description) or "-"),
        (text("components.why_not"), printable(component.why_not) or "-"),
        (text("components.warnings"), "; ".join(map(printable, component.warnings)) or "-"),
        (text("components.registered"), when(component.registered_ms, display)),
    ]
    return fact_lines(facts, width)


def dataset_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("name", text("datasets.column.name"), 20, flex=2),
        Column("namespace", text("datasets.column.namespace"), 12, drop=4),
        Column("connector", text("datasets.column.connector"), 10, drop=2),
        Column("rows", text("datasets.column.rows"), 11, right=True),
        Column("columns", text("datasets.column.columns"), 8, right=True, drop=3),
        Column("size", text("datasets.column.size"), 10, right=True, drop=1),
    )


def dataset_cells(dataset: DatasetRow, display: Display) -> Line:  # noqa: ARG001 - one signature for all lists
    return (
        Span(printable(dataset.name), "strong"),
        Span(printable(dataset.namespace)),
        Span(printable(dataset.connector)),
        Span(count(dataset.rows)),
        Span(count(len(dataset.columns))),
        Span(size(dataset.size_bytes), "dim"),
    )


def dataset_facts(dataset: DatasetRow, display: Display, width: int) -> list[Line]:
    text = display.text
    columns = ", ".join(printable(f"{column.name} {column.type}") for column in dataset.columns)
    facts = [
        (text("datasets.id"), printable(dataset.dataset_id)),
        (text("datasets.description"), printable(dataset.description) or "-"),
        (text("datasets.columns"), columns or "-"),
        (text("datasets.fingerprint"), printable(dataset.fingerprint)),
        (text("datasets.registered"), when(dataset.registered_ms, display)),
    ]
    return fact_lines(facts, width)
