"""Contracts with partners (management layer §1): who asked whom, with which keys, and what both operators said.

A contract is APPLIED until this node trusts its partner: at the node that was asked when its operator has compared the
words, at the node that asked when its operator has too and the partner's decision has arrived.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedded_scheduler.addresses import parse_address
from embedded_scheduler.config import Settings
from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.domain.lifecycle import CONTRACT, AgreementState, AgreementTrigger
from embedded_scheduler.engine import messages, termination, votes
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.peers import check_url
from embedded_scheduler.engine.ports import Delivery, Outgoing
from embedded_scheduler.engine.transitions import Cause, fire_agreement
from embedded_scheduler.errors import Conflict, Forbidden, InvalidRequest, NotFound, Refused, TooMany, Unavailable
from embedded_scheduler.security.identity import Identity
from embedded_scheduler.security.invitation import answer_proof, application_proof, same_proof
from embedded_scheduler.security.keys import CERT, PublicKey, parse_credential
from embedded_scheduler.security.words import same_words, words
from embedded_scheduler.store import contracts, invitations, ledger, outbox, peers
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.invitations import Invitation

_LOG = logging.getLogger(__name__)

SYSTEM = "nodeconsole"
SYSTEM_VERSION = "0.1"
MOST_OPEN = 20
MOST_OPEN_PER_CALLER = 3
"""Applications of strangers that may wait for a decision: in all, and from one node id or network address."""
DAYS_OPEN = 7
DAY_MS = 86_400_000
MOST_WRONG = 5
"""Wrong proofs after which an invitation ends."""
LONGEST_TEXT = 256

APPROVED, REJECTED, TERMINATED = AgreementState.APPROVED, AgreementState.REJECTED, AgreementState.TERMINATED
_ENDED = (REJECTED, TERMINATED)


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a node says of itself. `address` is the base URL of its partner listener."""

    node_id: str
    address: str
    inst_id: str = ""
    institution: str = ""
    name: str = ""
    system: str = ""
    system_version: str = ""
    description: str = ""


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


# -- this node ---------------------------------------------------------------------------------------------------------


def identity_of(engine: Engine) -> Identity:
    if engine.identity is None:
        raise Unavailable("this node has no identity: run `nodeconsole init` and start it again")
    return engine.identity


def own_address(settings: Settings) -> str:
    """Base URL under which partners reach this node; `InvalidRequest` when only an operator can know it."""
    if settings.partner.advertise:
        return check_url(settings.partner.advertise)
    listen = parse_address(settings.partner.listen, "partner.listen")
    if listen.host in ("0.0.0.0", "::"):  # noqa: S104 - recognised, not bound
        raise InvalidRequest(
            "this node listens on every interface: say under which address partners reach it, with --address or in "
            "partner.advertise of node.toml"
        )
    return f"{'http' if settings.partner.tls == 'off' else 'https'}://{listen}"


def introduction(engine: Engine, address: str = "") -> Introduction:
    settings = engine.settings
    return Introduction(
        node_id=engine.node_id,
        address=address or own_address(settings),
        inst_id=settings.inst_id,
        institution=settings.inst_name or settings.inst_id,
        name=settings.node_id,
        system=SYSTEM,
        system_version=SYSTEM_VERSION,
    )


def words_of(engine: Engine, contract: Contract) -> str:
    """The six words of a contract; empty as long as the partner's key is not known."""
    if not contract.fingerprint or engine.identity is None:
        return ""
    own = (engine.node_id, engine.identity.fingerprint)
    return words(contract.contract_id, own, (contract.node_id, contract.fingerprint))


# -- what partners ask -------------------------------------------------------------------------------------------------


async def apply(engine: Engine, application: Application) -> Accepted:
    """Store an application for the operator; nothing is trusted by it. The same again is answered the same.

    `Refused` (with an event) for an invitation that is wrong, used or expired; `TooMany` when too many are open.
    """
    about = _checked(engine, application.about)
    key = parse_credential(application.auth_type, application.auth_credential)
    fault: list[str] = []

    def work(tx: Tx) -> Accepted | None:
        if application.invitation is None:
            return _apply_as_stranger(tx, engine, application, about, key)
        wrong = _invitation_fault(tx, engine, application, about, key)
        if wrong:
            # Committed, so that the count of wrong proofs and the event stay.
            fault.append(wrong)
            return None
        return _apply_as_invited(tx, engine, application, about, key)

    accepted = await engine.db.write(work)
    if accepted is None:
        _LOG.warning("an application as %s is refused: %s", about.node_id, fault[0])
        raise Refused(fault[0])
    await announce(engine)
    return accepted


