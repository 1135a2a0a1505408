"""What the console remembers between two starts, and how its operator likes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nodeconsole.app import SECTIONS, NodeConsoleApp
from nodeconsole.places import config_directory, replace_file, state_directory
from nodeconsole.preferences import PreferenceFault, Preferences, changed, read, write
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.state import State, state_path
from tests.support.console import press, screen_text, until_shown
from tests.support.fake_node import FakeNode

MakeApp = Callable[..., NodeConsoleApp]
SIZE = (80, 24)


def test_values_come_back_with_their_kind_or_not_at_all(tmp_path: Path) -> None:
    state = State(tmp_path / "deep" / "s.json")
    state.remember("jobs.filter", "state:failed")
    state.remember("jobs.columns", ["id", "flow"])
    assert state.unsaved
    state.save()
    assert not state.unsaved
    again = State(tmp_path / "deep" / "s.json")
    assert again.recall("jobs.filter", "") == "state:failed"
    assert again.recall_texts("jobs.columns") == ["id", "flow"]
    assert again.recall("jobs.filter", 0) == 0
    assert again.recall("nothing", "x") == "x"
    assert (tmp_path / "deep" / "s.json").stat().st_mode & 0o777 == 0o600


def test_two_consoles_keep_what_each_changed(tmp_path: Path) -> None:
    one, other = State(tmp_path / "s"), State(tmp_path / "s")
    one.remember("a", 1)
    other.remember("b", 2)
    one.save()
    other.save()
    both = State(tmp_path / "s")
    assert (both.recall("a", 0), both.recall("b", 0)) == (1, 2)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 2, "values": {}}', '{"format": 1, "values": 3}', "[" * 9999]
)
def test_a_corrupt_file_is_ignored_with_a_reason(tmp_path: Path, content: str) -> None:
    (tmp_path / "s").write_text(content)
    state = State(tmp_path / "s")
    assert str(tmp_path / "s") in state.fault
    state.remember("a", 1)
    state.save()
    assert json.loads((tmp_path / "s").read_text())["values"] == {"a": 1}


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "d", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_places() -> None:
    assert config_directory({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}) == Path("/c/nodeconsole")
    assert state_directory({"HOME": "/h", "XDG_STATE_HOME": "relative"}) == Path("/h/.local/state/nodeconsole")
    assert state_directory({}) is None
    assert state_path(Path("/s"), "/one") != state_path(Path("/s"), "/two")


@pytest.mark.parametrize(
    ("name", "word", "value"),
    [
        ("refresh", "2s", 2),
        ("refresh", "5", 5),
        ("mouse", "off", False),
        ("language", "zh", "zh_CN"),
        ("glyphs", "ASCII", "ascii"),
    ],
)
def test_settings_are_typed_as_people_do(name: str, word: str, value: object) -> None:
    assert getattr(changed(Preferences(), name, word), name) == value


def test_what_is_no_setting_is_named() -> None:
    with pytest.raises(PreferenceFault, match="refresh: 1s 2s 5s 10s"):
        changed(Preferences(), "refresh", "3s")
    with pytest.raises(PreferenceFault, match="no setting colour; there are: theme"):
        changed(Preferences(), "colour", "red")


def test_settings_survive_their_file(tmp_path: Path) -> None:
    liked = replace(Preferences(), theme='a "b"\n', refresh=5, mouse=False, clipboard="file")
    write(tmp_path / "settings.toml", liked)
    assert read(tmp_path / "settings.toml") == (liked, ())
    (tmp_path / "settings.toml").write_text('refresh = true\nmouse = 1\nbell = true\nfoo = "x"\n')
    found, faults = read(tmp_path / "settings.toml")
    assert found == Preferences(bell=True)
    assert len(faults) == 3


async def test_the_second_start_is_where_the_first_ended(node: FakeNode, make_app: MakeApp, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    options = {"environ": environ, "section": "", "theme": None, "language": None}
    async with make_app(**options).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "online")
        await press(pilot, ":", *"theme light", "enter", ":", *"lang zh", "enter", "g", "o")
        await until_shown(pilot, "erin")
    async with make_app(**options).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "erin")
        assert pilot.app.theme == "light"
        await press(pilot, ":", "up")
        await until_shown(pilot, "lang zh")
    async with make_app(**options, clean=True).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "online")
        assert pilot.app.current_mode == next(iter(SECTIONS))
        assert pilot.app.theme == "dark"
        assert isinstance(pilot.app.screen, ConsoleScreen)


async def test_a_corrupt_state_file_is_said_and_nothing_else_happens(
    node: FakeNode, make_app: MakeApp, socket: Path, tmp_path: Path
) -> None:
    path = state_path(tmp_path / "nodeconsole", str(socket))
    path.parent.mkdir()
    path.write_text("{")
    async with make_app(environ={"XDG_STATE_HOME": str(tmp_path)}).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        assert f"{path.parent}"[:30] in screen_text(pilot)
