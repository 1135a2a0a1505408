"""The list of datasets, with the facts of one entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.viewmodels.facts import fact_lines, when
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import count, printable, size

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import DatasetRow
    from nodeconsole.viewmodels.display import Display


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
