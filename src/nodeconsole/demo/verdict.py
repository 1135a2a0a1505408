"""What the two data holders got, compared with the plain join of their files."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from embedded_scheduler.wire.console import JobDetail, ResultRow
from nodeconsole.demo.failure import DemoFailure
from nodeconsole.demo.job import ID_COLUMN, OUTPUT, REPORT, TASK
from nodeconsole.node_process import NodeProcess


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file with a header, as text. `path` is where it was read."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def ids(self) -> list[str]:
        """The id column, in the order of the rows."""
        position = self.header.index(ID_COLUMN)
        return [row[position] for row in self.rows]

    @property
    def records(self) -> list[dict[str, str]]:
        return [dict(zip(self.header, row, strict=True)) for row in self.rows]


def read_table(path: Path) -> Table:
    """`DemoFailure` if it cannot be read or has no id column."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError) as error:
        raise DemoFailure(f"{path} cannot be read: {error}") from None
    if ID_COLUMN not in header:
        raise DemoFailure(f"{path} has no column {ID_COLUMN}")
    return Table(path, tuple(header), tuple(tuple(row) for row in rows))


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the two data holders had and got. `problems` is empty when its result is right."""

    role: str
    node_id: str
    rows: int
    intersection: int
    result: Path
    report: Path | None
    log: Path
    problems: tuple[str, ...]


@dataclass(slots=True)
class Verdict:
    """`expected` is the size of the plain join; `steps` are seconds per step in order."""

    job_id: str
    expected: int
    sides: list[Side]
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        return [problem for side in self.sides for problem in side.problems]

    @property
    def right(self) -> bool:
        return not self.problems


def judge(
    job_id: str, nodes: Mapping[str, NodeProcess], details: Mapping[str, JobDetail], given: Mapping[str, Table]
) -> Verdict:
    """Each mapping is by role; `details` is the job as each data holder sees it, `given` what it had before."""
    common = set.intersection(*(set(table.ids) for table in given.values()))
    sides: list[Side] = []
    order: list[str] | None = None
    for role, detail in details.items():
        side, found = _side(nodes[role], role, detail, given[role], common)
        if order is not None and order != found.ids:
            side = replace(side, problems=(*side.problems, "the two results list the ids in different orders"))
        order = found.ids
        sides.append(side)
    return Verdict(job_id=job_id, expected=len(common), sides=sides)


def _side(node: NodeProcess, role: str, detail: JobDetail, given: Table, common: set[str]) -> tuple[Side, Table]:
    results = {result.output: result for result in detail.results if result.task == TASK}
    stored = _path_of(results, OUTPUT, role)
    found = read_table(stored)
    report = results.get(REPORT)
    side = Side(
        role=role,
        node_id=node.node_id,
        rows=len(given.rows),
        intersection=len(found.rows),
        result=stored,
        report=Path(report.path) if report is not None and report.path else None,
        log=_log_of(node, detail, role),
        problems=tuple(_faults(role, given, found, common)),
    )
    return side, found


def _path_of(results: Mapping[str, ResultRow], output: str, role: str) -> Path:
    result = results.get(output)
    if result is None or not result.path:
        raise DemoFailure(f"the {role} has no result {output}; it has {', '.join(sorted(results)) or 'none'}")
    return Path(result.path)


def _log_of(node: NodeProcess, detail: JobDetail, role: str) -> Path:
    attempts = [
        share.attempt_id
        for task in detail.tasks
        if task.name == TASK
        for share in task.shares
        if share.local and share.role == role
    ]
    directory = node.home.logs / detail.job.job_id
    return directory / f"{attempts[0]}.log" if attempts and attempts[0] else directory


def _faults(role: str, given: Table, found: Table, common: set[str]) -> list[str]:
    """What is wrong with a result: it must hold exactly the party's own records of the ids on both sides, unchanged."""
    faults = []
    ids = found.ids
    if len(ids) != len(set(ids)):
        faults.append(f"the {role}'s result lists ids more than once")
    if set(ids) != common:
        lacking, surplus = len(common - set(ids)), len(set(ids) - common)
        faults.append(f"the {role}'s result lacks {lacking} ids of the intersection and has {surplus} others")
    own = {record[ID_COLUMN]: record for record in given.records}
    changed = [
        record[ID_COLUMN] for record in found.records if not record.items() <= own.get(record[ID_COLUMN], {}).items()
    ]
    if changed:
        faults.append(f"the {role}'s result has {len(changed)} records that are not as in its file, first {changed[0]}")
    if set(found.header) != set(given.header):
        faults.append(f"the {role}'s result does not have the columns of its file")
    return faults
