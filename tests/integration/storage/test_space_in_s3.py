"""Results in a bucket are counted and removed as files are; a store that is away hides them, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.integration.engine.test_clock import JumpingClock, submit
from tests.integration.engine.test_space import ACTOR, chunks, has_results
from tests.integration.storage.test_s3_storage import opened
from tests.support.cluster import Cluster
from tests.support.s3_server import S3Server

from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.config import StorageSection
from embedded_scheduler.diagnosis import quota_finding
from embedded_scheduler.engine import keeping, space
from embedded_scheduler.engine.retention import Retention
from embedded_scheduler.store import keeping as store


async def test_results_in_a_bucket(s3: S3Server, tmp_path: Path) -> None:
    found = Cluster(tmp_path)
    found.clock = clock = JumpingClock()
    try:
        await found.start("bob")
        engine = await found.start("alice")
        engine.storage = opened(s3)
        jobs = []
        for size in (1000, 2000, 3000):
            jobs.append(job_id := await submit(found, ("a",)))
            await found.over("alice", job_id)
            places = await engine.db.read(lambda reader, job_id=job_id: store.namespaces(reader, [job_id]))
            await engine.storage.write(next(iter(places)), "out", chunks(size))
        # The same bucket has what this job's other party stored, and what is nobody's here.
        await engine.storage.write(f"{jobs[0]}-host-0", "out", chunks(9000))
        usage = await space.measure(engine)
        assert [usage.jobs[job_id].results for job_id in jobs] == [1000, 2000, 3000]
        assert usage.other == 0

        assert (await keeping.discard(engine, jobs[0], actor=ACTOR)).size == 1000
        await keeping.keep(engine, jobs[1], actor=ACTOR)
        clock.off_ms = 31 * DAY_MS
        await Retention(engine).sweep()
        assert [await has_results(engine, job_id) for job_id in jobs] == [False, True, False]
        assert len(s3.objects) == 2, "the other party's results are none of ours"

        engine.storage = opened(s3, value="another:key")
        away = await space.measure(engine)
        assert not away.storage
        limited = engine.settings.model_copy(update={"storage": StorageSection(quota_gib=1)})
        assert quota_finding(away, limited).level == "warning", "nobody can say how much is used"
    finally:
        await found.stop_all()