def _checked(engine: Engine, about: Introduction) -> Introduction:
    check_id("node_id", about.node_id)
    if about.node_id == engine.node_id:
        raise InvalidRequest(f"{about.node_id} is this node itself")
    for name in ("inst_id", "institution", "name", "system", "system_version", "description"):
        value = getattr(about, name)
        if len(value) > LONGEST_TEXT or not value.isprintable():
            raise InvalidRequest(f"{name} must be at most {LONGEST_TEXT} printable characters")
    address = check_url(about.address)
    return Introduction(
        about.node_id,
        address,
        about.inst_id,
        about.institution,
        about.name,
        about.system,
        about.system_version,
        about.description,
    )


def _apply_as_stranger(
    tx: Tx, engine: Engine, application: Application, about: Introduction, key: PublicKey
) -> Accepted:
    pending = [row for row in contracts.open_applications(tx) if row.side == "callee" and not row.invitation]
    for row in pending:
        if row.node_id == about.node_id and row.fingerprint == key.fingerprint and row.address == about.address:
            return _accepted(engine, row.contract_id)
    near = sum(about.node_id == row.node_id or application.origin == row.origin != "" for row in pending)
    if len(pending) >= MOST_OPEN or near >= MOST_OPEN_PER_CALLER:
        raise TooMany("too many applications wait for a decision here: ask the operator to decide, then apply again")
    return _accepted(engine, _store_application(tx, engine, application, about, key, ""))


def _invitation_fault(tx: Tx, engine: Engine, application: Application, about: Introduction, key: PublicKey) -> str:
    """Why the invitation does not count; recorded. Empty when it does."""
    assert application.invitation is not None
    invitation_id, proof = application.invitation
    found = invitations.get(tx, invitation_id)
    if found is None:
        return "there is no such invitation: ask for a new code"
    fault = ""
    if found.expires_ms <= tx.now_ms:
        fault = "the invitation has expired: ask for a new code"
    elif found.ended not in ("", "used"):
        fault = f"the invitation counts no longer ({found.ended}): ask for a new code"
    elif not _is_right(engine, found, proof, about, key):
        invitations.note_wrong(tx, invitation_id, most=MOST_WRONG)
        fault = "the proof is not right for this invitation: somebody may have changed the application on its way"
    elif found.ended == "used" and not _is_repeat(tx, found, about, key):
        fault = "the invitation was used already: ask for a new code"
    if fault:
        ledger.append(
            tx,
            subject="invitation",
            subject_id=invitation_id,
            event="invitation.refused",
            actor=f"peer:{about.node_id}",
            reason=fault,
            data={"fingerprint": key.fingerprint, "address": about.address, "origin": application.origin},
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
        and before.state not in _ENDED
    )


def _apply_as_invited(
    tx: Tx, engine: Engine, application: Application, about: Introduction, key: PublicKey
) -> Accepted:
    assert application.invitation is not None
    invitation_id, _ = application.invitation
    found = invitations.get(tx, invitation_id)
    assert found is not None
    contract_id = found.contract_id
    if found.ended != "used":
        contract_id = _store_application(tx, engine, application, about, key, invitation_id)
        if not invitations.use(tx, invitation_id, contract_id=contract_id, fingerprint=key.fingerprint):
            raise Conflict("the invitation was used meanwhile: ask for a new code")
        ledger.append(
            tx,
            subject="invitation",
            subject_id=invitation_id,
            event="invitation.used",
            actor=f"peer:{about.node_id}",
            data={"contract_id": contract_id, "fingerprint": key.fingerprint},
        )
    proof = answer_proof(
        found.verifier,
        invitation_id=invitation_id,
        inviting=(engine.node_id, identity_of(engine).fingerprint),
        applying=(about.node_id, key.fingerprint),
        contract_id=contract_id,
    )
    return _accepted(engine, contract_id, proof=proof, address=found.address)


