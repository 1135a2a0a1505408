"""Carries channel messages to partners' nodes over HTTP."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Protocol

import httpx

from embedded_scheduler.engine.channel import Envelope, NotNetworked, Verdict
from embedded_scheduler.errors import TimedOut, Unavailable
from embedded_scheduler.wire import ptp

CONNECT_SECONDS = 5.0
ANSWER_MARGIN = 10.0
"""How much longer than it may wait for room a partner may take to answer."""
_ANSWER_LIMIT = 64 * 1024


class AddressBook(Protocol):
    """The part of the partner directory that is needed here."""

    def base_url(self, node_id: str) -> str | None:
        """`http(s)://host:port` of a partner's listener, None for an unknown node."""
        ...


def channel_client(tls: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """The client to share between all forwards: build it once (it is slow to build), close it with the node.

    Idle connections are given up before a partner's server does (Hypercorn: 5 s), so that a push rarely meets a
    connection that is just being closed.
    """
    return httpx.AsyncClient(
        verify=True if tls is None else tls,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=3.0),
        trust_env=False,
        follow_redirects=False,
    )


class HttpForwarder:
    """`ChannelForwarder` over one shared `httpx.AsyncClient`. Bodies are streamed, never held."""

    def __init__(self, client: httpx.AsyncClient, directory: AddressBook) -> None:
        self._client = client
        self._directory = directory

    async def invoke(self, envelope: Envelope, body: bytes | AsyncIterator[bytes], *, wait: float) -> Verdict:
        base = self._directory.base_url(envelope.target)
        if base is None:
            raise NotNetworked(f"{envelope.target} is not a partner of this node: add it with `nodeconsole peer add`")
        longest = wait + ANSWER_MARGIN
        request = self._client.build_request(
            "POST",
            f"{base.rstrip('/')}{ptp.INVOKE_PATH}?timeout={max(1, int(wait))}",
            headers=_headers(envelope),
            content=body,
            timeout=httpx.Timeout(longest, connect=min(CONNECT_SECONDS, wait)),
        )
        try:
            response = await self._client.send(request, stream=True)
            try:
                return await _read(envelope.target, response)
            finally:
                await response.aclose()
        except httpx.ConnectError as error:
            raise Unavailable(f"{envelope.target} cannot be reached at {base}: {error}") from None
        except httpx.TimeoutException:
            raise TimedOut(f"{envelope.target} did not answer a channel push within {longest:.0f} s") from None
        except httpx.TransportError as error:
            raise Unavailable(f"the connection to {envelope.target} broke during a channel push: {error!r}") from None


async def _read(partner: str, response: httpx.Response) -> Verdict:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _ANSWER_LIMIT:
            raise Unavailable(f"{partner} answered a channel push with more than {_ANSWER_LIMIT} bytes")
    answer = ptp.read_answer(response.headers.get("content-type", ""), bytes(body))
    if answer is None:
        raise Unavailable(f"{partner} answered a channel push with HTTP {response.status_code} and no readable result")
    return Verdict(answer.code, answer.message)


def _headers(envelope: Envelope) -> list[tuple[bytes, bytes]]:
    """All headers of a node-to-node call. The component's token is not among them: it opens this node's own channel,
    and receivers are advised not to check it; the session id stands in its place."""
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
    }
    return [(name.encode(), value.encode("utf-8")) for name, value in values.items() if value]
