"""The short ways through the console, on a real node with a history: jump mode, what a key begins."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from textual.pilot import Pilot

from nodeconsole.actions import GLOBAL, KeyMap, available
from nodeconsole.app import SECTIONS
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.job import JobScreen
from nodeconsole.screens.listing import ListingScreen
from nodeconsole.screens.pulse import PulseScreen
from nodeconsole.viewmodels.jump import Jump, Landed, labels
from nodeconsole.viewmodels.spans import plain
from nodeconsole.viewmodels.strips import Choice, following, strip_lines
from nodeconsole.viewmodels.tabs import TabWord, tab_line
from nodeconsole.viewmodels.text import cells, cut_to
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.hosted import Hosted
from tests.support.showcase import app_of, serving

HINT = "with a capital it opens"


@pytest.fixture(scope="module")
def node() -> Iterator[Hosted]:
    with serving() as running:
        yield running


# Jump mode.


@pytest.mark.parametrize("count", [0, 1, 26, 27, 51, 52, 300, 676, 1000])
def test_labels_are_short_unlike_and_none_begins_another(count: int) -> None:
    found = labels(count)
    assert len(found) == len(set(found)) == min(count, 676)
    assert all(1 <= len(label) <= 2 for label in found)
    alone = {label for label in found if len(label) == 1}
    assert not any(label[0] in alone for label in found if len(label) == 2)
    assert list(found) == sorted(found, key=len)
    assert len(alone) == count or len(alone) >= 26 - -(-(count - 26) // 25)


def test_letters_lead_to_a_place_and_a_capital_opens_it() -> None:
    places = [str(number) for number in range(30)]
    jump = Jump.over(places)
    assert jump.after("a") == Landed("0", opens=False)
    assert jump.after("A") == Landed("0", opens=True)
    for typed, opens in (("ms", False), ("Ms", True), ("mS", True)):
        on_the_way = jump.after(typed[0])
        assert isinstance(on_the_way, Jump)
        assert on_the_way.typed == "m"
        assert on_the_way.after(typed[1]) == Landed("26", opens=opens)
        assert on_the_way.after("z") is None
    for nothing in ("1", "escape", "space", "f5", "ctrl+p", "ß", "İ"):
        assert jump.after(nothing) is None


def test_a_label_stands_in_the_gap_before_its_tab_and_moves_nothing() -> None:
    tabs = [TabWord("one", "One"), TabWord("two", "Two", wrong=True), TabWord("three", "三")]
    assert plain(tab_line(tabs, "one")) == "[One] Two!  三 "
    assert plain(tab_line(tabs, "one", {"two": "a", "three": "s"})) == "[One]aTwo! s三 "


def _rows(pilot: Pilot[None]) -> list[str]:
    """Heading, rows and the lines below, without the scroll bar, which appears late."""
    return [cut_to(line, 78).rstrip() for line in screen_text(pilot).splitlines()[2:23]]


def _label_of(pilot: Pilot[None], name: str) -> str:
    """The letters at the beginning of the row that has `name`."""
    line = next(line for line in screen_text(pilot).splitlines() if name in line)
    found = re.match(r"([a-z]{1,2}) ", line)
    assert found, line
    return found.group(1)


async def test_a_row_of_a_list_is_gone_to_and_with_a_capital_opened(node: Hosted) -> None:
    async with app_of(node, section="jobs").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "woe-binning")
        heading = _rows(pilot)[0]
        await press(pilot, "f")
        await until_shown(pilot, HINT)
        label = _label_of(pilot, "risk-join")
        await press(pilot, *label)
        await until_gone(pilot, HINT)
        listing = pilot.app.screen
        assert isinstance(listing, ListingScreen)
        assert listing.main.item.flow_id == "risk-join-2026q4"
        assert _rows(pilot)[0] == heading
        await press(pilot, "f")
        await until_shown(pilot, HINT)
        await press(pilot, _label_of(pilot, "woe-binning").upper())
        await until_shown(pilot, "[Graph]")
        assert isinstance(pilot.app.screen, JobScreen)


async def test_any_other_key_leaves_and_does_nothing_else(node: Hosted) -> None:
    async with app_of(node, section="jobs").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "woe-binning")
        rows = _rows(pilot)
        for key in ("escape", "down", "3", "f5", "，"):
            await press(pilot, "f")
            await until_shown(pilot, HINT)
            await press(pilot, key)
            await until_gone(pilot, HINT)
            assert pilot.app.current_mode == "jobs"
        assert _rows(pilot) == rows


async def test_a_pane_gets_the_keys_and_its_row_the_cursor(node: Hosted) -> None:
    async with app_of(node, section="pulse", glyphs="ascii", theme="mono").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "FLOWS x RUNS")
        await until_shown(pilot, "psi-credit-daily ####")
        screen = pilot.app.screen
        assert isinstance(screen, PulseScreen)
        await press(pilot, "ｆ")
        await until_shown(pilot, HINT)
        title = next(line for line in screen_text(pilot).splitlines() if "- RUNNING" in line)
        await press(pilot, title[0])
        await until(pilot, lambda: screen.pane == "running")
        await press(pilot, "f")
        await until_shown(pilot, HINT)
        # More than one letter reaches: both have to be typed.
        row = next(line for line in screen_text(pilot).splitlines() if "xport-q4          +" in line)
        label = row[row.index("xport-q4          +") - 2 :][:2]
        await press(pilot, label[0])
        await until(pilot, lambda: f"{label} " not in screen_text(pilot))
        await until_shown(pilot, HINT)
        await press(pilot, label[1])
        await until(pilot, lambda: screen.pane == "flows")
        assert screen.main.row is not None
        assert screen.main.row.key == "flow export-q4"


async def test_tabs_and_what_is_on_them(node: Hosted) -> None:
    async with node.client() as client:
        job_id = (await client.jobs(flow_id="sgb-train-v12", limit=1)).jobs[0].job_id
    async with app_of(node).run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: pilot.app.session.online)
        screen = JobScreen(pilot.app.session, job_id)
        await pilot.app.push_screen(screen)
        await until_shown(pilot, ">[")
        await press(pilot, "f")
        await until_shown(pilot, "[Graph]aTasks")
        # A box of the graph has its label on its left.
        line = next(line for line in screen_text(pilot).splitlines() if "psi " in line and "[" in line)
        await press(pilot, line.split("[")[0].strip()[-1])
        assert screen.chosen.startswith("psi")
        await press(pilot, "f")
        await until_shown(pilot, "sTimeline")
        await press(pilot, "s")
        await until_shown(pilot, "[Timeline]")
        await press(pilot, "f")
        await until_shown(pilot, HINT)
        split = next(line for line in screen_text(pilot).splitlines() if " split " in line)
        await press(pilot, split[0])
        await until(pilot, lambda: screen.chosen == "split")
        await press(pilot, "g", "d")
        await until_shown(pilot, "[datasets]")
        await press(pilot, "f", "a")
        await until_shown(pilot, "[connectors]")


async def test_where_there_is_nothing_to_jump_to_it_is_said(node: Hosted) -> None:
    async with app_of(node, section="jobs").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "woe-binning")
        await press(pilot, "?", "f")
        await until_shown(pilot, "nothing to jump to here")
        assert isinstance(pilot.app.screen, ConsoleScreen)


# What the first key of a pair begins.


def test_what_may_follow_comes_with_the_key_that_does_the_same() -> None:
    found = following(KeyMap(("move", GLOBAL), available(SECTIONS)), "g", lambda key: key)
    assert Choice("j", "action.go.jobs", "2") in found
    assert Choice("g", "action.move.first", "Home") in found
    assert Choice("l", "action.go.logs") in found
    assert following(KeyMap((GLOBAL,)), "x", lambda key: key) == []


@pytest.mark.parametrize(
    ("width", "wanted"),
    [
        (80, ["g ...  j jobs 2  l logs  d 数据"]),
        (24, ["g ...  j jobs 2  l logs", "       d 数据"]),
        (10, ["g ...  j jobs 2", "       l logs", "       d 数据"]),
    ],
)
def test_a_strip_is_broken_between_choices(width: int, wanted: list[str]) -> None:
    choices = [Choice("j", "jobs", "2"), Choice("l", "logs"), Choice("d", "数据")]
    assert [plain(line).rstrip() for line in strip_lines("g ...", choices, width)] == wanted


@pytest.mark.parametrize("language", ["en_US", "zh_CN"])
async def test_who_hesitates_is_shown_what_may_follow_and_who_does_not_sees_nothing(
    node: Hosted, language: str
) -> None:
    async with app_of(node, section="jobs", language=language).run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "woe-binning")
        session = pilot.app.session
        session.hesitation = 3600.0
        before = _rows(pilot)
        await press(pilot, "g")
        assert _rows(pilot) == before
        await press(pilot, "G")
        session.hesitation = 0.01
        await press(pilot, "g")
        await until_shown(pilot, " g ...")
        # All sections, whole; nothing above the strip has moved.
        shown = screen_text(pilot)
        for action in available(SECTIONS):
            if action.section and any(key.startswith("g ") for key in action.keys):
                assert session.text(f"action.{action.id}") in shown
        assert _rows(pilot)[:17] == before[:17]
        assert all(cells(line) <= 80 for line in shown.splitlines())
        await press(pilot, "escape")
        await until_gone(pilot, " g ...")
        assert pilot.app.current_mode == "jobs"
        await press(pilot, "g")
        await until_shown(pilot, " g ...")
        await press(pilot, "d")
        assert pilot.app.current_mode == "data"
        await until_gone(pilot, " g ...")
