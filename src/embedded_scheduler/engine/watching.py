"""Watches what goes on elsewhere: components until they end, partners until they report."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Iterator

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.lifecycle import TaskState
from embedded_scheduler.engine import attempts, jobs
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.ports import Delivery, Outgoing, Reply
from embedded_scheduler.engine.transitions import Cause
from embedded_scheduler.engine.verdicts import verdict_of
from embedded_scheduler.engine.watchlist import PollKey, PollState
from embedded_scheduler.errors import NodeError
from embedded_scheduler.store.attempts import Attempt

_LOG = logging.getLogger(__name__)

SAFETY_SWEEP = 30.0
CONCURRENT_POLLS = 32


class Watching:
    """The service. Attempts are handed over by `adopt`; questions to partners come from the engine's watchlist."""

    name = "watching"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._adopted: dict[str, Attempt] = {}
        self._fresh: list[Attempt] = []
        self._reserved = 0
        self._asking: set[PollKey] = set()

    @property
    def attempts_running(self) -> int:
        """Attempts that run, or are being started."""
        return len(self._adopted) + self._reserved

    @contextlib.contextmanager
    def reserved(self) -> Iterator[None]:
        """Hold a slot while an attempt is being started."""
        self._reserved += 1
        try:
            yield
        finally:
            self._reserved -= 1

    def adopt(self, attempt: Attempt) -> None:
        """Watch an attempt from now on; once more is harmless."""
        if attempt.attempt_id not in self._adopted:
            self._adopted[attempt.attempt_id] = attempt
            self._fresh.append(attempt)
            self._engine.bus.wakeup("watching").set()

    async def run(self) -> None:
        # After a crash of this service the attempts are still there, and have to be waited for again.
        self._fresh = list(self._adopted.values())
        self._asking.clear()
        wakeup = self._engine.bus.wakeup("watching")
        async with asyncio.TaskGroup() as group:
            while True:
                while self._fresh:
                    attempt = self._fresh.pop()
                    group.create_task(self._until_ended(attempt), name=f"attempt:{attempt.attempt_id}")
                for key in self._questions():
                    self._asking.add(key)
                    group.create_task(self._ask(key), name=f"poll:{key.task_id or key.job_id}")
                await wakeup.wait(self._pause())

    def _questions(self) -> list[PollKey]:
        due = self._engine.watchlist.due(self._engine.clock.monotonic())
        free = CONCURRENT_POLLS - len(self._asking)
        return [key for key in due if key not in self._asking][:free]

    def _pause(self) -> float:
        states = (s for key, s in self._engine.watchlist.polls.items() if key not in self._asking)
        due = min((state.due for state in states), default=None)
        if due is None or len(self._asking) >= CONCURRENT_POLLS:
            return SAFETY_SWEEP
        return min(SAFETY_SWEEP, max(0.0, due - self._engine.clock.monotonic()))

    # -- components ---------------------------------------------------------------------------------------------------

    async def _until_ended(self, attempt: Attempt) -> None:
        runner = self._engine.runners[attempt.runner]
        exit_ = await runner.wait(attempts.handle_of(attempt))
        pause = 0.2
        while True:
            try:
                await attempts.ended(self._engine, attempt, exit_)
                break
            except NodeError as error:
                # The database is not to be written to just now (disk full): the exit status stays on disk too.
                _LOG.error("end of %s cannot be recorded: %s", attempt.attempt_id, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 10.0)
        del self._adopted[attempt.attempt_id]
        # A slot is free.
        self._engine.bus.wakeup("delivery").set()

    # -- partners -----------------------------------------------------------------------------------------------------

    async def _ask(self, key: PollKey) -> None:
        try:
            reply = await self._engine.gateway.call(self._question(key))
            state = self._engine.watchlist.polls.get(key)
            if state is not None:
                self._schedule(key, state, reply)
            await self._take_in(key, state, reply)
        except NodeError as error:
            _LOG.error("what %s says of %s cannot be recorded: %s", key.node_id, key.task_id or key.job_id, error)
        finally:
            self._asking.discard(key)
            self._engine.bus.wakeup("watching").set()

    def _question(self, key: PollKey) -> Outgoing:
        nonce, trace = self._engine.mint.nonce(), key.job_id
        if key.task_id:
            body = {"task_id": key.task_id, "role": key.role}
            return Outgoing(key.node_id, "task/poll", body, nonce, trace)
        return Outgoing(key.node_id, "job/status_all", {"job_id": key.job_id}, nonce, trace)

    def _schedule(self, key: PollKey, state: PollState, reply: Reply) -> None:
        timing = self._engine.settings.timing
        now = self._engine.clock.monotonic()
        if reply.delivery is Delivery.OK:
            state.failing_since = None
        elif state.failing_since is None:
            state.failing_since = now
        if reply.delivery is Delivery.OK:
            state.refused_since = None
        elif reply.delivery is Delivery.REFUSED and state.refused_since is None:
            state.refused_since = now
        # A job's verdict is a matter of minutes; a task's status, of seconds.
        longest = timing.poll_longest * (1 if key.task_id else 4)
        state.pause = min(longest, state.pause * 1.5)
        state.due = now + state.pause * random.uniform(0.9, 1.1)  # noqa: S311 (jitter)

    async def _take_in(self, key: PollKey, state: PollState | None, reply: Reply) -> None:
        engine = self._engine
        cause = Cause(f"peer:{key.node_id}", key.job_id)
        if reply.delivery is Delivery.OK:
            if not key.task_id:
                await self._take_verdict(key, reply)
                return
            word = str(reply.data.get("status") or "").upper()
            if word in (TaskState.SUCCESS, TaskState.FAILED, TaskState.RUNNING):
                status = TaskState(word)
                await jobs.react(
                    engine,
                    key.job_id,
                    cause,
                    lambda s: reactions.partner_status(s, key.task_name, key.node_id, key.role, status),
                )
            return
        if state is None or state.failing_since is None:
            return
        if not key.task_id:
            await self._coordinator_forgot(key, state, reply)
            return
        silent = engine.clock.monotonic() - state.failing_since
        if silent > engine.settings.timing.partner_lost:
            reason = f"{key.node_id} has not reported for {silent:.0f} s ({reply.error}); setting timing.partner_lost"
            await jobs.react(
                engine, key.job_id, cause, lambda s: reactions.partner_lost(s, key.task_name, key.node_id, reason)
            )

    async def _coordinator_forgot(self, key: PollKey, state: PollState, reply: Reply) -> None:
        """A coordinator whose creation failed halfway tells those who had agreed nothing (FATE-Flow)."""
        since, patience = state.refused_since, self._engine.settings.timing.partner_lost
        if reply.delivery is Delivery.REFUSED and since is not None:
            refused = self._engine.clock.monotonic() - since
            if refused > patience:
                reason = f"given up after {refused:.0f} s: {reply.error}; setting timing.partner_lost"
                cause = Cause(f"peer:{key.node_id}", key.job_id)
                await jobs.react(self._engine, key.job_id, cause, lambda s: reactions.coordinator_forgot(s, reason))

    async def _take_verdict(self, key: PollKey, reply: Reply) -> None:
        cause = Cause(f"peer:{key.node_id}", key.job_id)
        await jobs.react(self._engine, key.job_id, cause, lambda s: verdict_of(s, reply.data) or [])
