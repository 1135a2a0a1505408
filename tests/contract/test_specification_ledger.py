"""The endpoints of the specification texts against what is served, in both directions."""

from __future__ import annotations

from typing import Any

import pytest
from tests.contract.recorder import TOKEN, Node

from embedded_scheduler.api.family import Family
from embedded_scheduler.api.interconn import node as contracts
from embedded_scheduler.api.interconn import resources
from embedded_scheduler.api.interconn import schedule as interconn
from embedded_scheduler.api.platform import schedule as platform

EAST_WEST = "/v1/interconn/schedule"
NORTH_SOUTH = "/v1/platform/schedule"
MANAGEMENT = "/v1/interconn"

CONTROL: dict[tuple[str, str], str] = {
    ("POST", f"{EAST_WEST}/job/create_all"): "3.1",
    ("POST", f"{EAST_WEST}/job/create"): "3.2",
    ("POST", f"{EAST_WEST}/job/start"): "3.3",
    ("POST", f"{EAST_WEST}/task/start"): "3.4",
    ("POST", f"{EAST_WEST}/job/stop_all"): "3.5",
    ("POST", f"{EAST_WEST}/job/stop"): "3.6",
    ("GET", f"{EAST_WEST}/job/status_all"): "3.7",
    ("POST", f"{EAST_WEST}/task/poll"): "3.8",
    ("POST", f"{EAST_WEST}/task/callback"): "3.9",
    ("POST", f"{EAST_WEST}/job/audit_confirm"): "3.10",
    ("POST", f"{NORTH_SOUTH}/task/callback"): "4.1",
    ("POST", f"{NORTH_SOUTH}/job/create_all"): "5.1",
    ("POST", f"{NORTH_SOUTH}/job/stop_all"): "5.2",
    ("GET", f"{NORTH_SOUTH}/job/status_all"): "5.3",
    ("GET", f"{NORTH_SOUTH}/task/get_log_line"): "5.4",
    ("GET", f"{NORTH_SOUTH}/task/get_log"): "5.5",
    ("GET", f"{NORTH_SOUTH}/job/query_job_list"): "5.6",
    ("POST", f"{NORTH_SOUTH}/job/stop_task"): "5.7",
    ("POST", f"{NORTH_SOUTH}/component/register"): "5.8",
}

AUDITED = {"dataset": 2, "project": 3, "flow": 5, "job": 6, "model": 7}
"""Kind of resource → chapter of the management layer; all share one set of operations, but a job has no query."""
_FIRST = {"dataset": ".3"}
"""Where in its chapter a kind's application stands; elsewhere it comes first."""

MANAGED: dict[tuple[str, str], str] = {
    ("POST", f"{MANAGEMENT}/node/contract/apply"): "management §1",
    ("POST", f"{MANAGEMENT}/node/contract/confirm"): "management §1",
    ("POST", f"{MANAGEMENT}/node/contract/terminate"): "management §1",
    ("GET", f"{MANAGEMENT}/node/contract/query"): "management §1",
    ("POST", f"{MANAGEMENT}/node/update"): "management §1",
    ("GET", f"{MANAGEMENT}/node/query"): "management §1",
    ("GET", f"{MANAGEMENT}/node/health"): "management §1",
    ("GET", f"{MANAGEMENT}/dataset/pub/list"): "management §2.1",
    ("GET", f"{MANAGEMENT}/dataset/pub/query"): "management §2.2",
    ("GET", f"{MANAGEMENT}/project/list"): "management §3.5",
    ("GET", f"{MANAGEMENT}/project/query"): "management §3.6",
    ("GET", f"{MANAGEMENT}/component/list"): "management §4.1",
    ("GET", f"{MANAGEMENT}/component/query"): "management §4.2",
}
for _kind, _chapter in AUDITED.items():
    MANAGED[("POST", f"{MANAGEMENT}/{_kind}/audit/apply")] = f"management §{_chapter}{_FIRST.get(_kind, '.1')}"
    MANAGED[("POST", f"{MANAGEMENT}/{_kind}/audit/confirm")] = f"management §{_chapter}"
    MANAGED[("POST", f"{MANAGEMENT}/{_kind}/audit/terminate")] = f"management §{_chapter}"
    if _kind != "job":
        MANAGED[("GET", f"{MANAGEMENT}/{_kind}/audit/query")] = f"management §{_chapter}"

SPECIFIED = {**CONTROL, **MANAGED}

SERVED_BESIDES: dict[tuple[str, str], str] = {
    ("POST", f"{EAST_WEST}/job/status_all"): "the form of v1.2.0",
    ("POST", f"{NORTH_SOUTH}/job/status_all"): "the same for the own platform",
    ("POST", f"{EAST_WEST}/task/stop"): "what a Kuscia node sends",
    ("POST", f"{MANAGEMENT}/message/receipt"): "ours: somebody looked at a request",
}

FAMILIES: tuple[Family[Any], ...] = (interconn.family, resources.family, contracts.family, platform.family)
SERVED = {(e.method, e.path): e.section for family in FAMILIES for e in family.endpoints}

SIGNED_FIRST = {f"{MANAGEMENT}/node/{path}" for path in ("contract/confirm", "contract/terminate", "update")}
"""Nothing is read of these before it is known who calls."""
WITHOUT_FIELDS: dict[str, dict[str, Any]] = {
    f"{NORTH_SOUTH}/job/query_job_list": {"job_list": {"job-1": "FINISHED"}},
    f"{MANAGEMENT}/node/health": {"status": "ok"},
}


def test_everything_specified_is_served_under_its_clause() -> None:
    assert {key: SERVED.get(key) for key in SPECIFIED} == SPECIFIED


def test_everything_served_is_specified_or_explained() -> None:
    assert set(SERVED) == set(SPECIFIED) | set(SERVED_BESIDES)


@pytest.mark.parametrize(("method", "path"), [*SPECIFIED, *SERVED_BESIDES])
async def test_every_endpoint_is_routed_and_wants_its_required_fields(node: Node, method: str, path: str) -> None:
    answer = await node.call(method, path, {} if method == "POST" else None, token=TOKEN)
    assert answer.status == 200
    if path in WITHOUT_FIELDS:
        assert (answer.code, answer.data) == (200, WITHOUT_FIELDS[path])
    elif path in SIGNED_FIRST:
        assert (answer.code, node.verbs.calls) == (401, [])
    else:
        assert answer.code == 400
        assert "Field required" in answer.body["msg"]
        assert node.verbs.calls == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
async def test_a_wrong_method_is_http_405_in_the_envelope(node: Node, method: str) -> None:
    answer = await node.call(method, f"{EAST_WEST}/job/create")
    assert (answer.status, answer.code, answer.data) == (405, 405, {})


@pytest.mark.parametrize(
    "path",
    [
        f"{EAST_WEST}/job/creat",
        f"{EAST_WEST}/",
        f"{EAST_WEST}/job/create/",
        f"{MANAGEMENT}/node/contract",
        f"{MANAGEMENT}/job/audit/query",
        f"{MANAGEMENT}/node/query/",
        f"{MANAGEMENT}/dataset/../node/query",
        "/v1/platform/x",
        f"{NORTH_SOUTH}/job/create_all/%00",
    ],
)
async def test_an_unknown_path_is_http_404_in_the_envelope(node: Node, path: str) -> None:
    answer = await node.call("POST", path, {})
    assert (answer.status, answer.code, answer.data) == (404, 404, {})
