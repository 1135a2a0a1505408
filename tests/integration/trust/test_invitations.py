"""Invite, join, compare, confirm: two nodes over real TLS, and what becomes of it when somebody interferes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.support.hosted import Hosted, hosted, started
from tests.support.nodes import eventually

from embedded_scheduler.security import identity
from embedded_scheduler.security import invitation as codes
from nodeconsole.client import ClientError, NodeClient

QUICK = "timing.retry_first = 0.05\ntiming.retry_longest = 0.2\ntiming.call_timeout = 2.0"


@dataclass(frozen=True, slots=True)
class Pair:
    alice: Hosted
    bob: Hosted
    at_alice: NodeClient
    at_bob: NodeClient


@asynccontextmanager
async def pair(directory: Path, *, tls: str = "mutual") -> AsyncIterator[Pair]:
    async with (
        hosted(directory / "a", "alice", tls=tls, settings=QUICK) as alice,
        hosted(directory / "b", "bob", tls=tls, settings=QUICK) as bob,
        alice.client() as at_alice,
        bob.client() as at_bob,
    ):
        yield Pair(alice, bob, at_alice, at_bob)


async def introduce(nodes: Pair) -> str:
    """Bob joins alice; the contract's id."""
    there = await nodes.at_bob.join((await nodes.at_alice.invite()).code)
    here = await nodes.at_alice.contract("bob")
    await nodes.at_alice.confirm_contract("bob", there.words)
    await nodes.at_bob.confirm_contract("alice", here.words)
    await reaches(nodes.at_bob, "alice", "APPROVED")
    return there.contract_id


async def reaches(client: NodeClient, reference: str, state: str) -> None:
    async def attempt() -> bool:
        return (await client.contract(reference)).state == state

    await eventually(attempt, what=f"{reference} {state}", within=10)


async def events(client: NodeClient) -> list[str]:
    return [event.event for event in (await client.event_page(limit=200)).events]


