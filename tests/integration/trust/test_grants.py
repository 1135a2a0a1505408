"""Requests between two whole nodes over mutual TLS: asked, decided, ended, each seen at both sides."""

from __future__ import annotations

import asyncio
import io
import json
import secrets
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from tests.support.granting import Pair, fresh, in_state
from tests.support.nodes import eventually
from tests.support.trust import trusted_nodes

from embedded_scheduler.wire.console_grants import GrantRequest
from nodeconsole import launcher
from nodeconsole.client import ClientError


async def test_what_is_published_is_seen_by_whom_it_is_for_and_no_more(pair: Pair) -> None:
    async def seen() -> Any:
        found = await pair.alice.partner_datasets("bob")
        return next((row for row in found if row.dataset_id == pair.dataset), None)

    assert await seen() is None
    await pair.publish(columns=["id", "age"], description="all people")
    row = await seen()
    assert (row.rows, row.description) == (2, "all people")
    assert [(column.name, column.type) for column in row.columns] == [("id", "integer"), ("age", "integer")]
    with pytest.raises(ClientError, match="no column"):
        await pair.publish(columns=["salary"])
    with pytest.raises(ClientError, match="no partner"):
        await pair.publish(audience=["carol"])
    await pair.bob.unpublish("default", pair.name)
    assert await seen() is None


async def test_a_request_is_approved_with_limits_and_ended(pair: Pair) -> None:
    await pair.publish()
    ours, theirs = await pair.granted(times=3, level=2, reason="agreed by phone")
    held = (await pair.alice.grant(ours)).grant
    assert held.permit is not None
    assert (held.permit.issued, held.permit.times_limit, held.permit.level) == (False, 3, 2)
    decided = (await pair.bob.grant(theirs)).grant
    assert (decided.state, decided.reason, decided.actions) == ("APPROVED", "agreed by phone", ["revoke"])
    with pytest.raises(ClientError, match="APPROVED already"):
        await pair.bob.reject_grant(theirs)
    assert (await pair.alice.refresh_grant(ours)).state == "APPROVED"
    reply = await pair.bob.revoke_grant(theirs, "no longer needed")
    assert (reply.grant.state, reply.jobs) == ("TERMINATED", [])
    await in_state(pair.alice, ours, "TERMINATED")
    with pytest.raises(ClientError, match="TERMINATED already"):
        await pair.bob.approve_grant(theirs)
    for client, grant_id in ((pair.alice, ours), (pair.bob, theirs)):
        assert (await client.ledger_verify()).ok
        assert await history(client, grant_id) == ["grant.applied", "grant.approved", "grant.terminated"]


async def history(client: Any, grant_id: str) -> list[str]:
    page = await client.event_page(limit=1000)
    return [event.event for event in page.events if event.subject_id == grant_id]


async def test_a_refusal_reaches_the_one_who_asked(pair: Pair) -> None:
    await pair.publish()
    ours, theirs = await pair.ask()
    await pair.bob.reject_grant(theirs, "not this year")
    assert (await in_state(pair.alice, ours, "REJECTED")).permit is None
    with pytest.raises(ClientError, match="REJECTED already"):
        await pair.bob.approve_grant(theirs)


async def test_what_cannot_be_seen_cannot_be_asked_for(pair: Pair) -> None:
    asked = await pair.alice.request_grant(GrantRequest(kind="dataset", node_id="bob", resource_id=pair.dataset))

    async def refused() -> bool:
        [message] = (await pair.alice.grant(asked.grant_id)).messages
        return message.state == "refused" and "shows you no dataset" in message.last_error

    await eventually(refused, what="the request is refused", within=10)
    there = (await pair.bob.grants(direction="in")).grants
    assert asked.audit_id not in {row.audit_id for row in there}


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("project", {"name": "fraud", "type": "PSI", "datasets": ["a"]}),
        ("flow", {"name": "flow", "dag": {"components": []}, "description": "twice a week"}),
        ("model", {"apply_project_id": "p-2", "digest": "d"}),
        ("job", {"flow_id": "f", "name": "job", "project_id": "p", "dag": {}, "conf": {}}),
    ],
)
async def test_every_kind_goes_through_the_same_machine(pair: Pair, kind: str, members: dict[str, Any]) -> None:
    ours, theirs = await pair.ask_for(kind, f"{kind}-{secrets.token_hex(4)}", members)
    sent = (await pair.bob.grant(theirs)).body
    assert {name: sent[name] for name in members} == members
    await pair.bob.approve_grant(theirs)
    assert (await in_state(pair.alice, ours, "APPROVED")).permit is not None
    await pair.alice.revoke_grant(ours)
    await in_state(pair.bob, theirs, "TERMINATED")


