"""Messages that arrive in parts: each part is a request of its own, small and soon answered, so that gateways with
limits on bodies and idle connections let a large message through.

The parts of a message come one after the other. What is being put together lives in memory and in a draft file; after a
restart of this node it is gone, and the sender is told so.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from embedded_scheduler.engine.channel_ports import BufferFull
from embedded_scheduler.errors import NodeError, NotFound, TimedOut, Unavailable

_LOG = logging.getLogger(__name__)

STALL_SECONDS = 120.0
"""A message of which no part arrived for this long is given up."""
AT_ONCE, AT_ONCE_PER_SENDER = 64, 16
PARTS_WAITING = 2
"""Parts that are taken in before the first of them is on its way to the disk."""
REMEMBERED_SECONDS = 120.0
"""How long the end of a message is remembered, for parts that come after it or again."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which message: its sender, its session, and the sender's nonce for the whole of it."""

    sender: str
    session_id: str
    message: str


Store = Callable[[AsyncIterator[bytes]], Awaitable[None]]


class _Assembly:
    """One message on its way in. `store` reads it as one stream."""

    def __init__(self) -> None:
        self.expected = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody may be asking any more when it fails.
        self.over.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._parts: deque[bytes] = deque()
        self._closed = False
        self._abandoned = False
        self._changed = asyncio.Condition()

    @property
    def failed(self) -> bool:
        return self.over.done() and self.over.exception() is not None

    async def take(self, index: int, part: bytes, *, last: bool, wait: float) -> None:
        """Returns when the part is taken in; the last one, when the message is stored."""
        try:
            async with asyncio.timeout(wait):
                await self._enqueue(index, part, last=last)
                if last:
                    await asyncio.shield(self.over)
        except TimeoutError:
            raise BufferFull("no room for this part yet: send it again") from None

    async def _enqueue(self, index: int, part: bytes, *, last: bool) -> None:
        async with self._changed:
            await self._changed.wait_for(
                lambda: self.over.done() or index < self.expected or len(self._parts) < PARTS_WAITING
            )
            if self.over.done():
                self.over.result()
            if index < self.expected:
                return
            if index > self.expected:
                raise _lost()
            self._parts.append(part)
            self.expected += 1
            self._closed = last
            self._changed.notify_all()

    async def abandon(self) -> None:
        async with self._changed:
            self._abandoned = True
            self._changed.notify_all()

    async def stream(self) -> AsyncIterator[bytes]:
        while True:
            async with self._changed:
                try:
                    async with asyncio.timeout(STALL_SECONDS):
                        await self._changed.wait_for(lambda: bool(self._parts) or self._closed or self._abandoned)
                except TimeoutError:
                    raise TimedOut(f"no further part of the message came for {STALL_SECONDS:.0f} s") from None
                if self._abandoned:
                    raise Unavailable("the sender gave the message up in the middle")
                if not self._parts:
                    return
                part = self._parts.popleft()
                self._changed.notify_all()
            yield part

    async def settle(self, failure: BaseException | None) -> None:
        if not self.over.done():
            if failure is None:
                self.over.set_result(None)
            else:
                self.over.set_exception(failure)
        async with self._changed:
            self._parts.clear()
            self._changed.notify_all()


class Assemblies:
    """The service that stores messages while their parts arrive."""

    name = "channel parts"

    def __init__(self) -> None:
        self._open: dict[Key, _Assembly] = {}
        self._begun: asyncio.Queue[tuple[Key, _Assembly, Store]] = asyncio.Queue()

    async def take(self, key: Key, index: int, part: bytes, *, last: bool, wait: float, store: Store) -> None:
        """Take in one part (numbered from 0); a part that was taken in already is acknowledged again.

        `store` is used for the first part: it gets the whole message as a stream. Raises what it raised, `BufferFull`
        when the part must come again later, `NotFound` when earlier parts are not here.
        """
        assembly = self._open.get(key)
        if assembly is None or (index == 0 and assembly.failed):
            if index > 0:
                raise _lost()
            assembly = self._begin(key, store)
        await assembly.take(index, part, last=last, wait=wait)

    async def abandon(self, key: Key) -> None:
        """The sender will not send the rest."""
        assembly = self._open.get(key)
        if assembly is not None:
            await assembly.abandon()

    def _begin(self, key: Key, store: Store) -> _Assembly:
        arriving = [other for other, assembly in self._open.items() if not assembly.over.done()]
        of_sender = sum(1 for other in arriving if other.sender == key.sender)
        if len(arriving) >= AT_ONCE or of_sender >= AT_ONCE_PER_SENDER:
            raise BufferFull(f"{of_sender} large messages of {key.sender} are arriving already: send this one later")
        assembly = self._open[key] = _Assembly()
        self._begun.put_nowait((key, assembly, store))
        return assembly

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    key, assembly, store = await self._begun.get()
                    group.create_task(self._store(key, assembly, store), name=f"parts:{key.session_id}")
        finally:
            # Nobody stores them any more; their senders are told so.
            self._open.clear()

    async def _store(self, key: Key, assembly: _Assembly, store: Store) -> None:
        failure: Exception | None = None
        try:
            await store(assembly.stream())
        except (NodeError, OSError) as error:
            failure = error
        except Exception as error:  # noqa: BLE001 (one message must not take the others with it)
            _LOG.exception("a message of %s in parts could not be stored", key.sender)
            failure = error
        await assembly.settle(failure)
        await asyncio.sleep(REMEMBERED_SECONDS)
        if self._open.get(key) is assembly:
            del self._open[key]


def _lost() -> NotFound:
    return NotFound("the beginning of this message is not here (any more): push it again from the start")
