"""What is closed by the next key before it was there: on a busy machine keys come faster than screens do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

from algorithm_components.sdk.forms.model import Choice
from nodeconsole.app import NodeConsoleApp
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.choosing import ChoiceScreen
from nodeconsole.screens.log_view import LogView
from nodeconsole.widgets.prompt import Prompt
from tests.support.console import press, until, until_shown
from tests.support.fake_node import FakeNode

MakeApp = Callable[..., NodeConsoleApp]


async def _settled(pilot: Pilot[Any]) -> None:
    await pilot.pause()
    await until_shown(pilot, "100 of 1,200")


async def test_a_choice(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "100 of 1,200")
        app = pilot.app
        assert isinstance(app, NodeConsoleApp)
        closed = [ChoiceScreen(app.session, "which", [Choice("1", "one")], ()) for _ in range(5)]
        for screen in closed:
            app.push_screen(screen)
            app.pop_screen()
        await until(pilot, lambda: not any(screen.is_attached for screen in closed))
        await _settled(pilot)


async def test_a_prompt(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "100 of 1,200")
        screen = pilot.app.screen
        assert isinstance(screen, ConsoleScreen)
        for _ in range(5):
            screen.open_prompt("filter", "/")
            screen.close_prompt()
        await until(pilot, lambda: not screen.query(Prompt))
        await press(pilot, ":", "up", "escape")
        await _settled(pilot)


async def test_a_log_that_was_to_be_repainted(node: FakeNode, make_app: MakeApp) -> None:
    """Its lines go first, then the screen: the moment of a repaint may lie between."""
    async with make_app().run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "l")
        screen = pilot.app.screen
        assert isinstance(screen, LogView)
        await until(pilot, lambda: screen.main.buffer.total)
        await screen.remove_children()
        screen.plan_repaint()
        await asyncio.sleep(0.3)
        await press(pilot, "q", "q")
        await _settled(pilot)
