"""Messages carried by hand while the link to a partner is dead: a signed file there, a signed answer back.

A file holds a whole request about datasets, projects, flows, jobs or models and is handled as if it had come over HTTP,
under the same nonce, so that the second time, by file or by HTTP, gets the stored answer. What is signed begins with a
line of its own: neither file nor answer passes for an HTTP request or answer, nor one for the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from pydantic import Field

from embedded_scheduler.api.authentication import Caller, Inbound, KnownPartner
from embedded_scheduler.api.family import Answers, Endpoint, Family, OpenGate, Service
from embedded_scheduler.api.nonces import Nonces
from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.engine import messages, permits, receipts
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.ports import Delivery, Reply
from embedded_scheduler.errors import Conflict, InvalidRequest, NotFound, Refused, Unauthenticated
from embedded_scheduler.security.keys import PublicKey
from embedded_scheduler.sentences import say
from embedded_scheduler.store import receipts as receipt_store
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.outbox import OutboxRow
from embedded_scheduler.wire.bfia.envelope import AnswerStyle, read_answer
from embedded_scheduler.wire.bfia.headers import PartnerHeaders
from embedded_scheduler.wire.bfia.message import Message, validate
from embedded_scheduler.wire.bfia.signature import WINDOW_MS, SignedAnswer, SignedRequest, Signer, is_signed

VALID_MS = 14 * DAY_MS
"""How long a file counts."""
PREFIX = "/v1/interconn/"
REQUEST: Literal["nodeconsole message 1"] = "nodeconsole message 1"
ANSWER: Literal["nodeconsole answer 1"] = "nodeconsole answer 1"
_SETTLED = ("stored", "opened", "decided")
_NOT_BY_HAND = say("not_by_hand")


class _File(Message):
    """`body` is JSON as text, byte for byte; times are epoch ms."""

    format: str
    operation: str = Field(max_length=100)
    source: str
    target: str
    nonce: str = Field(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$")
    trace_id: str = Field(default="", max_length=256, pattern=r"^[\x20-\x7e]*$")
    timestamp: int = Field(ge=0, lt=1 << 62)
    body: str
    signature: str = ""


class RequestFile(_File):
    format: Literal["nodeconsole message 1"]
    expires: int = Field(ge=0, lt=1 << 62)

    def signed(self) -> bytes:
        said = PartnerHeaders(
            source=self.source,
            target=self.target,
            nonce=self.nonce,
            timestamp=str(self.timestamp),
            trace_id=self.trace_id,
        )
        request = SignedRequest("POST", PREFIX + self.operation, "", said, self.body.encode())
        return b"\n".join([REQUEST.encode(), str(self.expires).encode(), request.message()])


class AnswerFile(_File):
    """`source` answered; `nonce` and `trace_id` are the request's."""

    format: Literal["nodeconsole answer 1"]

    def signed(self) -> bytes:
        answer = SignedAnswer(
            status=200,
            path=PREFIX + self.operation,
            source=self.source,
            target=self.target,
            nonce=self.nonce,
            timestamp=str(self.timestamp),
            trace_id=self.trace_id,
            body=self.body.encode(),
        )
        return b"\n".join([ANSWER.encode(), answer.message()])


class Partners(Protocol):
    """`peers.directory.Directory`"""

    def partner(self, node_id: str) -> KnownPartner | None: ...

    def answer_style(self, node_id: str) -> AnswerStyle: ...


