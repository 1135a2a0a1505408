from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.errors import InvalidRequest, TooLarge
from embedded_scheduler.wire.bfia.decoding import decode_object
from embedded_scheduler.wire.bfia.envelope import Unreadable, failure, read_answer, success
from embedded_scheduler.wire.bfia.job import JobStyle, read_progress, render_job, with_dataset_names
from embedded_scheduler.wire.bfia.task import shown_word, task_word

DOCUMENT = parse_job(
    "job-1",
    {
        "dag": {
            "components": [
                {"name": "a", "componentName": "A", "provider": "p", "output": [{"key": "o", "type": "dataset"}]},
                {"name": "b", "code": "img-b", "module_name": "B", "input": [{"key": "a.o", "type": "dataset"}]},
            ]
        },
        "config": {
            "initiator": {"role": "guest", "node_id": "n1"},
            "role": {"guest": ["n1"], "host": ["n2", "n3"]},
            "task_params": {
                "common": {"a": {"list": [1, {"x": "ü"}], "none": None, "flag": True}},
                "host": {"1": {"a": {"dataset_id": "ns#t"}}},
            },
        },
    },
).document


# decoding

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), JSON, max_size=5), st.booleans())
def test_every_sound_object_is_decoded_as_python_does(value: dict[str, Any], ascii_only: bool) -> None:
    assert decode_object(json.dumps(value, ensure_ascii=ascii_only).encode(), depth=64) == value


@given(st.binary(max_size=60))
def test_no_bytes_at_all_break_the_decoder(body: bytes) -> None:
    with contextlib.suppress(InvalidRequest, TooLarge):
        assert isinstance(decode_object(body, depth=5), dict)


def test_a_surrogate_pair_is_a_character() -> None:
    assert decode_object(b'{"a":"\\ud83d\\ude00"}', depth=3) == {"a": "😀"}


@pytest.mark.parametrize("depth", [1, 2, 64, 2000])
def test_depth_counts_containers(depth: int) -> None:
    def nested(levels: int) -> bytes:
        return b'{"a":' + b"[" * (levels - 1) + b"0" + b"]" * (levels - 1) + b"}"

    if depth < 900:
        decode_object(nested(depth), depth=depth)
    with pytest.raises(TooLarge):
        decode_object(nested(depth + 1), depth=depth)


# envelope


def test_envelopes_are_ascii_and_complete() -> None:
    assert success(0, {"a": "ü"}) == b'{"code":0,"msg":"success","data":{"a":"\\u00fc"}}'
    assert json.loads(failure(404, "what")) == {"code": 404, "msg": "what", "message": "what", "data": {}}


@pytest.mark.parametrize(
    ("body", "code", "text", "data"),
    [
        (b'{"code":200,"msg":"","data":null}', 200, "", {}),
        (b'{"code":"0","message":"ok"}', 0, "ok", {}),
        (b'{"code":200.0,"msg":"m","data":{"status":"X"}}', 200, "m", {"status": "X"}),
        (b'{"code":400,"message":"Job already exists"}', 400, "Job already exists", {}),
        (b'{"code":1,"msg":7,"message":"a\\nb","data":[]}', 1, "a b", None),
    ],
)
def test_envelopes_of_running_implementations(body: bytes, code: int, text: str, data: Any) -> None:
    answer = read_answer(body)
    assert (answer.code, answer.text, answer.data) == (code, text, data)
    assert answer.ok == (code in (0, 200))


