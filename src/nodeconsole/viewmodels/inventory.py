"""The lists of partners, components and datasets, with the facts of one entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeconsole.viewmodels.spans import Column, Line, Span
from nodeconsole.viewmodels.text import cells, count, printable, size, wrap
from nodeconsole.viewmodels.times import age, moment

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import ComponentRow, DatasetRow, PeerRow
    from nodeconsole.viewmodels.display import Display

_LABEL = 14


def peer_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("node", text("peers.column.node"), 16, flex=2),
        Column("state", text("peers.column.state"), 12),
        Column("trust", text("peers.column.trust"), 12),
        Column("url", text("peers.column.url"), 20, flex=3, drop=2),
        Column("profile", text("peers.column.profile"), 12, drop=3),
        Column("approval", text("peers.column.approval"), 8, drop=4),
        Column("queue", text("peers.column.queue"), 6, right=True, drop=1),
    )


def peer_cells(peer: PeerRow, display: Display) -> Line:
    return (
        Span(printable(peer.node_id), "strong"),
        _peer_state(peer, display),
        peer_trust(peer, display),
        Span(printable(peer.url), "dim"),
        Span(printable(peer.profile)),
        Span(printable(peer.approval)),
        Span(count(peer.undelivered) if peer.undelivered else "", "warn"),
    )


def peer_fails(peer: PeerRow) -> bool:
    """The last thing heard of it is an error."""
    return (peer.last_error_ms or 0) > (peer.last_ok_ms or 0)


def _peer_state(peer: PeerRow, display: Display) -> Span:
    if peer_fails(peer):
        return Span(f"{display.glyphs.bad} {age(peer.last_error_ms, display.now_ms)}", "bad")
    if peer.last_ok_ms:
        return Span(f"{display.glyphs.ok} {age(peer.last_ok_ms, display.now_ms)}", "ok")
    return Span(f"{display.glyphs.unknown} {display.text('peers.never')}", "dim")


def peer_trust(peer: PeerRow, display: Display) -> Span:
    """Whether what it says can be believed, and what is missing for that."""
    text, glyphs = display.text, display.glyphs
    if peer.contract == "APPROVED":
        if peer.signing == "required":
            return Span(f"{glyphs.ok} {text('peers.trust.signed')}", "ok")
        return Span(f"{glyphs.unknown} {text('peers.trust.optional')}", "warn")
    if peer.signing == "off":
        return Span(f"! {text('peers.trust.unsigned')}", "warn")
    word = {"APPLIED": "applied", "REJECTED": "ended", "TERMINATED": "ended"}.get(peer.contract, "missing")
    return Span(f"{glyphs.bad} {text(f'peers.trust.{word}')}", "warn" if word == "applied" else "bad")


def peer_facts(peer: PeerRow, display: Display, width: int) -> list[Line]:
    text = display.text
    facts = [
        (text("peers.last_ok"), _when(peer.last_ok_ms, display)),
        (text("peers.last_error"), f"{_when(peer.last_error_ms, display)}  {printable(peer.last_error)}".strip()),
        (text("peers.undelivered"), count(peer.undelivered)),
        (text("peers.signing"), text(f"peers.signing_{peer.signing.replace('-', '_')}")),
        (text("peers.options"), ", ".join(printable(f"{k}={v}") for k, v in peer.options.items()) or "-"),
    ]
    return _facts(facts, width)


def component_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("name", text("components.column.name"), 18, flex=2),
        Column("version", text("components.column.version"), 8),
        Column("provider", text("components.column.provider"), 12, flex=1, drop=3),
        Column("roles", text("components.column.roles"), 12, flex=1, drop=4),
        Column("state", text("components.column.state"), 12),
        Column("image", text("components.column.image"), 16, flex=2, drop=2),
    )


def component_cells(component: ComponentRow, display: Display) -> Line:
    text = display.text
    glyphs = display.glyphs
    state = Span(f"{glyphs.ok} {text('components.runs')}", "ok")
    if not component.runnable:
        state = Span(f"{glyphs.bad} {text('components.cannot')}", "bad")
    return (
        Span(printable(component.name), "strong"),
        Span(printable(component.version)),
        Span(printable(component.provider)),
        Span(printable(" ".join(component.roles))),
        state,
        Span(printable(component.image_url), "dim"),
    )


def component_facts(component: ComponentRow, display: Display, width: int) -> list[Line]:
    text = display.text
    facts = [
        (text("components.title"), printable(component.title or component.code)),
        (text("components.description"), printable(component.description) or "-"),
        (text("components.why_not"), printable(component.why_not) or "-"),
        (text("components.warnings"), "; ".join(map(printable, component.warnings)) or "-"),
        (text("components.registered"), _when(component.registered_ms, display)),
    ]
    return _facts(facts, width)


def dataset_columns(display: Display) -> tuple[Column, ...]:
    text = display.text
    return (
        Column("name", text("datasets.column.name"), 20, flex=2),
        Column("namespace", text("datasets.column.namespace"), 12, drop=4),
        Column("connector", text("datasets.column.connector"), 10, drop=2),
        Column("rows", text("datasets.column.rows"), 11, right=True),
        Column("columns", text("datasets.column.columns"), 8, right=True, drop=3),
        Column("size", text("datasets.column.size"), 10, right=True, drop=1),
    )


def dataset_cells(dataset: DatasetRow, display: Display) -> Line:  # noqa: ARG001 - one signature for all lists
    return (
        Span(printable(dataset.name), "strong"),
        Span(printable(dataset.namespace)),
        Span(printable(dataset.connector)),
        Span(count(dataset.rows)),
        Span(count(len(dataset.columns))),
        Span(size(dataset.size_bytes), "dim"),
    )


def dataset_facts(dataset: DatasetRow, display: Display, width: int) -> list[Line]:
    text = display.text
    columns = ", ".join(printable(f"{column.name} {column.type}") for column in dataset.columns)
    facts = [
        (text("datasets.id"), printable(dataset.dataset_id)),
        (text("datasets.description"), printable(dataset.description) or "-"),
        (text("datasets.columns"), columns or "-"),
        (text("datasets.fingerprint"), printable(dataset.fingerprint)),
        (text("datasets.registered"), _when(dataset.registered_ms, display)),
    ]
    return _facts(facts, width)


def _when(at_ms: int | None, display: Display) -> str:
    return moment(at_ms, display.zone) if at_ms else "-"


def _facts(facts: list[tuple[str, str]], width: int) -> list[Line]:
    lines: list[Line] = []
    for label, value in facts:
        for number, part in enumerate(wrap(value, width - _LABEL)):
            shown = label if number == 0 else ""
            lines.append((Span(shown + " " * (_LABEL - cells(shown)), "dim"), Span(part)))
    return lines