class Courier:
    """Writes and takes the files of one node. `family` are the endpoints that a file may be for."""

    def __init__(
        self, engine: Engine, family: Family[Any], partners: Partners, signer: Signer, answers: Answers
    ) -> None:
        self._engine = engine
        self._partners = partners
        self._signer = signer
        self._endpoints: dict[str, Endpoint[Any]] = {
            endpoint.path.removeprefix(PREFIX): endpoint for endpoint in family.endpoints if endpoint.stored
        }
        self._service: Service[Any] = Service(
            "courier", engine, None, _Proven(), answers, OpenGate(), Nonces(engine.clock)
        )

    # -- the sender ---------------------------------------------------------------------------------------------------

    async def export(self, message_id: int) -> dict[str, Any]:
        """A message as a file's document. `Conflict` when the partner has it already or it cannot be carried."""
        row = await self._engine.db.read(lambda reader: receipts.get(reader, message_id))
        if row.operation not in self._endpoints or row.job_id:
            raise Conflict(_NOT_BY_HAND)
        if row.state in _SETTLED:
            raise Conflict(say("message_delivered", node=row.node_id, message=message_id))
        outgoing = await permits.outgoing(self._engine, row)
        now_ms = self._engine.clock.now_ms()
        written = RequestFile(
            format=REQUEST,
            operation=row.operation,
            source=self._engine.node_id,
            target=row.node_id,
            nonce=row.nonce,
            trace_id=row.trace_id,
            timestamp=now_ms,
            expires=now_ms + VALID_MS,
            body=json.dumps(outgoing.body, separators=(",", ":"), allow_nan=False),
        )
        return written.model_copy(update={"signature": self._signer.sign(written.signed())}).model_dump()

    # -- whoever gets a file ------------------------------------------------------------------------------------------

    async def take(self, document: Mapping[str, Any]) -> dict[str, Any] | None:
        """Handle a file. Of a request it returns the answer's document; an answer settles the message it is for.

        `InvalidRequest` for a file of another kind, `Unauthenticated` for a signature that the contract does not bear
        out, `Refused` for one that has expired.
        """
        if document.get("format") == ANSWER:
            await self._settle(validate(AnswerFile, document))
            return None
        return await self._handle(validate(RequestFile, document))

    async def _handle(self, file: RequestFile) -> dict[str, Any]:
        self._check(file)
        now_ms = self._engine.clock.now_ms()
        if not file.timestamp - WINDOW_MS <= now_ms < min(file.expires, file.timestamp + VALID_MS):
            raise Refused(say("file_expired"))
        endpoint = self._endpoints.get(file.operation)
        if endpoint is None:
            raise InvalidRequest(_NOT_BY_HAND)
        style = self._partners.answer_style(file.source)
        caller = Caller(source=file.source, nonce=file.nonce, trace_id=file.trace_id, proven=True, style=style)
        inbound = Inbound("POST", endpoint.path, "", ())
        answer = await self._service.perform(endpoint, caller, inbound, file.body.encode())
        written = AnswerFile(
            format=ANSWER,
            operation=file.operation,
            source=self._engine.node_id,
            target=file.source,
            nonce=file.nonce,
            trace_id=file.trace_id,
            timestamp=now_ms,
            body=answer.decode(),
        )
        return written.model_copy(update={"signature": self._signer.sign(written.signed())}).model_dump()

    async def _settle(self, file: AnswerFile) -> None:
        self._check(file)

        def look(reader: Reader) -> OutboxRow | None:
            return receipt_store.by_nonce(reader, file.source, file.nonce)

        row = await self._engine.db.read(look)
        if row is None or row.operation != file.operation:
            raise NotFound(say("file_answers_nothing"))
        answer = read_answer(file.body.encode())
        if answer.ok:
            reply = Reply(Delivery.OK, answer.data or {})
        else:
            said = f"{file.source} answered {file.operation} with code {answer.code}: {answer.text} (by file)"
            reply = Reply(Delivery.REFUSED, {}, said)
        await messages.settle(self._engine, row, reply, came_back=False, next_ms=row.next_ms)

    def _check(self, file: RequestFile | AnswerFile) -> None:
        for name in ("source", "target"):
            check_id(name, getattr(file, name))
        if file.target != self._engine.node_id:
            raise InvalidRequest(say("file_of_other", target=shorten(file.target), node=self._engine.node_id))
        if not is_signed(file.signed(), file.signature, self._keys(file.source)):
            raise Unauthenticated(say("file_unsigned", source=shorten(file.source)))

    def _keys(self, node_id: str) -> tuple[PublicKey, ...]:
        partner = self._partners.partner(node_id)
        trust = partner.trust if partner is not None else None
        return trust.valid_keys(self._engine.clock.now_ms()) if trust is not None else ()


class _Proven:
    """The file's signature was checked before."""

    def identify(self, request: Inbound, *, component: bool) -> Caller:  # noqa: ARG002
        raise Unauthenticated(say("file_no_headers"))

    def verify(self, caller: Caller, request: Inbound, body: bytes) -> Caller:  # noqa: ARG002
        """It was."""
        return caller

    def answer_headers(self, caller: Caller | None, request: Inbound, body: bytes) -> Mapping[str, str]:  # noqa: ARG002
        return {}
