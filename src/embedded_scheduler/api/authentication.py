"""Who is calling: partners by their headers (and later their signature), the own platform and components by token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs

from embedded_scheduler.api.connection import UNKNOWN, Connection
from embedded_scheduler.errors import Forbidden, InvalidRequest, Unauthenticated, Unavailable
from embedded_scheduler.wire.bfia.envelope import AnswerStyle
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, read_headers
from embedded_scheduler.wire.bfia.signature import NoSignature, SignedRequest, Verifier

RawHeaders = Iterable[tuple[bytes, bytes]]
PLATFORM = "@platform"
"""Source of the own platform's requests: no node can have this id."""
DEFAULT_STYLE = AnswerStyle()
NO_HEADERS = PartnerHeaders()
NO_ANSWER_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Inbound:
    """A request before its body is read. `query` is as sent."""

    method: str
    path: str
    query: str
    headers: RawHeaders
    connection: Connection = UNKNOWN

    @property
    def remote(self) -> str:
        """The caller's address, empty = a unix socket."""
        return self.connection.remote


@dataclass(frozen=True, slots=True)
class Caller:
    """`source` and `nonce` name a partner's request; `token` is what a component showed; `trusted` = it needs none."""

    source: str = ""
    nonce: str = ""
    trace_id: str = ""
    token: str | None = None
    trusted: bool = False
    style: AnswerStyle = DEFAULT_STYLE
    headers: PartnerHeaders = NO_HEADERS


class Authenticator(Protocol):
    def identify(self, request: Inbound, *, component: bool) -> Caller:
        """Who calls, before the body is read. `component` = the endpoint also serves the node's components, which the
        verb itself checks. Raises `Unauthenticated`, or `InvalidRequest` for headers that contradict themselves."""
        ...

    def verify(self, caller: Caller, request: Inbound, body: bytes) -> None:
        """Check what covers the body (a signature); raises `Unauthenticated`."""
        ...

    def answer_headers(self, caller: Caller | None, request: Inbound, body: bytes) -> Mapping[str, str]:
        """What to send with the answer `body` (HTTP 200), so that the caller knows whose it is. `caller` is None when
        the request was refused before anything was known of it."""
        ...


class AnswerStyles(Protocol):
    """How each partner needs its answers; `peers.directory.Directory` knows."""

    def answer_style(self, node_id: str) -> AnswerStyle: ...


class PartnerAuthenticator:
    """Partners say who they are (control layer §2.2); `verifier` decides whether that has to be proven.

    Of the specified headers this one alone is required: every known implementation sends it in some spelling, and
    behind this door a verb may take its source for somebody's word. Nobody but this node itself calls itself by its id.
    """

    def __init__(self, node_id: str, styles: AnswerStyles, verifier: Verifier | None = None) -> None:
        self._node_id = node_id
        self._styles = styles
        self._verifier = verifier or NoSignature()

    def identify(self, request: Inbound, *, component: bool) -> Caller:  # noqa: ARG002
        headers = read_headers(request.headers)
        if headers.target and headers.target != self._node_id:
            raise InvalidRequest(
                f"this is node {self._node_id}, the call is addressed to {headers.target}:"
                f" check the address registered for {headers.target}"
            )
        if not headers.source:
            raise Unauthenticated("say which node calls: send its id in the header x-source-node-id (or x-node-id)")
        if headers.source == self._node_id:
            raise Forbidden(f"{headers.source} is this node itself: send the id of the calling node as the source")
        return Caller(
            source=headers.source,
            nonce=headers.nonce,
            trace_id=headers.trace_id,
            style=self._styles.answer_style(headers.source),
            headers=headers,
        )

    def verify(self, caller: Caller, request: Inbound, body: bytes) -> None:
        self._verifier.verify(
            SignedRequest(
                method=request.method, path=request.path, query=request.query, headers=caller.headers, body=body
            )
        )

    def answer_headers(self, caller: Caller | None, request: Inbound, body: bytes) -> Mapping[str, str]:  # noqa: ARG002
        return NO_ANSWER_HEADERS


class TokenFile:
    """The bearer token in `<home>/platform.token`; read again when the file is replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._digest = b""

    def matches(self, token: str) -> bool:
        """Constant time in what was shown. `Unavailable` when the file cannot be read."""
        self._load()
        return hmac.compare_digest(_digest(token), self._digest)

    def _load(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return
            token = self._path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"the platform token {self._path} cannot be read: {type(error).__name__}") from None
        if not token:
            raise Unavailable(f"the platform token {self._path} is empty: run `nodeconsole init` again or write one")
        self._digest = _digest(token)
        self._stamp = stamp


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class PlatformAuthenticator:
    """The own platform by bearer token; callers on this machine without one if `platform.trust_loopback` is set."""

    def __init__(self, token_file: Path, *, trust_loopback: bool) -> None:
        self._token = TokenFile(token_file)
        self._trust_loopback = trust_loopback

    def identify(self, request: Inbound, *, component: bool) -> Caller:
        headers = read_headers(request.headers)
        fields = {name.lower(): value.decode("latin-1").strip() for name, value in request.headers}
        tokens = _tokens(fields, request.query if component else "")
        local = self._trust_loopback and _is_loopback(request.remote) and not from_a_browser(fields)
        trusted = local or any(map(self._token.matches, tokens))
        if not trusted and not component:
            raise Unauthenticated("send `Authorization: Bearer <content of platform.token in the node's home>`")
        return Caller(
            source=PLATFORM if trusted else "",
            # What an unproven caller says of itself must not answer for the platform later.
            nonce=headers.nonce if trusted else "",
            trace_id=headers.trace_id,
            token=tokens[0] if tokens else None,
            trusted=trusted,
        )

    def verify(self, caller: Caller, request: Inbound, body: bytes) -> None:
        """The token says it all."""

    def answer_headers(self, caller: Caller | None, request: Inbound, body: bytes) -> Mapping[str, str]:  # noqa: ARG002
        return NO_ANSWER_HEADERS


def _tokens(fields: dict[bytes, str], query: str) -> list[str]:
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
