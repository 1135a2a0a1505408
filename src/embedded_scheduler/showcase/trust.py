"""Whom the shown node knows and what was agreed: contracts, requests in both directions, permits, what is published."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from embedded_scheduler.clock import DAY_MS, HOUR_MS
from embedded_scheduler.domain.lifecycle import AgreementState, AgreementTrigger
from embedded_scheduler.engine import contracts as contract_verbs
from embedded_scheduler.engine import grants as grant_verbs
from embedded_scheduler.engine.applications import record
from embedded_scheduler.engine.introductions import SYSTEM, SYSTEM_VERSION, Introduction
from embedded_scheduler.engine.transitions import Cause
from embedded_scheduler.security.keys import ED25519, PublicKey, parse_credential
from embedded_scheduler.showcase.catalogue import APPLICANT, DATASETS, NAMESPACE, NODE, PartnerFacts
from embedded_scheduler.store import contracts, ledger, outbox, peers, permits, publications
from embedded_scheduler.store import receipts as receipt_store
from embedded_scheduler.store.database import Tx
from embedded_scheduler.store.grants import Direction, Grant, Kind

_APPROVE, _REJECT, _TERMINATE = AgreementTrigger.APPROVE, AgreementTrigger.REJECT, AgreementTrigger.TERMINATE


def key_of(node_id: str) -> tuple[str, PublicKey]:
    """A partner's public key (PEM), always the same; nobody has use for the private half."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"exhibit {node_id}".encode()).digest())
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return pem, parse_credential(ED25519, pem)


def contract_id_of(node_id: str, *, former: bool = False) -> str:
    named = f"exhibit contract {node_id}{' former' if former else ''}"
    return f"contract-{hashlib.sha256(named.encode()).hexdigest()[:32]}"


# -- contracts ---------------------------------------------------------------------------------------------------------


def agree(tx: Tx, facts: PartnerFacts, now_ms: int) -> Iterator[int]:
    """A contract with one partner: it applied with an invitation, and the words were compared."""
    applied_ms = now_ms - facts.contract_days * DAY_MS
    contract_id = contract_id_of(facts.node_id)
    yield applied_ms
    expires = None if facts.ends_in_days is None else now_ms + facts.ends_in_days * DAY_MS
    _apply(tx, facts, contract_id, expires_ms=expires)
    yield applied_ms + HOUR_MS
    _decide(tx, contract_id, _APPROVE, "operator:li")
    _register(tx, facts)


def replace_former(tx: Tx, facts: PartnerFacts, now_ms: int) -> Iterator[int]:
    """An older contract with a partner, which was ended for the present one."""
    begun_ms = now_ms - (facts.contract_days + 2) * DAY_MS
    contract_id = contract_id_of(facts.node_id, former=True)
    yield begun_ms
    _apply(tx, facts, contract_id, expires_ms=None)
    yield begun_ms + HOUR_MS
    _decide(tx, contract_id, _APPROVE, "operator:wang")
    yield begun_ms + DAY_MS
    _decide(tx, contract_id, _TERMINATE, "operator:wang", "new terms")


def turn_down(tx: Tx, now_ms: int) -> Iterator[int]:
    """An applicant that nobody knew."""
    facts = PartnerFacts("mallow", "Mallow Trading", "https://mallow.example:9380", 0)
    yield now_ms - 12 * DAY_MS
    contract_id = contract_id_of(facts.node_id)
    _apply(tx, facts, contract_id, expires_ms=None, origin="203.0.113.77")
    yield now_ms - 12 * DAY_MS + 3 * HOUR_MS
    _decide(tx, contract_id, _REJECT, "operator:chen", "the words differ")


def ask_to_join(tx: Tx, now_ms: int) -> Iterator[int]:
    """An applicant that waits for somebody here to compare the words."""
    yield now_ms - 5 * HOUR_MS
    _apply(tx, APPLICANT, contract_id_of(APPLICANT.node_id), expires_ms=now_ms + 365 * DAY_MS, origin="198.51.100.24")


