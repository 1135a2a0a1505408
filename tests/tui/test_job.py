"""The job screen with its tabs, the page of a task, and the runs of a flow, on a real node with a history."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.geometry import Region
from textual.pilot import Pilot

from nodeconsole.app import NodeConsoleApp
from nodeconsole.screens.job import JobScreen
from nodeconsole.screens.runs import RunsScreen
from nodeconsole.screens.task import TaskScreen
from nodeconsole.widgets.graph import GraphView
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.hosted import Hosted, hosted
from tests.support.probe_jobs import probe_job
from tests.support.showcase import app_of, serving

TRAINING, FAILED, HOURLY = "sgb-train-v12", "woe-binning", "psi-fraud-hourly"
"""Flows of the shown node: one that runs with twelve tasks, one whose newest run failed, one with many runs."""


@pytest.fixture(scope="module")
def node() -> Iterator[Hosted]:
    with serving() as running:
        yield running


async def _newest(node: Hosted, flow_id: str) -> str:
    async with node.client() as client:
        return (await client.jobs(flow_id=flow_id, limit=1)).jobs[0].job_id


@asynccontextmanager
async def looking_at(node: Hosted, flow_id: str, **options: Any) -> AsyncIterator[tuple[Pilot[None], JobScreen]]:
    """The console, with the newest job of a flow open."""
    size = options.pop("size", (80, 24))
    job_id = await _newest(node, flow_id)
    async with app_of(node, **options).run_test(size=size) as pilot:
        await until(pilot, lambda: pilot.app.session.online)
        screen = JobScreen(pilot.app.session, job_id)
        await pilot.app.push_screen(screen)
        await until(pilot, lambda: screen.detail is not None and flow_id in screen_text(pilot))
        yield pilot, screen


async def test_the_graph_is_walked_by_arrows_and_says_what_is_under_the_cursor(node: Hosted) -> None:
    async with looking_at(node, TRAINING) as (pilot, screen):
        await until_shown(pilot, ">[● binning")
        assert "[Graph]" in screen_text(pilot)
        assert "binning  ● running  alice:guest ●" in screen_text(pilot)
        await press(pilot, "up")
        assert screen.chosen == "split"
        await press(pilot, "left")
        assert screen.chosen == "stats"
        await press(pilot, "j")
        assert screen.chosen in ("explain", "woe", "binning")
        await press(pilot, "G")
        await until_shown(pilot, ">[○ eval")
        await press(pilot, "/", *"read_b", "enter")
        assert screen.chosen == "read_b"


async def test_detail_of_the_graph_and_its_critical_path(node: Hosted) -> None:
    async with looking_at(node, TRAINING) as (pilot, _):
        await until_shown(pilot, "[○ eval")
        await press(pilot, "p")
        await until_shown(pilot, "critical path read_b → psi → split")
        await press(pilot, "-")
        await until_gone(pilot, "eval ")
        await press(pilot, "+", "+")
        await until_shown(pilot, "│ alice ●  bob ●  carl ●")
        await press(pilot, "0")
        await until_shown(pilot, "[○ eval")
        await press(pilot, "i")
        await until_shown(pilot, "in split.data (dataset)   out model (model)")


async def test_without_box_drawing_the_graph_is_plain_text(node: Hosted) -> None:
    async with looking_at(node, TRAINING, glyphs="ascii") as (pilot, _):
        await until_shown(pilot, ">[R binning")
        assert all(line.isascii() for line in screen_text(pilot).splitlines())


async def test_e_goes_to_the_failed_task_and_says_why(node: Hosted) -> None:
    async with looking_at(node, FAILED) as (pilot, screen):
        await until(pilot, lambda: bool(screen.chosen))
        await press(pilot, "g", "g", "e")
        assert screen.chosen_task is not None
        assert screen.chosen_task.state == "FAILED"
        await until_shown(pilot, "✗ failed: exit")


async def test_tabs_keep_the_chosen_task(node: Hosted) -> None:
    async with looking_at(node, TRAINING) as (pilot, screen):
        await until_shown(pilot, ">[● binning")
        await press(pilot, "up", "tab")
        await until_shown(pilot, "▌ split")
        await press(pilot, "d")
        await until_shown(pilot, "driven by")
        await press(pilot, "d", "j", "t", "l")
        await until_shown(pilot, "▌● binning")
        await press(pilot, "shift+tab", "t", "g")
        assert screen.chosen == "binning"
        await until_shown(pilot, ">[● binning")


async def test_the_timeline_shows_every_party_on_one_axis(node: Hosted) -> None:
    async with looking_at(node, TRAINING, size=(132, 40)) as (pilot, _):
        await press(pilot, "t", "l")
        await until_shown(pilot, "done, waits for others")
        await until_shown(pilot, "▌● binning")
        await press(pilot, "g", "g")
        await until_shown(pilot, "▌✓ read_a")
        lines = screen_text(pilot).splitlines()
        psi = next(line for line in lines if " ✓ psi" in line)
        assert "━" in psi
        assert psi.rstrip().endswith("5m27")
        assert any("done, waits for others" in line for line in lines)


async def test_events_in_order_and_all_data_of_one(node: Hosted) -> None:
    async with looking_at(node, FAILED) as (pilot, _):
        await press(pilot, "t", "e")
        await until_shown(pilot, "job.finished")
        await press(pilot, "enter", "/", *"job.finished", "enter")
        await until_shown(pilot, '"event": "job.finished"')


async def test_the_specification_is_searched_and_written_in_two_ways(node: Hosted) -> None:
    async with looking_at(node, FAILED) as (pilot, _):
        await press(pilot, "y")
        await until_shown(pilot, f'"flow_id": "{FAILED}"')
        await press(pilot, "y")
        await until_shown(pilot, f"flow_id: {FAILED}")
        await press(pilot, "/", *"initiator", "enter")
        await until_shown(pilot, "initiator: 1 found")


async def test_results_are_previewed_and_saved(node: Hosted, tmp_path: Path) -> None:
    target = tmp_path / "matched.csv"
    async with looking_at(node, HOURLY) as (pilot, screen):
        await press(pilot, "t", "r")
        await until_shown(pilot, "50 of 120 rows, 2 columns")
        await press(pilot, "enter")
        await until_shown(pilot, "uid     value")
        await press(pilot, "escape", "ctrl+s")
        await until_shown(pilot, "psi-intersection.csv")
        screen.close_prompt()
        screen.prompt_entered("save", str(target))
        await until_shown(pilot, "saved 1.9 KiB to")
        assert target.read_text().startswith("uid,value\n")
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        screen.prompt_entered("save", str(target))
        await until_shown(pilot, "not saved to")


async def test_the_page_of_a_task(node: Hosted) -> None:
    async with looking_at(node, FAILED, size=(100, 50)) as (pilot, screen):
        await until(pilot, lambda: bool(screen.chosen))
        await press(pilot, "e", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TaskScreen))
        await until_shown(pilot, "Where the time went (on this node)")
        shown = screen_text(pilot)
        for words in ("Parameters", "Inputs and outputs", "Attempts on this node", "compute", "queue", "launched"):
            assert words in shown
        await press(pilot, "escape")
        assert pilot.app.screen is screen


async def test_the_runs_of_a_flow_as_a_grid(node: Hosted) -> None:
    async with looking_at(node, HOURLY) as (pilot, screen):
        newest = screen.detail.job.job_id if screen.detail else ""
        await press(pilot, "t", "f")
        await until_shown(pilot, "40 runs")
        grid = pilot.app.screen
        assert isinstance(grid, RunsScreen)
        await until_shown(pilot, newest[:12])
        await press(pilot, "left", "down")
        await until_gone(pilot, newest[:12])
        await press(pilot, *["left"] * 39)
        await until_shown(pilot, "80 runs")
        await press(pilot, "enter")
        await until_shown(pilot, "[Graph]")
        opened = pilot.app.screen
        assert isinstance(opened, JobScreen)
        await until(pilot, lambda: opened.chosen == "psi")


async def test_everything_in_chinese(node: Hosted) -> None:
    async with looking_at(node, TRAINING, language="zh_CN") as (pilot, _):
        await until_shown(pilot, "[流程图]")
        for tab, words in (("t", "任务详情"), ("l", "就绪待启动"), ("e", "个事件"), ("r", "内容开头"), ("s", "JSON")):
            await press(pilot, "t", tab)
            await until_shown(pilot, words)


async def test_slash_finds_in_every_tab(node: Hosted) -> None:
    async with looking_at(node, TRAINING) as (pilot, screen):
        await until_shown(pilot, ">[● binning")
        for tab in ("t", "l"):
            await press(pilot, "t", tab, "/", *"ead_b", "enter")
            await until(pilot, lambda: screen.chosen == "read_b")
            await until_shown(pilot, "▌ read_b" if tab == "t" else "▌✓ read_b")
            await press(pilot, "G")
        await press(pilot, "t", "e")
        await until_shown(pilot, "events")
        await press(pilot, "/", *"job.started", "enter")
        await until_shown(pilot, "▌ 11:33:32 job")
        await press(pilot, "t", "s", "/", *"nowhere", "enter")
        await until_shown(pilot, "not found: nowhere")


async def test_runs_of_a_flow_from_pulse_the_list_and_the_command_line(node: Hosted) -> None:
    async with app_of(node).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: pilot.app.session.online)
        await press(pilot, ":", *f"runs {HOURLY}", "enter")
        await until_shown(pilot, "40 runs")
        await press(pilot, "g", "j")
        await until_shown(pilot, "job-8306d03b")
        await press(pilot, "t")
        await until_shown(pilot, "runs > psi-credit-daily")


async def test_only_the_boxes_that_look_different_are_sent(node: Hosted) -> None:
    async with looking_at(node, TRAINING) as (pilot, screen):
        await until_shown(pilot, ">[● binning")
        view = screen.query_one("#graph", GraphView)
        # Everything has been painted once, and nothing that may still look different is left.
        screen.retranslate()
        await pilot.pause()
        sent: list[tuple[int, int]] = []
        detail = screen.detail
        assert detail is not None
        detail.tasks[6].state = "SUCCESS"

        def refreshed(*regions: Region, **_: Any) -> GraphView:
            sent.extend((region.width, region.height) for region in regions)
            return view

        view.refresh = refreshed  # type: ignore[method-assign]
        screen.retranslate()
        box = view.graph.boxes["binning"]
        assert sent == [(box.width + 2, box.height)]
        screen.retranslate()
        assert len(sent) == 1
        del view.refresh


async def test_a_task_is_stopped_and_its_job_run_again_on_the_real_node(tmp_path: Path) -> None:
    async with hosted(tmp_path / "h") as own, own.client() as client:
        document = probe_job(
            {"guest": "alice"}, {"first": [], "second": ["first"]}, parameters={"first": {"sleep": 60}}
        )
        job_id = (await client.submit(document)).job_id
        async with NodeConsoleApp(own.home.socket, language="en_US", environ={}).run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: pilot.app.session.online)
            await pilot.app.push_screen(JobScreen(pilot.app.session, job_id))
            await until_shown(pilot, "● running")
            await press(pilot, "enter")
            await until_shown(pilot, "Where the time went")
            await press(pilot, "S")
            await until_shown(pilot, "Stop the task first and everything after it?")
            await press(pilot, *"enough", "enter", "Y")
            await until_shown(pilot, "first ■ stopped: stopped")
            await press(pilot, "escape")
            await until_shown(pilot, "■ stopped")
            await press(pilot, "R")
            await until_shown(pilot, "Run this job again, as a new job?")
            await press(pilot, "Y")
            await until_shown(pilot, "the same as job-")
        assert (await client.job(job_id)).job.outcome == "stopped"
        assert len((await client.runs(document["flow_id"])).runs) == 2