def _store_application(
    tx: Tx, engine: Engine, application: Application, about: Introduction, key: PublicKey, invitation_id: str
) -> str:
    contract_id = f"contract-{engine.mint.nonce()}"
    store(
        tx,
        contract_id,
        about,
        side="callee",
        auth_type=application.auth_type,
        auth_credential=key.certificate or application.auth_credential,
        key=key,
        expires_ms=application.expires_ms,
        invitation=invitation_id,
        origin=application.origin,
        actor=f"peer:{about.node_id}",
    )
    return contract_id


def store(
    tx: Tx,
    contract_id: str,
    about: Introduction,
    *,
    side: str,
    auth_type: str,
    auth_credential: str,
    key: PublicKey,
    actor: str,
    expires_ms: int | None = None,
    invitation: str = "",
    origin: str = "",
) -> None:
    """A new contract, APPLIED, with its event."""
    contracts.add(
        tx,
        contract_id=contract_id,
        node_id=about.node_id,
        side=side,
        auth_type=auth_type,
        auth_credential=auth_credential,
        fingerprint=key.fingerprint,
        address=about.address,
        inst_id=about.inst_id,
        institution=about.institution,
        name=about.name,
        system=about.system,
        system_version=about.system_version,
        description=about.description,
        expires_ms=expires_ms,
        invitation=invitation,
        origin=origin,
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
            "fingerprint": key.fingerprint,
            "invitation": invitation,
        },
    )


def _accepted(engine: Engine, contract_id: str, *, proof: str = "", address: str = "") -> Accepted:
    identity = identity_of(engine)
    return Accepted(contract_id, introduction(engine, address), CERT, identity.certificate, proof)


async def confirmed(
    engine: Engine,
    contract_id: str,
    *,
    approved: bool,
    auth_type: str,
    auth_credential: str,
    expires_ms: int | None,
    source: str,
) -> None:
    """The partner that we applied to has decided. The same decision again changes nothing.

    `Conflict` when it contradicts what is settled; `Forbidden` (with an event) when it shows another key.
    """
    key = parse_credential(auth_type, auth_credential) if auth_credential else None
    fault: list[str] = []

    def work(tx: Tx) -> None:
        contract = _of_partner(tx, contract_id, source)
        if contract.side != "applicant":
            raise Conflict("this node did not apply for that contract: it is for this node to confirm it")
        if key is not None and contract.fingerprint and key.fingerprint != contract.fingerprint:
            _record_other_key(tx, contract, key)
            fault.append("the key is not the one of the invitation: the confirmation is refused")
            return
        if key is not None and not contract.fingerprint:
            contracts.set_key(tx, contract_id, auth_type, key.certificate or auth_credential, key.fingerprint)
        _learn(tx, contract, approved=approved, expires_ms=expires_ms)

    await engine.db.write(work)
    if fault:
        raise Forbidden(fault[0])
    await announce(engine)


def _record_other_key(tx: Tx, contract: Contract, key: PublicKey) -> None:
    _LOG.error("contract %s: %s shows another key than it had", contract.contract_id, contract.node_id)
    ledger.append(
        tx,
        subject="contract",
        subject_id=contract.contract_id,
        event="contract.wrong_key",
        actor=f"peer:{contract.node_id}",
        data={"node_id": contract.node_id, "expected": contract.fingerprint, "shown": key.fingerprint},
    )


def _learn(tx: Tx, contract: Contract, *, approved: bool, expires_ms: int | None = None) -> None:
    """The partner's decision, however it came."""
    cause = Cause(f"peer:{contract.node_id}")
    if contract.state is not AgreementState.APPLIED:
        if approved != (contract.partner_decision == APPROVED):
            raise Conflict(f"the contract is {contract.state} here")
        return
    decision = APPROVED if approved else REJECTED
    if contract.partner_decision not in ("", decision):
        raise Conflict(f"the contract was {contract.partner_decision} before")
    contracts.note_partner(tx, contract.contract_id, decision.value, expires_ms=expires_ms)
    if not approved:
        _fire(tx, contract, AgreementTrigger.REJECT, cause, reason="the partner's operator refused")
    elif not contract.partner_decision:
        ledger.append(
            tx,
            subject="contract",
            subject_id=contract.contract_id,
            event="contract.partner_agreed",
            actor=cause.actor,
            data={"node_id": contract.node_id},
        )
        if contract.compared_by:
            _approve(tx, contract, Cause(contract.compared_by))


