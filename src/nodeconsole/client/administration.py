"""The node's own affairs: identity, policy, secrets, tokens of programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from embedded_scheduler.wire.console_contracts import CertificateRequest, CsrReply, IdentityRow, RotateRequest
from embedded_scheduler.wire.console_policy import PolicyRequest, PolicyRow, PolicyTestReply, PolicyTestRequest
from embedded_scheduler.wire.console_secrets import SecretRow
from embedded_scheduler.wire.console_tokens import TokenCreated, TokenRequest, TokenRow
from nodeconsole.client.calls import Calls, path_of, read_as


class AdministrationCalls(Calls):
    async def identity(self) -> IdentityRow:
        return await self._get(IdentityRow, "/identity")

    async def rotate_identity(self, *, force: bool = False) -> IdentityRow:
        """Begins a rotation or goes on with it; `force` does not wait for partners."""
        body = RotateRequest(force=force).model_dump()
        return await self._send(IdentityRow, "POST", "/identity/rotate", body, patient=True)

    async def import_certificate(self, certificate: str) -> IdentityRow:
        body = CertificateRequest(certificate=certificate).model_dump()
        return await self._send(IdentityRow, "POST", "/identity/certificate", body)

    async def certificate_request(self) -> str:
        """A CSR in PEM for this node's key."""
        return (await self._send(CsrReply, "POST", "/identity/csr", {})).csr

    async def policy(self) -> PolicyRow:
        return await self._get(PolicyRow, "/policy")

    async def set_policy(self, text: str, *, expected: int | None = None) -> PolicyRow:
        """Refused with `conflict` when `expected` is given and another version is in force."""
        return await self._send(PolicyRow, "PUT", "/policy", PolicyRequest(text=text, expected=expected).model_dump())

    async def test_policy(
        self,
        document: Mapping[str, Any] | None = None,
        *,
        coordinator: str = "",
        last: int | None = None,
        text: str | None = None,
    ) -> PolicyTestReply:
        """Of a job file, or of the `last` jobs of partners; `text`: the policy to try instead of the one in force."""
        request = PolicyTestRequest(
            document=None if document is None else dict(document), coordinator=coordinator, last=last, text=text
        )
        return await self._send(PolicyTestReply, "POST", "/policy/test", request.model_dump())

    async def secrets(self) -> list[SecretRow]:
        """Names and dates; nothing tells a value."""
        return await self._list(SecretRow, "/secrets", "secrets")

    async def put_secret(self, name: str, value: str) -> SecretRow:
        return await self._send(SecretRow, "PUT", path_of("secrets", name), {"value": value})

    async def remove_secret(self, name: str) -> None:
        await self._delete(path_of("secrets", name))

    async def tokens(self) -> list[TokenRow]:
        """Tokens of the own platform's programs, revoked ones included."""
        return await self._list(TokenRow, "/tokens", "tokens")

    async def create_token(
        self, name: str, scopes: Sequence[str] = ("all",), *, lasts_ms: int | None = None
    ) -> TokenCreated:
        """The answer alone holds the token; `lasts_ms` None = it does not expire."""
        request = TokenRequest(name=name, scopes=list(scopes), lasts_ms=lasts_ms)
        return await self._send(TokenCreated, "POST", "/tokens", request.model_dump())

    async def revoke_token(self, name: str) -> TokenRow:
        return read_as(TokenRow, await self._call("DELETE", path_of("tokens", name)))
