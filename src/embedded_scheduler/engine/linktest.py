"""Who may try out the link to this node before there is any trust: whoever holds an invitation, or a code made for the
test alone (`peer test --listen`). The code's secret never travels: each request shows a proof made with it."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from embedded_scheduler.config import MIB
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.introductions import identity_of, own_address
from embedded_scheduler.errors import InvalidRequest, TooMany, Unauthenticated
from embedded_scheduler.security import invitation as codes
from embedded_scheduler.sentences import say
from embedded_scheduler.store import invitations, ledger

TICKET_BYTES = 200 * MIB
"""What one code may send and fetch together."""
TICKET_REQUESTS = 5000
LONGEST_MINUTES = 24 * 60
_ID = re.compile(r"[0-9a-f]{16}")
_NONCE = re.compile(r"[0-9a-f]{16,64}")
_UNKNOWN_PER_SECOND = 5
_REFUSED = "this needs a test code: `nodeconsole peer test --listen 30` at the other side prints one"


@dataclass(slots=True)
class Ticket:
    """A code at work; `left` bytes may still be sent or fetched with it."""

    key: bytes
    until_ms: int
    left: int = TICKET_BYTES
    reversed: bool = False
    invited: bool = False
    """The code is an invitation: it counts as long as that does."""
    nonces: set[str] = field(default_factory=set)

    def spend(self, size: int) -> None:
        if size > self.left:
            raise TooMany(f"this test code is used up: it is good for {TICKET_BYTES // MIB} MiB; ask for a new one")
        self.left -= size


@dataclass(frozen=True, slots=True)
class Window:
    """An open test; the code is shown once."""

    code: str
    until_ms: int


class LinkTests:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tickets: dict[str, Ticket] = {}
        self._second = 0
        self._asked = 0

    @property
    def node_id(self) -> str:
        return self._engine.node_id

    async def open(self, minutes: int, *, address: str = "", actor: str) -> Window:
        """Let whoever gets the code test the link for some minutes."""
        if not 0 < minutes <= LONGEST_MINUTES:
            raise InvalidRequest(say("test_minutes", most=LONGEST_MINUTES, minutes=minutes))
        engine = self._engine
        base = address or own_address(engine.settings)
        secret, ticket_id = secrets.token_bytes(codes.SECRET_BYTES), secrets.token_hex(codes.ID_BYTES)
        until_ms = (engine.clock.now_ms() // 1000 + minutes * 60) * 1000
        fingerprint = identity_of(engine).fingerprint
        code = codes.encode(codes.Code(ticket_id, secret, fingerprint, until_ms // 1000, engine.node_id, base))
        await engine.db.write(
            lambda tx: ledger.append(
                tx,
                subject="node",
                subject_id=engine.node_id,
                event="node.link_test_opened",
                actor=actor,
                data={"until_ms": until_ms, "address": base},
            )
        )
        self._tickets[ticket_id] = Ticket(test_key(codes.verifier_of(ticket_id, secret)), until_ms)
        return Window(code, until_ms)

    async def admit(self, ticket_id: str, nonce: str, shown: str, request: str) -> Ticket:
        """The ticket of a request whose proof is right; `Unauthenticated` for all others, in the same words."""
        ticket = await self._find(ticket_id)
        if (
            ticket is None
            or not _NONCE.fullmatch(nonce)
            or not hmac.compare_digest(proof(ticket.key, nonce, request).encode(), shown.encode("utf-8", "replace"))
            or nonce in ticket.nonces
        ):
            raise Unauthenticated(_REFUSED)
        if len(ticket.nonces) >= TICKET_REQUESTS:
            raise TooMany(f"this test code is used up: it is good for {TICKET_REQUESTS} requests; ask for a new one")
        ticket.nonces.add(nonce)
        return ticket

    async def _find(self, ticket_id: str) -> Ticket | None:
        now = self._engine.clock.now_ms()
        for known, ticket in list(self._tickets.items()):
            if ticket.until_ms <= now:
                del self._tickets[known]
        known_ticket = self._tickets.get(ticket_id)
        if known_ticket is not None and not known_ticket.invited:
            return known_ticket
        if known_ticket is None and (not _ID.fullmatch(ticket_id) or not self._may_look(now)):
            return None
        found = await self._engine.db.read(lambda reader: invitations.get(reader, ticket_id))
        if found is None or not found.verifier or found.ended or found.contract_id or found.expires_ms <= now:
            self._tickets.pop(ticket_id, None)
            return None
        return self._tickets.setdefault(ticket_id, Ticket(test_key(found.verifier), found.expires_ms, invited=True))

    def _may_look(self, now_ms: int) -> bool:
        """Guesses must not keep the database busy."""
        if now_ms // 1000 != self._second:
            self._second, self._asked = now_ms // 1000, 0
        self._asked += 1
        return self._asked <= _UNKNOWN_PER_SECOND


def test_key(verifier: str) -> bytes:
    """For proofs of link tests, from what the node keeps of a code: good for nothing else."""
    return hmac.new(bytes.fromhex(verifier), b"nodeconsole link test v1", hashlib.sha256).digest()


def proof(key: bytes, nonce: str, request: str) -> str:
    """Shows that the sender of `request` (method, path and query) has the code."""
    return hmac.new(key, f"{nonce}\n{request}".encode(), hashlib.sha256).hexdigest()
