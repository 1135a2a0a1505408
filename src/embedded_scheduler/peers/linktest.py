"""`peer test`: what a link to another node lets through, found out with this node's own way out, before any trust.

Nothing secret is sent, so the other side's certificate is looked at and not insisted on.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import ssl
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography import x509

from embedded_scheduler.clock import Clock
from embedded_scheduler.config import MIB, PartnerListener
from embedded_scheduler.engine import linktest
from embedded_scheduler.engine.peers import check_url
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.peers.clients import Route
from embedded_scheduler.peers.faults import reason
from embedded_scheduler.security import invitation as codes
from embedded_scheduler.security.keys import certificate_fingerprint
from embedded_scheduler.wire.linktest import (
    NONCE,
    PATH,
    PROOF,
    REVERSE_PATH,
    TICKET,
    LinkCheck,
    LinkChecks,
    LinkReport,
    OwnSide,
    ProbeFacts,
)

HEALTH_PATH = "/v1/interconn/node/health"
_SECONDS = 30.0
_CLOCK_WARN, _CLOCK_BAD = 30.0, 300.0
_LONG_HEADER = 6000
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound
_PIECE = 64 * 1024
_WITHOUT_CODE = (
    "headers, body sizes, buffering, waiting times, bandwidth, and the way back need a code from the other side: an"
    " invitation, or what `nodeconsole peer test --listen 30` prints there"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is tried. Sizes in MiB, times in seconds."""

    sizes: tuple[int, ...] = (1, 2, 8, 16)
    bulk: int = 50
    idle: tuple[float, ...] = (30.0, 120.0)
    pause: float = 1.0
    pings: int = 11


FULL = Plan()
QUICK = replace(FULL, bulk=5, idle=(30.0,))


@dataclass(frozen=True, slots=True)
class Target:
    """`key` makes the proofs of a code; empty = an address alone. `fingerprint` is of the node's own key."""

    url: str
    ticket: str = ""
    key: bytes = b""
    fingerprint: str = ""
    node_id: str = ""


def read_target(text: str) -> Target:
    """From an address or a code; `InvalidRequest` when it is neither."""
    if not text.strip().upper().startswith(codes.PREFIX):
        return Target(check_url(text.strip()))
    code = codes.decode(text)
    if code.expires_s <= time.time():
        raise InvalidRequest("this code has expired: ask the other side for a new one")
    key = linktest.test_key(codes.verifier_of(code.id, code.secret))
    return Target(check_url(code.address), code.id, key, code.fingerprint, code.node_id)


