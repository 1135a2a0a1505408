"""Messages as the known implementations send them, and the answers each needs, byte for byte where it matters."""

from __future__ import annotations

from typing import Any

import pytest
from tests.contract.recorder import PARTNERS, TOKEN, Node, Status, job_body

from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.errors import (
    Conflict,
    Forbidden,
    InvalidFlow,
    NodeError,
    NotFound,
    Refused,
    TimedOut,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

IC = "/v1/interconn/schedule"
PF = "/v1/platform/schedule"


# (a) create in every dialect and shape


@pytest.mark.parametrize("dialect", ["s0", "s1", "union"])
async def test_create_in_each_dialect_reaches_the_verb_as_sent(node: Node, dialect: str) -> None:
    body = job_body(dialect)
    answer = await node.call("POST", f"{IC}/job/create", body, source="seedy")
    assert (answer.status, answer.code, answer.data) == (200, 200, {"status": "READY"})
    verb, said = node.verbs.last
    assert (verb, said["job_id"], said["source"]) == ("create", "job-1", "seedy")
    assert said["document"] == {key: body[key] for key in ("flow_id", "dag", "config")}
    spec = parse_job("job-1", said["document"])
    assert [n.component.name for n in spec.flow.nodes] == ["ALIGN", "TRAIN"]


def without(body: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = body
    for part in path[:-1]:
        inner = inner[part]
    del inner[path[-1]]
    return body


def with_null(body: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = body
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = None
    return body


@pytest.mark.parametrize(
    "body",
    [
        without(job_body(), "config", "role", "arbiter"),
        without(job_body(), "config", "job_params"),
        without(job_body(), "config", "job_params", "common"),
        without(job_body(), "config", "task_params", "arbiter"),
        without(job_body(), "flow_id"),
        job_body(flow_id=""),
        job_body(flow_id=None),
        job_body(old_job_id=""),
        job_body(old_job_id=None, surplus={"anything": [1]}),
        with_null(job_body(), "config", "role", "arbiter"),
        with_null(job_body(), "config", "task_params"),
        job_body("s1") | {"job_id": "202310161542273925260"},
        job_body("s1") | {"job_id": 202310161542273925},
    ],
)
async def test_create_with_members_missing_null_or_surplus(node: Node, body: dict[str, Any]) -> None:
    answer = await node.call("POST", f"{IC}/job/create", body, source="kuscha")
    assert answer.code == 200, answer.body
    parse_job("job-1", node.verbs.last[1]["document"])


async def test_null_inputs_and_numeric_versions_are_read(node: Node) -> None:
    body = job_body("s1")
    body["dag"]["version"] = 2.0
    body["config"]["version"] = 2
    body["dag"]["components"][0]["input"] = None
    del body["dag"]["components"][1]["output"]
    answer = await node.call("POST", f"{IC}/job/create", body, source="kuscha")
    assert answer.code == 200
    parse_job("job-1", node.verbs.last[1]["document"])


# (b) success codes, and what each profile's answers look like


@pytest.mark.parametrize(
    ("source", "code"), [("seedy", 200), ("officer", 0), ("elder", 200), ("fatima", 0), ("kuscha", 200)]
)
async def test_success_code_of_each_profile(node: Node, source: str, code: int) -> None:
    assert set(PARTNERS) >= {source}
    answer = await node.call("POST", f"{IC}/job/start", {"job_id": "job-1"}, source=source)
    assert (answer.status, answer.raw) == (200, b'{"code":%d,"msg":"success","data":{}}' % code)


async def test_a_node_that_is_no_partner_is_not_heard(node: Node) -> None:
    refused = await node.call("POST", f"{IC}/job/start", {"job_id": "j"}, source="stranger")
    assert (refused.status, refused.code, refused.data) == (200, 401, {})
    assert not node.verbs.calls


# (c) status_all in four request shapes


@pytest.mark.parametrize("base", [IC, PF])
@pytest.mark.parametrize(
    ("method", "query", "body"),
    [
        ("GET", {"job_id": "job-1"}, None),
        ("GET", None, {"job_id": "job-1"}),
        ("POST", {"job_id": "job-1"}, {"job_id": "job-1"}),
        ("POST", None, {"job_id": "job-1"}),
        ("POST", {"job_id": "job-1"}, None),
    ],
)
async def test_status_all_however_it_is_asked(
    node: Node, base: str, method: str, query: dict[str, str] | None, body: Any
) -> None:
    answer = await node.call(method, f"{base}/job/status_all", body, query=query, token=TOKEN)
    assert answer.code == 200
    assert answer.data["job_status"] == "RUNNING"
    assert answer.data["status"] == {"task-1": "READY", "task-2": "SUCCESS"}
    assert ("task_names" in answer.data) == (base == PF)
    assert node.verbs.last[1]["job_id"] == "job-1"


async def test_status_all_for_kuscia_is_nothing_but_a_map_of_its_words(node: Node) -> None:
    answer = await node.call("GET", f"{IC}/job/status_all", source="kuscha", query={"job_id": "job-1"})
    assert answer.raw == (b'{"code":200,"msg":"success","data":{"status":{"task-1":"PENDING","task-2":"SUCCESS"}}}')
    node.verbs.returns["status_all"] = Status(tasks={})
    empty = await node.call("GET", f"{IC}/job/status_all", source="kuscha", query={"job_id": "job-1"})
    assert empty.data == {"status": {}}


async def test_a_finished_job_tells_its_outcome_beside_the_specified_members(node: Node) -> None:
    node.verbs.returns["status_all"] = Status(job_status="FINISHED", outcome="stopped", reason="by hand")
    answer = await node.call("GET", f"{IC}/job/status_all", source="seedy", query={"job_id": "job-1"})
    assert answer.data["job_status"] == "FINISHED"
    assert (answer.data["outcome"], answer.data["reason"]) == ("stopped", "by hand")


# (d), (e) what FATE-Flow and Kuscia send


async def test_the_calls_of_a_fate_scheduler(node: Node) -> None:
    headers = {
        "x_auth_sign": "",
        "x_node_id": "fatima",
        "x_nonce": "n",
        "x_trace_id": "",
        "x_timestamp": "1700000000000",
    }
    body = {"job_id": "202310161542273925260", "task_name": "align"}
    for _ in range(3):
        # Three tries with the same headers are one request.
        assert (await node.call("POST", f"{IC}/job/stop", body, headers=headers)).code == 0
    assert node.verbs.calls == [("stop", {"job_id": "202310161542273925260", "task_name": "align", "source": "fatima"})]
    poll = {"task_id": "0b1d6e6c-7b3e-4f37-8f5e-000000000001", "role": ""}
    answer = await node.call("POST", f"{IC}/task/poll", poll, headers=headers)
    assert answer.raw == b'{"code":0,"msg":"success","data":{"status":"RUNNING"}}'
    end = await node.call("POST", f"{IC}/job/stop", {"job_id": "1", "task_name": None}, headers={"x_node_id": "fatima"})
    assert end.code == 0
    assert node.verbs.last[1]["task_name"] == ""


async def test_the_calls_of_a_kuscia_scheduler(node: Node) -> None:
    headers = {"X-Node-Id": "kuscha", "X-Timestamp": "1700000000", "Host": "interconn-scheduler.us.svc"}

    async def call(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await node.call("POST", f"{IC}/{path}", body, headers=headers)
        assert (answer.status, answer.code) == (200, 200)
        return answer.data

    assert await call("job/create", without(job_body("s1"), "flow_id")) == {"status": "PENDING"}
    assert await call("job/start", {"job_id": "job-1"}) == {}
    task = {"task_id": "job-1-0123456789ab", "job_id": "job-1", "task_name": "align"}
    assert await call("task/start", task) == {}
    node.verbs.returns["poll"] = "READY"
    assert await call("task/poll", {"task_id": "job-1-0123456789ab", "role": "host"}) == {"status": "PENDING"}
    assert await call("job/stop", {"job_id": "job-1"}) == {}
    assert await call("task/stop", {"task_id": "job-1-0123456789ab"}) == {}
    assert [verb for verb, _ in node.verbs.calls] == ["create", "start", "start_task", "poll", "stop", "stop_task"]
    assert all(said["source"] == "kuscha" for _, said in node.verbs.calls)


# (f) polls


@pytest.mark.parametrize("role", ["guest", "guest.0", "GUEST", "", None])
async def test_poll_takes_every_spelling_of_a_role(node: Node, role: str | None) -> None:
    node.verbs.returns["poll"] = "PENDING"
    answer = await node.call("POST", f"{IC}/task/poll", {"task_id": "t", "role": role}, source="seedy")
    assert answer.data == {"status": "PENDING"}
    assert node.verbs.last[1]["role"] == (role or "")


@pytest.mark.parametrize("error", [Unavailable("disk full"), TimedOut("slow")])
async def test_our_own_trouble_never_fails_a_task_that_kuscia_polls(node: Node, error: NodeError) -> None:
    node.verbs.raises["poll"] = error
    patient = await node.call("POST", f"{IC}/task/poll", {"task_id": "t", "role": "host"}, source="seedy")
    assert patient.code in (503, 504)
    answer = await node.call("POST", f"{IC}/task/poll", {"task_id": "t", "role": "host"}, source="kuscha")
    assert (answer.code, answer.data) == (200, {"status": "PENDING"})


async def test_a_poll_for_an_unknown_task_is_an_error_for_everybody(node: Node) -> None:
    node.verbs.raises["poll"] = NotFound("this node knows no task t")
    for source in PARTNERS:
        answer = await node.call("POST", f"{IC}/task/poll", {"task_id": "t", "role": "host"}, source=source)
        assert (answer.status, answer.code, answer.data) == (200, 404, {})


# callbacks and confirmations


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("SUCCESS", "SUCCESS"),
        ("failed", "FAILED"),
        (" Running ", "RUNNING"),
        ("STOPPED", "PENDING"),
        ("READY", "READY"),
    ],
)
async def test_callback_words(node: Node, sent: str, read: str) -> None:
    body = {"task_id": "t", "status": sent, "role": "host.0"}
    assert (await node.call("POST", f"{IC}/task/callback", body, source="seedy")).code == 200
    expected = {"task_id": "t", "status": read, "role": "host.0", "source": "seedy", "proven": False}
    assert node.verbs.last == ("callback", expected)


@pytest.mark.parametrize(("word", "approved"), [("READY", True), ("rejected", False), ("APPROVED", True)])
async def test_audit_confirm_words(node: Node, word: str, approved: bool) -> None:
    answer = await node.call("POST", f"{IC}/job/audit_confirm", {"job_id": "j", "status": word}, source="seedy")
    assert answer.code == 200
    assert node.verbs.last[1]["approved"] is approved


async def test_audit_confirm_refuses_other_words(node: Node) -> None:
    answer = await node.call("POST", f"{IC}/job/audit_confirm", {"job_id": "j", "status": "RUNNING"}, source="seedy")
    assert answer.code == 400
    assert node.verbs.calls == []


# (g) repeats


async def test_the_same_request_again_gets_the_stored_answer_byte_for_byte(node: Node) -> None:
    first = await node.call("POST", f"{IC}/job/create", job_body(), source="seedy", nonce="n-1")
    node.verbs.returns["create"] = "PENDING"
    again = await node.call("POST", f"{IC}/job/create", job_body(), source="seedy", nonce="n-1")
    assert again.raw == first.raw
    assert len(node.verbs.calls) == 1
    fresh = await node.call("POST", f"{IC}/job/create", job_body(), source="seedy", nonce="n-2")
    assert fresh.data == {"status": "PENDING"}


async def test_a_nonce_used_for_another_body_is_a_conflict(node: Node) -> None:
    await node.call("POST", f"{IC}/job/start", {"job_id": "a"}, source="seedy", nonce="n")
    answer = await node.call("POST", f"{IC}/job/start", {"job_id": "b"}, source="seedy", nonce="n")
    assert answer.code == 409
    # The nonce of one partner or of one operation says nothing about another's.
    assert (await node.call("POST", f"{IC}/job/start", {"job_id": "b"}, source="elder", nonce="n")).code == 200
    assert (await node.call("POST", f"{IC}/job/stop", {"job_id": "b"}, source="seedy", nonce="n")).code == 200


async def test_a_failure_is_not_stored(node: Node) -> None:
    node.verbs.raises["start"] = NotFound("not yet created")
    assert (await node.call("POST", f"{IC}/job/start", {"job_id": "a"}, source="seedy", nonce="n")).code == 404
    node.verbs.raises.clear()
    assert (await node.call("POST", f"{IC}/job/start", {"job_id": "a"}, source="seedy", nonce="n")).code == 200


async def test_polls_are_answered_anew_each_time(node: Node) -> None:
    for status in ("RUNNING", "SUCCESS"):
        node.verbs.returns["poll"] = status
        answer = await node.call("POST", f"{IC}/task/poll", {"task_id": "t", "role": "host"}, source="seedy", nonce="n")
        assert answer.data == {"status": status}


async def test_the_platform_can_repeat_a_submission(node: Node) -> None:
    for _ in range(2):
        answer = await node.call("POST", f"{PF}/job/create_all", job_body(), nonce="n", token=TOKEN)
        assert answer.data["job_id"] == "job-made-here"
    assert [verb for verb, _ in node.verbs.calls] == ["submit"]


# (h) headers


@pytest.mark.parametrize(
    "name", ["x-source-node-id", "X-Source-Node-Id", "x_source_node_id", "x-node-id", "X-Node-Id", "x_node_id"]
)
async def test_every_spelling_of_the_source_header(node: Node, name: str) -> None:
    await node.call("POST", f"{IC}/job/start", {"job_id": "j"}, headers={name: "seedy", "x-timestamp": "1700000000"})
    assert node.verbs.last[1]["source"] == "seedy"


async def test_a_call_for_another_node_is_refused_with_both_names(node: Node) -> None:
    answer = await node.call("POST", f"{IC}/job/start", {"job_id": "j"}, headers={"x-target-node-id": "them"})
    assert answer.code == 400
    assert "this is node us" in answer.body["msg"]
    assert "them" in answer.body["msg"]


async def test_one_header_with_two_values_is_refused(node: Node) -> None:
    headers = {"x-source-node-id": "seedy", "x_source_node_id": "elder"}
    assert (await node.call("POST", f"{IC}/job/start", {"job_id": "j"}, headers=headers)).code == 400


# errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidFlow("a cycle"), 400),
        (Unauthenticated("who"), 401),
        (Forbidden("no"), 403),
        (Refused("the operator said no"), 403),
        (NotFound("what"), 404),
        (Conflict("other content"), 409),
        (TooLarge("much"), 413),
        (Unavailable("later"), 503),
        (TimedOut("long"), 504),
        (RuntimeError("secret detail"), 500),
    ],
)
async def test_error_codes_at_http_200(node: Node, error: Exception, code: int) -> None:
    node.verbs.raises["start"] = error
    answer = await node.call("POST", f"{IC}/job/start", {"job_id": "j"}, source="fatima")
    assert (answer.status, answer.code, answer.data) == (200, code, {})
    assert answer.body["msg"] == answer.body["message"]
    if isinstance(error, NodeError):
        assert answer.body["msg"] == error.message
    else:
        assert "secret" not in answer.body["msg"]


