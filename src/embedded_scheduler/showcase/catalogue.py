"""What the shown node has: partners, components with their self-descriptions, datasets, and the flows it runs."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.domain.job import Document

NODE = "alice"
INSTITUTION = "Aster Credit"
PROVIDER = "lattice"
OPERATORS = ("li", "wang", "chen")


@dataclass(frozen=True, slots=True)
class PartnerFacts:
    """`contract_days` = how old the contract is; `ends_in_days` None = it has no end. `answers`: calls reach it."""

    node_id: str
    institution: str
    address: str
    contract_days: int
    ends_in_days: int | None = None
    answers: bool = True
    approval: str = "manual"


PARTNERS = (
    PartnerFacts("bob", "Bramble Bank", "https://bob.bramble.example:9380", 28, 214),
    PartnerFacts("carl", "Cobalt Insurance", "https://carl.cobalt.example:9380", 27, 301),
    PartnerFacts("dave", "Dovetail Logistics", "https://dave.dovetail.example:9380", 26, 9),
    PartnerFacts("erin", "Elmwood Telecom", "https://erin.elmwood.example:9380", 24, answers=False),
)
"""Partners with a contract; `dave`'s is about to end and `erin` cannot be reached."""
APPLICANT = PartnerFacts("frank", "Fernhill Retail", "https://frank.fernhill.example:9380", 0)
"""Asks for a contract."""


@dataclass(frozen=True, slots=True)
class Step:
    """One task of a flow. `seconds` is about how long it takes; `reads` are names of other steps."""

    name: str
    component: str
    seconds: float
    reads: tuple[str, ...] = ()
    output: str = "data"
    only: str = ""
    """The only party (`guest.0`) that takes part; empty = all."""


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """A flow as it is run again and again. `parties` maps roles to node ids; the first guest initiates and drives."""

    flow_id: str
    parties: Mapping[str, tuple[str, ...]]
    steps: tuple[Step, ...]
    datasets: Mapping[str, str]
    """Party to the dataset that its reading steps use."""
    per_day: float
    failing: float = 0.0
    """Share of runs that fail."""

    @property
    def initiator(self) -> str:
        return self.parties["guest"][0]

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(node for nodes in self.parties.values() for node in nodes))


_PSI = (Step("psi", "psi", 190, output="intersection"),)
_TRAINING = (
    Step("read_a", "table_reader", 14, only="guest.0"),
    Step("read_b", "table_reader", 21, only="host.0"),
    Step("read_c", "table_reader", 17, only="host.1"),
    Step("psi", "psi", 252, ("read_a", "read_b", "read_c"), "intersection"),
    Step("stats", "feature_stats", 18, ("psi",), "report"),
    Step("split", "data_split", 9, ("psi",)),
    Step("binning", "feature_binning", 1250, ("split",), "model"),
    Step("woe", "woe_encoding", 340, ("binning",)),
    Step("train_sgb", "secure_boost", 2100, ("woe",), "model"),
    Step("predict", "predict", 260, ("train_sgb", "split")),
    Step("eval", "evaluation", 24, ("predict",), "report"),
    Step("explain", "explanation", 41, ("train_sgb", "stats"), "report"),
)
_ALL = {"guest": (NODE,), "host": ("bob", "carl")}
_WITH_BOB = {"guest": (NODE,), "host": ("bob",)}

