"""Applications for a contract that other nodes make here, with an invitation or as strangers. They prove nothing yet
beyond what the invitation says, and wait for the operator."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from embedded_scheduler.domain.lifecycle import CONTRACT, AgreementState
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.introductions import Introduction, identity_of, introduction
from embedded_scheduler.errors import Conflict, TooMany
from embedded_scheduler.security.invitation import answer_proof, application_proof, same_proof
from embedded_scheduler.security.keys import CERT, PublicKey
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import contracts, invitations, ledger
from embedded_scheduler.store.database import Tx
from embedded_scheduler.store.invitations import Invitation

_LOG = logging.getLogger(__name__)

MOST_OPEN = 20
MOST_OPEN_PER_CALLER = 3
"""Applications of strangers that may wait for a decision: in all, and from one node id or network address."""
MOST_A_WEEK = 100
"""Applications of strangers that are stored in a week: who withdraws one may not make the next without end."""
_WEEK_MS = 7 * 86_400_000
MOST_WRONG = 5
"""Wrong proofs after which an invitation ends."""
MOST_RECORDED = 20
"""Refusals of one code that are put on record: whoever has an old one must not fill the ledger with it."""
_WRONG_PROOF = say("invitation_wrong_proof")


@dataclass(frozen=True, slots=True)
class Application:
    """A partner asks for a contract. `invitation` is (id, proof) when it has a code; `origin` is where it called from;
    `expires_ms` is when the contract is to end, None = never."""

    about: Introduction
    auth_type: str
    auth_credential: str
    expires_ms: int | None = None
    invitation: tuple[str, str] | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An application is stored. `proof` shows an invited applicant that the inviting node answers; else empty."""

    contract_id: str
    about: Introduction
    auth_type: str
    auth_credential: str
    proof: str = ""


def accept_stranger(tx: Tx, engine: Engine, application: Application, key: PublicKey) -> Accepted:
    """Store it unless it waits here already; `TooMany` while too many do."""
    pending = [row for row in contracts.open_applications(tx) if row.side == "callee" and not row.invitation]
    who = (application.about.node_id, key.fingerprint, application.about.address)
    for row in pending:
        if (row.node_id, row.fingerprint, row.address) == who:
            return _accepted(engine, row.contract_id)
    near = sum(application.about.node_id == row.node_id or application.origin == row.origin != "" for row in pending)
    lately = contracts.strangers_since(tx, tx.now_ms - _WEEK_MS)
    if len(pending) >= MOST_OPEN or near >= MOST_OPEN_PER_CALLER or lately >= MOST_A_WEEK:
        raise TooMany("too many applications wait for a decision here: ask the operator to decide, then apply again")
    return _accepted(engine, _store_application(tx, engine, application, key, ""))


def invitation_fault(tx: Tx, engine: Engine, application: Application, key: PublicKey) -> Words:
    """Why the invitation does not count; recorded. Empty when it does."""
    assert application.invitation is not None
    invitation_id, proof = application.invitation
    found = invitations.get(tx, invitation_id)
    if found is None:
        return say("invitation_none")
    fault: Words = ""
    if found.expires_ms <= tx.now_ms:
        fault = say("invitation_ended")
    elif found.ended not in ("", "used"):
        fault = say("invitation_void", state=found.ended)
    elif not _is_right(engine, found, proof, application.about, key):
        invitations.note_wrong(tx, invitation_id, most=MOST_WRONG)
        fault = _WRONG_PROOF
    elif found.ended == "used" and not _is_repeat(tx, found, application.about, key):
        fault = say("invitation_used")
    if fault and found.wrong < MOST_RECORDED:
        if fault != _WRONG_PROOF:
            invitations.note_wrong(tx, invitation_id, most=MOST_RECORDED)
        _LOG.warning("an application as %s is refused: %s", application.about.node_id, fault)
        ledger.append(
            tx,
            subject="invitation",
            subject_id=invitation_id,
            event="invitation.refused",
            actor=f"peer:{application.about.node_id}",
            reason=fault,
            data={"fingerprint": key.fingerprint, "address": application.about.address, "origin": application.origin},
        )
    return fault


