"""`peer test`: what a link to another node lets through, found out with this node's own way out, before any trust.

Nothing secret is sent, so the other side's certificate is looked at and not insisted on.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx

from embedded_scheduler.clock import Clock
from embedded_scheduler.config import PartnerListener
from embedded_scheduler.engine import linktest
from embedded_scheduler.engine.peers import check_url
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.peers.clients import Route
from embedded_scheduler.peers.faults import reason
from embedded_scheduler.peers.link_checks import (
    HEALTH_PATH,
    bad,
    clock_by_date,
    connect,
    note,
    path,
    read_limited,
    resolve,
    skipped,
    tls,
)
from embedded_scheduler.peers.link_probe import FULL, QUICK, SECONDS, Plan, Probe, Target
from embedded_scheduler.security import invitation as codes
from embedded_scheduler.sentences import say
from embedded_scheduler.transport import Transport
from embedded_scheduler.wire.linktest import LinkCheck, LinkChecks, LinkReport, OwnSide

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound
_WITHOUT_CODE = say("link_without_code")


def read_target(text: str) -> Target:
    """From an address or a code; `InvalidRequest` when it is neither."""
    if not text.strip().upper().startswith(codes.PREFIX):
        return Target(check_url(text.strip()))
    code = codes.decode(text)
    if code.expires_s <= time.time():
        raise InvalidRequest(say("test_expired"))
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
            checks.append(skipped("link_rest", say("link_not_before")))
        elif not target.key:
            checks.append(skipped("link_rest", _WITHOUT_CODE))
        else:
            async with self._client() as client:
                probe = Probe(client, target, plan, self._clock)
                checks += await probe.all()
                reverse = await self._way_back(probe)
        return LinkReport(target=target.url, own=self.own_side(), checks=checks, reverse=reverse)

    async def _way_back(self, probe: Probe) -> list[LinkCheck]:
        if urlsplit(self._partner.public_url).hostname in _EVERYWHERE:
            advice = say("link_no_address_fix")
            return [note("link_way_back", say("link_no_address"), advice)]
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
            checks.append(note("link_proxy", say("link_by_proxy", proxy=self._route().proxy)))
        else:
            for step in (resolve, connect):
                checks.append(await step(target.url))
                if checks[-1].state == "bad":
                    return checks
        async with self._client() as client:
            checks += await self._greet(client, target)
        return checks

    async def _greet(self, client: httpx.AsyncClient, target: Target) -> list[LinkCheck]:
        began = self._clock.now_ms()
        try:
            async with client.stream("GET", target.url + HEALTH_PATH, timeout=SECONDS) as response:
                connection = response.extensions["network_stream"].get_extra_info("ssl_object")
                body = await read_limited(response)
        except httpx.TransportError as error:
            return [bad("link_connection", say("link_no_answer", why=reason(target.url, error)))]
        middle = (began + self._clock.now_ms()) / 2
        checks = [tls(target.fingerprint, connection, datetime.fromtimestamp(middle / 1000, UTC))]
        checks.append(path(target.url, response, body))
        if (date := response.headers.get("date")) is not None:
            checks += clock_by_date(date, middle)
        return checks

    def _client(self) -> httpx.AsyncClient:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        transport = Transport(verify=context, proxy=self._route().proxy or None, trust_env=False)
        return httpx.AsyncClient(transport=transport, trust_env=False, timeout=SECONDS, follow_redirects=False)
