"""Who is calling a family, and how a partner proves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from embedded_scheduler.api.connection import UNKNOWN, Connection
from embedded_scheduler.clock import Clock
from embedded_scheduler.errors import Forbidden, InvalidRequest, Unauthenticated
from embedded_scheduler.security.keys import PublicKey
from embedded_scheduler.wire.bfia.envelope import AnswerStyle
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, read_headers
from embedded_scheduler.wire.bfia.signature import (
    NOT_TAKEN,
    SIGNATURE,
    WINDOW_MS,
    SignedAnswer,
    SignedRequest,
    Signer,
    is_fresh,
    is_signed,
)

RawHeaders = Iterable[tuple[bytes, bytes]]
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
    transport: str = ""
    """Of a channel request: what its `x-ptp-*` headers say, as a signature covers it."""

    @property
    def remote(self) -> str:
        """The caller's address, empty = a unix socket."""
        return self.connection.remote


@dataclass(frozen=True, slots=True)
class Caller:
    """`source` and `nonce` name a partner's request; `token` is what a component showed; `trusted` = it needs none.
    `proven` = a partner's signature vouches for all this; holds as soon as `Authenticator.verify` has returned."""

    source: str = ""
    nonce: str = ""
    trace_id: str = ""
    token: str | None = None
    trusted: bool = False
    proven: bool = False
    in_force: bool = True
    """What proves it is the contract in force with `source`: only then is anything counted as that partner's."""
    style: AnswerStyle = DEFAULT_STYLE
    headers: PartnerHeaders = NO_HEADERS
    remote: str = ""


class Authenticator(Protocol):
    def identify(self, request: Inbound, *, component: bool) -> Caller:
        """Who calls, before the body is read. `component` = the endpoint also serves the node's components, which the
        verb itself checks. Raises `Unauthenticated`, or `InvalidRequest` for headers that contradict themselves."""
        ...

    def verify(self, caller: Caller, request: Inbound, body: bytes) -> Caller:
        """Check what covers the body (a signature), and return what is known of the caller then; raises
        `Unauthenticated`."""
        ...

    def answer_headers(self, caller: Caller | None, request: Inbound, body: bytes) -> Mapping[str, str]:
        """What to send with the answer `body` (HTTP 200), so that the caller knows whose it is. `caller` is None as
        long as `verify` has not returned: the answer then says nothing about the request that the caller sent."""
        ...


class Trust(Protocol):
    """A contract in force."""

    @property
    def contract_id(self) -> str: ...

    def valid_keys(self, now_ms: int) -> tuple[PublicKey, ...]: ...


class KnownPartner(Protocol):
    @property
    def signing(self) -> str:
        """required, verify-if-present or off."""
        ...

    @property
    def trust(self) -> Trust | None: ...


class Partners(Protocol):
    """Who may call, and how each needs its answers; `peers.directory.Directory` knows."""

    def partner(self, node_id: str) -> KnownPartner | None: ...

    def answer_style(self, node_id: str) -> AnswerStyle: ...


NOT_PROVEN = (
    "this request does not come from a partner with a contract in force here: the calling node has to be registered,"
    " have a contract, and sign (header x-auth-sign) with the key that the contract names"
)
"""One sentence for unknown nodes and wrong signatures: a third node does not learn who the partners are."""
_SIGNED_HEADERS = ("x-target-node-id", "x-nonce", "x-timestamp")


