"""Invite, join, compare, confirm: two nodes over real TLS."""

from __future__ import annotations

from pathlib import Path

from nodeconsole.client import NodeClient
from tests.support.hosted import hosted
from tests.support.nodes import eventually


async def is_approved(client: NodeClient, node_id: str) -> bool:
    return (await client.contract(node_id)).state == "APPROVED"


async def test_the_easy_way(tmp_path: Path) -> None:
    quick = "timing.retry_first = 0.05"
    async with (
        hosted(tmp_path / "a", "alice", tls="mutual", settings=quick) as alice,
        hosted(tmp_path / "b", "bob", tls="mutual", settings=quick) as bob,
        alice.client() as at_alice,
        bob.client() as at_bob,
    ):
        code = (await at_alice.invite()).code
        there = await at_bob.join(code)
        here = await at_alice.contract("bob")
        assert there.words == here.words
        assert len(here.words.split()) == 6
        assert (await at_bob.peers(), await at_alice.peers()) == ([], [])
        await at_alice.confirm_contract("bob", there.words)
        await at_bob.confirm_contract("alice", here.words)
        await eventually(lambda: is_approved(at_bob, "alice"), what="bob trusts alice", within=10)
        assert await is_approved(at_alice, "bob")
        assert [peer.signing for peer in (*await at_alice.peers(), *await at_bob.peers())] == ["required"] * 2
