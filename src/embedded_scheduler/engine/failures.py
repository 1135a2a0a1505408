"""Why attempts failed: recognised when they end, remembered as a class, told to partners without anything else."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from embedded_scheduler.domain.failure import Failure, FailureCause, Stage, evidence
from embedded_scheduler.domain.lifecycle import Outcome
from embedded_scheduler.domain.limits import ORIGINS, EffectiveLimit
from embedded_scheduler.domain.snapshot import JobSnapshot
from embedded_scheduler.engine.admission import gib_text
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.spi.runner import Exit
from embedded_scheduler.store import attempts, jobs
from embedded_scheduler.store.attempts import Attempt
from embedded_scheduler.store.outbox import OutboxRow

_LAST_BYTES = 8192
"""Of a log are looked at for what ran out: programs say it last."""
_NEVER_RAN = frozenset({FailureCause.REFUSED, FailureCause.IMAGE})


async def cause_of(attempt: Attempt, exit_: Exit) -> FailureCause:
    """Of an attempt that did not end well. Reads the end of its log."""
    if exit_.cause in set(FailureCause):
        return FailureCause(exit_.cause)
    if exit_.code is None and exit_.signal is None:
        return FailureCause.ENGINE
    if exit_.signal == signal.SIGXFSZ:
        return FailureCause.DISK
    shown = evidence(await asyncio.to_thread(_end_of, Path(attempt.log_path)))
    return shown or (FailureCause.SIGNAL if exit_.signal is not None else FailureCause.EXIT)


def _end_of(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_BYTES))
            return file.read(_LAST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def sentence(cause: FailureCause, exit_: Exit, limits: tuple[EffectiveLimit, ...]) -> Words:
    """For the operator: what happened, against which limit, and whose. No data, no line of the log."""
    ended = _ending(exit_)
    if cause is FailureCause.MEMORY:
        limit = _limit("memory", limits)
        if exit_.peak_bytes:
            return say("ended_out_of_memory_used", limit=limit, used=gib_text(exit_.peak_bytes), ended=ended)
        return say("ended_out_of_memory", limit=limit, ended=ended)
    if cause is FailureCause.DISK:
        return say("ended_no_room", limit=_limit("disk", limits), ended=ended)
    if cause is FailureCause.REPORTED:
        return say("ended_reported")
    return exit_.error or ended


def _limit(kind: str, limits: tuple[EffectiveLimit, ...]) -> Words:
    found = next((limit for limit in limits if limit.kind == kind), None)
    if found is None:
        return say("limit_none")
    return say("limit_of", gib=f"{found.value:g}", origin=ORIGINS[found.origin])


def _ending(exit_: Exit) -> Words:
    if exit_.signal is not None:
        try:
            return say("ended_by", signal=signal.Signals(exit_.signal).name)
        except ValueError:
            return say("ended_by_number", number=exit_.signal)
    if exit_.code is not None:
        return say("exit_code", code=exit_.code)
    return exit_.error or say("end_unknown")


def failure_of(found: list[Attempt], role: str) -> Failure | None:
    """Of the newest failed attempts of a task in a role (empty: in any): what partners may know of it."""
    wanted = role.strip().lower()
    failed = [run for run in found if run.cause and wanted in ("", run.role, f"{run.role}.{run.index}")]
    if not failed:
        return None
    newest = max(failed, key=lambda run: (run.ended_ms or 0, run.number))
    cause = FailureCause(newest.cause)
    stage = Stage.START if cause in _NEVER_RAN else Stage.RUN
    return Failure(stage, cause, newest.exit_code)


async def of_task(engine: Engine, job_id: str, task_name: str, role: str) -> Failure | None:
    found = await engine.db.read(lambda reader: attempts.of_task(reader, job_id, task_name))
    return failure_of(found, role)


async def with_failure(engine: Engine, row: OutboxRow) -> dict[str, Any]:
    """The body of a callback; one that says FAILED says why, as a class."""
    body = dict(row.body)
    if body.get("status") != "FAILED":
        return body
    found = await engine.db.read(lambda reader: jobs.task_by_id(reader, str(body.get("task_id"))))
    failure = await of_task(engine, *found, str(body.get("role") or "")) if found else None
    return body if failure is None else body | {"failure": failure.document}


def public_reason(s: JobSnapshot, found: list[Attempt]) -> str:
    """Why a job ended, for partners: what failed here is told as a class; local sentences may name paths."""
    reason = s.reason
    for task in s.tasks.values():
        for share in task.shares:
            if s.is_local(share) and share.reason and share.outcome is Outcome.FAILED and share.reason in reason:
                runs = [run for run in found if run.task_name == task.name and run.is_of(share.party)]
                failure = failure_of(runs, "")
                reason = reason.replace(share.reason, str(failure.words) if failure else "failed")
    return reason
