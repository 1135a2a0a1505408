"""The work of one party: read, agree, run the protocol, keep the rows that are common."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from algorithm_components.sdk.environment import ComponentError
from algorithm_components.sdk.report_form import Report
from algorithm_components.sdk.running import Task
from algorithm_components.sdk.tables import Table
from spu_alignment.agreement import Terms, agree, terms_of
from spu_alignment.psi import Result, intersect
from spu_alignment.rows import SortedRows, digest, read_keys, write_keys


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the own table holds. `keys`: digests of its different identifiers."""

    header: tuple[str, ...]
    keys: set[bytes]
    rows: int
    empty: int
    repeated: int


def align(task: Task) -> None:
    columns = [name.strip() for name in str(task.parameters["id"]).split(",")]
    terms = terms_of(task, len(columns))
    patience = int(task.parameters["timeout"])
    task.log.info(f"aligning {' '.join(terms.parties)} by {', '.join(columns)} ({terms.protocol})")
    clock = _Clock()
    # Whatever the library leaves behind goes with this directory.
    with tempfile.TemporaryDirectory(prefix="psi-") as name:
        place = Path(name)
        loaded = _load(task, columns)
        clock.lap("read")
        agree(task, terms, patience)
        clock.lap("agree")
        write_keys(place / "own.csv", loaded.keys)
        result = intersect(task, terms, place, patience)
        clock.lap("protocol")
        common = read_keys(place / "common.csv") if terms.learns else set()
        if not common <= loaded.keys:
            raise ComponentError("the protocol's result holds identifiers that this party does not have")
        written = _write(task, columns, loaded, common, terms)
        clock.lap("write")
    if terms.learns:
        task.log.info(f"done: {len(common)} of {len(loaded.keys)} own identifiers are common, {written} rows")
    else:
        task.log.info("done; the result goes to another party")
    _report(task, terms, loaded, result, len(common) if terms.learns else None, written, clock)


def _load(task: Task, columns: list[str]) -> Loaded:
    keys: set[bytes] = set()
    rows = empty = 0
    with task.tables.read(task.input()) as table:
        positions = _positions(table, columns)
        for row in table:
            rows += 1
            cells = [row[position] for position in positions]
            if all(cells):
                keys.add(digest(cells))
            else:
                empty += 1
        header = table.header
    repeated = rows - empty - len(keys)
    task.log.info(f"{rows} rows, {len(keys)} different identifiers")
    if empty:
        task.log.warning(f"{empty} rows have no identifier and are left out")
    if repeated:
        if task.parameters["duplicates"] == "refuse":
            raise ComponentError(f"{repeated} rows repeat an identifier and duplicates=refuse")
        task.log.warning(f"{repeated} rows repeat an identifier; all rows of a common one are kept")
    if not keys:
        raise ComponentError("the table has no identifier at all: there is nothing to align")
    return Loaded(header, keys, rows, empty, repeated)


def _positions(table: Table, columns: list[str]) -> list[int]:
    return [table.column(name) for name in columns]


def _write(task: Task, columns: list[str], loaded: Loaded, common: set[bytes], terms: Terms) -> int:
    rows = SortedRows()
    kept = 0
    try:
        if common:
            with task.tables.read(task.input()) as table:
                positions = _positions(table, columns)
                for row in table:
                    cells = [row[position] for position in positions]
                    if all(cells) and digest(cells) in common:
                        rows.add(cells, row)
                        kept += 1
        task.write_table("intersection", loaded.header, rows if terms.learns else ())
    finally:
        rows.close()
    return kept


def _report(
    task: Task, terms: Terms, loaded: Loaded, result: Result, common: int | None, written: int, clock: _Clock
) -> None:
    others = ", ".join(party for party in terms.parties if party != terms.own)
    report = Report("Sample alignment", f"{terms.own} with {others}; {terms.protocol}, spu {result.version}")
    report.scalar("own_rows", loaded.rows, title="Own rows")
    report.scalar("own_identifiers", len(loaded.keys), title="Own identifiers")
    report.scalar("rows_without_identifier", loaded.empty, title="Rows without identifier")
    report.scalar("rows_repeating_an_identifier", loaded.repeated, title="Rows that repeat an identifier")
    report.scalar("common_identifiers", common, title="Common identifiers")
    report.scalar("rows_written", written, title="Rows of the result")
    report.scalar("bytes_moved", result.bytes_moved, title="Bytes between component and node", unit="B")
    seconds = [(step, round(value, 3)) for step, value in clock.seconds.items()]
    report.table("seconds", ["step", {"name": "seconds", "type": "number"}], seconds, title="Seconds")
    task.write_report("report", report)


class _Clock:
    def __init__(self) -> None:
        self._last = time.monotonic()
        self.seconds: dict[str, float] = {}

    def lap(self, step: str) -> None:
        now = time.monotonic()
        self.seconds[step], self._last = now - self._last, now
