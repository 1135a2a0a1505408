"""Requests between the node and its partners, and the messages that carry them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedded_scheduler.wire.console_grants import (
    GrantDecision,
    GrantDetail,
    GrantPage,
    GrantRequest,
    GrantRow,
    MessageFile,
    MessagePage,
    MessageRow,
    RevokeReply,
    RevokeRequest,
)
from nodeconsole.client.calls import Calls, body_of, path_of


class GrantCalls(Calls):
    async def grants(self, *, direction: str | None = None, state: str | None = None, limit: int = 200) -> GrantPage:
        """Requests between this node and partners, newest first. `direction`: in or out."""
        return await self._get(GrantPage, "/grants", {"direction": direction, "state": state, "limit": limit})

    async def grant(self, grant_id: str) -> GrantDetail:
        """`grant_id` may be cut to a beginning that fits one request only."""
        return await self._get(GrantDetail, path_of("grants", grant_id))

    async def request_grant(self, request: GrantRequest) -> GrantRow:
        return await self._send(GrantRow, "POST", "/grants", request.model_dump())

    async def approve_grant(
        self,
        grant_id: str,
        reason: str = "",
        *,
        level: int | None = None,
        times: int | None = None,
        until_ms: int | None = None,
    ) -> GrantRow:
        """Limits that are not given are as the partner asked."""
        decision = GrantDecision(reason=reason, level=level, times=times, until_ms=until_ms)
        return await self._send(GrantRow, "POST", path_of("grants", grant_id, "approve"), decision.model_dump())

    async def reject_grant(self, grant_id: str, reason: str = "") -> GrantRow:
        body = body_of(GrantDecision, reason=reason)
        return await self._send(GrantRow, "POST", path_of("grants", grant_id, "reject"), body)

    async def revoke_grant(self, grant_id: str, reason: str = "", *, stop_jobs: bool = False) -> RevokeReply:
        body = RevokeRequest(reason=reason, stop_jobs=stop_jobs).model_dump()
        return await self._send(RevokeReply, "POST", path_of("grants", grant_id, "revoke"), body)

    async def refresh_grant(self, grant_id: str) -> GrantRow:
        """Ask the partner how a request of this node stands."""
        return await self._send(GrantRow, "POST", path_of("grants", grant_id, "refresh"), {})

    async def messages(self, *, to: str | None = None, limit: int = 200) -> list[MessageRow]:
        """What was sent to partners, newest first, and how far it has come."""
        return (await self._get(MessagePage, "/messages", {"to": to, "limit": limit})).messages

    async def message(self, message_id: int) -> MessageRow:
        return await self._get(MessageRow, path_of("messages", str(message_id)))

    async def resend_message(self, message_id: int) -> MessageRow:
        return await self._send(MessageRow, "POST", path_of("messages", str(message_id), "resend"), {})

    async def export_message(self, message_id: int) -> dict[str, Any]:
        """The message as a signed document, to carry by hand."""
        path = path_of("messages", str(message_id), "export")
        return (await self._send(MessageFile, "POST", path, {})).document

    async def import_message(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The signed answer to hand back; empty when the document was an answer itself."""
        body = MessageFile(document=dict(document)).model_dump()
        return (await self._send(MessageFile, "POST", "/messages/import", body)).document
