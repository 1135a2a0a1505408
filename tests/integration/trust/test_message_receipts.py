"""What was sent and how far it came; and messages carried by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.integration.trust.test_grants import run
from tests.support.granting import QUICK, Pair, arrived, fresh, in_state
from tests.support.hosted import started
from tests.support.nodes import eventually
from tests.support.trust import trusted_nodes

from embedded_scheduler.wire.console import PeerRequest
from embedded_scheduler.wire.console_grants import GrantRequest, MessageRow
from nodeconsole.client import ClientError, NodeClient


async def message_of(client: NodeClient, grant_id: str, state: str) -> MessageRow:
    """The first message about a request, once it is in this state."""

    async def look() -> MessageRow | None:
        found = (await client.grant(grant_id)).messages
        return found[0] if found and found[0].state == state else None

    return await eventually(look, what=f"the message about {grant_id} is {state}", within=10, pause=0.02)


async def test_a_request_is_stored_then_opened_then_decided(pair: Pair) -> None:
    await pair.publish()
    asked = await pair.alice.request_grant(GrantRequest(kind="dataset", node_id="bob", resource_id=pair.dataset))
    stored = await message_of(pair.alice, asked.grant_id, "stored")
    assert (stored.opened_ms, stored.last_error) == (None, "")
    there = await arrived(pair.bob, asked)
    await pair.bob.grant(there.grant_id)
    opened = await message_of(pair.alice, asked.grant_id, "opened")
    assert opened.opened_ms is not None
    await pair.bob.reject_grant(there.grant_id)
    await in_state(pair.alice, asked.grant_id, "REJECTED")
    assert (await message_of(pair.alice, asked.grant_id, "decided")).id == stored.id
    with pytest.raises(ClientError, match="nothing to send again"):
        await pair.alice.resend_message(stored.id)


async def test_a_job_is_decided_in_the_list_too(pair: Pair) -> None:
    submitted = await pair.alice.submit(pair.job())

    async def decided() -> bool:
        rows = [row for row in await pair.alice.messages(to="bob", limit=500) if row.subject == submitted.job_id]
        return [(row.operation, row.state) for row in rows] == [("job/create", "decided")]

    await eventually(decided, what="the creation is decided", within=10)


async def test_what_cannot_be_delivered_says_why_and_is_carried_by_hand(tmp_path: Path) -> None:
    async with trusted_nodes(tmp_path, "alice", "bob", settings=QUICK) as nodes, fresh(nodes, tmp_path) as pair:
        await pair.publish()
        alice, bob = nodes["alice"].home.path, nodes["bob"].home.path
        for here, there in ((pair.alice, "bob"), (pair.bob, "alice")):
            await _cut(here, there)
        asked = await pair.alice.request_grant(GrantRequest(kind="dataset", node_id="bob", resource_id=pair.dataset))
        lost = await message_of(pair.alice, asked.grant_id, "sent")
        assert "cannot be reached" in lost.last_error
        assert lost.next_ms is not None
        await run(alice, "message", "resend", str(lost.id))

        file, answer = tmp_path / "ask", tmp_path / "answer"
        await run(alice, "message", "export", str(lost.id), "-o", str(file))
        assert file.stat().st_mode & 0o777 == 0o600
        await run(alice, "message", "export", str(lost.id), "-o", str(file), code=2)
        await run(bob, "message", "import", str(file), "--answer", str(answer))
        there = await arrived(pair.bob, asked)
        await run(alice, "message", "import", str(answer))
        assert (await message_of(pair.alice, asked.grant_id, "stored")).id == lost.id
        with pytest.raises(ClientError, match="has message"):
            await pair.alice.export_message(lost.id)

        await pair.bob.approve_grant(there.grant_id, times=7)
        [decision] = (await pair.bob.grant(there.grant_id)).messages
        document = await pair.bob.export_message(decision.id)
        reply = await pair.alice.import_message(document)
        held = (await pair.alice.grant(asked.grant_id)).grant
        assert (held.state, held.permit.times_limit if held.permit else None) == ("APPROVED", 7)
        # A second time it is the stored answer, and nothing happens.
        assert (await pair.alice.import_message(document))["body"] == reply["body"]
        await _changed_files_are_refused(pair, document, reply)
        assert await pair.bob.import_message(reply) == {}
        assert (await pair.bob.grant(there.grant_id)).messages[0].state == "stored"
        for client in (pair.alice, pair.bob):
            assert (await client.ledger_verify()).ok


async def _cut(client: NodeClient, node_id: str) -> None:
    row = await client.peer(node_id)
    await client.add_peer(
        PeerRequest(
            node_id=node_id,
            url="https://127.0.0.1:1",
            profile=row.profile,
            approval=row.approval,
            signing=row.signing,
            tls=row.tls,
        )
    )


async def _changed_files_are_refused(pair: Pair, document: dict[str, Any], reply: dict[str, Any]) -> None:
    body = json.loads(document["body"])
    changes: list[tuple[dict[str, Any], str]] = [
        ({"body": json.dumps(body | {"status": "REJECTED"})}, "not signed"),
        ({"nonce": "another"}, "not signed"),
        ({"operation": "dataset/audit/terminate"}, "not signed"),
        ({"expires": document["expires"] + 1}, "not signed"),
        ({"timestamp": document["timestamp"] + 1}, "not signed"),
        ({"source": "carol"}, "not signed"),
        ({"target": "carol"}, "this node is alice"),
        ({"signature": ""}, "not signed"),
        ({"signature": reply["signature"]}, "not signed"),
        ({"format": "something"}, "format"),
    ]
    for change, complaint in changes:
        with pytest.raises(ClientError, match=complaint):
            await pair.alice.import_message(document | change)
    with pytest.raises(ClientError, match="not signed"):
        await pair.bob.import_message(reply | {"body": '{"code":200,"msg":"","data":{"x":1}}'})


async def test_a_message_survives_the_restart_of_its_node(tmp_path: Path) -> None:
    """Queued in the transaction of the request, so whoever asks may be killed at any time after."""
    async with trusted_nodes(tmp_path, "alice", "bob", settings=QUICK) as nodes, fresh(nodes, tmp_path) as pair:
        await pair.publish()
        await nodes["bob"].stop()
        asked = await pair.alice.request_grant(GrantRequest(kind="dataset", node_id="bob", resource_id=pair.dataset))
        await pair.alice.close()
        await nodes["alice"].stop()
        async with (
            started(nodes["alice"].home) as alice,
            started(nodes["bob"].home) as bob,
            alice.client() as there,
            bob.client() as here,
        ):
            await arrived(here, asked)
            await message_of(there, asked.grant_id, "stored")
