"""`/identity`, `/invitations`, `/contracts`: who this node is, and whom it trusts with which key."""

from __future__ import annotations

from quart import Quart

from embedded_scheduler.api.console import endpoint
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.domain.roles import Role
from embedded_scheduler.engine import approaches, invitations, rotation, votes
from embedded_scheduler.engine import contracts as verbs
from embedded_scheduler.engine.introductions import identity_of, known_address
from embedded_scheduler.security.identity import certificate_facts, describe_files
from embedded_scheduler.security.keys import CERT, parse_credential
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import contracts, outbox
from embedded_scheduler.store.contracts import Contract
from embedded_scheduler.store.database import Reader
from embedded_scheduler.wire.console import said
from embedded_scheduler.wire.console_contracts import (
    ApplyRequest,
    CertificateRequest,
    ContractList,
    ContractRow,
    CsrReply,
    IdentityFile,
    IdentityRow,
    InvitationList,
    InvitationReply,
    InvitationRequest,
    InvitationRow,
    JoinRequest,
    ManualContractRequest,
    ReasonRequest,
    RotateRequest,
    WordsRequest,
)


def install(app: Quart, console: Console) -> None:
    who = IdentityEndpoints(console)
    endpoint.route(app, "GET", "/identity", who.show)
    endpoint.route(app, "POST", "/identity/rotate", who.rotate)
    endpoint.route(app, "POST", "/identity/certificate", who.import_certificate)
    endpoint.route(app, "POST", "/identity/csr", who.csr)
    codes = InvitationEndpoints(console)
    endpoint.route(app, "GET", "/invitations", codes.all)
    endpoint.route(app, "POST", "/invitations", codes.make)
    endpoint.route(app, "DELETE", "/invitations/<invitation_id>", codes.revoke)
    agreed = ContractEndpoints(console)
    endpoint.route(app, "GET", "/contracts", agreed.all)
    endpoint.route(app, "POST", "/contracts", agreed.by_hand)
    endpoint.route(app, "POST", "/contracts/join", agreed.join)
    endpoint.route(app, "POST", "/contracts/apply", agreed.apply)
    endpoint.route(app, "GET", "/contracts/<reference>", agreed.show, role=Role.VIEWER)
    endpoint.route(app, "POST", "/contracts/<reference>/confirm", agreed.confirm, role=Role.APPROVER)
    endpoint.route(app, "POST", "/contracts/<reference>/refuse", agreed.refuse, role=Role.APPROVER)
    endpoint.route(app, "POST", "/contracts/<reference>/terminate", agreed.terminate)


class IdentityEndpoints:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def show(self) -> IdentityRow:
        engine = self._engine
        identity = identity_of(engine)
        facts = certificate_facts(identity.certificate)
        standing = await rotation.standing(engine)
        return IdentityRow(
            node_id=engine.node_id,
            inst_id=engine.settings.inst_id,
            institution=engine.settings.inst_name,
            address=known_address(engine.settings),
            fingerprint=identity.fingerprint,
            algorithm=parse_credential(CERT, identity.certificate).algorithm,
            certificate=identity.certificate,
            public_key=facts.public_key,
            not_before_ms=facts.not_before_ms,
            not_after_ms=facts.not_after_ms,
            issuer=facts.issuer,
            files=[IdentityFile(path=str(path), text=text) for path, text in describe_files(identity)],
            next_fingerprint=standing.next_fingerprint,
            waiting_for=list(standing.waiting_for),
            previous_fingerprint=standing.previous_fingerprint,
        )

    async def rotate(self) -> IdentityRow:
        request = await endpoint.body_message(RotateRequest, self._console.depth)
        await rotation.rotate(self._engine, force=request.force, actor=endpoint.operator())
        return await self.show()

    async def import_certificate(self) -> IdentityRow:
        request = await endpoint.body_message(CertificateRequest, self._console.depth)
        await rotation.import_certificate(self._engine, request.certificate, actor=endpoint.operator())
        return await self.show()

    async def csr(self) -> CsrReply:
        return CsrReply(csr=identity_of(self._engine).csr(self._engine.node_id, self._engine.settings.inst_name))


class InvitationEndpoints:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def all(self) -> InvitationList:
        rows = await invitations.recent(self._engine)
        names = InvitationRow.model_fields.keys()
        return InvitationList(
            invitations=[InvitationRow(**{name: getattr(row, name) for name in names}) for row in rows]
        )

    async def make(self) -> InvitationReply:
        request = await endpoint.body_message(InvitationRequest, self._console.depth)
        made = await invitations.invite(
            self._engine, hours=request.hours, address=request.address, actor=endpoint.operator()
        )
        return InvitationReply(code=made.code, id=made.id, address=made.address, expires_ms=made.expires_ms)

    async def revoke(self, invitation_id: str) -> None:
        await invitations.revoke(self._engine, invitation_id, actor=endpoint.operator())


