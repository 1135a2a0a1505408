"""Contracts with partners (management layer §1): who asked whom, with which keys, and what both operators said.

A contract is APPLIED until this node trusts its partner: at the node that was asked when its operator has compared the
words, at the node that asked when its operator has too and the partner's decision has arrived.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.domain.lifecycle import CONTRACT, AgreementState, AgreementTrigger
from embedded_scheduler.engine import applications, messages, termination, votes
from embedded_scheduler.engine.applications import Accepted, Application
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.introductions import Introduction, checked, identity_of
from embedded_scheduler.engine.transitions import Cause, fire_agreement
from embedded_scheduler.errors import Conflict, Forbidden, NotFound, Refused
from embedded_scheduler.security.keys import CERT, PublicKey, parse_credential
from embedded_scheduler.security.words import same_words, words
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import contracts, ledger, outbox, peers
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Reader, Tx

_LOG = logging.getLogger(__name__)

WAKEUP = "contracts"
APPROVED, REJECTED, TERMINATED = AgreementState.APPROVED, AgreementState.REJECTED, AgreementState.TERMINATED


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
    application = replace(application, about=checked(engine, application.about))
    key = parse_credential(application.auth_type, application.auth_credential)
    fault: list[Words] = []

    def work(tx: Tx) -> Accepted | None:
        if application.invitation is None:
            return applications.accept_stranger(tx, engine, application, key)
        wrong = applications.invitation_fault(tx, engine, application, key)
        if wrong:
            # Committed, so that the count of wrong proofs and the event stay.
            fault.append(wrong)
            return None
        return applications.accept_invited(tx, engine, application, key)

    accepted = await engine.db.write(work)
    if accepted is None:
        raise Refused(fault[0])
    await announce(engine)
    return accepted


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
    fault: list[Words] = []

    def work(tx: Tx) -> None:
        contract = _of_partner(tx, contract_id, source)
        if contract.side != "applicant":
            raise Conflict(say("contract_not_applied"))
        if key is not None and contract.fingerprint and key.fingerprint != contract.fingerprint:
            _record_other_key(tx, contract, key)
            fault.append(say("other_key_confirmed"))
            return
        if key is not None and not contract.fingerprint:
            contracts.set_key(tx, contract_id, auth_type, key.certificate or auth_credential, key.fingerprint)
        learn(tx, contract, approved=approved, expires_ms=expires_ms)

    await engine.db.write(work)
    if fault:
        raise Forbidden(fault[0])
    await announce(engine)


def _note(tx: Tx, contract: Contract, event: str, actor: str, **facts: Any) -> None:
    """An event of a contract that changes no state of it."""
    ledger.append(
        tx,
        subject="contract",
        subject_id=contract.contract_id,
        event=event,
        actor=actor,
        data={"node_id": contract.node_id, **facts},
    )


def _record_other_key(tx: Tx, contract: Contract, key: PublicKey) -> None:
    _LOG.error("contract %s: %s shows another key than it had", contract.contract_id, contract.node_id)
    _note(
        tx,
        contract,
        "contract.wrong_key",
        f"peer:{contract.node_id}",
        expected=contract.fingerprint,
        shown=key.fingerprint,
    )


def learn(tx: Tx, contract: Contract, *, approved: bool, expires_ms: int | None = None) -> None:
    """The partner's decision, however it came."""
    cause = Cause(f"peer:{contract.node_id}")
    if contract.state is not AgreementState.APPLIED:
        if approved != (contract.partner_decision == APPROVED):
            raise Conflict(say("contract_state_here", state=contract.state))
        return
    decision = APPROVED if approved else REJECTED
    if contract.partner_decision not in ("", decision):
        raise Conflict(say("contract_decided_before", decision=contract.partner_decision))
    contracts.note_partner(tx, contract.contract_id, decision.value, expires_ms=expires_ms)
    if not approved:
        fire(tx, contract, AgreementTrigger.REJECT, cause, reason=say("partner_refused_contract"))
    elif not contract.partner_decision:
        _note(tx, contract, "contract.partner_agreed", cause.actor)
        if contract.compared_by:
            _approve(tx, contract, Cause(contract.compared_by))


