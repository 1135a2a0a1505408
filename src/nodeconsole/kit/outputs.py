"""What a component stored, looked at as a consumer would: tables, reports, bytes."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from algorithm_components.sdk.report_form import faults_of
from nodeconsole.kit.trial import Output

_LARGEST_REPORT = 8 * 1024 * 1024
_PREVIEW_ROWS = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """What one declared output holds. `faults`: why a consumer cannot use it; `document` of a report, `rows` of a table
    with the header as the first of `preview`."""

    output: Output
    size: int | None
    rows: int | None = None
    preview: tuple[tuple[str, ...], ...] = ()
    document: Mapping[str, Any] | None = None
    faults: tuple[str, ...] = ()


def look_at(output: Output) -> Seen:
    """An output as its category says: a table, a report, or bytes."""
    if not output.written:
        return Seen(output, None, faults=(f"{output.formal} was declared and not written",))
    size = output.path.stat().st_size
    if output.category in ("report", "metric"):
        return _report(output, size)
    if output.category == "model":
        return Seen(output, size)
    return _table(output, size)


def _report(output: Output, size: int) -> Seen:
    if size > _LARGEST_REPORT:
        return Seen(output, size, faults=(f"{output.formal} is larger than 8 MiB: a report is for people",))
    try:
        document = json.loads(output.path.read_text("utf-8"))
    except ValueError as error:
        return Seen(output, size, faults=(f"{output.formal} is no JSON: {error}",))
    if not isinstance(document, dict):
        return Seen(output, size, faults=(f"{output.formal} is no JSON object",))
    if "form" not in document:
        return Seen(output, size, document=document)
    return Seen(
        output, size, document=document, faults=tuple(f"{output.formal}: {fault}" for fault in faults_of(document))
    )


def _table(output: Output, size: int) -> Seen:
    preview: list[tuple[str, ...]] = []
    rows = -1
    try:
        with output.path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file, strict=True):
                rows += 1
                if rows <= _PREVIEW_ROWS:
                    preview.append(tuple(row))
                if len(row) != len(preview[0]):
                    fault = f"{output.formal}: row {rows} has {len(row)} fields, the header {len(preview[0])}"
                    return Seen(output, size, None, tuple(preview), faults=(fault,))
    except (csv.Error, UnicodeDecodeError) as error:
        return Seen(output, size, faults=(f"{output.formal} is no table: {error}",))
    if rows < 0:
        return Seen(output, size, faults=(f"{output.formal} is no table: it has no header line",))
    return Seen(output, size, rows, tuple(preview))
