"""Messages of the channel on their way to a reader: taken, or looked at and left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from embedded_scheduler.engine.channel_session import Session, resolve
from embedded_scheduler.engine.spool import Entry, Queue, Reading
from embedded_scheduler.errors import Unavailable

SMALL = 64 * 1024
"""Bodies up to this size are held in memory and forwarded again when a try fails."""
PIECE = 1024 * 1024
"""Bytes per disk access of a large message."""


class Lease:
    """A message handed to a reader. Exactly one of `done` (it has it) and `put_back` (it does not) must follow."""

    def __init__(self, session: Session, queue: Queue, entry: Entry, reading: Reading) -> None:
        self._session = session
        self._queue = queue
        self._entry = entry
        self._reading = reading

    @property
    def sender(self) -> str:
        return self._queue.sender

    @property
    def size(self) -> int:
        return self._reading.size

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._reading.metadata

    def chunks(self, piece: int = PIECE) -> AsyncIterator[bytes]:
        """The payload, once, in pieces of at most `piece` bytes (all but the last of that size)."""
        return _pieces(self._reading, piece)

    def done(self) -> None:
        """Remove the message."""
        self._reading.close()
        self._session.files.remove(self._entry)
        self._session.moved += self._entry.size
        resolve(self._session.room)

    def put_back(self) -> None:
        """The message becomes the oldest of its queue again."""
        self._reading.close()
        files = self._session.files
        if self._session.over or files.queues.get((self._queue.sender, self._queue.topic)) is not self._queue:
            self.done()
            return
        self._queue.entries.appendleft(self._entry)
        self._session.wake_readers(self._queue.topic)


class Glance:
    """A message looked at and left where it is. Close it."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.size = reading.size
        self.metadata = reading.metadata

    def chunks(self, piece: int = PIECE) -> AsyncIterator[bytes]:
        return _pieces(self._reading, piece)

    def close(self) -> None:
        self._reading.close()


async def _pieces(reading: Reading, piece: int) -> AsyncIterator[bytes]:
    if reading.size <= PIECE:
        # Written by this process moments ago, as a rule: to read it is quicker than to have a thread do it.
        data = reading.read(reading.size)
        for start in range(0, len(data), piece):
            yield data[start : start + piece]
        return
    left = reading.size
    while left > 0:
        data = await asyncio.to_thread(reading.read, piece)
        if not data:
            raise Unavailable("a stored message became shorter while it was read: check the disk of this node")
        left -= len(data)
        yield data
