"""Tokens, secrets, the policy and the identity through the console, on a real node: every write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from nodeconsole.app import NodeConsoleApp
from nodeconsole.widgets.prompt import Prompt
from tests.support.certificates import Authority
from tests.support.cluster import document
from tests.support.console import fill, press, screen_text, until, until_gone, until_shown
from tests.support.hosted import hosted


async def _answer(pilot: Pilot[Any], text: str) -> None:
    """Into the prompt below, instead of what it offers."""
    pilot.app.screen.query_one(Prompt).query_one(Input).value = text
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
            await fill(pilot, "nightly", "jobs:read", "30")
            await press(pilot, "Y")
            await until_shown(pilot, "Keep it now")
            await press(pilot, "escape")
            await until_shown(pilot, "✓ valid")
            await press(pilot, "X")
            await fill(pilot, "htly")
            await until_shown(pilot, "revoked the token of nightly")
            assert [(row.name, row.state) for row in await client.tokens()] == [("nightly", "revoked")]

            await press(pilot, ":", *"secrets", "enter")
            await until_shown(pilot, "No secret is kept.")
            await press(pilot, "N")
            await fill(pilot, "warehouse", "s3cret-value")
            assert "s3cret-value" not in screen_text(pilot)
            await press(pilot, "Y")
            await until_shown(pilot, "kept warehouse")
            await press(pilot, "K")
            await fill(pilot, "ouse")
            await until_shown(pilot, "forgot warehouse")
            assert await client.secrets() == []

            before = (await client.identity()).fingerprint
            await press(pilot, ":", *"identity", "enter")
            await until_shown(pilot, before[:4])
            await press(pilot, "R")
            await fill(pilot, before[-4:])
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


async def test_a_file_is_tried_with_the_policy_and_as_the_policy(tmp_path: Path) -> None:
    async with hosted(tmp_path / "a") as node, node.client() as client:
        await client.set_policy('[[rule]]\nname = "nobody"\nthen = "refuse"\nreason = "not today"\n')
        job = document(("a",), roles={"guest": ["bob"], "host": ["alice"]})
        (tmp_path / "job.json").write_text(json.dumps(job))
        (tmp_path / "other.toml").write_text("[[rule]\n")
        (tmp_path / "good.toml").write_text('[[rule]]\nname = "all"\nthen = "ask"\n')
        (tmp_path / "list.json").write_text('{"a": ')
        app = NodeConsoleApp(
            node.home.socket, language="en_US", glyphs="unicode", theme="dark", environ={}, undo_seconds=0
        )
        async with app.run_test(size=(100, 30)) as pilot:
            await until_shown(pilot, "online")
            await press(pilot, ":", *"policy", "enter")
            await until_shown(pilot, "version 1, set by")
            app.screen.act_policy_trial(str(tmp_path / "list.json"))  # type: ignore[attr-defined]
            await until_shown(pilot, "cannot read")
            app.screen.act_policy_trial(str(tmp_path / "other.toml"))  # type: ignore[attr-defined]
            await until_shown(pilot, "line 1")
            await press(pilot, "o")
            await until_shown(pilot, "to try:")
            await _answer(pilot, str(tmp_path / "job.json"))
            await until_shown(pilot, "job.json")
            await until_shown(pilot, "refuse (nobody)")
            await until_shown(pilot, "the partner is told: not today")
            await press(pilot, "escape")
            app.screen.act_policy_trial(str(tmp_path / "good.toml"))  # type: ignore[attr-defined]
            await until_shown(pilot, "there are no jobs to try it on")
            assert (await client.policy()).version == 1


async def test_what_the_node_gives_out_of_its_identity_and_a_certificate_that_comes_back(tmp_path: Path) -> None:
    async with hosted(tmp_path / "a") as node, node.client() as client:
        identity = await client.identity()
        app = NodeConsoleApp(
            node.home.socket, language="en_US", glyphs="unicode", theme="dark", environ={}, undo_seconds=0
        )
        async with app.run_test(size=(100, 30)) as pilot:
            await until_shown(pilot, "online")
            await press(pilot, ":", *"identity", "enter")
            await until_shown(pilot, identity.fingerprint[:4])
            await press(pilot, "e")
            await until_shown(pilot, "the public key alone")
            await press(pilot, "enter")
            await until_shown(pilot, "write it to")
            await _answer(pilot, str(tmp_path / "own.pem"))
            await until_shown(pilot, "saved")
            assert (tmp_path / "own.pem").read_text() == identity.certificate
            app.screen.act_identity_export("csr", str(tmp_path / "own.csr"))  # type: ignore[attr-defined]
            await until(pilot, (tmp_path / "own.csr").exists)
            issued = Authority(tmp_path).certify(await client.certificate_request())
            (tmp_path / "issued.pem").write_text(issued)
            await press(pilot, "I")
            await _answer(pilot, str(tmp_path / "issued.pem"))
            await until_shown(pilot, "Use this certificate?")
            await press(pilot, "Y")
            await until_shown(pilot, "is in use")
            after = await client.identity()
            assert (after.fingerprint, after.issuer != identity.issuer) == (identity.fingerprint, True)
