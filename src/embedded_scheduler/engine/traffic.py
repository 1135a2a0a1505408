"""What the components of this node did on the channel: how long they waited there, and what went to and fro.

Counted in memory per attempt, by the hash of its token; the attempt's row keeps it when it ends. What a component did
before the node was started anew is lost, and a record that began after its attempt says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from embedded_scheduler.clock import Clock

MOST_TOPICS = 32
"""Per attempt: components may make a topic per message; what is beyond counts under `OTHERS`."""
OTHERS = "..."
MOST_ATTEMPTS = 4096
"""At a time; beyond it the oldest record goes."""


@dataclass(slots=True)
class Link:
    """Messages and bytes under one topic, exchanged with one node (this one: between its own tasks)."""

    received: int = 0
    received_bytes: int = 0
    sent: int = 0
    sent_bytes: int = 0


@dataclass(slots=True)
class _Span:
    """The time in which at least one call of a kind was open: calls at the same time count once."""

    total: float = 0.0
    open: int = 0
    since: float = 0.0

    def enter(self, now: float) -> None:
        if not self.open:
            self.since = now
        self.open += 1

    def leave(self, now: float) -> None:
        self.open -= 1
        if not self.open:
            self.total += now - self.since

    def at(self, now: float) -> float:
        return self.total + (now - self.since if self.open else 0.0)


@dataclass(slots=True)
class _Record:
    waiting: _Span = field(default_factory=_Span)
    sending: _Span = field(default_factory=_Span)
    links: dict[tuple[str, str], Link] = field(default_factory=dict)

    def link(self, node_id: str, topic: str) -> Link:
        if (node_id, topic) not in self.links and len(self.links) >= MOST_TOPICS:
            topic = OTHERS
        return self.links.setdefault((node_id, topic), Link())


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of one attempt. `waiting_ms`: a read was waiting for a message; `sending_ms`: a message was on its way to a
    partner's node. `partial` = the node was started anew meanwhile, so a part is missing."""

    waiting_ms: int
    sending_ms: int
    links: Mapping[tuple[str, str], Link]
    partial: bool = False


class Meter:
    """Used on the event loop. `key` is the hash of an attempt's token as the attempt's row has it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_ms = clock.now_ms()
        self._records: dict[str, _Record] = {}

    @contextmanager
    def waiting(self, key: str) -> Iterator[None]:
        """A component waits for a message."""
        yield from self._during(self._record(key).waiting)

    @contextmanager
    def sending(self, key: str) -> Iterator[None]:
        """A component's message is carried to a partner."""
        yield from self._during(self._record(key).sending)

    def _during(self, span: _Span) -> Iterator[None]:
        span.enter(self._clock.monotonic())
        try:
            yield
        finally:
            span.leave(self._clock.monotonic())

    def received(self, key: str, node_id: str, topic: str, size: int) -> None:
        link = self._record(key).link(node_id, topic)
        link.received += 1
        link.received_bytes += size

    def sent(self, key: str, node_id: str, topic: str, size: int) -> None:
        link = self._record(key).link(node_id, topic)
        link.sent += 1
        link.sent_bytes += size

    def read(self, key: str, launched_ms: int | None) -> Traffic | None:
        """What the attempt has done so far; None when it never used the channel since the node started."""
        record = self._records.get(key)
        if record is None:
            return None
        now = self._clock.monotonic()
        return Traffic(
            waiting_ms=round(record.waiting.at(now) * 1000),
            sending_ms=round(record.sending.at(now) * 1000),
            links=dict(record.links),
            partial=launched_ms is not None and launched_ms < self._since_ms,
        )

    def forget(self, key: str) -> None:
        """The attempt is over."""
        self._records.pop(key, None)

    def _record(self, key: str) -> _Record:
        record = self._records.get(key)
        if record is None:
            # Where the loopback is trusted, a caller may show any token.
            if len(self._records) >= MOST_ATTEMPTS:
                del self._records[next(iter(self._records))]
            record = self._records[key] = _Record()
        return record


def to_text(traffic: Traffic) -> str:
    """As the attempt's row keeps it."""
    document: dict[str, Any] = {
        "waiting_ms": traffic.waiting_ms,
        "sending_ms": traffic.sending_ms,
        "partial": traffic.partial,
        "links": [
            [node_id, topic, link.received, link.received_bytes, link.sent, link.sent_bytes]
            for (node_id, topic), link in traffic.links.items()
        ],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def of_text(text: str) -> Traffic | None:
    """None for the empty text: nothing was measured."""
    if not text:
        return None
    document = json.loads(text)
    return Traffic(
        waiting_ms=document["waiting_ms"],
        sending_ms=document["sending_ms"],
        partial=document["partial"],
        links={(node_id, topic): Link(*counts) for node_id, topic, *counts in document["links"]},
    )