class PartnerAuthenticator:
    """Partners say who they are (control layer §2.2) and prove it as their contract wants (docs/protocol-signing.md).

    The source alone is asked of everybody: every known implementation sends it in some spelling, and behind this door a
    verb may take it for somebody's word. Nobody but this node itself calls itself by its id. A node that is no partner
    is treated like one that has to sign and has no key.
    """

    def __init__(
        self, node_id: str, partners: Partners, *, clock: Clock, signer: Signer | None = None, mutual: bool = False
    ) -> None:
        """`signer` signs the answers (None = they are not); `mutual` = the listener asks callers for certificates."""
        self._node_id = node_id
        self._partners = partners
        self._clock = clock
        self._signer = signer
        self._mutual = mutual

    def identify(self, request: Inbound, *, component: bool) -> Caller:  # noqa: ARG002
        headers = read_headers(request.headers)
        self._check_addresses(headers)
        proven = self._has_to_prove(headers)
        if proven:
            self._check_complete(headers)
            self._check_certificate(request.connection, self._keys(headers.source))
        return Caller(
            source=headers.source,
            nonce=headers.nonce,
            trace_id=headers.trace_id,
            proven=proven,
            style=self._partners.answer_style(headers.source),
            headers=headers,
        )

    def verify(self, caller: Caller, request: Inbound, body: bytes) -> Caller:
        if not caller.proven:
            return caller
        signed = SignedRequest(request.method, request.path, request.query, caller.headers, body, request.transport)
        # The keys of this moment: the contract may have ended while the body came in.
        if not is_signed(signed.message(), caller.headers.signature, self._keys(caller.source)):
            raise Unauthenticated(NOT_PROVEN)
        return caller

    def answer_headers(self, caller: Caller | None, request: Inbound, body: bytes) -> Mapping[str, str]:
        """A signature for everybody who may want one, strangers too: its absence would tell who is a partner."""
        headers = caller.headers if caller is not None else _readable(request)
        if self._signer is None or not headers.source or not self._wants_signature(headers):
            return NO_ANSWER_HEADERS
        answer = SignedAnswer(
            status=200,
            path=request.path,
            source=self._node_id,
            target=headers.source,
            # Whoever spoils a request on its way must not get a refusal of it that its sender takes for ours.
            nonce=headers.nonce if caller is not None else NOT_TAKEN,
            timestamp=str(self._clock.now_ms()),
            trace_id=headers.trace_id,
            body=body,
        )
        return {
            SIGNATURE: self._signer.sign(answer.message()),
            "x-source-node-id": answer.source,
            "x-target-node-id": answer.target,
            "x-timestamp": answer.timestamp,
        }

    def _check_addresses(self, headers: PartnerHeaders) -> None:
        if headers.target and headers.target != self._node_id:
            raise InvalidRequest(
                f"this is node {self._node_id}, the call is addressed to {headers.target}:"
                f" check the address registered for {headers.target}"
            )
        if not headers.source:
            raise Unauthenticated("say which node calls: send its id in the header x-source-node-id (or x-node-id)")
        if headers.source == self._node_id:
            raise Forbidden(f"{headers.source} is this node itself: send the id of the calling node as the source")

    def _has_to_prove(self, headers: PartnerHeaders) -> bool:
        partner = self._partners.partner(headers.source)
        if partner is None or partner.signing == "required":
            return True
        # Who merely may sign is believed without, so a signature that nobody could check takes nothing away.
        return partner.signing == "verify-if-present" and bool(headers.signature and self._keys(headers.source))

    def _check_complete(self, headers: PartnerHeaders) -> None:
        if not headers.signature:
            raise Unauthenticated(NOT_PROVEN)
        said = (headers.target, headers.nonce, headers.timestamp)
        missing = [name for name, value in zip(_SIGNED_HEADERS, said, strict=True) if not value]
        if missing:
            raise Unauthenticated(f"a signed request also carries {', '.join(missing)}")
        if not is_fresh(headers.timestamp_ms, self._clock.now_ms()):
            raise Unauthenticated(
                f"x-timestamp is not within {WINDOW_MS // 1000} seconds of this node's clock: set both nodes' clocks"
            )

    def _check_certificate(self, connection: Connection, keys: tuple[PublicKey, ...]) -> None:
        """Whoever agreed on a certificate also shows it in the TLS handshake, where this node sees that."""
        if not keys:
            raise Unauthenticated(NOT_PROVEN)
        asked = self._mutual and connection.tls and any(key.certificate for key in keys)
        if asked and connection.certificate not in {key.fingerprint for key in keys}:
            raise Unauthenticated(NOT_PROVEN)

    def _keys(self, node_id: str) -> tuple[PublicKey, ...]:
        partner = self._partners.partner(node_id)
        if partner is None or partner.trust is None:
            return ()
        return partner.trust.valid_keys(self._clock.now_ms())

    def _wants_signature(self, headers: PartnerHeaders) -> bool:
        partner = self._partners.partner(headers.source)
        return partner is None or partner.signing == "required" or bool(headers.signature)


def _readable(request: Inbound) -> PartnerHeaders:
    try:
        return read_headers(request.headers)
    except InvalidRequest:
        return NO_HEADERS
