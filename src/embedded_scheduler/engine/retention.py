"""Removes what is older than the settings say: run directories, logs and results of ended jobs, answered messages."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from embedded_scheduler.domain.space import Usage, removal_ms
from embedded_scheduler.engine import attempts as attempt_verbs
from embedded_scheduler.engine import space
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.keeping import namespaces_in_use, remove
from embedded_scheduler.errors import NodeError
from embedded_scheduler.store import attempts, keeping, peers, retention
from embedded_scheduler.store.attempts import Attempt
from embedded_scheduler.store.database import Reader

_LOG = logging.getLogger(__name__)

EVERY = 3600.0
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class _Old:
    """What of one job goes: results in these namespaces, working files of these attempts, its logs."""

    job_id: str
    places: tuple[str, ...]
    runs: tuple[Attempt, ...]
    logs: bool


class Retention:
    """The service. The ledger is never touched, nor are rows of jobs: a job stays known, its files go."""

    name = "retention"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self) -> None:
        while True:
            await self.sweep()
            await asyncio.sleep(EVERY)

    async def sweep(self) -> int:
        """One pass; returns how many jobs lost their files."""
        engine = self._engine
        now = engine.clock.now_ms()
        ages = engine.settings.retention
        while (await engine.db.write(lambda tx: retention.prune(tx, now_ms=now, settings=ages))).more:
            pass
        for peer in await engine.db.read(peers.all):
            while await engine.db.write(partial(retention.crop_answers, source=peer.node_id, now_ms=now)):
                pass
        removed = 0
        async with engine.room.looking:
            usage = await space.measure(engine)
        job_ids = sorted(usage.jobs)
        for begin in range(0, len(job_ids), AT_ONCE):
            batch = job_ids[begin : begin + AT_ONCE]
            for old in await engine.db.read(partial(self._old, usage=usage, job_ids=batch, now_ms=now)):
                try:
                    await self._remove(old)
                    removed += 1
                except (NodeError, OSError) as error:
                    # The folder of logs goes last, so the next pass finds this job again.
                    _LOG.error("files of job %s cannot be removed: %s", old.job_id, error)
        if removed:
            engine.room.stale = True
            _LOG.info("removed files of %d old jobs", removed)
        return removed

    def _old(self, reader: Reader, *, usage: Usage, job_ids: Sequence[str], now_ms: int) -> list[_Old]:
        """What of these jobs is due."""
        ages = self._engine.settings.retention
        kept, used = keeping.kept_of(reader, job_ids), namespaces_in_use(self._engine, reader)
        found = []
        for job in keeping.facts(reader, job_ids).values():
            files = usage.jobs[job.job_id]
            places: tuple[str, ...] = ()
            # Where nobody can say what is in the storage, it is looked for as long as there are logs.
            if _is_due(job.ended_ms, ages.results_days, now_ms) and (files.objects or not usage.storage):
                places = tuple(keeping.namespaces(reader, [job.job_id]))
            if job.job_id in kept or any(place in used for place in places):
                places = ()
            logs = files.has_logs and _is_due(job.ended_ms, ages.logs_days, now_ms)
            runs = _is_due(job.ended_ms, ages.runs_days, now_ms) and bool(files.runs or logs)
            old = _Old(job.job_id, places, tuple(attempts.of_job(reader, job.job_id)) if runs else (), logs=logs)
            if places or runs or logs:
                found.append(old)
        return found

    async def _remove(self, old: _Old) -> None:
        engine = self._engine
        for run in old.runs:
            runner = engine.runners.get(run.runner)
            if runner is not None:
                await runner.forget(attempt_verbs.handle_of(run))
        await remove(engine, old.job_id, old.places, actor="node")
        if old.logs:
            await asyncio.to_thread(shutil.rmtree, engine.home.logs / old.job_id)


def _is_due(ended_ms: int | None, days: int, now_ms: int) -> bool:
    due_ms = removal_ms(ended_ms, days, kept=False)
    return due_ms is not None and due_ms < now_ms
