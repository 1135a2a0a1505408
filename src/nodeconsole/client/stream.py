"""Bodies that are read as they come: bytes, and the events of a `text/event-stream`."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar, cast

import httpcore
from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)
BROKEN = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)
"""What the HTTP library raises when there is no connection, or no longer."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event. `name` is `message` unless the server named it."""

    name: str
    data: bytes


class EventDecoder:
    """Turns chunks of any size into events. Lines end at a line feed only: JSON text may hold every other separator."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._name = ""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that `chunk` completes; comments (heartbeats) are dropped."""
        self._rest += chunk
        if b"\n" not in chunk:
            return []
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        return [event for line in lines if (event := self._line(line.removesuffix(b"\r"))) is not None]

    def _line(self, line: bytes) -> ServerEvent | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> ServerEvent | None:
        name, data = self._name, self._data
        self._name, self._data = "", []
        if not data and not name:
            return None
        return ServerEvent(name or "message", b"\n".join(data))


class ByteStream:
    """A response's body in pieces of any size; an async iterator that is opened by its first step.

    Not a generator: one that is left half-way would be closed by the event loop, too late and in the wrong order.
    Whoever leaves early may call `aclose`; the client closes what is left.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[httpcore.Response]],
        step: Callable[[Coroutine[Any, Any, bytes]], Awaitable[bytes]],
        explain: Callable[[Exception], Exception],
    ) -> None:
        """`connect` sends the request; `step` runs what may be ended from outside; `explain` turns a broken connection
        into what the caller is told."""
        self._connect = connect
        self._step = step
        self._explain = explain
        self._response: httpcore.Response | None = None
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        try:
            return await self._step(self._read())
        except BROKEN as error:
            await self.aclose()
            raise self._explain(error) from None
        except BaseException:
            await self.aclose()
            raise

    async def _read(self) -> bytes:
        if self._chunks is None:
            self._response = await self._connect()
            self._chunks = cast("AsyncGenerator[bytes, None]", self._response.aiter_stream())
        return await anext(self._chunks)

    async def aclose(self) -> None:
        """Give the connection up. Calling it again does nothing."""
        self._over = True
        chunks, self._chunks = self._chunks, None
        response, self._response = self._response, None
        if chunks is not None:
            await chunks.aclose()
        if response is not None:
            await response.aclose()


class PageStream(Generic[M]):
    """The messages of an event stream; ends with the stream, or with its event `end`."""

    def __init__(self, chunks: ByteStream, read: Callable[[bytes], M]) -> None:
        self._chunks = chunks
        self._read = read
        self._decoder = EventDecoder()
        self._waiting: deque[ServerEvent] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> M:
        while not self._waiting:
            self._waiting.extend(self._decoder.feed(await anext(self._chunks)))
        event = self._waiting.popleft()
        if event.name == "end":
            await self.aclose()
            raise StopAsyncIteration
        return self._read(event.data)

    async def aclose(self) -> None:
        self._waiting.clear()
        await self._chunks.aclose()
