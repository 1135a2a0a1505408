"""The channel's east-west side: partners' nodes deliver what their components pushed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

from quart import Quart

from embedded_scheduler.api.authentication import Authenticator, Inbound
from embedded_scheduler.api.channel import Exchange, mount
from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.engine.assembly import Assemblies, Key
from embedded_scheduler.engine.channel import Arrival, Channel
from embedded_scheduler.errors import Forbidden, InvalidRequest, NotFound, TooLarge
from embedded_scheduler.wire import ptp

_FRAMING = 512 * 1024

Admit = Callable[[str, str, int], AbstractContextManager[None]]
"""Held while a message is taken in: from its source, the address it came from and its size. Raises `TooMany`."""


def register(
    app: Quart,
    channel: Channel,
    assemblies: Assemblies,
    authenticator: Authenticator,
    *,
    admit: Admit = lambda source, remote, size: nullcontext(),  # noqa: ARG005
) -> None:
    """Serve `/v1/interconn/chan/invoke` and its alias `/transport` in front of `app`. `assemblies` must be running."""
    side = PartnerSide(channel, assemblies, authenticator, admit)
    mount(app, {ptp.INVOKE_PATH: side.invoke, ptp.TRANSPORT_PATH: side.invoke})


class PartnerSide:
    def __init__(self, channel: Channel, assemblies: Assemblies, authenticator: Authenticator, admit: Admit) -> None:
        self._channel = channel
        self._assemblies = assemblies
        self._authenticator = authenticator
        self._admit = admit

    async def invoke(self, exchange: Exchange) -> None:
        """Keep a partner's message for our components; answered when it is on disk."""
        inbound = Inbound(
            method=exchange.method,
            path=exchange.path,
            query=exchange.query,
            headers=_with_source(exchange.raw_headers),
            connection=exchange.connection,
            transport=ptp.covered(exchange.headers),
        )
        exchange.seal = lambda answer: self._authenticator.answer_headers(None, inbound, answer)
        caller = self._authenticator.identify(inbound, component=False)
        with self._admit(caller.source, inbound.remote, exchange.size or 0):
            body: AsyncIterator[bytes] = exchange.body()
            if caller.proven:
                # What is signed is small, or in parts: it has to be here whole before anything of it counts.
                whole = await exchange.whole_body(self._channel.limits.body_bytes)
                self._authenticator.verify(caller, inbound, whole)
                body = _one(whole)
            await self._take(exchange, caller.source, body)
        await exchange.answer(ptp.Code.OK)

    async def _take(self, exchange: Exchange, source: str, body: AsyncIterator[bytes]) -> None:
        said = exchange.text(ptp.SOURCE_NODE)
        if said not in ("", source):
            raise Forbidden("the headers name two different source nodes")
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
            await self._part(exchange, source, session_id, wait, body)
        else:
            await self._channel.store(
                Arrival(session_id, source, wait, exchange.size or 0, exchange.text(ptp.NONCE)),
                ptp.invoke_body(exchange.headers, body, self._channel.limits.body_bytes),
            )

    async def _part(
        self, exchange: Exchange, source: str, session_id: str, wait: float, body: AsyncIterator[bytes]
    ) -> None:
        """One of several requests that carry a message; the headers of the first one say how the message is written."""
        message = check_id(ptp.MESSAGE, exchange.required(ptp.MESSAGE))
        index = exchange.text(ptp.PART)
        if not index.isascii() or not index.isdecimal() or len(index) > 9:
            raise InvalidRequest(f"{ptp.PART} must be a number from 0 (got {shorten(index)})")
        if exchange.text(ptp.LAST_PART) == ptp.ABANDONED:
            await self._assemblies.abandon(Key(source, session_id, message))
            return
        part = await _whole(body)

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


def _with_source(raw: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """The transport layer has a name of its own for the source node; who sends no other one means that."""
    headers = tuple(raw)
    names = {name.lower().replace(b"_", b"-") for name, _ in headers}
    if names & {b"x-source-node-id", b"x-node-id"}:
        return headers
    return (*headers, *((b"x-source-node-id", v) for n, v in headers if n.lower() == ptp.SOURCE_NODE.encode()))


async def _one(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def _whole(body: AsyncIterator[bytes]) -> bytes:
    held = bytearray()
    async for chunk in body:
        held += chunk
        if len(held) > ptp.PART_BYTES + _FRAMING:
            raise TooLarge(f"a part of a message has at most {ptp.PART_BYTES} bytes")
    return bytes(held)
