"""The shown node: what its history holds, that it is sound, and that operators really act on it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.hosted import Hosted
from tests.support.showcase import NOW_MS, copy_home, serving

from embedded_scheduler.clock import DAY_MS
from embedded_scheduler.domain.component import parse_manifest
from embedded_scheduler.showcase import catalogue, plot
from embedded_scheduler.showcase.exhibit import StillClock
from embedded_scheduler.store import contracts, ledger
from embedded_scheduler.store.database import Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    home = copy_home(tmp_path / "h")
    db = await Database.open(home.database, clock=StillClock(NOW_MS))
    yield db
    await db.close()


@pytest.fixture(scope="module")
def node() -> Iterator[Hosted]:
    with serving() as running:
        yield running


async def test_the_chain_of_events_is_whole_and_in_the_order_of_time(database: Database) -> None:
    report = await database.read(ledger.verify)
    assert report.ok, report.fault
    assert report.events > 20_000
    events = await database.read(lambda reader: ledger.page(reader, limit=report.events))
    times = [event.at_ms for event in events]
    assert times == sorted(times)
    assert times[0] >= NOW_MS - plot.DAYS * DAY_MS
    assert times[-1] <= NOW_MS


def test_the_same_moment_gives_the_same_history() -> None:
    assert plot.stories(NOW_MS) == plot.stories(NOW_MS)
    later = plot.stories(NOW_MS + DAY_MS)
    moved = [dataclasses.replace(story, created_ms=story.created_ms + DAY_MS) for story in plot.stories(NOW_MS)]
    assert later == moved


async def test_every_state_of_a_job_is_there(database: Database) -> None:
    rows = await database.read(lambda reader: reader.all("jobs.page", self="alice", before=1 << 62, limit=5000))
    assert len(rows) == plot.JOBS
    found = Counter(row["outcome"] or row["state"] for row in rows)
    assert found["RUNNING"] == 3
    assert found["PENDING"] == 4
    assert min(found[word] for word in ("failed", "stopped", "REJECTED")) >= 5
    assert sum(bool(row["needs_decision"]) for row in rows) == 2
    assert max(row["tasks_total"] for row in rows) == 12


async def test_contracts_are_in_every_state(database: Database) -> None:
    rows = await database.read(contracts.all)
    assert {row.state.value for row in rows} == {"APPLIED", "APPROVED", "REJECTED", "TERMINATED"}
    ending = next(row for row in rows if row.node_id == "dave")
    assert ending.expires_ms == NOW_MS + 9 * DAY_MS


def test_components_have_every_kind_of_parameter() -> None:
    parsed = [parse_manifest(manifest) for manifest in catalogue.manifests()]
    kinds = {param.ui_type for manifest in parsed for param in manifest.params}
    assert kinds >= {"input", "textArea", "numberPicker", "checkbox", "radio", "switch", "select", "selectTree"}
    types = {param.type for manifest in parsed for param in manifest.params}
    assert types >= {"string", "int", "integer", "float", "boolean", "object"}


async def test_serving_it_changes_nothing_but_the_start(node: Hosted) -> None:
    async with node.client() as client:
        before = await client.status()
        page = await client.jobs(limit=20)
        await asyncio.sleep(0.3)
        after = await client.status()
    assert after.last_seq == before.last_seq
    assert before.jobs["RUNNING"] == 3
    assert before.jobs["waiting"] == 2
    assert page.jobs[0].flow_id == "psi-credit-daily"


async def test_the_long_log_is_served(node: Hosted) -> None:
    async with node.client() as client:
        failed = next(job for job in (await client.jobs(limit=50)).jobs if job.flow_id == "woe-binning")
        page = await client.log(failed.job_id, "binning", start=-3)
        assert page.total >= 30_000
        assert page.complete
        assert page.counts["error"] > 0


async def test_a_job_that_waits_can_be_approved(node: Hosted) -> None:
    async with node.client() as client:
        waiting = [job for job in (await client.jobs(limit=50)).jobs if job.needs_decision]
        approved = await client.approve(waiting[0].job_id, reason="agreed")
        assert approved.state == "READY"
        rejected = await client.reject(waiting[1].job_id, reason="not now")
        assert rejected.job_id == waiting[1].job_id
        async with asyncio.timeout(5):
            while (await client.job(waiting[1].job_id)).job.state != "REJECTED":
                await asyncio.sleep(0.02)


async def test_a_running_job_can_be_stopped(node: Hosted) -> None:
    async with node.client() as client:
        running = next(job for job in (await client.jobs(limit=50)).jobs if job.state == "RUNNING")
        await client.stop(running.job_id, reason="enough")
        async with asyncio.timeout(5):
            while (await client.job(running.job_id)).job.state != "FINISHED":
                await asyncio.sleep(0.02)
        assert (await client.job(running.job_id)).job.outcome == "stopped"


async def test_partners_can_be_invited_and_reached_or_not(node: Hosted) -> None:
    async with node.client() as client:
        async with asyncio.timeout(5):
            while not all(row.last_ok_ms or row.last_error for row in await client.peers()):
                await asyncio.sleep(0.02)
        partners = {row.node_id: row for row in await client.peers()}
    assert partners["bob"].last_ok_ms
    assert "refused" in partners["erin"].last_error