@pytest.mark.parametrize(
    "body", [b"", b"ok", b"[]", b"{}", b'{"code":null}', b'{"code":true}', b'{"code":"x"}', b'{"code":{}}']
)
def test_what_is_no_envelope(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_answer(body)


# words


@pytest.mark.parametrize(
    ("said", "read"), [("success", "SUCCESS"), (" Failed", "FAILED"), ("STOPPED", "PENDING"), (3, "PENDING")]
)
def test_task_words(said: object, read: str) -> None:
    assert task_word(said, told_by="p") == read


def test_ready_is_hidden_where_it_is_not_known() -> None:
    assert [shown_word(word, ready_as_pending=True) for word in ("READY", "RUNNING")] == ["PENDING", "RUNNING"]
    assert shown_word("READY", ready_as_pending=False) == "READY"


@pytest.mark.parametrize(
    ("data", "job_status", "outcome", "status"),
    [
        ({"job_status": "running", "status": {"t": "ready"}}, "RUNNING", None, {"t": "READY"}),
        ({"job_status": "SUCCESS", "status": {"name": "SUCCESS"}}, "FINISHED", "succeeded", {"name": "SUCCESS"}),
        ({"job_status": "FAILED", "status": {}}, "FINISHED", "failed", {}),
        ({"job_status": "FINISHED", "outcome": "stopped", "status": {}}, "FINISHED", "stopped", {}),
        ({"job_status": "RUNNING", "outcome": "failed", "status": {}}, "RUNNING", None, {}),
        ({"job_status": {}, "status": {"t": "DONE"}}, "", None, {"t": "PENDING"}),
        ({"status": {"t": None}}, "", None, {"t": "PENDING"}),
        ({"job_status": "CANCELLED", "status": None}, "", None, {}),
    ],
)
def test_progress_as_partners_tell_it(data: dict[str, Any], job_status: str, outcome: str | None, status: Any) -> None:
    read = read_progress(data, told_by="p")
    assert (read["job_status"], read["outcome"], read["status"]) == (job_status, outcome, status)


# jobs in each dialect


@pytest.mark.parametrize(
    ("style", "keys"),
    [
        (JobStyle(dialect="s0"), {"name", "componentName", "provider", "version", "input", "output"}),
        (JobStyle(dialect="s1"), {"name", "code", "module_name", "version", "input", "output"}),
        (JobStyle(), {"name", "componentName", "provider", "code", "module_name", "version", "input", "output"}),
    ],
)
def test_components_carry_exactly_the_dialects_names(style: JobStyle, keys: set[str]) -> None:
    body = render_job("job-1", DOCUMENT, style)
    assert all(set(component) == keys for component in body["dag"]["components"])
    assert parse_job("job-1", body).flow.order == ("a", "b")


def test_the_seeds_form_is_the_canonical_document_itself() -> None:
    body = render_job("job-1", DOCUMENT, JobStyle())
    assert body == {"job_id": "job-1", **DOCUMENT}
    # Both ends must find the same digest, or a repeated create would look like another job.
    assert parse_job("job-1", body).digest == parse_job("job-1", DOCUMENT).digest


def test_every_optional_member_is_there_and_nothing_is_null() -> None:
    body = render_job("job-1", DOCUMENT, JobStyle(old_job_id=True))
    assert (body["flow_id"], body["old_job_id"]) == ("", "")
    assert set(body["config"]["role"]) == {"guest", "host", "arbiter"}
    for params in ("job_params", "task_params"):
        assert set(body["config"][params]) >= {"common", "guest", "host", "arbiter"}


def test_party_entries_name_everybody_where_nobody_was_named_and_only_there() -> None:
    params = render_job("job-1", DOCUMENT, JobStyle(party_entries=True))["config"]["task_params"]
    # Component a names host.1 alone: that stays so. Component b names nobody: all take part.
    assert params["guest"] == {"0": {"b": {}}}
    assert params["host"] == {"0": {"b": {}}, "1": {"a": {"dataset_id": "ns#t"}, "b": {}}}
    spec, rendered = (
        parse_job("job-1", DOCUMENT),
        parse_job("job-1", render_job("job-1", DOCUMENT, JobStyle(party_entries=True))),
    )
    assert all(spec.parties_of(name) == rendered.parties_of(name) for name in ("a", "b"))


def test_scalar_parameters_have_no_lists_and_no_nulls() -> None:
    params = render_job("job-1", DOCUMENT, JobStyle(scalar_parameters=True))["config"]["task_params"]
    assert params["common"]["a"] == {"list": '[1, {"x": "ü"}]', "flag": True}


def test_datasets_are_named_in_all_ways() -> None:
    params = render_job("job-1", DOCUMENT, JobStyle(dataset_reference="all"))["config"]["task_params"]
    assert params["host"]["1"]["a"] == {"dataset_id": "ns#t", "namespace": "ns", "name": "t"}
    assert with_dataset_names({"namespace": "n", "name": "t"}) == {"namespace": "n", "name": "t", "dataset_id": "n#t"}
    for untouched in ({}, {"dataset_id": "plain"}, {"name": "only"}, {"dataset_id": "a#b", "name": "other"}):
        assert with_dataset_names(untouched) == untouched


@pytest.mark.parametrize("dialect", ["s0", "s1", "union"])
def test_rendering_leaves_the_stored_document_alone(dialect: Any) -> None:
    before = copy.deepcopy(DOCUMENT)
    style = JobStyle(dialect=dialect, party_entries=True, dataset_reference="all", scalar_parameters=True)
    render_job("job-1", DOCUMENT, style)
    assert before == DOCUMENT
