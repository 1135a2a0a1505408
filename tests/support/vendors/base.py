"""What all imitated nodes have in common: a port, calls to other nodes, computations that end, and a way to die."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import h11
import httpx

PREFIX = "/v1/interconn/schedule/"
OVER = frozenset({"SUCCESS", "FAILED"})
_CHUNK = 64 * 1024


class Mishap(StrEnum):
    """What becomes of one request."""

    NONE = "none"
    ERROR = "HTTP 500, the request is not looked at"
    GARBAGE = "acts, then answers what is no JSON"
    SILENT = "acts, then hangs up without an answer"
    SLOW = "acts after `slowness` seconds"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `headers` have their names as sent."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def operation(self) -> str:
        return self.path.removeprefix(PREFIX)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json"


@dataclass(slots=True)
class Computation:
    """One task of one of this node's jobs; `words` by role."""

    job_id: str
    name: str
    words: dict[str, str] = field(default_factory=dict)


class Vendor:
    """A node of another make. An async context manager; `die` and `revive` keep port and memory."""

    def __init__(self, node_id: str, *, work: float = 0.05) -> None:
        self.node_id = node_id
        self.work = work
        self.peers: dict[str, str] = {}
        """Base address of every node it talks to, itself included."""
        self.failing: set[str] = set()
        """Names of the tasks that fail here."""
        self.computations: dict[str, Computation] = {}
        """By task id, in the order in which they were started here."""
        self.starts: list[str] = []
        """Name of every task that was really launched."""
        self.asked: list[Asked] = []
        self.mishap: Callable[[Asked], Mishap] = lambda _: Mishap.NONE
        self.slowness = 0.5
        self.crash: BaseException | None = None
        """What ended the process, when it was a fault of its own."""
        self._server: asyncio.Server | None = None
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(trust_env=False, timeout=10.0)

    # -- life ---------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.revive()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.die()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def die(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def revive(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = int(self._server.sockets[0].getsockname()[1])
        self.peers[self.node_id] = self.url

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Like a goroutine: an exception that nobody catches ends the process."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - that is the point
                self.crash = error
                if self._server is not None:
                    self._server.close()

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- being asked --------------------------------------------------------------------------------------------------

    async def answer(self, asked: Asked) -> Answer:
        raise NotImplementedError

    def requests(self, operation: str) -> list[Any]:
        """Decoded bodies of the requests of one operation, as they came."""
        return [json.loads(asked.body or b"null") for asked in self.asked if asked.operation == operation]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await _read(reader)
            if asked is not None and self.crash is None:
                await self._treat(asked, writer)
        except (OSError, h11.ProtocolError):
            writer.transport.abort()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _treat(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.asked.append(asked)
        mishap = self.mishap(asked)
        if mishap is Mishap.SLOW:
            await asyncio.sleep(self.slowness)
        answer = Answer(500, b"<h1>oops</h1>", "text/html") if mishap is Mishap.ERROR else await self.answer(asked)
        if mishap is Mishap.SILENT:
            writer.transport.abort()
            return
        if mishap is Mishap.GARBAGE:
            answer = Answer(200, b'{"code": 20', "application/json")
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.next_event()
        head = h11.Response(
            status_code=answer.status,
            headers=[
                ("content-type", answer.content_type),
                ("content-length", str(len(answer.body))),
                ("connection", "close"),
            ],
        )
        for event in (head, h11.Data(data=answer.body), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        await writer.drain()

    # -- asking -------------------------------------------------------------------------------------------------------

    async def send(
        self,
        method: str,
        node_id: str,
        operation: str,
        headers: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
    ) -> httpx.Response:
        """One request as given, without retry."""
        content = b"" if body is None else json.dumps(body).encode()
        url = self.peers[node_id] + PREFIX + operation
        return await self._client.request(method, url, headers=headers, params=query, content=content)

    # -- computing ----------------------------------------------------------------------------------------------------

    def compute(self, task_id: str, job_id: str, name: str, roles: list[str]) -> None:
        """Launch a task in the given roles, which ends by itself."""
        self.starts.append(name)
        found = self.computations[task_id] = Computation(job_id, name, dict.fromkeys(roles, "RUNNING"))
        end = "FAILED" if name in self.failing else "SUCCESS"

        def over() -> None:
            for role, word in found.words.items():
                if word == "RUNNING":
                    found.words[role] = end
            self.computed(task_id)

        asyncio.get_running_loop().call_later(self.work, over)

    def computed(self, task_id: str) -> None:
        """A computation has ended."""

    def halt(self, job_id: str, name: str = "") -> None:
        """End what still runs of a job."""
        for found in self.computations.values():
            if found.job_id == job_id and name in ("", found.name):
                for role, word in found.words.items():
                    if word not in OVER:
                        found.words[role] = "FAILED"

    def words_of(self, job_id: str) -> dict[str, str]:
        """State of every task of a job that was started here, over all roles of this node."""
        return {c.name: combined(list(c.words.values())) for c in self.computations.values() if c.job_id == job_id}


def combined(words: list[str]) -> str:
    """FAILED before RUNNING before READY before PENDING before SUCCESS."""
    return next((word for word in ("FAILED", "RUNNING", "READY", "PENDING") if word in words), "SUCCESS")


def roles_of(config: Mapping[str, Any], node_id: str) -> list[str]:
    return [role for role, nodes in config["role"].items() if node_id in (nodes or [])]


def nodes_of(config: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(node for nodes in config["role"].values() for node in nodes or []))


def upstream_of(component: Mapping[str, Any]) -> list[str]:
    return [port["key"].split(".")[0] for port in component.get("input") or []]


def envelope(code: int, text: str, data: object, *, text_key: str = "msg") -> Answer:
    """`data` None = the member is null."""
    return Answer(200, json.dumps({"code": code, text_key: text, "data": data}).encode())


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    connection = h11.Connection(h11.SERVER)
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            break
    if head is None:
        return None
    target = urlsplit(head.target.decode())
    headers = tuple((name.decode(), value.decode()) for name, value in head.headers.raw_items())
    return Asked(head.method.decode(), target.path, dict(parse_qsl(target.query)), headers, bytes(body))
