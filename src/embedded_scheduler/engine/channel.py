"""The component channel: bytes between the components of one job, on this node and across nodes.

Guarantees. A message is stored as a file before it is acknowledged, so a killed node loses none. Order is first in,
first out per (session, sender node, topic). Delivery to components is at least once: a message is removed only after
its reader has it whole. Between nodes a message with the same nonce is stored once. The sender's node keeps nothing:
it streams a push to the partner's node and passes that node's answer on.

Sessions. A session belongs to a job, whose parties alone may write to it. A partner's component may start, and push,
before this node has begun its own part; such messages of a known partner are held in an *early* session, up to
`EARLY_SESSION_BYTES` each and `EARLY_TOTAL_BYTES` together, in at most `EARLY_SESSIONS`, for `EARLY_SECONDS`. The
session becomes an ordinary one as soon as its job is known; what a stranger to the job had sent is dropped then.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from embedded_scheduler.clock import Clock, Mint
from embedded_scheduler.config import MIB, Limits
from embedded_scheduler.domain.identifiers import check_id, shorten
from embedded_scheduler.engine.channel_ports import (
    Arrival,
    BufferFull,
    ChannelForwarder,
    ChannelPolicy,
    Envelope,
    Parcel,
    SessionOver,
    Verdict,
)
from embedded_scheduler.engine.channel_reading import PIECE, Glance, Lease
from embedded_scheduler.engine.channel_session import Room, Session, resolve
from embedded_scheduler.engine.spool import (
    CLOSED,
    RELEASED,
    REOPENED,
    Draft,
    Spool,
    SpooledSession,
    nonce_key,
)
from embedded_scheduler.engine.traffic import Meter
from embedded_scheduler.errors import Forbidden, InvalidRequest, TooLarge, Unavailable

logger = logging.getLogger(__name__)

EARLY_SESSION_BYTES = 64 * MIB
EARLY_TOTAL_BYTES = 256 * MIB
EARLY_PARTNER_BYTES = EARLY_TOTAL_BYTES // 2
"""Of those, what the messages of one partner may take up; the number of sessions is `limits.partner_early_sessions`."""
EARLY_SECONDS = 600.0
EARLY_SESSIONS = 1024
TOKEN_SECONDS = 30.0
"""How long an accepted token is trusted without asking the policy again."""
_FIRST_RETRY, _LONGEST_RETRY = 0.1, 1.0


class _Foreign(Exception):
    """A partner's message for a session of others."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went through a session since the node started: bytes in and out, and when each node's last message came."""

    moved: int = 0
    heard_ms: Mapping[str, int] = field(default_factory=dict)


class Channel:
    """Push, store, pop, peek and release, for one event loop. `open` first."""

    def __init__(
        self,
        *,
        root: Path,
        limits: Limits,
        clock: Clock,
        mint: Mint,
        node_id: str,
        policy: ChannelPolicy,
        forwarder: ChannelForwarder,
        inst_id: str = "",
    ) -> None:
        self.node_id = node_id
        self.limits = limits
        self._inst_id = inst_id
        self._spool = Spool(root)
        self._clock = clock
        self._mint = mint
        self._policy = policy
        self._forwarder = forwarder
        self._sessions: dict[str, Session] = {}
        self._closing = False
        self.meter = Meter(clock)

    def open(self) -> None:
        """Find what is unread. Call once before serving; blocks on the disk."""
        for files in self._spool.load():
            owner = next((sender for sender, _ in files.queues), "")
            self._sessions[files.session_id] = Session(files, first_ms=self._clock.now_ms(), owner=owner)

    def shut_down(self) -> None:
        """Let every waiting call return: pops as if timed out, pushes with `BufferFull`."""
        self._closing = True
        for session in self._sessions.values():
            session.wake_all()

    # --- sessions -----------------------------------------------------------------------------------------------------

    async def open_session(self, session_id: str) -> None:
        """An attempt that uses this session is about to start: what is held early becomes readable, and a release by
        an earlier task of the same job is lifted. A closed session stays closed."""
        check_id("session id", session_id)
        if self._spool.mark(session_id) == RELEASED:
            self._spool.set_mark(session_id, REOPENED, self._clock.now_ms())
        session = self._sessions.get(session_id)
        if session is not None:
            await self._confirm(session)

    async def close_session(self, session_id: str) -> None:
        """The session's job is over: drop what is unread and answer `SessionOver` from now on, also after a restart."""
        check_id("session id", session_id)
        if self._spool.mark(session_id) != CLOSED:
            await self._end(session_id, CLOSED)

    async def _end(self, session_id: str, mark: str) -> None:
        self._spool.set_mark(session_id, mark, self._clock.now_ms())
        await self._drop(session_id)

    async def _drop(self, session_id: str) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            session.over = True
            session.wake_all()
            detached = self._spool.detach(session_id)
            if detached is not None:
                await asyncio.to_thread(self._spool.erase, detached)

    async def release(self, session_id: str, topic: str) -> None:
        """Drop what is unread under one topic, or (topic empty) the whole session, which then answers `SessionOver`."""
        session = self._live(session_id)
        if not topic:
            await self._end(session_id, RELEASED)
            return
        for queue in list(session.files.candidates(topic, None)):
            session.files.drop_queue(queue)
        resolve(session.room)

    def traffic(self, session_id: str) -> Traffic:
        session = self._sessions.get(session_id)
        return Traffic() if session is None else Traffic(session.moved, dict(session.heard))

    async def sweep(self) -> None:
        """Drop early sessions whose job did not become known in time. For a slow periodic service."""
        oldest = self._clock.now_ms() - int(EARLY_SECONDS * 1000)
        for session_id, session in list(self._sessions.items()):
            if not session.early or session.first_ms > oldest:
                continue
            if not await self._confirm(session) and not session.reserved:
                if session.files.unread:
                    logger.warning("channel session %s: no job came for what was sent early; dropped", session_id)
                await self._drop(session_id)

    def forget_closed(self, before_ms: int) -> None:
        """Retention: forget which sessions ended before that time (Unix epoch milliseconds)."""
        self._spool.forget_marks(before_ms)

    def _live(self, session_id: str) -> Session:
        check_id("session id", session_id)
        self._check_not_over(session_id)
        session = self._sessions.get(session_id)
        if session is None:
            session = Session(SpooledSession(self._spool.root, session_id), first_ms=self._clock.now_ms())
            self._sessions[session_id] = session
        return session

    def _check_not_over(self, session_id: str) -> None:
        mark = self._spool.mark(session_id)
        if mark is not None:
            raise SessionOver(f"session {session_id} is {mark}: its messages are gone")

    async def _confirm(self, session: Session) -> bool:
        """Whether the session's job is known; asks unless it was, and then drops what strangers to it had sent."""
        if session.members is not None:
            return True
        members = await self._policy.session_members(session.files.session_id)
        if members is None:
            return False
        session.members = members
        for (sender, _), queue in list(session.files.queues.items()):
            if sender not in members:
                logger.warning("channel session %s: %s is not a party; dropped", session.files.session_id, sender)
                session.files.drop_queue(queue)
        resolve(session.room)
        return True

    # --- admission ----------------------------------------------------------------------------------------------------

    async def admit_component(self, session_id: str, token: str) -> None:
        """Let an own component in by its attempt's token, or raise `SessionOver` or `Forbidden`."""
        check_id("session id", session_id)
        self._check_not_over(session_id)
        digest = hashlib.sha256(token.encode()).digest()
        now = self._clock.monotonic()
        known = self._sessions.get(session_id)
        if known is None or known.tokens.get(digest, now) <= now:
            if not token or not await self._policy.authorise(session_id, token):
                raise Forbidden("x-ptp-token is not the token of a task that uses this session")
            known = self._live(session_id)
            known.tokens[digest] = now + TOKEN_SECONDS
        await self._confirm(known)

    async def _admit_sender(self, session: Session, sender: str) -> None:
        await self._confirm(session)
        if session.members is not None and sender in session.members:
            return
        if sender != self.node_id and not self._policy.knows_partner(sender):
            raise Forbidden(f"{shorten(sender)} is not a partner of this node")
        if session.members is not None:
            raise _Foreign
        if not session.files.messages:
            self._check_early_sessions(sender)
            session.owner = session.owner or sender

    def _check_early_sessions(self, sender: str) -> None:
        early = [session for session in self._sessions.values() if session.early]
        own = sum(1 for session in early if session.owner == sender)
        if len(early) > EARLY_SESSIONS or own >= self.limits.partner_early_sessions:
            raise BufferFull(f"{self.node_id} holds messages for {own} jobs of {sender} that it does not know yet")

    def _discard_if_idle(self, session: Session) -> None:
        """Forget an early session in which nothing is kept: whoever calls may name any number of them."""
        idle = not (session.held or session.files.messages or session.readers or session.writers)
        if session.early and idle and self._sessions.get(session.files.session_id) is session:
            del self._sessions[session.files.session_id]

    # --- writing ------------------------------------------------------------------------------------------------------

    async def push(self, envelope: Envelope, body: bytes | AsyncIterator[bytes], *, wait: float) -> Verdict:
        """Carry a component's push to another node. Tries again while nothing of a streamed body was used (a small
        body: always) until `wait` seconds have passed, then raises the last `Unavailable` or `TimedOut`."""
        check_id("x-ptp-target-node-id", envelope.target)
        session = self._live(envelope.session_id)
        await self._confirm(session)
        envelope = replace(
            envelope,
            source=self.node_id,
            source_inst=self._inst_id or envelope.source_inst,
            nonce=envelope.nonce or self._mint.nonce(),
        )
        if session.members is not None and envelope.target not in session.members:
            raise Forbidden(f"{shorten(envelope.target)} is not a party of the job of session {envelope.session_id}")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        pause = _FIRST_RETRY
        outgoing = body if isinstance(body, bytes) else _Once(session, body)
        if isinstance(outgoing, bytes):
            session.moved += len(outgoing)
        while True:
            remaining = max(1.0, deadline - loop.time())
            try:
                return await self._forwarder.invoke(envelope, _as_body(outgoing), wait=remaining)
            except Unavailable:
                used = isinstance(outgoing, _Once) and outgoing.started
                if used or self._closing or session.over or loop.time() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(_LONGEST_RETRY, pause * 2)

    async def store(self, arrival: Arrival, parcel: Parcel) -> None:
        """Keep a message for this node's components; it is on disk when this returns.

        What a partner sends to a session of others is taken and thrown away: as the messages for a job that never
        comes are, so that it cannot tell the one from the other.

        Raises `BufferFull` after `arrival.wait` seconds without room, `TooLarge`, `InvalidRequest` (empty),
        `Forbidden`, `SessionOver`, and whatever iterating the parcel raises.
        """
        try:
            session = self._live(arrival.session_id)
        except SessionOver:
            members = await self._policy.session_members(arrival.session_id)
            if members is None or arrival.sender in members or arrival.sender == self.node_id:
                raise
            if not self._policy.knows_partner(arrival.sender):
                raise Forbidden(f"{shorten(arrival.sender)} is not a partner of this node") from None
            await self._throw_away(parcel)
            return
        session.writers += 1
        try:
            await self._store(session, arrival, parcel)
        except _Foreign:
            await self._throw_away(parcel)
        finally:
            session.writers -= 1
            self._discard_if_idle(session)

    async def _throw_away(self, parcel: Parcel) -> None:
        size = 0
        async for chunk in parcel:
            size += len(chunk)
            if size > self._message_limit:
                raise TooLarge(f"a message has at most {self._message_limit} bytes (limits.channel_message_bytes)")
            if size > EARLY_SESSION_BYTES:
                raise BufferFull(f"{self.node_id} has no room for a message of this size: its job is not known yet")
        if size == 0:
            raise InvalidRequest("the message is empty")

    async def _store(self, session: Session, arrival: Arrival, parcel: Parcel) -> None:
        await self._admit_sender(session, arrival.sender)
        key = nonce_key(arrival.sender, arrival.nonce)
        if session.files.knows(key):
            return
        room = Room(self, session, asyncio.get_running_loop().time() + arrival.wait)
        draft = session.files.draft()
        try:
            # Before the first byte is read: a sender without room is held in its own socket.
            await room.ask(min(arrival.size, self._message_limit))
            await self._receive(session, parcel, draft, room)
            await self._commit(session, draft, arrival.sender, parcel, key)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise BufferFull("the disk of this node is full: free some space") from None
            raise
        finally:
            draft.discard()
            room.give_back()
        session.wake_readers(parcel.topic)

    async def _receive(self, session: Session, parcel: Parcel, draft: Draft, room: Room) -> None:
        async for chunk in parcel:
            if draft.size + len(chunk) > self._message_limit:
                raise TooLarge(f"a message has at most {self._message_limit} bytes (limits.channel_message_bytes)")
            await room.ask(draft.size + len(chunk))
            draft.add(chunk)
            session.moved += len(chunk)
            if draft.pending >= PIECE:
                await asyncio.to_thread(draft.flush)
        if draft.size == 0:
            raise InvalidRequest("the message is empty")

    async def _commit(self, session: Session, draft: Draft, sender: str, parcel: Parcel, key: str) -> None:
        if draft.on_disk:
            await asyncio.to_thread(draft.flush)
        # From here on nothing is awaited: the message is stored and indexed, or neither.
        if session.over:
            raise SessionOver(f"session {session.files.session_id} ended while the message arrived")
        if not session.files.knows(key):
            session.files.commit(draft, sender, parcel.topic, key, parcel.metadata)
            session.heard[sender] = self._clock.now_ms()

    @property
    def _message_limit(self) -> int:
        return min(self.limits.channel_message_bytes, self.limits.channel_session_bytes)

    def room_for(self, session: Session, more: int) -> bool:
        """Whether `more` bytes may be held for the session now."""
        if not session.early:
            return session.held + more <= self.limits.channel_session_bytes
        early = [other for other in self._sessions.values() if other.early]
        own = sum(other.burden for other in early if other.owner == session.owner)
        together = sum(other.burden for other in early)
        return (
            session.burden + more <= EARLY_SESSION_BYTES
            and own + more <= EARLY_PARTNER_BYTES
            and together + more <= EARLY_TOTAL_BYTES
        )

    @property
    def closing(self) -> bool:
        return self._closing

    # --- reading ------------------------------------------------------------------------------------------------------

    async def pop(
        self, session_id: str, topic: str, sender: str | None, *, wait: float, until: asyncio.Future[Any] | None = None
    ) -> Lease | None:
        """The oldest unread message, once there is one; None after `wait` seconds, or as soon as `until` is done.

        `sender` None = of any sender. The message is hidden from other readers until its lease is settled.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            session = self._live(session_id)
            lease = self._lease(session, topic, sender)
            remaining = deadline - loop.time()
            if lease is not None or remaining <= 0 or self._closing:
                return lease
            await self._until_arrival(session, topic, remaining, until)
            if until is not None and until.done():
                return None

    async def _until_arrival(
        self, session: Session, topic: str, seconds: float, until: asyncio.Future[Any] | None
    ) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        session.readers.setdefault(topic, set()).add(waiter)
        futures: set[asyncio.Future[Any]] = {waiter} if until is None else {waiter, until}
        try:
            await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting = session.readers[topic]
            waiting.discard(waiter)
            if not waiting:
                del session.readers[topic]

    def _lease(self, session: Session, topic: str, sender: str | None) -> Lease | None:
        for queue in session.files.candidates(topic, sender):
            while queue.entries:
                entry = queue.entries.popleft()
                reading = session.files.open(entry)
                if reading is not None:
                    return Lease(session, queue, entry, reading)
                session.files.remove(entry)
        return None

    def peek(self, session_id: str, topic: str, sender: str | None) -> Glance | None:
        """The oldest unread message without removing it; None when there is none now."""
        session = self._live(session_id)
        for queue in session.files.candidates(topic, sender):
            reading = session.files.open(queue.entries[0])
            if reading is not None:
                return Glance(reading)
        return None


class _Once:
    """A stream that can be used once, and whether its use has begun."""

    def __init__(self, session: Session, chunks: AsyncIterator[bytes]) -> None:
        self._session = session
        self._chunks = chunks
        self.started = False

    async def stream(self) -> AsyncIterator[bytes]:
        self.started = True
        async for chunk in self._chunks:
            self._session.moved += len(chunk)
            yield chunk


def _as_body(outgoing: bytes | _Once) -> bytes | AsyncIterator[bytes]:
    return outgoing if isinstance(outgoing, bytes) else outgoing.stream()
