"""One signed request to a partner and its answer, believed only if it is signed as the partner's contract wants it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import httpx

from embedded_scheduler.clock import Clock
from embedded_scheduler.config import MIB
from embedded_scheduler.errors import InvalidRequest, Spoken
from embedded_scheduler.peers.clients import Clients
from embedded_scheduler.peers.directory import Partner
from embedded_scheduler.peers.faults import reason
from embedded_scheduler.security.keys import PublicKey
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.wire.bfia.envelope import Unreadable, read_answer
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, read_timestamp, render_headers, render_timestamp
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

ANSWER_BYTES = 16 * MIB


@dataclass(frozen=True, slots=True)
class Request:
    """`path` begins with `/v1/`; `query` is encoded, without `?`; `token_set` is the text of `x-mprac-token-set`."""

    method: str
    path: str
    query: str
    body: bytes
    nonce: str
    trace_id: str
    token_set: str = ""
    signer: Signer | None = None
    """Signs this request in place of the present key."""
    transport: str = ""
    """Of a channel request: what `wire.ptp.covered` makes of its headers."""

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as it came: HTTP status and whole body. `proven` = the partner signed it."""

    status: int
    body: bytes
    proven: bool = False

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class NoAnswer(Spoken):
    """The call brought no answer that could be used; the text says why, as a predicate of the partner."""


class NotTaken(NoAnswer):
    """The partner answered, and refused the request as one that this node did not make. Whoever changed the request on
    its way gets that answer too."""


class Exchange:
    """Calls of this node to partners. Whoever calls limits the time of a call."""

    def __init__(self, node_id: str, clock: Clock, clients: Clients, signer: Signer | None = None) -> None:
        """Without `signer` nothing is signed."""
        self._node_id = node_id
        self._clock = clock
        self._clients = clients
        self._signer = signer

    async def send(self, partner: Partner, request: Request, *, anonymous: bool = False) -> Raw:
        """The partner's answer, whatever it says; `NoAnswer` when there is none, or none that may be believed.

        `anonymous` = without showing our certificate. The request may be sent twice.
        """
        if partner.signing == "required" and not self._keys(partner):
            raise NoAnswer(say("call_unsigned"))
        try:
            return await self._once(partner, request, anonymous=anonymous)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # A kept connection that the partner was just closing looks like this; every call may be sent twice.
            pass
        except httpx.TransportError as error:
            raise NoAnswer(_unreachable(partner, error)) from None
        try:
            return await self._once(partner, request, anonymous=anonymous)
        except httpx.TransportError as error:
            raise NoAnswer(_unreachable(partner, error)) from None

    async def _once(self, partner: Partner, request: Request, *, anonymous: bool) -> Raw:
        headers = self.headers(partner, request)
        try:
            client = self._clients.of(partner, anonymous=anonymous)
            built = client.build_request(
                request.method, partner.url + request.target, headers=headers, content=request.body
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise NoAnswer(say("call_address", url=partner.url, error=str(error))) from None
        except InvalidRequest as error:
            # Our own certificate, or partner.ca_file, cannot be used.
            raise NoAnswer(say("call_own_fault", error=error.words)) from None
        response = await client.send(built, stream=True)
        try:
            body = await _body(response)
        finally:
            await response.aclose()
        return Raw(response.status_code, body, proven=self.is_proven(partner, request, response, body))

    def _said(self, partner: Partner, request: Request) -> PartnerHeaders:
        return PartnerHeaders(
            source=self._node_id,
            target=partner.node_id,
            nonce=request.nonce,
            trace_id=request.trace_id,
            timestamp=render_timestamp(self._clock.now_ms(), partner.profile.timestamp_unit),
            token_set=request.token_set,
        )

    def headers(self, partner: Partner, request: Request) -> dict[str, str]:
        """All headers of the request, with its signature as of now."""
        said = self._said(partner, request)
        signed = SignedRequest(request.method, request.path, request.query, said, request.body, request.transport)
        signer = request.signer or self._signer
        signature = signer.sign(signed.message()) if signer is not None else ""
        headers = render_headers(said, signature=signature, writes=request.method == "POST")
        headers["content-type"] = "application/json"
        headers["accept"] = "application/json"
        headers["accept-encoding"] = "identity"
        if partner.profile.host_header:
            headers["host"] = partner.profile.host_header.replace("{node_id}", partner.node_id)
        return headers

    # -- whose answer it is -------------------------------------------------------------------------------------------

    def _keys(self, partner: Partner) -> tuple[PublicKey, ...]:
        return partner.trust.valid_keys(self._clock.now_ms()) if partner.trust is not None else ()

    def is_proven(self, partner: Partner, request: Request, response: httpx.Response, body: bytes) -> bool:
        """Whether the partner signed the answer. `NoAnswer` when its contract wants that and it did not."""
        signature = response.headers.get(SIGNATURE, "")
        keys = self._keys(partner)
        if partner.signing == "off" or (partner.signing != "required" and not (signature and keys)):
            return False
        status, timestamp = response.status_code, response.headers.get("x-timestamp", "")
        if not signature:
            raise NoAnswer(say("answer_unsigned", status=status))
        answer = SignedAnswer(
            status=status,
            path=request.path,
            source=response.headers.get("x-source-node-id", ""),
            target=response.headers.get("x-target-node-id", ""),
            nonce=request.nonce,
            timestamp=timestamp if timestamp.isascii() else "",
            trace_id=request.trace_id,
            body=body,
        )
        ours = (answer.source, answer.target) == (partner.node_id, self._node_id)
        if not ours or not is_signed(answer.message(), signature, keys):
            if ours and is_signed(replace(answer, nonce=NOT_TAKEN).message(), signature, keys):
                raise NotTaken(say("request_not_taken", answer=_text(body)))
            raise NoAnswer(say("answer_wrong_signature", status=status))
        if not is_fresh(read_timestamp(answer.timestamp), self._clock.now_ms()):
            raise NoAnswer(say("answer_wrong_time", seconds=WINDOW_MS // 1000))
        return True


async def _body(response: httpx.Response) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise NoAnswer(say("answer_compressed"))
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise NoAnswer(say("answer_large", bytes=ANSWER_BYTES))
    return bytes(body)


def _unreachable(partner: Partner, error: httpx.TransportError) -> Words:
    return say("call_unreachable", url=partner.url, why=reason(partner.url, error))


def _text(body: bytes) -> Words:
    try:
        answer = read_answer(body)
    except Unreadable:
        return say("answer_unreadable")
    return say("answer_code", code=answer.code, text=answer.text)
