"""The proxy of the mesh tests does what it says, against a real server and a real client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from tests.support.faulty_proxy import Fault, FaultyProxy, Request, Rule, Treatment, Weather


class Recorder(ThreadingHTTPServer):
    """Answers with the number of requests it has seen and the body it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.bodies: list[bytes] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        answer = b"%d:%s" % (len(self.server.bodies), body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_args: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def always(fault: Fault) -> Rule:
    return lambda _request: Treatment(fault)


async def test_passes_requests_on_one_connection(recorder: Recorder) -> None:
    async with FaultyProxy(recorder.address) as proxy, httpx.AsyncClient() as http:
        answers = [(await http.post(proxy.url, content=body)).content for body in (b"a", b"x" * 300_000, b"")]
    assert answers == [b"1:a", b"2:" + b"x" * 300_000, b"3:"]
    assert proxy.treated == {Fault.NONE: 3}


async def test_a_lost_request_never_arrives(recorder: Recorder) -> None:
    async with (
        FaultyProxy(recorder.address, always(Fault.LOSE_REQUEST)) as proxy,
        httpx.AsyncClient() as http,
    ):
        with pytest.raises(httpx.TransportError):
            await http.post(proxy.url, content=b"a")
    assert recorder.bodies == []


async def test_a_lost_response_was_acted_upon(recorder: Recorder) -> None:
    async with (
        FaultyProxy(recorder.address, always(Fault.LOSE_RESPONSE)) as proxy,
        httpx.AsyncClient() as http,
    ):
        with pytest.raises(httpx.TransportError):
            await http.post(proxy.url, content=b"a")
    assert recorder.bodies == [b"a"]


async def test_a_duplicate_arrives_twice_and_answers_once(recorder: Recorder) -> None:
    async with FaultyProxy(recorder.address, always(Fault.DUPLICATE)) as proxy, httpx.AsyncClient() as http:
        answer = await http.post(proxy.url, content=b"a")
    assert answer.content == b"2:a"
    assert recorder.bodies == [b"a", b"a"]


async def test_a_partition_breaks_waiting_and_new_requests_until_it_heals(recorder: Recorder) -> None:
    arrived = asyncio.Event()

    def held(_request: Request) -> Treatment:
        arrived.set()
        return Treatment(delay=3600)

    async with FaultyProxy(recorder.address, held) as proxy, httpx.AsyncClient() as http:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_failure(http, proxy.url))
            await arrived.wait()
            proxy.partitioned = True
        assert isinstance(waiting.result(), httpx.TransportError)
        assert isinstance(await _failure(http, proxy.url), httpx.TransportError)
        proxy.partitioned = False
        proxy.rule = lambda _: Treatment()
        assert (await http.post(proxy.url, content=b"b")).content == b"1:b"


async def _failure(http: httpx.AsyncClient, url: str) -> httpx.TransportError | None:
    try:
        await http.post(url, content=b"a", timeout=30)
    except httpx.TransportError as error:
        return error
    return None


def test_weather_is_the_same_for_the_same_seed() -> None:
    request = Request("POST", "/", (), b"")

    def drawn() -> list[Treatment]:
        rule = Weather(7, lose_request=0.2, duplicate=0.2, longest_delay=0.1)
        return [rule(request) for _ in range(200)]

    first = drawn()
    assert first == drawn()
    assert {treatment.fault for treatment in first} == {Fault.NONE, Fault.LOSE_REQUEST, Fault.DUPLICATE}
    assert 0 < max(treatment.delay for treatment in first) <= 0.1
