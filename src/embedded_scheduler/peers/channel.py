"""Carries channel messages to partners' nodes over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Protocol

import httpx

from embedded_scheduler.engine.channel_ports import Envelope, NotNetworked, Verdict
from embedded_scheduler.errors import TimedOut, TooLarge, Unavailable
from embedded_scheduler.peers.clients import Clients, Route
from embedded_scheduler.peers.directory import Partner
from embedded_scheduler.peers.exchange import Exchange, NoAnswer, Request
from embedded_scheduler.peers.faults import reason
from embedded_scheduler.wire import ptp

CONNECT_SECONDS = 5.0
ANSWER_MARGIN = 10.0
"""How much longer than it may wait for room a partner may take to answer."""
WHOLE_BYTES = 16 * 1024 * 1024
"""Largest signed message that goes out in one piece."""
_ANSWER_LIMIT = 64 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0


class AddressBook(Protocol):
    """The part of the partner directory that is needed here."""

    def partner(self, node_id: str) -> Partner | None: ...


KEEPALIVE = 64
IDLE_SECONDS = 3.0
"""Idle connections are given up before a partner's server does (Hypercorn: 5 s), so that a push rarely meets a
connection that is just being closed."""


def channel_clients(route: Route) -> Clients:
    """The clients of all forwards; close them with the node."""
    return Clients(route, keepalive=KEEPALIVE, idle_seconds=IDLE_SECONDS)


class HttpForwarder:
    """`ChannelForwarder` over HTTP. A body is streamed, or goes out in parts to partners that take them."""

    def __init__(self, clients: Clients, directory: AddressBook, exchange: Exchange) -> None:
        """`exchange` signs what is sent and checks whose answer it is."""
        self._clients = clients
        self._directory = directory
        self._exchange = exchange

    async def invoke(self, envelope: Envelope, body: bytes | AsyncIterator[bytes], *, wait: float) -> Verdict:
        partner = self._directory.partner(envelope.target)
        if partner is None:
            raise NotNetworked(
                f"{envelope.target} is not a partner of this node: `nodeconsole peer invite` makes it one"
            )
        if not partner.profile.channel_parts:
            if partner.signing == "required":
                # A signature covers the whole body.
                body = await _held(body)
            return await self._send(partner, envelope, body, {}, wait)
        if isinstance(body, bytes) and len(body) <= ptp.PART_BYTES:
            # Whoever calls tries again when the partner cannot be reached.
            return await self._patiently(partner, envelope, body, {}, wait, persistent=False)
        return await self._in_parts(partner, envelope, body, wait)

    async def _in_parts(
        self, partner: Partner, envelope: Envelope, body: bytes | AsyncIterator[bytes], wait: float
    ) -> Verdict:
        """One part after the other; each may wait for room, and be tried again, for `wait` seconds."""
        index = 0
        verdict = Verdict(ptp.Code.OK, "")
        try:
            async for part, last in _parts(body):
                if index == 0 and last:
                    return await self._patiently(partner, envelope, part, {}, wait, persistent=True)
                own, more = _numbered(envelope, index, "1" if last else "")
                verdict = await self._patiently(partner, own, part, more, wait, persistent=True)
                if verdict.code != ptp.Code.OK:
                    break
                index += 1
        except (Unavailable, TimedOut):
            raise
        except Exception:
            # The component hung up in the middle: the partner need not wait for the rest.
            with contextlib.suppress(Unavailable, TimedOut):
                own, more = _numbered(envelope, index, ptp.ABANDONED)
                await self._send(partner, own, b"", more, 1.0)
            raise
        return verdict

    async def _patiently(
        self,
        partner: Partner,
        envelope: Envelope,
        body: bytes,
        more: Mapping[str, str],
        wait: float,
        *,
        persistent: bool,
    ) -> Verdict:
        """The partner's answer, asked again while it has no room, and (`persistent`) while it cannot be reached."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        pause = _FIRST_PAUSE
        while True:
            left = max(1.0, deadline - loop.time())
            try:
                verdict = await self._send(partner, envelope, body, more, min(left, ptp.HOLD_SECONDS))
                if verdict.code != ptp.Code.BUFFER_FULL or loop.time() + pause >= deadline:
                    return verdict
            except (Unavailable, TimedOut):
                if not persistent or loop.time() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def _send(
        self,
        partner: Partner,
        envelope: Envelope,
        body: bytes | AsyncIterator[bytes],
        more: Mapping[str, str],
        wait: float,
    ) -> Verdict:
        transport = self._clients.transport(partner)
        longest = wait + ANSWER_MARGIN
        headers = _headers(envelope, more)
        call = Request(
            "POST",
            ptp.INVOKE_PATH,
            f"timeout={max(1, int(wait))}",
            body if isinstance(body, bytes) else b"",
            envelope.nonce,
            envelope.trace_id,
            transport=ptp.covered({name: value.decode("latin-1") for name, value in headers.items()}),
        )
        if isinstance(body, bytes):
            signed = self._exchange.headers(partner, call)
            headers = {name: value.encode("latin-1") for name, value in signed.items()} | headers
        request = httpx.Request(
            "POST",
            partner.url + call.target,
            headers=[(name.encode(), value) for name, value in headers.items()],
            content=body,
            extensions={"timeout": httpx.Timeout(longest, connect=min(CONNECT_SECONDS, wait)).as_dict()},
        )
        try:
            response = await transport.handle_async_request(request)
            try:
                answer = await _whole(envelope.target, response)
            finally:
                await response.aclose()
            self._exchange.is_proven(partner, call, response, answer)
            return _read(envelope.target, response, answer)
        except NoAnswer as error:
            raise Unavailable(f"{envelope.target} {error} (channel push)") from None
        except httpx.ConnectError as error:
            why = reason(partner.url, error)
            raise Unavailable(f"{envelope.target} cannot be reached at {partner.url}: {why}") from None
        except httpx.TimeoutException:
            raise TimedOut(f"{envelope.target} did not answer a channel push within {longest:.0f} s") from None
        except httpx.TransportError as error:
            why = reason(partner.url, error)
            raise Unavailable(f"the connection to {envelope.target} broke during a channel push: {why}") from None


