"""Who calls the platform listener: the own platform by a named token, the node's components by theirs."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qs

from embedded_scheduler.api.authentication import Caller, Inbound
from embedded_scheduler.clock import Clock
from embedded_scheduler.engine.credentials import Credentials, allows
from embedded_scheduler.errors import Forbidden, InvalidRequest, Unauthenticated
from embedded_scheduler.store.tokens import Token
from embedded_scheduler.wire.bfia.headers import read_headers

LOOPBACK = "@platform"
"""Source of requests that need no token; no node can have such an id."""
_NO_HEADERS: Mapping[str, str] = {}

ScopeOf = Callable[[str, str], str]
"""The scope that a method and path need; empty = no token opens it."""


def actor_of(caller: Caller) -> str:
    """For the ledger: `platform:<name of the token>`, or `platform` for one that needs none."""
    return caller.source.removeprefix("@")


class PlatformAuthenticator:
    """The own platform by bearer token; callers on this machine without one if `platform.trust_loopback` is set."""

    def __init__(self, credentials: Credentials, clock: Clock, scope_of: ScopeOf, *, trust_loopback: bool) -> None:
        self._credentials = credentials
        self._clock = clock
        self._scope_of = scope_of
        self._trust_loopback = trust_loopback

    def identify(self, request: Inbound, *, component: bool) -> Caller:
        headers = read_headers(request.headers)
        fields = {name.lower(): value.decode("latin-1").strip() for name, value in request.headers}
        shown = _tokens(fields, request.query if component else "")
        source = self._source(request, fields, shown)
        if not source and not component:
            raise Unauthenticated(
                "send `Authorization: Bearer TOKEN` with a token that is valid here: `nodeconsole token create NAME`"
                " prints one"
            )
        return Caller(
            source=source,
            # What an unproven caller says of itself must not answer for the platform later.
            nonce=headers.nonce if source else "",
            trace_id=headers.trace_id,
            token=shown[0] if shown else None,
            trusted=bool(source),
        )

    def _source(self, request: Inbound, fields: Mapping[bytes, str], shown: Iterable[str]) -> str:
        """Which program of the own platform calls; empty = none of them. Each has its own nonces."""
        now_ms = self._clock.now_ms()
        for text in shown:
            token = self._credentials.holder(text, now_ms)
            if token is not None:
                self._check_scope(token, request)
                return f"{LOOPBACK}:{token.name}"
        local = self._trust_loopback and _is_loopback(request.remote) and not from_a_browser(fields)
        return LOOPBACK if local else ""

    def _check_scope(self, token: Token, request: Inbound) -> None:
        needed = self._scope_of(request.method, request.path)
        if not needed or not allows(token, needed):
            raise Forbidden(
                f"token {token.name} is for {', '.join(token.scopes)}; this call needs {needed}:"
                f" `nodeconsole token create NAME --scope {needed}`"
            )

    def verify(self, caller: Caller, request: Inbound, body: bytes) -> Caller:  # noqa: ARG002
        """The token says it all."""
        return caller

    def answer_headers(self, caller: Caller | None, request: Inbound, body: bytes) -> Mapping[str, str]:  # noqa: ARG002
        return _NO_HEADERS


def _tokens(fields: Mapping[bytes, str], query: str) -> list[str]:
    found = []
    scheme, _, credential = fields.get(b"authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credential.strip():
        found.append(credential.strip())
    if fields.get(b"x-ptp-token"):
        found.append(fields[b"x-ptp-token"])
    if query:
        try:
            found += parse_qs(query, max_num_fields=100).get("token", [])[:1]
        except ValueError:
            raise InvalidRequest("the query is not valid: at most 100 fields") from None
    return found


def from_a_browser(names: Iterable[bytes]) -> bool:
    """Whether a web page sent the request, by the (lower-case) names of its headers.

    The browser of somebody on this machine calls from loopback too, at the bidding of any page: it is not the platform.
    """
    return not {b"origin", b"sec-fetch-site", b"referer"}.isdisjoint(names)


def _is_loopback(remote: str) -> bool:
    try:
        return ipaddress.ip_address(remote).is_loopback
    except ValueError:
        return False
