"""The top line of every screen: which node, whether it answers, and whether it needs somebody."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from nodeconsole.viewmodels.spans import Line, Span
from nodeconsole.viewmodels.text import count, printable
from nodeconsole.viewmodels.times import clock, clock_seconds, span_text

if TYPE_CHECKING:
    from embedded_scheduler.wire.console import NodeStatus
    from nodeconsole.viewmodels.display import Display


class LinkState(StrEnum):
    CONNECTING = "connecting"
    ONLINE = "online"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Link:
    """The connection to the node. `since_ms` = when it got into this state."""

    state: LinkState = LinkState.CONNECTING
    since_ms: int = 0
    attempt: int = 0
    retry_ms: int = 0
    why: str = ""


def status_line(
    status: NodeStatus | None, link: Link, data_ms: int, display: Display, *, read_only: bool = False, place: str = ""
) -> tuple[Line, Line]:
    """Left and right part. Offline, the left part says for how long, and how old what one sees is. `read_only`: this
    console changes nothing, whatever the role."""
    node = printable(status.node_id) if status else "-"
    node = f"{printable(place)}/{node}" if place else node
    right: Line = (Span(f"{clock(display.now_ms, display.zone)} ", "dim"),)
    if read_only or (status is not None and status.read_only):
        right = (Span(f"{display.text('node.read_only')}  ", "warn"), *right)
    return (Span(f" {node}", "strong"), Span("  "), *_middle(status, link, data_ms, display)), right


def _middle(status: NodeStatus | None, link: Link, data_ms: int, display: Display) -> Line:
    if link.state is LinkState.CONNECTING:
        return (Span(display.text("node.connecting"), "dim"),)
    if link.state is LinkState.OFFLINE:
        return _offline(link, data_ms, display)
    online = Span(f"{display.glyphs.online} {display.text('node.online')}", "ok")
    return (online, *_warned(status), *_counters(status, display)) if status else (online,)


def _warned(status: NodeStatus) -> Line:
    """The sign says it without the colour."""
    return (Span("  "), Span(f"! {len(status.warnings)}", "warn")) if status.warnings else ()


def _offline(link: Link, data_ms: int, display: Display) -> Line:
    text = display.text
    away = span_text(display.now_ms - link.since_ms)
    spans = [Span(f"{display.glyphs.bad} {text('node.offline', age=away)}", "bad")]
    retry = span_text(link.retry_ms - display.now_ms)
    spans.append(Span(f"  {text('node.retry', n=link.attempt, span=retry)}", "warn"))
    if data_ms:
        spans.append(Span(f"  {text('node.data_from', time=clock_seconds(data_ms, display.zone))}", "dim"))
    return tuple(spans)


def _counters(status: NodeStatus, display: Display) -> Line:
    jobs = status.jobs
    text = display.text
    spans: list[Span] = []
    if status.exhibit:
        spans.append(Span(f"  {text('node.exhibit')}", "accent"))
    spans.append(Span(f"  {text('node.running', n=count(jobs.get('RUNNING', 0)))}", "run"))
    if jobs.get("READY"):
        spans.append(Span(f"  {text('node.ready', n=count(jobs['READY']))}"))
    if jobs.get("PENDING"):
        spans.append(Span(f"  {text('node.pending', n=count(jobs['PENDING']))}"))
    waiting = waiting_total(status)
    spans.append(Span(f"  {text('node.waiting', n=count(waiting))}{'!' if waiting else ''}", "wait" if waiting else ""))
    spans.append(Span(f"  {text('node.peers', n=status.peers)}"))
    return tuple(spans)


def waiting_total(status: NodeStatus | None) -> int:
    """How many jobs, contracts and requests wait for a person here."""
    if status is None:
        return 0
    return status.jobs.get("waiting", 0) + status.contracts_waiting + status.grants_waiting


def total_jobs(status: NodeStatus | None) -> int | None:
    """How many jobs the node has altogether."""
    return None if status is None else sum(n for state, n in status.jobs.items() if state != "waiting")
