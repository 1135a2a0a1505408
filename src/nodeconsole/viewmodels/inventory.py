"""The facts of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.viewmodels.facts import fact_lines, grouped, when
from nodeconsole.viewmodels.spans import Line
from nodeconsole.viewmodels.text import printable

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import DatasetRow
    from nodeconsole.viewmodels.display import Display


def dataset_facts(dataset: DatasetRow, display: Display, width: int) -> list[Line]:
    text = display.text
    columns = display.listed(printable(f"{column.name} {column.type}") for column in dataset.columns)
    facts = [
        (text("datasets.id"), printable(dataset.dataset_id)),
        (text("datasets.description"), printable(dataset.description) or "-"),
        (text("datasets.columns"), columns or "-"),
        (text("datasets.fingerprint"), grouped(printable(dataset.fingerprint))),
        (text("datasets.registered"), when(dataset.registered_ms, display)),
    ]
    return fact_lines(facts, width)
