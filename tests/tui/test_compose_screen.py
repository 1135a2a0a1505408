"""Putting a job together by keys alone, against a real node, until it has succeeded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from nodeconsole.app import NodeConsoleApp
from nodeconsole.screens.compose import ComposeScreen
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.hosted import Hosted, hosted
from tests.support.probe_jobs import chain, probe_job

SIZE = (80, 24)


@pytest.fixture
async def alice(tmp_path: Path) -> AsyncIterator[Hosted]:
    async with hosted(tmp_path / "alice") as running:
        yield running


@pytest.fixture
def make_app(alice: Hosted, tmp_path: Path) -> Callable[..., NodeConsoleApp]:
    def make(**options: Any) -> NodeConsoleApp:
        settings: dict[str, Any] = {"language": "en_US", "glyphs": "unicode", "theme": "dark", "undo_seconds": 0}
        settings |= {"section": "jobs", "environ": {"XDG_STATE_HOME": str(tmp_path)}} | options
        return NodeConsoleApp(alice.home.socket, **settings)

    return make


def composer(app: Any) -> ComposeScreen:
    assert isinstance(app.screen, ComposeScreen), app.screen
    return app.screen


async def test_two_tasks_are_wired_filled_in_and_submitted_and_succeed(
    alice: Hosted, make_app: Callable[..., NodeConsoleApp], tmp_path: Path
) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "online")
        await press(pilot, ":", *"compose", "enter")
        await until_shown(pilot, "there are no tasks")
        await press(pilot, "enter", *"f-1", "enter")
        for _ in range(2):
            await press(pilot, "a")
            await until_shown(pilot, "Which component?")
            await press(pilot, *"probe", "enter")
        await until_shown(pilot, "probe_2")
        await press(pilot, "n", "ctrl+u", *"second", "enter")
        await until_shown(pilot, "second")
        await press(pilot, "j", "enter")
        await until_shown(pilot, "What does data")
        await press(pilot, *"probe.data", "enter")
        await until_shown(pilot, "probe.data")
        # What runs this node's part of it: chosen from what the node has, taken back by its rules.
        await press(pilot, "j", "j", "w")
        await until_shown(pilot, "What runs second?")
        await press(pilot, *"processes", "enter")
        await until_shown(pilot, "by process")
        own = composer(pilot.app).composition
        assert own.document["config"]["job_params"]["guest"] == {"0": {"runner": {"second": "process"}}}
        await press(pilot, "k", "w")
        await until_shown(pilot, "w chooses what runs a part of this node")
        await press(pilot, "k")
        # What is given for all parties of the second task.
        await press(pilot, "j", "enter")
        await until_shown(pilot, "numberPicker")
        await press(pilot, "e")
        await until_shown(pilot, "no errors")
        composed = pilot.app.screen_stack[-2]
        await press(pilot, "G", "enter", *"hello ", "enter", "escape")
        await until_shown(pilot, "not kept: Enter goes on with it")
        await press(pilot, "enter")
        await until_shown(pilot, "numberPicker")
        await press(pilot, "G", "enter", *"世界", "enter", "f10")
        await until(pilot, lambda: isinstance(pilot.app.screen, ComposeScreen))
        assert isinstance(composed, ComposeScreen)
        assert composed.composition.parameters("second", None)["echo"] == "hello 世界"
        await press(pilot, "u")
        assert composed.composition.parameters("second", None) == {}
        await press(pilot, "ctrl+y", "v")
        await until_shown(pilot, "The node would take it.")
        await press(pilot, "ctrl+s", "ctrl+u", *str(tmp_path / "f.json"), "enter")
        await until_shown(pilot, "saved")
        await press(pilot, "f10")
        await until_shown(pilot, "Submit this job?")
        assert "guest.0 alice" in screen_text(pilot)
        await press(pilot, "Y")
        await until_shown(pilot, "submitted")
        async with alice.client() as client:
            job = (await client.jobs()).jobs[0]

            async def over() -> bool:
                return (await client.job(job.job_id)).job.outcome == "succeeded"

            while not await over():
                await pilot.pause(0.05)
        await until_shown(pilot, "done")
        saved = json.loads((tmp_path / "f.json").read_text())
        assert [node["name"] for node in saved["dag"]["components"]] == ["probe", "second"]
        assert saved["flow_id"] == "f-1"
        # Nothing is left of the draft.
        await press(pilot, "q", ":", *"compose", "enter")
        await until_shown(pilot, "there are no tasks")
        # The job as a template for another.
        await press(pilot, "q", "N")
        await until_shown(pilot, "a job like f-1")
        await press(pilot, "enter")
        await until_shown(pilot, "probe.data")
        assert composer(pilot.app).composition.parameters("second", None)["echo"] == "hello 世界"


async def test_a_file_is_loaded_mended_where_it_is_wrong_and_kept_as_a_draft(
    alice: Hosted, make_app: Callable[..., NodeConsoleApp], tmp_path: Path
) -> None:
    document = probe_job({"guest": "alice", "host": "bob"}, chain(2))
    file = tmp_path / "job.json"
    file.write_text(json.dumps(document))
    (tmp_path / "bad.json").write_text('{"dag": []}')
    async with make_app().run_test(size=(132, 40)) as pilot:
        await until_shown(pilot, "online")
        await press(pilot, ":", *f"compose {tmp_path}/bad.json", "enter")
        await until_shown(pilot, "no job file")
        await press(pilot, ":", *f"compose {file}", "enter")
        await until_shown(pilot, "[ probe_1 ]")
        await press(pilot, "v")
        await until_shown(pilot, "bob is no partner of this node")
        screen = composer(pilot.app)
        assert json.loads(screen.composition.text()) == document
        screen.main.move_to_key("party//host.0/-1")
        await press(pilot, "delete")
        await until_gone(pilot, "host.0")
        await press(pilot, "v")
        await until_shown(pilot, "The node would take it.")
        await press(pilot, "q")
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "online")
        await press(pilot, ":", *"compose", "enter")
        await until_shown(pilot, "your draft is back")
        assert [party.key for party in composer(pilot.app).composition.parties] == ["guest.0"]
        await press(pilot, "ctrl+n")
        await until_shown(pilot, "there are no tasks")
