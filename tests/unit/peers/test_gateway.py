"""The gateway against partners that answer whatever they like, over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.config import Settings, Timing
from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.engine.ports import Delivery, Outgoing, Reply
from embedded_scheduler.peers.directory import Directory, Partner
from embedded_scheduler.peers.exchange import ANSWER_BYTES
from embedded_scheduler.peers.gateway import CALLS_PER_PARTNER, HttpGateway
from embedded_scheduler.peers.profiles import resolve

OK, REFUSED, FAILED = Delivery.OK, Delivery.REFUSED, Delivery.FAILED


@dataclass(frozen=True, slots=True)
class Heard:
    """One request as the partner saw it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ScriptedPartner:
    """Answers requests in turn with raw bytes; None = never answers. The last answer repeats."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.heard: list[Heard] = []
        self.hung = asyncio.Semaphore(0)
        self.conversations: list[asyncio.Task[Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None
        self.conversations.append(conversation)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.heard.append(Heard(method, target, headers, body))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    self.hung.release()
                    await reader.read()
                    return
                writer.write(answer)
                await writer.drain()
                if b"connection: close" in answer[:200] or not answer.startswith(b"HTTP/"):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def http(status: int, body: bytes, *extra: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *extra, "", ""]
    return "\r\n".join(lines).encode() + body


def said(code: Any, msg: str = "", data: Any = None, status: int = 200) -> bytes:
    return http(status, json.dumps({"code": code, "msg": msg, "data": data}).encode())


@asynccontextmanager
async def gateway_to(
    *partners: ScriptedPartner, profile: str = "seed", options: dict[str, Any] | None = None, limit: float = 5.0
) -> AsyncIterator[HttpGateway]:
    """A gateway of node `us` to nodes p0, p1 …"""
    servers = [await asyncio.start_server(partner.serve, "127.0.0.1", 0) for partner in partners]
    directory = Directory()
    directory.replace(
        Partner(f"p{n}", f"http://127.0.0.1:{s.sockets[0].getsockname()[1]}", "auto", resolve(profile, options or {}))
        for n, s in enumerate(servers)
    )
    settings = Settings(node_id="us", timing=Timing(call_timeout=limit, submit_wait=0.1))
    gateway = HttpGateway("us", directory, SystemClock(), settings)
    try:
        yield gateway
    finally:
        await gateway.close()
        for server in servers:
            server.close()
            await server.wait_closed()
        for partner in partners:
            await asyncio.gather(*partner.conversations)


def outgoing(operation: str, node_id: str = "p0", **body: Any) -> Outgoing:
    return Outgoing(node_id, operation, body, nonce="nonce-1", trace_id="trace-1")


POLL = outgoing("task/poll", task_id="t", role="guest.0")
STOP = outgoing("job/stop", job_id="j", task_name="")
STATUS = outgoing("job/status_all", job_id="j k")


async def ask(message: Outgoing, *answers: bytes | None, **how: Any) -> tuple[Reply, ScriptedPartner]:
    partner = ScriptedPartner(*answers)
    async with gateway_to(partner, **how) as gateway:
        return await gateway.call(message), partner


@pytest.mark.parametrize("code", [0, 200, "0", "200"])
async def test_both_success_codes_in_both_types(code: Any) -> None:
    reply, partner = await ask(POLL, said(code, data={"status": "running"}))
    assert (reply.delivery, reply.data) == (OK, {"status": "RUNNING"})
    assert (partner.heard[0].method, partner.heard[0].target) == ("POST", "/v1/interconn/schedule/task/poll")
    assert partner.heard[0].json == {"task_id": "t", "role": "guest"}


async def test_the_headers_of_every_call() -> None:
    before = int(time.time() * 1000)
    _, partner = await ask(POLL, said(200, data={"status": "RUNNING"}))
    headers = partner.heard[0].headers
    assert headers["x-source-node-id"] == headers["x-node-id"] == "us"
    assert (headers["x-target-node-id"], headers["x-nonce"], headers["x-trace-id"]) == ("p0", "nonce-1", "trace-1")
    assert before <= int(headers["x-timestamp"]) <= int(time.time() * 1000)
    assert headers["x-csrf-protection"]
    assert headers["content-type"] == "application/json"
    assert {"x-auth-sign", "x-mprac-token-set"} <= set(headers)


async def test_kuscia_gets_its_host_and_seconds() -> None:
    _, partner = await ask(POLL, said(200, data={"status": "RUNNING"}), profile="kuscia")
    headers = partner.heard[0].headers
    assert headers["host"] == "interconn-scheduler.p0.svc"
    assert abs(int(headers["x-timestamp"]) - time.time()) < 60


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        http(200, b""),
        http(200, b"<html>"),
        http(200, b"{"),
        http(200, b"[" * 100_000),
        http(200, b'{"msg":"no code"}'),
        http(200, b'{"code":200,"data":{"status":1}}'),
        http(200, b'{"code":200,"data":{}}'),
        http(200, b'{"code":200,"data":null}'),
        http(200, b'{"code":200,"data":[1]}'),
        http(404, b"404 page not found"),
        http(500, b"oops"),
        http(502, b'{"code":200,"data":{"status":"SUCCESS"}}'),
        http(302, b'{"code":200,"data":{"status":"SUCCESS"}}', "location: http://127.0.0.1:1/"),
        http(200, gzip.compress(b'{"code":200,"data":{"status":"SUCCESS"}}', mtime=0), "content-encoding: gzip"),
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{",
        said(500, "store"),
        said(503, "later"),
        said(429, "slow down"),
    ],
)
async def test_what_is_no_usable_answer_is_to_be_tried_again(answer: bytes) -> None:
    reply, _ = await ask(POLL, answer)
    assert reply.delivery is FAILED
    assert "p0" in reply.error
    assert reply.data == {}


async def test_a_refusal_is_final_and_quotes_the_partner() -> None:
    for answer in (
        said(403, "operator said no"),
        said(1, "operator said no"),
        said(400, "operator said no", status=400),
    ):
        reply, _ = await ask(outgoing("job/start", job_id="j"), answer)
        assert reply.delivery is REFUSED
        assert "p0" in reply.error
        assert "operator said no" in reply.error


async def test_an_endless_answer_is_cut_off() -> None:
    reply, _ = await ask(POLL, http(200, b"x" * (ANSWER_BYTES + 1)))
    assert reply.delivery is FAILED
    assert str(ANSWER_BYTES) in reply.error


async def test_unknown_partner_and_dead_partner() -> None:
    async with gateway_to() as gateway:
        assert (await gateway.call(POLL)).delivery is REFUSED
    directory = Directory()
    directory.replace([Partner("p0", "http://127.0.0.1:1", "auto", resolve("seed", {}))])
    gateway = HttpGateway("us", directory, SystemClock(), Settings(node_id="us"))
    reply = await gateway.call(POLL)
    await gateway.close()
    assert reply.delivery is FAILED
    assert "127.0.0.1:1" in reply.error


async def test_one_hanging_partner_delays_itself_alone() -> None:
    hanging, lively = ScriptedPartner(None), ScriptedPartner(said(200, data={"status": "SUCCESS"}))
    limit = 3.0
    async with gateway_to(hanging, lively, limit=limit) as gateway:
        stuck = asyncio.gather(*(gateway.call(POLL) for _ in range(CALLS_PER_PARTNER * 3)))
        for _ in range(CALLS_PER_PARTNER):
            await hanging.hung.acquire()
        started = time.monotonic()
        assert (await gateway.call(outgoing("task/poll", "p1", task_id="t", role=""))).delivery is OK
        assert (stuck.done(), len(hanging.heard)) == (False, CALLS_PER_PARTNER)
        replies = await stuck
        assert time.monotonic() - started < 2 * limit
    assert {reply.delivery for reply in replies} == {FAILED}
    assert "within 3 s" in replies[0].error


async def test_a_connection_closed_under_a_call_is_made_anew_with_the_same_nonce() -> None:
    partner = ScriptedPartner(said(200, data={"status": "RUNNING"}), b"", said(200, data={"status": "SUCCESS"}))
    async with gateway_to(partner) as gateway:
        assert (await gateway.call(POLL)).data["status"] == "RUNNING"
        assert (await gateway.call(POLL)).data["status"] == "SUCCESS"
    assert [heard.headers["x-nonce"] for heard in partner.heard] == ["nonce-1"] * 3


# what a partner means


@pytest.mark.parametrize("operation", ["job/stop", "job/stop_all", "task/stop"])
async def test_a_stop_of_what_is_not_known_there_is_done(operation: str) -> None:
    message = outgoing(operation, job_id="j", task_id="t", task_name="")
    assert (await ask(message, said(404, "this node knows no job j")))[0].delivery is OK
    assert (await ask(message, said(403, "not yours")))[0].delivery is REFUSED


async def test_kuscias_words_for_a_job_it_does_not_know() -> None:
    for words in ("job does not exist", "failed to find the job"):
        assert (await ask(STOP, said(400, words), profile="kuscia"))[0].delivery is OK
        assert (await ask(STOP, said(400, words)))[0].delivery is REFUSED


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("job/audit_confirm", {"job_id": "j", "status": "READY"}),
        ("task/callback", {"task_id": "t", "status": "SUCCESS", "role": "guest"}),
    ],
)
async def test_a_partner_without_the_channel_is_no_failure(operation: str, body: dict[str, Any]) -> None:
    for answer in (http(404, b"404 page not found"), said(404, "no such endpoint", status=404), http(405, b"")):
        reply, partner = await ask(outgoing(operation, **body), answer)
        assert reply.delivery is OK
        assert f"no {operation}" in reply.error
        assert partner.heard[0].json == body
    # HTTP 200 with code 404 is the endpoint speaking: it does not know the job.
    assert (await ask(outgoing(operation, **body), said(404, "unknown")))[0].delivery is REFUSED
    reply, partner = await ask(outgoing(operation, **body), said(200), profile="kuscia")
    assert (reply.delivery, partner.heard) == (OK, [])


async def test_kuscia_is_never_asked_to_coordinate() -> None:
    reply, partner = await ask(outgoing("job/create_all", job_id="job-1"), said(200), profile="kuscia")
    assert (reply.delivery, partner.heard) == (REFUSED, [])


@pytest.mark.parametrize(
    ("profile", "code", "words", "delivery"),
    [
        ("kuscia", 400, "Job already exists", OK),
        ("fate", 1, "(1062, \"Duplicate entry 'x' for key\")", OK),
        ("official-1.2", 1, "job already exists", OK),
        ("legacy", 400, "Duplicate job", OK),
        ("seed", 409, "job j exists here with other content", REFUSED),
        ("kuscia", 409, "already exists", REFUSED),
        ("kuscia", 400, "component code can't be empty", REFUSED),
    ],
)
async def test_a_create_that_had_arrived_before(profile: str, code: int, words: str, delivery: Delivery) -> None:
    reply, _ = await ask(create_message(), said(code, words), profile=profile)
    assert reply.delivery is delivery


async def test_a_create_all_that_had_arrived_before() -> None:
    again = said(1, "create job failed at fate: (1062, \"Duplicate entry 'x' for key 't_job.PRIMARY'\")")
    message = create_message()
    message = outgoing("job/create_all", **message.body)
    assert (await ask(message, again, profile="fate"))[0].delivery is OK
    refused = (await ask(message, said(1, "no disk"), profile="fate"))[0]
    assert refused.delivery is REFUSED
    assert refused.error.endswith("answered job/create_all with code 1: no disk (written for profile fate)")


async def test_fates_answer_to_a_repeated_task_start() -> None:
    message = outgoing("task/start", job_id="j", task_id="t", task_name="a")
    assert (await ask(message, said(1, "success"), profile="fate"))[0].delivery is OK
    assert (await ask(message, said(1, "failed"), profile="fate"))[0].delivery is REFUSED


# what is sent


def create_message(job_id: str = "job-1", **extra: Any) -> Outgoing:
    document = parse_job(
        job_id,
        {
            "dag": {"components": [{"name": "a", "componentName": "A", "provider": "p", "version": "1"}]},
            "config": {
                "initiator": {"role": "guest", "node_id": "us"},
                "role": {"guest": ["us"], "host": ["p0"]},
                "task_params": {"common": {"a": {"columns": ["x"], "none": None}}},
            },
        },
    ).document
    return outgoing("job/create", job_id=job_id, **document, **extra)


@pytest.mark.parametrize(
    ("profile", "keys", "entries"),
    [
        ("seed", {"componentName", "provider", "code", "module_name"}, False),
        ("official-1.2", {"componentName", "provider"}, True),
        ("legacy", {"code", "module_name"}, False),
        ("fate", {"componentName", "provider", "code", "module_name"}, True),
        ("kuscia", {"componentName", "provider", "code", "module_name"}, True),
    ],
)
async def test_a_create_in_each_partners_form(profile: str, keys: set[str], *, entries: bool) -> None:
    reply, partner = await ask(create_message(surplus=1), said(200, data={"status": "PENDING"}), profile=profile)
    assert (reply.delivery, reply.data) == (OK, {"status": "PENDING"})
    body = partner.heard[0].json
    assert set(body) == {"job_id", "flow_id", "dag", "config"} | ({"old_job_id"} if profile == "fate" else set())
    component = body["dag"]["components"][0]
    assert set(component) == {"name", "version", "input", "output"} | keys
    params = body["config"]["task_params"]
    assert (params["guest"], params["host"]) == (({"0": {"a": {}}},) * 2 if entries else ({}, {}))
    common = {"columns": '["x"]'} if profile == "kuscia" else {"columns": ["x"], "none": None}
    assert params["common"]["a"] == common


async def test_ids_that_kuscia_cannot_store_are_not_sent() -> None:
    for job_id in ("JG0001", "job_1", "j" * 64):
        reply, partner = await ask(create_message(job_id), said(200), profile="kuscia")
        assert (reply.delivery, partner.heard) == (REFUSED, [])
        assert job_id in reply.error


@pytest.mark.parametrize(("options", "role"), [({}, "host"), ({"role_style": "indexed"}, "host.1")])
async def test_the_role_in_a_poll(options: dict[str, Any], role: str) -> None:
    message = outgoing("task/poll", task_id="t", role="host.1")
    _, partner = await ask(message, said(200, data={"status": "RUNNING"}), options=options)
    assert partner.heard[0].json["role"] == role


async def test_a_stop_names_a_task_only_when_there_is_one() -> None:
    assert (await ask(STOP, said(200)))[1].heard[0].json == {"job_id": "j"}
    named = outgoing("job/stop", job_id="j", task_name="a", reason="not in the specification")
    assert (await ask(named, said(200)))[1].heard[0].json == {"job_id": "j", "task_name": "a"}


# status_all

ANSWERED = said(0, data={"job_status": "FINISHED", "status": {"a": "SUCCESS"}})
FORMS: dict[str, Callable[[Heard], bool]] = {
    "get_query": lambda h: (h.method, h.target.partition("?")[2], h.body) == ("GET", "job_id=j+k", b""),
    "post": lambda h: (h.method, h.target.partition("?")[2], h.json) == ("POST", "job_id=j+k", {"job_id": "j k"}),
    "get_body": lambda h: (h.method, h.target.partition("?")[2], h.json) == ("GET", "", {"job_id": "j k"}),
}


@pytest.mark.parametrize(
    ("profile", "form"),
    [("seed", "get_query"), ("official-1.2", "post"), ("fate", "get_body"), ("kuscia", "get_query")],
)
async def test_status_all_in_the_profiles_form(profile: str, form: str) -> None:
    reply, partner = await ask(STATUS, ANSWERED, profile=profile)
    assert reply.delivery is OK
    assert reply.data == {"job_status": "FINISHED", "outcome": None, "reason": "", "status": {"a": "SUCCESS"}}
    assert [FORMS[form](heard) for heard in partner.heard] == [True]


@pytest.mark.parametrize(
    "refusal", [http(405, b""), http(404, b"nothing"), said(5001, "bad request"), http(422, b"{}")]
)
async def test_status_all_falls_back_and_remembers_what_worked(refusal: bytes) -> None:
    partner = ScriptedPartner(refusal, refusal, ANSWERED)
    async with gateway_to(partner) as gateway:
        assert (await gateway.call(STATUS)).delivery is OK
        assert (await gateway.call(STATUS)).delivery is OK
    forms = [next(name for name, fits in FORMS.items() if fits(heard)) for heard in partner.heard]
    assert forms == ["get_query", "post", "get_body", "get_body"]


async def test_an_unknown_job_is_not_asked_for_three_times() -> None:
    reply, partner = await ask(STATUS, said(404, "unknown"))
    assert (reply.delivery, len(partner.heard)) == (REFUSED, 1)
    # FATE-Flow's way of not knowing a job.
    assert (await ask(STATUS, said(0, data={}), profile="fate"))[0].delivery is REFUSED


async def test_kuscias_status_without_a_job_status() -> None:
    reply, _ = await ask(STATUS, said(200, data={"status": {"t": "FAILED"}}), profile="kuscia")
    assert reply.delivery is OK
    assert (reply.data["job_status"], reply.data["status"]) == ("", {"t": "FAILED"})
