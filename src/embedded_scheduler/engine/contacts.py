"""When each partner last answered, and what was wrong last: facts for the operator, kept while the node runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from embedded_scheduler.clock import Clock
from embedded_scheduler.engine.ports import Delivery, Outgoing, PartnerGateway, Reply
from embedded_scheduler.sentences import Words


@dataclass(frozen=True, slots=True)
class Contact:
    """Times are epoch ms; None = not since the node started."""

    last_ok_ms: int | None = None
    last_error: Words = ""
    last_error_ms: int | None = None
    took_ms: int | None = None
    """How long the last answer took."""


class Contacts:
    """A `PartnerGateway` that passes every call on and notes how it ended. A readable refusal is an answer too."""

    def __init__(self, gateway: PartnerGateway, clock: Clock) -> None:
        self._gateway = gateway
        self._clock = clock
        self._known: dict[str, Contact] = {}

    def of(self, node_id: str) -> Contact:
        return self._known.get(node_id, Contact())

    async def call(self, message: Outgoing) -> Reply:
        began = self._clock.monotonic()
        reply = await self._gateway.call(message)
        now = self._clock.now_ms()
        known = self.of(message.node_id)
        if reply.delivery is not Delivery.FAILED:
            waited_ms = round((self._clock.monotonic() - began) * 1000)
            known = replace(known, last_ok_ms=now, took_ms=waited_ms if reply.took_ms is None else reply.took_ms)
        if reply.delivery is not Delivery.OK:
            known = replace(known, last_error=reply.error, last_error_ms=now)
        self._known[message.node_id] = known
        return reply

    async def close(self) -> None:
        await self._gateway.close()
