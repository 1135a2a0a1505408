"""Results of jobs on this node: kept for good, released again, or removed before their time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.domain.lifecycle import JOB
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.errors import Conflict, NotFound, StoreError
from embedded_scheduler.sentences import say
from embedded_scheduler.spi.storage import FileStorage
from embedded_scheduler.store import datasets, jobs, keeping, ledger
from embedded_scheduler.store.database import Reader, Tx
from embedded_scheduler.store.keeping import Keeping


@dataclass(frozen=True, slots=True)
class Removed:
    """So much is gone."""

    objects: int
    size: int


async def keep(engine: Engine, job_id: str, *, actor: str) -> Keeping:
    """Results that are there, or are still to come, stay until somebody releases or removes them."""

    def work(tx: Tx) -> Keeping:
        found = _known(tx, job_id)
        if found.removed_ms is not None:
            raise Conflict(say("results_gone", job=job_id))
        if found.kept_ms is None:
            _record(tx, job_id, "job.results_kept", actor)
            keeping.keep(tx, job_id, actor)
        return keeping.of(tx, job_id)

    return await engine.db.write(work)


async def release(engine: Engine, job_id: str, *, actor: str) -> Keeping:
    """They go when they are old enough."""

    def work(tx: Tx) -> Keeping:
        if _known(tx, job_id).kept_ms is not None:
            _record(tx, job_id, "job.results_released", actor)
            keeping.release(tx, job_id)
        return keeping.of(tx, job_id)

    return await engine.db.write(work)


async def discard(engine: Engine, job_id: str, *, actor: str) -> Removed:
    """Remove what the tasks of a job that is over stored here; logs stay until their own time.

    `Conflict` while the job runs, and while a dataset is made of its results, which another job may be reading.
    """

    def look(reader: Reader) -> list[str]:
        head = jobs.head(reader, job_id)
        if head is None:
            raise NotFound(say("job_unknown", job=shorten(job_id)))
        if not JOB.is_terminal(head.state):
            raise Conflict(say("results_of_open_job", job=job_id))
        places, used = [*keeping.namespaces(reader, [job_id])], namespaces_in_use(engine, reader)
        for place in places:
            if place in used:
                raise Conflict(say("results_in_use", job=job_id, dataset=used[place]))
        return places

    gone = await remove(engine, job_id, await engine.db.read(look), actor=actor)
    if not gone.objects:
        raise Conflict(say("results_none", job=job_id))
    return gone


async def remove(engine: Engine, job_id: str, places: Iterable[str], *, actor: str) -> Removed:
    """Everything that is stored in these namespaces, with a record of it; without one when there is nothing."""
    objects = [stored for place in places for stored in await engine.storage.list(place)]
    gone = Removed(len(objects), sum(stored.size for stored in objects))
    if not objects:
        return gone

    def record(tx: Tx) -> None:
        _record(tx, job_id, "job.results_removed", actor, {"objects": gone.objects, "size": gone.size})
        keeping.removed(tx, job_id, actor)

    try:
        await engine.db.write(record)
        recorded = True
    except StoreError:
        # A full disk takes no record of what would make room on it: then it follows.
        recorded = False
    for stored in objects:
        await engine.storage.delete(stored.namespace, stored.name)
    if not recorded:
        await engine.db.write(record)
    engine.room.stale = True
    return gone


def namespaces_in_use(engine: Engine, reader: Reader) -> dict[str, str]:
    """Namespaces of the storage that registered datasets are made of, each with the id of one."""
    storage = engine.storage
    root = storage.path("namespace", "name").parents[1].resolve() if isinstance(storage, FileStorage) else None
    found = {}
    for row in datasets.all(reader):
        found[row.namespace] = row.dataset_id
        path = row.options.get("path")
        source = Path(path).resolve() if isinstance(path, str) else None
        if root is not None and source is not None and source.is_relative_to(root):
            found[source.relative_to(root).parts[0]] = row.dataset_id
    return found


def _known(reader: Reader, job_id: str) -> Keeping:
    if jobs.head(reader, job_id) is None:
        raise NotFound(say("job_unknown", job=shorten(job_id)))
    return keeping.of(reader, job_id)


def _record(tx: Tx, job_id: str, event: str, actor: str, data: Mapping[str, int] | None = None) -> None:
    ledger.append(tx, subject="job", subject_id=job_id, job_id=job_id, event=event, actor=actor, data=data)
