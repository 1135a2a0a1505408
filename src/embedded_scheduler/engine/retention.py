"""Removes what is older than the settings say: run directories, logs and results of ended jobs, answered messages."""

from __future__ import annotations

import asyncio
import logging
import shutil

from embedded_scheduler.engine import attempts as attempt_verbs
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.store import attempts, retention
from embedded_scheduler.store.attempts import Attempt
from embedded_scheduler.store.database import Reader

_LOG = logging.getLogger(__name__)

EVERY = 3600.0
DAY_MS = 86_400_000
AT_ONCE = 200


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
        before = now - engine.settings.retention.runs_days * DAY_MS

        def old(reader: Reader) -> list[tuple[str, list[Attempt]]]:
            rows = reader.all("jobs.ended_before", before_ms=before, limit=AT_ONCE)
            return [(row["job_id"], attempts.of_job(reader, row["job_id"])) for row in rows]

        removed = 0
        for job_id, runs in await engine.db.read(old):
            folder = engine.home.logs / job_id
            if not await asyncio.to_thread(folder.exists):
                continue
            for run in runs:
                runner = engine.runners.get(run.runner)
                if runner is not None:
                    await runner.forget(attempt_verbs.handle_of(run))
                namespace = f"{job_id}-{run.role}-{run.index}"
                for stored in await engine.storage.list(namespace):
                    await engine.storage.delete(namespace, stored.name)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            removed += 1
        if removed:
            _LOG.info("removed logs and results of %d old jobs", removed)
        return removed