def _apply(tx: Tx, facts: PartnerFacts, contract_id: str, *, expires_ms: int | None, origin: str = "") -> None:
    pem, key = key_of(facts.node_id)
    about = Introduction(
        node_id=facts.node_id,
        address=facts.address,
        inst_id=facts.node_id,
        institution=facts.institution,
        name=facts.node_id,
        system=SYSTEM,
        system_version=SYSTEM_VERSION,
    )
    record(
        tx,
        contract_id,
        about,
        side="callee",
        auth_type=ED25519,
        auth_credential=pem,
        key=key,
        actor=f"peer:{facts.node_id}",
        expires_ms=expires_ms,
        origin=origin,
    )


def _decide(tx: Tx, contract_id: str, trigger: AgreementTrigger, actor: str, reason: str = "") -> None:
    if trigger is _APPROVE:
        contracts.note_compared(tx, contract_id, actor)
    contract_verbs.fire(tx, contract_verbs.get(tx, contract_id), trigger, Cause(actor), reason=reason)


def _register(tx: Tx, facts: PartnerFacts) -> None:
    wanted: dict[str, Any] = {
        "url": facts.address,
        "profile": "seed",
        "approval": facts.approval,
        "options": {},
        "signing": "required",
        "tls": "identity",
    }
    peers.put(tx, node_id=facts.node_id, **wanted)
    ledger.append(tx, subject="peer", subject_id=facts.node_id, event="peer.added", actor="operator:li", data=wanted)


# -- requests ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """One request and what became of it: `decision` None = it waits; `days` = how long ago it was made."""

    direction: Direction
    node_id: str
    kind: Kind
    resource_id: str
    days: float
    name: str = ""
    members: Mapping[str, Any] | None = None
    decision: AgreementTrigger | None = None
    reason: str = ""
    ended: bool = False
    taken: bool = True
    """The partner has our message."""

    @property
    def audit_id(self) -> str:
        return hashlib.sha256(f"{self.direction} {self.node_id} {self.resource_id} {self.days}".encode()).hexdigest()[
            :32
        ]


def _dataset(name: str) -> str:
    return f"{NAMESPACE}#{name}"


REQUESTS = (
    Request(
        "in",
        "bob",
        "dataset",
        _dataset("loans_2026"),
        25,
        "loans for credit scoring",
        {"times_limit": 200},
        _APPROVE,
        "agreed in the steering group",
    ),
    Request("in", "carl", "dataset", _dataset("loans_2026"), 22, "loans for claim scoring", None, _APPROVE),
    Request(
        "in", "dave", "dataset", _dataset("customers_de"), 18, "customers", {"times_limit": 3}, _APPROVE, "", ended=True
    ),
    Request("in", "erin", "dataset", _dataset("fraud_marks"), 9, "fraud marks", None, _REJECT, "purpose is missing"),
    Request("in", "bob", "project", "credit-2026", 20, "Credit scoring 2026", None, _APPROVE),
    Request("in", "carl", "dataset", _dataset("fraud_marks"), 0.25, "fraud marks for claims", {"times_limit": 20}),
    Request("in", "bob", "flow", "risk-join-2026q4", 0.1, "Risk join, fourth quarter"),
    Request("out", "carl", "dataset", _dataset("claims"), 24, "claims", None, _APPROVE),
    Request("out", "bob", "dataset", _dataset("accounts"), 23, "accounts", {"times_limit": 500}, _APPROVE),
    Request("out", "dave", "dataset", _dataset("parcels"), 6, "parcels", None, _REJECT, "not in this year"),
    Request("out", "erin", "dataset", _dataset("lines"), 0.12, "telephone lines", None, taken=False),
)