# north-south


async def test_the_platform_api_asks_for_its_token(node: Node) -> None:
    for token in ("", "wrong", TOKEN + "x"):
        answer = await node.call("GET", f"{PF}/job/query_job_list", token=token)
        assert (answer.status, answer.code, answer.data) == (200, 401, {})
    assert node.verbs.calls == []


async def test_create_all_of_the_platform_makes_the_job_id(node: Node) -> None:
    body = without(job_body(), "job_id")
    answer = await node.call("POST", f"{PF}/job/create_all", body, token=TOKEN, headers={"x-trace-id": "trace-7"})
    assert answer.data["job_id"] == "job-made-here"
    verb, said = node.verbs.last
    assert (verb, said["actor"], said["trace_id"]) == ("submit", "platform:recorder", "trace-7")
    assert said["document"]["flow_id"] == "flow-1"


async def test_create_all_between_nodes_reports_each_node(node: Node) -> None:
    answer = await node.call("POST", f"{IC}/job/create_all", job_body(), source="seedy")
    nodes = {"alice": "approved", "bob": "pending"}
    assert answer.data == {"job_id": "job-1", "status": "PENDING", "nodes": nodes}


async def test_stops_of_the_platform(node: Node) -> None:
    await node.call("POST", f"{PF}/job/stop_all", {"job_id": "j"}, token=TOKEN)
    await node.call("POST", f"{PF}/job/stop_task", {"job_id": "j", "task_name": "align"}, token=TOKEN)
    assert [(said["task_name"], said["actor"]) for _, said in node.verbs.calls] == [
        ("", "platform:recorder"),
        ("align", "platform:recorder"),
    ]
    answer = await node.call("POST", f"{PF}/job/stop_task", {"job_id": "j", "task_name": ""}, token=TOKEN)
    assert answer.code == 400


