"""Who is who: `/v1/interconn/node/…` (management layer §1). Strangers are served here: nothing is believed unsigned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from quart import Quart

from embedded_scheduler.api.authentication import NOT_PROVEN, Caller, Inbound, PartnerAuthenticator, Partners
from embedded_scheduler.api.family import Call, Family, Gate, InboxAnswers
from embedded_scheduler.api.verbs import Host
from embedded_scheduler.clock import Clock
from embedded_scheduler.engine.applications import Accepted, Application
from embedded_scheduler.engine.introductions import Introduction, introduction
from embedded_scheduler.errors import Forbidden, InvalidRequest, NodeError, NotFound, Unauthenticated
from embedded_scheduler.security.keys import PublicKey, parse_credential
from embedded_scheduler.store.database import Database
from embedded_scheduler.wire.bfia.decoding import decode_object
from embedded_scheduler.wire.bfia.headers import PartnerHeaders, read_headers
from embedded_scheduler.wire.bfia.node import (
    Applied,
    ApplyContract,
    ConfirmContract,
    ContractReference,
    ContractStatus,
    Health,
    Introduced,
    NodeFacts,
    NodeReference,
    Nothing,
    UpdateNode,
    moment_ms,
)
from embedded_scheduler.wire.bfia.signature import SignedRequest, Signer, is_fresh, is_signed

PREFIX = "/v1/interconn/node"
APPLY = f"{PREFIX}/contract/apply"
CONFIRM = f"{PREFIX}/contract/confirm"
UPDATE = f"{PREFIX}/update"


class ContractVerbs(Protocol):
    """`engine.contracts`"""

    async def apply(self, engine: Any, application: Application) -> Accepted: ...

    async def confirmed(
        self,
        engine: Any,
        contract_id: str,
        *,
        approved: bool,
        auth_type: str,
        auth_credential: str,
        expires_ms: int | None,
        source: str,
    ) -> None: ...

    async def terminated(self, engine: Any, contract_id: str, *, source: str) -> None: ...

    async def updated(
        self, engine: Any, contract_id: str, about: Introduction, *, auth_type: str, auth_credential: str, source: str
    ) -> None: ...

    async def state_of(self, engine: Any, contract_id: str) -> str: ...


family: Family[ContractVerbs] = Family("node", PREFIX, base=PREFIX)


@family.endpoint("POST", "/contract/apply", ApplyContract, section="management §1", answer=Applied, stored=False)
async def apply(call: Call[ContractVerbs, ApplyContract]) -> Applied:
    """Ask this node to become a partner; its operator decides."""
    body = call.body
    if call.caller.source and call.caller.source != body.node_id:
        raise Forbidden(f"the application is for {body.node_id}, the headers say {call.caller.source}")
    accepted = await call.verbs.apply(
        call.engine,
        Application(
            _introduction(body.node_id, body),
            body.auth_type,
            body.auth_credential,
            moment_ms(body.expired_time),
            (body.invitation.id, body.invitation.proof) if body.invitation else None,
            call.caller.remote,
        ),
    )
    about = accepted.about
    if not accepted.proof:
        # A stranger gets the id, and the key that TLS shows anyway: both operators need the words before either agrees.
        # Who this node is, it tells after its operator has decided.
        return Applied(
            contract_id=accepted.contract_id,
            auth_type=accepted.auth_type,
            auth_credential=accepted.auth_credential,
        )
    return Applied(
        contract_id=accepted.contract_id,
        node_id=about.node_id,
        **about.particulars(),
        auth_type=accepted.auth_type,
        auth_credential=accepted.auth_credential,
        proof=accepted.proof,
    )


@family.endpoint("POST", "/contract/confirm", ConfirmContract, section="management §1", stored=False)
async def confirm(call: Call[ContractVerbs, ConfirmContract]) -> None:
    """The node that this one applied to tells what its operator decided."""
    body = call.body
    approved = body.status == "APPROVED"
    await call.verbs.confirmed(
        call.engine,
        body.contract_id,
        approved=approved,
        auth_type=body.auth_type,
        auth_credential=body.auth_credential if approved else "",
        expires_ms=moment_ms(body.expired_time),
        source=call.caller.source,
    )


@family.endpoint("POST", "/contract/terminate", ContractReference, section="management §1", stored=False)
async def terminate(call: Call[ContractVerbs, ContractReference]) -> None:
    """The partner ends the contract."""
    await call.verbs.terminated(call.engine, call.body.contract_id, source=call.caller.source)


# Stored: an earlier update that is repeated must not undo a later one.
@family.endpoint("POST", "/update", UpdateNode, section="management §1")
async def update(call: Call[ContractVerbs, UpdateNode]) -> None:
    """The partner tells its new address, names or key."""
    body = call.body
    await call.verbs.updated(
        call.engine,
        body.contract_id,
        _introduction(call.caller.source, body),
        auth_type=body.auth_type,
        auth_credential=body.auth_credential,
        source=call.caller.source,
    )


@family.endpoint(
    "GET", "/contract/query", ContractReference, section="management §1", answer=ContractStatus, reads=True
)
async def query_contract(call: Call[ContractVerbs, ContractReference]) -> ContractStatus:
    """State of a contract, for whoever knows its id."""
    return ContractStatus(status=await call.verbs.state_of(call.engine, call.body.contract_id))


@family.endpoint("GET", "/query", NodeReference, section="management §1", answer=NodeFacts, reads=True)
async def query(call: Call[ContractVerbs, NodeReference]) -> NodeFacts:
    """What this node says of itself: strangers get its id and system, partners everything."""
    about = introduction(call.engine.settings)
    if call.body.node_id != about.node_id:
        raise NotFound(f"this is node {about.node_id}")
    if not call.caller.proven:
        return NodeFacts(node_id=about.node_id, system=about.system)
    return NodeFacts(node_id=about.node_id, **about.particulars())


@family.endpoint("GET", "/health", Nothing, section="management §1", answer=Health, reads=True)
async def health(call: Call[ContractVerbs, Nothing]) -> Health:  # noqa: ARG001
    """Whether this node serves."""
    return Health(status="ok")


def _introduction(node_id: str, body: Introduced) -> Introduction:
    return Introduction(
        node_id,
        body.address,
        body.inst_id,
        body.institution,
        body.name,
        body.system,
        body.system_version,
        body.description,
    )


class Counterparts(Partners, Protocol):
    def keys_of_contract(self, contract_id: str, now_ms: int) -> tuple[str, tuple[PublicKey, ...]]:
        """The other node of a contract and its keys that count now; ("", ()) for a contract that is not known."""
        ...


class ContractAuthenticator(PartnerAuthenticator):
    """Reads are open to strangers, who are then not `proven`. An application is signed with the very key that it
    presents, or not at all. All else is signed with a key of the contract that it names."""

    def __init__(self, node_id: str, partners: Counterparts, *, clock: Clock, signer: Signer | None = None) -> None:
        super().__init__(node_id, partners, clock=clock, signer=signer)
        self._contracts = partners

    def identify(self, request: Inbound, *, component: bool) -> Caller:  # noqa: ARG002
        headers = read_headers(request.headers)
        if headers.source or request.method != "GET":
            self._check_addresses(headers)
        proven = self._is_proven_read(request, headers) if request.method == "GET" else request.path != APPLY
        if request.method != "GET" and (proven or headers.signature):
            self._check_complete(headers)
        return Caller(
            source=headers.source,
            nonce=headers.nonce,
            trace_id=headers.trace_id,
            proven=proven,
            # Until `verify` has seen with which contract a request is signed.
            in_force=request.method == "GET",
            style=self._partners.answer_style(headers.source),
            headers=headers,
            remote=request.remote,
        )

    def _is_proven_read(self, request: Inbound, headers: PartnerHeaders) -> bool:
        if not headers.signature or not headers.source or headers.target != self._node_id:
            return False
        signed = SignedRequest(request.method, request.path, request.query, headers, b"")
        return is_fresh(headers.timestamp_ms, self._clock.now_ms()) and is_signed(
            signed.message(), headers.signature, self._keys(headers.source)
        )

    def verify(self, caller: Caller, request: Inbound, body: bytes) -> Caller:
        if request.method == "GET":
            if body and caller.proven:
                raise InvalidRequest("this is asked by query, without a body")
            return caller
        if not caller.headers.signature:
            return caller  # An application: `identify` lets nothing else pass unsigned.
        signed = SignedRequest(request.method, request.path, request.query, caller.headers, body)
        try:
            members = decode_object(body, depth=8)
        except NodeError:
            raise Unauthenticated(NOT_PROVEN) from None
        keys = self._keys_for(request.path, caller.source, members)
        if not is_signed(signed.message(), caller.headers.signature, keys):
            raise Unauthenticated(NOT_PROVEN)
        partner = self._partners.partner(caller.source)
        # Anybody may have an application under a partner's id; it does not act as that partner.
        in_force = partner is not None and partner.trust is not None and request.path != APPLY
        agreed = partner.trust.contract_id if partner is not None and partner.trust is not None else ""
        return replace(caller, in_force=in_force and members.get("contract_id") == agreed)

    def _keys_for(self, path: str, source: str, members: Mapping[str, Any]) -> tuple[PublicKey, ...]:
        if path == APPLY:
            return _presented(members)
        node_id, keys = self._contracts.keys_of_contract(str(members.get("contract_id")), self._clock.now_ms())
        if node_id != source:
            return ()
        if path == CONFIRM and not keys:
            # This node applied by address alone, and the other one shows its key now: the words have to prove it.
            return _presented(members)
        if path == UPDATE and not _same(_presented(members), keys):
            # A key that was replaced, perhaps because it was stolen, must not choose its successor.
            return keys[:1]
        return keys


def _presented(members: Mapping[str, Any]) -> tuple[PublicKey, ...]:
    credential, auth_type = members.get("auth_credential"), members.get("auth_type")
    if not isinstance(credential, str) or not isinstance(auth_type, str):
        return ()
    return (parse_credential(auth_type.strip().upper(), credential),)


def _same(presented: tuple[PublicKey, ...], keys: tuple[PublicKey, ...]) -> bool:
    """Whether the key presented is the newest one known."""
    return bool(presented and keys) and presented[0].fingerprint == keys[0].fingerprint


def register(
    app: Quart,
    engine: Host,
    *,
    contracts: ContractVerbs,
    partners: Counterparts,
    database: Database,
    signer: Signer | None = None,
    gate: Gate | None = None,
) -> None:
    """Serve the family in `app`. `contracts` = the verbs (`engine.contracts`), `partners` = the partner directory."""
    authenticator = ContractAuthenticator(engine.settings.node_id, partners, clock=engine.clock, signer=signer)
    family.register(
        app, engine, verbs=contracts, authenticator=authenticator, answers=InboxAnswers(database), gate=gate
    )
