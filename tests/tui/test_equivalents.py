"""`$`: the command line and the call that do what a screen shows; aliases."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from nodeconsole.actions import ACTIONS
from nodeconsole.app import NodeConsoleApp
from nodeconsole.cli.parser import parse
from nodeconsole.equivalents import NODE, VIEWS, WRITES, command_line, curl, folded
from nodeconsole.remote.target import SshTarget
from tests.support.console import press, screen_text, until_shown
from tests.support.fake_node import FakeNode, job_id

MakeApp = Callable[..., NodeConsoleApp]
SIZE = (80, 24)


def test_every_command_line_is_one_of_ours() -> None:
    for known in (*VIEWS.values(), *WRITES.values(), NODE):
        for where in (Path("/run/n/node.sock"), SshTarget("host", "ann")):
            program, *words = shlex.split(" ".join(command_line(known, where, "job-1")))
            assert program == "nodeconsole"
            parse(words)


def test_every_name_is_an_action_or_a_scope() -> None:
    assert set(WRITES) <= {action.id for action in ACTIONS}
    assert set(VIEWS) <= {action.scope for action in ACTIONS}


def test_what_is_typed_is_quoted() -> None:
    socket, evil = Path("/tmp dir/s"), "x; rm -rf '$HOME'"
    words = shlex.split(" ".join(command_line(WRITES["jobs.stop"], socket, evil)))
    assert evil in words
    call = curl(WRITES["jobs.stop"], socket, evil)
    words = shlex.split(" ".join(call))
    lines = folded(call, 40)
    assert len(lines) > 3
    assert [word for word in shlex.split("\n".join(lines)) if word != "\n"] == words
    assert words[2] == str(socket)
    assert words[-1].endswith("/jobs/x%3B%20rm%20-rf%20%27%24HOME%27/stop")
    assert '"$SOCKET"' in curl(NODE, SshTarget("host"), "")


async def test_the_dollar_key_says_how_it_is_done_without_the_console(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "$")
        await until_shown(pilot, "nodeconsole job list --socket")
        shown = screen_text(pilot)
        assert f"nodeconsole job stop {job_id(0)}" in shown
        assert "curl --unix-socket" in shown
        await press(pilot, "q", "g", "n", "￥")
        await until_shown(pilot, "nodeconsole status --socket")


async def test_an_alias_is_a_command(node: FakeNode, make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "nodeconsole").mkdir()
    (tmp_path / "nodeconsole" / "aliases.toml").write_text('mine = "jobs waiting"\n')
    async with make_app(environ={"XDG_CONFIG_HOME": str(tmp_path)}).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, ":", *"mine", "enter")
        await until_shown(pilot, "filter: waiting")