async def test_stop_all_of_a_partner_names_it(node: Node) -> None:
    await node.call("POST", f"{IC}/job/stop_all", {"job_id": "j", "task_name": "align"}, source="seedy")
    said = {"job_id": "j", "task_name": "align", "actor": "peer:seedy", "source": "seedy"}
    assert node.verbs.last == ("stop_all", said)


@pytest.mark.parametrize("level", ["info", "DEBUG", " error "])
async def test_logs(node: Node, level: str) -> None:
    query = {"task_id": "t", "log_level": level}
    assert (await node.call("GET", f"{PF}/task/get_log_line", query=query, token=TOKEN)).data == {"num": 7}
    ranged = {**query, "start": "0", "length": "2"}
    assert (await node.call("GET", f"{PF}/task/get_log", query=ranged, token=TOKEN)).data == {"data": "one\ntwo\n"}
    assert node.verbs.last == ("read", {"task_id": "t", "level": level.strip().lower(), "start": 0, "length": 2})
    for open_end in ({**query, "start": "3"}, {**query, "start": "3", "length": ""}):
        await node.call("GET", f"{PF}/task/get_log", query=open_end, token=TOKEN)
        assert node.verbs.last[1]["length"] is None


async def test_log_bytes_that_are_not_text_are_shown(node: Node) -> None:
    node.verbs.returns["read"] = b"caf\xe9 \xe4\xbd\xa0\n"
    query = {"task_id": "t", "log_level": "info", "start": "0"}
    answer = await node.call("GET", f"{PF}/task/get_log", query=query, token=TOKEN)
    assert answer.data == {"data": "caf\\xe9 你\n"}