class LinkTester:
    """`route` tells the present way out of this node, `partner` its own listener."""

    def __init__(self, node_id: str, partner: PartnerListener, clock: Clock, route: Callable[[], Route]) -> None:
        self._node_id = node_id
        self._partner = partner
        self._clock = clock
        self._route = route

    async def test(self, target: str, *, quick: bool) -> LinkReport:
        """`report` as the console asks for it."""
        return await self.report(target, QUICK if quick else FULL)

    async def report(self, text: str, plan: Plan) -> LinkReport:
        """Everything that can be found out about an address or code."""
        target = read_target(text)
        checks = await self.look(target)
        reverse: list[LinkCheck] = []
        if any(check.state == "bad" for check in checks):
            checks.append(_skipped("everything else", "is not tried before the above works"))
        elif not target.key:
            checks.append(_skipped("everything else", _WITHOUT_CODE))
        else:
            async with self._client() as client:
                probe = _Probe(client, target, plan, self._clock)
                checks += await probe.all()
                reverse = await self._way_back(probe)
        return LinkReport(target=target.url, own=self.own_side(), checks=checks, reverse=reverse)

    async def _way_back(self, probe: _Probe) -> list[LinkCheck]:
        if urlsplit(self._partner.public_url).hostname in _EVERYWHERE:
            advice = "set partner.advertise in node.toml to the address under which partners reach this node"
            return [_note("way back", "not tried: this node does not know its own address", advice)]
        return await probe.reverse(self._partner.public_url)

    async def look_back(self, url: str) -> LinkChecks:
        """What the other side of a test asks for: from this node to its address."""
        return LinkChecks(checks=await self.look(Target(check_url(url))))

    def own_side(self) -> OwnSide:
        partner = self._partner
        return OwnSide(
            node_id=self._node_id,
            public_url=partner.public_url,
            listen=partner.listen,
            tls=partner.tls,
            path_prefix=partner.path_prefix,
            proxy=partner.proxy,
        )

    async def look(self, target: Target) -> list[LinkCheck]:
        """What needs no code: name, connection, TLS, path, clock."""
        checks: list[LinkCheck] = []
        if self._route().proxy:
            checks.append(_note("proxy", f"calls go through {self._route().proxy}: it looks names up and connects"))
        else:
            for step in (_resolve, _connect):
                checks.append(await step(target.url))
                if checks[-1].state == "bad":
                    return checks
        async with self._client() as client:
            checks += await self._greet(client, target)
        return checks

    async def _greet(self, client: httpx.AsyncClient, target: Target) -> list[LinkCheck]:
        began = self._clock.now_ms()
        try:
            async with client.stream("GET", target.url + HEALTH_PATH, timeout=_SECONDS) as response:
                connection = response.extensions["network_stream"].get_extra_info("ssl_object")
                body = await _limited(response)
        except httpx.TransportError as error:
            return [_bad("connection", f"no HTTP answer: {reason(target.url, error)}")]
        middle = (began + self._clock.now_ms()) / 2
        checks = [_tls(target, connection, datetime.fromtimestamp(middle / 1000, UTC))]
        checks.append(_path(target.url, response, body))
        if (date := response.headers.get("date")) is not None:
            checks += _clock_by_date(date, middle)
        return checks

    def _client(self) -> httpx.AsyncClient:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        return httpx.AsyncClient(
            verify=context, proxy=self._route().proxy or None, trust_env=False, timeout=_SECONDS, follow_redirects=False
        )


# -- without a code ---------------------------------------------------------------------------------------------------


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


async def _resolve(url: str) -> LinkCheck:
    host, port = _place(url)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return _bad("name", f"{host} has no address here: {error.strerror}", "check the address and this machine's DNS")
    addresses = sorted({str(entry[4][0]) for entry in found})
    return _ok("name", f"{host} is {', '.join(addresses[:4])}")


async def _connect(url: str) -> LinkCheck:
    host, port = _place(url)
    began = time.monotonic()
    try:
        async with asyncio.timeout(10):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        advice = f"a firewall drops it: have outgoing TCP to {host} port {port} opened here, and incoming there"
        return _bad("connection", f"nothing answers at {host} port {port} within 10 s", advice)
    except OSError as error:
        advice = f"is the other node running, and is port {port} passed on to it?"
        return _bad("connection", f"{host} port {port} refuses: {error.strerror or error}", advice)
    writer.close()
    return _ok("connection", f"TCP to {host} port {port} in {(time.monotonic() - began) * 1000:.0f} ms")


def _tls(target: Target, connection: ssl.SSLObject | None, now: datetime) -> LinkCheck:
    if connection is None:
        advice = "have TLS switched on, unless both nodes are on one machine"
        return _note("TLS", "the other side speaks plain HTTP: everybody on the way can read it", advice)
    der = connection.getpeercert(binary_form=True) or b""
    certificate = x509.load_der_x509_certificate(der)
    shown = certificate_fingerprint(der)
    ends = certificate.not_valid_after_utc
    text = (
        f"{connection.version()}, certificate of {', '.join(_names(certificate)) or 'nobody'},"
        f" valid until {ends.date()}, key {shown}"
    )
    if ends <= now:
        return _bad("TLS", text, "the certificate has ended: its operator has to renew it")
    if (ends - now).days < 30:
        return _note("TLS", text, f"the certificate ends in {(ends - now).days} days: its operator should renew it")
    if target.fingerprint and shown == target.fingerprint:
        return _ok("TLS", f"{text}: that of the code, so TLS ends at the node itself")
    if target.fingerprint:
        advice = f"if that is its gateway: `nodeconsole peer add … --tls {shown}` (or --tls ca); ask by phone"
        return _note("TLS", f"{text}: not the key of the node in the code, so something else ends TLS there", advice)
    return _ok("TLS", text)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    except (x509.ExtensionNotFound, ValueError):
        found = []
    subject = certificate.subject.rfc4514_string()
    return [subject[:100], *(name[:100] for name in found[:4])]


