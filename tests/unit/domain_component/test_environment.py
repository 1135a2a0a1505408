"""The component's environment, name by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from embedded_scheduler.domain.component import BoolStyle, ComponentManifest, DataPort, parse_manifest
from embedded_scheduler.domain.environment import (
    Address,
    AttemptFacts,
    NodeFacts,
    build_environment,
    dataset_address,
    formal_names,
    output_addresses,
)
from embedded_scheduler.domain.flow import Port
from embedded_scheduler.domain.identifiers import task_id_for
from embedded_scheduler.domain.job import JobSpec, parse_job
from embedded_scheduler.domain.party import Party
from embedded_scheduler.errors import InvalidRequest

GUEST = Party("guest", 0, "alice")
HOST = Party("host", 1, "carol")
MANIFEST = parse_manifest(
    {
        "componentName": "Train",
        "provider": "acme",
        "version": "1",
        "inputData": [{"name": "train_data", "category": "dataset"}, {"name": "start_model", "category": "model"}],
        "outputData": [{"name": "model", "category": "model"}, {"name": "report", "category": "report"}],
    }
)


def job(train: dict[str, Any] | None = None, *, guest: dict[str, Any] | None = None, cpu: object = -1) -> JobSpec:
    return parse_job(
        "job-1",
        {
            "dag": {
                "components": [
                    {
                        "name": "align",
                        "componentName": "Align",
                        "provider": "acme",
                        "version": "1",
                        "output": [{"key": "data0", "type": "dataset"}],
                    },
                    {
                        "name": "train",
                        "componentName": "Train",
                        "provider": "acme",
                        "version": "1",
                        "input": [{"key": "align.data0", "type": "dataset"}],
                        "output": [{"key": "model0", "type": "model"}],
                    },
                ]
            },
            "config": {
                "initiator": {"role": "guest", "node_id": "alice"},
                "role": {"guest": ["alice"], "host": ["bob", "carol"], "arbiter": ["dave"]},
                "job_params": {"common": {}, "guest": {"0": {"resources": {"cpu": cpu}}}},
                "task_params": {
                    "common": {"train": train or {}},
                    "guest": {"0": {"align": guest or {}}},
                    "host": {"1": {"align": {"namespace": "bank", "name": "customers"}}},
                },
            },
        },
    )


def build(
    spec: JobSpec, task: str, party: Party, manifest: ComponentManifest | None = None, **more: Any
) -> dict[str, str]:
    return build_environment(
        spec=spec,
        task_name=task,
        party=party,
        manifest=manifest,
        task_ids=more.pop("task_ids", {}),
        attempt=AttemptFacts("session_job-1", "secret", "trace-1"),
        node=NodeFacts(
            "file:///data", "http://127.0.0.1:1/callback", "127.0.0.1:1", "/logs", inst_ids={"bob": "bob-bank"}
        ),
        **more,
    )


def test_every_variable_of_a_task_in_the_middle() -> None:
    spec = job(
        {"rounds": 3, "rate": 0.5, "mode": "fast", "columns": ["x", "年龄"], "deep": {"a": None}, "nothing": None}
    )
    align, train = task_id_for("job-1", "align"), "task-of-partner"
    assert build(spec, "train", GUEST, MANIFEST, task_ids={"train": train}) == {
        "system.storage": "file:///data",
        "system.callback": "http://127.0.0.1:1/callback",
        "system.transport": "127.0.0.1:1",
        "config.self_role": "guest.0",
        "config.task_id": train,
        "config.session_id": "session_job-1",
        "config.trace_id": "trace-1",
        "config.token": "secret",
        "config.log.path": "/logs",
        "config.node_id.guest.0": "alice",
        "config.node_id.host.0": "bob",
        "config.node_id.host.1": "carol",
        "config.node_id.arbiter.0": "dave",
        "config.inst_id.guest.0": "alice",
        "config.inst_id.host.0": "bob-bank",
        "config.inst_id.host.1": "carol",
        "config.inst_id.arbiter.0": "dave",
        "runtime.component.name": "Train",
        "runtime.component.parameter.rounds": "3",
        "runtime.component.parameter.rate": "0.5",
        "runtime.component.parameter.mode": "fast",
        "runtime.component.parameter.columns": '["x", "年龄"]',
        "runtime.component.parameter.deep": '{"a": null}',
        "runtime.component.input.train_data": json.dumps({"namespace": "job-1-guest-0", "name": f"{align}-data0"}),
        "runtime.component.output.model": json.dumps({"namespace": "job-1-guest-0", "name": f"{train}-model0"}),
    }


@pytest.mark.parametrize(
    ("said", "texts"),
    [({}, ("true", "false")), ({"boolStyle": "true"}, ("true", "false")), ({"boolStyle": "True"}, ("True", "False"))],
)
def test_booleans_in_both_styles(said: dict[str, str], texts: tuple[str, str]) -> None:
    manifest = parse_manifest({**MANIFEST.raw, **said})
    assert manifest.warnings == MANIFEST.warnings
    found = build(job({"yes": True, "no": False, "one": 1}), "train", GUEST, manifest)
    assert (found["runtime.component.parameter.yes"], found["runtime.component.parameter.no"]) == texts
    assert found["runtime.component.parameter.one"] == "1"


def test_an_unknown_style_of_booleans_is_noted_and_read_as_ours() -> None:
    manifest = parse_manifest({**MANIFEST.raw, "boolStyle": True})
    assert manifest.bool_style is BoolStyle.LOWER
    assert "boolStyle" in manifest.warnings[-1]


@pytest.mark.parametrize(
    "reference",
    [
        {"dataset_id": "bank#people"},
        {"namespace": "bank", "name": "people"},
        {"dataset_id": "bank#people", "namespace": "other", "name": "other"},
    ],
)
def test_a_source_task_gets_its_dataset_in_all_forms(reference: dict[str, str]) -> None:
    found = build(job(guest=reference), "align", GUEST, MANIFEST)
    assert found["runtime.component.parameter.dataset_id"] == "bank#people"
    assert found["runtime.component.parameter.namespace"] == "bank"
    assert found["runtime.component.parameter.name"] == "people"
    assert json.loads(found["runtime.component.input.train_data"]) == {"namespace": "bank", "name": "people"}


def test_each_party_has_its_own_dataset_and_addresses() -> None:
    spec = job(guest={"dataset_id": "people"})
    assert json.loads(build(spec, "align", GUEST)["runtime.component.input.data"])["namespace"] == "datasets"
    host = build(spec, "align", HOST)
    assert json.loads(host["runtime.component.input.data"]) == {"namespace": "bank", "name": "customers"}
    assert json.loads(host["runtime.component.output.data0"])["namespace"] == "job-1-host-1"


def test_a_later_task_does_not_take_name_and_namespace_for_a_dataset() -> None:
    found = build(job({"name": "n", "namespace": "s"}), "train", GUEST)
    assert "runtime.component.parameter.dataset_id" not in found
    assert [name for name in found if name.startswith("runtime.component.input.")] == ["runtime.component.input.data0"]


@pytest.mark.parametrize(("cpu", "threads"), [(2, "2"), (0.5, "1"), (-1, None), ("2", None), (True, None)])
def test_threads_follow_the_cpu_limit(cpu: object, threads: str | None) -> None:
    assert build(job(cpu=cpu), "train", GUEST).get("config.n_threads") == threads


@pytest.mark.parametrize("params", [{"text": "a\0b"}, {"a=b": "x"}, {"a\0b": "x"}, {"text": "\ud800"}])
def test_what_cannot_be_passed_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        build(job(params), "train", GUEST)


def test_the_token_is_not_shown() -> None:
    assert "secret" not in repr(AttemptFacts("session", "secret", "trace"))


def ports(*types: str) -> list[Port]:
    return [Port(f"key{index}", type_) for index, type_ in enumerate(types)]


@pytest.mark.parametrize(
    ("flow", "declared", "names"),
    [
        (["dataset", "model"], ["dataset", "model"], ["formal0", "formal1"]),
        (["a", "b"], ["x", "y"], ["formal0", "formal1"]),
        (["model"], ["dataset", "model"], ["formal1"]),
        (["training_set"], ["dataset"], ["formal0"]),
        (["dataset", "dataset", "dataset"], ["dataset"], ["formal0", "key1", "key2"]),
        (["dataset"], [], ["key0"]),
    ],
)
def test_formal_names_by_position_then_type_then_key(flow: list[str], declared: list[str], names: list[str]) -> None:
    assert (
        formal_names(ports(*flow), [DataPort(f"formal{i}", category) for i, category in enumerate(declared)]) == names
    )


def test_output_addresses_agree_with_the_environment() -> None:
    spec = job()
    [output] = output_addresses(spec, "train", GUEST, "task-x", MANIFEST)
    assert (output.port.key, output.formal) == ("model0", "model")
    assert output.address == Address("job-1-guest-0", "task-x-model0")


@pytest.mark.parametrize(
    "params", [{}, {"name": "n"}, {"namespace": "n"}, {"dataset_id": 7}, {"name": 1, "namespace": 2}]
)
def test_no_dataset_without_a_whole_reference(params: dict[str, Any]) -> None:
    assert dataset_address(params) is None
