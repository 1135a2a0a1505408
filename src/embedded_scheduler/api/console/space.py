"""`/space` and `/jobs/<id>/keep | release | discard`: what the node stores, and what becomes of results."""

from __future__ import annotations

import asyncio

from quart import Quart

from embedded_scheduler.api.console import endpoint, views
from embedded_scheduler.api.console.jobs import find_job, keeping_of
from embedded_scheduler.api.console.state import Console
from embedded_scheduler.domain.space import Level, level_of
from embedded_scheduler.engine import keeping, space
from embedded_scheduler.spi.storage import RemoteStorage
from embedded_scheduler.wire.console import Keeping, said
from embedded_scheduler.wire.console_space import DatasetSpaceRow, Discarded, SpaceReport

_WORST = (Level.FINE, Level.TIGHT, Level.SOON, Level.FULL)


def install(app: Quart, console: Console) -> None:
    storing = Space(console)
    endpoint.route(app, "GET", "/space", storing.report)
    endpoint.route(app, "POST", "/jobs/<job_id>/keep", storing.keep)
    endpoint.route(app, "POST", "/jobs/<job_id>/release", storing.release)
    endpoint.route(app, "POST", "/jobs/<job_id>/discard", storing.discard)


class Space:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._engine = console.engine

    async def report(self) -> SpaceReport:
        """As of a few seconds ago."""
        engine = self._engine
        limit = endpoint.number_query("limit", 20, low=1, high=1000)
        usage = await space.fresh(engine)
        storing = await space.jobs(engine, usage)
        free, total, disk = await asyncio.to_thread(space.disk_level, engine.home, engine.settings)
        quota = space.quota_of(engine.settings)
        datasets = sorted(usage.datasets.items(), key=lambda pair: (-pair[1], pair[0]))
        storage, refusal = engine.storage, await space.no_room(engine)
        return SpaceReport(
            measured_ms=usage.measured_ms,
            level=max(disk, level_of(usage.total, quota), key=_WORST.index),
            refusal=str(refusal or ""),
            said=said(refusal=refusal or ""),
            quota=quota,
            used=usage.total,
            disk_free=free,
            disk_total=total,
            disk_keep=space.kept_free(engine.settings),
            kinds=usage.by_kind(),
            storage=storage.described if isinstance(storage, RemoteStorage) else "",
            storage_seen=usage.storage,
            jobs=[views.job_space(job) for job in storing[:limit]],
            jobs_total=len(storing),
            datasets=[DatasetSpaceRow(dataset_id=name, size=size) for name, size in datasets[:limit]],
        )

    async def keep(self, job_id: str) -> Keeping:
        found = await find_job(self._console, job_id)
        await keeping.keep(self._engine, found, actor=endpoint.operator())
        return await self._keeping(found)

    async def release(self, job_id: str) -> Keeping:
        found = await find_job(self._console, job_id)
        await keeping.release(self._engine, found, actor=endpoint.operator())
        return await self._keeping(found)

    async def _keeping(self, job_id: str) -> Keeping:
        days = self._engine.settings.retention.results_days
        return await self._engine.db.read(lambda reader: keeping_of(reader, job_id, days))

    async def discard(self, job_id: str) -> Discarded:
        found = await find_job(self._console, job_id)
        gone = await keeping.discard(self._engine, found, actor=endpoint.operator())
        return Discarded(objects=gone.objects, size=gone.size)