def _path(url: str, response: httpx.Response, body: bytes) -> LinkCheck:
    try:
        answer = json.loads(body)
        known = isinstance(answer, dict) and "code" in answer and "msg" in answer
    except ValueError:
        known = False
    if known and response.status_code == 200:
        return _ok("path", f"{url}{HEALTH_PATH} is answered by a node")
    advice = "check the path in the address; the gateway there has to pass it on to the node (partner.path_prefix)"
    return _bad("path", f"{url}{HEALTH_PATH} is answered with HTTP {response.status_code}, and not by a node", advice)


def _clock_by_date(date: str, now_ms: float) -> list[LinkCheck]:
    try:
        seconds = parsedate_to_datetime(date).timestamp() - now_ms / 1000
    except ValueError:
        return []
    # The header holds whole seconds.
    return [] if abs(seconds) < 2 else [_clock(seconds)]


def _clock(seconds: float) -> LinkCheck:
    text = f"its clock is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this one"
    if abs(seconds) > _CLOCK_BAD:
        return _bad("clock", text, "signed requests are refused from 300 s on: set the clocks (NTP) on both sides")
    if abs(seconds) > _CLOCK_WARN:
        return _note("clock", text, "set the clocks (NTP) on both sides")
    return _ok("clock", text)


# -- with a code ------------------------------------------------------------------------------------------------------


