"""Invitation codes: what one operator sends another so that their nodes find and recognise each other.

A code is `NC1-` and base32 of: id (8 bytes), secret (16), fingerprint of the inviting node's key (32), end (4, epoch
seconds), length and text of its node id, text of its address, checksum (4). Who sees a code before its partner does can
apply in the partner's place: the six words show that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass, field

from embedded_scheduler.domain.identifiers import check_id
from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.sentences import say

PREFIX = "NC1-"
ID_BYTES = 8
SECRET_BYTES = 16
_FINGERPRINT_BYTES = 32
_HEAD = ID_BYTES + SECRET_BYTES + _FINGERPRINT_BYTES + 4
_CHECKSUM = 4
_LONGEST = 4096
_TAG = b"nodeconsole invitation v1"


@dataclass(frozen=True, slots=True)
class Code:
    """What a code says. `id` and `fingerprint` in hex, `expires_s` in epoch seconds."""

    id: str
    secret: bytes = field(repr=False)
    fingerprint: str
    expires_s: int
    node_id: str
    address: str


def encode(code: Code) -> str:
    """One line of capital letters, digits and a hyphen."""
    name = code.node_id.encode("ascii")
    content = (
        bytes.fromhex(code.id)
        + code.secret
        + bytes.fromhex(code.fingerprint)
        + code.expires_s.to_bytes(4, "big")
        + bytes([len(name)])
        + name
        + code.address.encode("ascii")
    )
    return PREFIX + base64.b32encode(content + _checksum(content)).decode("ascii").rstrip("=")


def decode(text: str) -> Code:
    """The code in `text`, however it was broken into lines or groups; `InvalidRequest` when it is none or was altered.

    Whether it has expired is not looked at.
    """
    compact = "".join(text.split()).upper()
    if not compact.startswith(PREFIX):
        raise InvalidRequest(say("invitation_prefix", prefix=PREFIX))
    letters = compact.removeprefix(PREFIX).replace("-", "")
    if len(letters) > _LONGEST or not letters.isascii():
        raise InvalidRequest(say("invitation_long"))
    try:
        raw = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except binascii.Error:
        raise InvalidRequest(_DAMAGED) from None
    content, check = raw[:-_CHECKSUM], raw[-_CHECKSUM:]
    if len(content) <= _HEAD or not hmac.compare_digest(check, _checksum(content)):
        raise InvalidRequest(_DAMAGED)
    return _read(content)


_DAMAGED = say("invitation_damaged")


def _read(content: bytes) -> Code:
    secret_at = ID_BYTES
    print_at = secret_at + SECRET_BYTES
    end_at = print_at + _FINGERPRINT_BYTES
    name_at = _HEAD + 1
    address_at = name_at + content[_HEAD]
    try:
        node_id = check_id("node id", content[name_at:address_at].decode("ascii"))
        address = content[address_at:].decode("ascii")
    except (UnicodeDecodeError, InvalidRequest):
        raise InvalidRequest(_DAMAGED) from None
    return Code(
        id=content[:ID_BYTES].hex(),
        secret=content[secret_at:print_at],
        fingerprint=content[print_at:end_at].hex(),
        expires_s=int.from_bytes(content[end_at:_HEAD], "big"),
        node_id=node_id,
        address=address,
    )


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(_TAG + content).digest()[:_CHECKSUM]


def verifier_of(invitation_id: str, secret: bytes) -> str:
    """The key (hex) for the proofs of one invitation; the secret cannot be found from it."""
    return hmac.new(secret, _TAG + b"\0" + invitation_id.encode("ascii"), hashlib.sha256).hexdigest()


def application_proof(
    verifier: str,
    *,
    invitation_id: str,
    inviting: tuple[str, str],
    applying: tuple[str, str],
    address: str,
) -> str:
    """What shows that an applicant has the code. Nodes are (node id, key fingerprint); `address` is the applicant's."""
    return _proof(verifier, "apply", invitation_id, *inviting, *applying, address)


def answer_proof(
    verifier: str, *, invitation_id: str, inviting: tuple[str, str], applying: tuple[str, str], contract_id: str
) -> str:
    """What shows the applicant that the inviting node itself answered, and with which contract."""
    return _proof(verifier, "answer", invitation_id, *inviting, *applying, contract_id)


def same_proof(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8"), other.encode("utf-8"))


def _proof(verifier: str, *parts: str) -> str:
    text = json.dumps(parts, separators=(",", ":")).encode("ascii")
    return hmac.new(bytes.fromhex(verifier), _TAG + b"\0" + text, hashlib.sha256).hexdigest()
