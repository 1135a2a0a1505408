"""Which nonces proven callers have used a short while ago, and for what."""

from __future__ import annotations

from collections import OrderedDict

from embedded_scheduler.clock import Clock
from embedded_scheduler.wire.bfia.signature import WINDOW_MS

SECONDS = 2 * WINDOW_MS / 1000
"""A request that is stamped as far ahead as is let in can come again for this long."""
PER_PARTNER = 16_384


class Nonces:
    """In memory and bounded per partner (the oldest go first): the inbox remembers what has an effect.

    Only callers that proved who they are get in, so nobody fills the memory of another.
    """

    def __init__(self, clock: Clock, per_partner: int = PER_PARTNER) -> None:
        self._clock = clock
        self._per_partner = per_partner
        self._used: dict[str, OrderedDict[str, tuple[float, bytes]]] = {}

    def admit(self, source: str, nonce: str, request: bytes) -> bool:
        """Whether the nonce is new or was used for this very request (its digest); remembers it."""
        now = self._clock.monotonic()
        used = self._used.setdefault(source, OrderedDict())
        self._forget(used, now - SECONDS)
        known = used.get(nonce)
        if known is not None:
            return known[1] == request
        used[nonce] = (now, request)
        if len(used) > self._per_partner:
            used.popitem(last=False)
        return True

    def _forget(self, used: OrderedDict[str, tuple[float, bytes]], before: float) -> None:
        while used and next(iter(used.values()))[0] < before:
            used.popitem(last=False)
