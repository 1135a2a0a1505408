"""The console gives its terminal to another program and takes it back: the operator's editor, ssh with a question."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.support.fake_node import FakeNode
from tests.support.hosted import Hosted, hosted
from tests.support.pty_console import PtyConsole
from tests.support.sshd import MISSING, sshd

from embedded_scheduler.wire.console_policy import PolicyRow

_EDITOR = """#!{python}
import sys
from pathlib import Path

file = Path(sys.argv[1])
assert file.suffix == {suffix!r} and file.parent.stat().st_mode & 0o077 == 0, file
if sys.stdin.isatty() and sys.stdout.isatty():
    print("EDITING", len(file.read_text()), flush=True)
    typed = sys.stdin.readline().strip()
    file.write_text(file.read_text() + {added!r}.replace("TYPED", typed))
"""


@pytest.fixture(scope="module")
def node() -> Iterator[Hosted]:
    with TemporaryDirectory(prefix="nc") as directory, asyncio.Runner() as runner:
        opened = hosted(Path(directory))
        try:
            yield runner.run(opened.__aenter__())
        finally:
            runner.run(opened.__aexit__(None, None, None))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}


def _editor(directory: Path, *, suffix: str, added: str) -> dict[str, str]:
    program = directory / "an editor"
    program.write_text(_EDITOR.format(python=sys.executable, suffix=suffix, added=added))
    program.chmod(0o755)
    return {"VISUAL": f"'{program}'"}


async def _policy(node: Hosted) -> PolicyRow:
    async with node.client() as client:
        return await client.policy()


def test_the_policy_is_changed_in_the_operators_editor(
    node: Hosted, environment: dict[str, str], tmp_path: Path
) -> None:
    rule = '[[rule]]\nname = "TYPED"\nthen = "ask"\n'
    extra = _editor(tmp_path, suffix=".toml", added=rule)
    with PtyConsole(["attach", "--socket", str(node.home.socket)], environment=environment | extra) as console:
        console.until("online")
        console.send(":policy\r")
        console.until("No policy is set")
        console.send("N")
        console.until("EDITING 0")
        console.send("look at all\r")
        console.until("Set this policy?")
        console.send("Y")
        console.until("is in force")
        console.until('name = "look at all"')
        console.send("\x11")
        assert console.ended() == 0
        assert console.errors() == ""
    assert asyncio.run(_policy(node)).text == rule.replace("TYPED", "look at all").rstrip()


def test_a_value_of_a_form_is_changed_in_the_operators_editor(
    node: Hosted, environment: dict[str, str], tmp_path: Path
) -> None:
    extra = _editor(tmp_path, suffix=".txt", added="TYPED")
    with PtyConsole(["attach", "--socket", str(node.home.socket)], environment=environment | extra) as console:
        console.until("online")
        console.send("gc")
        console.until("probe")
        console.send("/probe\r")
        console.quiet()
        console.send("\r")
        console.until("Enter form")
        console.quiet()
        console.send("\r")
        console.until("Enter edit")
        console.quiet()
        console.send("$")
        console.until("EDITING")
        console.forget()
        console.send(" 样本\r")
        console.until("样本")
        console.quiet()
        console.send("\x11")
        assert console.ended() == 0
        assert console.errors() == ""


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")
def test_ssh_asks_for_a_passphrase_in_the_terminal_of_the_console(environment: dict[str, str], tmp_path: Path) -> None:
    with (
        TemporaryDirectory(prefix="nc") as home,
        FakeNode(Path(home) / "node.sock", jobs=3),
        sshd() as daemon,
    ):
        program = f"{sys.executable} -m nodeconsole"
        arguments = ["attach", "--node", daemon.url(home), "--remote-program", program]
        with PtyConsole(arguments, environment=environment | daemon.environment) as console:
            console.until("online")
            key = str(daemon.directory / "user_key")
            subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", key], check=True)
            daemon.cut()
            console.until("OFFLINE")
            console.until("ssh has a question")
            console.forget()
            console.send("r")
            console.until("Enter passphrase")
            # ssh itself asks again.
            for answer, then in (("wrong", "Enter passphrase"), ("open sesame", "online")):
                console.forget()
                console.send(f"{answer}\r")
                console.until(then)
                assert answer not in console.text
            console.send("\x11")
            assert console.ended() == 0
            assert console.errors() == ""