class ContractEndpoints:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def all(self) -> ContractList:
        rows, errors = await self._engine.db.read(lambda reader: (contracts.all(reader), _undelivered(reader)))
        return ContractList(contracts=await self._counted([self._row(row, errors) for row in rows]))

    async def show(self, reference: str) -> ContractRow:
        row, errors = await self._engine.db.read(
            lambda reader: (verbs.find(reader, reference, open_first=False), _undelivered(reader))
        )
        return (await self._counted([self._row(row, errors)]))[0]

    async def _counted(self, shown: list[ContractRow]) -> list[ContractRow]:
        """With the votes of those that several persons here have to agree to."""
        needed = self._engine.settings.approval.contract_approvers
        waiting = [row for row in shown if row.state == AgreementState.APPLIED and not row.compared_by]
        if needed < 2 or not waiting:
            return shown

        def look(reader: Reader) -> dict[str, list[str]]:
            ids = [row.contract_id for row in waiting]
            return {key: [vote.actor for vote in votes.so_far(reader, "contract", key)] for key in ids}

        found = await self._engine.db.read(look)
        for row in waiting:
            row.approvals, row.approvers_needed = found[row.contract_id], needed
        return shown

    async def by_hand(self) -> ContractRow:
        request = await endpoint.body_message(ManualContractRequest, self._console.depth)
        made = await verbs.by_hand(
            self._engine,
            request.node_id,
            request.url,
            auth_type=request.auth_type,
            auth_credential=request.auth_credential,
            profile=request.profile,
            approval=request.approval,
            options=request.options,
            actor=endpoint.operator(),
        )
        return await self.show(made.contract_id)

    async def join(self) -> ContractRow:
        request = await endpoint.body_message(JoinRequest, self._console.depth)
        made = await invitations.join(self._engine, request.code, address=request.address, actor=endpoint.operator())
        return await self.show(made.contract_id)

    async def apply(self) -> ContractRow:
        request = await endpoint.body_message(ApplyRequest, self._console.depth)
        made = await approaches.apply_at(
            self._engine,
            request.node_id,
            request.url,
            fingerprint=request.fingerprint,
            address=request.address,
            actor=endpoint.operator(),
        )
        return await self.show(made.contract_id)

    async def confirm(self, reference: str) -> ContractRow:
        request = await endpoint.body_message(WordsRequest, self._console.depth)
        row = await verbs.compared(self._engine, reference, request.words, actor=endpoint.operator())
        return await self.show(row.contract_id)

    async def refuse(self, reference: str) -> ContractRow:
        request = await endpoint.body_message(ReasonRequest, self._console.depth)
        row = await verbs.refuse(self._engine, reference, request.reason, actor=endpoint.operator())
        return await self.show(row.contract_id)

    async def terminate(self, reference: str) -> ContractRow:
        request = await endpoint.body_message(ReasonRequest, self._console.depth)
        row = await verbs.terminate(self._engine, reference, request.reason, actor=endpoint.operator())
        return await self.show(row.contract_id)

    def _row(self, row: Contract, undelivered: dict[str, str]) -> ContractRow:
        ends = certificate_facts(row.auth_credential).not_after_ms if row.auth_type == CERT else None
        before = parse_credential(row.previous_type, row.previous_credential) if row.previous_credential else None
        return ContractRow(
            contract_id=row.contract_id,
            node_id=row.node_id,
            side=row.side,
            state=row.state.value,
            address=row.address,
            inst_id=row.inst_id,
            institution=row.institution,
            name=row.name,
            system=row.system,
            system_version=row.system_version,
            description=row.description,
            auth_type=row.auth_type,
            fingerprint=row.fingerprint,
            previous_fingerprint=before.fingerprint if before else "",
            previous_until_ms=row.previous_until_ms,
            certificate_ends_ms=ends,
            expires_ms=row.expires_ms,
            invitation=row.invitation,
            partner_decision=row.partner_decision,
            compared_by=row.compared_by,
            decided_by=row.decided_by,
            reason=row.reason,
            created_ms=row.created_ms,
            since_ms=row.since_ms,
            words=verbs.words_of(self._engine, row) if row.side != "manual" else "",
            next=_next(row),
            said=said(next=_next(row)),
            undelivered=undelivered.get(row.contract_id, ""),
            actions=_actions(row),
        )


def _undelivered(reader: Reader) -> dict[str, str]:
    """By contract: why the partner has not taken what it is to be told."""
    return {
        str(row.body.get("contract_id")): row.last_error or "not sent yet"
        for row in outbox.waiting_messages(reader)
        if row.operation.startswith("node/")
    }


def _actions(row: Contract) -> list[str]:
    if row.state is AgreementState.APPLIED:
        return ["refuse"] if row.compared_by else ["confirm", "refuse"]
    return ["terminate"] if row.state is AgreementState.APPROVED else []


def _next(row: Contract) -> Words:
    if row.state is not AgreementState.APPLIED:
        return ""
    if not row.compared_by:
        return say("contract_compare", node=row.node_id)
    return say("contract_unconfirmed", node=row.node_id)
