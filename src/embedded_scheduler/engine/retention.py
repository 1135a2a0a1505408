"""Removes what is older than the settings say: run directories, logs and results of ended jobs, answered messages."""

from __future__ import annotations

import asyncio
import logging
import shutil
from functools import partial
from pathlib import Path

from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.engine import attempts as attempt_verbs
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import NodeError
from embedded_scheduler.store import attempts, jobs, peers, retention
from embedded_scheduler.store.attempts import Attempt
from embedded_scheduler.store.database import Reader

_LOG = logging.getLogger(__name__)

EVERY = 3600.0
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
        for peer in await engine.db.read(peers.all):
            while await engine.db.write(partial(retention.crop_answers, source=peer.node_id, now_ms=now)):
                pass
        before = now - ages.runs_days * DAY_MS
        # Jobs stay known for ever; their folders of logs are those that still have files.
        folders = await asyncio.to_thread(_folders, engine.home.logs)
        removed = 0
        for begin in range(0, len(folders), AT_ONCE):
            batch = folders[begin : begin + AT_ONCE]

            def old(reader: Reader, names: list[str] = batch) -> list[tuple[str, list[Attempt]]]:
                return [
                    (job_id, attempts.of_job(reader, job_id)) for job_id in jobs.ended_before(reader, names, before)
                ]

            for job_id, runs in await engine.db.read(old):
                try:
                    await self._remove(job_id, runs)
                    removed += 1
                except (NodeError, OSError) as error:
                    # The folder of logs goes last, so the next pass finds this job again.
                    _LOG.error("files of job %s cannot be removed: %s", job_id, error)
        if removed:
            _LOG.info("removed logs and results of %d old jobs", removed)
        return removed

    async def _remove(self, job_id: str, runs: list[Attempt]) -> None:
        engine = self._engine
        for run in runs:
            runner = engine.runners.get(run.runner)
            if runner is not None:
                await runner.forget(attempt_verbs.handle_of(run))
            namespace = f"{job_id}-{run.role}-{run.index}"
            for stored in await engine.storage.list(namespace):
                await engine.storage.delete(namespace, stored.name)
        await asyncio.to_thread(shutil.rmtree, engine.home.logs / job_id)


def _folders(logs: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in logs.iterdir() if entry.is_dir())
    except FileNotFoundError:
        return []