def tell_request(tx: Tx, request: Request, now_ms: int) -> Iterator[int]:
    """Made, delivered, decided, and perhaps ended."""
    asked_ms = now_ms - round(request.days * DAY_MS)
    yield asked_ms
    contract_id = contract_id_of(request.node_id)
    body: dict[str, Any] = {"audit_id": request.audit_id, f"{request.kind}_id": request.resource_id}
    body |= {"contract_id": contract_id, "name": request.name or request.resource_id, **(request.members or {})}
    asked = grant_verbs.Request(request.kind, request.audit_id, request.resource_id, contract_id, request.name, body)
    own = request.direction == "out"
    actor = "operator:wang" if own else f"peer:{request.node_id}"
    grant = grant_verbs.add(tx, request.direction, asked, request.node_id, contract_id, actor, request.audit_id)
    if own:
        _message(tx, grant, "apply", body, taken=request.taken)
    if request.decision is None:
        return
    yield asked_ms + 2 * HOUR_MS
    decider = f"peer:{request.node_id}" if own else "operator:chen"
    grant_verbs.fire(tx, grant, request.decision, Cause(decider, grant.trace_id), request.reason)
    if request.decision is _APPROVE:
        _permit(tx, grant, now_ms)
    if not own:
        status = (AgreementState.APPROVED if request.decision is _APPROVE else AgreementState.REJECTED).value
        _message(tx, grant, "confirm", {"audit_id": grant.audit_id, "status": status})
        receipt_store.note(tx, grant.node_id, f"{grant.grant_id}/confirm", receipt_store.OPENED)
    if request.ended:
        yield asked_ms + 8 * DAY_MS
        approved = grant_verbs.reread(tx, grant)
        grant_verbs.fire(tx, approved, _TERMINATE, Cause("operator:chen", grant.trace_id), "the project is over")


def _message(tx: Tx, grant: Grant, verb: str, body: Mapping[str, Any], *, taken: bool = True) -> None:
    key = f"{grant.grant_id}/{verb}"
    outbox.add(
        tx,
        job_id="",
        lane=f"{grant.node_id}//{grant.kind}",
        kind="call",
        target=grant.node_id,
        operation=f"{grant.kind}/audit/{verb}",
        key=key,
        body=body,
        nonce=hashlib.sha256(key.encode()).hexdigest()[:32],
        trace_id=grant.trace_id,
        next_ms=tx.now_ms,
    )
    row = receipt_store.by_key(tx, key)
    assert row is not None
    if taken:
        outbox.acknowledge(tx, row.id)
    else:
        outbox.retry(tx, row.id, f"cannot connect to {grant.node_id}: connection refused", tx.now_ms + DAY_MS)


def _permit(tx: Tx, grant: Grant, now_ms: int) -> None:
    own = grant.direction == "out"
    holder, owner = (NODE, grant.node_id) if own else (grant.node_id, NODE)
    times = grant.body.get("times_limit")
    permits.add(
        tx,
        grant_id=grant.grant_id,
        issued=not own,
        token=hashlib.sha256(f"exhibit permit {grant.grant_id}".encode()).hexdigest(),
        level=1,
        resource_type=grant.kind.upper(),
        resource_id=grant.resource_id,
        resource_node_id=owner,
        resource_inst_id=owner,
        request_node_id=holder,
        request_inst_id=holder,
        time_limit_ms=now_ms + 33 * DAY_MS,
        times_limit=times if isinstance(times, int) else None,
    )


# -- what is published -------------------------------------------------------------------------------------------------


def publish(tx: Tx) -> None:
    """What partners may see of the datasets."""
    for facts in DATASETS:
        if not facts.access:
            continue
        publications.put(
            tx,
            namespace=NAMESPACE,
            name=facts.name,
            access=facts.access,
            audience=facts.audience,
            columns=facts.shown,
            description=facts.description,
            category="credit" if "loans" in facts.name else "",
            published_by="operator:li",
        )
        ledger.append(
            tx,
            subject="dataset",
            subject_id=f"{NAMESPACE}#{facts.name}",
            event="dataset.published",
            actor="operator:li",
            data={"access": facts.access, "audience": list(facts.audience)},
        )
