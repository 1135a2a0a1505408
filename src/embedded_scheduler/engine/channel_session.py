"""What one session of the channel holds, who waits for it, and the room that a message on its way in takes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from embedded_scheduler.engine.channel_ports import BufferFull, SessionOver
from embedded_scheduler.engine.spool import SpooledSession

MESSAGE_OVERHEAD = 4096
"""Bytes that every early message counts for beside its own: its file and its place in the index. Without it a sender of
tiny messages could have millions of them kept within the limits."""


@dataclass(slots=True)
class Session:
    files: SpooledSession
    first_ms: int
    members: frozenset[str] | None = None
    owner: str = ""
    """Whose messages made an early session."""
    over: bool = False
    reserved: int = 0
    writers: int = 0
    """Calls that store a message in this very object: it must stay the session's one until they are done."""
    tokens: dict[bytes, float] = field(default_factory=dict)
    readers: dict[str, set[asyncio.Future[None]]] = field(default_factory=dict)
    entrance: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the writer that waits for room, so that a large message is not overtaken for ever by small ones."""
    room: set[asyncio.Future[None]] = field(default_factory=set)
    moved: int = 0
    """Bytes that came in, were read and were sent since the node started."""
    heard: dict[str, int] = field(default_factory=dict)
    """When a message of each node was stored last (epoch ms)."""

    @property
    def early(self) -> bool:
        """Its job is not known here (yet)."""
        return self.members is None

    @property
    def held(self) -> int:
        """Bytes that count against the session's limit: unread, and being received."""
        return self.files.unread + self.reserved

    @property
    def burden(self) -> int:
        """What an early session costs this node: as `held`, and the messages as such."""
        return self.held + self.files.messages * MESSAGE_OVERHEAD

    def wake_readers(self, topic: str) -> None:
        resolve(self.readers.get(topic, set()))

    def wake_all(self) -> None:
        for waiting in self.readers.values():
            resolve(waiting)
        resolve(self.room)


def resolve(waiting: set[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)


class Rooms(Protocol):
    """Who knows what all sessions hold together."""

    @property
    def closing(self) -> bool: ...

    def room_for(self, session: Session, more: int) -> bool: ...


class Room:
    """A writer's share of its session's bytes, grown as the message arrives and given back when it is settled."""

    def __init__(self, rooms: Rooms, session: Session, deadline: float) -> None:
        self._rooms = rooms
        self._session = session
        self._deadline = deadline
        self._mine = 0

    async def ask(self, total: int) -> None:
        """Have at least `total` bytes reserved, waiting for readers to make room; `BufferFull` after the deadline."""
        if total <= self._mine:
            return
        if not self._session.entrance.locked() and self._take(total):
            return
        try:
            async with asyncio.timeout_at(self._deadline), self._session.entrance:
                while not self._take(total):
                    await self._next_change()
        except TimeoutError:
            raise BufferFull(
                f"session {self._session.files.session_id} holds {self._session.files.unread} unread bytes and has"
                " no room: its readers are behind (limits.channel_session_bytes)"
            ) from None

    def _take(self, total: int) -> bool:
        if self._session.over:
            raise SessionOver(f"session {self._session.files.session_id} ended while the message arrived")
        if not self._rooms.room_for(self._session, total - self._mine):
            if self._rooms.closing:
                raise BufferFull("the node is shutting down: push again later")
            return False
        self._session.reserved += total - self._mine
        self._mine = total
        return True

    async def _next_change(self) -> None:
        change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._session.room.add(change)
        try:
            await change
        finally:
            self._session.room.discard(change)

    def give_back(self) -> None:
        self._session.reserved -= self._mine
        self._mine = 0
        resolve(self._session.room)
