"""OpenAPI 3.1 description of a family, made from its endpoints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from embedded_scheduler.api.family import Endpoint, Family

V = TypeVar("V")
Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{model}"


def document(family: Family[V], *, version: str = "1.0.0") -> Schema:
    """The description as JSON data. Every answer is HTTP 200 with an envelope, whatever its `code` says."""
    endpoints = family.endpoints
    models = {e.request for e in endpoints} | {e.answer for e in endpoints if e.answer is not None}
    _, schemas = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda m: m.__name__)], ref_template=_REFERENCE
    )
    paths: dict[str, Schema] = {}
    for endpoint in endpoints:
        path = endpoint.path.removeprefix(family.prefix).strip("/").replace("/", "_")
        name = f"{family.name}_{path}_{endpoint.method.lower()}"
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(name, endpoint)
    described: Schema = {
        "openapi": "3.1.0",
        "info": {"title": f"nodeconsole {family.name} API", "version": version},
        "paths": paths,
        "components": {"schemas": schemas.get("$defs", {})},
    }
    if any(not endpoint.component for endpoint in endpoints) and family.name == "platform":
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
    return described


def _operation(name: str, endpoint: Endpoint[V]) -> Schema:
    operation: Schema = {
        "operationId": name,
        "summary": endpoint.summary,
        "description": _clause(endpoint.section),
        "responses": {
            "200": {"description": "Envelope", "content": {"application/json": {"schema": _envelope(endpoint)}}}
        },
    }
    if endpoint.method == "GET":
        operation["parameters"] = list(_parameters(endpoint.request))
    else:
        reference = {"$ref": _REFERENCE.format(model=endpoint.request.__name__)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    return operation


def _clause(section: str) -> str:
    layer, _, clause = section.partition(" ")
    if layer == "management":
        return f"Management layer {clause}"
    return f"Control layer {section}" if section[:1].isdecimal() else section.capitalize()


def _envelope(endpoint: Endpoint[V]) -> Schema:
    data: Schema = {"type": "object"}
    if endpoint.answer is not None:
        # On an error `data` is `{}`.
        data = {
            "anyOf": [
                {"$ref": _REFERENCE.format(model=endpoint.answer.__name__)},
                {"type": "object", "maxProperties": 0},
            ]
        }
    return {
        "type": "object",
        "required": ["code", "msg", "data"],
        "properties": {
            "code": {"type": "integer", "format": "int32"},
            "msg": {"type": "string"},
            "message": {"type": "string"},
            "data": data,
        },
    }


def _parameters(model: type[BaseModel]) -> Iterable[Schema]:
    schema = model.model_json_schema(ref_template=_REFERENCE)
    required = set(schema.get("required", ()))
    for name, described in schema["properties"].items():
        yield {"name": name, "in": "query", "required": name in required, "schema": described}
