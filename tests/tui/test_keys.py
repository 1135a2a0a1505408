"""Keys and sections: what the table of actions promises, kept by the running console."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from textual.screen import Screen
from textual.widgets import Input

from nodeconsole.actions import ACTIONS, GLOBAL, KeyMap, Level, available, plain_key
from nodeconsole.app import SECTIONS, NodeConsoleApp
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.viewmodels.visits import Visits
from tests.support.console import burst, press, screen_text, until, until_gone, until_shown
from tests.support.fake_node import FakeNode

MakeApp = Callable[..., NodeConsoleApp]
SIZE = (80, 24)


def test_a_section_that_is_not_there_is_not_offered() -> None:
    everything = KeyMap((GLOBAL,), available(SECTIONS))
    nothing = KeyMap((GLOBAL,), available(()))
    assert everything.command("jobs") is not None
    assert nothing.command("jobs") is None
    assert all(key != "j" for key in nothing.following("g"))
    assert {action.section for action in available(SECTIONS) if action.section} == set(SECTIONS)


def test_what_the_node_must_offer_asks_first_and_the_rest_looks() -> None:
    for action in ACTIONS:
        assert bool(action.offered) == (action.level > Level.LOOK), action.id


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("：", ":"), ("／", "/"), ("、", "/"), ("？", "?"), ("【", "["), ("。", "."), ("ｇ", "g"), ("f2", "f2")],
)
def test_full_width_keys_mean_the_plain_ones(typed: str, meant: str) -> None:
    assert plain_key(typed) == meant


def test_visits_go_back_forward_and_to_and_fro() -> None:
    visits = Visits("jobs")
    assert visits.back() is visits.forward() is visits.last() is None
    for place in ("peers", "peers", "data"):
        visits.go(place)
    assert [visits.back(), visits.back(), visits.back()] == ["peers", "jobs", None]
    assert [visits.forward(), visits.last(), visits.last()] == ["peers", "jobs", "peers"]
    visits.go("audit")
    assert visits.forward() is None


async def test_every_section_opens_by_its_keys_and_its_command(node: FakeNode, make_app: MakeApp) -> None:
    actions = [action for action in available(SECTIONS) if action.section]
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        for action in actions:
            for key in action.keys:
                await press(pilot, "g", "w", *key.split(" "))
                assert pilot.app.current_mode == action.section
            if action.command:
                await press(pilot, "g", "w", ":", *action.command[0], "enter")
                assert pilot.app.current_mode == action.section
            assert isinstance(pilot.app.screen, ConsoleScreen)


async def test_back_forward_and_last_keep_what_was_open(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "[")
        await until_shown(pilot, "nothing further")
        await press(pilot, "enter")
        await until_shown(pilot, "alice:guest")
        await press(pilot, "g", "o")
        await until_shown(pilot, "erin")
        await press(pilot, "[")
        await until_shown(pilot, "alice:guest")
        await press(pilot, "]")
        await until_shown(pilot, "erin")
        await press(pilot, "-", "q")
        await until_shown(pilot, "100 of 1,200")
        assert pilot.app.current_mode == "jobs"


async def test_the_banner_key_leads_to_what_needs_somebody(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "！")
        assert pilot.app.current_mode == "approvals"


async def test_the_dot_does_the_last_thing_again_on_this_row(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, ".")
        await until_shown(pilot, "nothing was done yet")
        await press(pilot, "S", "escape", "j", ".")
        await until_shown(pilot, "Stop this job?")
        await press(pilot, "escape")
        await until_gone(pilot, "Stop this job?")
        await press(pilot, "g", "o", "。")
        await until_shown(pilot, "stop: not on this screen")


async def test_escape_takes_back_one_thing_and_never_leaves(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "/", *"waiting", "enter")
        await until_shown(pilot, "2 of 1,200")
        await press(pilot, "q")
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "q", "q", "escape", "ctrl+l")
        assert "100 of 1,200" in screen_text(pilot)
        await press(pilot, "ctrl+q")
        await until(pilot, lambda: not pilot.app.is_running)


async def test_what_is_typed_stays_in_order_whenever_the_line_gets_the_focus(node: FakeNode, make_app: MakeApp) -> None:
    """Keys come from the terminal at any moment between the one that opens a line and the line's own focus."""
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        screen, text = pilot.app.screen, "abcdefghijklmnopqrstuvwxyz0123456789"
        for turns in (0, 1, 2, 4, 8):
            await burst(pilot, "/", *text, turns=turns)
            await until(pilot, lambda: isinstance(line := screen.focused, Input) and len(line.value) == len(text))
            assert isinstance(screen.focused, Input)
            assert screen.focused.value == text, turns
            await press(pilot, "escape")
            await until(pilot, lambda: screen.focused is None)


def _typed_into(screen: Screen[Any], text: str) -> bool:
    return isinstance(screen.focused, Input) and screen.focused.value == text


async def test_what_is_typed_behind_a_line_goes_to_the_screen(node: FakeNode, make_app: MakeApp) -> None:
    """On a slow link keys come in bursts: none of them is lost, and none gets into the line that Enter ended."""
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        for turns in (0, 1, 2, 4, 8):
            await burst(pilot, "/", "p", "enter", ":", "h", "i", turns=turns)
            screen = pilot.app.screen
            await until(pilot, partial(_typed_into, screen, "hi"))
            assert "filter: p " in screen_text(pilot), turns
            await press(pilot, "escape", "escape")
            await until_gone(pilot, "filter: p ")


async def test_what_is_typed_behind_a_key_that_leads_elsewhere_follows_there(node: FakeNode, make_app: MakeApp) -> None:
    """A burst that goes to a section, filters there, and opens what was found: nothing of it is taken by the screen
    before, where the same keys mean something else."""
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        for turns in (0, 1, 2, 4, 8):
            await burst(pilot, ":", *"components", "enter", "/", *"align", "enter", "enter", turns=turns)
            await until_shown(pilot, "components > ")
            assert isinstance(pilot.app, NodeConsoleApp)
            assert pilot.app.session.state.recall("section", "") == "components"
            await press(pilot, "q", "escape", "escape", "g", "j")
            await until_shown(pilot, "100 of 1,200")
