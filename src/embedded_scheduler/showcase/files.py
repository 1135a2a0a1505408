"""Files of the history: what components logged and left behind, and the tables behind the datasets."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embedded_scheduler.domain.environment import result_namespace
from embedded_scheduler.domain.identifiers import task_id_for
from embedded_scheduler.home import Home
from embedded_scheduler.showcase.catalogue import CITIES, DATASETS, DatasetFacts
from embedded_scheduler.showcase.history import Trace
from embedded_scheduler.spi.runner import END_OF_LOG

_WRITTEN_ROWS = 120
"""Rows of a result's table."""


def write_datasets(folder: Path) -> None:
    """`<folder>/<name>.csv` for each dataset of this node."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for facts in DATASETS:
        text = ",".join(name for name, _ in facts.columns) + "\n"
        text += "".join(",".join(row) + "\n" for row in _rows(facts))
        folder.joinpath(f"{facts.name}.csv").write_text(text, "utf-8")


def _rows(facts: DatasetFacts) -> Iterator[list[str]]:
    random_ = random.Random(facts.name)  # noqa: S311 - the same every time is what is wanted
    for number in range(facts.rows):
        yield [_cell(kind, number, random_) for _, kind in facts.columns]


def _cell(kind: str, number: int, random_: random.Random) -> str:
    match kind:
        case "id":
            return f"{number * 7919 % 1_000_003:06d}"
        case "int":
            return str(random_.randint(18, 88))
        case "money":
            return f"{random_.uniform(900, 9800):.2f}"
        case "flag":
            return str(int(random_.random() < 0.08))
        case _:
            return random_.choice(CITIES)


def write_run(home: Home, trace: Trace, now_ms: int) -> None:
    """The log of one run, and what it left if it ended well."""
    folder = home.logs / trace.story.job_id
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = "\n".join(_log(trace, now_ms)) + "\n"
    folder.joinpath(f"{trace.attempt_id}.log").write_text(text, "utf-8")
    if trace.ended_ms is not None and not trace.fault:
        _write_results(home, trace)


def _write_results(home: Home, trace: Trace) -> None:
    namespace = home.storage / result_namespace(trace.story.job_id, trace.party)
    namespace.mkdir(mode=0o700, parents=True, exist_ok=True)
    random_ = random.Random(trace.attempt_id)  # noqa: S311
    for port in trace.spec.flow.node(trace.task).outputs:
        name = f"{task_id_for(trace.story.job_id, trace.task)}-{port.key}"
        if port.type == "dataset":
            rows = (f"{number * 7919 % 1_000_003:06d},{random_.random():.6f}" for number in range(_WRITTEN_ROWS))
            text = "uid,value\n" + "\n".join(rows) + "\n"
        else:
            text = json.dumps(_report(random_) if port.type == "report" else {"task": trace.task}, indent=2) + "\n"
        namespace.joinpath(name).write_text(text, "utf-8")


def _report(random_: random.Random) -> dict[str, Any]:
    """In the form that components write (docs/components.md)."""
    loss = [[epoch, round(0.68 * 0.9**epoch + 0.31 + random_.uniform(0, 0.01), 4)] for epoch in range(1, 31)]
    bins = [[name, random_.randint(5, 12), round(random_.uniform(0.02, 0.6), 4)] for name in _FEATURES]
    return {
        "form": "nodeconsole.report/1",
        "title": "Evaluation",
        "items": [
            {"kind": "scalar", "name": "rows", "value": random_.randint(900_000, 1_400_000)},
            {"kind": "scalar", "name": "auc", "title": "AUC", "value": 0.7834},
            {"kind": "scalar", "name": "ks", "title": "KS", "value": 0.4312},
            {
                "kind": "curve",
                "name": "loss",
                "title": "Loss",
                "x": {"title": "epoch"},
                "y": {"title": "loss"},
                "series": [
                    {"title": "training", "points": loss},
                    {"title": "validation", "points": [[epoch, round(value * 1.07, 4)] for epoch, value in loss]},
                ],
            },
            {
                "kind": "table",
                "name": "features",
                "title": "Features",
                "columns": [
                    {"name": "feature"},
                    {"name": "bins", "type": "integer"},
                    {"name": "iv", "title": "IV", "type": "number"},
                ],
                "rows": bins,
            },
        ],
    }


_FEATURES = ("age", "income", "city", "zip", "amount", "term")
_DEBUG, _INFO, _WARN = "DEBUG", "INFO", "WARN"


def _log(trace: Trace, now_ms: int) -> Iterator[str]:
    """Lines as a component would write them: its own time and level first."""
    component = trace.spec.flow.node(trace.task).component
    yield (
        f"nodeconsole: {component.provider} {component.name} {component.version} as {trace.party.key} from "
        f"exhibit:{component.name}"
    )
    yield "nodeconsole: limits: cpu 4, memory 8589934592, disk 21474836480"
    count = _count(trace)
    random_ = random.Random(trace.attempt_id)  # noqa: S311
    span = (trace.ended_ms or now_ms) - trace.began_ms
    for number in range(count):
        at_ms = trace.began_ms + span * number // max(1, count)
        level, words = _line(trace, number, count, random_)
        yield f"{_stamp(at_ms)} {level:<5} {words}"
    if trace.ended_ms is None:
        return
    if trace.fault and trace.fault != "stopped":
        yield from _traceback(trace)
    yield f"{END_OF_LOG}, {_ending(trace.fault)}"


def _count(trace: Trace) -> int:
    long = trace.story.log_lines > 1000
    return trace.story.log_lines if not long or trace.fault else 60


def _ending(fault: str) -> str:
    return "exit code 0" if not fault else "ended by SIGTERM" if fault == "stopped" else fault


def _stamp(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.") + f"{at_ms % 1000:03d}"


def _line(trace: Trace, number: int, count: int, random_: random.Random) -> tuple[str, str]:
    """What line `number` of `count` says; every dozenth is about the link, and a few warn."""
    feature = _FEATURES[number // 16 % len(_FEATURES)]
    roll = random_.random()
    if number == 0:
        return _INFO, f"{trace.task}: start, {random_.randint(900_000, 1_400_000):,} rows"
    if number == count - 1 and trace.ended_ms is not None and not trace.fault:
        return _INFO, f"{trace.task}: done"
    if roll < 0.004:
        return _WARN, f"link: {_others(trace)} rtt {random_.randint(300, 990)} ms (p95 40 ms)"
    if roll < 0.55:
        return _DEBUG, f"frame {1000 + number} {random_.randint(400, 65_536)} bytes acknowledged"
    if number % 12 == 5:
        return _INFO, f"link: sent {random_.randint(10, 900)}.{random_.randint(0, 9)} KiB to {_others(trace)}"
    return _INFO, f"{trace.task}: feature {feature}  part {number % 64}/64  rows={random_.randint(10_000, 99_999):,}"


def _others(trace: Trace) -> str:
    return next((node for node in trace.spec.nodes if node != trace.party.node_id), trace.party.node_id)


def _traceback(trace: Trace) -> Iterator[str]:
    at = _stamp(trace.ended_ms or 0)
    yield f"{at} ERROR {trace.task}: null ratio 0.021 > 0.02 on column income"
    yield "Traceback (most recent call last):"
    for number, name in enumerate(("run", "fit", "_cut", "_check_nulls")):
        yield f'  File "/opt/lattice/{trace.task}.py", line {118 + number * 37}, in {name}'
        yield f"    {name}(table, column='income', limit=0.02)"
    yield "ValueError: column age has 2 nulls"
