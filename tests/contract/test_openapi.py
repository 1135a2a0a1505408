"""The OpenAPI documents describe exactly what is served."""

from __future__ import annotations

import json
from typing import Any

import pytest

from embedded_scheduler.api.family import Family
from embedded_scheduler.api.interconn import node as contracts
from embedded_scheduler.api.interconn import resources
from embedded_scheduler.api.interconn import schedule as interconn
from embedded_scheduler.api.openapi import document
from embedded_scheduler.api.platform import schedule as platform

FAMILIES: list[Family[Any]] = [interconn.family, resources.family, contracts.family, platform.family]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_endpoint_is_described_once(family: Family[Any]) -> None:
    described = document(family)
    found = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert found == {(endpoint.method, endpoint.path) for endpoint in family.endpoints}
    names = [operation["operationId"] for methods in described["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_reference_resolves(family: Family[Any]) -> None:
    described = document(family)
    text = json.dumps(described)
    schemas = described["components"]["schemas"]
    wanted = {part.split('"', 1)[0] for part in text.split("#/components/schemas/")[1:]}
    assert wanted
    assert wanted <= set(schemas)


def test_required_fields_of_the_management_layer_are_those_of_the_specification() -> None:
    schemas = document(contracts.family)["components"]["schemas"]
    introduced = {
        "address",
        "auth_credential",
        "auth_type",
        "inst_id",
        "institution",
        "name",
        "system",
        "system_version",
    }
    assert set(schemas["ApplyContract"]["required"]) == introduced | {"node_id"}
    assert set(schemas["UpdateNode"]["required"]) == introduced | {"contract_id"}
    assert set(schemas["ConfirmContract"]["required"]) == {"contract_id", "status"}
    managed = document(resources.family)
    required = {name: set(schema.get("required", ())) for name, schema in managed["components"]["schemas"].items()}
    assert required["DatasetApply"] == {"audit_id", "contract_id", "dataset_id"}
    assert required["ProjectApply"] == {"audit_id", "contract_id", "name", "project_id"}
    assert required["FlowApply"] == {"audit_id", "flow_id", "name", "dag"}
    assert required["JobApply"] == {"audit_id", "job_id", "flow_id", "name", "project_id", "dag", "conf"}
    assert required["ModelApply"] == {"audit_id", "model_id", "apply_project_id"}
    assert required["Confirm"] == {"audit_id", "status"}
    listed = managed["paths"]["/v1/interconn/component/list"]["get"]["parameters"]
    assert {p["name"] for p in listed if p["required"]} == {"contract_id"}


def test_clauses_name_their_layer() -> None:
    clauses = {
        operation["description"]
        for family in FAMILIES
        for methods in document(family)["paths"].values()
        for operation in methods.values()
    }
    assert {"Control layer 3.1", "Management layer §2.1", "Unspecified (ours)"} <= clauses


def test_required_fields_are_those_of_the_specification() -> None:
    schemas = document(interconn.family)["components"]["schemas"]
    assert set(schemas["CreateJob"]["required"]) == {"job_id", "dag", "config"}
    assert set(schemas["StartTask"]["required"]) == {"job_id", "task_id", "task_name"}
    parameters = document(platform.family)["paths"]["/v1/platform/schedule/task/get_log"]["get"]["parameters"]
    assert {p["name"]: p["required"] for p in parameters} == {
        "task_id": True,
        "log_level": True,
        "start": True,
        "length": False,
    }
