"""HTTP clients for calls to partners: one per partner, since each has its own pins and may be shown our certificate."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpx

from embedded_scheduler.peers.directory import Partner
from embedded_scheduler.security.tls import KeyPair, client_context
from embedded_scheduler.transport import Transport


@dataclass(frozen=True, slots=True)
class Route:
    """How calls leave this node. `pair` is shown to servers that ask for a certificate; `proxy` is a URL, empty = none;
    `ca_file` vouches for servers that are not pinned."""

    pair: KeyPair | None = None
    proxy: str = ""
    ca_file: Path | None = None


class Clients:
    """Clients by partner, made when first needed and again when the partner's pins or address change.

    `anonymous` clients never show a certificate: a server that does not trust it yet would end the handshake.
    """

    def __init__(self, route: Route, *, keepalive: int, idle_seconds: float) -> None:
        self._route = route
        # The number of connections is bounded by whoever calls.
        self._limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=keepalive, keepalive_expiry=idle_seconds
        )
        self._clients: dict[tuple[str, bool], _Known] = {}
        self._retired: list[httpx.AsyncClient] = []
        # Never used for a connection; a client would otherwise read this machine's whole list of CAs.
        self._no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def of(self, partner: Partner, *, anonymous: bool = False) -> httpx.AsyncClient:
        """The client for calls to this partner, as it is known now."""
        return self._known(partner, anonymous=anonymous).client

    def transport(self, partner: Partner) -> httpx.AsyncBaseTransport:
        """What that client sends by, for whoever needs nothing else of it."""
        return self._known(partner, anonymous=False).transport

    def _known(self, partner: Partner, *, anonymous: bool) -> _Known:
        secure = partner.url.startswith("https:")
        key = (partner.node_id if secure else "", anonymous and secure)
        recipe: tuple[object, ...] = (partner.server_pins,) if secure else ()
        known = self._clients.get(key)
        if known is not None and known.recipe == recipe:
            return known
        if known is not None:
            # Calls may be under way on it; its connections end by themselves when idle.
            self._retired.append(known.client)
        transport = self._transport(secure=secure, pins=partner.server_pins, anonymous=anonymous)
        self._clients[key] = made = _Known(recipe, transport, _client(transport))
        return made

    def open(self, *, secure: bool, pins: Iterable[str] = (), anonymous: bool = True) -> httpx.AsyncClient:
        """A client of its own, for a node that is no partner yet; the caller closes it."""
        return _client(self._transport(secure=secure, pins=pins, anonymous=anonymous))

    def _transport(self, *, secure: bool, pins: Iterable[str], anonymous: bool) -> httpx.AsyncBaseTransport:
        context = self._no_tls
        if secure:
            pair = None if anonymous else self._route.pair
            context = client_context(pins=pins, ca_file=self._route.ca_file, pair=pair)
        return Transport(
            verify=context,
            trust_env=False,
            limits=self._limits,
            proxy=httpx.Proxy(self._route.proxy) if self._route.proxy else None,
        )

    def renew(self, route: Route) -> None:
        """Our own certificate or way out changed: connections made from now on use the new one."""
        self._route = route
        self._retired += [known.client for known in self._clients.values()]
        self._clients.clear()

    async def close(self) -> None:
        for known in self._clients.values():
            await known.client.aclose()
        for client in self._retired:
            await client.aclose()


@dataclass(frozen=True, slots=True)
class _Known:
    """`recipe`: what it was made from."""

    recipe: tuple[object, ...]
    transport: httpx.AsyncBaseTransport
    client: httpx.AsyncClient


def _client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # Whoever calls limits the whole of a call; a limit per read would never add to it.
        timeout=None,  # noqa: S113
    )