async def terminated(engine: Engine, contract_id: str, *, source: str) -> None:
    """The partner ended the contract, or withdrew its application. Repeatable."""
    ended: list[str] = []

    def work(tx: Tx) -> None:
        contract = _of_partner(tx, contract_id, source)
        if contract.state in _ENDED:
            return
        cause = Cause(f"peer:{contract.node_id}")
        if contract.state is AgreementState.APPLIED:
            _fire(tx, contract, AgreementTrigger.REJECT, cause, reason="withdrawn by the partner")
            return
        _fire(tx, contract, AgreementTrigger.TERMINATE, cause, reason="ended by the partner")
        ended.append(contract.node_id)

    await engine.db.write(work)
    await announce(engine)
    for node_id in ended:
        await on_terminated(engine, node_id)


async def updated(
    engine: Engine, contract_id: str, about: Introduction, *, auth_type: str, auth_credential: str, source: str
) -> None:
    """The partner tells what changed: its address, its names, its key. The key before counts for the overlap.

    The caller has checked that a key of this contract signed it.
    """
    about = _checked(engine, about)
    key = parse_credential(auth_type, auth_credential)
    until_ms = engine.clock.now_ms() + engine.settings.identity.overlap_days * DAY_MS

    def work(tx: Tx) -> None:
        contract = _of_partner(tx, contract_id, source)
        if contract.state is not APPROVED:
            raise Conflict(f"the contract is {contract.state}: apply for a new one")
        actor = f"peer:{contract.node_id}"
        credential = key.certificate or auth_credential
        if key.fingerprint != contract.fingerprint or credential != contract.auth_credential:
            contracts.change_key(
                tx,
                contract_id,
                auth_type,
                credential,
                key.fingerprint,
                until_ms=until_ms,
            )
            ledger.append(
                tx,
                subject="contract",
                subject_id=contract_id,
                event="contract.key_changed",
                actor=actor,
                data={
                    "node_id": contract.node_id,
                    "before": contract.fingerprint,
                    "after": key.fingerprint,
                    "overlap_until_ms": until_ms,
                },
            )
        _describe(tx, contract, about, actor)

    await engine.db.write(work)
    await announce(engine)


def _describe(tx: Tx, contract: Contract, about: Introduction, actor: str) -> None:
    values = {
        name: getattr(about, name)
        for name in ("address", "inst_id", "institution", "name", "system", "system_version", "description")
    }
    changed = {name: value for name, value in values.items() if getattr(contract, name) != value}
    if not changed:
        return
    contracts.describe(tx, contract.contract_id, **values)
    ledger.append(
        tx,
        subject="contract",
        subject_id=contract.contract_id,
        event="contract.described",
        actor=actor,
        data={"node_id": contract.node_id, **changed},
    )
    peer = peers.get(tx, contract.node_id)
    if "address" in changed and peer is not None and peer.url == contract.address:
        _put_peer(tx, contract.node_id, about.address, peer, signing=peer.signing, tls=peer.tls)
        outbox.revive(tx, contract.node_id)


async def state_of(engine: Engine, contract_id: str) -> str:
    """For whoever knows the id, which cannot be guessed; `NotFound` for all others."""
    check_id("contract_id", contract_id)
    found = await engine.db.read(lambda reader: contracts.get(reader, contract_id))
    if found is None:
        raise NotFound("there is no such contract")
    return found.state.value


def _of_partner(reader: Reader, contract_id: str, source: str) -> Contract:
    """The contract, if it is one with the caller; others learn not even whether it exists."""
    contract = contracts.get(reader, contract_id)
    if contract is None or contract.node_id != source:
        raise NotFound("there is no such contract")
    return contract


# -- what operators say ------------------------------------------------------------------------------------------------