async def test_a_request_without_what_its_message_needs_is_refused_at_once(pair: Pair) -> None:
    with pytest.raises(ClientError, match="apply_project_id"):
        await pair.alice.request_grant(GrantRequest(kind="model", node_id="bob", resource_id="m"))
    with pytest.raises(ClientError, match="no approved contract"):
        await pair.alice.request_grant(GrantRequest(kind="project", node_id="carol", resource_id="p"))
    with pytest.raises(ClientError, match="kind must be"):
        await pair.alice.request_grant(GrantRequest(kind="secret", node_id="bob", resource_id="p"))


async def test_the_policy_decides_about_datasets(pair: Pair) -> None:
    await pair.publish()
    rule = f'[[rule]]\nname = "open"\non = "dataset"\nwhen = {{ dataset = "{pair.dataset}" }}\nthen = "approve"\n'
    await pair.bob.set_policy(rule)
    ours, theirs = await pair.ask(times_limit=1)
    held = await in_state(pair.alice, ours, "APPROVED")
    assert held.permit is not None
    assert held.permit.times_limit == 1
    detail = await pair.bob.grant(theirs)
    assert (detail.grant.decided_by, bool(detail.policy)) == ("node", True)


async def test_two_persons_have_to_agree_where_that_is_set(tmp_path: Path) -> None:
    four_eyes = "[approval]\ndataset_approvers = 2\n"
    async with trusted_nodes(tmp_path, "alice", "bob", settings=four_eyes) as nodes, fresh(nodes, tmp_path) as pair:
        await pair.publish()
        _, theirs = await pair.ask()
        once = await pair.bob.approve_grant(theirs)
        again = await pair.bob.approve_grant(theirs)
        assert once.state == again.state == "APPLIED"
        assert len(again.approvals) == 1


async def test_commands_tell_the_same_story(pair: Pair) -> None:
    alice, bob = pair.nodes["alice"].home.path, pair.nodes["bob"].home.path
    said = await run(bob, "dataset", "publish", pair.name, "--to", "alice", "--access", "permit")
    assert "needs a permit" in said
    assert pair.dataset in await run(alice, "dataset", "partners", "bob")
    assert pair.dataset in await run(bob, "dataset", "published")
    asked = json.loads(await run(alice, "grant", "request", "dataset", "bob", pair.dataset, "--times", "2", "--json"))

    async def pending() -> dict[str, Any] | None:
        listed = json.loads(await run(bob, "grant", "list", "--pending", "--json"))
        return next((row for row in listed["grants"] if row["audit_id"] == asked["audit_id"]), None)

    there = (await eventually(pending, what="the request arrives", within=10))["grant_id"]
    await run(bob, "grant", "approve", there, "--until", "30d", "--reason", "ok")
    await in_state(pair.alice, asked["grant_id"], "APPROVED")
    said = await run(alice, "grant", "show", asked["grant_id"])
    assert "0 of 2 jobs, until" in said
    assert "dataset/audit/apply" in said
    assert "decided" in await run(alice, "message", "list", "--to", "bob", "--limit", "500")
    assert "revoked" in await run(bob, "grant", "revoke", there)
    await run(bob, "grant", "approve", there, "--until", "whenever", code=2)
    await run(bob, "dataset", "unpublish", pair.name)


async def run(home: Path, *words: str, code: int = 0) -> str:
    """What a command prints; it must end with this exit code."""

    def call() -> tuple[int, str]:
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        with redirect_stdout(out), redirect_stderr(io.StringIO()):
            ended = launcher.run([*words, "--home", str(home)])
        return ended, out.buffer.getvalue().decode()  # type: ignore[attr-defined]

    ended, said = await asyncio.to_thread(call)
    assert ended == code, said
    return said
