"""Partners: addresses, invitations, contracts, tests of the link."""

from __future__ import annotations

from typing import Any

from embedded_scheduler.wire.console import PeerRequest, PeerRow
from embedded_scheduler.wire.console_contracts import (
    ApplyRequest,
    ContractRow,
    InvitationReply,
    InvitationRequest,
    InvitationRow,
    JoinRequest,
    ManualContractRequest,
    ReasonRequest,
    WordsRequest,
)
from embedded_scheduler.wire.linktest import LinkReport, LinkRequest, OwnSide, WindowReply, WindowRequest
from nodeconsole.client.calls import Calls, body_of, path_of


class PartnerCalls(Calls):
    async def peers(self) -> list[PeerRow]:
        return await self._list(PeerRow, "/peers", "peers")

    async def peer(self, node_id: str) -> PeerRow:
        return await self._get(PeerRow, path_of("peers", node_id))

    async def add_peer(self, request: PeerRequest) -> PeerRow:
        return await self._send(PeerRow, "POST", "/peers", request.model_dump())

    async def change_peer(self, node_id: str, **changes: Any) -> PeerRow:
        """Change some of what is known of a partner: url, profile, approval, options, signing, tls."""
        known = await self.peer(node_id)
        return await self.add_peer(PeerRequest.model_validate(known.model_dump() | changes))

    async def remove_peer(self, node_id: str) -> None:
        await self._delete(path_of("peers", node_id))

    async def invitations(self) -> list[InvitationRow]:
        return await self._list(InvitationRow, "/invitations", "invitations")

    async def invite(self, *, hours: float = 24, address: str = "") -> InvitationReply:
        """A code for one partner; it is shown this once."""
        body = InvitationRequest(hours=hours, address=address).model_dump()
        return await self._send(InvitationReply, "POST", "/invitations", body)

    async def revoke_invitation(self, invitation_id: str) -> None:
        await self._delete(path_of("invitations", invitation_id))

    async def join(self, code: str, *, address: str = "") -> ContractRow:
        """Apply with a partner's code. The same code again returns the same contract."""
        body = JoinRequest(code=code, address=address).model_dump()
        return await self._send(ContractRow, "POST", "/contracts/join", body, patient=True)

    async def apply(self, node_id: str, url: str, *, fingerprint: str = "", address: str = "") -> ContractRow:
        """Apply at a node that gave no code. An application that waits already is returned."""
        body = ApplyRequest(node_id=node_id, url=url, fingerprint=fingerprint, address=address).model_dump()
        return await self._send(ContractRow, "POST", "/contracts/apply", body, patient=True)

    async def contracts(self) -> list[ContractRow]:
        return await self._list(ContractRow, "/contracts", "contracts")

    async def contract(self, reference: str) -> ContractRow:
        """By its id, or the one that counts with a node."""
        return await self._get(ContractRow, path_of("contracts", reference))

    async def add_contract(self, request: ManualContractRequest) -> ContractRow:
        return await self._send(ContractRow, "POST", "/contracts", request.model_dump())

    async def confirm_contract(self, reference: str, words: str) -> ContractRow:
        """`words` as the partner's operator read them out; refused unless they are ours."""
        body = WordsRequest(words=words).model_dump()
        return await self._send(ContractRow, "POST", path_of("contracts", reference, "confirm"), body)

    async def refuse_contract(self, reference: str, reason: str = "") -> ContractRow:
        body = body_of(ReasonRequest, reason=reason)
        return await self._send(ContractRow, "POST", path_of("contracts", reference, "refuse"), body)

    async def terminate_contract(self, reference: str, reason: str = "") -> ContractRow:
        body = body_of(ReasonRequest, reason=reason)
        return await self._send(ContractRow, "POST", path_of("contracts", reference, "terminate"), body)

    async def test_link(self, target: str, *, quick: bool = False) -> LinkReport:
        """Takes minutes: the waiting times of the link are waited out."""
        body = LinkRequest(target=target, quick=quick).model_dump()
        return await self._send(LinkReport, "POST", "/linktests", body, patient=True)

    async def open_link_test(self, minutes: int, address: str = "") -> WindowReply:
        body = WindowRequest(minutes=minutes, address=address).model_dump()
        return await self._send(WindowReply, "POST", "/linktests/windows", body)

    async def own_side(self) -> OwnSide:
        return await self._get(OwnSide, "/linktests/own")
