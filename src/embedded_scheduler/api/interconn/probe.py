"""`/v1/interconn/node/probe`: the other end of `peer test`. It serves holders of a test code and nobody else.

Below Quart, like the channel: what is measured is when bytes arrive, and when they leave.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from pydantic import BaseModel
from quart import Quart

from embedded_scheduler.api.connection import connection_of
from embedded_scheduler.clock import Clock
from embedded_scheduler.config import MIB
from embedded_scheduler.engine.linktest import LinkTests, Ticket
from embedded_scheduler.errors import InvalidRequest, NodeError, TimedOut, TooLarge, TooMany
from embedded_scheduler.wire.bfia import envelope
from embedded_scheduler.wire.bfia.decoding import decode_object
from embedded_scheduler.wire.bfia.message import validate
from embedded_scheduler.wire.linktest import (
    ECHOED,
    NONCE,
    PATH,
    PROOF,
    REVERSE_PATH,
    TICKET,
    LinkChecks,
    ProbeFacts,
    ReverseRequest,
)

LARGEST = 16 * MIB
LONGEST_PAUSE = 150.0
AT_ONCE = 8
_BODY_SECONDS = 180.0
_PIECE = 64 * 1024
_SUCCESS = 200

Reverse = Callable[[str], Awaitable[LinkChecks]]
"""Tests from this node to an address."""


def mount(app: Quart, tests: LinkTests, clock: Clock, reverse: Reverse) -> None:
    """Serve the probe in front of `app`; everything else goes on to it."""
    app.asgi_app = _Probe(app.asgi_app, tests, clock, reverse)  # type: ignore[method-assign]


class _Probe:
    def __init__(self, following: Any, tests: LinkTests, clock: Clock, reverse: Reverse) -> None:
        self._following = following
        self._tests = tests
        self._clock = clock
        self._reverse = reverse
        self._node_id = tests.node_id
        self._busy = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] not in (PATH, REVERSE_PATH):
            await self._following(scope, receive, send)
            return
        try:
            if self._busy >= AT_ONCE:
                raise TooMany("other tests run here at this moment: try again in a minute")
            self._busy += 1
            try:
                await self._serve(scope, receive, send)
            finally:
                self._busy -= 1
        except NodeError as error:
            body = envelope.failure(envelope.ERROR_CODES[error.code], error.message)
            await _answer(send, body, status=envelope.ERROR_CODES[error.code])

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        asked = f"{scope['method']} {scope['path']}?{query}"
        ticket = await self._tests.admit(headers.get(TICKET, ""), headers.get(NONCE, ""), headers.get(PROOF, ""), asked)
        if scope["path"] == REVERSE_PATH:
            await self._test_back(ticket, receive, send)
            return
        want, pause = _number(query, "want", LARGEST), _number(query, "pause", LONGEST_PAUSE)
        received, spread = await self._take(ticket, receive)
        ticket.spend(int(want))
        if want:
            await _send_bytes(send, int(want), pause)
            return
        facts = ProbeFacts(
            node_id=self._node_id,
            remote=connection_of(scope).remote,
            now_ms=self._clock.now_ms(),
            received=received,
            spread_ms=spread,
            headers={name: value for name, value in headers.items() if name.replace("_", "-").startswith(ECHOED)},
        )
        await _answer(send, _success(facts), pause=pause)

    async def _take(self, ticket: Ticket, receive: Any) -> tuple[int, int]:
        """Bytes of the body, and milliseconds between its first and its last ones."""
        loop = asyncio.get_running_loop()
        size, first, last = 0, 0.0, 0.0
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                async for chunk in _body(receive):
                    last = loop.time()
                    first = first or last
                    size += len(chunk)
                    ticket.spend(len(chunk))
                    if size > LARGEST:
                        raise TooLarge(f"a body of this test has at most {LARGEST} bytes")
        except TimeoutError:
            raise TimedOut(f"the body did not arrive within {_BODY_SECONDS:.0f} s") from None
        return size, int((last - first) * 1000)

    async def _test_back(self, ticket: Ticket, receive: Any, send: Any) -> None:
        """Once per code: whoever has one must not use this node to look around in its network."""
        if ticket.reversed:
            raise TooMany("this code was used for a test back already: ask for a new one")
        ticket.reversed = True
        body = b""
        async for chunk in _body(receive):
            body += chunk
            if len(body) > 4096:
                raise TooLarge("a test back is asked for with an address")
        request = validate(ReverseRequest, decode_object(body, depth=4))
        await _answer(send, _success(await self._reverse(request.url)))


async def _body(receive: Any) -> Any:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise InvalidRequest("the body broke off")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


def _success(data: BaseModel) -> bytes:
    return envelope.success(_SUCCESS, data.model_dump())


def _number(query: str, name: str, most: float) -> float:
    text = parse_qs(query, max_num_fields=8).get(name, ["0"])[0]
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise InvalidRequest(f"{name} must be a number from 0 to {most:g}")
    return value


async def _answer(send: Any, body: bytes, *, status: int = 200, pause: float = 0.0) -> None:
    """`pause` lies between the first byte, a blank, and the rest."""
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body) + 1).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b" ", "more_body": True})
    if pause:
        await asyncio.sleep(pause)
    await send({"type": "http.response.body", "body": body})


async def _send_bytes(send: Any, size: int, pause: float) -> None:
    """Random ones: nothing on the way can make them fewer."""
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while size:
        piece = os.urandom(min(size, _PIECE))
        size -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": size > 0})
        if pause:
            await asyncio.sleep(pause)
            pause = 0.0
