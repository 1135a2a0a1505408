"""Carries out the effects of the outbox: calls to partners, launches, terminations. At least once, in lanes."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.effects import Decision, NoteCall
from embedded_scheduler.domain.lifecycle import JOB, ApprovalState, JobState
from embedded_scheduler.domain.snapshot import CallState, JobSnapshot
from embedded_scheduler.domain.waiting import PutOff
from embedded_scheduler.engine import attempts, failures, messages, permits, progress
from embedded_scheduler.engine.admission import Waits, part_name
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.crashpoints import reached
from embedded_scheduler.engine.launch_waits import Part
from embedded_scheduler.engine.ports import Delivery as Verdict
from embedded_scheduler.engine.ports import Reply
from embedded_scheduler.engine.transitions import Cause, advance
from embedded_scheduler.engine.verdicts import verdict_of
from embedded_scheduler.engine.watching import Watching
from embedded_scheduler.errors import NodeError, StoreError
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.store import ledger, outbox
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.outbox import OutboxRow

_LOG = logging.getLogger(__name__)

CALLS_AT_ONCE = 64
CALLS_PER_PARTNER = 16
PROBES_PER_PARTNER = 2
"""Calls under way at the same time: to all, to one partner, and to one that gave no answer last time.

A partner that hangs holds its calls until they time out; the others' have to find a place meanwhile.
"""

ENDS_AT_ONCE = 32
"""Attempts brought to an end at the same time."""

FIRST_REST, LONGEST_REST = 1.0, 30.0
"""Seconds a lane rests after its effect failed here (disk full, an error of ours) and the database could not say so."""

SAFETY_SWEEP = 30.0
"""Seconds after which the outbox is looked at although nobody asked."""


@dataclass(frozen=True, slots=True)
class _Places:
    """How many calls may begin: to all together, and to those partners that have calls under way or gave no answer."""

    free: int
    left: Mapping[str, int]

    def of(self, node_id: str) -> int:
        return min(self.free, self.left.get(node_id, CALLS_PER_PARTNER))


_TURN_MS = 2000
"""After so long it is looked again whether there is room for what waits for memory."""


class Delivery:
    """The service. A lane that is being worked on is busy; everything else is in the database."""

    name = "delivery"

    def __init__(self, engine: Engine, watching: Watching) -> None:
        self._engine = engine
        self._watching = watching
        self._busy: dict[str, OutboxRow] = {}
        self._calls: Counter[str] = Counter()
        self._down: set[str] = set()
        self._failing_since: dict[int, float] = {}
        self._faults: Counter[str] = Counter()
        self._resting: dict[str, float] = {}

    @property
    def under_way(self) -> Collection[str]:
        """Lanes whose effect is being carried out now."""
        return self._busy.keys()

    async def run(self) -> None:
        self._busy.clear()
        self._calls.clear()
        # What was put off may have what it needs since; and why it still waits is known only from trying.
        try:
            await self._engine.db.write(outbox.hasten_launches)
        except StoreError as error:
            _LOG.error("launches that were put off keep their times: %s", error)
        wakeup = self._engine.bus.wakeup("delivery")
        fault_pause = FIRST_REST
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    rows, pause = await self._due()
                    fault_pause = FIRST_REST
                except StoreError as error:
                    # What is under way goes on.
                    _LOG.error("the outbox cannot be read: %s", error)
                    rows, pause = [], fault_pause
                    fault_pause = min(fault_pause * 2, LONGEST_REST)
                for row in rows:
                    self._busy[row.lane] = row
                    if row.kind == "call":
                        self._calls[row.target] += 1
                    group.create_task(self._work(row), name=f"deliver:{row.lane}")
                await wakeup.wait(pause)

    async def _due(self) -> tuple[list[OutboxRow], float]:
        """What to begin now, and how many seconds to sleep afterwards if nothing else happens.

        What is due and has no place now is looked at again when one becomes free.
        """
        engine = self._engine
        ticks, now = engine.clock.monotonic(), engine.clock.now_ms()
        self._resting = {lane: until for lane, until in self._resting.items() if until > ticks}
        skip = {*self._busy, *self._resting}
        ends = ENDS_AT_ONCE - sum(row.kind == "terminate" for row in self._busy.values())
        slots, places = self._slots(), self._places()
        self._tell_places(slots)

        def look(reader: Reader) -> tuple[list[OutboxRow], tuple[int, int] | None]:
            rows = _due_calls(reader, now, skip, places)
            stopping = outbox.due_ends(reader, now_ms=now, limit=ends, busy_lanes=skip)
            # A launch before an order to end only has to be refused: it needs no slot.
            begun = skip | {row.lane for row in stopping}
            launches = outbox.due_launches(reader, now_ms=now, limit=slots, busy_lanes=begun)
            return [*rows, *stopping, *launches], outbox.next_due(reader, now_ms=now)

        rows, due = await engine.db.read(look)
        pause = SAFETY_SWEEP
        if due is not None:
            first, last = due
            if last > now + self._longest_wait_ms():
                # Nothing is put off that long: the clock was set back.
                await self._pull_in(now)
                return rows, 0.0
            pause = min(pause, (first - engine.clock.now_ms()) / 1000)
        for until in self._resting.values():
            pause = min(pause, until - ticks)
        return rows, max(0.0, pause)

    def _places(self) -> _Places:
        full = {
            node: (PROBES_PER_PARTNER if node in self._down else CALLS_PER_PARTNER) - self._calls[node]
            for node in {*self._down, *self._calls}
        }
        return _Places(CALLS_AT_ONCE - self._calls.total(), full)

    def _longest_wait_ms(self) -> int:
        timing = self._engine.settings.timing
        return int(2000 * max(timing.retry_longest, timing.poll_first))

    async def _pull_in(self, now_ms: int) -> None:
        latest = now_ms + self._longest_wait_ms()
        count = await self._engine.db.write(lambda tx: outbox.pull_in(tx, now_ms=now_ms, latest_ms=latest))
        _LOG.warning("the clock was set back: %d effects that wait are tried now", count)

    def _tell_places(self, free: int) -> None:
        """So that whoever asks why something has not started hears who has the places."""
        running = [part_name(attempt.task_name, attempt.job_id) for attempt in self._watching.running]
        starting = {Part.of(row) for row in self._busy.values() if row.kind == "launch"}
        limit = self._engine.settings.limits.concurrent_attempts
        self._engine.launch_waits.places(free, limit, running, starting)

    def _slots(self) -> int:
        starting = {row.target for row in self._busy.values() if row.kind == "launch"}
        return self._engine.settings.limits.concurrent_attempts - len(starting.union(self._watching.attempts))

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
            self._faults.pop(row.lane, None)
        except Waits as wait:
            await self._launch_later(row, wait.words, say("next_room"), _TURN_MS)
        except attempts.NotNow as wait:
            _LOG.warning("effect %s of job %s: %s", row.key, row.job_id, wait)
            await self._launch_later(row, wait.why, self._next_try(row), self._backoff_ms(row), timed=True)
        except StoreError as error:
            # Disk full and the like: nothing is lost, the row is still there.
            self._rest(row)
            _LOG.error("effect %s of job %s: %s", row.key, row.job_id, error)
        except (NodeError, OSError) as error:
            _LOG.error("effect %s of job %s: %s", row.key, row.job_id, error)
            await self._again(row, error.words if isinstance(error, NodeError) else str(error))
        except Exception as error:  # noqa: BLE001 (one effect must not take those under way with it)
            _LOG.exception("effect %s of job %s failed", row.key, row.job_id)
            await self._again(row, say("own_error", kind=type(error).__name__))
        finally:
            del self._busy[row.lane]
            if row.kind == "call":
                self._calls[row.target] -= 1
                self._calls += Counter()
            self._engine.bus.wakeup("delivery").set()

    def _rest(self, row: OutboxRow) -> None:
        """Leave a lane alone for a while, longer each time."""
        pause = min(LONGEST_REST, FIRST_REST * 2 ** min(self._faults[row.lane], 16))
        self._faults[row.lane] += 1
        self._resting[row.lane] = self._engine.clock.monotonic() + pause

    async def _launch(self, row: OutboxRow) -> None:
        try:
            await attempts.launch(self._engine, row, adopt=self._watching.adopt, failing=self._failing(row))
        except attempts.NotNow:
            self._failing_since.setdefault(row.id, self._engine.clock.monotonic())
            raise
        self._failing_since.pop(row.id, None)
        self._engine.launch_waits.over(Part.of(row))

    def _next_try(self, row: OutboxRow) -> Words:
        left = self._engine.settings.timing.partner_lost - self._failing(row)
        # The machine's own time: the console runs here too.
        end = datetime.fromtimestamp(self._engine.clock.now_ms() / 1000 + left, UTC).astimezone()
        return say("next_try", number=row.attempts + 2, end=f"{end:%H:%M}")

    async def _launch_later(
        self, row: OutboxRow, why: Words, then: Words, pause_ms: int, *, timed: bool = False
    ) -> None:
        """Put a launch off and say why: to whoever asks, and, if that is news, to the ledger. Raises nothing."""
        later = self._engine.clock.now_ms() + pause_ms
        part = Part.of(row)
        news = self._engine.launch_waits.put_off(part, PutOff(why, then, later if timed else None))

        def work(tx: Tx) -> None:
            outbox.retry(tx, row.id, str(why), later)
            if news:
                ledger.append(
                    tx,
                    subject="share",
                    subject_id=f"{row.job_id}/{part.task_name}/{part.party_key}",
                    job_id=row.job_id,
                    event="share.put_off",
                    actor="node",
                    reason=str(why),
                    trace_id=row.trace_id,
                )

        try:
            await self._engine.db.write(work)
        except StoreError as fault:
            self._rest(row)
            _LOG.error("effect %s of job %s cannot be put off: %s", row.key, row.job_id, fault)

    async def _call(self, row: OutboxRow) -> None:
        engine = self._engine
        message = await permits.outgoing(engine, row)
        if row.operation == "task/callback":
            message = replace(message, body=await failures.with_failure(engine, row))
        reply = await engine.gateway.call(message)
        reached("call.answered")
        if reply.delivery is Verdict.FAILED:
            self._down.add(row.target)
            if row.key == "verdict":
                self._failing_since.setdefault(row.id, engine.clock.monotonic())
        else:
            self._failing_since.pop(row.id, None)
        came_back = reply.delivery is not Verdict.FAILED and row.target in self._down
        self._down -= {row.target} if came_back else set()
        if row.job_id == messages.NO_JOB:
            later = engine.clock.now_ms() + self._backoff_ms(row)
            await messages.settle(engine, row, reply, came_back=came_back, next_ms=later)
            return

        def work(tx: Tx) -> JobSnapshot:
            if came_back:
                outbox.revive(tx, row.target)
            cause = Cause(f"peer:{row.target}", row.trace_id)
            return advance(tx, progress.scene(engine), row.job_id, cause, lambda s: self._meaning(tx, s, row, reply))

        await progress.commit(engine, work)

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
        if reply.delivery is Verdict.REFUSED or self._failing(row) > self._engine.settings.timing.partner_lost:
            given_up = NoteCall(row.key, CallState.REFUSED, reply.error, row.next_ms)
            return [given_up, *reactions.verdict_unknown(s, say("coordinator_silent", why=reply.error))]
        return [NoteCall(row.key, CallState.WAITING, reply.error, tx.now_ms + self._backoff_ms(row))]

    def _backoff_ms(self, row: OutboxRow) -> int:
        timing = self._engine.settings.timing
        pause = min(timing.retry_longest, timing.retry_first * 2 ** min(row.attempts, 16))
        return int(pause * 1000 * random.uniform(0.8, 1.2))  # noqa: S311 (jitter)

    def _failing(self, row: OutboxRow) -> float:
        """Seconds since this effect failed first in this run; how long it waited before, nobody can be blamed for."""
        return (
            0.0 if row.id not in self._failing_since else self._engine.clock.monotonic() - self._failing_since[row.id]
        )

    async def _again(self, row: OutboxRow, error: Words) -> None:
        """Put an effect off. Raises nothing: what cannot be written down rests."""
        later = self._engine.clock.now_ms() + self._backoff_ms(row)
        note = NoteCall(row.key, CallState.WAITING, error, later)
        try:
            if row.job_id == messages.NO_JOB:
                await messages.put_off(self._engine, row, error, later)
            elif row.kind == "call":
                await progress.react(self._engine, row.job_id, Cause("node", row.trace_id), lambda _: [note])
            else:
                await self._engine.db.write(lambda tx: outbox.retry(tx, row.id, error, later))
        except Exception as fault:  # noqa: BLE001 (the same)
            self._rest(row)
            _LOG.error("effect %s of job %s cannot be put off: %s", row.key, row.job_id, fault)


def _due_calls(reader: Reader, now_ms: int, skip: set[str], places: _Places) -> list[OutboxRow]:
    waiting = [
        outbox.due_calls(reader, target=node, now_ms=now_ms, limit=places.of(node), busy_lanes=skip)
        for node in outbox.targets(reader)
    ]
    # One for each partner in turn, so that none is first every time.
    turns = itertools.zip_longest(*waiting)
    return [row for turn in turns for row in turn if row is not None][: max(0, places.free)]


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
    return reactions.decide(s, node_id, approve=status == JobState.READY, reason=say("decided_at_create"))
