"""Runs shares on this node: prepares an attempt, launches it, and takes in how it ended."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from pathlib import Path

from embedded_scheduler.domain import reactions
from embedded_scheduler.domain.effects import Decision
from embedded_scheduler.domain.failure import FailureCause
from embedded_scheduler.domain.party import Party
from embedded_scheduler.domain.snapshot import JobSnapshot
from embedded_scheduler.engine import failures, progress, traffic
from embedded_scheduler.engine.admission import Waits, part_name
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.crashpoints import reached
from embedded_scheduler.engine.preparation import Prepared, log_file, prepare, token_of
from embedded_scheduler.engine.transitions import Cause, advance
from embedded_scheduler.errors import NodeError, Refused, StoreError, Unavailable
from embedded_scheduler.security.secrets import kept_of
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.spi.runner import END_OF_LOG, DistantRunner, Exit, RunHandle
from embedded_scheduler.store import attempts, outbox
from embedded_scheduler.store.attempts import Attempt
from embedded_scheduler.store.database import Tx

_SCARCE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
"""What the system answers when something has run out that may be there again later."""

_LOG = logging.getLogger(__name__)


class NotNow(Unavailable):
    """What a launch needs is away: it is tried again, for a while. `why` says what, and what to do about it."""

    def __init__(self, task_name: str, why: Words) -> None:
        super().__init__(say("not_now", task=task_name, why=why))
        self.why = why


def handle_of(attempt: Attempt) -> RunHandle:
    return RunHandle(runner=attempt.runner, attempt_id=attempt.attempt_id, data=attempt.handle)


async def launch(
    engine: Engine, row: outbox.OutboxRow, *, adopt: Callable[[Attempt], None], failing: float = 0.0
) -> None:
    """Carry out a launch order: `adopt` gets the running attempt, or it is recorded as failed.

    `failing` = seconds since it first could not be started because something was not there. `Waits` and `NotNow`: not
    yet, the order stays.
    """
    snapshot = await progress.view(engine, row.job_id)
    task_name = str(row.body["task"])
    party = Party(role=row.body["role"], index=row.body["index"], node_id=engine.node_id)
    share = next(share for share in snapshot.tasks[task_name].shares if share.party == party)
    try:
        if share.terminating:
            raise Refused(say("stopped_before_start"))
        prepared = await prepare(engine, snapshot, task_name, party, row.target)
        runner, spec = prepared.runner, prepared.spec
        handle = runner.handle(spec)
        token = token_of(engine, row.target)
        if not isinstance(runner, DistantRunner):
            engine.memory.admit(row.target, spec.limits.memory_bytes or 0, part_name(task_name, row.job_id))
        await engine.db.write(lambda tx: _store(tx, row, task_name, party, handle, prepared, token))
        await engine.channel.open_session(prepared.session_id)
        reached("launch.stored")
        await runner.launch(spec)
        reached("launch.started")
    except StoreError:
        engine.memory.release(row.target)
        raise
    except Waits as wait:
        if not row.attempts:
            await asyncio.to_thread(
                engine.logs.append_line, log_file(engine, row.job_id, row.target), f"nodeconsole: waits: {wait}"
            )
        raise
    except (NodeError, OSError) as error:
        engine.memory.release(row.target)
        # It may work later (no process, no disk space just now): the order stays, for a while.
        patient = failing < engine.settings.timing.partner_lost
        if _is_passing(error) and patient and not await _is_to_end(engine, row.job_id, task_name, party):
            raise NotNow(task_name, error.words if isinstance(error, NodeError) else str(error)) from error
        await _could_not_start(
            engine, row, task_name, party, error.words if isinstance(error, NodeError) else str(error)
        )
        return

    def work(tx: Tx) -> tuple[Attempt | None, JobSnapshot]:
        attempts.launched(tx, row.target)
        outbox.acknowledge(tx, row.id)
        attempt = attempts.get(tx, row.target)
        here = progress.scene(engine)
        cause = Cause("node", row.trace_id)
        return attempt, advance(tx, here, row.job_id, cause, lambda s: reactions.share_running(s, task_name, party))

    def committed(result: tuple[Attempt | None, JobSnapshot]) -> None:
        # Whatever becomes of this call from here on: its end has to be seen.
        if result[0] is not None:
            adopt(result[0])
        progress.announce(engine, result[1])

    _, after = await engine.db.write(work, committed=committed)
    await progress.close_ended(engine, after)


async def _is_to_end(engine: Engine, job_id: str, task_name: str, party: Party) -> bool:
    """Whether a share was stopped meanwhile: finding out that something is away can take a while."""
    shares = (await progress.view(engine, job_id)).tasks[task_name].shares
    return any(share.terminating for share in shares if share.party == party)


def _is_passing(error: NodeError | OSError) -> bool:
    """Whether the same launch may work later."""
    return isinstance(error, Unavailable) or (isinstance(error, OSError) and error.errno in _SCARCE)


def _store(
    tx: Tx, row: outbox.OutboxRow, task_name: str, party: Party, handle: RunHandle, prepared: Prepared, token: str
) -> None:
    attempts.insert(
        tx,
        attempt_id=row.target,
        job_id=row.job_id,
        task_name=task_name,
        party=party,
        number=int(row.body["number"]),
        runner=handle.runner,
        handle=handle.data,
        session_id=prepared.session_id,
        token_hash=kept_of(token),
        log_path=str(prepared.spec.log_path),
        component=prepared.component,
        limits=prepared.limits,
        input_bytes=prepared.input_bytes,
    )


async def _could_not_start(engine: Engine, row: outbox.OutboxRow, task_name: str, party: Party, reason: Words) -> None:
    """The attempt never ran: say so in its log, close the log, and let the job know."""
    path = log_file(engine, row.job_id, row.target)

    def write_log() -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine.logs.append_line(path, f"nodeconsole: error: could not start: {reason}")
        engine.logs.append_line(path, f"{END_OF_LOG}, not started")

    try:
        await asyncio.to_thread(write_log)
    except OSError as error:
        _LOG.error("%s cannot be written: %s", path, error)

    def work(tx: Tx) -> JobSnapshot:
        if attempts.get(tx, row.target) is None:
            _store_nothing(tx, row, task_name, party, path)
        attempts.ended(tx, row.target, code=None, signal=None, error=reason, cause=FailureCause.REFUSED)
        outbox.refuse(tx, row.id, reason)
        return advance(
            tx,
            progress.scene(engine),
            row.job_id,
            Cause("node", row.trace_id),
            lambda s: reactions.share_ended(s, task_name, party, ok=False, reason=reason),
        )

    await progress.commit(engine, work)


def _store_nothing(tx: Tx, row: outbox.OutboxRow, task_name: str, party: Party, path: Path) -> None:
    """What never came to a launch is an attempt too: its log says why."""
    attempts.insert(
        tx,
        attempt_id=row.target,
        job_id=row.job_id,
        task_name=task_name,
        party=party,
        number=int(row.body["number"]),
        runner="",
        handle={},
        session_id="",
        token_hash="",
        log_path=str(path),
    )


async def terminate(engine: Engine, row: outbox.OutboxRow) -> None:
    """Carry out an order to end an attempt; its end is taken in like any other."""
    attempt = await engine.db.read(lambda reader: attempts.get(reader, row.target))
    if attempt is not None and attempt.launched_ms is not None and attempt.ended_ms is None:
        runner = engine.runners.get(attempt.runner)
        if runner is None:
            raise Unavailable(say("runner_gone", runner=attempt.runner, attempt=row.target))
        await runner.terminate(handle_of(attempt), engine.settings.timing.stop_grace)
        reached("terminate.done")
    await engine.db.write(lambda tx: outbox.acknowledge(tx, row.id))


_EXPLAINED = (FailureCause.MEMORY, FailureCause.DISK)
"""Causes of which the exit code alone says nothing."""


async def ended(engine: Engine, attempt: Attempt, exit_: Exit) -> None:
    """An attempt's process is gone: weigh its exit and what it said itself."""
    reached("exit.seen")
    party = Party(role=attempt.role, index=attempt.index, node_id=engine.node_id)
    found = None if exit_.ok else await failures.cause_of(attempt, exit_)
    measured = engine.channel.meter.read(attempt.token_hash, attempt.launched_ms)
    kept = traffic.to_text(measured) if measured else ""

    def work(tx: Tx) -> JobSnapshot:
        current = attempts.get(tx, attempt.attempt_id) or attempt
        cause = FailureCause.REPORTED if exit_.ok and current.callback == "FAILED" else found
        reason = failures.sentence(cause, exit_, attempt.limits) if cause else ""
        attempts.ended(
            tx,
            attempt.attempt_id,
            code=exit_.code,
            signal=exit_.signal,
            error=exit_.error or (reason if cause in _EXPLAINED else ""),
            traffic=kept,
            cause=cause or "",
            peak_bytes=exit_.peak_bytes,
        )

        def reaction(s: JobSnapshot) -> list[Decision]:
            return reactions.share_ended(s, attempt.task_name, party, ok=cause is None, reason=reason)

        return advance(tx, progress.scene(engine), attempt.job_id, Cause("node"), reaction)

    await progress.commit(engine, work)
    engine.memory.release(attempt.attempt_id)
    engine.channel.meter.forget(attempt.token_hash)
