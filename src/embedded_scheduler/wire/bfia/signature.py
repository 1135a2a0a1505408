"""Seam for `x-auth-sign` (control layer §2.2): what a signature covers, who makes it, who checks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from embedded_scheduler.wire.bfia.headers import PartnerHeaders


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """Everything a signature may cover. `query` is as sent, without `?`; `body` byte for byte."""

    method: str
    path: str
    query: str
    headers: PartnerHeaders
    body: bytes


class Signer(Protocol):
    def sign(self, request: SignedRequest) -> str:
        """The value of `x-auth-sign`; empty = unsigned. `request.headers.signature` is not filled yet."""
        ...


class Verifier(Protocol):
    def verify(self, request: SignedRequest) -> None:
        """Return if the request may pass, else raise `Unauthenticated`."""
        ...


class NoSignature:
    """Signs nothing and lets everything pass: partners are told apart by what they say of themselves."""

    def sign(self, request: SignedRequest) -> str:  # noqa: ARG002
        return ""

    def verify(self, request: SignedRequest) -> None:  # noqa: ARG002
        return None