FLOWS = (
    FlowFacts(
        "psi-credit-daily",
        _WITH_BOB,
        (*_PSI, Step("stats", "feature_stats", 40, ("psi",), "report")),
        {"guest.0": "loans_2026", "host.0": "accounts"},
        2,
        0.02,
    ),
    FlowFacts(
        "psi-fraud-hourly",
        {"guest": ("bob",), "host": (NODE,)},
        (Step("psi", "psi", 34, output="intersection"), Step("match", "feature_stats", 6, ("psi",), "report")),
        {"guest.0": "cards", "host.0": "fraud_marks"},
        24,
        0.01,
    ),
    FlowFacts(
        "stats-overview",
        {"guest": (NODE,)},
        (Step("stats", "feature_stats", 9, output="report"),),
        {"guest.0": "loans_2026"},
        3,
    ),
    FlowFacts(
        "vif-check",
        _WITH_BOB,
        (*_PSI, Step("vif", "vif_filter", 58, ("psi",), "report")),
        {"guest.0": "loans_2026", "host.0": "accounts"},
        1.4,
        0.03,
    ),
    FlowFacts(
        "predict-2026-11",
        _ALL,
        (*_PSI, Step("predict", "predict", 1010, ("psi",)), Step("eval", "evaluation", 31, ("predict",), "report")),
        {"guest.0": "loans_2026", "host.0": "accounts", "host.1": "claims"},
        1.2,
        0.03,
    ),
    FlowFacts(
        "churn-join",
        {"guest": (NODE,), "host": ("dave",)},
        (*_PSI, Step("export", "table_export", 12, ("psi",))),
        {"guest.0": "customers_de", "host.0": "parcels"},
        2.2,
        0.05,
    ),
    FlowFacts(
        "loan-score-batch",
        {"guest": ("carl",), "host": (NODE,)},
        (*_PSI, Step("score", "predict", 300, ("psi",))),
        {"guest.0": "claims", "host.0": "loans_2026"},
        2,
    ),
    FlowFacts(
        "risk-join-2026q4",
        {"guest": ("bob",), "host": (NODE,)},
        (
            *_PSI,
            Step("woe", "woe_encoding", 120, ("psi",)),
            Step("train_sgb", "secure_boost", 900, ("woe",), "model"),
            Step("predict", "predict", 160, ("train_sgb", "psi")),
        ),
        {"guest.0": "accounts", "host.0": "loans_2026"},
        0.2,
    ),
    FlowFacts(
        "woe-binning",
        _WITH_BOB,
        (
            *_PSI,
            Step("binning", "feature_binning", 430, ("psi",), "model"),
            Step("woe", "woe_encoding", 110, ("binning",)),
        ),
        {"guest.0": "loans_2026", "host.0": "accounts"},
        1,
        0.12,
    ),
    FlowFacts(
        "hetero-lr-test",
        {"guest": (NODE,), "host": ("dave",)},
        (*_PSI, Step("train_lr", "hetero_lr", 640, ("psi",), "model")),
        {"guest.0": "customers_de", "host.0": "parcels"},
        0.5,
        0.2,
    ),
    FlowFacts(
        "ssvert-train",
        _WITH_BOB,
        (*_PSI, Step("train", "hetero_lr", 1500, ("psi",), "model")),
        {"guest.0": "loans_2026", "host.0": "accounts"},
        0.4,
        0.1,
    ),
    FlowFacts(
        "sgb-train-v12", _ALL, _TRAINING, {"guest.0": "loans_2026", "host.0": "accounts", "host.1": "claims"}, 0.6, 0.08
    ),
    FlowFacts(
        "export-q4",
        _WITH_BOB,
        (*_PSI, Step("export", "table_export", 420, ("psi",))),
        {"guest.0": "loans_2026", "host.0": "accounts"},
        0.3,
    ),
    FlowFacts(
        "telecom-link", {"guest": (NODE,), "host": ("erin",)}, _PSI, {"guest.0": "customers_de", "host.0": "lines"}, 0.4
    ),
    FlowFacts(
        "客户对齐-月度",
        {"guest": (NODE,), "host": ("carl",)},
        (*_PSI, Step("stats", "feature_stats", 22, ("psi",), "report")),
        {"guest.0": "customers_de", "host.0": "claims"},
        0.3,
    ),
)


def flow(flow_id: str) -> FlowFacts:
    return next(facts for facts in FLOWS if facts.flow_id == flow_id)


