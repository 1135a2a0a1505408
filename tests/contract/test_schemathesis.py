"""Requests generated from the OpenAPI documents against a running node: always an envelope, never a fault of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from embedded_scheduler.api.interconn import node as contracts
from embedded_scheduler.api.interconn import resources
from embedded_scheduler.api.interconn import schedule as interconn
from embedded_scheduler.api.openapi import document
from embedded_scheduler.api.platform import schedule as platform
from embedded_scheduler.home import Home
from embedded_scheduler.provision import provision
from embedded_scheduler.server import BackgroundNode
from embedded_scheduler.wire.console import PeerRequest
from nodeconsole.client import NodeClient

INTERCONN = schemathesis.openapi.from_dict(document(interconn.family))
# All kinds of requests share their code: those about datasets stand for them, a job's has members of its own.
RESOURCES = schemathesis.openapi.from_dict(document(resources.family)).include(
    path_regex="/dataset/|/component/|/job/audit/apply|/message/"
)
CONTRACTS = schemathesis.openapi.from_dict(document(contracts.family))
# Without its security scheme: made-up credentials would go before those that the test shows.
PLATFORM = schemathesis.openapi.from_dict(
    {name: value for name, value in document(platform.family).items() if name != "security"}
)
CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]
FEW = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
FEWER = settings(FEW, max_examples=3)
"""Where one answer is expected of many endpoints."""


@dataclass(frozen=True, slots=True)
class Target:
    """A running node; `settings` say that submissions do not wait for partners."""

    partner: str
    platform: str
    token: str


async def introduce(home: Home) -> str:
    """Make `bob` a partner; the text of a new token for the platform."""
    async with NodeClient(home.socket) as client:
        await client.add_peer(PeerRequest(node_id="bob", url="http://127.0.0.1:9", approval="auto", signing="off"))
        return (await client.create_token("schemathesis")).text


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    home = Home(tmp_path_factory.mktemp("schemathesis") / "alice")
    provision(home, node_id="alice", listen="127.0.0.1:0", platform="127.0.0.1:0", tls="off")
    with home.settings_file.open("a") as file:
        file.write("\ntiming.submit_wait = 0.2\nlimits.stranger_burst = 100000\nlimits.refusal_seconds = 0\n")
    node = BackgroundNode(home)
    running = node.start()
    try:
        yield Target(f"http://{running.listen}", f"http://{running.platform}", asyncio.run(introduce(home)))
        log = home.node_log.read_text()
        assert "Traceback" not in log, log[log.index("Traceback") - 300 :][:3000]
    finally:
        node.stop()


def called(case: Any, url: str, headers: dict[str, str]) -> dict[str, Any]:
    """The answer's envelope, after every check that the description allows."""
    response = case.call_and_validate(base_url=url, headers=headers, checks=CHECKS, timeout=10)
    answer = json.loads(response.content)
    assert set(answer) - {"message"} == {"code", "msg", "data"}
    assert answer["code"] != 500, answer
    assert "\n" not in answer["msg"]
    assert len(answer["msg"]) <= 2000
    return dict(answer)


@INTERCONN.parametrize()
@FEW
def test_a_partner_gets_an_envelope(case: Any, target: Target) -> None:
    answer = called(case, target.partner, {"x-source-node-id": "bob"})
    assert answer["code"] in (200, 400, 403, 404, 405, 409, 413), answer


@INTERCONN.parametrize()
@FEW
def test_who_does_not_say_its_name_gets_nowhere(case: Any, target: Target) -> None:
    assert called(case, target.partner, {})["code"] in (400, 401, 405, 429)


@RESOURCES.parametrize()
@FEWER
def test_a_partner_without_a_contract_gets_an_envelope_and_no_resource(case: Any, target: Target) -> None:
    answer = called(case, target.partner, {"x-source-node-id": "bob"})
    assert answer["code"] in (400, 403, 404, 405, 413) or case.path.endswith("/message/receipt"), answer


@CONTRACTS.parametrize()
@FEWER
def test_a_stranger_gets_an_envelope(case: Any, target: Target) -> None:
    answer = called(case, target.partner, {"x-source-node-id": "eve"})
    assert answer["code"] in (200, 400, 401, 403, 404, 405, 429), answer
    if answer["code"] == 200 and case.method == "GET":
        assert answer["data"] in ({"status": "ok"}, {"node_id": "alice", "system": "nodeconsole"}), answer


@PLATFORM.parametrize()
@FEW
def test_the_platform_gets_an_envelope(case: Any, target: Target) -> None:
    answer = called(case, target.platform, {"Authorization": f"Bearer {target.token}"})
    assert answer["code"] in (200, 400, 403, 404, 405, 409, 413), answer


@PLATFORM.parametrize()
@FEWER
@pytest.mark.parametrize("credential", ["", "Bearer wrong"])
def test_without_the_token_the_platform_api_is_shut(case: Any, target: Target, credential: str) -> None:
    answer = called(case, target.platform, {"Authorization": credential} if credential else {})
    # A component's call back is judged by its own token, after its body was understood and its task found.
    allowed = (400, 401, 404, 405) if case.path.endswith("/task/callback") else (400, 401, 405)
    assert answer["code"] in allowed, answer
