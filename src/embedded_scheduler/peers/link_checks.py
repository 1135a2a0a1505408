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
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.wire.console import said
from embedded_scheduler.wire.linktest import LinkCheck

HEALTH_PATH = "/v1/interconn/node/health"
_CLOCK_WARN, _CLOCK_BAD = 30.0, 300.0


def ok(code: str, text: Words) -> LinkCheck:
    """`code`, here and below: of the sentence that names what was looked at."""
    return _check(code, "ok", text)


def note(code: str, text: Words, advice: Words = "") -> LinkCheck:
    return _check(code, "note", text, advice)


def bad(code: str, text: Words, advice: Words = "") -> LinkCheck:
    return _check(code, "bad", text, advice)


def skipped(code: str, text: Words) -> LinkCheck:
    return _check(code, "skipped", text)


def _check(code: str, state: str, text: Words, advice: Words = "") -> LinkCheck:
    name = say(code)
    return LinkCheck(name=name, state=state, text=text, advice=advice, said=said(name=name, text=text, advice=advice))


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
        return bad("link_name", say("link_no_dns", host=host, error=str(error.strerror)), say("link_no_dns_fix"))
    addresses = sorted({str(entry[4][0]) for entry in found})
    return ok("link_name", say("link_dns", host=host, addresses=", ".join(addresses[:4])))


async def connect(url: str) -> LinkCheck:
    host, port = _place(url)
    began = time.monotonic()
    try:
        async with asyncio.timeout(10):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        advice = say("link_silent_fix", host=host, port=port)
        return bad("link_connection", say("link_silent", host=host, port=port), advice)
    except OSError as error:
        advice = say("link_refuses_fix", port=port)
        return bad(
            "link_connection", say("link_refuses", host=host, port=port, error=str(error.strerror or error)), advice
        )
    writer.close()
    return ok("link_connection", say("link_tcp", host=host, port=port, ms=f"{(time.monotonic() - began) * 1000:.0f}"))


def tls(fingerprint: str, connection: ssl.SSLObject | None, now: datetime) -> LinkCheck:
    """`fingerprint` is of the node's own key, as the code has it; empty = not known."""
    if connection is None:
        advice = say("link_plain_fix")
        return note("link_tls", say("link_plain"), advice)
    der = connection.getpeercert(binary_form=True) or b""
    certificate = x509.load_der_x509_certificate(der)
    shown = certificate_fingerprint(der)
    ends = certificate.not_valid_after_utc
    text = say(
        "link_certificate",
        version=str(connection.version()),
        names=", ".join(_names(certificate)) or say("link_nobody"),
        date=str(ends.date()),
        key=shown,
    )
    if ends <= now:
        return bad("link_tls", text, say("link_ended_fix"))
    if (ends - now).days < 30:
        return note("link_tls", text, say("link_ends_fix", days=(ends - now).days))
    if fingerprint and shown == fingerprint:
        return ok("link_tls", say("link_key_of_code", certificate=text))
    if fingerprint:
        advice = say("link_key_fix", key=shown)
        return note("link_tls", say("link_key_not_of_code", certificate=text), advice)
    return ok("link_tls", text)


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
        return ok("link_path", say("link_node_answers", url=f"{url}{HEALTH_PATH}"))
    advice = say("link_no_node_fix")
    return bad("link_path", say("link_no_node", url=f"{url}{HEALTH_PATH}", status=response.status_code), advice)


def clock_by_date(date: str, now_ms: float) -> list[LinkCheck]:
    try:
        seconds = parsedate_to_datetime(date).timestamp() - now_ms / 1000
    except ValueError:
        return []
    # The header holds whole seconds.
    return [] if abs(seconds) < 2 else [clock_gap(seconds)]


def clock_gap(seconds: float) -> LinkCheck:
    """How far the other side's is ahead of ours."""
    text = say("link_clock_ahead" if seconds > 0 else "link_clock_behind", seconds=f"{abs(seconds):.1f}")
    if abs(seconds) > _CLOCK_BAD:
        return bad("link_clock", text, say("link_clock_bad_fix"))
    if abs(seconds) > _CLOCK_WARN:
        return note("link_clock", text, say("link_clock_fix"))
    return ok("link_clock", text)