async def terminated(engine: Engine, contract_id: str, *, source: str) -> None:
    """The partner ended the contract, or withdrew its application. Repeatable."""
    ended: list[str] = []

    def work(tx: Tx) -> None:
        contract = _of_partner(tx, contract_id, source)
        if CONTRACT.is_terminal(contract.state):
            return
        cause = Cause(f"peer:{contract.node_id}")
        if contract.state is AgreementState.APPLIED:
            fire(tx, contract, AgreementTrigger.REJECT, cause, reason=say("partner_withdrew"))
            return
        fire(tx, contract, AgreementTrigger.TERMINATE, cause, reason=say("partner_ended"))
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
    about = checked(engine, about)
    key = parse_credential(auth_type, auth_credential)
    until_ms = engine.clock.now_ms() + engine.settings.identity.overlap_days * DAY_MS

    def work(tx: Tx) -> None:
        contract = _of_partner(tx, contract_id, source)
        if contract.state is not APPROVED:
            raise Conflict(say("contract_apply_again", state=contract.state))
        actor = f"peer:{contract.node_id}"
        credential = key.certificate or auth_credential
        if key.fingerprint != contract.fingerprint or credential != contract.auth_credential:
            contracts.change_key(tx, contract_id, auth_type, credential, key.fingerprint, until_ms=until_ms)
            _record_new_key(tx, contract, key, until_ms)
        _describe(tx, contract, about, actor)

    await engine.db.write(work)
    await announce(engine)


def _record_new_key(tx: Tx, contract: Contract, key: PublicKey, until_ms: int) -> None:
    _note(
        tx,
        contract,
        "contract.key_changed",
        f"peer:{contract.node_id}",
        before=contract.fingerprint,
        after=key.fingerprint,
        overlap_until_ms=until_ms,
    )


def _describe(tx: Tx, contract: Contract, about: Introduction, actor: str) -> None:
    values = about.particulars()
    changed = {name: value for name, value in values.items() if getattr(contract, name) != value}
    if not changed:
        return
    contracts.describe(tx, contract.contract_id, **values)
    _note(tx, contract, "contract.described", actor, **changed)
    peer = peers.get(tx, contract.node_id)
    if "address" in changed and peer is not None and peer.url == contract.address:
        _put_peer(tx, contract.node_id, about.address, peer, signing=peer.signing, tls=peer.tls)
        outbox.revive(tx, contract.node_id)


async def state_of(engine: Engine, contract_id: str) -> str:
    """For whoever knows the id, which cannot be guessed; `NotFound` for all others."""
    check_id("contract_id", contract_id)
    found = await engine.db.read(lambda reader: contracts.get(reader, contract_id))
    if found is None:
        raise NotFound(say("no_such_contract"))
    return found.state.value


def _of_partner(reader: Reader, contract_id: str, source: str) -> Contract:
    """The contract, if it is one with the caller; others learn not even whether it exists."""
    contract = contracts.get(reader, contract_id)
    if contract is None or contract.node_id != source:
        raise NotFound(say("no_such_contract"))
    return contract


# -- what operators say ------------------------------------------------------------------------------------------------


async def compared(engine: Engine, reference: str, typed: str, *, actor: str) -> Contract:
    """An operator compared the words with the partner's: this node trusts the partner from now on, or, at the node that
    applied, as soon as the partner has agreed too. `Refused` (with an event) when the words are not ours."""
    fault: list[Words] = []

    def work(tx: Tx) -> Contract:
        contract = find(tx, reference, open_first=True)
        if contract.state is not AgreementState.APPLIED:
            if contract.state is APPROVED and same_words(typed, words_of(engine, contract)):
                return contract
            raise Conflict(say("contract_over", node=contract.node_id, state=contract.state.value))
        ours = words_of(engine, contract)
        if not ours:
            raise Conflict(say("contract_no_key", node=contract.node_id))
        if not same_words(typed, ours):
            fault.append(_record_other_words(tx, contract, actor))
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


