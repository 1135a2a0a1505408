"""Several people for one contract: one alone makes nobody trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedded_scheduler.config import load_settings
from embedded_scheduler.domain.lifecycle import AgreementState
from embedded_scheduler.engine import contracts as verbs
from embedded_scheduler.errors import Refused
from embedded_scheduler.home import Home
from embedded_scheduler.node import Node
from embedded_scheduler.provision import provision
from embedded_scheduler.security.identity import CERTIFICATE_FILE, create_identity, load_identity
from embedded_scheduler.security.keys import CERT
from embedded_scheduler.store import contracts

BOB = "https://127.0.0.1:9"


async def test_two_people_compare_the_words(tmp_path: Path) -> None:
    home = Home(tmp_path / "alice")
    provision(home, node_id="alice", listen="127.0.0.1:0", platform="127.0.0.1:0")
    home.settings_file.write_text(home.settings_file.read_text() + "\napproval.contract_approvers = 2\n")
    create_identity(tmp_path / "bob", "bob")
    certificate = (tmp_path / "bob" / CERTIFICATE_FILE).read_text("ascii")
    fingerprint = load_identity(tmp_path / "bob").fingerprint
    node = Node(home, load_settings(home), load_identity(home.identity))
    await node.start()
    try:
        engine = node.engine
        with pytest.raises(Refused, match="2 people"):
            await verbs.by_hand(engine, "bob", BOB, auth_type=CERT, auth_credential=certificate, actor="operator:ann")
        await engine.db.write(
            lambda tx: contracts.add(
                tx,
                contract_id="c-1",
                node_id="bob",
                side="callee",
                address=BOB,
                auth_type=CERT,
                auth_credential=certificate,
                fingerprint=fingerprint,
            )
        )
        words = verbs.words_of(engine, await engine.db.read(lambda reader: verbs.get(reader, "c-1")))
        for _ in range(2):
            assert (await verbs.compared(engine, "c-1", words, actor="operator:ann")).state is AgreementState.APPLIED
            assert not engine.directory.knows("bob")
        with pytest.raises(Refused, match="not the words"):
            await verbs.compared(engine, "c-1", "other words than these ones here", actor="operator:ben")
        assert (await verbs.compared(engine, "c-1", words, actor="operator:ben")).state is AgreementState.APPROVED
        assert engine.directory.knows("bob")
    finally:
        await node.stop()