async def test_the_easy_way_and_its_end(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes:
        code = (await nodes.at_alice.invite()).code
        there = await nodes.at_bob.join(code)
        assert (await nodes.at_bob.join(code)).contract_id == there.contract_id, "a repeated join is the same"
        here = await nodes.at_alice.contract("bob")
        assert there.words == here.words
        assert len(set(here.words.split())) == 6
        assert (await nodes.at_bob.peers(), await nodes.at_alice.peers()) == ([], []), "nothing is trusted yet"
        wrong = " ".join(reversed(here.words.split()))
        for client, other in ((nodes.at_alice, "bob"), (nodes.at_bob, "alice")):
            with pytest.raises(ClientError, match="not the words"):
                await client.confirm_contract(other, wrong)
        await nodes.at_alice.confirm_contract("bob", there.words)
        assert (await nodes.at_bob.contract("alice")).state == "APPLIED", "bob has not compared yet"
        await nodes.at_bob.confirm_contract("alice", here.words)
        await reaches(nodes.at_bob, "alice", "APPROVED")
        rows = [*await nodes.at_alice.peers(), *await nodes.at_bob.peers()]
        assert [(row.node_id, row.signing, row.contract) for row in rows] == [
            ("bob", "required", "APPROVED"),
            ("alice", "required", "APPROVED"),
        ]
        assert "contract.words_differ" in await events(nodes.at_alice)

        await nodes.at_bob.terminate_contract("alice", "enough")
        await reaches(nodes.at_alice, "bob", "TERMINATED")
        assert [row.contract for row in await nodes.at_alice.peers()] == ["TERMINATED"]

        # A new application is a new contract; the one that ended stays as it is.
        again = await introduce(nodes)
        assert again != there.contract_id
        assert (await nodes.at_alice.contract(there.contract_id)).state == "TERMINATED"


async def test_codes_that_do_not_count(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes, hosted(tmp_path / "c", "carol", tls="mutual", settings=QUICK) as carol:
        made = await nodes.at_alice.invite()
        letters = made.code[:40] + ("A" if made.code[40] != "A" else "B") + made.code[41:]
        with pytest.raises(ClientError, match="incomplete or was altered"):
            await nodes.at_bob.join(letters)
        with pytest.raises(ClientError, match="was made by this node"):
            await nodes.at_alice.join(made.code)

        # Another secret: the proof is wrong, and after five of them the invitation is dead for everybody.
        code = codes.decode(made.code)
        guessed = codes.encode(replace(code, secret=bytes(16)))
        for _ in range(5):
            with pytest.raises(ClientError, match="proof is not right"):
                await nodes.at_bob.join(guessed)
        with pytest.raises(ClientError, match="counts no longer"):
            await nodes.at_bob.join(made.code)
        assert (await events(nodes.at_alice)).count("invitation.refused") == 6
        assert any(finding.check == "invitation" for finding in (await nodes.at_alice.doctor()).findings)

        late = codes.encode(replace(code, expires_s=1))
        with pytest.raises(ClientError, match="expired"):
            await nodes.at_bob.join(late)
        taken_back = await nodes.at_alice.invite()
        await nodes.at_alice.revoke_invitation(taken_back.id)
        with pytest.raises(ClientError, match="revoked"):
            await nodes.at_bob.join(taken_back.code)

        # Two race for one code: one gets it.
        async with carol.client() as at_carol:
            shared = (await nodes.at_alice.invite()).code
            done = await asyncio.gather(nodes.at_bob.join(shared), at_carol.join(shared), return_exceptions=True)
        lost = [result for result in done if isinstance(result, ClientError)]
        assert len(lost) == 1
        assert "used already" in lost[0].message
        assert len(await nodes.at_alice.contracts()) == 1
        assert "join.failed" in await events(nodes.at_bob)


async def test_a_server_with_another_key_is_not_joined(tmp_path: Path) -> None:
    """The man in the middle answers at the address of the code."""
    async with pair(tmp_path) as nodes, hosted(tmp_path / "m", "mallory", tls="mutual", settings=QUICK) as mallory:
        code = codes.decode((await nodes.at_alice.invite()).code)
        diverted = codes.encode(replace(code, address=mallory.url))
        with pytest.raises(ClientError, match="shows the key"):
            await nodes.at_bob.join(diverted)
        assert await nodes.at_bob.contracts() == []
        async with mallory.client() as at_mallory:
            assert await at_mallory.contracts() == []


async def test_restart_between_and_a_lost_confirmation(tmp_path: Path) -> None:
    async with pair(tmp_path, tls="off") as nodes:
        there = await nodes.at_bob.join((await nodes.at_alice.invite()).code)
        here = await nodes.at_alice.contract("bob")
        # Bob is away when alice confirms; alice stops before her message is delivered, bob asks when he is back.
        await nodes.bob.stop()
        await nodes.at_alice.confirm_contract("bob", there.words)
        listen = nodes.bob.running.listen
        settings = nodes.bob.home.settings_file
        settings.write_text(settings.read_text().replace("127.0.0.1:0", listen, 1))
        async with started(nodes.bob.home) as bob, bob.client() as at_bob:
            assert (await at_bob.contract("alice")).words == here.words
            await at_bob.confirm_contract("alice", here.words)
            await reaches(at_bob, "alice", "APPROVED")


async def test_refused_stays_refused(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes:
        first = await nodes.at_bob.join((await nodes.at_alice.invite()).code)
        await nodes.at_alice.refuse_contract("bob", "do not know him")
        await reaches(nodes.at_bob, first.contract_id, "REJECTED")
        for client in (nodes.at_alice, nodes.at_bob):
            with pytest.raises(ClientError, match="REJECTED"):
                await client.confirm_contract(first.contract_id, first.words)
            with pytest.raises(ClientError, match="REJECTED"):
                await client.terminate_contract(first.contract_id)
        assert await introduce(nodes) != first.contract_id


async def test_a_new_key_reaches_the_partner_and_the_old_one_counts_no_longer(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes:
        await introduce(nodes)
        before = (await nodes.at_alice.identity()).fingerprint
        await nodes.at_alice.rotate_identity()

        async def switched() -> bool:
            row = await nodes.at_alice.identity()
            recorded = "identity.rotated" in await events(nodes.at_alice)
            return recorded and row.fingerprint != before and not row.next_fingerprint

        await eventually(switched, what="alice uses the new key, and says so", within=10)
        after = (await nodes.at_alice.identity()).fingerprint
        known = await nodes.at_bob.contract("alice")
        assert (known.fingerprint, known.previous_fingerprint) == (after, before)
        assert "contract.key_changed" in await events(nodes.at_bob)
        assert "identity.announced" in await events(nodes.at_alice)
        assert (await nodes.at_alice.identity()).previous_fingerprint == before
        # Once more within the overlap: signed with the key that bob knows now.
        await nodes.at_alice.rotate_identity()
        await eventually(
            lambda: _has_key_other_than(nodes.at_bob, after), what="a second rotation reaches bob", within=10
        )
        await nodes.at_bob.terminate_contract("alice")
        await reaches(nodes.at_alice, "bob", "TERMINATED")


async def test_a_node_that_was_killed_before_its_record_of_a_new_key_makes_up_for_it(tmp_path: Path) -> None:
    async with hosted(tmp_path, "alice", tls="mutual") as alice:
        home = alice.home
    before = identity.load_identity(home.identity)
    identity.prepare_next(before, "alice", "")
    after = identity.put_next_into_use(before)
    for _ in range(2):
        async with started(home) as node, node.client() as client:

            async def recorded(client: NodeClient = client) -> bool:
                return "identity.rotated" in await events(client)

            await eventually(recorded, what="the new key is in the ledger", within=10)
            found = [
                event for event in (await client.event_page(limit=200)).events if event.event == "identity.rotated"
            ]
            assert [(one.actor, one.data["before"], one.data["after"]) for one in found] == [
                ("node", before.fingerprint, after.fingerprint)
            ]


async def _has_key_other_than(client: NodeClient, fingerprint: str) -> bool:
    return (await client.contract("alice")).fingerprint != fingerprint


async def test_a_forced_rotation_finds_the_partner_that_was_away(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes:
        await introduce(nodes)
        listen = nodes.bob.running.listen
        await nodes.bob.stop()
        before = (await nodes.at_alice.identity()).fingerprint
        row = await nodes.at_alice.rotate_identity()
        assert (row.fingerprint, row.waiting_for) == (before, ["bob"])
        after = (await nodes.at_alice.rotate_identity(force=True)).fingerprint
        assert after != before
        with pytest.raises(ClientError, match="has not reached bob"):
            await nodes.at_alice.rotate_identity()
        settings = nodes.bob.home.settings_file
        settings.write_text(settings.read_text().replace("127.0.0.1:0", listen, 1))
        async with started(nodes.bob.home) as bob, bob.client() as at_bob:
            await eventually(lambda: _has_key_other_than(at_bob, before), what="bob learns the new key", within=15)
            assert (await at_bob.contract("alice")).fingerprint == after


async def test_unsigned_partners_are_a_standing_warning_and_others_need_a_contract(tmp_path: Path) -> None:
    from embedded_scheduler.wire.console import PeerRequest  # noqa: PLC0415

    async with hosted(tmp_path / "a", "alice", tls="mutual") as alice, alice.client() as client:
        with pytest.raises(ClientError, match="peer invite"):
            await client.add_peer(PeerRequest(node_id="zoe", url="http://127.0.0.1:9"))
        await client.add_peer(PeerRequest(node_id="zoe", url="http://127.0.0.1:9", signing="off"))
        assert [finding.check for finding in (await client.doctor()).findings].count("unsigned") == 1
        with contextlib.suppress(ClientError):
            await client.contract("zoe")
        assert [row.contract for row in await client.peers()] == [""]