@pytest.mark.parametrize(
    "query",
    [
        {"log_level": "info", "start": "-1"},
        {"log_level": "info", "start": "x"},
        {"log_level": "info", "start": "0", "length": "-5"},
        {"log_level": "warn", "start": "0"},
        {"log_level": "info", "start": "9" * 30},
        {"log_level": "info"},
    ],
)
async def test_bad_log_queries_are_refused(node: Node, query: dict[str, str]) -> None:
    answer = await node.call("GET", f"{PF}/task/get_log", query={"task_id": "t", **query}, token=TOKEN)
    assert answer.code == 400
    assert node.verbs.calls == []


@pytest.mark.parametrize(("query", "flow"), [(None, None), ({"flow_id": ""}, None), ({"flow_id": "f"}, "f")])
async def test_query_job_list(node: Node, query: dict[str, str] | None, flow: str | None) -> None:
    answer = await node.call("GET", f"{PF}/job/query_job_list", query=query, token=TOKEN)
    assert answer.data == {"job_list": {"job-1": "FINISHED"}}
    assert node.verbs.last == ("job_list", {"flow_id": flow})


async def test_component_register_hands_the_description_on_as_sent(node: Node) -> None:
    manifest = {
        "componentName": "A",
        "provider": "acme",
        "version": "1",
        "inputParam": [{"optional": "true"}],
        "x": None,
    }
    body = {"imageUrl": "registry/a:1", "component_info": manifest}
    assert (await node.call("POST", f"{PF}/component/register", body, token=TOKEN)).data == {}
    assert node.verbs.last == (
        "register",
        {"image_url": "registry/a:1", "manifest": manifest, "actor": "platform:recorder"},
    )


