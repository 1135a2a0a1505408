"""What `x-auth-sign` covers, in requests and answers. The specification leaves it open (control layer §2.2); the rules
are ours and published in docs/protocol-signing.md."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from embedded_scheduler.errors import InvalidRequest
from embedded_scheduler.security.keys import PublicKey, SigningKey
from embedded_scheduler.wire.bfia.headers import PartnerHeaders

WINDOW_MS = 300_000
"""How far a timestamp may lie from the receiver's clock, in both directions."""
SIGNATURE = "x-auth-sign"
NOT_TAKEN = ""
"""In place of the request's nonce in the answer to a request that did not prove who sent it: that may have been changed
on its way, so this is no answer to what its sender sent."""
_LONGEST_SIGNATURE = 2048
"""Characters; an RSA key of 8192 bits needs 1368."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as its signature covers it. `path` begins with `/v1/` (whatever a gateway puts before it is not
    covered); `query` is as sent, without `?`; `body` byte for byte. The signature in `headers` is not looked at."""

    method: str
    path: str
    query: str
    headers: PartnerHeaders
    body: bytes
    transport: str = ""
    """Of a channel request: what `wire.ptp.covered` makes of its headers."""

    def message(self) -> bytes:
        """The signed bytes; `InvalidRequest` when the query has no canonical form."""
        said = self.headers
        headers = [said.source, said.target, said.nonce, said.timestamp, said.trace_id]
        # With a line after it the permits' own is always there, so that neither can be taken for the other.
        permits = [_sent(said.token_set)] if said.token_set or self.transport else []
        return b"\n".join(
            [
                self.method.encode(),
                self.path.encode(),
                canonical_query(self.query).encode(),
                *map(_sent, headers),
                _digest(self.body),
                *permits,
                *([self.transport.encode()] if self.transport else []),
            ]
        )


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """An answer as its signature covers it: to which request (`path`, `nonce` and `trace_id` are the request's), from
    whom (`source`) to whom (`target`), and when (`timestamp`, the text of the answer's own header)."""

    status: int
    path: str
    source: str
    target: str
    nonce: str
    timestamp: str
    trace_id: str
    body: bytes

    def message(self) -> bytes:
        headers = [self.source, self.target, self.nonce, self.timestamp, self.trace_id]
        return b"\n".join(
            [b"ANSWER", str(self.status).encode(), self.path.encode(), *map(_sent, headers), _digest(self.body)]
        )


class Signer:
    """Signs with this node's key, which a rotation replaces."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    def renew(self, key: SigningKey) -> None:
        """Sign with this key from now on."""
        self._key = key

    def sign(self, message: bytes) -> str:
        """The value of `x-auth-sign`."""
        return base64.b64encode(self._key.sign(message)).decode("ascii")


def is_signed(message: bytes, signature: str, keys: Iterable[PublicKey]) -> bool:
    """Whether one of `keys` made `signature`, the text of an `x-auth-sign`. Which algorithm that takes is a matter of
    the key alone. A signature has one spelling: base64 with padding and without anything else."""
    if not signature or len(signature) > _LONGEST_SIGNATURE:
        return False
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    # The last character may hold bits that decoding drops.
    if base64.b64encode(raw).decode("ascii") != signature:
        return False
    return any(key.verifies(raw, message) for key in keys)


def is_fresh(timestamp_ms: int | None, now_ms: int) -> bool:
    """Whether a time that another node wrote is close enough to ours; an unreadable one (None) is not."""
    return timestamp_ms is not None and abs(now_ms - timestamp_ms) <= WINDOW_MS


def canonical_query(query: str) -> str:
    """The fields of a query in one form: split at `&`, each at its first `=`, decoded (`+` is a space), sorted by name
    and then value, and encoded again with all but the unreserved characters of RFC 3986 as `%XX`."""
    if not query:
        return ""
    try:
        fields = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise InvalidRequest("the query is not valid: at most 100 UTF-8 fields, percent-encoded") from None
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(fields))


def _sent(value: str) -> bytes:
    """A header's bytes as they were sent: they are read as ISO-8859-1."""
    return value.encode("latin-1")


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
