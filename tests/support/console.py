"""Looking at the console from a test: what a line of the screen says, and waiting until it says something."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Callable
from typing import Any

from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import Input

from nodeconsole.app import NodeConsoleApp
from tests.support.hosted import Hosted

_DEADLINE = 10.0


def screen_text(pilot: Pilot[Any]) -> str:
    """The whole screen as the terminal shows it, one line per row."""
    width, height = pilot.app.size
    strips = pilot.app.screen._compositor.render_strips()
    lines = ["".join(segment.text for segment in strip)[: width * 2].rstrip() for strip in strips]
    return "\n".join(lines[:height])


async def until(pilot: Pilot[Any], fact: Callable[[], Any], what: str = "") -> None:
    """Let the app run until `fact` holds; AssertionError with the screen when it does not in time."""
    deadline = time.monotonic() + _DEADLINE
    while not fact():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'the screen did not change as expected'}:\n{screen_text(pilot)}")
        await pilot.pause(0.02)


async def until_shown(pilot: Pilot[Any], text: str) -> None:
    """Let the app run until `text` is on the screen."""
    await until(pilot, lambda: text in screen_text(pilot), f"{text!r} did not appear")


async def until_gone(pilot: Pilot[Any], text: str) -> None:
    await until(pilot, lambda: text not in screen_text(pilot), f"{text!r} did not go away")


def console_of(node: Hosted, **options: Any) -> NodeConsoleApp:
    """The console of a real node; confirmed writes are sent at once."""
    settings: dict[str, Any] = {"language": "en_US", "glyphs": "unicode", "theme": "dark", "environ": {}}
    return NodeConsoleApp(node.home.socket, **settings | {"undo_seconds": 0} | options)


async def fill(pilot: Pilot[Any], *values: str) -> None:
    """Into the lines of a question one after the other, as pasted."""
    for value in values:
        field = pilot.app.screen.focused
        assert isinstance(field, Input)
        field.value = value
        await press(pilot, "enter")


async def burst(pilot: Pilot[Any], *keys: str, turns: int = 0) -> None:
    """Send keys as a slow link does, with so many turns of the event loop before each, whatever the app is at."""
    for key in keys:
        for _ in range(turns):
            await asyncio.sleep(0)
        if len(key) == 1:
            pilot.app.post_message(events.Key(_character_to_key(key), key))
        else:
            pilot.app.post_message(events.Key(key, "\r" if key == "enter" else None))


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys one after the other; other characters than ASCII arrive as a terminal sends them."""
    for key in keys:
        if len(key) == 1 and not key.isascii():
            # The pilot knows no character for these.
            name = unicodedata.name(key).lower().replace(" ", "_").replace("-", "_")
            pilot.app.post_message(events.Key(name, key))
            await pilot.pause()
        else:
            await pilot.press(key)
    await pilot.pause()
