"""The palette: actions at once, and what the node has beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from textual.widgets import Input

from nodeconsole.actions import Action
from nodeconsole.app import NodeConsoleApp
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.card import CardScreen
from nodeconsole.screens.components import ComponentScreen
from nodeconsole.screens.data import DatasetScreen
from nodeconsole.screens.job import JobScreen
from nodeconsole.screens.palette import PaletteScreen
from nodeconsole.screens.partner import PartnerScreen
from nodeconsole.viewmodels.palette import Entry, Wanted, ranked, still_found, wanted
from nodeconsole.widgets.prompt import Prompt
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.fake_node import FakeNode
from tests.support.hosted import Hosted
from tests.support.showcase import app_of, serving


@pytest.fixture(scope="module")
def shown() -> Iterator[Hosted]:
    with serving() as running:
        yield running


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("", Wanted(None, "")),
        (" psi ", Wanted(None, "psi")),
        ("@bo", Wanted("partner", "bo")),
        ("＃ psi", Wanted("job", "psi")),
        ("=", Wanted("dataset", "")),
        ("+psi", Wanted("component", "psi")),
        ("：theme", Wanted("action", "theme")),
    ],
)
def test_a_sign_asks_for_one_kind(typed: str, asked: Wanted) -> None:
    assert wanted(typed) == asked


THINGS = (
    Entry("action", "a", "next theme", ("theme", "next theme theme app.theme")),
    Entry("action", "b", "the mean score", ("the mean score",)),
    Entry("job", "j-1", "themis", ("themis", "j-1")),
    Entry("job", "j-2", "other", ("other", "j-2")),
    Entry("partner", "thelma", "thelma", ("thelma",)),
    Entry("dataset", "x", "x", ("x", "datasets#x", "the mean")),
)


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("", ["a", "b", "j-1", "j-2", "thelma", "x"]),
        # Names before sentences; what the node found for another reason last.
        ("them", ["a", "j-1", "b", "thelma", "x", "j-2"]),
        ("@", ["thelma"]),
        ("#j-2", ["j-2", "j-1"]),
        (":zzz", []),
    ],
)
def test_the_best_comes_first(typed: str, keys: list[str]) -> None:
    assert [entry.key for entry in ranked(wanted(typed), THINGS)] == keys


def test_an_older_answer_is_shown_as_far_as_it_still_fits() -> None:
    assert [entry.key for entry in still_found(wanted("them"), THINGS[2:4])] == ["j-1"]


@pytest.mark.parametrize(
    ("typed", "line", "page"),
    [
        ("psi-credit", "# job       psi-credit-daily", JobScreen),
        ("#risk-join", "# job       risk-join-2026q4", CardScreen),
        ("#status:failed woe", "# job       woe-binning", JobScreen),
        ("#stovw", "# job       stats-overview", JobScreen),
        ("carl", "@ partner   carl", PartnerScreen),
        ("=loans", "= dataset   loans_2026", DatasetScreen),
        ("+alignment", "+ component nodeconsole/sample_alignment", ComponentScreen),
    ],
)
async def test_what_the_node_has_is_found_and_opened(
    shown: Hosted, typed: str, line: str, page: type[ConsoleScreen]
) -> None:
    async with app_of(shown, section="jobs").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "woe-binning")
        await press(pilot, "ctrl+p", *typed)
        await until_shown(pilot, f"▌ {line}")
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, page))
        await until(pilot, lambda: pilot.app.screen.has_data)


async def test_half_a_filter_and_nonsense_say_nothing_and_find_nothing(shown: Hosted) -> None:
    async with app_of(shown, section="jobs").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "woe-binning")
        said = len(pilot.app.session.said)
        await press(pilot, ";", *"#re:(")
        await until_shown(pilot, "nothing found")
        await asyncio.sleep(0.3)
        assert len(pilot.app.session.said) == said
        await press(pilot, "escape")
        await until_gone(pilot, "nothing found")


async def test_an_action_that_wants_an_argument_waits_for_it_in_the_command_line(shown: Hosted) -> None:
    async with app_of(shown, section="jobs").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "woe-binning")
        await press(pilot, ";", *":theme")
        await until_shown(pilot, "▌ : action")
        await press(pilot, "enter")
        await until(pilot, lambda: bool(pilot.app.screen.query(Prompt)))
        await until(pilot, lambda: isinstance(pilot.app.focused, Input))
        assert pilot.app.screen.query_one(Prompt).query_one(Input).value == "theme "
        await press(pilot, *"light", "enter")
        await until(pilot, lambda: pilot.app.theme == "light")
        # What may go without one is done.
        await press(pilot, ";", *":peers", "enter")
        await until(pilot, lambda: pilot.app.current_mode == "peers")


async def test_without_the_node_there_are_the_actions(node: FakeNode, make_app: Callable[..., NodeConsoleApp]) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "100 of 1,200")
        node.stop()
        await until_shown(pilot, "OFFLINE")
        await press(pilot, ";", *"help")
        await until_shown(pilot, "actions only")
        palette = pilot.app.screen
        assert isinstance(palette, PaletteScreen)
        await asyncio.sleep(0.3)
        assert "# job" not in screen_text(pilot)
        await press(pilot, "enter")
        await until_gone(pilot, "actions only")
        assert isinstance(pilot.app.screen, ConsoleScreen)


def test_what_wants_an_argument_says_so_without_brackets() -> None:
    assert Action("x", "y", argument="ID").wants_argument
    assert not Action("x", "y", argument="[ID]").wants_argument
    assert not Action("x", "y").wants_argument
