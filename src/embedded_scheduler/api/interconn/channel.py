"""The channel's east-west side: partners' nodes deliver what their components pushed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

from quart import Quart

from embedded_scheduler.api.channel import Exchange, mount
from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.engine.assembly import Assemblies, Key
from embedded_scheduler.engine.channel import Arrival, Channel
from embedded_scheduler.errors import Forbidden, InvalidRequest, NotFound, TooLarge
from embedded_scheduler.wire import ptp

Identify = Callable[[Mapping[str, str]], Awaitable[str]]
"""From a call's lower-case headers to the id of the partner that made it; raises `Forbidden` or `Unauthenticated`."""

_FRAMING = 512 * 1024


async def claimed_identity(headers: Mapping[str, str]) -> str:
    """The partner as its headers claim it: the seam where a verified identity goes."""
    names = {
        value for name in (ptp.SOURCE_NODE, "x-source-node-id", "x-node-id") if (value := headers.get(name, "").strip())
    }
    if not names:
        raise InvalidRequest(f"the header {ptp.SOURCE_NODE} is missing")
    if len(names) > 1:
        raise Forbidden("the headers name two different source nodes")
    return check_id("source node", names.pop())


Admit = Callable[[str, str, int], AbstractContextManager[None]]
"""Held while a message is taken in: from its source, the address it came from and its size. Raises `TooMany`."""


def register(
    app: Quart,
    channel: Channel,
    assemblies: Assemblies,
    *,
    identify: Identify = claimed_identity,
    admit: Admit = lambda source, remote, size: nullcontext(),  # noqa: ARG005
) -> None:
    """Serve `/v1/interconn/chan/invoke` and its alias `/transport` in front of `app`. `assemblies` must be running."""
    side = PartnerSide(channel, assemblies, identify, admit)
    mount(app, {ptp.INVOKE_PATH: side.invoke, ptp.TRANSPORT_PATH: side.invoke})


class PartnerSide:
    def __init__(self, channel: Channel, assemblies: Assemblies, identify: Identify, admit: Admit) -> None:
        self._channel = channel
        self._assemblies = assemblies
        self._identify = identify
        self._admit = admit

    async def invoke(self, exchange: Exchange) -> None:
        """Keep a partner's message for our components; answered when it is on disk."""
        source = await self._identify(exchange.headers)
        with self._admit(source, exchange.remote, exchange.size or 0):
            await self._take(exchange, source)
        await exchange.answer(ptp.Code.OK)

    async def _take(self, exchange: Exchange, source: str) -> None:
        if source == self._channel.node_id:
            raise Forbidden("the headers name this node itself as the source")
        target = exchange.text(ptp.TARGET_NODE)
        if target not in ("", self._channel.node_id):
            raise NotFound(f"this node is {self._channel.node_id}, not {shorten(target)}")
        session_id = check_id("x-ptp-session-id", exchange.required(ptp.SESSION_ID))
        if exchange.size == 0 and exchange.text(ptp.LAST_PART) != ptp.ABANDONED:
            raise InvalidRequest("the message is empty")
        if exchange.size is not None and exchange.size > self._channel.limits.channel_message_bytes + _FRAMING:
            raise TooLarge(f"a message has at most {self._channel.limits.channel_message_bytes} bytes")
        black_box = ptp.form_of(exchange.headers) is ptp.Form.BLACK_BOX
        wait = ptp.wait_of(exchange.timeout, ptp.BLACK_BOX_PUSH_WAIT if black_box else ptp.DEFAULT_WAIT)
        if exchange.text(ptp.PART):
            await self._part(exchange, source, session_id, wait)
        else:
            await self._channel.store(
                Arrival(session_id, source, wait, exchange.size or 0, exchange.text(ptp.NONCE)),
                ptp.invoke_body(exchange.headers, exchange.body(), self._channel.limits.body_bytes),
            )

    async def _part(self, exchange: Exchange, source: str, session_id: str, wait: float) -> None:
        """One of several requests that carry a message; the headers of the first one say how the message is written."""
        message = check_id(ptp.MESSAGE, exchange.required(ptp.MESSAGE))
        index = exchange.text(ptp.PART)
        if not index.isascii() or not index.isdecimal() or len(index) > 9:
            raise InvalidRequest(f"{ptp.PART} must be a number from 0 (got {shorten(index)})")
        if exchange.text(ptp.LAST_PART) == ptp.ABANDONED:
            await self._assemblies.abandon(Key(source, session_id, message))
            return
        part = await exchange.whole_body(ptp.PART_BYTES + _FRAMING)

        async def store(stream: AsyncIterator[bytes]) -> None:
            await self._channel.store(
                Arrival(session_id, source, ptp.LONGEST_WAIT, 0, message),
                ptp.invoke_body(exchange.headers, stream, self._channel.limits.body_bytes),
            )

        await self._assemblies.take(
            Key(source, session_id, message),
            int(index),
            part,
            last=exchange.text(ptp.LAST_PART) == "1",
            wait=min(wait, ptp.HOLD_SECONDS),
            store=store,
        )
