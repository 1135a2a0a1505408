"""One partner on a page of its own: what to do about it, whose key, what was agreed, what is under way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.contracts import APPLIED, APPROVED, contract_state, message_lines
from nodeconsole.viewmodels.display import job_status
from nodeconsole.viewmodels.facts import bullets, fact_lines, grouped, when
from nodeconsole.viewmodels.jobs import job_name
from nodeconsole.viewmodels.partners import SOON, Partner, connection, fails, key_ends, trust
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import cells, printable, short_id, wrap
from nodeconsole.viewmodels.times import age, span_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import JobRow, TraitRow
    from embedded_scheduler.wire.console_contracts import ContractRow
    from embedded_scheduler.wire.console_grants import MessageRow
    from nodeconsole.viewmodels.display import Display

_TRAIT = 20
_MOST_MESSAGES = 12


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """Everything the page shows. `contracts` are all with this node, the newest first."""

    partner: Partner
    contracts: Sequence[ContractRow] = ()
    messages: Sequence[MessageRow] = ()
    jobs: Sequence[JobRow] = ()


def advice(partner: Partner, display: Display) -> list[tuple[str, Role]]:
    """What a person can do about it now, the most urgent first; never empty."""
    text, peer, contract = display.text, partner.peer, partner.contract
    who = printable(partner.node_id)
    found: list[tuple[str, Role]] = []
    if contract is not None and contract.state == APPLIED:
        key = "advice.their_turn" if contract.compared_by else "advice.compare"
        found.append((text(key, node=who), "wait"))
    if peer is not None and fails(peer):
        found.append((text("advice.unreachable", node=who), "bad"))
    elif peer is not None and not peer.last_ok_ms and partner.signed:
        found.append((text("advice.silent", node=who), "warn"))
    if peer is not None and peer.contract not in (APPLIED, APPROVED):
        found.append((text("advice.unsigned" if peer.signing == "off" else "advice.no_contract", node=who), "warn"))
    if any(message.state == "refused" for message in partner.messages):
        found.append((text("advice.refused", node=who), "bad"))
    ends = key_ends(contract)
    if ends is not None and ends - display.now_ms < SOON and partner.signed:
        found.append((text("advice.ends", span=span_text(ends - display.now_ms)), "warn"))
    return found or [(text("advice.fine"), "ok")]


def partner_lines(known: Acquaintance, display: Display, width: int) -> list[Line]:
    """The page, wrapped to `width` cells."""
    partner = known.partner
    lines: list[Line] = []
    for sentence, role in advice(partner, display):
        mark = display.glyphs.ok if role == "ok" else display.glyphs.arrow
        parts = wrap(sentence, width - cells(mark) - 1)
        lines += [(Span(f"{mark if i == 0 else ' ' * cells(mark)} {part}", role),) for i, part in enumerate(parts)]
    lines += [(), *_state(partner, display, width)]
    if partner.contract is not None:
        lines += [(), _heading("partner.key", display), *_key(partner.contract, display, width)]
    lines += _history(known.contracts, display, width)
    lines += _jobs(known.jobs, display, width)
    if known.messages:
        newest = known.messages[:_MOST_MESSAGES]
        lines += [(), _heading("partner.messages", display), *message_lines(newest, display, width)]
        if len(known.messages) > _MOST_MESSAGES:
            hidden = len(known.messages) - _MOST_MESSAGES
            lines.append((Span(f"  {display.text('partner.more_messages', n=hidden)}", "dim"),))
    if partner.peer is not None and partner.peer.traits:
        lines += [(), _heading("partner.traits", display), *_traits(partner.peer.traits, display, width)]
    return lines


def _heading(key: str, display: Display) -> Line:
    return (Span(display.text(key), "accent"),)


def _state(partner: Partner, display: Display, width: int) -> list[Line]:
    text, peer = display.text, partner.peer
    label = text("partner.state")
    gap = " " * max(1, 14 - cells(label))
    lines: list[Line] = [
        (Span(f"{label}{gap}", "dim"), connection(partner, display), Span("   "), trust(partner, display))
    ]
    if peer is None:
        return lines
    took = f"  {text('partner.took', n=peer.took_ms)}" if peer.took_ms is not None else ""
    answered = f"{when(peer.last_ok_ms, display)}{took}" if peer.last_ok_ms else text("peers.never")
    error = ""
    if peer.last_error:
        error = told(peer, "last_error", display) + display.aside(age(peer.last_error_ms, display.now_ms))
    facts = [
        (text("peers.last_ok"), answered),
        (text("peers.last_error"), error),
        (text("contract.address"), printable(peer.url)),
        (text("partner.approval"), text(f"partner.approval_{peer.approval}")),
        (text("peers.signing"), text(f"peers.signing_{peer.signing.replace('-', '_')}")),
        (text("partner.tls"), _tls(peer.tls, display)),
        (text("partner.since"), when(peer.registered_ms, display) if peer.registered_ms else ""),
    ]
    return [*lines, *fact_lines(facts, width)]


def _tls(tls: str, display: Display) -> str:
    known = display.catalogue.get(f"partner.tls_{tls}", "")
    return known or display.text("partner.tls_pin", key=printable(tls[:16]))


def _key(contract: ContractRow, display: Display, width: int) -> list[Line]:
    text = display.text
    ends = key_ends(contract)
    facts = [
        (text("contract.key"), grouped(printable(contract.fingerprint))),
        (text("partner.words"), printable(contract.words)),
        (text("peers.ends"), when(ends, display) if ends else ""),
        (text("contract.compared"), printable(contract.compared_by.removeprefix("operator:"))),
    ]
    return fact_lines(facts, width)


def _history(contracts: Sequence[ContractRow], display: Display, width: int) -> list[Line]:
    if not contracts:
        return []
    lines: list[Line] = [(), _heading("partner.history", display)]
    for row in contracts:
        side = display.catalogue.get(f"contract.side_{row.side}", printable(row.side))
        parts = [when(row.since_ms, display), contract_state(row, display), side, printable(row.contract_id)]
        parts += [printable(row.decided_by.removeprefix("operator:")), told(row, "reason", display)]
        role: Role = "" if row.state == APPROVED else "wait" if row.state == APPLIED else "dim"
        lines += bullets(["  ".join(filter(None, parts))], width, role)
    return lines


def _jobs(jobs: Sequence[JobRow], display: Display, width: int) -> list[Line]:
    if not jobs:
        return []

    lines: list[Line] = [(), _heading("partner.jobs", display)]
    for job in jobs:
        badge = display.badge(job_status(job))
        name = wrap(job_name(job), max(8, width - 34))[0]
        lines.append((Span(f"  - {short_id(job.job_id)}  ", "dim"), badge, Span(f"  {name}")))
    return lines


def _traits(traits: Sequence[TraitRow], display: Display, width: int) -> list[Line]:
    """Each with where its value comes from: the profile, or a setting for this partner."""
    lines: list[Line] = []
    for trait in traits:
        value = trait.value if isinstance(trait.value, str) else json.dumps(trait.value)
        origin = display.text("partner.origin_own" if trait.own else "partner.origin_profile")
        name = printable(trait.name)
        shown = wrap(printable(value) or "-", max(10, width - _TRAIT - 16))[0]
        blank = " " * max(1, _TRAIT - cells(name))
        fill = " " * max(1, width - _TRAIT - 2 - cells(shown) - cells(origin) - 1)
        lines.append(
            (Span(f"  {name}{blank}", "dim"), Span(shown), Span(f"{fill}{origin}", "warn" if trait.own else "dim"))
        )
    return lines
