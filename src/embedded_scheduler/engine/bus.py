"""Wake-ups after a commit: whoever waits looks at the database again. Correctness never depends on one.

Everything here belongs to the node's event loop thread. Sequence numbers are those of the event ledger; what they
say is read from there, so a subscriber that was slow reads one page instead of a queue of copies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType


class Wakeup:
    """A flag a service sleeps on. Setting it many times while the service works wakes it once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, timeout_seconds: float | None = None) -> bool:
        """Return True once it was set (and clear it), or False after `timeout_seconds`; None waits for ever."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Subscription:
    """One reader of the published stream. A context manager; close it, or the bus keeps waking it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._wakeup = Wakeup()
        self._newest = 0

    def offer(self, seq: int) -> None:
        """Called by the bus."""
        self._newest = max(self._newest, seq)
        self._wakeup.set()

    async def get(self, timeout_seconds: float | None = None) -> int | None:
        """The newest sequence number published since the last call, or None if nothing was within the time."""
        if not await self._wakeup.wait(timeout_seconds):
            return None
        return self._newest

    def close(self) -> None:
        self._bus.forget(self)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Bus:
    """Connects `Database.on_commit` with services and subscribers."""

    def __init__(self, last_seq: int = 0) -> None:
        self._last_seq = last_seq
        self._subscriptions: set[Subscription] = set()
        self._wakeups: dict[str, Wakeup] = {}
        self._job_waiters: dict[str, set[Wakeup]] = {}

    @property
    def last_seq(self) -> int:
        """Highest sequence number seen; 0 until something was published, unless told at construction."""
        return self._last_seq

    def publish(self, seqs: Sequence[int]) -> None:
        """Tell everybody that these events are committed."""
        if not seqs:
            return
        newest = max(seqs)
        self._last_seq = max(self._last_seq, newest)
        for subscription in tuple(self._subscriptions):
            subscription.offer(newest)

    def wakeup(self, name: str) -> Wakeup:
        """The wake-up of this name (`delivery`, `watching` …); every caller of one name shares it."""
        return self._wakeups.setdefault(name, Wakeup())

    def subscribe(self) -> Subscription:
        """From now on; read the ledger once after subscribing to miss nothing."""
        subscription = Subscription(self)
        self._subscriptions.add(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)

    def settled(self, job_id: str) -> None:
        """Something about this job was committed, be it an event or a delivered call."""
        for wakeup in self._job_waiters.get(job_id, ()):
            wakeup.set()

    @contextmanager
    def job(self, job_id: str) -> Iterator[Wakeup]:
        """A wake-up that is set whenever the job is `settled`, as long as the context lasts."""
        wakeup = Wakeup()
        waiters = self._job_waiters.setdefault(job_id, set())
        waiters.add(wakeup)
        try:
            yield wakeup
        finally:
            waiters.discard(wakeup)
            if not waiters:
                self._job_waiters.pop(job_id, None)
