"""Who gets a connection to a listener: how many together, how many from one address, how fast one after the other."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from typing import Any

from embedded_scheduler.addresses import origin_of

_LOG = logging.getLogger(__name__)

_COMPLAIN_SECONDS = 60.0
_BURST_SECONDS = 2.0
"""What an origin may open at once, in seconds of its rate."""
_LONGEST_TURN_SECONDS = 2.0
"""Well below what partners wait for a connection."""
_ORIGINS = 4096
"""Remembered; the one not heard of for longest is forgotten first."""


class Pace:
    """How fast each origin's new connections get their turn; None = at once, and so over a unix socket.

    An origin's turns are `1 / per_second` apart once it has used up its burst.
    """

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._next: OrderedDict[str, float] = OrderedDict()
        """When the burst is whole again, if nothing more comes; the origin not heard of for longest first."""

    def wait(self, origin: str, now: float) -> float | None:
        """Seconds until the turn of one more connection; None = too long to keep it."""
        if self._per_second is None or not origin:
            return 0.0
        whole = max(now, self._next.get(origin, now)) + 1 / self._per_second
        wait = max(0.0, whole - now - _BURST_SECONDS)
        if wait > _LONGEST_TURN_SECONDS:
            return None
        self._next[origin] = whole
        self._next.move_to_end(origin)
        if len(self._next) > _ORIGINS:
            self._next.popitem(last=False)
        return wait


class Places:
    """Who has a connection: together, by origin, and who has not asked for anything on his yet."""

    def __init__(self, most: int | None, most_each: int | None) -> None:
        self._most = most
        self._most_each = most_each
        self._taken: dict[asyncio.Task[None], str] = {}
        self._each: Counter[str] = Counter()
        self._silent: dict[asyncio.Task[None], None] = {}
        """In the order of their coming."""
        self._refused = 0
        self._complained = -_COMPLAIN_SECONDS

    def take(self, origin: str) -> bool:
        """Whether a connection from there is served."""
        if self._most_each is not None and origin and self._each[origin] >= self._most_each:
            self.complain(f"{origin} has {self._most_each} open (limits.connections_per_address)")
            return False
        if self._most is None or len(self._taken) < self._most:
            return True
        silent = next(iter(self._silent), None)
        self.complain(f"{self._most} are open (limits.connections)")
        if silent is None:
            return False
        del self._silent[silent]
        silent.cancel()
        return True

    def occupy(self, task: asyncio.Task[None], origin: str) -> None:
        self._taken[task] = origin
        self._each[origin] += 1
        self._silent[task] = None

    def asked(self, task: asyncio.Task[None]) -> None:
        self._silent.pop(task, None)

    def leave(self, task: asyncio.Task[None]) -> None:
        origin = self._taken.pop(task)
        self._each[origin] -= 1
        if not self._each[origin]:
            del self._each[origin]
        self._silent.pop(task, None)

    def complain(self, why: str) -> None:
        """One line a minute, however many are refused."""
        self._refused += 1
        now = asyncio.get_running_loop().time()
        if now - self._complained >= _COMPLAIN_SECONDS:
            _LOG.warning("%d connections refused or ended: %s", self._refused, why)
            self._refused, self._complained = 0, now


def peer_origin(peer: Any) -> str:
    """The address that connections are counted by; empty for a unix socket."""
    if not isinstance(peer, tuple):
        return ""
    return origin_of(str(peer[0]))
