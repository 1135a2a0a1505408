"""What takes the disk, in the console: results are kept, released and removed, here and in the job's own tab."""

from __future__ import annotations

from typing import cast

from textual.widgets import Input

from nodeconsole.screens.space import SpaceScreen
from nodeconsole.viewmodels.text import confirmation_code
from tests.support.console import press, screen_text, until, until_shown
from tests.support.showcase import app_of, shown


async def test_results_are_kept_released_and_removed() -> None:
    async with shown() as node, app_of(node, section="space", undo_seconds=0.05).run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "JOB OR DATASET")
        screen = cast("SpaceScreen", pilot.app.screen)
        await until(pilot, lambda: screen.job is not None and "discard" in screen.job.actions)
        job = screen.job
        assert job is not None
        assert "used" in screen_text(pilot)
        await press(pilot, "K")
        await until(pilot, lambda: screen.job is not None and screen.job.kept)
        async with node.client() as client:
            assert (await client.job(job.job_id)).keeping.kept_ms is not None
        await press(pilot, "enter")
        await until_shown(pilot, "[Graph]")
        await press(pilot, "t", "r")
        await until_shown(pilot, "kept for good by")
        await press(pilot, "U")
        await until_shown(pilot, "removed in 29d")

        await press(pilot, "D")
        await until_shown(pilot, "Remove the results from this node?")
        code = pilot.app.screen.focused
        assert isinstance(code, Input)
        code.value = confirmation_code(job.job_id)
        await press(pilot, "enter", "Y")
        await until_shown(pilot, "No results here yet.")
        async with node.client() as client:
            found = await client.job(job.job_id)
            assert not found.results
            assert found.keeping.removed_by
            space = await client.space(limit=1000)
        row = next(row for row in space.jobs if row.job_id == job.job_id)
        assert (row.results, row.actions) == (0, [])
        assert row.logs, "logs stay until their own time"
