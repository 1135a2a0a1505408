"""How a job differs from one before: what is named, and what is no difference."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.probe_jobs import chain, probe_job

from embedded_scheduler.domain.comparison import differences, named_columns
from embedded_scheduler.domain.job import JobSpec, parse_job
from embedded_scheduler.domain.resemblance import resembles

Document = dict[str, Any]
COLUMNS = {"default#people": ["id", "age", "income"], "default#loans": ["id", "overdue"]}


def _document() -> Document:
    made = probe_job({"guest": "alice", "host": "bob"}, chain(2), parameters={"probe_0": {"bins": 10}})
    made["flow_id"] = "flow"
    made["config"]["task_params"]["host"]["0"]["probe_0"] = {"dataset_id": "default#people", "columns": ["age"]}
    return made


def _spec(change: Callable[[Document], None] | None = None) -> JobSpec:
    document = copy.deepcopy(_document())
    if change is not None:
        change(document)
    return parse_job("job-2", document)


def _host(document: Document) -> Document:
    found: Document = document["config"]["task_params"]["host"]["0"]["probe_0"]
    return found


def _version(document: Document) -> None:
    document["dag"]["components"][1]["version"] = "2.0.0"


def _task_added(document: Document) -> None:
    extra = {"name": "predict", "componentName": "probe", "version": "1.0.0", "input": [], "output": []}
    document["dag"]["components"].append(extra)


def _party_added(document: Document) -> None:
    document["config"]["role"]["arbiter"] = ["carl"]


def _other_host(document: Document) -> None:
    document["config"]["role"]["host"] = ["carl"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (None, []),
        (lambda d: d.update(flow_id="another"), []),
        (lambda d: d["dag"]["components"][0].update(code="x"), []),
        (_version, [("version", "probe_1", "", "nodeconsole probe 1.0.0", "nodeconsole probe 2.0.0")]),
        (_task_added, [("component", "predict", "", "", "probe 1.0.0")]),
        (_party_added, [("party", "arbiter:carl", "", "", "carl")]),
        (_other_host, [("party", "host:carl", "", "", "carl"), ("party", "host:bob", "", "bob", "")]),
        (
            lambda d: _host(d).update(columns=["age", "income"]),
            [
                ("column", "income", "probe_0 host.0", "", "income"),
                ("parameter", "columns", "probe_0 host.0", '["age"]', '["age", "income"]'),
            ],
        ),
        (
            lambda d: _host(d).update(dataset_id="default#loans"),
            [("dataset", "probe_0", "host.0", "default#people", "default#loans")],
        ),
        (
            lambda d: d["config"]["task_params"]["common"]["probe_0"].update(bins=64),
            [("parameter", "bins", "probe_0", "10", "64")],
        ),
        (
            lambda d: d["config"]["job_params"]["common"].update(timeout=9),
            [("setting", "common.timeout", "", "", "9")],
        ),
        (
            lambda d: d["config"]["job_params"]["common"].update(coordinator="carl"),
            [("coordinator", "coordinator", "", "", "carl")],
        ),
    ],
)
def test_differences(change: Callable[[Document], None] | None, expected: list[tuple[str, ...]]) -> None:
    found = differences(_spec(), _spec(change), COLUMNS)
    assert [(str(one.aspect), one.name, one.where, one.before, one.after) for one in found] == expected


@pytest.mark.parametrize("change", [_task_added, _party_added, lambda d: _host(d).update(x={"deep": {"er": 1}})])
def test_what_is_added_one_way_is_gone_the_other_way(change: Callable[[Document], None]) -> None:
    there, back = differences(_spec(), _spec(change)), differences(_spec(change), _spec())
    assert there
    assert {(one.aspect, one.name, one.before, one.after) for one in there} == {
        (one.aspect, one.name, one.after, one.before) for one in back
    }


def test_columns_that_parameters_name() -> None:
    spec = _spec(lambda d: _host(d).update(columns="age, income", nested=[{"key": "id"}]))
    host = next(party for party in spec.parties if party.role == "host")
    assert named_columns(spec, "probe_0", host, COLUMNS["default#people"]) == ("id", "age", "income")
    assert named_columns(spec, "probe_1", host, COLUMNS["default#people"]) == ()


@pytest.mark.parametrize(
    ("name", "known", "taken_for"),
    [
        ("bank-b", ["bank-b"], ""),
        ("bank-b", ["bank-c"], ""),
        ("bank_b", ["alice", "bank-b"], "bank-b"),
        ("Bank-B", ["bank-b"], "bank-b"),
        ("b\u0430nk", ["bank"], "bank"),
        ("bank\u200b", ["bank"], "bank"),
        ("rnedical", ["medical"], "medical"),
        ("node-0", ["node-o"], "node-o"),
        ("al1ce", ["alice"], "alice"),
        ("\uff42ank", ["bank"], "bank"),
        ("b", ["B"], ""),
    ],
)
def test_names_taken_for_one_another(name: str, known: list[str], taken_for: str) -> None:
    assert resembles(name, known) == taken_for
