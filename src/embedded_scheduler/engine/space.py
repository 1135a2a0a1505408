"""How much of the disk the node's own files take, whose they are, and whether there is room for another job.

The files are counted in a thread, every few minutes and when somebody asks; a large node is looked at less often.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from embedded_scheduler.config import GIB, MIB, Settings
from embedded_scheduler.domain.space import JobSpace, Level, Usage, free_level, level_of, removal_ms
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import NodeError, Unavailable
from embedded_scheduler.home import Home
from embedded_scheduler.sentences import Sentence, say
from embedded_scheduler.spi.storage import CountedStorage, RemoteStorage, Storage
from embedded_scheduler.store import datasets, keeping
from embedded_scheduler.store.database import Reader
from embedded_scheduler.store.keeping import JobFacts

EVERY = 300.0
RARELY = 100
"""Between two looks at least so many times as long as one takes: at most a hundredth of a core."""
FRESH_S = 5.0
"""What somebody who asks may get is at most so old, or as old as `RARELY` half a look."""
LOW_DISK = 1024 * MIB
"""Less free space than this is worth a warning, whatever is to be kept free."""


class SpaceWatch:
    """The service. `engine.room.usage` is what it saw last."""

    name = "space"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self) -> None:
        while True:
            async with self._engine.room.looking:
                usage = await measure(self._engine)
            await asyncio.sleep(max(EVERY, usage.took_s * RARELY))


async def fresh(engine: Engine) -> Usage:
    """As of a few seconds ago; of a large node, as of some minutes ago. Several who ask at once get one look."""
    async with engine.room.looking:
        usage = engine.room.usage
        age_s = engine.clock.monotonic() - engine.room.at
        if usage is not None and not engine.room.stale and age_s < max(FRESH_S, usage.took_s * RARELY / 2):
            return usage
        return await measure(engine)


async def measure(engine: Engine) -> Usage:
    """Look at everything now."""
    began = engine.clock.monotonic()
    engine.room.stale = False
    home = engine.home
    files = await asyncio.to_thread(_files, home)
    stored = await _stored(engine.storage)
    usage = await engine.db.read(lambda reader: _sorted_out(reader, files, stored or {}, engine))
    engine.room.at = engine.clock.monotonic()
    engine.room.usage = replace(
        usage,
        measured_ms=engine.clock.now_ms(),
        took_s=engine.room.at - began,
        records=files.records,
        storage=stored is not None,
    )
    return engine.room.usage


@dataclass(frozen=True, slots=True)
class _Files:
    """Bytes by job, by attempt and by session of the channel."""

    logs: Mapping[str, int]
    runs: Mapping[str, int]
    channel: Mapping[str, int]
    records: int


def _files(home: Home) -> _Files:
    database = sum(path.stat().st_size for path in home.path.glob(f"{home.database.name}*") if path.is_file())
    return _Files(
        logs=_by_folder(home.logs),
        runs=_by_folder(home.runs),
        channel=_by_folder(home.channel),
        records=database + sum(_sizes(home.backups)),
    )


def _by_folder(root: Path) -> dict[str, int]:
    try:
        return {entry.name: sum(_sizes(Path(entry.path))) for entry in os.scandir(root) if _is_folder(entry)}
    except OSError:
        return {}


def _sizes(root: Path) -> Iterator[int]:
    """Of all files below; what vanishes meanwhile, or cannot be looked into, counts for nothing."""
    try:
        entries = list(os.scandir(root))
    except OSError:
        return
    for entry in entries:
        if _is_folder(entry):
            yield from _sizes(Path(entry.path))
            continue
        try:
            yield entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


async def _stored(storage: Storage) -> dict[tuple[str, str], int] | None:
    """Bytes by namespace and name; None = nobody can say now."""
    if not isinstance(storage, CountedStorage):
        return None
    found: dict[tuple[str, str], int] = {}
    try:
        async for piece in storage.everything():
            key = piece.namespace, piece.name
            found[key] = found.get(key, 0) + piece.size
    except NodeError:
        return None
    return found


def _sorted_out(reader: Reader, files: _Files, stored: Mapping[tuple[str, str], int], engine: Engine) -> Usage:
    """Whose everything is. In an object store what is nobody's here may be anybody's, and is left out."""
    runs = _by_job(keeping.jobs_of_attempts(reader, files.runs), files.runs)
    channel = _by_job(keeping.jobs_of_sessions(reader, files.channel), files.channel)
    known = {(row.namespace, row.name): row.dataset_id for row in datasets.all(reader)}
    of_job = keeping.namespaces(reader, {namespace.rsplit("-", 2)[0] for namespace, _ in stored})
    results: dict[str, list[int]] = {}
    prepared: dict[str, int] = {}
    other = 0
    for (namespace, name), size in stored.items():
        if (namespace, name) in known:
            prepared[known[namespace, name]] = size
        elif namespace in of_job:
            results.setdefault(of_job[namespace], []).append(size)
        elif not isinstance(engine.storage, RemoteStorage):
            other += size
    jobs = {
        job_id: JobSpace(
            results=sum(results.get(job_id, ())),
            logs=files.logs.get(job_id, 0),
            runs=runs.get(job_id, 0),
            channel=channel.get(job_id, 0),
            objects=len(results.get(job_id, ())),
            has_logs=job_id in files.logs,
        )
        for job_id in {*results, *files.logs, *runs, *channel}
    }
    return Usage(0, jobs=jobs, datasets=prepared, other=other)


def _by_job(jobs: Mapping[str, str], sizes: Mapping[str, int]) -> dict[str, int]:
    """What belongs to no job that is known here is counted under its own name."""
    found: dict[str, int] = {}
    for name, size in sizes.items():
        job_id = jobs.get(name, name)
        found[job_id] = found.get(job_id, 0) + size
    return found


@dataclass(frozen=True, slots=True)
class StoringJob:
    """A job with files here. `facts` None: the database knows no such job, somebody put them there."""

    job_id: str
    files: JobSpace
    facts: JobFacts | None
    kept: bool
    removal_ms: int | None
    """When its results go; None = it has none, they are kept, or the job is not over."""


async def jobs(engine: Engine, usage: Usage) -> list[StoringJob]:
    """Everything that has files here, the largest first."""
    days = engine.settings.retention.results_days

    def look(reader: Reader) -> list[StoringJob]:
        known, kept = keeping.facts(reader, usage.jobs), keeping.kept_of(reader, usage.jobs)
        found = []
        for job_id, files in usage.jobs.items():
            facts = known.get(job_id)
            ended_ms = facts.ended_ms if facts is not None and files.objects else None
            due_ms = removal_ms(ended_ms, days, kept=job_id in kept)
            found.append(StoringJob(job_id, files, facts, job_id in kept, due_ms))
        return sorted(found, key=lambda job: (-job.files.total, job.job_id))

    return await engine.db.read(look)


# -- room for another job ---------------------------------------------------------------------------------------------


def quota_of(settings: Settings) -> int:
    """Bytes; 0 = there is none."""
    return round(settings.storage.quota_gib * GIB)


def kept_free(settings: Settings) -> int:
    """Bytes of the file system that are not for new jobs."""
    return round(settings.limits.disk_free_gib * GIB)


def quota_level(engine: Engine) -> Level:
    usage = engine.room.usage
    return level_of(usage.total, quota_of(engine.settings)) if usage is not None else Level.FINE


def disk_level(home: Home, settings: Settings) -> tuple[int, int, Level]:
    """Bytes that are free and bytes in all where the home is. Blocks for a moment."""
    disk = shutil.disk_usage(home.path)
    return disk.free, disk.total, free_level(disk.free, kept_free(settings), LOW_DISK)


async def no_room(engine: Engine) -> Sentence | None:
    """Why this node takes no new job now, for its operator; None = it does."""
    if quota_level(engine) is Level.FULL:
        # Before anybody is turned away: what was removed since the last look counts.
        usage, quota = await fresh(engine), quota_of(engine.settings)
        if level_of(usage.total, quota) is Level.FULL:
            return say("quota_full", used=usage.total // MIB, quota=quota // MIB)
    free, _, level = await asyncio.to_thread(disk_level, engine.home, engine.settings)
    if level is Level.FULL:
        return say("disk_full", free=free // MIB, keep=kept_free(engine.settings) // MIB)
    return None


async def check_room(engine: Engine, caller: str) -> None:
    """`Unavailable` when there is no room for another job. A partner is not told how full this node is."""
    why = await no_room(engine)
    if why is not None:
        raise Unavailable(why if caller == engine.node_id else say("no_space_here", node=engine.node_id))