def document(facts: FlowFacts) -> Document:
    """The flow as a job document."""
    versions = {str(manifest["componentName"]): str(manifest["version"]) for manifest in manifests()}
    outputs = {step.name: step.output for step in facts.steps}
    components = [
        {
            "name": step.name,
            "componentName": step.component,
            "provider": PROVIDER,
            "version": versions[step.component],
            "input": [{"key": f"{name}.{outputs[name]}", "type": _type(outputs[name])} for name in step.reads],
            "output": [{"key": step.output, "type": _type(step.output)}],
        }
        for step in facts.steps
    ]
    own: dict[str, dict[str, Any]] = {role: {} for role in facts.parties}
    for role, nodes in facts.parties.items():
        for index in range(len(nodes)):
            own[role][str(index)] = _own_parameters(facts, f"{role}.{index}")
    return {
        "flow_id": facts.flow_id,
        "dag": {"version": "2.0", "components": components},
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": facts.initiator},
            "role": {role: list(nodes) for role, nodes in facts.parties.items()},
            "job_params": {
                "common": {"sync_type": "poll"},
                "guest": {"0": {"resources": {"cpu": 4, "memory": 8, "disk": 20}}},
            },
            "task_params": {"common": _common_parameters(facts), **own},
        },
    }


def _type(output: str) -> str:
    return output if output in ("model", "report") else "dataset"


def _own_parameters(facts: FlowFacts, party: str) -> dict[str, Any]:
    """What a party is told of each step: its dataset where a step reads one."""
    found: dict[str, Any] = {}
    for step in facts.steps:
        if step.only not in ("", party) or (step.reads and not step.only):
            continue
        found[step.name] = {"namespace": NAMESPACE, "name": facts.datasets[party], "id": "uid"}
    return found


def _common_parameters(facts: FlowFacts) -> dict[str, Any]:
    return {step.name: dict(_PARAMETERS[step.component]) for step in facts.steps if step.component in _PARAMETERS}


NAMESPACE = "datasets"
_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "psi": {"protocol": "ecdh", "buckets": 64, "result_to": "all"},
    "feature_binning": {"method": "quantile", "bins": 10},
    "woe_encoding": {"null_limit": 0.02},
    "hetero_lr": {"label": "overdue", "penalty": "L2", "optimizer": "sgd", "learning_rate": 0.15, "max_iter": 20},
    "secure_boost": {"label": "overdue", "trees": 60, "depth": 5, "learning_rate": 0.1},
    "predict": {"threshold": 0.5},
}


def manifests() -> list[dict[str, Any]]:
    """The self-descriptions of the components; they know every kind of parameter there is."""
    text = importlib.resources.files(__package__).joinpath("components.json").read_text("utf-8")
    found: list[dict[str, Any]] = json.loads(text)
    return found


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """`columns` are name and kind: id, int, money, word, flag. `shared` names the column set that is published."""

    name: str
    description: str
    columns: tuple[tuple[str, str], ...]
    rows: int
    access: str = ""
    shown: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()


DATASETS = (
    DatasetFacts(
        "loans_2026",
        "Consumer loans opened in 2026",
        (
            ("uid", "id"),
            ("age", "int"),
            ("income", "money"),
            ("city", "word"),
            ("zip", "int"),
            ("amount", "money"),
            ("term", "int"),
            ("overdue", "flag"),
        ),
        600,
        "permit",
        ("uid", "age", "city", "overdue"),
        ("bob", "carl"),
    ),
    DatasetFacts(
        "customers_de",
        "Kundenstamm, monatlich · 客户主数据",
        (("uid", "id"), ("name", "word"), ("city", "word"), ("since", "int")),
        400,
        "approval",
    ),
    DatasetFacts(
        "fraud_marks", "Cards reported as stolen or misused", (("uid", "id"), ("mark", "flag")), 250, "permit"
    ),
    DatasetFacts(
        "branches", "Branches and their opening hours", (("uid", "id"), ("city", "word"), ("rooms", "int")), 40
    ),
)
"""What this node has; the partners' are known by name alone."""
CITIES = ("Alder Bay", "Birchport", "Cedar Falls", "海滨", "Elm Ridge", "Foxhaven", "Grünau", "山口")
