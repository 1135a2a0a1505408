"""What a node stores is counted, kept, removed when it is old, and bounded."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.integration.engine.test_clock import JumpingClock, submit
from tests.support.cluster import Cluster, document

from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.config import GIB, MIB, Limits, StorageSection
from embedded_scheduler.config import Retention as Ages
from embedded_scheduler.connectors.csv import CsvConnector
from embedded_scheduler.diagnosis import quota_finding
from embedded_scheduler.domain.lifecycle import JobState
from embedded_scheduler.engine import datasets, jobs, keeping, space
from embedded_scheduler.engine.context import Engine
from embedded_scheduler.engine.retention import Retention
from embedded_scheduler.errors import Conflict, Refused, StoreError, Unavailable
from embedded_scheduler.store import keeping as store
from embedded_scheduler.store import ledger

ACTOR = "operator:ann"


async def chunks(size: int) -> AsyncIterator[bytes]:
    for begin in range(0, size, MIB):
        yield b"x" * min(MIB, size - begin)


async def finished(net: Cluster, engine: Engine, *, size: int = 1000) -> str:
    """A job that is over and stored something at alice."""
    job_id = await submit(net, ("a",))
    await net.over(engine.node_id, job_id)
    places = await engine.db.read(lambda reader: store.namespaces(reader, [job_id]))
    assert places, "a part of it ran here"
    await engine.storage.write(next(iter(places)), "out", chunks(size))
    return job_id


async def has_results(engine: Engine, job_id: str) -> bool:
    places = await engine.db.read(lambda reader: store.namespaces(reader, [job_id]))
    return any([await engine.storage.list(place) for place in places])


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
async def net(tmp_path: Path, clock: JumpingClock) -> AsyncIterator[Cluster]:
    found = Cluster(tmp_path)
    found.clock = clock
    await found.start("bob")
    yield found
    await found.stop_all()


async def test_results_logs_and_working_files_have_ages_of_their_own(net: Cluster, clock: JumpingClock) -> None:
    engine = await net.start("alice", retention=Ages(runs_days=10, results_days=20, logs_days=0))
    job_id, kept = await finished(net, engine), await finished(net, engine)
    await keeping.keep(engine, kept, actor=ACTOR)
    sweep = Retention(engine).sweep
    clock.off_ms = 19 * DAY_MS
    await sweep()
    assert await has_results(engine, job_id)
    clock.off_ms = 21 * DAY_MS
    assert await sweep() == 1
    assert [await has_results(engine, each) for each in (job_id, kept)] == [False, True]
    assert (engine.home.logs / job_id).exists(), "logs_days = 0 keeps them"
    found = await engine.db.read(lambda reader: store.of(reader, job_id))
    assert found.removed_by == "node"
    assert found.removed_ms is not None

    await keeping.release(engine, kept, actor=ACTOR)
    assert await sweep() == 1
    assert not await has_results(engine, kept)


async def test_results_that_a_dataset_is_made_of_stay(net: Cluster, clock: JumpingClock) -> None:
    engine = await net.start("alice", retention=Ages(results_days=1))
    job_id = await finished(net, engine, size=0)
    (place,) = await engine.db.read(lambda reader: store.namespaces(reader, [job_id]))
    await engine.storage.write(place, "out", _table())
    engine.connectors = {"csv": CsvConnector()}
    path = str(engine.home.storage / place / "out")
    await datasets.register(engine, "mine", "", "csv", {"path": path}, actor=ACTOR)
    with pytest.raises(Conflict, match="datasets#mine"):
        await keeping.discard(engine, job_id, actor=ACTOR)
    clock.off_ms = 40 * DAY_MS
    await Retention(engine).sweep()
    assert await has_results(engine, job_id)
    await datasets.remove(engine, "", "mine", actor=ACTOR)
    assert (await keeping.discard(engine, job_id, actor=ACTOR)).objects == 1


async def _table() -> AsyncIterator[bytes]:
    yield b"id,x\n1,2\n"


async def test_removing_is_recorded_and_refused_while_the_job_runs(net: Cluster) -> None:
    engine = await net.start("alice")
    job_id = await finished(net, engine, size=2000)
    await keeping.keep(engine, job_id, actor=ACTOR)
    gone = await keeping.discard(engine, job_id, actor=ACTOR)
    assert (gone.objects, gone.size) == (1, 2000)
    assert not await has_results(engine, job_id)
    for again in (keeping.discard, keeping.keep):
        with pytest.raises(Conflict):
            await again(engine, job_id, actor=ACTOR)
    events, _ = await engine.db.read(lambda reader: ledger.newest(reader, ledger.Wanted(), limit=50))
    told = [(event.event, event.actor) for event in events if event.event.startswith("job.results")]
    assert told == [("job.results_removed", ACTOR), ("job.results_kept", ACTOR)]

    net.runners["alice"].result = lambda _: None
    running = await submit(net, ("a",))
    await net.until("alice", running, lambda s: s.state is JobState.RUNNING)
    with pytest.raises(Conflict, match="is not over"):
        await keeping.discard(engine, running, actor=ACTOR)
    await keeping.keep(engine, running, actor=ACTOR)


async def test_a_quota_warns_before_it_refuses_and_what_runs_goes_on(net: Cluster) -> None:
    quota = 10 * MIB
    engine = await net.start("alice", storage=StorageSection(quota_gib=quota / GIB))
    first = await finished(net, engine, size=7 * MIB)
    assert quota_finding(await space.measure(engine), engine.settings).level == "ok"
    second = await finished(net, engine, size=round(1.5 * MIB))
    usage = await space.measure(engine)
    assert usage.jobs[first].results == 7 * MIB
    assert quota_finding(usage, engine.settings).level == "warning"

    net.runners["alice"].result = lambda _: None
    running = await submit(net, ("a",))
    await net.until("alice", running, lambda s: s.state is JobState.RUNNING)
    await engine.storage.write("somebody", "else", chunks(2 * MIB))
    usage = await space.measure(engine)
    assert usage.other == 2 * MIB
    assert quota_finding(usage, engine.settings).level == "error"
    with pytest.raises(Unavailable, match="nodeconsole space"):
        await submit(net, ("a",))
    made = document(("one",), roles={"guest": ["bob"], "host": ["alice"]}, initiator="bob")
    with pytest.raises(Unavailable, match="no space for further jobs") as refused:
        await jobs.create(engine, "bob-1", made, source="bob", trace_id="t")
    assert "MiB" not in refused.value.message, "a partner is not told how full this node is"
    assert (await net.view("alice", running)).state is JobState.RUNNING

    await keeping.discard(engine, first, actor=ACTOR)
    assert await submit(net, ("a",))
    assert await has_results(engine, second)


async def test_a_disk_that_is_nearly_full_takes_no_jobs_but_all_else(net: Cluster) -> None:
    engine = await net.start("alice")
    net.partners["alice"].policy.update(bob="manual")
    waiting = document(("one",), roles={"guest": ["bob"], "host": ["alice"]}, initiator="bob")
    await jobs.create(engine, "bob-1", waiting, source="bob", trace_id="t")
    engine.settings = engine.settings.model_copy(update={"limits": Limits(disk_free_gib=10**6)})
    with pytest.raises(Unavailable, match="disk_free_gib"):
        await submit(net, ("a",))
    with pytest.raises(Refused, match="disk_free_gib"):
        await jobs.decide(engine, "bob-1", approve=True, reason="", actor=ACTOR)
    await jobs.decide(engine, "bob-1", approve=False, reason="full", actor=ACTOR)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], check=False, capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"cannot mount a file system here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_on_a_full_disk_the_node_can_be_asked_and_results_removed(small_disk: Path) -> None:
    found = Cluster(small_disk)
    limits = Limits(disk_free_gib=4 * MIB / GIB)

    async def write_on() -> None:
        for _ in range(200):
            await keeping.keep(engine, job_id, actor=ACTOR)
            await keeping.release(engine, job_id, actor=ACTOR)

    try:
        await found.start("bob", limits=limits)
        engine = await found.start("alice", limits=limits)
        job_id = await finished(found, engine, size=8 * MIB)
        _fill(small_disk / "filler")
        with pytest.raises(StoreError, match="full"):
            await write_on()
        with pytest.raises(Unavailable, match="disk_free_gib"):
            await submit(found, ("a",))
        assert (await space.measure(engine)).jobs[job_id].results == 8 * MIB
        assert (await keeping.discard(engine, job_id, actor=ACTOR)).size == 8 * MIB
        assert (await engine.db.read(lambda reader: store.of(reader, job_id))).removed_by == ACTOR
        assert await submit(found, ("a",))
    finally:
        await found.stop_all()


def _fill(path: Path) -> None:
    """To the last block."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


async def test_a_link_to_somebody_elses_file_takes_no_space(net: Cluster, tmp_path: Path) -> None:
    engine = await net.start("alice")
    engine.connectors = {"csv": CsvConnector()}
    source = tmp_path / "table.csv"
    source.write_bytes(b"id,x\n1,2\n")
    await datasets.register(engine, "theirs", "", "csv", {"path": str(source)}, actor=ACTOR)
    await datasets.stage(engine, "datasets", "theirs")
    linked = (await space.measure(engine)).datasets["datasets#theirs"]
    source.unlink()
    assert (await space.measure(engine)).datasets["datasets#theirs"] == linked + len(b"id,x\n1,2\n")
