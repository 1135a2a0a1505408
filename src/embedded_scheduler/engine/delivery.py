"""Carries out the effects of the outbox: calls to partners, launches, terminations. At least once, in lanes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Any

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.effects import Decision, NoteCall
from embedded_scheduler.domain.lifecycle import JOB, ApprovalState, JobState
from embedded_scheduler.domain.snapshot import CallState, JobSnapshot
from embedded_scheduler.engine import attempts, jobs
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.crashpoints import reached
from embedded_scheduler.engine.ports import Delivery as Verdict
from embedded_scheduler.engine.ports import Outgoing, Reply
from embedded_scheduler.engine.transitions import Cause, advance
from embedded_scheduler.engine.verdicts import verdict_of
from embedded_scheduler.engine.watching import Watching
from embedded_scheduler.errors import NodeError, StoreError
from embedded_scheduler.store import outbox
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.outbox import OutboxRow

_LOG = logging.getLogger(__name__)

AT_ONCE = 64
"""Effects carried out at the same time."""

SAFETY_SWEEP = 30.0
"""Seconds after which the outbox is looked at although nobody asked."""


class Delivery:
    """The service. A lane that is being worked on is busy; everything else is in the database."""

    name = "delivery"

    def __init__(self, engine: Engine, watching: Watching) -> None:
        self._engine = engine
        self._watching = watching
        self._busy: set[str] = set()
        self._blocked: set[str] = set()
        self._down: set[str] = set()

    async def run(self) -> None:
        self._busy.clear()
        self._blocked.clear()
        wakeup = self._engine.bus.wakeup("delivery")
        async with asyncio.TaskGroup() as group:
            while True:
                rows, pause = await self._due()
                for row in rows:
                    self._busy.add(row.lane)
                    group.create_task(self._work(row), name=f"deliver:{row.lane}")
                await wakeup.wait(pause)

    async def _due(self) -> tuple[list[OutboxRow], float]:
        """What to begin now, and how many seconds to sleep afterwards if nothing else happens."""
        engine = self._engine
        if self._slots() > 0:
            self._blocked.clear()
        room = AT_ONCE - len(self._busy)
        skip = self._busy | self._blocked
        now = engine.clock.now_ms()

        def look(reader: Reader) -> tuple[list[OutboxRow], int | None]:
            rows = outbox.heads(reader, now_ms=now, limit=room, busy_lanes=skip) if room > 0 else []
            begun = skip | {row.lane for row in rows}
            return rows, outbox.next_due(reader, busy_lanes=begun)

        rows, due = await engine.db.read(look)
        if due is None or len(rows) >= room:
            return rows, SAFETY_SWEEP
        return rows, min(SAFETY_SWEEP, max(0.0, (due - engine.clock.now_ms()) / 1000))

    def _slots(self) -> int:
        return self._engine.settings.limits.concurrent_attempts - self._watching.attempts_running

    async def _work(self, row: OutboxRow) -> None:
        try:
            reached("effect.before")
            match row.kind:
                case "call":
                    await self._call(row)
                case "launch":
                    await self._launch(row)
                case _:
                    await attempts.terminate(self._engine, row)
        except StoreError as error:
            # Disk full and the like: nothing is lost, the row is still there.
            _LOG.error("effect %s of job %s: %s", row.key, row.job_id, error)
            await asyncio.sleep(1.0)
        except (NodeError, OSError) as error:
            _LOG.error("effect %s of job %s: %s", row.key, row.job_id, error)
            await self._again(row, str(error))
        finally:
            self._busy.discard(row.lane)
            self._engine.bus.wakeup("delivery").set()

    async def _launch(self, row: OutboxRow) -> None:
        if self._slots() <= 0 and not await self._is_terminating(row):
            self._blocked.add(row.lane)
            return
        with self._watching.reserved():
            attempt = await attempts.launch(self._engine, row)
            if attempt is not None:
                self._watching.adopt(attempt)

    async def _is_terminating(self, row: OutboxRow) -> bool:
        snapshot = await jobs.view(self._engine, row.job_id)
        shares = snapshot.tasks[row.body["task"]].shares
        return any(s.terminating for s in shares if s.party.key == f"{row.body['role']}.{row.body['index']}")

    async def _call(self, row: OutboxRow) -> None:
        engine = self._engine
        reply = await engine.gateway.call(Outgoing(row.target, row.operation, row.body, row.nonce, row.trace_id))
        reached("call.answered")
        if reply.delivery is Verdict.FAILED:
            self._down.add(row.target)
        came_back = reply.delivery is not Verdict.FAILED and row.target in self._down
        self._down -= {row.target} if came_back else set()

        def work(tx: Tx) -> JobSnapshot:
            if came_back:
                outbox.revive(tx, row.target)
            cause = Cause(f"peer:{row.target}", row.trace_id)
            return advance(tx, jobs.scene(engine), row.job_id, cause, lambda s: self._meaning(tx, s, row, reply))

        await jobs.settle(engine, await engine.db.write(work))

    def _meaning(self, tx: Tx, s: JobSnapshot, row: OutboxRow, reply: Reply) -> list[Decision]:
        """How the call stands now, and what the answer says."""
        if row.key == "verdict":
            return self._verdict(tx, s, row, reply)
        match reply.delivery:
            case Verdict.REFUSED:
                return [NoteCall(row.key, CallState.REFUSED, reply.error, row.next_ms)]
            case Verdict.FAILED:
                return [NoteCall(row.key, CallState.WAITING, reply.error, tx.now_ms + self._backoff_ms(row))]
        done = NoteCall(row.key, CallState.ACKNOWLEDGED, "", row.next_ms)
        return [done, *(_decision_in_reply(s, row.target, reply.data) if row.operation == "job/create" else ())]

    def _verdict(self, tx: Tx, s: JobSnapshot, row: OutboxRow, reply: Reply) -> list[Decision]:
        if reply.delivery is Verdict.OK:
            verdict = verdict_of(s, reply.data)
            if verdict is not None:
                return [NoteCall(row.key, CallState.ACKNOWLEDGED, "", row.next_ms), *verdict]
            # It is not over there yet: the question stays.
            pause = min(int(self._engine.settings.timing.poll_first * 1000), 250 * (row.attempts + 1))
            return [NoteCall(row.key, CallState.WAITING, "", tx.now_ms + pause)]
        waited = (tx.now_ms - row.created_ms) / 1000
        if reply.delivery is Verdict.REFUSED or waited > self._engine.settings.timing.partner_lost:
            given_up = NoteCall(row.key, CallState.REFUSED, reply.error, row.next_ms)
            return [given_up, *reactions.verdict_unknown(s, f"the coordinator's word is not to be had: {reply.error}")]
        return [NoteCall(row.key, CallState.WAITING, reply.error, tx.now_ms + self._backoff_ms(row))]

    def _backoff_ms(self, row: OutboxRow) -> int:
        timing = self._engine.settings.timing
        pause = min(timing.retry_longest, timing.retry_first * 2 ** min(row.attempts, 16))
        return int(pause * 1000 * random.uniform(0.8, 1.2))  # noqa: S311 (jitter)

    async def _again(self, row: OutboxRow, error: str) -> None:
        later = self._engine.clock.now_ms() + self._backoff_ms(row)
        note = NoteCall(row.key, CallState.WAITING, error, later)
        if row.kind == "call":
            await jobs.react(self._engine, row.job_id, Cause("node", row.trace_id), lambda _: [note])
        else:
            await self._engine.db.write(lambda tx: outbox.retry(tx, row.id, error, later))


def _decision_in_reply(s: JobSnapshot, node_id: str, data: Mapping[str, Any]) -> list[Decision]:
    """A participant may answer `job/create` with its decision already (`data.status`)."""
    status = str(data.get("status") or "").upper()
    approval = s.approvals.get(node_id)
    if (
        status not in (JobState.READY, JobState.REJECTED)
        or approval is None
        or approval.state is not ApprovalState.PENDING
    ):
        return []
    if JOB.is_terminal(s.state):
        return []
    return reactions.decide(s, node_id, approve=status == JobState.READY, reason="decided at create")
