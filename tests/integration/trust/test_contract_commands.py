"""Two operators at their command lines."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from tests.integration.cli.test_commands import run
from tests.integration.trust.test_invitations import pair, reaches

from embedded_scheduler.config import load_settings
from embedded_scheduler.home import Home


async def test_two_operators_make_a_contract(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes:
        alice, bob = nodes.alice.home, nodes.bob.home
        invited = await run("peer", "invite", "--expires", "30m", home=alice)
        assert invited.out.startswith("NC1-")
        joined = await run("peer", "join", "-", home=bob, stdin=invited.out)
        assert joined.code == 0, joined.err
        shown = await run("peer", "show", "bob", "--json", home=alice)
        words = json.loads(shown.out)["words"]
        assert words in joined.out
        wrong = await run("peer", "confirm", "bob", "--words", "no no no no no no", home=alice)
        assert (wrong.code, "not the words" in wrong.err) == (5, True)
        assert (await run("peer", "confirm", "bob", "--words", words, home=alice)).code == 0
        assert (await run("peer", "confirm", "alice", "--words", words, home=bob)).code == 0
        await reaches(nodes.at_bob, "alice", "APPROVED")
        listed = await run("peer", "list", home=bob)
        assert "APPROVED" in listed.out
        identity = await run("identity", "show", home=alice)
        assert "nobody else may have it" in identity.out
        assert "PRIVATE" not in identity.out
        for what in ("--certificate", "--public-key", "--csr"):
            exported = await run("identity", "export", what, home=alice)
            assert "PRIVATE" not in exported.out
            assert "-----BEGIN" in exported.out


async def test_a_passphrase_seals_the_key(tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse")
    home = Home(tmp_path / "node")
    options = ("--node-id", "n", "--inst-id", "bank", "--inst-name", "Bank", "--passphrase-file", str(secret), "--csr")
    made = await run("init", *options, home=home)
    assert made.code == 0, made.err
    assert "CERTIFICATE REQUEST" in made.out
    key = home.identity / "signing.key"
    assert b"ENCRYPTED" in key.read_bytes()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    settings = load_settings(home)
    assert (settings.inst_id, settings.inst_name) == ("bank", "Bank")
