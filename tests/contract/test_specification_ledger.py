"""The endpoints of both specification texts against what is served, in both directions."""

from __future__ import annotations

import pytest
from tests.contract.recorder import TOKEN, Node

from embedded_scheduler.api.interconn import schedule as interconn
from embedded_scheduler.api.platform import schedule as platform

EAST_WEST = "/v1/interconn/schedule"
NORTH_SOUTH = "/v1/platform/schedule"

SPECIFIED: dict[tuple[str, str], str] = {
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

SERVED_BESIDES: dict[tuple[str, str], str] = {
    ("POST", f"{EAST_WEST}/job/status_all"): "the form of v1.2.0",
    ("POST", f"{NORTH_SOUTH}/job/status_all"): "the same for the own platform",
    ("POST", f"{EAST_WEST}/task/stop"): "what a Kuscia node sends",
}

SERVED = {(e.method, e.path): e.section for e in (*interconn.family.endpoints, *platform.family.endpoints)}


def test_everything_specified_is_served_under_its_clause() -> None:
    assert {key: SERVED.get(key) for key in SPECIFIED} == SPECIFIED


def test_everything_served_is_specified_or_explained() -> None:
    assert set(SERVED) == set(SPECIFIED) | set(SERVED_BESIDES)


@pytest.mark.parametrize(("method", "path"), [*SPECIFIED, *SERVED_BESIDES])
async def test_every_endpoint_is_routed_and_wants_its_required_fields(node: Node, method: str, path: str) -> None:
    answer = await node.call(method, path, {} if method == "POST" else None, token=TOKEN)
    assert answer.status == 200
    if path.endswith("query_job_list"):
        assert (answer.code, answer.data) == (200, {"job_list": {"job-1": "FINISHED"}})
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
        "/v1/interconn/node/query",
        "/v1/platform/x",
        f"{NORTH_SOUTH}/job/create_all/%00",
    ],
)
async def test_an_unknown_path_is_http_404_in_the_envelope(node: Node, path: str) -> None:
    answer = await node.call("POST", path, {})
    assert (answer.status, answer.code, answer.data) == (404, 404, {})
