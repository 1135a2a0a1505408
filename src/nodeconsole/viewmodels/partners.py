"""The list of partners: whether each one answers, and whether what it says can be believed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.contracts import APPLIED, APPROVED, contract_state, is_undelivered, message_text
from nodeconsole.viewmodels.document import as_document
from nodeconsole.viewmodels.facts import fact_lines, grouped, when
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import count, printable
from nodeconsole.viewmodels.times import DAY, age, span_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import PeerRow
    from embedded_scheduler.wire.console_contracts import ContractRow
    from embedded_scheduler.wire.console_grants import MessageRow
    from nodeconsole.viewmodels.display import Display

SOON = 30 * DAY
"""From so long before its end on a key or contract is pointed at."""
_FEW = 3
"""So many undelivered messages are named in the facts; the card of the contract has all of them."""


@dataclass(frozen=True, slots=True)
class Partner:
    """One line. `peer` None = it applied or was invited, and is no partner yet. `messages` are the undelivered ones."""

    node_id: str
    peer: PeerRow | None
    contract: ContractRow | None
    messages: tuple[MessageRow, ...] = ()

    @property
    def signed(self) -> bool:
        """Its answers count only with a signature by the key of the contract."""
        return self.peer is not None and self.peer.signing == "required" and self.peer.contract == APPROVED


def partners(
    peers: Iterable[PeerRow], contracts: Iterable[ContractRow], messages: Iterable[MessageRow]
) -> list[Partner]:
    """Everybody there is a contract or an address for; who waits for a confirmation comes first."""
    known = {row.node_id: row for row in peers}
    agreed = _that_counts(contracts)
    waiting: dict[str, list[MessageRow]] = {}
    for message in messages:
        if is_undelivered(message):
            waiting.setdefault(message.node_id, []).append(message)
    strangers = [node_id for node_id, row in agreed.items() if node_id not in known and row.state == APPLIED]
    return [
        Partner(node_id, known.get(node_id), agreed.get(node_id), tuple(waiting.get(node_id, ())))
        for node_id in (*strangers, *known)
    ]


def _that_counts(contracts: Iterable[ContractRow]) -> dict[str, ContractRow]:
    """By node: the contract to decide about, else the one that is in force, else the newest."""
    found: dict[str, ContractRow] = {}
    for row in contracts:
        before = found.get(row.node_id)
        if before is None or _weight(row) > _weight(before):
            found[row.node_id] = row
    return found


def _weight(contract: ContractRow) -> tuple[int, int]:
    urgency = {APPLIED: 0 if contract.compared_by else 2, APPROVED: 1}
    return urgency.get(contract.state, -1), contract.created_ms


def partner_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("node", text("peers.column.node"), 14, flex=2, most=32),
        Column("state", text("peers.column.state"), 10),
        Column("took", text("peers.column.took"), 6, right=True, drop=4),
        Column("trust", text("peers.column.trust"), 13),
        Column("jobs", text("peers.column.jobs"), 4, right=True, drop=5),
        Column("queue", text("peers.column.queue"), 5, right=True, drop=1),
        Column("ends", text("peers.column.ends"), 5, right=True, drop=3),
        Column("approval", text("peers.column.approval"), 8, drop=6),
        Column("url", text("peers.column.url"), 16, flex=3, most=60, drop=7),
        Column("profile", text("peers.column.profile"), 12, drop=8),
    )


def partner_cells(partner: Partner, display: Display) -> Line:
    peer = partner.peer
    url = peer.url if peer is not None else partner.contract.address if partner.contract is not None else ""
    undelivered = peer.undelivered if peer is not None else len(partner.messages)
    return (
        Span(printable(partner.node_id), "strong"),
        connection(partner, display),
        Span(f"{peer.took_ms}ms" if peer is not None and peer.took_ms is not None else "", "dim"),
        trust(partner, display),
        Span(count(peer.open_jobs) if peer is not None and peer.open_jobs else ""),
        Span(count(undelivered) if undelivered else "", "warn"),
        _ends(partner, display),
        Span(display.text(f"peers.approval_{peer.approval}") if peer is not None else ""),
        Span(printable(url), "dim"),
        Span(printable(peer.profile) if peer is not None else "", "dim"),
    )


def key_ends(contract: ContractRow | None) -> int | None:
    """When the key or the contract ends, whichever comes first."""
    if contract is None:
        return None
    return min((at for at in (contract.expires_ms, contract.certificate_ends_ms) if at), default=None)


def _ends(partner: Partner, display: Display) -> Span:
    at = key_ends(partner.contract)
    if at is None or not partner.signed:
        return Span("")
    left = at - display.now_ms
    return Span(span_text(left), "bad" if left <= 0 else "warn" if left < SOON else "dim")


def fails(peer: PeerRow) -> bool:
    """The last thing heard of it is an error."""
    return (peer.last_error_ms or 0) > (peer.last_ok_ms or 0)


def needs_attention(partner: Partner) -> bool:
    """It fails, something waits to be delivered to it, or the contract waits for this node."""
    contract = partner.contract
    applied = contract is not None and contract.state == APPLIED and not contract.compared_by
    return applied or bool(partner.messages) or (partner.peer is not None and fails(partner.peer))


def partner_document(partner: Partner) -> object:
    """Everything the node sent about it."""
    return {
        "node_id": partner.node_id,
        "peer": as_document(partner.peer),
        "contract": as_document(partner.contract),
        "messages": [as_document(message) for message in partner.messages],
    }


def connection(partner: Partner, display: Display) -> Span:
    """Connected means that it answered with its signature; an unsigned answer can be anybody's."""
    peer, glyphs = partner.peer, display.glyphs
    if peer is not None and fails(peer):
        return Span(f"{glyphs.bad} {age(peer.last_error_ms, display.now_ms)}", "bad")
    if peer is None or not peer.last_ok_ms:
        return Span(f"{glyphs.unknown} {display.text('peers.never')}", "dim")
    since = age(peer.last_ok_ms, display.now_ms)
    if partner.signed:
        return Span(f"{glyphs.ok} {since}", "ok")
    return Span(f"{glyphs.unknown} {since}", "warn")