async def compared(engine: Engine, reference: str, typed: str, *, actor: str) -> Contract:
    """An operator compared the words with the partner's: this node trusts the partner from now on, or, at the node that
    applied, as soon as the partner has agreed too. `Refused` (with an event) when the words are not ours."""
    fault: list[str] = []

    def work(tx: Tx) -> Contract:
        contract = find(tx, reference, open_first=True)
        if contract.state is not AgreementState.APPLIED:
            if contract.state is APPROVED and same_words(typed, words_of(engine, contract)):
                return contract
            raise Conflict(f"the contract with {contract.node_id} is {contract.state}: nothing is to be confirmed")
        ours = words_of(engine, contract)
        if not ours:
            raise Conflict(f"{contract.node_id} has not shown its key yet: wait for its confirmation")
        if not same_words(typed, ours):
            ledger.append(
                tx,
                subject="contract",
                subject_id=contract.contract_id,
                event="contract.words_differ",
                actor=actor,
                data={"node_id": contract.node_id},
            )
            fault.append(
                f"these are not the words of this contract: either they were misheard, or somebody stands between you "
                f"and {contract.node_id}; nothing is trusted. If they still differ, `nodeconsole peer refuse "
                f"{contract.node_id}` and invite again"
            )
            return contract
        _check_free(tx, contract)
        needed = engine.settings.approval.contract_approvers
        if not votes.record(tx, "contract", contract.contract_id, actor, needed):
            return contract
        contracts.note_compared(tx, contract.contract_id, actor)
        if contract.side == "callee":
            _approve(tx, contract, Cause(actor))
            _tell(tx, engine, contract, approved=True)
        elif contract.partner_decision == APPROVED:
            _approve(tx, contract, Cause(actor))
        return get(tx, contract.contract_id)

    contract = await engine.db.write(work)
    if fault:
        raise Refused(fault[0])
    await announce(engine)
    return contract


async def refuse(engine: Engine, reference: str, reason: str, *, actor: str) -> Contract:
    """An operator does not want this contract, or the words differ."""

    def work(tx: Tx) -> Contract:
        contract = find(tx, reference, open_first=True)
        if contract.state is REJECTED:
            return contract
        if contract.state is not AgreementState.APPLIED:
            raise Conflict(f"the contract with {contract.node_id} is {contract.state}: terminate it instead")
        _fire(tx, contract, AgreementTrigger.REJECT, Cause(actor), reason=reason or "refused by the operator")
        if contract.side == "callee":
            _tell(tx, engine, contract, approved=False)
        else:
            _send(tx, engine, contract, "node/contract/terminate", {"contract_id": contract.contract_id})
        return get(tx, contract.contract_id)

    contract = await engine.db.write(work)
    await announce(engine)
    return contract


async def terminate(engine: Engine, reference: str, reason: str, *, actor: str) -> Contract:
    """An operator ends a contract: nothing of the partner is accepted from now on. It stays listed, without trust."""

    def work(tx: Tx) -> tuple[Contract, bool]:
        contract = find(tx, reference)
        if contract.state is TERMINATED:
            return contract, False
        if contract.state is not APPROVED:
            raise Conflict(f"the contract with {contract.node_id} is {contract.state}: only an approved one can end")
        _fire(tx, contract, AgreementTrigger.TERMINATE, Cause(actor), reason=reason)
        if contract.side != "manual":
            _send(tx, engine, contract, "node/contract/terminate", {"contract_id": contract.contract_id})
        return get(tx, contract.contract_id), True

    contract, ended = await engine.db.write(work)
    await announce(engine)
    if ended:
        await on_terminated(engine, contract.node_id)
    return contract


