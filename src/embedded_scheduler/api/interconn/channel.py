"""The channel's east-west side: partners' nodes deliver what their components pushed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from quart import Quart

from embedded_scheduler.api.authentication import Authenticator, Caller, Inbound
from embedded_scheduler.api.channel import Exchange, mount
from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.engine.assembly import Assemblies, Key
from embedded_scheduler.engine.channel import Channel
from embedded_scheduler.engine.channel_ports import Arrival
from embedded_scheduler.errors import (
    Forbidden,
    InvalidRequest,
    NodeError,
    NotFound,
    TooLarge,
    TooMany,
    Unauthenticated,
)
from embedded_scheduler.wire import ptp, ptp_bodies

_FRAMING = 512 * 1024


class MessageGate(Protocol):
    """Limits per partner, as `api.family.Gate` has them for requests."""

    def receive_message(self, caller: Caller, request: Inbound) -> AbstractContextManager[None]:
        """Held while a message arrives whose sender has not proven anything yet; `TooMany` if it has to wait."""
        ...

    def admit_message(self, source: str, remote: str, size: int) -> AbstractContextManager[None]:
        """Held while a partner's message of `size` bytes is taken in; `TooMany` as above."""
        ...

    async def turned_away(self, request: Inbound, error: NodeError) -> NodeError:
        """A message is about to be refused with `error`; returns what to answer."""
        ...


class _OpenGate:
    def receive_message(self, caller: Caller, request: Inbound) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def admit_message(self, source: str, remote: str, size: int) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    async def turned_away(self, request: Inbound, error: NodeError) -> NodeError:  # noqa: ARG002
        return error


def register(
    app: Quart,
    channel: Channel,
    assemblies: Assemblies,
    authenticator: Authenticator,
    *,
    gate: MessageGate | None = None,
) -> None:
    """Serve `/v1/interconn/chan/invoke` and its alias `/transport` in front of `app`. `assemblies` must be running."""
    side = PartnerSide(channel, assemblies, authenticator, gate or _OpenGate())
    mount(app, {ptp.INVOKE_PATH: side.invoke, ptp.TRANSPORT_PATH: side.invoke})


class PartnerSide:
    def __init__(
        self, channel: Channel, assemblies: Assemblies, authenticator: Authenticator, gate: MessageGate
    ) -> None:
        self._channel = channel
        self._assemblies = assemblies
        self._authenticator = authenticator
        self._gate = gate

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
        try:
            caller, body, size = await self._receive(exchange, inbound)
            exchange.seal = lambda answer: self._authenticator.answer_headers(caller, inbound, answer)
            with self._gate.admit_message(caller.source, inbound.remote, size):
                await self._take(exchange, caller, body)
        except (Unauthenticated, TooMany) as error:
            raise await self._gate.turned_away(inbound, error) from None
        await exchange.answer(ptp.Code.OK)

    async def _receive(self, exchange: Exchange, inbound: Inbound) -> tuple[Caller, AsyncIterator[bytes], int]:
        """Who sends, proven as far as it has to be; the message, and its size as far as it is known."""
        caller = self._authenticator.identify(inbound, component=False)
        if not caller.proven:
            return caller, exchange.body(), exchange.size or 0
        # What is signed is small, or in parts: it has to be here whole before anything of it counts, for or against.
        with self._gate.receive_message(caller, inbound):
            whole = await exchange.whole_body(self._channel.limits.body_bytes)
            return self._authenticator.verify(caller, inbound, whole), _one(whole), len(whole)

    async def _take(self, exchange: Exchange, caller: Caller, body: AsyncIterator[bytes]) -> None:
        source = caller.source
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
            # The transport's own nonce may be missing; the one that is signed never is.
            nonce = exchange.text(ptp.NONCE) or (caller.nonce if caller.proven else "")
            await self._channel.store(
                Arrival(session_id, source, wait, exchange.size or 0, nonce),
                ptp_bodies.invoke_body(exchange.headers, body, self._channel.limits.body_bytes),
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
                ptp_bodies.invoke_body(exchange.headers, stream, self._channel.limits.body_bytes),
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
