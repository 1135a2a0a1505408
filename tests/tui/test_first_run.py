"""The first start: five questions, each with an answer already; then the tour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nodeconsole.actions import ACTIONS, key_name
from nodeconsole.first_run import FirstRunApp, look_around, remember
from nodeconsole.i18n.catalogue import LANGUAGES, load
from nodeconsole.own_files import OwnFiles
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.first_run import STEPS, Surroundings, body, choices, first_answers, moved, strip
from nodeconsole.viewmodels.glyphs import GLYPH_SETS
from nodeconsole.viewmodels.spans import plain
from nodeconsole.viewmodels.text import cells
from nodeconsole.viewmodels.tour import STEPS as MARKS
from nodeconsole.viewmodels.tour import Tour
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.hosted import Hosted
from tests.support.showcase import app_of, serving

FOUND = look_around(Path("/home/li/.nodeconsole"), "alice", "", {"TERM": "xterm-256color", "LANG": "en_US.UTF-8"})


def _displays() -> Iterator[Display]:
    for language in LANGUAGES:
        for glyphs in GLYPH_SETS.values():
            yield Display(load(language), glyphs, 0)


@pytest.mark.parametrize("display", _displays(), ids=lambda d: f"{d.catalogue.language}-{d.glyphs.name}")
@pytest.mark.parametrize("step", STEPS)
def test_every_step_fits_80_by_24(step: str, display: Display) -> None:
    found = replace(
        FOUND, socket="/run/nodeconsole/node.sock", settings_file="/home/li/.config/nodeconsole/settings.toml"
    )
    for option in choices("connect", found)[0].options:
        answers = replace(first_answers(found), connect=option, address="li@far.example")
        lines = body(step, 0, answers, found, display, 80)
        # Title, steps, label, line to type in, fault and footer are around it.
        assert len(lines) <= 24 - 6
        assert all(cells(plain(line)) <= 80 for line in (*lines, strip(0, display)))


def test_options_go_round() -> None:
    answers = first_answers(FOUND)
    connect = choices("connect", FOUND)[0]
    assert answers.connect == "create"
    assert moved(answers, connect, -1).connect == "demo"
    assert moved(moved(answers, connect, -1), connect, 1) == answers
    assert first_answers(replace(FOUND, socket="/s")).connect == "found"


async def test_enter_five_times_is_enough_and_writes_nothing(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "LANG": "C.UTF-8"}
    found = look_around(tmp_path / ".nodeconsole", "alice", "", environ)
    app = FirstRunApp(found, environ)
    async with app.run_test(size=(80, 24)) as pilot:
        for number in range(1, 6):
            await until_shown(pilot, f"step {number} of 5")
            await press(pilot, "enter")
    assert app.return_value == first_answers(found)
    assert not list(tmp_path.iterdir())


async def test_language_theme_and_signs_are_seen_at_once() -> None:
    app = FirstRunApp(FOUND, {})
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "down")
        await until_shown(pilot, "控制台使用哪种语言")
        await press(pilot, "enter", "right", "down", "right")
        await until_shown(pilot, "(o) safe")
        assert app.theme == FOUND.themes[1]
        await press(pilot, "escape", "up", "enter")
        await until_shown(pilot, "two rulers")


async def test_what_is_typed_is_checked() -> None:
    app = FirstRunApp(FOUND, {})
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "enter", "enter")
        await until_shown(pilot, "Name of the node")
        await press(pilot, "space", "!", "enter")
        await until_shown(pilot, "node id must be")
        await press(pilot, "down", "enter")
        await until_shown(pilot, "type where it is")
        await press(pilot, *"li@far:x", "enter")
        await until_shown(pilot, "is not HOST or HOST:PORT")
        await press(pilot, "backspace", "backspace", "enter", "down", "enter")
        await until_shown(pilot, "open the console of the node at li@far")
        await press(pilot, "down", "enter")
    assert app.return_value is not None
    assert (app.return_value.connect, app.return_value.address) == ("ssh", "li@far")
    assert (app.return_value.preset, app.return_value.tour) == ("vim", "no")


async def test_leaving_answers_nothing() -> None:
    app = FirstRunApp(FOUND, {})
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "enter", "ctrl+q")
    assert app.return_value is None


def test_only_what_differs_is_remembered(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    found: Surroundings = look_around(tmp_path, "alice", "", environ)
    remember(first_answers(found), found, environ)
    assert OwnFiles(environ).preferences.theme == ""
    remember(replace(first_answers(found), theme="ember", language="zh_CN", preset="vim"), found, environ)
    files = OwnFiles(environ)
    assert (files.preferences.theme, files.preferences.language, files.keys.preset) == ("ember", "zh_CN", "vim")
    assert files.preferences.glyphs == ""


# -- the tour ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node() -> Iterator[Hosted]:
    with serving() as running:
        yield running


def test_every_mark_waits_for_an_action_that_there_is() -> None:
    known = {action.id for action in ACTIONS}
    assert len(MARKS) == 6
    for name, wanted in MARKS:
        assert known & set(wanted), name


@pytest.mark.parametrize("display", _displays(), ids=lambda d: f"{d.catalogue.language}-{d.glyphs.name}")
def test_marks_are_short(display: Display) -> None:
    for place in range(len(MARKS)):
        lines = Tour(place).lines(ACTIONS, display, 80)
        assert len(lines) <= 3
        assert all(cells(plain(line)) <= 80 for line in lines)


async def test_the_tour_goes_on_with_the_real_keys(node: Hosted) -> None:
    app = app_of(node, tour=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.session.online)
        steps = (("1 of 6", ("g", "j")), ("2 of 6", ("/", *"psi", "enter")), ("3 of 6", ("enter",)))
        for shown, keys in (*steps, ("4 of 6", ("l",)), ("5 of 6", ("g", "a")), ("6 of 6", ("?",))):
            await until_shown(pilot, f"tour {shown}")
            await until(pilot, lambda: getattr(app.screen, "has_data", True))
            await press(pilot, *keys)
        await until_shown(pilot, "That was the tour")
        assert app.session.tour is None


async def test_esc_ends_the_tour_and_a_command_begins_it_again(node: Hosted) -> None:
    app = app_of(node, tour=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "tour 1 of 6")
        await press(pilot, "escape")
        await until_gone(pilot, "tour 1 of 6")
        await press(pilot, ":", *"tour", "enter")
        await until_shown(pilot, "tour 1 of 6")


async def test_a_tip_goes_when_its_key_is_known(node: Hosted) -> None:
    app = app_of(node)
    async with app.run_test(size=(132, 40)) as pilot:
        await until(pilot, lambda: app.session.online)
        await press(pilot, "g", "j")
        await until_shown(pilot, "tip: ")
        first = screen_text(pilot).split("tip: ")[1].split("\n")[0]
        key = first.split(" ")[0]
        scopes = ("jobs", "list")
        action = next(a for a in app.session.actions if a.scope in scopes and key in map(key_name, a.keys))
        for _ in range(3):
            app.session.did(action)
        app.session.repaint_chrome()
        await until_gone(pilot, f"tip: {first}")
