"""Settings, keys by the settings screen, notifications, clipboard, pictures, the bell."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from nodeconsole import clipboard, keymap
from nodeconsole.app import NodeConsoleApp
from nodeconsole.preferences import Preferences, read
from nodeconsole.screens.base import ConsoleScreen
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.fake_node import FakeNode

MakeApp = Callable[..., NodeConsoleApp]
SIZE = (80, 24)


def _app(pilot: Pilot[Any]) -> NodeConsoleApp:
    assert isinstance(pilot.app, NodeConsoleApp)
    return pilot.app


async def test_settings_are_taken_up_at_once_and_kept(node: FakeNode, make_app: MakeApp, tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    async with make_app(environ=environ).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, ",")
        await until_shown(pilot, "settings and keys")
        assert "ages move on" in screen_text(pilot)
        before = pilot.app.theme
        await press(pilot, "right", "right")
        assert pilot.app.theme != before
        await press(pilot, ":", *"set refresh 5s", "enter", ":", *"set bell on", "enter", ":", *"set undo 9", "enter")
        await until_shown(pilot, "undo: 0s 3s 5s 10s")
        kept = read(tmp_path / "nodeconsole" / "settings.toml")[0]
        assert (kept.refresh, kept.bell, kept.theme) == (5, True, pilot.app.theme)
        await press(pilot, "backspace", ":", *"set bell", "enter")
        await until_shown(pilot, "bell on")
        assert read(tmp_path / "nodeconsole" / "settings.toml")[0].theme == Preferences().theme
        await press(pilot, "f12")
        await until_shown(pilot, "the mouse is the terminal's")


async def test_a_key_is_bound_by_pressing_it(node: FakeNode, make_app: MakeApp, tmp_path: Path) -> None:
    path = tmp_path / "nodeconsole" / "keymap.toml"
    async with make_app(environ={"XDG_CONFIG_HOME": str(tmp_path)}).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "g", ",", "/", *"go.peers", "enter")
        await until_shown(pilot, "go.peers")
        await press(pilot, "enter")
        await until_shown(pilot, "press the new key for go.peers")
        await press(pilot, "escape", "enter", "ctrl+a")
        await until_shown(pilot, "ctrl+a: not every terminal sends it")
        await press(pilot, "enter", "g", "z")
        await until_shown(pilot, "go.peers: g z")
        assert keymap.read(path).keys == {"go.peers": ("g z",)}
        await press(pilot, "g", "z")
        assert pilot.app.current_mode == "peers"
        await press(pilot, "g", ",", "/", *"go.peers", "enter", "backspace")
        assert keymap.read(path).keys == {}
        await press(pilot, ":", *"set preset vim", "enter", ":", *"set preset emacs", "enter")
        await until_shown(pilot, "there are: k9s vim plain")
        assert keymap.read(path).preset == "vim"
        await press(pilot, "q", "g", "j", "L")
        await until_gone(pilot, "100 of 1,200")


async def test_what_was_said_can_be_read_again(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, ":", *"nonsense", "enter", "g", "n")
        await until_shown(pilot, "notifications")
        assert "note    no command nonsense" in screen_text(pilot)


@pytest.mark.parametrize(
    ("environ", "start", "end"),
    [
        ({"TERM": "xterm-256color"}, "\x1b]52;c;", "\x07"),
        ({"TERM": "tmux-256color"}, "\x1b]52;c;", "\x07\x1b\\"),
        ({"TERM": "screen"}, "\x1bP\x1b]52;c;", "\x1b\\"),
    ],
)
def test_a_copy_finds_its_way_through_tmux_and_screen(environ: dict[str, str], start: str, end: str) -> None:
    sequence = clipboard.copy("样本" * 100, "osc52", environ, None).sequence
    assert sequence.startswith(start)
    assert sequence.endswith(end)
    if environ["TERM"] == "screen":
        assert all(len(piece) < 100 for piece in sequence.split("\x1b\\"))
        sequence = sequence.replace("\x1b\\", "").replace("\x1bP", "")
    encoded = sequence.split("52;c;")[1].split("\x07")[0]
    assert base64.b64decode(encoded).decode() == "样本" * 100
    if environ["TERM"].startswith("tmux"):
        assert "\x1bPtmux;\x1b\x1b]52;c;" in sequence


def test_what_is_too_long_or_wanted_so_goes_to_a_file(tmp_path: Path) -> None:
    longest = clipboard.MOST // 4 * 3
    assert clipboard.copy("x" * longest, "osc52", {}, tmp_path).sequence
    long = clipboard.copy("x" * (longest + 3), "osc52", {}, tmp_path)
    assert long.path == tmp_path / "clip.txt"
    assert long.path.stat().st_mode & 0o777 == 0o600
    assert clipboard.copy("x", "file", {}, tmp_path).path is not None
    assert clipboard.copy("x", "off", {}, tmp_path) == clipboard.Copy()
    assert clipboard.way({"NODECONSOLE_CLIPBOARD": "off"}, "osc52") == "off"
    assert clipboard.way({"NODECONSOLE_CLIPBOARD": "pigeon"}, "file") == "file"
    assert clipboard.way({}, "") == "osc52"


async def test_copies_are_never_said_to_have_arrived(node: FakeNode, make_app: MakeApp, tmp_path: Path) -> None:
    async with make_app(environ={"XDG_STATE_HOME": str(tmp_path)}).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        pilot.app.copy_to_clipboard("text")
        await until_shown(pilot, "sent to terminal clipboard: selection")
        _app(pilot).environ = {"NODECONSOLE_CLIPBOARD": "file"}
        pilot.app.copy_to_clipboard("text")
        assert (tmp_path / "nodeconsole" / "clip.txt").read_text() == "text"


async def test_a_picture_of_the_screen_hides_what_is_secret(node: FakeNode, make_app: MakeApp, tmp_path: Path) -> None:
    async with make_app(environ={"XDG_STATE_HOME": str(tmp_path)}).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "g", "o")
        await until_shown(pilot, "erin")
        await press(pilot, "I", "enter", "enter", "Y")
        await until_shown(pilot, "Shown once")
        screen = pilot.app.screen
        assert isinstance(screen, ConsoleScreen)
        code = screen_text(pilot).splitlines()[3].strip()
        assert len(code) > 20
        await press(pilot, "f8")
        picture = next((tmp_path / "nodeconsole").glob("screen-*.svg")).read_text()
        assert "Shown" in picture
        assert code[:12] not in picture
        assert "************" in picture
        assert code in screen_text(pilot)


async def test_the_bell_rings_for_those_who_want_it(node: FakeNode, make_app: MakeApp, tmp_path: Path) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        written: list[str] = []
        app = _app(pilot)
        assert app._driver is not None
        app._driver.write = written.append  # type: ignore[method-assign]
        app.attention(3)
        assert not written
        app.prefer("bell", "on")
        app.prefer("notify", "on")
        app.attention(3)
        assert written[0] == "\a"
        assert written[1] == "\x1b]9;alice: 3 waiting for your decision\x07"
        app.environ = {"TERM": "foot"}
        app.attention(3)
        await until(pilot, lambda: written[-1].startswith("\x1b]777;notify;nodeconsole;alice"))
