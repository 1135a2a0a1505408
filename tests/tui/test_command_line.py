"""The line behind `:`: completion, and what is said about words that mean nothing; and that all of the table exists."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from nodeconsole import screens
from nodeconsole.actions import ACTIONS
from nodeconsole.app import NodeConsoleApp
from nodeconsole.screens.job import JobScreen
from nodeconsole.viewmodels.completion import (
    Candidate,
    Completion,
    Typed,
    beginning_with,
    candidate_lines,
    typed,
)
from nodeconsole.viewmodels.spans import plain
from nodeconsole.viewmodels.text import cells
from nodeconsole.widgets.prompt import Prompt
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.hosted import Hosted
from tests.support.showcase import app_of, serving


@pytest.fixture(scope="module")
def node() -> Iterator[Hosted]:
    with serving() as running:
        yield running


def test_every_action_of_the_table_is_carried_out_somewhere() -> None:
    known: set[str] = set(dir(NodeConsoleApp))
    for module in pkgutil.iter_modules(screens.__path__):
        for one in vars(importlib.import_module(f"{screens.__name__}.{module.name}")).values():
            if isinstance(one, type):
                known |= set(dir(one))
    assert [action.id for action in ACTIONS if not action.section and action.handler not in known] == []


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("", Typed((), "", "")),
        ("the", Typed((), "", "the")),
        ("：the", Typed((), "：", "the")),
        ("theme ", Typed(("theme",), "theme ", "")),
        ("set  theme da", Typed(("set", "theme"), "set  theme ", "da")),
    ],
)
def test_a_line_is_what_is_whole_and_what_is_typed(line: str, parts: Typed) -> None:
    assert typed(line) == parts


WORDS = ("status:failed", "status:finished", "mine")


@pytest.mark.parametrize(
    ("head", "last", "steps", "lines"),
    [
        ("jobs ", "status:fi", [1], ["jobs status:finished "]),
        # What they have in common first, then one after the other and around.
        ("jobs ", "st", [1, 1, 1, 1], ["jobs status:f", "jobs status:failed", "jobs status:finished"]),
        ("jobs ", "status:f", [-1, -1, -1], ["jobs status:finished", "jobs status:failed", "jobs status:finished"]),
        ("jobs ", "", [1, 1], ["jobs status:failed", "jobs status:finished"]),
        ("jobs ", "M", [1], ["jobs mine "]),
        ("jobs ", "zz", [1, 1], ["jobs zz", "jobs zz"]),
    ],
)
def test_tab_completes_then_goes_round(head: str, last: str, steps: list[int], lines: list[str]) -> None:
    completion = Completion(head, last, beginning_with(last, WORDS))
    seen = []
    for step in steps:
        completion, line = completion.stepped(step)
        seen.append(line)
    assert seen[: len(lines)] == lines
    if len(steps) > len(lines):
        assert seen[-1] == lines[1]


def test_what_goes_on_gets_no_space() -> None:
    for word in ("demo/", "status:", "age:<"):
        assert Completion("x ", "", (Candidate(word),)).stepped(1)[1] == f"x {word}"


@pytest.mark.parametrize("at", [None, 0, 57])
def test_candidates_take_three_lines_at_most_and_the_chosen_one_is_among_them(at: int | None) -> None:
    found = tuple(Candidate(f"job-{number:08}", "流程") for number in range(60))
    lines = candidate_lines(Completion(found=found, at=at), 78)
    assert 1 <= len(lines) <= 3
    assert all(cells(plain(line)) <= 80 for line in lines)
    if at is not None:
        assert [span.text for line in lines for span in line if span.role == "label"] == [found[at].word]
    assert ("+" in plain(lines[-1])) is (at != 57)


def _line(pilot: Pilot[None]) -> str:
    return pilot.app.screen.query_one(Prompt).query_one(Input).value


async def _type(pilot: Pilot[None], text: str, wanted: str, *, keys: tuple[str, ...] = ("tab",)) -> None:
    """Into an empty command line; then the keys make of it what is wanted."""
    await press(pilot, ":", *text)
    await until(pilot, lambda: _line(pilot) == text)
    await press(pilot, *keys)
    await until(pilot, lambda: _line(pilot) == wanted, wanted)


async def _leave(pilot: Pilot[None]) -> None:
    await press(pilot, "escape")
    await until(pilot, lambda: not pilot.app.screen.query(Prompt))


async def test_tab_completes_words_and_what_follows_them(node: Hosted, tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "job.json").write_text("{}")
    async with app_of(node, section="jobs").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "woe-binning")
        await _type(pilot, "the", "theme ")
        # What may follow is shown without being asked for.
        await until_shown(pilot, "deuteranopia")
        await press(pilot, "l", "tab")
        await until(pilot, lambda: _line(pilot) == "theme light ")
        await _leave(pilot)
        for text, wanted in (
            ("lang z", "lang zh "),
            ("glyphs sa", "glyphs safe "),
            ("set pre", "set preset "),
            ("set preset v", "set preset vim "),
            ("set refresh 5", "set refresh 5s "),
            ("ro ", "ro off "),
            ("jobs status:failed,rej", "jobs status:failed,rejected "),
            ("jobs party:er", "jobs party:erin "),
            ("runs woe", "runs woe-binning "),
            ("data conn", "data connectors "),
            (f"compose {tmp_path}/fl", f"compose {tmp_path}/flows/"),
        ):
            await _type(pilot, text, wanted)
            await _leave(pilot)
        await _type(pilot, "sta", "stats ")
        await until_shown(pilot, "24h  7d  30d")
        await press(pilot, "tab", "tab")
        await until(pilot, lambda: _line(pilot) == "stats 7d")
        await press(pilot, "shift+tab")
        await until(pilot, lambda: _line(pilot) == "stats 24h")
        await _leave(pilot)
        await press(pilot, ":", *"peers ")
        await until_shown(pilot, ":peers [FILTER]  partners")
        await _leave(pilot)
        await until_gone(pilot, ":peers [FILTER]")


async def test_a_job_is_completed_by_its_id_or_its_name_and_a_task_where_there_are_some(node: Hosted) -> None:
    async with node.client() as client:
        job_id = (await client.jobs(flow_id="stats-overview", limit=1)).jobs[0].job_id
    async with app_of(node, section="jobs").run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "woe-binning")
        # Tab right behind the letters: it waits for the node's answer.
        await _type(pilot, f"job {job_id[:10]}", f"job {job_id[:12]} ")
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, JobScreen) and pilot.app.screen.detail is not None)
        screen = pilot.app.screen
        assert isinstance(screen, JobScreen)
        task = screen.task_names()[0]
        await _type(pilot, f"logs {task[:2]}", f"logs {task} ")
        await _leave(pilot)
        await press(pilot, ":", *"stop nosuch", "enter")
        await until_shown(pilot, "stop:")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pulse now", ":pulse takes nothing behind it, so nothing was done: now"),
        ("theme pink", "no theme pink; there are: dark"),
        ("lang fr", "no language fr; there are: en, zh"),
        ("glyphs emoji", "no set of signs emoji; there are: unicode safe ascii"),
        ("set preset emacs", "no preset emacs; there are: k9s vim plain"),
        ("ro maybe", "maybe is neither"),
        ("node nowhere", "there is no context 'nowhere'"),
        ("stats soon", "how far back?"),
    ],
)
async def test_what_means_nothing_is_said(node: Hosted, line: str, said: str) -> None:
    async with app_of(node, section="jobs").run_test(size=(120, 24)) as pilot:
        await until_shown(pilot, "woe-binning")
        await press(pilot, ":", *line, "enter")
        await until(pilot, lambda: any(said in one.text for one in pilot.app.session.said), screen_text(pilot))
        assert not pilot.app.session.read_only
