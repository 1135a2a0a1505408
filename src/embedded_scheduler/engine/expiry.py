"""Requests that nobody answers end: a pending decision of this node is rejected when it is older than the setting says.

A clock that jumps must not do that at once. So time counts as passed for a request only as far as this program saw it
pass: what the clock jumped between two looks, measured by the monotonic clock, is taken off the age of every request
that was there before. And nothing is rejected until the clock has been steady for `STEADY_SECONDS` since the start or
since the last jump, so an operator or the time service can put it right. A machine that sleeps looks like a jump too:
the time it slept does not count. Not seen is a jump while the node is down: it looks like the time it was down.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from embedded_scheduler.clock import HOUR_MS
from embedded_scheduler.engine import grants, jobs
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import NodeError
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import ledger, policies
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.policies import Waiting

_LOG = logging.getLogger(__name__)

EVERY = 60.0
STEADY_SECONDS = 900.0
TOLERANCE_MS = 60_000
"""Up to this, between two looks, the clock was corrected or the machine was busy; beyond it, it jumped."""


@dataclass(frozen=True, slots=True)
class _Look:
    """`seq` is the newest event of the ledger."""

    monotonic: float
    wall_ms: int
    seq: int


@dataclass(frozen=True, slots=True)
class _Jump:
    """The clock jumped by `by_ms`, forward or (below 0) back, somewhere between two looks."""

    before: _Look
    after: _Look
    by_ms: int

    def followed(self, request: Waiting) -> bool:
        """Whether the request was there before the clock jumped. Of one that came between the looks, or whose event is
        not known, its own time tells."""
        if request.seq and not self.before.seq < request.seq <= self.after.seq:
            return request.seq <= self.before.seq
        return abs(request.since_ms - self.before.wall_ms) < abs(request.since_ms - self.after.wall_ms)


class Expiry:
    """The service. `approval.expires_hours` 0 = requests wait for ever."""

    name = "expiry of requests"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last: _Look | None = None
        self._steady_since: float | None = None
        self._jumps: list[_Jump] = []

    async def run(self) -> None:
        while True:
            await self.sweep()
            await asyncio.sleep(EVERY)

    async def sweep(self) -> list[str]:
        """One look; returns the ids of what was rejected."""
        engine = self._engine
        hours = engine.settings.approval.expires_hours
        if not hours:
            return []

        def read(reader: Reader) -> tuple[list[Waiting], int]:
            return policies.waiting(reader, engine.node_id), ledger.last(reader)[0]

        waiting, seq = await engine.db.read(read)
        steady = self._is_steady(_Look(engine.clock.monotonic(), engine.clock.now_ms(), seq))
        oldest = min((request.seq for request in waiting), default=seq)
        self._jumps = [jump for jump in self._jumps if jump.after.seq >= oldest]
        if not steady:
            return []
        now_ms = engine.clock.now_ms()
        expired = [request for request in waiting if self._age_ms(request, now_ms) > hours * HOUR_MS]
        return [request.subject_id for request in expired if await self._reject(request, hours)]

    def _is_steady(self, look: _Look) -> bool:
        last, self._last = self._last, look
        if last is None or self._steady_since is None:
            self._steady_since = look.monotonic
            return False
        jumped = look.wall_ms - last.wall_ms - round((look.monotonic - last.monotonic) * 1000)
        if abs(jumped) > TOLERANCE_MS:
            _LOG.warning("the clock jumped by %d s: requests do not expire for a while", jumped // 1000)
            self._jumps.append(_Jump(last, look, jumped))
            self._steady_since = look.monotonic
        return look.monotonic - self._steady_since >= STEADY_SECONDS

    def _age_ms(self, request: Waiting, now_ms: int) -> int:
        jumped = sum(jump.by_ms for jump in self._jumps if jump.followed(request))
        return now_ms - request.since_ms - jumped

    async def _reject(self, request: Waiting, hours: float) -> bool:
        subject, time = request.subject_id, describe(hours)
        try:
            if request.kind == "job":
                reason = say("expired_submit", time=time)
                await jobs.decide(self._engine, subject, approve=False, reason=reason, actor="node")
            else:
                reason = say("expired_apply", time=time)
                await grants.decide(self._engine, subject, approve=False, reason=reason, actor="node")
        except NodeError as error:
            # Decided or ended just now, or the next look tries again.
            _LOG.info("request %s does not expire: %s", subject, error)
            return False
        _LOG.info("request %s expired", subject)
        return True


def describe(hours: float) -> Words:
    """`7 days`, `36 hours`: as people say it."""
    days, rest = divmod(hours, 24)
    if days and not rest:
        return say("time_day" if days == 1 else "time_days", count=f"{days:g}")
    return say("time_hour" if hours == 1 else "time_hours", count=f"{hours:g}")