def trust(partner: Partner, display: Display) -> Span:
    """Whether what it says can be believed, and what is missing for that."""
    text, glyphs, peer = display.text, display.glyphs, partner.peer
    contract = partner.contract
    state = contract.state if contract is not None else peer.contract if peer is not None else ""
    if state == APPLIED and contract is not None and contract.compared_by:
        return Span(f"{glyphs.pending} {text('peers.trust.their_turn')}", "warn")
    if state == APPLIED:
        return Span(f"{glyphs.waiting} {text('peers.trust.applied')}", "wait")
    if partner.signed:
        return Span(f"{glyphs.ok} {text('peers.trust.signed')}", "ok")
    if peer is not None and peer.signing == "off":
        return Span(f"! {text('peers.trust.unsigned')}", "warn")
    if peer is not None and peer.contract == APPROVED:
        return Span(f"{glyphs.unknown} {text('peers.trust.optional')}", "warn")
    word = "ended" if state in ("REJECTED", "TERMINATED") else "missing"
    return Span(f"{glyphs.bad} {text(f'peers.trust.{word}')}", "bad")


def partner_facts(partner: Partner, display: Display, width: int) -> list[Line]:
    facts = _peer_facts(partner, display) if partner.peer is not None else []
    facts += _contract_facts(partner.contract, display) if partner.contract is not None else []
    waiting = [message_text(message, display) for message in partner.messages]
    more = f" (+{len(waiting) - _FEW})" if len(waiting) > _FEW else ""
    for number, line in enumerate(waiting[:_FEW]):
        label = display.text("peers.undelivered") if number == 0 else " "
        facts.append((label, line + (more if number == _FEW - 1 else "")))
    return fact_lines(facts, width)


def _peer_facts(partner: Partner, display: Display) -> list[tuple[str, str]]:
    text, peer = display.text, partner.peer
    assert peer is not None
    answer = when(peer.last_ok_ms, display)
    if peer.last_ok_ms and not partner.signed:
        answer += display.aside(text("peers.trust.unsigned"))
    error = f"{when(peer.last_error_ms, display)}  {told(peer, 'last_error', display)}" if peer.last_error_ms else ""
    return [
        (text("peers.last_ok"), answer),
        (text("peers.last_error"), error),
        (text("peers.signing"), text(f"peers.signing_{peer.signing.replace('-', '_')}")),
        (text("peers.options"), display.listed(printable(f"{k}={v}") for k, v in peer.options.items())),
    ]


def _contract_facts(contract: ContractRow, display: Display) -> list[tuple[str, str]]:
    text = display.text
    side = display.catalogue.get(f"contract.side_{contract.side}", printable(contract.side))
    agreed = display.clauses((contract_state(contract, display), side, printable(contract.contract_id)))
    key = grouped(printable(contract.fingerprint))
    ends = [when(at, display) for at in (contract.expires_ms, contract.certificate_ends_ms) if at]
    facts = [(text("peers.contract"), agreed), (text("contract.key"), key)]
    if ends:
        facts.append((text("peers.ends"), min(ends)))
    if contract.previous_fingerprint and (contract.previous_until_ms or 0) > display.now_ms:
        facts.append(
            (text("contract.rotation"), text("peers.overlap", until=when(contract.previous_until_ms, display)))
        )
    return facts
