"""HTTP to one node, over its unix socket or over the link to another machine; and what to say when it does not answer.

The HTTP library's core is used as it is: what lies above it (redirects, cookies, proxies, certificates of the world)
is of no use here, and would take a tenth of the console's memory.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode
from weakref import WeakSet

import httpcore
from pydantic import ValidationError

from embedded_scheduler.home import Home
from embedded_scheduler.wire.console import Problem
from nodeconsole.client.errors import ClientClosed, ClientError, NodeUnreachable
from nodeconsole.client.link import Link, behind, link_failure
from nodeconsole.client.stream import BROKEN, ByteStream

_PREFIX = "http://node/v1/console"
_LONGEST_ADDRESS = 107
"""Bytes of a path that fit into a unix socket address (108 with the final NUL)."""
_MOST = 100
"""Connections at a time; each stream that is followed holds one."""
_IDLE_SECONDS = 5.0
_CALL = {"connect": 5.0, "read": 60.0, "write": 60.0, "pool": 60.0}
_PATIENT = {"connect": 5.0}
_STREAM = _CALL | {"read": 45.0}
"""The node sends a heartbeat every 15 seconds; three missed ones mean that it is gone."""

T = TypeVar("T")


class Connection:
    """Serves any number of concurrent calls, and opens what it needs when it is first used.

    `ClientError`: the node says no; `NodeUnreachable`: it does not answer; `ClientClosed`: nobody is to be asked now.
    """

    def __init__(self, where: Path | Link) -> None:
        self._where = where
        self._directory = -1
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._streams: WeakSet[ByteStream] = WeakSet()
        self._steps: set[asyncio.Task[Any]] = set()
        """What is under way now: each the sending of a request, or the reading of one more piece."""
        self._closing: asyncio.Task[None] | None = None

    def open(self) -> httpcore.AsyncConnectionPool:
        if self._closing is not None:
            raise ClientClosed
        if self._pool is None:
            where = self._where
            if isinstance(where, Link):
                self._pool = where.pool(_MOST)
            else:
                self._pool = httpcore.AsyncConnectionPool(
                    uds=self._address(where), max_connections=_MOST, keepalive_expiry=_IDLE_SECONDS
                )
        return self._pool

    async def close(self) -> None:
        """End what is under way, with `ClientClosed` for those who wait for it, and close what is open; for good.

        Whoever is cancelled meanwhile is told so when all is closed: a connection that is left half closed, or that a
        call opens after its pool was emptied, is nobody's any more.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await _to_the_end(self._closing)

    async def _close(self) -> None:
        while steps := tuple(self._steps):
            for step in steps:
                step.cancel()
            await asyncio.wait(steps)
        for stream in tuple(self._streams):
            await stream.aclose()
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()
        if isinstance(self._where, Link):
            await self._where.close()
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    async def _step(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it in a task of its own, so that `close` can end it without ending the caller."""
        step = asyncio.ensure_future(work)
        self._steps.add(step)
        step.add_done_callback(self._steps.discard)
        try:
            return await step
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if self._closing is not None and (caller is None or not caller.cancelling()):
                raise ClientClosed from None
            raise

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        patient: bool = False,
    ) -> bytes:
        """The body of the answer. `patient`: for what may take the node as long as it likes."""
        content = b"" if body is None else json.dumps(body, allow_nan=False).encode()
        headers = [] if body is None else [("Content-Type", "application/json")]
        try:
            response = await self._step(
                self.open().request(
                    method,
                    _url(path, query),
                    headers=headers,
                    content=None if method == "GET" else content,
                    extensions={"timeout": _PATIENT if patient else _CALL},
                )
            )
        except BROKEN as error:
            raise self._broken(error) from None
        if not _is_success(response):
            raise _problem(response.status, response.content)
        return response.content

    def stream(self, path: str, query: Mapping[str, Any]) -> ByteStream:
        """The body as it comes; the request is sent by the first step."""

        async def connect() -> httpcore.Response:
            request = httpcore.Request(
                "GET", _url(path, query), headers=[("Host", "node")], extensions={"timeout": _STREAM}
            )
            response = await self.open().handle_async_request(request)
            if _is_success(response):
                return response
            try:
                raise _problem(response.status, await response.aread())
            finally:
                await response.aclose()

        stream = ByteStream(connect, self._step, self._broken)
        self._streams.add(stream)
        return stream

    def _address(self, socket: Path) -> str:
        address = str(socket)
        if len(os.fsencode(address)) <= _LONGEST_ADDRESS:
            return address
        # Too long for a socket address: name the directory by an open descriptor of this process instead.
        try:
            self._directory = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            raise self._unreachable("there is no such directory") from None
        return f"/proc/self/fd/{self._directory}/{socket.name}"

    def _broken(self, error: Exception) -> NodeUnreachable:
        failure = link_failure(error)
        if failure is not None and isinstance(self._where, Link):
            return NodeUnreachable(f"{failure.message} ({self._where.target})")
        return self._unreachable(_why(error))

    def _unreachable(self, why: str) -> NodeUnreachable:
        if isinstance(self._where, Link):
            return NodeUnreachable(
                f"no node answers at {self._where.target} ({why}): start it there, or name its directory behind the "
                "host, ssh://HOST/DIRECTORY"
            )
        home = self._where.parent
        if self._where == Home(home).socket and not Home(home).settings_file.exists():
            return NodeUnreachable(f"there is no node in {home}: `nodeconsole up --home {home}` creates one")
        return NodeUnreachable(
            f"no node answers on {self._where} ({why}): start it with `nodeconsole serve --home {home}`"
        )


async def _to_the_end(task: asyncio.Task[None]) -> None:
    """Wait for it, also while being cancelled; only then is that raised."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as again:
            cancelled = again
    if cancelled is not None:
        raise cancelled
    task.result()


def _url(path: str, query: Mapping[str, Any] | None) -> str:
    """`query`: what is None is not asked for; a flag is sent only when it is set."""
    given = {name: value for name, value in (query or {}).items() if value is not None and value is not False}
    words = {name: "1" if value is True else str(value) for name, value in given.items()}
    return f"{_PREFIX}{path}{'?' if words else ''}{urlencode(words, errors='surrogatepass')}"


def _is_success(response: httpcore.Response) -> bool:
    return 200 <= response.status < 300


def _problem(status: int, content: bytes) -> ClientError:
    try:
        problem = Problem.model_validate_json(content)
    except ValidationError:
        return ClientError(f"the node answered with HTTP status {status}", status)
    code, said = problem.code or "internal", problem.said.get("detail")
    return ClientError(problem.detail or problem.title, problem.status, code, said)


def _why(error: Exception) -> str:
    if isinstance(error, httpcore.TimeoutException):
        return "it does not answer in time"
    for cause in behind(error):
        if isinstance(cause, FileNotFoundError):
            return "there is no socket"
        if isinstance(cause, ConnectionRefusedError):
            return "nobody listens"
        if isinstance(cause, PermissionError):
            return "the socket belongs to another user; those with a role have one of their own: --socket PATH"
    return "the connection broke"
