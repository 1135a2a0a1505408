"""What one caller of the partner listener may take: what one of them does, the others do not feel.

Three places, in the order in which a request meets them. The `Threshold` sees every request before anything is done
about it, and turns strangers away (a source that is no partner) once their address has used up its allowance. The body
of a request is received under a limit per address and claimed source, since nobody has proven anything yet.
`PartnerGate.admit` counts what a partner is known to have sent. Refusals wait for their answers, the longer the more of
them come from an address: so a flood runs at the pace that this node sets, whoever sends it. Those who are not refused
never wait, also behind the same address. Nothing here reaches the database, and the log gets one line a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from quart import Quart

from embedded_scheduler.addresses import origin_of
from embedded_scheduler.api.authentication import Caller, Inbound, Partners, RawHeaders
from embedded_scheduler.api.connection import connection_of
from embedded_scheduler.clock import Clock
from embedded_scheduler.config import Limits
from embedded_scheduler.errors import ErrorCode, NodeError, TooMany
from embedded_scheduler.wire import ptp
from embedded_scheduler.wire.bfia import envelope

_log = logging.getLogger(__name__)

ADDRESSES = 4096
"""Addresses remembered; the one not heard of for longest is forgotten first."""
WAITING = 2048
"""Refusals that wait at one time; further ones are answered at once. Each holds a connection, and these are bounded."""
RECEIVING_BODIES = 16
"""Bodies of full size (`limits.body_bytes`) that one claimed source may be sending from one address at one time."""
CHANNEL_SHARE = 4
"""Channel messages wait for their readers: so many times `limits.partner_concurrent` may be under way."""
MESSAGE_COST = 4096
"""Bytes that every request and message counts for beside its own."""
JSON = b"application/json; charset=utf-8"
DISCARD_BYTES, DISCARD_SECONDS = 64 * 1024, 1.0
LOG_SECONDS = 60.0
HOUR = 3600.0
STRANGERS_WAIT = "too many requests from this address: try again later"
_SOURCE_NAMES = frozenset(
    {b"x-source-node-id", b"x-node-id", b"x_source_node_id", b"x_node_id", ptp.SOURCE_NODE.encode()}
)
"""Lower case, as HTTP servers hand header names on."""


class Bucket:
    """An allowance of `burst` that comes back at `rate` per second. What is taken may overdraw it once."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """Take `amount` if anything is left."""
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level <= 0:
            return False
        self._level -= amount
        return True


class _Address:
    """What one address, where nobody has proven anything, may ask for, and how long its refusals wait."""

    __slots__ = ("_answers_until", "_rate", "_requests")

    def __init__(self, limits: Limits, now: float) -> None:
        self._rate = limits.stranger_requests_per_second
        self._requests = Bucket(self._rate, limits.stranger_burst, now)
        self._answers_until = now

    def take(self, now: float) -> bool:
        return self._requests.take(1, now)

    def wait(self, now: float, longest: float) -> float:
        """Seconds until one more refusal is answered: they go out at the rate of the allowance, until the queue is as
        long as `longest`."""
        self._answers_until = min(max(now, self._answers_until) + 1 / self._rate, now + longest)
        return self._answers_until - now


@dataclass(slots=True)
class _Partner:
    requests: Bucket
    volume: Bucket
    under_way: int = 0
    messages: int = 0


@dataclass(slots=True)
class _Receiving:
    requests: int = 0
    expected: int = 0
    """Bytes that are announced, or may come."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Since the node started: requests of strangers turned away, requests that did not prove who sent them, and
    requests beyond their limit by partner."""

    strangers: int
    unproven: int
    beyond_limit: Mapping[str, int]


def no_refusals() -> Refusals:
    """Of a node that limits nobody."""
    return Refusals(0, 0, {})


@dataclass(slots=True)
class _Tally:
    """Counts refusals, and says so in the log at most once a minute."""

    clock: Clock
    strangers: int = 0
    unproven: int = 0
    beyond_limit: Counter[str] = field(default_factory=Counter)
    _said_at: float | None = None
    _said: int = 0

    def note(self, remote: str) -> None:
        now = self.clock.monotonic()
        if self._said_at is not None and now - self._said_at < LOG_SECONDS:
            return
        total = self.strangers + self.unproven + self.beyond_limit.total()
        _log.warning(
            "%d requests refused since the last such line (in all: %d of strangers, %d unproven, %d beyond a limit);"
            " this one came from %s",
            total - self._said,
            self.strangers,
            self.unproven,
            self.beyond_limit.total(),
            remote or "an unknown address",
        )
        self._said_at, self._said = now, total


class PartnerGate:
    """The limits of one node; `api.family.Gate`. Belongs to one event loop."""

    def __init__(self, limits: Limits, clock: Clock, partners: Partners) -> None:
        self._limits = limits
        self._clock = clock
        self._known = partners
        self._partners: dict[str, _Partner] = {}
        self._addresses: OrderedDict[str, _Address] = OrderedDict()
        self._receiving: dict[tuple[str, str, str, str], _Receiving] = {}
        self._tally = _Tally(clock)
        self._waiting = 0

    def refusals(self) -> Refusals:
        tally = self._tally
        return Refusals(tally.strangers, tally.unproven, dict(tally.beyond_limit))

    # -- strangers -----------------------------------------------------------------------------------------------------

    def is_partner(self, headers: RawHeaders) -> bool:
        """Whether a request calls itself a partner's."""
        return self._known.partner(_claimed_source(headers)) is not None

    def suffers(self, remote: str) -> bool:
        """Whether a stranger's request from this address is looked at; counts it."""
        if self._address(remote).take(self._clock.monotonic()):
            return True
        self._tally.strangers += 1
        self._tally.note(remote)
        return False

    def _address(self, remote: str) -> _Address:
        remote = origin_of(remote)
        found = self._addresses.get(remote)
        if found is None:
            found = self._addresses[remote] = _Address(self._limits, self._clock.monotonic())
            if len(self._addresses) > ADDRESSES:
                self._addresses.popitem(last=False)
        else:
            self._addresses.move_to_end(remote)
        return found

    async def pause(self, remote: str) -> None:
        """Keep who was refused waiting: `limits.refusal_seconds` at most, but for the jitter."""
        if self._waiting >= WAITING:
            return
        self._waiting += 1
        try:
            wait = self._address(remote).wait(self._clock.monotonic(), self._limits.refusal_seconds)
            # Never the same for all, or those who were refused together would come back together.
            await asyncio.sleep(wait * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
        finally:
            self._waiting -= 1

    async def turned_away(self, request: Inbound, error: NodeError) -> NodeError:
        """A request is about to be refused with `error`; returns what to answer.

        Whoever could not prove who it is uses up its address's allowance. When that is gone it hears what any stranger
        hears then, whether it named a partner or not; and waits, as does who was beyond its own limit.
        """
        if error.code is ErrorCode.TOO_MANY:
            await self.pause(request.remote)
        elif error.code is ErrorCode.UNAUTHENTICATED:
            self._tally.unproven += 1
            self._tally.note(request.remote)
            if not self._address(request.remote).take(self._clock.monotonic()):
                await self.pause(request.remote)
                return TooMany(STRANGERS_WAIT)
        return error

    # -- bodies whose sender has not proven anything yet ---------------------------------------------------------------

    def receive(self, caller: Caller, request: Inbound) -> AbstractContextManager[None]:
        """Held while the body of a request arrives and its signature is checked."""
        return self._arriving("request", self._limits.partner_concurrent, caller, request)

    def receive_message(self, caller: Caller, request: Inbound) -> AbstractContextManager[None]:
        """As `receive`, for a message of the channel, in a place of its own."""
        return self._arriving("message", CHANNEL_SHARE * self._limits.partner_concurrent, caller, request)

    @contextmanager
    def _arriving(self, kind: str, most: int, caller: Caller, request: Inbound) -> Iterator[None]:
        key = (
            kind,
            request.remote,
            request.connection.certificate,
            caller.source if self._known.partner(caller.source) else "",
        )
        expected = _announced(request, self._limits.body_bytes)
        held = self._receiving.setdefault(key, _Receiving())
        try:
            room = RECEIVING_BODIES * self._limits.body_bytes
            if held.requests >= most or held.expected + expected > room:
                raise self._beyond(key[3], request.remote, "requests whose bodies are still arriving")
            held.requests += 1
            held.expected += expected
            try:
                yield
            finally:
                held.requests -= 1
                held.expected -= expected
        finally:
            if not held.requests:
                self._receiving.pop(key, None)

    # -- partners ------------------------------------------------------------------------------------------------------

    @contextmanager
    def admit(self, caller: Caller, request: Inbound, size: int) -> Iterator[None]:
        """Held while a proven request of `size` body bytes is answered; `TooMany` beyond the partner's limits.

        Strangers (who ask for a contract) are limited by their address alone.
        """
        known = self._known.partner(caller.source)
        if known is None or not (caller.in_force and (caller.proven or known.signing != "required")):
            # The threshold has counted it, unless it let it pass for a partner's id.
            if self.is_partner(request.headers) and not self.suffers(request.remote):
                raise TooMany(STRANGERS_WAIT)
            yield
            return
        partner = self._partner(caller.source)
        now = self._clock.monotonic()
        if partner.under_way >= self._limits.partner_concurrent:
            raise self._beyond(caller.source, request.remote, "requests at one time (limits.partner_concurrent)")
        if not partner.requests.take(1, now):
            raise self._beyond(
                caller.source, request.remote, "requests per second (limits.partner_requests_per_second)"
            )
        self._check_volume(partner, caller.source, request.remote, size)
        partner.under_way += 1
        try:
            yield
        finally:
            partner.under_way -= 1

    @contextmanager
    def admit_message(self, source: str, remote: str, size: int) -> Iterator[None]:
        """As `admit`, for a message of the channel."""
        if self._known.partner(source) is None:
            yield
            return
        partner = self._partner(source)
        if partner.messages >= CHANNEL_SHARE * self._limits.partner_concurrent:
            raise self._beyond(source, remote, "channel messages at one time (limits.partner_concurrent)")
        self._check_volume(partner, source, remote, size)
        partner.messages += 1
        try:
            yield
        finally:
            partner.messages -= 1

    def _check_volume(self, partner: _Partner, source: str, remote: str, size: int) -> None:
        if not partner.volume.take(size + MESSAGE_COST, self._clock.monotonic()):
            raise self._beyond(source, remote, "bytes per hour (limits.partner_bytes_per_hour)")

    def _partner(self, source: str) -> _Partner:
        found = self._partners.get(source)
        if found is None:
            limits, now = self._limits, self._clock.monotonic()
            hour = limits.partner_bytes_per_hour
            found = self._partners[source] = _Partner(
                Bucket(limits.partner_requests_per_second, limits.partner_burst, now), Bucket(hour / HOUR, hour, now)
            )
        return found

    def _beyond(self, source: str, remote: str, what: str) -> TooMany:
        if source:
            self._tally.beyond_limit[source] += 1
        else:
            self._tally.strangers += 1
        self._tally.note(remote)
        return TooMany(f"too many {what}: send the same request again later")


def _announced(request: Inbound, most: int) -> int:
    for name, value in request.headers:
        if name == b"content-length" and value.isdigit() and len(value) < 20:
            return min(int(value), most)
    chunked = any(name == b"transfer-encoding" for name, _ in request.headers)
    return most if chunked else 0


def _claimed_source(headers: RawHeaders) -> str:
    """What the first header that names a source says; whether the others agree is seen later."""
    return next((value.decode("latin-1").strip() for name, value in headers if name in _SOURCE_NAMES), "")


# -- in front of everything --------------------------------------------------------------------------------------------


Asgi = Callable[..., Awaitable[None]]


class Threshold:
    """ASGI middleware: strangers beyond their allowance, and bodies that would have to be unpacked, go no further."""

    def __init__(self, inner: Asgi, gate: PartnerGate) -> None:
        self._inner = inner
        self._gate = gate

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        remote = connection_of(scope).remote
        if not self._gate.is_partner(scope["headers"]) and not self._gate.suffers(remote):
            await self._gate.pause(remote)
            await _discard(receive)
            await _refuse(send, 200, envelope.failure(429, STRANGERS_WAIT))
        elif _is_packed(scope):
            # Nothing here unpacks a body, so a small one can never become a large one.
            await _discard(receive)
            await _refuse(send, 415, envelope.failure(415, "send the body as it is, without content-encoding"))
        else:
            await self._inner(scope, receive, send)


def _is_packed(scope: Mapping[str, Any]) -> bool:
    encodings = [value.strip().lower() for name, value in scope["headers"] if name.lower() == b"content-encoding"]
    return any(encoding not in (b"", b"identity") for encoding in encodings)


async def _discard(receive: Any) -> None:
    """Read a small body away, so that the connection can be used again: a new one costs both sides far more."""
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while size <= DISCARD_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


async def _refuse(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", JSON), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def guard(app: Quart, gate: PartnerGate) -> None:
    """Put the threshold in front of an application; after all its families are registered."""
    app.asgi_app = Threshold(app.asgi_app, gate)  # type: ignore[method-assign]
