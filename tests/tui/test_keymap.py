"""Presets, the operator's own keys and aliases: read, written, watched, and what is wrong with them said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nodeconsole.actions import ACTIONS, KeyMap
from nodeconsole.app import NodeConsoleApp
from nodeconsole.keymap import NEEDED, PRESETS, UserKeys, bind, fault_of_key, read, rebound, write
from nodeconsole.own_files import OwnFiles
from tests.support.console import press, until, until_shown
from tests.support.fake_node import FakeNode

MakeApp = Callable[..., NodeConsoleApp]
SIZE = (80, 24)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_hold_together(preset: str) -> None:
    assert set(PRESETS[preset]) <= {action.id for action in ACTIONS}
    assert bind(UserKeys(preset)).faults == ()
    for action in bind(UserKeys(preset)).actions:
        for key in action.keys:
            assert not fault_of_key(key), (action.id, key)


def _keys_of(user: UserKeys, name: str) -> list[tuple[str, ...]]:
    return [action.keys for action in bind(user).actions if action.id == name]


def test_every_binding_can_be_changed() -> None:
    for action in ACTIONS:
        user = UserKeys(keys={action.id: ("f23",)})
        assert set(_keys_of(user, action.id)) == {("f23",)}, action.id
        found = KeyMap((action.scope,), bind(user).actions).resolve(("f23",))
        assert found is not None
        assert getattr(found, "id", "") == action.id


def test_a_binding_takes_its_key_from_the_one_that_had_it() -> None:
    bound = bind(UserKeys(keys={"list.copy": ("d",)}))
    assert bound.faults == ("d: list.copy takes it from list.describe",)
    assert _keys_of(UserKeys(keys={"list.copy": ("d",)}), "list.describe") == [()]


def test_clashes_and_keys_that_are_never_reached_are_said() -> None:
    assert bind(UserKeys(keys={"jobs.logs": ("f5",), "jobs.stop": ("f5",)})).faults == (
        "f5: both jobs.logs and jobs.stop ask for it; jobs.logs has it",
    )
    assert bind(UserKeys(keys={"jobs.logs": ("g",)})).faults == (
        "g: jobs.logs is never reached, the key begins others",
    )


@pytest.mark.parametrize("name", NEEDED)
def test_nobody_locks_himself_out(name: str) -> None:
    user = UserKeys(keys={name: ()})
    assert bind(user).faults == (f"{name}: it needs a key",)
    assert _keys_of(user, name)[0]


@pytest.mark.parametrize(
    "key", ["ctrl+a", "ctrl+space", "alt+x", "ctrl+m", "hyper+x", "f25", "g g g", "nokey", "shift+a", "ctrl+é"]
)
def test_keys_that_cannot_be(key: str) -> None:
    assert fault_of_key(key)


@pytest.mark.parametrize("key", ["S", "g x", "f12", "ctrl+x", "shift+tab", "ctrl+pageup", ",", "\\", "+", "样"])
def test_keys_that_can_be(key: str) -> None:
    assert not fault_of_key(key)


def test_the_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    user = UserKeys("vim", {"jobs.stop": ("S", ",", "g x"), "app.theme": (), "list.filter": ("\\", '"')})
    write(tmp_path / "keymap.toml", user)
    assert read(tmp_path / "keymap.toml") == user
    assert rebound(user, "jobs.stop", None).keys.keys() == {"app.theme", "list.filter"}


def test_faults_of_the_file_are_named_and_the_rest_counts(tmp_path: Path) -> None:
    path = tmp_path / "keymap.toml"
    path.write_text('preset = "emacs"\njobs.stop = "ctrl+z"\nno.such = "x"\njobs.logs = 3\n"list.open" = "ｏ"\n')
    user = read(path)
    assert user.keys == {"list.open": ("o",)}
    assert sorted(fault.split(":")[1].strip() for fault in user.faults) == [
        "jobs.logs",
        "jobs.stop",
        "no.such",
        "preset 'emacs'",
    ]
    path.write_text("=")
    assert read(path).faults


def test_aliases_are_command_lines(tmp_path: Path) -> None:
    (tmp_path / "nodeconsole").mkdir()
    (tmp_path / "nodeconsole" / "aliases.toml").write_text('fails = "jobs state:failed"\nbad = 3\n')
    files = OwnFiles({"XDG_CONFIG_HOME": str(tmp_path)})
    assert files.aliases == {"fails": "jobs state:failed"}
    assert files.faults == ("aliases.toml: bad: not a command line",)
    assert files.poll() == frozenset()


async def test_keys_are_taken_up_while_the_console_runs(node: FakeNode, make_app: MakeApp, tmp_path: Path) -> None:
    directory = tmp_path / "nodeconsole"
    directory.mkdir()
    async with make_app(environ={"XDG_CONFIG_HOME": str(tmp_path)}).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        (directory / "keymap.toml").write_text('go.peers = "f7"\nno.such = "x"\n')
        await until_shown(pilot, "no.such: there is no such binding")
        await press(pilot, "f7")
        await until(pilot, lambda: pilot.app.current_mode == "peers")
        await press(pilot, "g", "j", "g", "o")
        assert pilot.app.current_mode == "jobs"
