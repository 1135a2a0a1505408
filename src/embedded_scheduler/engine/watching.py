"""Watches what goes on elsewhere: components until they end, partners until they report."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection
from dataclasses import replace

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.failure import FailureCause, read_failure
from embedded_scheduler.domain.lifecycle import TaskState
from embedded_scheduler.domain.limits import ORIGINS
from embedded_scheduler.engine import attempts, progress
from embedded_scheduler.engine.admission import part_name
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.ports import Delivery, Outgoing, Reply
from embedded_scheduler.engine.transitions import Cause
from embedded_scheduler.engine.verdicts import verdict_of
from embedded_scheduler.engine.watchlist import PollKey, PollState
from embedded_scheduler.errors import NodeError, Unavailable
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.runner import DistantRunner, Exit, Runner
from embedded_scheduler.store import attempts as store
from embedded_scheduler.store.attempts import Attempt

_LOG = logging.getLogger(__name__)

SAFETY_SWEEP = 30.0

CONCURRENT_POLLS = 32
POLLS_PER_PARTNER = 8
"""A partner that hangs holds up its own answers, not everybody's."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
"""Seconds between two tries of something that fails here (disk full, an error of ours)."""


class Watching:
    """The service. Attempts are handed over by `adopt`; questions to partners come from the engine's watchlist."""

    name = "watching"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._adopted: dict[str, Attempt] = {}
        self._fresh: list[Attempt] = []
        self._swept = 0.0

    @property
    def attempts(self) -> Collection[str]:
        """Ids of the attempts that run, as far as their end is not recorded."""
        return self._adopted.keys()

    @property
    def running(self) -> Collection[Attempt]:
        """The same attempts as they were stored."""
        return tuple(self._adopted.values())

    def adopt(self, attempt: Attempt) -> None:
        """Watch an attempt from now on; once more is harmless."""
        if attempt.attempt_id not in self._adopted:
            self._adopted[attempt.attempt_id] = attempt
            if not isinstance(self._engine.runners.get(attempt.runner), DistantRunner):
                name = part_name(attempt.task_name, attempt.job_id)
                self._engine.memory.hold(attempt.attempt_id, attempt.memory_limit, name)
            self._fresh.append(attempt)
            self._engine.bus.wakeup("watching").set()

    async def run(self) -> None:
        # After a crash of this service the attempts are still there, and have to be waited for again.
        self._fresh = list(self._adopted.values())
        self._swept = -SAFETY_SWEEP
        watchlist, clock = self._engine.watchlist, self._engine.clock
        watchlist.forget_asking()
        wakeup = self._engine.bus.wakeup("watching")
        async with asyncio.TaskGroup() as group:
            while True:
                await self._sweep()
                while self._fresh:
                    attempt = self._fresh.pop()
                    group.create_task(self._until_ended(attempt), name=f"attempt:{attempt.attempt_id}")
                for key in watchlist.take(clock.monotonic(), at_once=CONCURRENT_POLLS, per_partner=POLLS_PER_PARTNER):
                    group.create_task(self._ask(key), name=f"poll:{key.task_id or key.job_id}")
                due = watchlist.next_due()
                pause = SAFETY_SWEEP if due is None else max(0.0, due - clock.monotonic())
                await wakeup.wait(min(SAFETY_SWEEP, pause))

    async def _sweep(self) -> None:
        """Now and then: adopt what runs and was never handed over, because whoever launched it failed just then."""
        now = self._engine.clock.monotonic()
        if now - self._swept < SAFETY_SWEEP:
            return
        self._swept = now
        try:
            found = await self._engine.db.read(store.running)
        except NodeError as error:
            _LOG.error("running attempts cannot be listed: %s", error)
            return
        for attempt in found:
            self.adopt(attempt)

    # -- components ---------------------------------------------------------------------------------------------------

    async def _until_ended(self, attempt: Attempt) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                exit_ = await self._end_of(attempt)
                await attempts.ended(self._engine, attempt, exit_)
                break
            except NodeError as error:
                # The database is not to be written to just now (disk full): the exit status stays on disk too.
                _LOG.error("end of %s cannot be recorded: %s", attempt.attempt_id, error)
            except Exception:  # noqa: BLE001 - one attempt must not take the others' watch with it
                _LOG.exception("end of %s cannot be taken in; next try in %.1f s", attempt.attempt_id, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        del self._adopted[attempt.attempt_id]
        # A slot is free.
        self._engine.bus.wakeup("delivery").set()

    async def _end_of(self, attempt: Attempt) -> Exit:
        """How it ended; one that is over its time is ended."""
        runner, handle = self._runner(attempt), attempts.handle_of(attempt)
        hours = next((limit for limit in attempt.limits if limit.kind == "hours"), None)
        if hours is None:
            return await runner.wait(handle)
        ran_ms = self._engine.clock.now_ms() - (attempt.launched_ms or attempt.created_ms)
        left = hours.value * 3600 - max(0, ran_ms) / 1000
        try:
            async with asyncio.timeout(max(0.0, left)):
                return await runner.wait(handle)
        except TimeoutError:
            await runner.terminate(handle, self._engine.settings.timing.stop_grace)
        exit_ = await runner.wait(handle)
        if exit_.ok:
            return exit_
        why = say("over_time", hours=f"{hours.value:g}", origin=ORIGINS[hours.origin])
        return replace(exit_, error=why, cause=FailureCause.TIME)

    def _runner(self, attempt: Attempt) -> Runner:
        runner = self._engine.runners.get(attempt.runner)
        if runner is None:
            raise Unavailable(say("runner_gone_install", runner=attempt.runner))
        return runner

    # -- partners -----------------------------------------------------------------------------------------------------

    async def _ask(self, key: PollKey) -> None:
        watchlist, clock = self._engine.watchlist, self._engine.clock
        state = watchlist.polls.get(key)
        pause = LONGEST_PAUSE
        try:
            reply = await self._engine.gateway.call(self._question(key))
            if state is not None:
                pause = self._pause_after(key, state, reply)
            await self._take_in(key, state, reply)
        except NodeError as error:
            _LOG.error("what %s says of %s cannot be recorded: %s", key.node_id, key.task_id or key.job_id, error)
        except Exception:  # noqa: BLE001 - one question must not take the others with it
            _LOG.exception("asking %s about %s failed", key.node_id, key.task_id or key.job_id)
        finally:
            now = clock.monotonic()
            watchlist.answered(key, state, now, now + pause)
            self._engine.bus.wakeup("watching").set()

    def _question(self, key: PollKey) -> Outgoing:
        nonce, trace = self._engine.mint.nonce(), key.job_id
        if key.task_id:
            body = {"task_id": key.task_id, "role": key.role}
            return Outgoing(key.node_id, "task/poll", body, nonce, trace)
        return Outgoing(key.node_id, "job/status_all", {"job_id": key.job_id}, nonce, trace)

    def _pause_after(self, key: PollKey, state: PollState, reply: Reply) -> float:
        """Seconds until the same question may be asked again."""
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
        return state.pause * random.uniform(0.9, 1.1)  # noqa: S311 (jitter)

    async def _take_in(self, key: PollKey, state: PollState | None, reply: Reply) -> None:
        engine = self._engine
        cause = Cause(f"peer:{key.node_id}", key.job_id)
        if reply.delivery is Delivery.OK:
            if not key.task_id:
                await self._take_verdict(key, reply)
                return
            word = str(reply.data.get("status") or "").upper()
            if word in (TaskState.SUCCESS, TaskState.FAILED, TaskState.RUNNING):
                status, said = TaskState(word), read_failure(reply.data.get("failure"))
                await progress.react(
                    engine,
                    key.job_id,
                    cause,
                    lambda s: reactions.partner_status(s, key.task_name, key.node_id, key.role, status, said),
                )
            return
        if state is None or state.failing_since is None:
            return
        if not key.task_id:
            await self._coordinator_forgot(key, state, reply)
            return
        silent = engine.clock.monotonic() - state.failing_since
        if silent > engine.settings.timing.partner_lost:
            reason = say("not_reported", node=key.node_id, seconds=f"{silent:.0f}", why=reply.error)
            await progress.react(
                engine, key.job_id, cause, lambda s: reactions.partner_lost(s, key.task_name, key.node_id, reason)
            )

    async def _coordinator_forgot(self, key: PollKey, state: PollState, reply: Reply) -> None:
        """A coordinator whose creation failed halfway tells those who had agreed nothing (FATE-Flow)."""
        since, patience = state.refused_since, self._engine.settings.timing.partner_lost
        if reply.delivery is Delivery.REFUSED and since is not None:
            refused = self._engine.clock.monotonic() - since
            if refused > patience:
                reason = say("given_up", seconds=f"{refused:.0f}", why=reply.error)
                cause = Cause(f"peer:{key.node_id}", key.job_id)
                await progress.react(self._engine, key.job_id, cause, lambda s: reactions.coordinator_forgot(s, reason))

    async def _take_verdict(self, key: PollKey, reply: Reply) -> None:
        cause = Cause(f"peer:{key.node_id}", key.job_id)
        await progress.react(self._engine, key.job_id, cause, lambda s: verdict_of(s, reply.data) or [])
