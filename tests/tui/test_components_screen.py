"""Components by keys alone, against a real node: taken in, looked at, put out of use, forgotten."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from textual import events

from nodeconsole.app import NodeConsoleApp
from nodeconsole.screens.components import ComponentScreen
from nodeconsole.screens.form import FormScreen
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.hosted import Hosted, hosted
from tests.support.self_descriptions import SPECIFICATION_SAMPLE, component

SIZE = (80, 24)


@pytest.fixture
async def alice(tmp_path: Path) -> AsyncIterator[Hosted]:
    async with hosted(tmp_path / "alice") as running:
        yield running


@pytest.fixture
def make_app(alice: Hosted) -> Callable[..., NodeConsoleApp]:
    def make(**options: Any) -> NodeConsoleApp:
        settings: dict[str, Any] = {"language": "en_US", "glyphs": "unicode", "theme": "dark", "undo_seconds": 0}
        settings |= {"section": "components", "environ": {}} | options
        return NodeConsoleApp(alice.home.socket, **settings)

    return make


async def test_a_folder_of_descriptions_is_registered_after_one_question(
    alice: Hosted, make_app: Callable[..., NodeConsoleApp], tmp_path: Path
) -> None:
    folder = tmp_path / "descriptions"
    folder.mkdir()
    for version in ("1", "2"):
        message = {"imageUrl": f"registry.example/thing:{version}", "component_info": component(version=version)}
        (folder / f"{version}.json").write_text(json.dumps(message))
    (folder / "bare.json").write_text(json.dumps(component(version="3")))
    async with make_app().run_test(size=SIZE) as pilot, alice.client() as client:
        await until_shown(pilot, "sample_alignment")
        await press(pilot, "N", *str(folder), "enter")
        await until_shown(pilot, "Register 2 components?")
        assert "acme/thing/3" in screen_text(pilot)
        await press(pilot, "Y")
        await until_shown(pilot, "2 components are registered")
        assert {row.version for row in await client.components() if row.name == "thing"} == {"1", "2"}


async def test_a_component_is_registered_from_a_file_disabled_and_forgotten(
    alice: Hosted, make_app: Callable[..., NodeConsoleApp], tmp_path: Path
) -> None:
    file = tmp_path / "lr.json"
    file.write_text(SPECIFICATION_SAMPLE)
    async with make_app().run_test(size=SIZE) as pilot, alice.client() as client:
        await until_shown(pilot, "sample_alignment")
        await press(pilot, "N", *str(file), "enter")
        await until_shown(pilot, "register > HeteroLR 2.0.0 (FATE)")
        assert "warnings about the description" in screen_text(pilot)
        await press(pilot, "f10")
        await until_shown(pilot, "not right yet: 1")
        await press(pilot, "enter", *"exec:/bin/sh", "enter", "f10")
        await until_shown(pilot, "allow_exec")
        await press(pilot, "enter", "ctrl+u", *"registry.example/lr:2", "enter", "f10")
        await until_shown(pilot, "Register this component?")
        assert "new" in screen_text(pilot)
        await press(pilot, "Y")
        await until_shown(pilot, "registered FATE/HeteroLR/2.0.0")
        row = await client.component("FATE", "HeteroLR", "2.0.0")
        assert row.manifest["componentName"] == "HeteroLR"

        await until_shown(pilot, "HeteroLR")
        pilot.app.screen.main.move_to_key("FATE/HeteroLR/2.0.0")  # type: ignore[attr-defined]
        await press(pilot, "P")
        await until_shown(pilot, "is disabled: jobs that need it are refused")
        assert not (await client.component("FATE", "HeteroLR", "2.0.0")).enabled
        await press(pilot, "enter")
        await until_shown(pilot, "train_data")
        assert isinstance(pilot.app.screen, ComponentScreen)
        await press(pilot, "P")
        await until_shown(pilot, "is enabled")
        await press(pilot, "enter")
        await until_shown(pilot, "L2正则 (L2)")
        await press(pilot, "q", "y")
        await until_shown(pilot, "componentName")
        await press(pilot, "q", ":", *f"export {tmp_path}/out.json", "enter")
        await until_shown(pilot, "saved")
        assert json.loads((tmp_path / "out.json").read_text()) == row.manifest

        await press(pilot, "R")
        await until_shown(pilot, "registry.example/lr:2")
        await press(pilot, "enter", "ctrl+u", *"registry.example/lr:3", "enter")
        # What is to run it: chosen from what this node has, refused where that cannot run it.
        await press(pilot, "j", "enter")
        await until_shown(pilot, "containers on this machine")
        await press(pilot, *"processes", "enter", "f10")
        await until_shown(pilot, "is neither a builtin:")
        await press(pilot, "ctrl+r", "f10")
        await until_shown(pilot, "replaces the one that is registered")
        assert "by the node's rules" in screen_text(pilot)
        await press(pilot, "Y")
        await until_shown(pilot, "registered FATE")
        await press(pilot, "K")
        await until_shown(pilot, "Unregister this component?")
        await press(pilot, *"0.0", "enter")
        assert "Unregister this component?" in screen_text(pilot)
        await press(pilot, "ctrl+u", *".0.0", "enter")
        await until_shown(pilot, "unregistered FATE")
        await until_gone(pilot, "HeteroLR  ")
        assert all(row.name != "HeteroLR" for row in await client.components())


async def test_a_description_is_pasted_and_its_faults_are_named(
    alice: Hosted, make_app: Callable[..., NodeConsoleApp]
) -> None:
    whole = {"imageUrl": "registry.example/t:1", "component_info": component({"name": "a", "type": "quaternion"})}
    async with make_app().run_test(size=(132, 40)) as pilot:
        await until_shown(pilot, "sample_alignment")
        await press(pilot, "N", "enter")
        await until_shown(pilot, "Paste the self-description")
        pilot.app.post_message(events.Paste('{"a" 1}'))
        await press(pilot, "f10")
        await until_shown(pilot, "what was pasted: line 1, column 6")
        await press(pilot, "N", "enter")
        await until_shown(pilot, "Paste the self-description")
        pilot.app.post_message(events.Paste(json.dumps({"provider": "x"})))
        await press(pilot, "f10")
        await until_shown(pilot, "componentName is missing")
        await press(pilot, "N", "enter")
        await until_shown(pilot, "Paste the self-description")
        pilot.app.post_message(events.Paste(json.dumps(whole)))
        await press(pilot, "f10")
        await until_shown(pilot, "register > thing 1")
        assert "type quaternion is not known" in screen_text(pilot)
        assert "registry.example/t:1" in screen_text(pilot)
        assert isinstance(pilot.app.screen, FormScreen)
        await press(pilot, "enter", "ctrl+u", *"builtin:probe", "enter", "j", "enter")
        await until_shown(pilot, "containers on this machine")
        await press(pilot, *"processes", "enter", "f10")
        await until_shown(pilot, "Register this component?")
        await press(pilot, "Y")
        await until_shown(pilot, "registered acme/thing/1")
        async with alice.client() as client:
            assert (await client.component("acme", "thing", "1")).runner == "process"
        await press(pilot, ":", *"register /no/such/file", "enter")
        await until_shown(pilot, "No such file")


async def test_built_in_components_stay_and_viewers_may_look(make_app: Callable[..., NodeConsoleApp]) -> None:
    async with make_app(language="zh_CN", glyphs="safe").run_test(size=SIZE) as pilot:
        await until_shown(pilot, "sample_alignment")
        await press(pilot, "K")
        await until(pilot, lambda: "注销" in screen_text(pilot))
        assert "注销该组件" not in screen_text(pilot)
