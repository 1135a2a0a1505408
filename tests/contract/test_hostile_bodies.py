"""Bodies nobody should send: always an envelope that says what is wrong, never a fault of ours, nothing done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.recorder import TOKEN, Node, job_body, recording_node

from embedded_scheduler.api.family import Endpoint
from embedded_scheduler.api.interconn import schedule as interconn
from embedded_scheduler.api.platform import schedule as platform
from embedded_scheduler.config import Limits

IC = "/v1/interconn/schedule"
PF = "/v1/platform/schedule"
POSTS = [e.path for e in (*interconn.family.endpoints, *platform.family.endpoints) if e.method == "POST"]
CREATE = f"{IC}/job/create"

HOSTILE_TEXTS = [
    "",
    " ",
    "..",
    "../../etc/passwd",
    "a/b",
    "a\x00b",
    "a\nb",
    "x" * 10_000,
    "ü",
    "💥",
    "'; DROP TABLE jobs;--",
]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"12",
        b"{}{}",
        b"{'job_id': 'x'}",
        b'{"job_id": NaN}',
        b'{"job_id": Infinity}',
        b'{"a": 1e999}',
        b'{"job_id": "a", "job_id": "b"}',
        b'{"a": "\xff\xfe"}',
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"a": ' + b"1" * 25 + b"}",
        b'{"a": ' + b"1" * 5000 + b"}",
        b'{"a":' * 70 + b"1" + b"}" * 70,
        b"[" * 100_000,
        b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        "\ufeff{}".encode(),
    ],
    ids=lambda body: repr(body[:24]) if isinstance(body, bytes) else None,
)
async def test_what_is_not_one_sound_json_object_is_refused(node: Node, path: str, body: bytes) -> None:
    answer = await node.call("POST", path, body, token=TOKEN, source="seedy")
    assert answer.status == 200
    assert answer.code in (400, 413)
    assert answer.data == {}
    assert "\n" not in answer.body["msg"]
    assert len(answer.body["msg"]) < 500
    assert node.verbs.calls == []


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"{IC}/job/start", "job_id"),
        (f"{IC}/task/poll", "task_id"),
        (f"{IC}/task/start", "task_name"),
        (f"{PF}/job/stop_all", "job_id"),
        (f"{PF}/job/stop_task", "task_name"),
    ],
)
async def test_hostile_names_are_refused_by_name_of_the_field(node: Node, path: str, field: str, text: str) -> None:
    body = {"job_id": "j", "task_id": "t", "task_name": "n", "role": "", field: text}
    answer = await node.call("POST", path, body, token=TOKEN)
    assert answer.code == 400
    assert answer.body["msg"].startswith(f"{field}: ")
    assert node.verbs.calls == []


@pytest.mark.parametrize("value", [None, True, [], {}, ["j"], 1.5])
async def test_an_id_of_a_wrong_type_is_refused(node: Node, value: object) -> None:
    answer = await node.call("POST", f"{IC}/job/start", {"job_id": value})
    # A number is read as its text: FATE-Flow's ids are digits.
    assert answer.code == (200 if value == 1.5 else 400)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"dag": []}, "dag"),
        ({"dag": {"components": {}}}, "dag.components"),
        ({"dag": {"components": [{"name": "a"}, 7]}}, "dag.components[1]"),
        ({"dag": {"components": [{"name": "a", "input": [{"key": None}]}]}}, "dag.components[0].input[0].key"),
        ({"config": {"initiator": {}, "role": {"guest": "us"}}}, "config.role.guest"),
        ({"config": {"role": {}}}, "config.initiator"),
        ({"job_id": ""}, "job_id"),
    ],
)
async def test_the_message_says_where(node: Node, change: dict[str, Any], where: str) -> None:
    answer = await node.call("POST", CREATE, job_body(**change))
    assert answer.code == 400
    assert answer.body["msg"].startswith(f"{where}: ")


async def test_hostile_member_names_do_not_reach_the_message_raw(node: Node) -> None:
    body = job_body()
    body["config"]["role"]["\u202eevil\n" + "x" * 5000] = 3
    answer = await node.call("POST", CREATE, body)
    assert answer.code == 400
    assert len(answer.body["msg"]) < 300
    assert "\u202e" not in answer.body["msg"]


@pytest.mark.parametrize("nonce", ["x" * 257, "caf\xe9"])
async def test_hostile_headers_are_refused(node: Node, nonce: str) -> None:
    answer = await node.call("POST", f"{IC}/job/start", {"job_id": "j"}, headers={"x-nonce": nonce})
    assert (answer.status, answer.code) == (200, 400)
    bad_source = await node.call("POST", f"{IC}/job/start", {"job_id": "j"}, headers={"x-node-id": "../us"})
    assert bad_source.code == 400


@pytest.mark.parametrize("endpoint", interconn.family.endpoints, ids=lambda e: f"{e.method} {e.path}")
@pytest.mark.parametrize(
    ("source", "code", "words"),
    [("", 401, "x-source-node-id"), ("us", 403, "is this node itself")],
    ids=["nobody", "ourselves"],
)
async def test_partners_say_who_they_are_and_are_not_us(
    node: Node, endpoint: Endpoint[Any], source: str, code: int, words: str
) -> None:
    """Without the header one would pass for the initiator, with our own id for our operator."""
    answer = await node.call(endpoint.method, endpoint.path, job_body(), source=source, nonce="n-1")
    assert (answer.status, answer.code) == (200, code)
    assert words in answer.body["msg"]
    assert node.verbs.calls == []


async def test_a_crowded_query_of_a_callback_is_refused_in_the_envelope(node: Node) -> None:
    query = "&".join(f"a{n}=1" for n in range(101))
    body = {"task_id": "t", "status": "SUCCESS", "role": "guest"}
    answer = await node.call("POST", f"{PF}/task/callback?{query}", body)
    assert (answer.status, answer.code) == (200, 400)
    assert node.verbs.calls == []


@pytest.mark.parametrize("header", ["Origin", "Sec-Fetch-Site", "Referer"])
async def test_a_web_page_is_not_the_platform_although_its_browser_runs_on_this_machine(
    tmp_path: Path, header: str
) -> None:
    async with recording_node(tmp_path, trust_loopback=True) as node:
        client = node.app.test_client()
        for extra, code in (({}, 200), ({header: "http://evil.example"}, 401)):
            response = await client.post(
                f"{PF}/job/stop_all",
                data=b'{"job_id": "j"}',
                headers=extra,
                scope_base={"client": ("127.0.0.1", 4711)},
            )
            assert json.loads(await response.get_data(as_text=False))["code"] == code
        assert [verb for verb, _ in node.verbs.calls] == ["stop_all"]


async def test_depth_is_limited_exactly(tmp_path: Path) -> None:
    async with recording_node(tmp_path, limits=Limits(json_depth=10)) as node:
        for extra, code in ((9, 200), (10, 413)):
            # The object itself is the first level.
            body = b'{"job_id":"j","x":' + b"[" * extra + b"]" * extra + b"}"
            assert (await node.call("POST", f"{IC}/job/start", body)).code == code


async def test_size_is_limited_exactly(tmp_path: Path) -> None:
    async with recording_node(tmp_path, limits=Limits(body_bytes=1000)) as node:
        for size, code in ((1000, 200), (1001, 413), (100_000, 413)):
            body = b'{"job_id":"j"' + b" " * (size - 14) + b"}"
            assert len(body) == size
            assert (await node.call("POST", f"{IC}/job/start", body)).code == code
        assert [verb for verb, _ in node.verbs.calls] == ["start"]


async def test_a_large_flow_within_the_limit_passes(node: Node) -> None:
    body = job_body()
    body["config"]["task_params"]["common"]["align"] = {"values": ["x" * 1000] * 10_000}
    assert (await node.call("POST", CREATE, body, source="seedy")).code == 200


@pytest.mark.parametrize("query", [{"job_id": "../x"}, {"job_id": "x" * 10_000}, {"JOB_ID": "j"}, {}])
async def test_hostile_queries(node: Node, query: dict[str, str]) -> None:
    assert (await node.call("GET", f"{IC}/job/status_all", query=query)).code == 400


@pytest.mark.parametrize("tail", ["job_id=a&job_id=b", "job_id=%ff", "&".join(f"a{n}=1" for n in range(200))])
async def test_ambiguous_and_undecodable_queries(node: Node, tail: str) -> None:
    assert (await node.call("GET", f"{IC}/job/status_all?{tail}")).code == 400


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(HOSTILE_TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ["job_id", "task_id", "task_name", "role", "status", "dag", "config", "flow_id", "imageUrl", "component_info"]
OBJECTS = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=6), JSON_VALUES, max_size=8)
BODIES = OBJECTS.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(POSTS), body=BODIES, source=st.sampled_from(["seedy", "fatima", "kuscha", "stranger"]))
async def test_any_body_gets_an_envelope_and_never_a_fault(node: Node, path: str, body: bytes, source: str) -> None:
    answer = await node.call("POST", path, body, source=source, token=TOKEN)
    assert answer.status == 200
    unheard = source == "stranger" and "/interconn/" in path
    assert answer.code in ((401,) if unheard else (0, 200, 400, 413))
    assert isinstance(answer.body["msg"], str)
    assert isinstance(answer.body["data"], dict)


MUTATIONS = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from([None, 0, "", [], {}, "x" * 300, True, {"a": None}, [[]]])),
    min_size=1,
    max_size=4,
)


def mutated(value: Any, changes: list[tuple[int, Any]]) -> Any:
    """`value` with some of its inner members replaced."""
    places: list[tuple[Any, Any]] = []

    def collect(item: Any) -> None:
        for key, inner in item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ():
            places.append((item, key))
            collect(inner)

    collect(value)
    for number, replacement in changes:
        container, key = places[number % len(places)]
        container[key] = replacement
    return value


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=MUTATIONS, dialect=st.sampled_from(["s0", "s1", "union"]))
async def test_mutated_jobs_are_refused_or_handed_on_as_sent(
    node: Node, changes: list[tuple[int, Any]], dialect: str
) -> None:
    body = mutated(job_body(dialect), changes)
    node.verbs.calls.clear()
    answer = await node.call("POST", CREATE, body, source="seedy")
    assert answer.code in (200, 400)
    if answer.code == 200:
        assert node.verbs.last[1]["document"] == {key: body.get(key) for key in ("flow_id", "dag", "config")}
    else:
        assert node.verbs.calls == []
