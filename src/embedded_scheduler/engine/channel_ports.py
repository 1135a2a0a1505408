"""What goes into the component channel and comes out of it, and what it asks of others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from embedded_scheduler.errors import Conflict, NotFound, Unavailable


class SessionOver(Conflict):
    """The session was closed with its job, or released; it never comes back under this id."""


class BufferFull(Unavailable):
    """No room for the message within its time-out; the same push may succeed later."""


class NotNetworked(NotFound):
    """The target is no partner of this node."""


class ChannelPolicy(Protocol):
    """Who may use which session. Answers come from the attempts, jobs and partners this node knows."""

    async def authorise(self, session_id: str, token: str) -> bool:
        """Whether `token` is the token of an attempt that uses this session."""
        ...

    async def session_members(self, session_id: str) -> frozenset[str] | None:
        """Nodes of the session's job, this one included; None = no such session is known (yet)."""
        ...

    def knows_partner(self, node_id: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """What travels with a pushed body to the partner's node. `topic` is empty when the body carries it.

    `source` is this node and is set by `Channel.push`; an empty `nonce` is replaced there by a fresh one.
    """

    session_id: str
    target: str
    source: str = ""
    nonce: str = ""
    topic: str = ""
    content_type: str = ""
    trace_id: str = ""
    provider_code: str = ""
    source_inst: str = ""
    target_inst: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the partner's node answered: a result code of the transport layer and its words, passed on unchanged."""

    code: str
    message: str


class ChannelForwarder(Protocol):
    """Carries one pushed body to a partner's node."""

    async def invoke(self, envelope: Envelope, body: bytes | AsyncIterator[bytes], *, wait: float) -> Verdict:
        """Raises `NotNetworked` (no address), `Unavailable` (not reached, or no readable answer) or `TimedOut`.

        `wait` is how long, in seconds, the partner may wait for room. An exception raised by `body` comes through.
        """
        ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that wants to be stored: from which node, and how long (seconds) it may wait for room.

    `size` is what the transport announces of the body in bytes, 0 when it does not say. A `nonce` that the sender
    used before in this session means the same message again: it is acknowledged and not stored twice.
    """

    session_id: str
    sender: str
    wait: float
    size: int = 0
    nonce: str = ""


class Parcel(Protocol):
    """A message on its way in: iterate once for the payload; topic and metadata are valid after the last chunk."""

    topic: str
    metadata: dict[str, str]

    def __aiter__(self) -> AsyncIterator[bytes]: ...