def _is_right(engine: Engine, found: Invitation, proof: str, about: Introduction, key: PublicKey) -> bool:
    if not found.verifier:
        return False
    wanted = application_proof(
        found.verifier,
        invitation_id=found.id,
        inviting=(engine.node_id, identity_of(engine).fingerprint),
        applying=(about.node_id, key.fingerprint),
        address=about.address,
    )
    return same_proof(proof, wanted)


def _is_repeat(tx: Tx, found: Invitation, about: Introduction, key: PublicKey) -> bool:
    """The applicant may not have had the answer."""
    before = contracts.get(tx, found.contract_id)
    return (
        found.fingerprint == key.fingerprint
        and before is not None
        and before.node_id == about.node_id
        and not CONTRACT.is_terminal(before.state)
    )


def accept_invited(tx: Tx, engine: Engine, application: Application, key: PublicKey) -> Accepted:
    """Store it, unless the answer to the same one was lost. Call it when the invitation has no fault."""
    assert application.invitation is not None
    invitation_id, _ = application.invitation
    found = invitations.get(tx, invitation_id)
    assert found is not None
    contract_id = found.contract_id
    if found.ended != "used":
        contract_id = _store_application(tx, engine, application, key, invitation_id)
        if not invitations.use(tx, invitation_id, contract_id=contract_id, fingerprint=key.fingerprint):
            raise Conflict("the invitation was used meanwhile: ask for a new code")
        ledger.append(
            tx,
            subject="invitation",
            subject_id=invitation_id,
            event="invitation.used",
            actor=f"peer:{application.about.node_id}",
            data={"contract_id": contract_id, "fingerprint": key.fingerprint},
        )
    proof = answer_proof(
        found.verifier,
        invitation_id=invitation_id,
        inviting=(engine.node_id, identity_of(engine).fingerprint),
        applying=(application.about.node_id, key.fingerprint),
        contract_id=contract_id,
    )
    return _accepted(engine, contract_id, proof=proof, address=found.address)


def _store_application(tx: Tx, engine: Engine, application: Application, key: PublicKey, invitation_id: str) -> str:
    contract_id = f"contract-{engine.mint.nonce()}"
    record(
        tx,
        contract_id,
        application.about,
        side="callee",
        auth_type=application.auth_type,
        auth_credential=key.certificate or application.auth_credential,
        key=key,
        expires_ms=application.expires_ms,
        invitation=invitation_id,
        origin=application.origin,
        actor=f"peer:{application.about.node_id}",
    )
    return contract_id


def record(
    tx: Tx,
    contract_id: str,
    about: Introduction,
    *,
    side: str,
    auth_type: str,
    auth_credential: str,
    key: PublicKey | None,
    actor: str,
    expires_ms: int | None = None,
    invitation: str = "",
    origin: str = "",
) -> None:
    """A new contract, APPLIED, with its event. `key` None = the partner has not shown one yet."""
    fingerprint = key.fingerprint if key is not None else ""
    contracts.add(
        tx,
        contract_id=contract_id,
        node_id=about.node_id,
        side=side,
        auth_type=auth_type,
        auth_credential=auth_credential,
        fingerprint=fingerprint,
        expires_ms=expires_ms,
        invitation=invitation,
        origin=origin,
        **about.particulars(),
    )
    ledger.append(
        tx,
        subject="contract",
        subject_id=contract_id,
        event="contract.applied",
        target=AgreementState.APPLIED.value,
        actor=actor,
        data={
            "node_id": about.node_id,
            "side": side,
            "address": about.address,
            "fingerprint": fingerprint,
            "invitation": invitation,
        },
    )


def _accepted(engine: Engine, contract_id: str, *, proof: str = "", address: str = "") -> Accepted:
    identity = identity_of(engine)
    return Accepted(contract_id, introduction(engine.settings, address), CERT, identity.certificate, proof)
