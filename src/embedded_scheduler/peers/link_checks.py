"""What can be told of a link without a code: name, connection, TLS, path, clock."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
from cryptography import x509

from embedded_scheduler.config import MIB
from embedded_scheduler.security.keys import certificate_fingerprint
from embedded_scheduler.wire.linktest import LinkCheck

HEALTH_PATH = "/v1/interconn/node/health"
_CLOCK_WARN, _CLOCK_BAD = 30.0, 300.0


def ok(name: str, text: str) -> LinkCheck:
    return LinkCheck(name=name, state="ok", text=text)


def note(name: str, text: str, advice: str = "") -> LinkCheck:
    return LinkCheck(name=name, state="note", text=text, advice=advice)


def bad(name: str, text: str, advice: str = "") -> LinkCheck:
    return LinkCheck(name=name, state="bad", text=text, advice=advice)


def skipped(name: str, text: str) -> LinkCheck:
    return LinkCheck(name=name, state="skipped", text=text)


async def read_limited(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MIB:
            break
    return body


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


async def resolve(url: str) -> LinkCheck:
    host, port = _place(url)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return bad("name", f"{host} has no address here: {error.strerror}", "check the address and this machine's DNS")
    addresses = sorted({str(entry[4][0]) for entry in found})
    return ok("name", f"{host} is {', '.join(addresses[:4])}")


async def connect(url: str) -> LinkCheck:
    host, port = _place(url)
    began = time.monotonic()
    try:
        async with asyncio.timeout(10):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        advice = f"a firewall drops it: have outgoing TCP to {host} port {port} opened here, and incoming there"
        return bad("connection", f"nothing answers at {host} port {port} within 10 s", advice)
    except OSError as error:
        advice = f"is the other node running, and is port {port} passed on to it?"
        return bad("connection", f"{host} port {port} refuses: {error.strerror or error}", advice)
    writer.close()
    return ok("connection", f"TCP to {host} port {port} in {(time.monotonic() - began) * 1000:.0f} ms")


def tls(fingerprint: str, connection: ssl.SSLObject | None, now: datetime) -> LinkCheck:
    """`fingerprint` is of the node's own key, as the code has it; empty = not known."""
    if connection is None:
        advice = "have TLS switched on, unless both nodes are on one machine"
        return note("TLS", "the other side speaks plain HTTP: everybody on the way can read it", advice)
    der = connection.getpeercert(binary_form=True) or b""
    certificate = x509.load_der_x509_certificate(der)
    shown = certificate_fingerprint(der)
    ends = certificate.not_valid_after_utc
    text = (
        f"{connection.version()}, certificate of {', '.join(_names(certificate)) or 'nobody'},"
        f" valid until {ends.date()}, key {shown}"
    )
    if ends <= now:
        return bad("TLS", text, "the certificate has ended: its operator has to renew it")
    if (ends - now).days < 30:
        return note("TLS", text, f"the certificate ends in {(ends - now).days} days: its operator should renew it")
    if fingerprint and shown == fingerprint:
        return ok("TLS", f"{text}: that of the code, so TLS ends at the node itself")
    if fingerprint:
        advice = f"if that is its gateway: `nodeconsole peer add … --tls {shown}` (or --tls ca); ask by phone"
        return note("TLS", f"{text}: not the key of the node in the code, so something else ends TLS there", advice)
    return ok("TLS", text)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    except (x509.ExtensionNotFound, ValueError):
        found = []
    subject = certificate.subject.rfc4514_string()
    return [subject[:100], *(name[:100] for name in found[:4])]


def path(url: str, response: httpx.Response, body: bytes) -> LinkCheck:
    try:
        answer = json.loads(body)
        known = isinstance(answer, dict) and "code" in answer and "msg" in answer
    except ValueError:
        known = False
    if known and response.status_code == 200:
        return ok("path", f"{url}{HEALTH_PATH} is answered by a node")
    advice = "check the path in the address; the gateway there has to pass it on to the node (partner.path_prefix)"
    return bad("path", f"{url}{HEALTH_PATH} is answered with HTTP {response.status_code}, and not by a node", advice)


def clock_by_date(date: str, now_ms: float) -> list[LinkCheck]:
    try:
        seconds = parsedate_to_datetime(date).timestamp() - now_ms / 1000
    except ValueError:
        return []
    # The header holds whole seconds.
    return [] if abs(seconds) < 2 else [clock_gap(seconds)]


def clock_gap(seconds: float) -> LinkCheck:
    """How far the other side's is ahead of ours."""
    text = f"its clock is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this one"
    if abs(seconds) > _CLOCK_BAD:
        return bad("clock", text, "signed requests are refused from 300 s on: set the clocks (NTP) on both sides")
    if abs(seconds) > _CLOCK_WARN:
        return note("clock", text, "set the clocks (NTP) on both sides")
    return ok("clock", text)
