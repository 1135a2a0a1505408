"""Partners through the console, on real nodes that trust one another: every write, and what is seen of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from embedded_scheduler.wire.console import PeerRequest, PeerRow
from embedded_scheduler.wire.console_grants import GrantRequest
from embedded_scheduler.wire.linktest import LinkCheck, LinkReport, OwnSide
from nodeconsole.i18n.catalogue import load
from nodeconsole.viewmodels.display import Display
from nodeconsole.viewmodels.glyphs import UNICODE
from nodeconsole.viewmodels.linktest import report_lines
from nodeconsole.viewmodels.messages import message_why
from nodeconsole.viewmodels.partner import advice
from nodeconsole.viewmodels.partners import partners
from nodeconsole.viewmodels.spans import plain
from tests.support.console import console_of, press, screen_text, until, until_shown
from tests.support.fake_node import NOW_MS, applied_contract, approved_contract, stuck_message
from tests.support.granting import QUICK, fresh, running_pair
from tests.support.hosted import Hosted, started
from tests.support.trust import trusted_nodes

EN = Display(load("en_US"), UNICODE, NOW_MS, None, "alice")
SIZE = (100, 30)


@pytest.fixture(scope="module")
def nodes() -> Iterator[dict[str, Hosted]]:
    with TemporaryDirectory(prefix="nc") as directory, running_pair(Path(directory), settings=QUICK) as running:
        yield running


async def _typed(pilot: Pilot[Any], text: str) -> None:
    """Into the line at the bottom, as pasted."""
    pilot.app.screen.query_one("Prompt Input", Input).value = text
    await press(pilot, "enter")


# -- view models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "contract", "said"),
    [
        ({"contract": "APPROVED", "signing": "required", "last_ok_ms": NOW_MS - 1}, approved_contract(), "All is well"),
        ({"contract": "APPLIED", "signing": "required"}, applied_contract(), "compare the six words, then A"),
        ({"contract": "APPROVED", "signing": "required"}, approved_contract(), "has not answered since"),
        ({"last_error_ms": NOW_MS, "last_error": "x"}, None, "R tests the route"),
        ({"signing": "off", "last_ok_ms": NOW_MS - 1}, None, "Anybody who reaches this node"),
        ({"signing": "required", "contract": "TERMINATED", "last_ok_ms": NOW_MS - 1}, None, "no contract in force"),
    ],
)
def test_advice_names_the_most_urgent_first(row: dict[str, object], contract: object, said: str) -> None:
    known: dict[str, object] = {"node_id": "bob", "url": "https://b", "profile": "seed", "approval": "manual"}
    peer = PeerRow.model_validate(known | row)
    agreed = [] if contract is None else [contract.model_copy(update={"node_id": "bob"})]  # type: ignore[attr-defined]
    partner = partners([peer], agreed, [])[0]
    assert said in advice(partner, EN)[0][0]


def test_a_link_report_counts_faults_and_says_what_to_do() -> None:
    own = OwnSide(node_id="alice", public_url="https://a", listen="x", tls="mutual")
    checks = [
        LinkCheck(name="tcp", state="ok", text="connected"),
        LinkCheck(name="body", state="bad", text="413", advice="raise it"),
    ]
    report = LinkReport(target="https://b", own=own, checks=checks, reverse=checks[:1])
    lines = [plain(line) for line in report_lines(report, EN, 70)]
    assert lines[0].startswith("1 of 3 checks fail")
    assert any("✗ body" in line for line in lines)
    assert any("do: raise it" in line or "raise it" in line for line in lines)
    assert any("FROM THERE TO https://a" in line for line in lines)


def test_a_stuck_message_says_why() -> None:
    assert "connection refused" in plain(message_why(stuck_message(), EN))


# -- real nodes -------------------------------------------------------------------------------------------------------


async def test_the_page_of_a_partner_and_how_its_jobs_are_treated(nodes: dict[str, Hosted], tmp_path: Path) -> None:
    async with fresh(nodes, tmp_path) as pair, console_of(nodes["bob"]).run_test(size=SIZE) as pilot:
        await pair.bob.change_peer("alice", approval="auto")
        await until_shown(pilot, "online")
        await press(pilot, "g", "o")
        await until_shown(pilot, "✓ signed")
        await press(pilot, "enter")
        await until_shown(pilot, "approved by themselves")
        assert (await pair.alice.identity()).fingerprint[:4] in screen_text(pilot)
        await press(pilot, "P", "Y")
        await until_shown(pilot, "wait for a decision here")
        assert (await pair.bob.peer("alice")).approval == "manual"
        # A contract is in force: forgetting it is not offered, ending it is.
        await press(pilot, "K")
        await until_shown(pilot, "remove: the node does not offer this")
        await press(pilot, "escape")


async def test_the_route_is_tested_in_place_and_the_sheet_is_saved(nodes: dict[str, Hosted], tmp_path: Path) -> None:
    async with fresh(nodes, tmp_path), console_of(nodes["bob"]).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "online")
        await press(pilot, "g", "o")
        await until_shown(pilot, "✓ signed")
        await press(pilot, ":")
        await _typed(pilot, "test http://127.0.0.1:1")
        await until_shown(pilot, "checks fail: the link is not usable")
        assert "✗" in screen_text(pilot)
        target = tmp_path / "sheet.txt"
        await press(pilot, "ctrl+s")
        await _typed(pilot, str(target))
        await until(pilot, target.exists)
        assert "Network request" in target.read_text("utf-8")
        await press(pilot, "y")
        await until_shown(pilot, "Our node    bob")
        await press(pilot, "escape", "escape", "R")
        await until_shown(pilot, "4 checks pass; the rest needs a code")


async def test_an_unsigned_partner_comes_and_goes(nodes: dict[str, Hosted], tmp_path: Path) -> None:
    async with fresh(nodes, tmp_path) as pair, console_of(nodes["bob"]).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "online")
        await press(pilot, "g", "o")
        await until_shown(pilot, "✓ signed")
        await press(pilot, ":", *"add", "enter")
        await until_shown(pilot, "Add a partner without an invitation?")
        await press(pilot, *"zoe-1", "enter", *"https://127.0.0.1:9", "enter", "enter", "enter", "Y")
        await until_shown(pilot, "added zoe-1: it is believed without a signature")
        assert (await pair.bob.peer("zoe-1")).signing == "off"
        await press(pilot, "G", "K", *"oe-1", "enter")
        await until_shown(pilot, "zoe-1 is no partner any more")
        assert [row.node_id for row in await pair.bob.peers()] == ["alice"]


async def test_a_message_is_sent_again_and_carried_by_hand(tmp_path: Path) -> None:
    """Bob does not run at first, so what alice asks for cannot arrive by itself."""
    async with trusted_nodes(tmp_path, "alice", "bob", settings=QUICK) as nodes:
        async with fresh(nodes, tmp_path) as pair:
            await pair.publish()
            await nodes["bob"].stop()
            asked = await pair.alice.request_grant(
                GrantRequest(kind="dataset", node_id="bob", resource_id=pair.dataset, members={})
            )
        target = tmp_path / "ask.json"
        async with console_of(nodes["alice"]).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "online")
            await press(pilot, "g", "o", "m")
            await until_shown(pilot, "dataset/audit/apply")
            await press(pilot, "R")
            await until_shown(pilot, "sent again: dataset/audit/apply")
            await press(pilot, ":")
            await _typed(pilot, f"export {target}")
            await until(pilot, target.exists)
            assert target.stat().st_mode & 0o777 == 0o600
        async with started(nodes["bob"].home) as bob, console_of(bob).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "online")
            await press(pilot, "g", "o", "m")
            await until_shown(pilot, "messages")
            await press(pilot, ":")
            await _typed(pilot, f"import {target}")
            await until_shown(pilot, "the signed answer to hand back: /")
            assert target.with_name("ask.json.answer").exists()
            async with bob.client() as client:
                assert asked.audit_id in {row.audit_id for row in (await client.grants(direction="in")).grants}


async def test_one_thing_about_a_partner_is_changed(nodes: dict[str, Hosted], tmp_path: Path) -> None:
    async with fresh(nodes, tmp_path) as pair:
        before = await pair.alice.peer("bob")
        after = await pair.alice.change_peer("bob", options={"patient_poll": False})
        assert (after.url, after.signing, after.options) == (before.url, "required", {"patient_poll": False})
        assert [trait.name for trait in after.traits if trait.own] == ["patient_poll"]
        await pair.alice.add_peer(PeerRequest.model_validate(before.model_dump()))
