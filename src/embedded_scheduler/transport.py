"""How HTTP calls leave this node: the HTTP library's transport, and what it leaves undone with TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpcore
import httpx


class Transport(httpx.AsyncHTTPTransport):
    """A connection whose handshake is given up (a deadline has passed, the node stops) is closed at once; the library
    keeps it open until it happens to be collected, so a partner that hangs there would cost a socket for every call.

    Faults of TLS on an open connection (such as "I do not know your certificate", which comes after the handshake)
    are faults of the transport like all others; the library lets them through as they are.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme != "https":
            return await super().handle_async_request(request)
        request.extensions = {**request.extensions, "trace": _Connecting().trace}
        try:
            response = await super().handle_async_request(request)
        except ssl.SSLError as error:
            raise httpx.ReadError(str(error), request=request) from None
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Stream(response.stream, request)
        return response


class _Connecting:
    """What one call opened, as the library tells it; directly or by a proxy."""

    def __init__(self) -> None:
        self._opened: httpcore.AsyncNetworkStream | None = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(".connect_tcp.complete"):
            self._opened = info["return_value"]
        elif event.endswith(".start_tls.failed") and self._opened is not None:
            await self._opened.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, request: httpx.Request) -> None:
        self._inner = inner
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._inner:
                yield part
        except ssl.SSLError as error:
            raise httpx.ReadError(str(error), request=self._request) from None

    async def aclose(self) -> None:
        await self._inner.aclose()