def _record_other_words(tx: Tx, contract: Contract, actor: str) -> Words:
    """What to tell who typed them."""
    _note(tx, contract, "contract.words_differ", actor)
    return say("contract_words_differ", node=contract.node_id)


async def refuse(engine: Engine, reference: str, reason: str, *, actor: str) -> Contract:
    """An operator does not want this contract, or the words differ."""

    def work(tx: Tx) -> Contract:
        contract = find(tx, reference, open_first=True)
        if contract.state is REJECTED:
            return contract
        if contract.state is not AgreementState.APPLIED:
            raise Conflict(say("contract_not_refused", node=contract.node_id, state=contract.state.value))
        fire(tx, contract, AgreementTrigger.REJECT, Cause(actor), reason=reason or say("operator_refused"))
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
            raise Conflict(say("contract_not_ended", node=contract.node_id, state=contract.state.value))
        fire(tx, contract, AgreementTrigger.TERMINATE, Cause(actor), reason=reason)
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
        raise Refused(say("contract_needs_several", count=engine.settings.approval.contract_approvers))
    about = checked(engine, Introduction(node_id, url))
    key = parse_credential(auth_type, auth_credential)
    engine.check_profile(profile, options or {})

    def work(tx: Tx) -> Contract:
        for row in contracts.of_node(tx, node_id):
            if row.state is APPROVED and row.fingerprint == key.fingerprint:
                return row
        contract_id = f"manual-{engine.mint.nonce()}"
        applications.record(
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
        fresh = peers.Peer(node_id, about.address, profile, approval, dict(options or {}), tx.now_ms)
        _approve(tx, contract, Cause(actor), fresh)
        return get(tx, contract_id)

    contract = await engine.db.write(work)
    await announce(engine)
    return contract


def get(reader: Reader, contract_id: str) -> Contract:
    found = contracts.get(reader, contract_id)
    if found is None:
        raise NotFound(say("contract_unknown", contract=shorten(contract_id)))
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
        raise NotFound(say("contract_reference_unknown", contract=shorten(reference)))
    waiting = [row for row in rows if row.state is AgreementState.APPLIED]
    if open_first and len(waiting) > 1:
        ids = ", ".join(row.contract_id for row in waiting)
        raise Conflict(say("contract_ambiguous", node=reference, ids=ids))
    if open_first and waiting:
        return waiting[0]
    approved = [row for row in rows if row.state is APPROVED]
    return approved[0] if approved else rows[0]


def _check_free(reader: Reader, contract: Contract) -> None:
    for row in contracts.of_node(reader, contract.node_id):
        if row.state is APPROVED and row.contract_id != contract.contract_id:
            raise Conflict(say("contract_with_other_key", node=contract.node_id))


def _approve(tx: Tx, contract: Contract, cause: Cause, fresh: peers.Peer | None = None) -> None:
    """From here on the partner is trusted: as the contract says, whatever else was known of it stays. `fresh` is what
    an operator says of one that is not known yet."""
    _check_free(tx, contract)
    contract = get(tx, contract.contract_id)
    fire(tx, contract, AgreementTrigger.APPROVE, cause)
    before = peers.get(tx, contract.node_id)
    tls = "identity" if contract.auth_type == CERT else "ca"
    peer = _put_peer(tx, contract.node_id, contract.address, before or fresh, signing="required", tls=tls)
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


def fire(tx: Tx, contract: Contract, trigger: AgreementTrigger, cause: Cause, *, reason: Words = "") -> None:
    """Change its state, with its event."""
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
    """After a commit: let the directory and the services know."""
    await engine.directory.refresh(engine.db)
    engine.copies.clear()
    engine.bus.wakeup(WAKEUP).set()
    engine.wake()


async def on_terminated(engine: Engine, node_id: str) -> None:
    """A contract with this node has just ended: what is shared with it stops."""
    stopped = await termination.stop_shared(engine, node_id, say("permit_contract_ended", node=node_id), "node")
    _LOG.warning("the contract with %s has ended; %d jobs were stopped", node_id, len(stopped))
