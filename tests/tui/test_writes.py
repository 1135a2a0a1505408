"""What the console changes between two real nodes: undo window, contracts, invitations, and nothing when read-only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from nodeconsole.client import ClientError, NodeClient
from tests.support.console import console_of, fill, press, until, until_shown
from tests.support.hosted import Hosted, hosted
from tests.support.nodes import eventually

QUICK = "timing.retry_first = 0.05\ntiming.retry_longest = 0.2\ntiming.call_timeout = 5.0"
SIZE = (100, 30)


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[Hosted, Hosted]]:
    """Strangers to one another, in threads of their own."""
    with TemporaryDirectory(prefix="nc") as directory, asyncio.Runner() as runner:
        opened = [hosted(Path(directory) / name, name, tls="mutual", settings=QUICK) for name in ("alice", "bob")]
        alice, bob = (runner.run(one.__aenter__()) for one in opened)
        try:
            yield alice, bob
        finally:
            for one in opened:
                runner.run(one.__aexit__(None, None, None))


async def _applied(alice: NodeClient, bob: NodeClient) -> str:
    """Bob's application as alice has it."""
    return (await bob.join((await alice.invite()).code)).contract_id


async def _state(client: NodeClient, contract_id: str, state: str) -> None:
    async def reached() -> bool:
        return (await client.contract(contract_id)).state == state

    await eventually(reached, what=state, within=20, pause=0.05)


async def test_a_contract_is_refused_after_the_window_and_not_when_it_was_taken_back(
    nodes: tuple[Hosted, Hosted],
) -> None:
    async with nodes[0].client() as alice, nodes[1].client() as bob:
        contract = await _applied(alice, bob)
        async with console_of(nodes[0], section="peers", undo_seconds=60).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "to confirm")
            await press(pilot, "X")
            await fill(pilot, "we do not know you")
            await press(pilot, "Y")
            await until_shown(pilot, "refuse bob   (u takes it back)")
            await press(pilot, "u")
            await until_shown(pilot, "taken back, nothing was sent: refuse bob")
            assert (await alice.contract(contract)).state == "APPLIED"
            pilot.app.session.held.seconds = 0.3  # type: ignore[attr-defined]
            await press(pilot, "X")
            await fill(pilot, "we do not know you")
            await press(pilot, "Y")
            await until_shown(pilot, "refused bob")
        ended = await alice.contract(contract)
        assert (ended.state, ended.reason) == ("REJECTED", "we do not know you")
        await _state(bob, contract, "REJECTED")


async def test_a_contract_is_ended_on_leaving_within_the_window(nodes: tuple[Hosted, Hosted]) -> None:
    async with nodes[0].client() as alice, nodes[1].client() as bob:
        contract = await _applied(alice, bob)
        words = (await alice.contract(contract)).words
        await bob.confirm_contract(contract, words)
        await alice.confirm_contract(contract, words)
        await _state(bob, contract, "APPROVED")
        async with console_of(nodes[0], section="peers", undo_seconds=60).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "signed")
            await press(pilot, "X")
            await until_shown(pilot, "End the contract")
            await fill(pilot, "bob", "moving on")
            await until_shown(pilot, "bob   (u takes it back)")
            assert (await alice.contract(contract)).state == "APPROVED"
            await press(pilot, "ctrl+q")
            await until_shown(pilot, "not sent yet")
            await press(pilot, "ctrl+q")
            await until(pilot, lambda: not pilot.app.is_running)
        assert (await alice.contract(contract)).reason == "moving on"
        await _state(bob, contract, "TERMINATED")


async def test_a_read_only_console_sends_nothing(nodes: tuple[Hosted, Hosted]) -> None:
    async with nodes[0].client() as alice, nodes[1].client() as bob:
        contract = await _applied(alice, bob)
        before = (await alice.status()).last_seq
        async with console_of(nodes[0], section="peers", read_only=True).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "to confirm")
            for key, word in (("X", "end"), ("N", "invite"), ("J", "join"), ("A", "confirm")):
                await press(pilot, key)
                await until_shown(pilot, f"{word}: this console is read-only")
            # A trial changes nothing, so it is let through.
            await press(pilot, ":", *"policy", "enter")
            await until_shown(pilot, "No policy is set")
            await press(pilot, "t")
            await until_shown(pilot, "there are no jobs to try it on")
        assert (await alice.status()).last_seq == before
        await alice.refuse_contract(contract, "over")


async def test_codes_are_listed_and_revoked(nodes: tuple[Hosted, Hosted]) -> None:
    async with nodes[0].client() as alice, nodes[1].client() as bob:
        async with console_of(nodes[0], section="peers", undo_seconds=0).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "online")
            await press(pilot, "t", "N")
            await until_shown(pilot, "Invite a partner?")
            await press(pilot, "enter", "enter", "Y")
            await until_shown(pilot, "Good for one application")
            await press(pilot, "c", "escape")
            code = pilot.app.clipboard
            row = next(row for row in await alice.invitations() if not row.ended)
            await until_shown(pilot, f"{row.id}")
            await until_shown(pilot, "open")
            await press(pilot, "g", "g", "X")
            await until_shown(pilot, f"Revoke the code {row.id}?")
            await fill(pilot, row.id[-4:])
            await until_shown(pilot, f"the code {row.id} counts no longer")
            await until_shown(pilot, "■ revoked")
        with pytest.raises(ClientError):
            await bob.join(code)
        assert next(one.ended for one in await alice.invitations() if one.id == row.id) == "revoked"


async def test_applying_without_a_code_and_adding_by_certificate(nodes: tuple[Hosted, Hosted], tmp_path: Path) -> None:
    async with nodes[0].client() as alice, nodes[1].client() as bob:
        identity = await bob.identity()
        async with console_of(nodes[0], section="peers", undo_seconds=0).run_test(size=SIZE) as pilot:
            await until_shown(pilot, "online")
            await press(pilot, ":", *"apply", "enter")
            await until_shown(pilot, "Apply at a node?")
            await fill(pilot, "bob", nodes[1].url, identity.fingerprint, "")
            await press(pilot, "Y")
            await until_shown(pilot, "THE SIX WORDS")
            contract = await alice.contract("bob")
            assert (contract.state, contract.fingerprint) == ("APPLIED", identity.fingerprint)
            await press(pilot, "escape")
            (tmp_path / "carol.pem").write_text(identity.certificate)
            for file in ("nowhere.pem", "carol.pem"):
                await press(pilot, ":", *"add", "enter")
                await until_shown(pilot, "Add a partner without an invitation?")
                await fill(pilot, "carol", "https://carol.example:9380", "seed", str(tmp_path / file))
                await press(pilot, "Y")
                await until_shown(pilot, "cannot read" if file == "nowhere.pem" else "added carol")
        carol = await alice.contract("carol")
        assert (carol.state, carol.side, carol.fingerprint) == ("APPROVED", "manual", identity.fingerprint)
        assert (await alice.peer("carol")).signing == "required"
