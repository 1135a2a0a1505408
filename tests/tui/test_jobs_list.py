"""The job list against real nodes: filter, order and preview over a long history; acting on several jobs at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from embedded_scheduler.wire.query import QueryFault, parse_query
from nodeconsole.app import NodeConsoleApp
from nodeconsole.client import NodeClient
from nodeconsole.i18n.catalogue import load
from nodeconsole.screens.jobs import JobsScreen
from nodeconsole.viewmodels.display import Display, job_status
from nodeconsole.viewmodels.glyphs import SAFE, UNICODE
from nodeconsole.viewmodels.job_preview import preview_lines, watched_task
from nodeconsole.viewmodels.jobs import fault_text
from nodeconsole.viewmodels.spans import plain
from nodeconsole.viewmodels.text import cells
from tests.support.console import press, screen_text, until, until_shown
from tests.support.fake_node import NOW_MS, make_detail, make_job
from tests.support.hosted import Hosted, hosted
from tests.support.probe_jobs import chain, probe_job
from tests.support.showcase import app_of, serving

EN = Display(load("en_US"), UNICODE, NOW_MS, UTC, "alice")
ZH = Display(load("zh_CN"), SAFE, NOW_MS, UTC, "alice")


@pytest.fixture(scope="module")
def node() -> Iterator[Hosted]:
    with serving() as running:
        yield running


async def _over(client: NodeClient, job_id: str) -> None:
    async with asyncio.timeout(20):
        async for _ in client.events(0):
            if (await client.job(job_id)).job.outcome:
                return


def _jobs(app: NodeConsoleApp) -> JobsScreen:
    assert isinstance(app.screen, JobsScreen)
    return app.screen


async def test_the_filter_is_answered_by_the_node_over_all_jobs(node: Hosted) -> None:
    async with app_of(node).run_test(size=(80, 24)) as pilot:
        await press(pilot, "g", "j")
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "/", *"status:failed ~wb", "enter")
        await until(pilot, lambda: {job_status(job) for job in _jobs(pilot.app).rows} == {"failed"})
        assert {job.flow_id for job in _jobs(pilot.app).rows} == {"woe-binning"}
        await press(pilot, "/", *" age:<", "enter")
        await until_shown(pilot, "age:<: wants < or > and a span")
        assert _jobs(pilot.app).rows
        await press(pilot, "escape")
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, ":", *"jobs re:^nothing-\\d$", "enter")
        await until_shown(pilot, "0 of 1,200")
        await until_shown(pilot, "Nothing fits this filter")


async def test_the_order_is_that_of_all_jobs_and_goes_on_page_by_page(node: Hosted) -> None:
    async with app_of(node).run_test(size=(80, 24)) as pilot:
        await press(pilot, "g", "j")
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "s", "d", "s", "d")
        await until(pilot, lambda: _jobs(pilot.app).view.reverse and len(_jobs(pilot.app).rows) == 100)
        await press(pilot, "G")
        await until(pilot, lambda: len(_jobs(pilot.app).rows) == 200)
        started = [job for job in _jobs(pilot.app).rows if job.started_ms]
        took = [job.ended_ms - (job.started_ms or 0) for job in started if job.ended_ms]
        assert took == sorted(took, reverse=True)
        assert len({job.job_id for job in _jobs(pilot.app).rows}) == 200


async def test_the_preview_shows_the_flow_why_and_the_end_of_the_log(node: Hosted) -> None:
    async with app_of(node).run_test(size=(132, 40)) as pilot:
        await press(pilot, "g", "j")
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "/", *"status:failed woe", "enter")
        await until_shown(pilot, "last lines of binning")
        shown = screen_text(pilot)
        assert "✗ binning" in shown
        assert "column age has 2 nulls" in shown


async def test_what_waits_for_us_is_not_opened_by_looking_at_the_list(node: Hosted) -> None:
    async with node.client() as client:
        before = (await client.status()).last_seq
        async with app_of(node).run_test(size=(132, 40)) as pilot:
            await press(pilot, "g", "j")
            await until_shown(pilot, "100 of 1,200")
            await press(pilot, "/", *"waiting", "enter", "j")
            await until(pilot, lambda: {job_status(job) for job in _jobs(pilot.app).rows} == {"waiting"})
            await press(pilot, "k", "j")
        assert (await client.status()).last_seq == before


async def test_several_jobs_run_again_after_their_number_was_typed() -> None:
    with TemporaryDirectory(prefix="nc") as directory:
        async with hosted(Path(directory) / "h") as own, own.client() as client:
            for _ in range(2):
                await _over(client, (await client.submit(probe_job({"guest": "alice"}, chain(1)))).job_id)
            app = NodeConsoleApp(own.home.socket, language="en_US", environ={})
            async with app.run_test(size=(80, 24)) as pilot:
                await press(pilot, "g", "j")
                await until_shown(pilot, "2 of 2")
                await press(pilot, "*", "R")
                await until_shown(pilot, "Run 2 jobs again")
                await press(pilot, "2", "enter")
                await until_shown(pilot, "submitted 2 of 2 jobs again")
                await until_shown(pilot, "4 of 4")
                await press(pilot, "g", "g", "R")
                await until(pilot, lambda: "Run this job again" in screen_text(pilot) or "stop" in screen_text(pilot))
            assert len((await client.jobs()).jobs) == 4


@pytest.mark.parametrize("display", [EN, ZH], ids=["en", "zh"])
@pytest.mark.parametrize("number", range(8))
def test_the_preview_fits_its_pane(number: int, display: Display) -> None:
    job, detail = make_job(number), make_detail(make_job(number))
    for width, height in ((40, 12), (50, 30)):
        lines = preview_lines(job, detail, ["INFO a", "ERROR b\x1b[0m"], display, width, height)
        assert all(cells(plain(line)) <= max(width, cells(plain(lines[0]))) for line in lines[2:])
        assert any(task.name in plain(line) for line in lines for task in detail.tasks)
    assert preview_lines(job, None, [], display, 50, 30)[0]


def test_the_log_of_the_preview_is_the_one_that_tells_most() -> None:
    detail = make_detail(make_job(2))
    watched = watched_task(detail)
    assert watched is None or watched.state == "FAILED"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("status:no", "status:no: wants waiting"),
        ("age:2", "age:2: wants < or >"),
        ("dur:", "dur:: wants < or >"),
        ("party:", "party:: wants part of a node's id"),
        ("re:(", "re:(: a ( without its )"),
    ],
)
def test_a_fault_of_the_filter_points_at_its_term(typed: str, said: str) -> None:
    with pytest.raises(QueryFault) as caught:
        parse_query(typed)
    assert said in fault_text(caught.value, EN)
    assert typed in fault_text(caught.value, ZH)
