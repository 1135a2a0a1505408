"""Tokens, secrets, the policy and the identity through the console, on a real node: every write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from nodeconsole.app import NodeConsoleApp
from tests.support.console import press, screen_text, until_gone, until_shown
from tests.support.hosted import hosted


async def _fill(pilot: Pilot[Any], *values: str) -> None:
    """Into the lines of a question, as pasted."""
    for value in values:
        field = pilot.app.screen.focused
        assert isinstance(field, Input)
        field.value = value
        await press(pilot, "enter")


async def test_tokens_secrets_and_identity(tmp_path: Path) -> None:
    async with hosted(tmp_path / "a") as node, node.client() as client:
        app = NodeConsoleApp(
            node.home.socket, language="en_US", glyphs="unicode", theme="dark", environ={}, undo_seconds=0
        )
        async with app.run_test(size=(100, 30)) as pilot:
            await until_shown(pilot, "online")
            await press(pilot, ":", *"tokens", "enter")
            await until_shown(pilot, "No program of the platform may call yet.")
            await press(pilot, "N")
            await _fill(pilot, "nightly", "jobs:read", "30")
            await press(pilot, "Y")
            await until_shown(pilot, "Keep it now")
            await press(pilot, "escape")
            await until_shown(pilot, "✓ valid")
            await press(pilot, "X")
            await _fill(pilot, "htly")
            await until_shown(pilot, "revoked the token of nightly")
            assert [(row.name, row.state) for row in await client.tokens()] == [("nightly", "revoked")]

            await press(pilot, ":", *"secrets", "enter")
            await until_shown(pilot, "No secret is kept.")
            await press(pilot, "N")
            await _fill(pilot, "warehouse", "s3cret-value")
            assert "s3cret-value" not in screen_text(pilot)
            await press(pilot, "Y")
            await until_shown(pilot, "kept warehouse")
            await press(pilot, "K")
            await _fill(pilot, "ouse")
            await until_shown(pilot, "forgot warehouse")
            assert await client.secrets() == []

            before = (await client.identity()).fingerprint
            await press(pilot, ":", *"identity", "enter")
            await until_shown(pilot, before[:4])
            await press(pilot, "R")
            await _fill(pilot, before[-4:])
            await until_gone(pilot, before[:4] + " " + before[4:8])
            assert (await client.identity()).fingerprint != before


async def test_the_policy_is_edited_outside_and_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(tmp_path / "a") as node, node.client() as client:
        await client.set_policy("")
        app = NodeConsoleApp(
            node.home.socket, language="en_US", glyphs="unicode", theme="dark", environ={}, undo_seconds=0
        )
        monkeypatch.setenv("VISUAL", "/bin/false")
        async with app.run_test(size=(100, 30)) as pilot:
            await until_shown(pilot, "online")
            await press(pilot, ":", *"policy", "enter")
            await until_shown(pilot, "version 1, set by")
            await press(pilot, "t")
            await until_shown(pilot, "there are no jobs to try it on")
            await press(pilot, "escape", "N")
            # A test has no terminal to hand over; the node keeps what it has.
            await until_shown(pilot, "false")
            assert (await client.policy()).version == 1