async def by_hand(
    engine: Engine,
    node_id: str,
    url: str,
    *,
    auth_type: str,
    auth_credential: str,
    profile: str = "seed",
    approval: str = "manual",
    options: Mapping[str, Any] | None = None,
    expires_ms: int | None = None,
    actor: str,
) -> Contract:
    """Trust a partner whose key came by another way than this protocol: a contract of side `manual`, approved at once.

    The partner has to do the same with this node's certificate. The same again changes nothing.
    """
    if engine.settings.approval.contract_approvers > 1:
        raise Refused(
            f"{engine.settings.approval.contract_approvers} people have to agree to a contract here "
            "(approval.contract_approvers): use `nodeconsole peer invite`, where each of them compares the words"
        )
    about = _checked(engine, Introduction(node_id, url))
    key = parse_credential(auth_type, auth_credential)
    engine.check_profile(profile, options or {})

    def work(tx: Tx) -> Contract:
        for row in contracts.of_node(tx, node_id):
            if row.state is APPROVED and row.fingerprint == key.fingerprint:
                return row
        contract_id = f"manual-{engine.mint.nonce()}"
        store(
            tx,
            contract_id,
            about,
            side="manual",
            auth_type=auth_type,
            auth_credential=key.certificate or auth_credential,
            key=key,
            expires_ms=expires_ms,
            actor=actor,
        )
        contract = get(tx, contract_id)
        _check_free(tx, contract)
        contracts.note_compared(tx, contract_id, actor)
        known = peers.get(tx, node_id)
        wanted = peers.Peer(node_id, about.address, profile, approval, dict(options or {}), tx.now_ms)
        _approve(tx, contract, Cause(actor), wanted if known is None else None)
        return get(tx, contract_id)

    contract = await engine.db.write(work)
    await announce(engine)
    return contract


def get(reader: Reader, contract_id: str) -> Contract:
    found = contracts.get(reader, contract_id)
    if found is None:
        raise NotFound(f"there is no contract {shorten(contract_id)}")
    return found


def find(reader: Reader, reference: str, *, open_first: bool = False) -> Contract:
    """The contract with this id, or the newest with this node; `open_first` = an application before all others.

    `Conflict` when several applications of one node are open: which one is meant has to be said by its id.
    """
    found = contracts.get(reader, reference)
    if found is not None:
        return found
    rows = contracts.of_node(reader, reference)
    if not rows:
        raise NotFound(f"there is no contract {shorten(reference)}, nor one with a node of that id")
    waiting = [row for row in rows if row.state is AgreementState.APPLIED]
    if open_first and len(waiting) > 1:
        ids = ", ".join(row.contract_id for row in waiting)
        raise Conflict(f"several applications of {reference} are open: name one by its id ({ids})")
    if open_first and waiting:
        return waiting[0]
    approved = [row for row in rows if row.state is APPROVED]
    return approved[0] if approved else rows[0]


def _check_free(reader: Reader, contract: Contract) -> None:
    for row in contracts.of_node(reader, contract.node_id):
        if row.state is APPROVED and row.contract_id != contract.contract_id:
            raise Conflict(
                f"there is a contract with {contract.node_id} already, with another key or from before: "
                f"`nodeconsole peer terminate {contract.node_id}` first, if that node really changed"
            )


def _approve(tx: Tx, contract: Contract, cause: Cause, wanted: peers.Peer | None = None) -> None:
    """From here on the partner is trusted: as the contract says, whatever else was known of it stays."""
    _check_free(tx, contract)
    contract = get(tx, contract.contract_id)
    _fire(tx, contract, AgreementTrigger.APPROVE, cause)
    known = wanted or peers.get(tx, contract.node_id)
    before = peers.get(tx, contract.node_id)
    tls = "identity" if contract.auth_type == CERT else "ca"
    peer = _put_peer(tx, contract.node_id, contract.address, known, signing="required", tls=tls)
    ledger.append(
        tx,
        subject="peer",
        subject_id=contract.node_id,
        event="peer.added" if before is None else "peer.changed",
        actor=cause.actor,
        data={"url": peer.url, "signing": peer.signing, "tls": peer.tls, "contract_id": contract.contract_id},
    )
    outbox.revive(tx, contract.node_id)


def _put_peer(tx: Tx, node_id: str, url: str, known: peers.Peer | None, *, signing: str, tls: str) -> peers.Peer:
    return peers.put(
        tx,
        node_id=node_id,
        url=url,
        profile=known.profile if known else "seed",
        approval=known.approval if known else "manual",
        options=known.options if known else {},
        signing=signing,
        tls=tls,
    )