class _Probe:
    """The checks against the other node's probe."""

    def __init__(self, client: httpx.AsyncClient, target: Target, plan: Plan, clock: Clock) -> None:
        self._client = client
        self._target = target
        self._plan = plan
        self._clock = clock

    async def all(self) -> list[LinkCheck]:
        first = await self._checked("code", self._hello)
        if first[-1].state == "bad":
            return first
        found = [*first]
        for name, step in (
            ("headers", self._headers),
            ("round trip", self._round_trip),
            ("body sizes", self._upwards),
            ("answer sizes", self._downwards),
            ("request buffering", self._request_buffering),
            ("answer buffering", self._answer_buffering),
            ("bandwidth", self._bandwidth),
            ("waiting", self._waiting),
        ):
            found += await self._checked(name, step)
        return found

    async def reverse(self, own_url: str) -> list[LinkCheck]:
        """The other node calls this one; empty texts mean nothing was found out."""

        async def ask() -> list[LinkCheck]:
            body = json.dumps({"url": own_url}).encode()
            data = await self._data("POST", path=REVERSE_PATH, content=body, seconds=60)
            return LinkChecks.model_validate(data).checks

        return await self._checked("way back", ask)

    async def _checked(self, name: str, step: Callable[[], Awaitable[list[LinkCheck]]]) -> list[LinkCheck]:
        try:
            return await step()
        except httpx.TransportError as error:
            return [_bad(name, reason(self._target.url, error))]
        except _RefusedError as error:
            return [_bad(name, str(error))]

    async def _hello(self) -> list[LinkCheck]:
        began = self._clock.now_ms()
        facts = await self._facts()
        middle = (began + self._clock.now_ms()) / 2
        found = [
            _ok("code", f"node {facts.node_id} accepts the code; it sees this node as {facts.remote or 'unknown'}")
        ]
        if self._target.node_id not in ("", facts.node_id):
            found = [_bad("code", f"the code is of {self._target.node_id}, and {facts.node_id} answers")]
        return [*found, _clock((facts.now_ms - middle) / 1000)]

    async def _headers(self) -> list[LinkCheck]:
        long = secrets.token_urlsafe(_LONG_HEADER)[:_LONG_HEADER]
        sent = {"x-probe-short": "a b,c;d=e", "x-probe-long": long, "x_probe_underscore": "u"}
        facts = await self._facts(headers=sent)
        got = {name.replace("_", "-"): value for name, value in facts.headers.items()}
        lost = [name for name in ("x-probe-short", "x-probe-long") if got.get(name) != sent[name]]
        if lost:
            advice = "have the gateways pass on all x-… headers unchanged, with values up to 8 KB"
            return [_bad("headers", f"changed or lost on the way: {', '.join(lost)}", advice)]
        found = [_ok("headers", f"x-… headers arrive unchanged, up to {_LONG_HEADER} characters")]
        if "x-probe-underscore" not in got:
            found.append(_note("headers", "headers with an underscore are dropped on the way; this node sends none"))
        return found

    async def _round_trip(self) -> list[LinkCheck]:
        times = []
        for _ in range(self._plan.pings):
            began = time.monotonic()
            await self._facts()
            times.append((time.monotonic() - began) * 1000)
        return [_ok("round trip", f"median {statistics.median(times):.1f} ms, longest {max(times):.1f} ms")]

    async def _upwards(self) -> list[LinkCheck]:
        async def send(size: int) -> None:
            facts = await self._facts("POST", content=os.urandom(size))
            if facts.received != size:
                raise _RefusedError(f"of {size} bytes {facts.received} arrived")

        return await self._sizes("body sizes", "client_max_body_size", send)

    async def _downwards(self) -> list[LinkCheck]:
        async def fetch(size: int) -> None:
            async with self._stream("GET", f"want={size}") as response:
                got = 0
                async for chunk in response.aiter_raw():
                    got += len(chunk)
            if got != size:
                raise _RefusedError(f"of {size} bytes {got} arrived")

        return await self._sizes("answer sizes", "proxy_max_temp_file_size", fetch)

    async def _sizes(self, name: str, setting: str, attempt: Callable[[int], Awaitable[None]]) -> list[LinkCheck]:
        passed = 0
        for size in self._plan.sizes:
            try:
                await attempt(size * MIB)
            except (httpx.TransportError, _RefusedError) as error:
                why = reason(self._target.url, error) if isinstance(error, httpx.TransportError) else str(error)
                advice = (
                    f"nginx: {setting} {self._plan.sizes[-1]}m; components' data goes in parts of at most 1 MB anyway"
                )
                text = f"up to {passed} MiB pass, {size} MiB do not: {why}"
                return [_note(name, text, advice) if passed else _bad(name, text, advice)]
            passed = size
        return [_ok(name, f"up to {passed} MiB pass")]

    async def _request_buffering(self) -> list[LinkCheck]:
        async def slowly() -> AsyncIterator[bytes]:
            yield bytes(_PIECE)
            await asyncio.sleep(self._plan.pause)
            yield bytes(_PIECE)

        facts = await self._facts("POST", content=slowly())
        if facts.spread_ms >= self._plan.pause * 500:
            return [_ok("request buffering", "what is sent arrives at once")]
        return [
            _note("request buffering", "something holds requests until they are complete: it works, in parts of 1 MB")
        ]

    async def _answer_buffering(self) -> list[LinkCheck]:
        async with self._stream("GET", f"want={2 * _PIECE}&pause={self._plan.pause:g}") as response:
            first = last = 0.0
            async for _ in response.aiter_raw():
                last = time.monotonic()
                first = first or last
        if last - first >= self._plan.pause / 2:
            return [_ok("answer buffering", "what is answered arrives at once")]
        return [_note("answer buffering", "something holds answers until they are complete: it works")]

    async def _bandwidth(self) -> list[LinkCheck]:
        """In parts of 1 MiB, as components' data goes."""
        found = []
        for name, there in (("to it", True), ("from it", False)):
            block = os.urandom(MIB)
            began = time.monotonic()
            for _ in range(self._plan.bulk):
                if there:
                    await self._facts("POST", content=block)
                else:
                    async with self._stream("GET", f"want={MIB}") as response:
                        async for _chunk in response.aiter_raw():
                            pass
            rate = self._plan.bulk / (time.monotonic() - began)
            found.append(_ok("bandwidth", f"{self._plan.bulk} MiB {name} at {rate:.1f} MiB/s"))
        return found

    async def _waiting(self) -> list[LinkCheck]:
        """Answers that let one wait, all at once on connections of their own."""

        async def wait(seconds: float) -> LinkCheck:
            advice = "have the idle time-outs on the way raised (nginx: proxy_read_timeout), at least to 60 s"
            try:
                await self._facts(query=f"pause={seconds:g}", seconds=seconds + 15)
            except (httpx.TransportError, _RefusedError) as error:
                why = reason(self._target.url, error) if isinstance(error, httpx.TransportError) else str(error)
                text = f"an answer that takes {seconds:g} s does not come: {why}"
                return (
                    _bad("waiting", text, advice)
                    if seconds <= 60
                    else _note("waiting", text, "it works: no call of a node waits longer than 60 s")
                )
            return _ok("waiting", f"an answer may take {seconds:g} s")

        return list(await asyncio.gather(*map(wait, self._plan.idle)))

    # -- one request --------------------------------------------------------------------------------------------------

    async def _facts(
        self,
        method: str = "GET",
        query: str = "",
        *,
        content: bytes | AsyncIterator[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        seconds: float = _SECONDS,
    ) -> ProbeFacts:
        data = await self._data(method, query=query, content=content, headers=headers, seconds=seconds)
        return ProbeFacts.model_validate(data)

    async def _data(
        self,
        method: str,
        *,
        path: str = PATH,
        query: str = "",
        content: bytes | AsyncIterator[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        seconds: float = _SECONDS,
    ) -> dict[str, Any]:
        async with self._stream(
            method, query, path=path, content=content, headers=headers, seconds=seconds
        ) as response:
            body = await _limited(response)
        try:
            data = json.loads(body)["data"]
        except (ValueError, KeyError, TypeError):
            raise _RefusedError("it answers with something that is not of a node") from None
        if not isinstance(data, dict):
            raise _RefusedError("it answers with something that is not of a node")
        return data

    def _stream(
        self,
        method: str,
        query: str = "",
        *,
        path: str = PATH,
        content: bytes | AsyncIterator[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        seconds: float = _SECONDS,
    ) -> _Answer:
        nonce = secrets.token_hex(16)
        proven = {
            TICKET: self._target.ticket,
            NONCE: nonce,
            PROOF: linktest.proof(self._target.key, nonce, f"{method} {path}?{query}"),
            "accept-encoding": "identity",
        }
        url = f"{self._target.url}{path}?{query}" if query else self._target.url + path
        request = self._client.build_request(
            method, url, content=content, headers={**proven, **(headers or {})}, timeout=seconds
        )
        return _Answer(self._client, request)


class _Answer:
    """An answer as it arrives; `_RefusedError` unless it is HTTP 200."""

    def __init__(self, client: httpx.AsyncClient, request: httpx.Request) -> None:
        self._client = client
        self._request = request
        self._response: httpx.Response | None = None

    async def __aenter__(self) -> httpx.Response:
        self._response = await self._client.send(self._request, stream=True)
        if self._response.status_code != 200:
            said = _said(await _limited(self._response))
            await self._response.aclose()
            raise _RefusedError(f"HTTP {self._response.status_code}{said}")
        return self._response

    async def __aexit__(self, *_: object) -> None:
        if self._response is not None:
            await self._response.aclose()


class _RefusedError(Exception):
    """The other side, or something on the way, answered that it does not."""


async def _limited(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MIB:
            break
    return body


def _said(body: bytes) -> str:
    """The node's own words; a gateway's page is not shown."""
    try:
        text = json.loads(body)["msg"]
    except (ValueError, KeyError, TypeError):
        return " from something on the way, not from the node"
    return f": {text[:300]}" if isinstance(text, str) and text.isprintable() else ""


def _ok(name: str, text: str) -> LinkCheck:
    return LinkCheck(name=name, state="ok", text=text)


def _note(name: str, text: str, advice: str = "") -> LinkCheck:
    return LinkCheck(name=name, state="note", text=text, advice=advice)


def _bad(name: str, text: str, advice: str = "") -> LinkCheck:
    return LinkCheck(name=name, state="bad", text=text, advice=advice)


def _skipped(name: str, text: str) -> LinkCheck:
    return LinkCheck(name=name, state="skipped", text=text)
