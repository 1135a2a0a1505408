"""Invitations: the easy way to a contract. One node gives out a code, the other one applies with it."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

from embedded_scheduler.clock import DAY_MS, HOUR_MS
from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.lifecycle import CONTRACT
from embedded_scheduler.engine.approaches import Answer, application, ask, keep, read_answer
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.introductions import Introduction, identity_of, introduction, own_address
from embedded_scheduler.engine.peers import check_url
from embedded_scheduler.errors import Conflict, InvalidRequest, NodeError, NotFound, Refused, Unavailable
from embedded_scheduler.security import invitation as codes
from embedded_scheduler.security.invitation import Code
from embedded_scheduler.security.keys import CERT, PublicKey, parse_credential
from embedded_scheduler.sentences import say
from embedded_scheduler.store import contracts as contract_store
from embedded_scheduler.store import invitations, ledger
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.invitations import Invitation

_LOG = logging.getLogger(__name__)

LONGEST_HOURS = 24 * 30
_SHOWN_MS = 30 * DAY_MS


@dataclass(frozen=True, slots=True)
class Issued:
    """The code is shown once; this node keeps no copy of it."""

    code: str
    id: str
    address: str
    expires_ms: int


async def invite(engine: Engine, *, hours: float, address: str = "", actor: str) -> Issued:
    """A new code, good for one application within `hours`. `address` is where this node is reached, if not as set."""
    if not 0 < hours <= LONGEST_HOURS:
        raise InvalidRequest(say("invitation_hours", most=LONGEST_HOURS, hours=f"{hours:g}"))
    base = check_url(address) if address else own_address(engine.settings)
    secret = secrets.token_bytes(codes.SECRET_BYTES)
    invitation_id = secrets.token_hex(codes.ID_BYTES)
    # Whole seconds: that is what the code can say.
    expires_ms = (engine.clock.now_ms() + int(hours * HOUR_MS)) // 1000 * 1000
    fingerprint = identity_of(engine).fingerprint
    code = Code(invitation_id, secret, fingerprint, expires_ms // 1000, engine.node_id, base)

    def work(tx: Tx) -> None:
        invitations.add(
            tx,
            id=invitation_id,
            verifier=codes.verifier_of(invitation_id, secret),
            address=base,
            expires_ms=expires_ms,
            created_by=actor,
        )
        ledger.append(
            tx,
            subject="invitation",
            subject_id=invitation_id,
            event="invitation.made",
            actor=actor,
            data={"address": base, "expires_ms": expires_ms},
        )

    await engine.db.write(work)
    return Issued(codes.encode(code), invitation_id, base, expires_ms)


async def recent(engine: Engine) -> list[Invitation]:
    """Those of the last month, newest first."""
    since = engine.clock.now_ms() - _SHOWN_MS
    return await engine.db.read(lambda reader: invitations.since(reader, since))


async def revoke(engine: Engine, invitation_id: str, *, actor: str) -> None:
    """Take a code back that was not used."""

    def work(tx: Tx) -> None:
        if invitations.get(tx, invitation_id) is None:
            raise NotFound(say("invitation_unknown", invitation=shorten(invitation_id)))
        if not invitations.revoke(tx, invitation_id):
            raise Conflict(say("invitation_over"))
        ledger.append(tx, subject="invitation", subject_id=invitation_id, event="invitation.revoked", actor=actor)

    await engine.db.write(work)


async def join(engine: Engine, text: str, *, address: str = "", actor: str) -> Contract:
    """Apply at the node that gave out this code. Nothing is trusted before both operators have compared the words.

    The same code again returns the same contract. What goes wrong is raised and recorded.
    """
    code = codes.decode(text)
    if code.node_id == engine.node_id:
        raise InvalidRequest(say("invitation_own"))
    known = await engine.db.read(lambda reader: _joined(reader, code))
    if known is not None:
        return known
    if code.expires_s * 1000 <= engine.clock.now_ms():
        raise Refused(say("invitation_expired"))
    base = check_url(address) if address else own_address(engine.settings)
    about = introduction(engine.settings, base)
    try:
        answer, key = await _apply(engine, code, about)
    except NodeError as error:
        reason = error.words
        await engine.db.write(
            lambda tx: ledger.append(
                tx,
                subject="invitation",
                subject_id=code.id,
                event="join.failed",
                actor=actor,
                reason=reason,
                data={"node_id": code.node_id, "address": code.address, "fingerprint": code.fingerprint},
            )
        )
        raise
    return await keep(engine, answer, key, actor=actor, invitation=code.id)


def _joined(reader: Reader, code: Code) -> Contract | None:
    """The contract that this code led to, unless it has ended."""
    for row in contract_store.of_node(reader, code.node_id):
        if row.side == "applicant" and row.invitation == code.id and not CONTRACT.is_terminal(row.state):
            return row
    return None


async def _apply(engine: Engine, code: Code, about: Introduction) -> tuple[Answer, PublicKey]:
    identity = identity_of(engine)
    base = check_url(code.address)
    health = await ask(engine, code.node_id, code.fingerprint, base, "node/health", {})
    if health.get("status") != "ok":
        raise Unavailable(say("partner_unwell", address=base, status=shorten(health.get("status"))))
    who = {"node_id": code.node_id}
    found = await ask(engine, code.node_id, code.fingerprint, base, "node/query", who)
    if found.get("node_id") != code.node_id:
        raise Refused(say("other_node", address=base, found=shorten(found.get("node_id")), node=code.node_id))
    verifier = codes.verifier_of(code.id, code.secret)
    inviting, applying = (code.node_id, code.fingerprint), (engine.node_id, identity.fingerprint)
    proof = codes.application_proof(
        verifier, invitation_id=code.id, inviting=inviting, applying=applying, address=about.address
    )
    body = application(engine, about) | {"invitation": {"id": code.id, "proof": proof}}
    data = await ask(engine, code.node_id, code.fingerprint, base, "node/contract/apply", body)
    answer = read_answer(code.node_id, base, data)
    key = parse_credential(CERT, answer.credential)
    if key.fingerprint != code.fingerprint:
        raise Refused(say("other_key_than_code", address=base, node=code.node_id))
    wanted = codes.answer_proof(
        verifier, invitation_id=code.id, inviting=inviting, applying=applying, contract_id=answer.contract_id
    )
    if not codes.same_proof(str(data.get("proof") or ""), wanted):
        raise Refused(say("answer_not_of", address=base, node=code.node_id))
    return answer, key