def _fire(tx: Tx, contract: Contract, trigger: AgreementTrigger, cause: Cause, *, reason: str = "") -> None:
    fire_agreement(
        tx,
        CONTRACT,
        contract.contract_id,
        contract.state,
        trigger,
        cause,
        "contracts.set_state",
        reason=reason,
        data={"node_id": contract.node_id, "fingerprint": contract.fingerprint},
        contract_id=contract.contract_id,
    )


def _tell(tx: Tx, engine: Engine, contract: Contract, *, approved: bool) -> None:
    """Send our decision to the applicant."""
    body: dict[str, Any] = {"contract_id": contract.contract_id, "status": "APPROVED" if approved else "REJECTED"}
    if approved:
        body |= {"auth_type": CERT, "auth_credential": identity_of(engine).certificate}
        body["expired_time"] = contract.expires_ms or 0
    _send(tx, engine, contract, "node/contract/confirm", body)


def _send(tx: Tx, engine: Engine, contract: Contract, operation: str, body: Mapping[str, Any]) -> None:
    key = f"{operation}/{contract.contract_id}"
    messages.queue(tx, engine, node_id=contract.node_id, operation=operation, body=body, key=key)


async def announce(engine: Engine) -> None:
    await engine.directory.refresh(engine.db)
    engine.copies.clear()
    engine.bus.wakeup(WAKEUP).set()
    engine.wake()


async def on_terminated(engine: Engine, node_id: str) -> None:
    """A contract with this node has just ended: what is shared with it stops."""
    stopped = await termination.stop_shared(engine, node_id, f"the contract with {node_id} has ended", "node")
    _LOG.warning("the contract with %s has ended; %d jobs were stopped", node_id, len(stopped))


# -- what is done meanwhile --------------------------------------------------------------------------------------------

WAKEUP = "contracts"
_LONGEST_PAUSE = 60.0


class Contracts:
    """The service: asks for decisions whose message was lost, and lets applications end that nobody decides."""

    name = "contracts"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: dict[str, int] = {}

    async def run(self) -> None:
        wakeup = self._engine.bus.wakeup(WAKEUP)
        while True:
            await wakeup.wait(await self.look())

    async def look(self) -> float:
        """Ask where it is due; seconds until the next look is worth while."""
        engine = self._engine
        rows = await engine.db.read(contracts.open_applications)
        await engine.db.write(invitations.forget_expired)
        pause = _LONGEST_PAUSE
        waiting = {row.contract_id: row for row in rows if row.side == "applicant" and not row.partner_decision}
        self._asked = {contract_id: count for contract_id, count in self._asked.items() if contract_id in waiting}
        async with asyncio.TaskGroup() as group:
            for row in waiting.values():
                group.create_task(self._ask(row))
        for contract_id in waiting:
            pause = min(pause, engine.settings.timing.retry_first * 5 * 2 ** min(self._asked.get(contract_id, 0), 16))
        now_ms = engine.clock.now_ms()
        for row in rows:
            if row.side == "callee" and now_ms - row.created_ms > DAYS_OPEN * DAY_MS:
                await self._expire(row)
        return pause

    async def _ask(self, row: Contract) -> None:
        engine = self._engine
        self._asked[row.contract_id] = self._asked.get(row.contract_id, 0) + 1
        body = {"contract_id": row.contract_id}
        reply = await engine.gateway.call(Outgoing(row.node_id, "node/contract/query", body, engine.mint.nonce(), ""))
        status = str(reply.data.get("status") or "") if reply.delivery is Delivery.OK else ""
        if status not in (APPROVED, REJECTED, TERMINATED):
            return

        def work(tx: Tx) -> None:
            contract = get(tx, row.contract_id)
            if contract.state is AgreementState.APPLIED and not contract.partner_decision:
                _learn(tx, contract, approved=status == APPROVED)

        try:
            await engine.db.write(work)
        except Conflict as error:
            _LOG.warning("contract %s: %s", row.contract_id, error)
            return
        await announce(engine)

    async def _expire(self, row: Contract) -> None:
        def work(tx: Tx) -> None:
            contract = get(tx, row.contract_id)
            if contract.state is AgreementState.APPLIED:
                reason = f"nobody decided within {DAYS_OPEN} days"
                _fire(tx, contract, AgreementTrigger.REJECT, Cause("node"), reason=reason)

        await self._engine.db.write(work)
        await announce(self._engine)
