"""A contract with a partner: whose key, since when and until when, and what is still to be done for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.facts import bullets, fact_lines, grouped, votes_text, when
from nodeconsole.viewmodels.sentences import told
from nodeconsole.viewmodels.spans import Line, Role, Span
from nodeconsole.viewmodels.text import printable, wrap
from nodeconsole.viewmodels.times import span_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console_contracts import ContractRow
    from embedded_scheduler.wire.console_grants import MessageRow
    from nodeconsole.viewmodels.display import Display

APPLIED, APPROVED = "APPLIED", "APPROVED"
_OVER = frozenset({"stored", "opened", "decided", "withdrawn"})
_SIGNS: dict[str, tuple[str, Role]] = {
    APPLIED: ("waiting", "wait"),
    APPROVED: ("ok", "ok"),
    "REJECTED": ("rejected", "warn"),
    "TERMINATED": ("stopped", "warn"),
}


def contract_badge(contract: ContractRow, display: Display) -> Span:
    """Sign and word of its state."""
    sign, role = _SIGNS.get(contract.state, ("unknown", ""))
    return Span(f"{getattr(display.glyphs, sign)} {contract_state(contract, display)}", role)


def contract_state(contract: ContractRow, display: Display) -> str:
    return display.catalogue.get(f"contract.state.{contract.state.lower()}", contract.state)


def contract_next(contract: ContractRow, display: Display) -> str:
    """What is waited for; empty = nothing."""
    if contract.state != APPLIED:
        return ""
    who = printable(contract.node_id)
    return display.text("contract.next_partner" if contract.compared_by else "contract.next_compare", node=who)


def contract_lines(contract: ContractRow, messages: Sequence[MessageRow], display: Display, width: int) -> list[Line]:
    """The card of a contract. The words stand first while they are to be compared."""
    lines: list[Line] = []
    if contract.state == APPLIED:
        lines += _comparison(contract, display, width)
    lines += fact_lines(contract_facts(contract, display), width)
    sent = message_lines(messages, display, width)
    if sent:
        lines += [(), (Span(display.text("contract.messages"), "accent"),), *sent]
    return lines


def _comparison(contract: ContractRow, display: Display, width: int) -> list[Line]:
    text = display.text
    lines: list[Line] = [(Span(text("contract.words"), "accent"),)]
    if contract.words:
        lines += [(Span(f"  {part}", "strong"),) for part in wrap(printable(contract.words), width - 2)]
    else:
        lines.append((Span(f"  {text('contract.no_words')}", "warn"),))
    who = printable(contract.institution or contract.address or contract.node_id)
    how = text("contract.how", node=printable(contract.node_id), who=who)
    lines += [(Span(f"  {part}", "wait"),) for part in wrap(how, width - 2)]
    return [*lines, ()]


def contract_facts(contract: ContractRow, display: Display) -> list[tuple[str, str]]:
    """Labels and values; empty values are left out by `fact_lines`."""
    text = display.text
    by = printable(contract.compared_by.removeprefix("operator:"))
    return [
        (text("contract.partner"), printable(contract.node_id)),
        (text("contract.institution"), printable(contract.institution or contract.inst_id)),
        (text("contract.address"), printable(contract.address)),
        (text("contract.state_label"), _state_fact(contract, display)),
        (text("contract.side"), display.catalogue.get(f"contract.side_{contract.side}", contract.side)),
        (text("contract.id"), printable(contract.contract_id)),
        (text("contract.key"), grouped(printable(contract.fingerprint))),
        (text("contract.rotation"), _rotation(contract, display)),
        (text("contract.ends"), _ends(contract, display)),
        (text("card.approvals"), votes_text(contract.approvals, contract.approvers_needed, display)),
        (text("contract.compared"), by),
        (text("contract.reason"), told(contract, "reason", display)),
        (text("contract.undelivered"), printable(contract.undelivered)),
    ]


def _state_fact(contract: ContractRow, display: Display) -> str:
    return display.clauses((contract_state(contract, display), when(contract.since_ms, display)))


def _rotation(contract: ContractRow, display: Display) -> str:
    """While two keys count."""
    until = contract.previous_until_ms
    if not contract.previous_fingerprint or until is None or until <= display.now_ms:
        return ""
    return display.text(
        "contract.overlap", key=grouped(printable(contract.previous_fingerprint[:16])), until=when(until, display)
    )


def _ends(contract: ContractRow, display: Display) -> str:
    parts = []
    if contract.expires_ms:
        parts.append(display.text("contract.ends_at", at=when(contract.expires_ms, display)))
    if contract.certificate_ends_ms:
        parts.append(display.text("contract.certificate_ends", at=when(contract.certificate_ends_ms, display)))
    return display.text("sentence.then").join(parts)


def is_undelivered(message: MessageRow) -> bool:
    """The partner has not said that it has it."""
    return message.state not in _OVER


def message_lines(messages: Sequence[MessageRow], display: Display, width: int) -> list[Line]:
    """Of each: what, how far it has come, the last error and when it is tried again."""
    lines: list[Line] = []
    for message in messages:
        role: Role = "warn" if is_undelivered(message) else "dim"
        lines += bullets([message_text(message, display)], width, role)
    return lines


def message_text(message: MessageRow, display: Display) -> str:
    state = display.catalogue.get(f"receipt.{message.state}", message.state)
    parts = [display.labelled(printable(message.operation), printable(state))]
    if is_undelivered(message):
        if message.attempts:
            parts.append(display.text("receipt.attempts", n=message.attempts))
        if message.last_error:
            parts.append(told(message, "last_error", display))
        if message.next_ms:
            parts.append(display.text("receipt.next", span=span_text(message.next_ms - display.now_ms)))
    return display.clauses(parts)
