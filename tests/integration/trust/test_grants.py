"""Requests between two whole nodes over mutual TLS: asked, decided, ended, each seen at both sides."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.granting import DATASET, Pair, arrived, in_state, pair, using_dataset

from embedded_scheduler.wire.console_grants import GrantRequest
from nodeconsole.client import ClientError
from nodeconsole.launcher import main


async def test_what_is_published_is_seen_by_whom_it_is_for_and_no_more(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes:
        assert await nodes.alice.partner_datasets("bob") == []
        await nodes.publish(columns=["id", "age"], description="all people")
        [seen] = await nodes.alice.partner_datasets("bob")
        assert (seen.dataset_id, seen.rows, seen.description) == (DATASET, 2, "all people")
        assert [(column.name, column.type) for column in seen.columns] == [("id", "integer"), ("age", "integer")]
        with pytest.raises(ClientError, match="no column"):
            await nodes.publish(columns=["salary"])
        with pytest.raises(ClientError, match="no partner"):
            await nodes.publish(audience=["carol"])
        await nodes.bob.unpublish("default", "people")
        assert await nodes.alice.partner_datasets("bob") == []


async def test_a_request_is_approved_with_limits_and_ended(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes:
        await nodes.publish()
        ours, theirs = await nodes.granted(times=3, level=2, reason="agreed by phone")
        held = (await nodes.alice.grant(ours)).grant
        assert held.permit is not None
        assert (held.permit.issued, held.permit.times_limit, held.permit.level) == (False, 3, 2)
        assert held.actions == ["revoke"]
        decided = (await nodes.bob.grant(theirs)).grant
        assert (decided.state, decided.reason, decided.actions) == ("APPROVED", "agreed by phone", ["revoke"])
        with pytest.raises(ClientError, match="APPROVED already"):
            await nodes.bob.reject_grant(theirs)
        reply = await nodes.bob.revoke_grant(theirs, "no longer needed")
        assert (reply.grant.state, reply.jobs) == ("TERMINATED", [])
        await in_state(nodes.alice, ours, "TERMINATED")
        with pytest.raises(ClientError, match="cannot terminate|TERMINATED"):
            await nodes.bob.approve_grant(theirs)
        await _ledgers_hold(nodes)
        names = [event.event for event in (await nodes.bob.event_page()).events if event.subject == "grant"]
        assert names == ["grant.applied", "grant.approved", "grant.terminated"]


async def _ledgers_hold(nodes: Pair) -> None:
    for client in (nodes.alice, nodes.bob):
        assert (await client.ledger_verify()).ok


async def test_a_refusal_reaches_the_one_who_asked(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes:
        await nodes.publish()
        asked = await nodes.alice.request_grant(GrantRequest(kind="dataset", node_id="bob", resource_id=DATASET))
        there = await arrived(nodes.bob, asked)
        await nodes.bob.reject_grant(there.grant_id, "not this year")
        assert (await in_state(nodes.alice, asked.grant_id, "REJECTED")).permit is None
        with pytest.raises(ClientError, match="REJECTED already"):
            await nodes.bob.approve_grant(there.grant_id)


async def test_what_cannot_be_seen_cannot_be_asked_for(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes:
        asked = await nodes.alice.request_grant(GrantRequest(kind="dataset", node_id="bob", resource_id=DATASET))

        async def refused() -> bool:
            [message] = await nodes.alice.messages(to="bob")
            return message.state == "refused" and "shows you no dataset" in message.last_error

        await _eventually(refused, "the request is refused")
        assert (await nodes.bob.grants()).grants == []
        assert (await nodes.alice.grant(asked.grant_id)).grant.state == "APPLIED"


async def _eventually(attempt: object, what: str) -> None:
    from tests.support.nodes import eventually  # noqa: PLC0415

    await eventually(attempt, what=what, within=10)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("project", {"name": "fraud", "type": "PSI", "datasets": ["a"]}),
        ("flow", {"name": "flow", "dag": {"components": []}, "description": "twice a week"}),
        ("model", {"apply_project_id": "p-2", "digest": "d"}),
        ("job", {"flow_id": "f", "name": "job", "project_id": "p", "dag": {}, "conf": {}}),
    ],
)
async def test_every_kind_goes_through_the_same_machine(
    tmp_path: Path, kind: str, members: dict[str, object]
) -> None:
    async with pair(tmp_path) as nodes:
        asked = await nodes.alice.request_grant(
            GrantRequest(kind=kind, node_id="bob", resource_id=f"{kind}-1", members=members)
        )
        there = await arrived(nodes.bob, asked)
        sent = (await nodes.bob.grant(there.grant_id)).body
        assert {name: sent[name] for name in members} == members
        await nodes.bob.approve_grant(there.grant_id)
        held = await in_state(nodes.alice, asked.grant_id, "APPROVED")
        assert held.permit is not None
        await nodes.alice.revoke_grant(asked.grant_id)
        await in_state(nodes.bob, there.grant_id, "TERMINATED")


async def test_two_persons_have_to_agree_where_that_is_set(tmp_path: Path) -> None:
    async with pair(tmp_path, settings="[approval]\ndataset_approvers = 2\n") as nodes:
        await nodes.publish()
        there = await nodes.ask()
        once = await nodes.bob.approve_grant(there)
        again = await nodes.bob.approve_grant(there)
        assert once.state == again.state == "APPLIED"
        assert len(again.approvals) == 1


async def test_the_policy_decides_about_datasets(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes:
        await nodes.publish()
        await nodes.bob.set_policy(
            '[[rule]]\nname = "open"\non = "dataset"\npartner = "alice"\nthen = "approve"\n'
        )
        asked = await nodes.alice.request_grant(
            GrantRequest(kind="dataset", node_id="bob", resource_id=DATASET, members={"times_limit": 1})
        )
        held = await in_state(nodes.alice, asked.grant_id, "APPROVED")
        assert held.permit is not None
        assert held.permit.times_limit == 1
        there = await arrived(nodes.bob, asked)
        detail = await nodes.bob.grant(there.grant_id)
        assert (detail.grant.decided_by, bool(detail.policy)) == ("node", True)


async def test_commands_tell_the_same_story(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio  # noqa: PLC0415

    async def run(home: Path, *words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, ["--home", str(home), *words])
        return code, capsys.readouterr().out

    async with pair(tmp_path) as nodes:
        alice, bob = nodes.nodes["alice"].home.path, nodes.nodes["bob"].home.path
        code, said = await run(bob, "dataset", "publish", "people", "--to", "alice", "--access", "permit")
        assert (code, "needs a permit" in said) == (0, True)
        code, said = await run(alice, "dataset", "partners", "bob")
        assert (code, DATASET in said) == (0, True)
        code, said = await run(alice, "grant", "request", "dataset", "bob", DATASET, "--times", "2")
        assert code == 0
        request = said.split()[-1]
        asked = (await nodes.alice.grant(request)).grant
        there = await arrived(nodes.bob, asked)
        code, said = await run(bob, "grant", "list", "--pending")
        assert (code, there.grant_id in said) == (0, True)
        code, said = await run(bob, "grant", "approve", there.grant_id, "--until", "30d", "--reason", "ok")
        assert code == 0
        await in_state(nodes.alice, request, "APPROVED")
        code, said = await run(alice, "grant", "show", request)
        assert (code, "0 of 2 jobs" in said, "dataset/audit/apply" in said) == (0, True, True)
        code, said = await run(bob, "grant", "revoke", there.grant_id)
        assert (code, "revoked" in said) == (0, True)
        assert (await run(bob, "grant", "approve", there.grant_id, "--until", "whenever"))[0] == 2
        code, said = await run(alice, "message", "list", "--to", "bob")
        assert (code, "dataset/audit/apply" in said, "decided" in said) == (0, True, True)


async def test_asking_how_a_request_stands_learns_only_what_the_machine_allows(tmp_path: Path) -> None:
    async with pair(tmp_path) as nodes:
        await nodes.publish()
        ours, theirs = await nodes.granted()
        assert (await nodes.alice.refresh_grant(ours)).state == "APPROVED"
        with pytest.raises(ClientError, match="cannot be asked about"):
            await nodes.bob.refresh_grant(theirs)


async def test_a_job_asked_about_first_is_admitted_as_it_was_shown(tmp_path: Path) -> None:
    """The decision about the request counts for that very job, and for no other under its id."""
    async with pair(tmp_path) as nodes:
        document = using_dataset()
        asked = await nodes.alice.request_grant(
            GrantRequest(
                kind="job",
                node_id="bob",
                resource_id="job-asked-first",
                members={
                    "flow_id": document["flow_id"],
                    "name": "n",
                    "project_id": "p",
                    "dag": document["dag"],
                    "conf": document["config"],
                },
            )
        )
        there = await arrived(nodes.bob, asked)
        await nodes.bob.approve_grant(there.grant_id)
        await in_state(nodes.alice, asked.grant_id, "APPROVED")