CALLBACK = {"task_id": "t", "status": "SUCCESS", "role": "guest.0"}


@pytest.mark.parametrize(
    "path", [f"{PF}/task/callback", f"/{PF}/task/callback", "//v1//platform/schedule//task/callback"]
)
async def test_a_component_calls_back_with_its_own_token(node: Node, path: str) -> None:
    ways: list[dict[str, Any]] = [
        {"token": "mine"},
        {"headers": {"x-ptp-token": "mine"}},
        {"query": {"token": "mine"}},
    ]
    for way in ways:
        assert (await node.call("POST", path, CALLBACK, **way)).code == 200
        said = node.verbs.last[1]
        assert (said["token"], said["trusted"]) == ("mine", False)


async def test_the_platform_and_nobody_else_calls_back_trusted(node: Node) -> None:
    await node.call("POST", f"{PF}/task/callback", CALLBACK, token=TOKEN)
    assert node.verbs.last[1]["trusted"] is True
    await node.call("POST", f"{PF}/task/callback", CALLBACK)
    assert (node.verbs.last[1]["trusted"], node.verbs.last[1]["token"]) == (False, None)


async def test_an_unproven_caller_cannot_plant_an_answer(node: Node) -> None:
    await node.call("POST", f"{PF}/task/callback", CALLBACK, nonce="n", token="mine")
    await node.call("POST", f"{PF}/task/callback", {**CALLBACK, "status": "FAILED"}, nonce="n", token=TOKEN)
    assert [said["status"] for _, said in node.verbs.calls] == ["SUCCESS", "FAILED"]
