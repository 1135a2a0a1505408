"""A node behind a real sshd on loopback: the client, commands and the console over the system's ssh."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.support.console import press, screen_text, until, until_shown
from tests.support.fake_node import FakeNode, job_id
from tests.support.sshd import MISSING, Sshd, sshd

from nodeconsole.app import NodeConsoleApp
from nodeconsole.cli.exits import Exit
from nodeconsole.client import ClientError, Link, NodeClient, NodeUnreachable
from nodeconsole.remote.target import Place
from nodeconsole.widgets.table import VirtualTable

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Sshd]:
    with sshd() as running:
        yield running


@pytest.fixture
def remote(daemon: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """The daemon in order, and every `ssh` of this test its client."""
    daemon.configure("")
    daemon.know_host()
    daemon.authorize()
    for name, value in daemon.environment.items():
        monkeypatch.setenv(name, value)
    yield daemon
    daemon.cut()


@pytest.fixture
def home() -> Iterator[Path]:
    with TemporaryDirectory(prefix="nc") as directory:
        yield Path(directory)


@pytest.fixture
def node(home: Path) -> Iterator[FakeNode]:
    with FakeNode(home / "node.sock", jobs=300) as running:
        yield running


async def test_one_session_serves_every_call_and_the_stream_of_events(remote: Sshd, node: FakeNode, home: Path) -> None:
    async with NodeClient(Link(remote.target(home))) as client:
        assert (await client.status()).node_id == "alice"
        pages = await asyncio.gather(*(client.jobs(limit=100) for _ in range(8)))
        assert {len(page.jobs) for page in pages} == {100}
        stream = client.events(after=node.last_seq)
        node.emit("x", "job.x")
        assert (await anext(stream)).events[0].event == "job.x"
        assert len(remote.sessions()) == 1


async def test_a_cut_link_says_why_and_the_next_call_connects_anew(remote: Sshd, node: FakeNode, home: Path) -> None:
    async with NodeClient(Link(remote.target(home))) as client:
        stream = client.events(after=node.last_seq)
        node.emit("x", "job.x")
        await anext(stream)
        assert remote.cut() == 1
        with pytest.raises(NodeUnreachable, match=r"broke|closed"):
            await anext(stream)
        assert (await client.status()).node_id == "alice"


async def test_a_node_that_is_down_is_told_from_a_link_that_is_down(remote: Sshd, home: Path) -> None:
    async with NodeClient(Link(remote.target(home))) as client:
        with pytest.raises(NodeUnreachable, match=r"no node answers at ssh://.*there is no socket"):
            await client.status()
        with FakeNode(home / "node.sock", jobs=3):
            assert (await client.status()).node_id == "alice"


async def test_strange_homes_reach_the_bridge_unchanged(remote: Sshd, home: Path) -> None:
    strange = home / "it's $(touch hacked); 样本"
    strange.mkdir()
    with FakeNode(strange / "node.sock", jobs=3):
        async with NodeClient(Link(remote.target(str(strange).replace(" ", "%20")))) as client:
            assert (await client.status()).node_id == "alice"
    assert [path.name for path in home.iterdir()] == [strange.name]


@pytest.mark.parametrize(
    ("break_it", "said", "asks"),
    [
        (lambda daemon: daemon.forget_host(), "Host key verification failed", True),
        (lambda daemon: daemon.know_host("other_host_key"), "Host key verification failed", True),
        (lambda daemon: daemon.authorize("other_user_key"), "Permission denied", True),
        (lambda daemon: daemon.configure("ProxyCommand false"), "", False),
    ],
)
async def test_the_reason_is_what_ssh_said(remote: Sshd, home: Path, break_it: Any, said: str, asks: bool) -> None:
    break_it(remote)
    link = Link(remote.target(home))
    async with NodeClient(link) as client:
        with pytest.raises(NodeUnreachable) as refused:
            await client.status()
    assert said in refused.value.message
    assert remote.url(home) in refused.value.message
    assert link.asks is asks


async def test_without_nodeconsole_there_the_message_says_how_to_name_it(remote: Sshd, home: Path) -> None:
    async with NodeClient(Link(remote.target(home, "/nowhere/nodeconsole"))) as client:
        with pytest.raises(NodeUnreachable, match=r"no program '/nowhere/nodeconsole'.*--remote-program"):
            await client.status()


async def test_a_chatty_login_script_does_no_harm(remote: Sshd, node: FakeNode, home: Path) -> None:
    chatty = home / "chatty"
    chatty.write_text(f'#!/bin/sh\necho "Welcome to NODECONSOLE"\nexec {sys.executable} -m nodeconsole "$@"\n')
    chatty.chmod(0o755)
    async with NodeClient(Link(remote.target(home, str(chatty)))) as client:
        assert (await client.status()).node_id == "alice"


def test_commands_go_through_ssh_by_address_and_by_name(
    remote: Sshd, node: FakeNode, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    for name in ("NODECONSOLE_HOME", "NODECONSOLE_SOCKET", "NODECONSOLE_NODE"):
        monkeypatch.delenv(name, raising=False)
    program = f"{sys.executable} -m nodeconsole"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nodeconsole", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    direct = run("--node", remote.url(home), "--remote-program", program, "status")
    assert (direct.returncode, direct.stderr) == (0, "")
    assert "alice" in direct.stdout
    added = run("context", "add", "prod", remote.url(home), "--remote-program", program, "--read-only", "--use")
    assert added.returncode == 0, added.stderr
    assert "alice" in run("status").stdout
    assert "300" not in run("job", "list", "--limit", "3", "--node", "prod").stderr
    stopped = run("job", "stop", job_id(0))
    assert (stopped.returncode, "read-only" in stopped.stderr) == (Exit.FAILED, True)
    remote.forget_host()
    refused = run("status")
    assert refused.returncode == Exit.UNREACHABLE
    assert "Host key verification failed" in refused.stderr
    assert run("serve", "--node", "prod").returncode == Exit.USAGE
    assert run("status", "--node", "nobody").returncode == Exit.USAGE
    assert run("status", "--node", "prod", "--home", str(home)).returncode == Exit.USAGE


async def test_the_console_says_that_the_link_broke_and_goes_on_where_it_was(
    remote: Sshd, node: FakeNode, home: Path
) -> None:
    place = Place(remote.target(home), "prod")
    app = NodeConsoleApp(place, section="jobs", language="en_US", glyphs="unicode", theme="dark", environ={})
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "online")
        await until_shown(pilot, "of 300")
        await press(pilot, "G")
        table = app.screen.query_one(VirtualTable)
        below = table.key
        remote.forget_host()
        remote.cut()
        await until_shown(pilot, "OFFLINE")
        await until_shown(pilot, "Host key verification failed")
        assert "ssh has a question" in screen_text(pilot)
        node.change(99, state="RUNNING", outcome=None, reason="while nobody looked")
        remote.know_host()
        await until(pilot, lambda: app.session.online)
        await until_shown(pilot, "● running   alice")
        assert table.key == below


async def test_another_node_at_run_time_also_while_this_one_is_away(
    remote: Sshd, node: FakeNode, home: Path, tmp_path: Path
) -> None:
    config = tmp_path / "nodeconsole"
    config.mkdir()
    program = f"{sys.executable} -m nodeconsole"
    (config / "contexts.toml").write_text(
        f'[contexts.prod]\nnode = "{remote.url(home)}"\nremote_program = "{program}"\n'
        'read_only = true\ntheme = "mono"\n'
    )
    (config / "contexts.toml").chmod(0o600)
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    app = NodeConsoleApp(home / "away", language="en_US", glyphs="unicode", theme="dark", environ=environ)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "OFFLINE")
        await press(pilot, ":", *"node", "enter")
        await until_shown(pilot, "Esc stays")
        await until_shown(pilot, "prod")
        await press(pilot, "enter")
        await until_shown(pilot, "online")
        await until_shown(pilot, "read-only")
        await press(pilot, "g", "j")
        await until_shown(pilot, "of 300")
        assert "prod/alice" in screen_text(pilot)
        assert app.theme == "mono"
        await press(pilot, "S")
        await until_shown(pilot, "read-only")
        app.act_app_node(str(home / "away"))
        await until_shown(pilot, "away")
        assert app.theme == "dark"
        app.act_app_node("prod")
        await until_shown(pilot, "of 300")
        await until(pilot, lambda: app.session.online)


def test_nothing_is_left_behind(remote: Sshd, home: Path) -> None:
    """The bridge ends with its session, also when the console was killed."""
    with FakeNode(home / "node.sock", jobs=3):
        target = remote.target(home)
        process = subprocess.Popen(target.ssh(batch=True), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"NODECONSOLE-BRIDGE")
        process.kill()
        process.communicate()
        for _ in range(500):
            if not remote.sessions():
                break
            os.sched_yield()
            subprocess.run(["sleep", "0.01"], check=True)
        assert not remote.sessions()


async def test_a_read_only_place_refuses_before_it_asks(remote: Sshd, node: FakeNode, home: Path) -> None:
    async with NodeClient(Link(remote.target(home)), read_only=True) as client:
        await client.status()
        with pytest.raises(ClientError, match="read-only"):
            await client.stop(job_id(0))
    assert not any(request.startswith("POST") for request in node.requests)
