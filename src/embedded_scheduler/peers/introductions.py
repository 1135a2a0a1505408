"""Calls to nodes that are no partners yet: by address, pinned to the key of an invitation."""

from __future__ import annotations

from embedded_scheduler.engine.ports import Outgoing, Reply
from embedded_scheduler.peers.directory import Partner
from embedded_scheduler.peers.gateway import HttpGateway
from embedded_scheduler.peers.profiles import DEFAULT


class Introductions:
    """`engine.ports.Introducer` on the gateway's connections. Requests are signed with our key, answers are taken as
    they come: the caller checks what is in them."""

    def __init__(self, gateway: HttpGateway) -> None:
        self._gateway = gateway

    async def call(self, url: str, fingerprint: str, message: Outgoing) -> Reply:
        stranger = Partner(message.node_id, url.rstrip("/"), "manual", DEFAULT, signing="off", tls=fingerprint or "ca")
        return await self._gateway.call_at(stranger, message)