def _numbered(envelope: Envelope, index: int, last: str) -> tuple[Envelope, Mapping[str, str]]:
    """Envelope and further headers of one part. Every request between nodes has a nonce of its own."""
    own = replace(envelope, nonce=f"{envelope.nonce}.{index}{'x' if last == ptp.ABANDONED else ''}")
    return own, {ptp.MESSAGE: envelope.nonce, ptp.PART: str(index), ptp.LAST_PART: last}


async def _parts(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[tuple[bytes, bool]]:
    """The body in parts of `PART_BYTES`, each with whether it is the last; an empty body is one empty part."""
    held = bytearray()
    async for chunk in _chunks(body):
        held += chunk
        # More than a part: whatever comes, this one is not the last.
        while len(held) > ptp.PART_BYTES:
            yield bytes(held[: ptp.PART_BYTES]), False
            del held[: ptp.PART_BYTES]
    yield bytes(held), True


async def _chunks(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if not isinstance(body, bytes):
        async for chunk in body:
            yield chunk
        return
    for start in range(0, len(body), ptp.PART_BYTES):
        yield body[start : start + ptp.PART_BYTES]


async def _held(body: bytes | AsyncIterator[bytes]) -> bytes:
    held = bytearray()
    async for chunk in _chunks(body):
        held += chunk
        if len(held) > WHOLE_BYTES:
            raise TooLarge(f"a message to this partner, which takes no parts, has at most {WHOLE_BYTES} bytes")
    return bytes(held)


async def _whole(partner: str, response: httpx.Response) -> bytes:
    body = bytearray()
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for chunk in response.stream:
        body += chunk
        if len(body) > _ANSWER_LIMIT:
            raise Unavailable(f"{partner} answered a channel push with more than {_ANSWER_LIMIT} bytes")
    return bytes(body)


def _read(partner: str, response: httpx.Response, body: bytes) -> Verdict:
    answer = ptp.read_answer(response.headers.get("content-type", ""), body)
    if answer is None:
        raise Unavailable(f"{partner} answered a channel push with HTTP {response.status_code} and no readable result")
    return Verdict(answer.code, answer.message)


def _headers(envelope: Envelope, more: Mapping[str, str]) -> dict[str, bytes]:
    """The transport layer's headers of a node-to-node call, names in lower case. The component's token is not among
    them: it opens this node's own channel, and receivers are advised not to check it; the session id stands in its
    place."""
    values = {
        ptp.VERSION: ptp.AS_PUSHED,
        ptp.PROVIDER_CODE: envelope.provider_code,
        ptp.TRACE_ID: envelope.trace_id,
        ptp.TOKEN: envelope.session_id,
        ptp.URI: ptp.PUSH_PATH,
        ptp.SESSION_ID: envelope.session_id,
        ptp.TOPIC: envelope.topic,
        ptp.SOURCE_NODE: envelope.source,
        ptp.TARGET_NODE: envelope.target,
        ptp.SOURCE_INST: envelope.source_inst,
        ptp.TARGET_INST: envelope.target_inst,
        ptp.NONCE: envelope.nonce,
        "x-source-node-id": envelope.source,
        "x-target-node-id": envelope.target,
        "content-type": envelope.content_type or "application/octet-stream",
        **more,
    }
    return {name: value.encode("utf-8") for name, value in values.items() if value}
