"""Policies at work: what partners' jobs meet, what is kept of it, and that nothing counts twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.cluster import Cluster, document

from embedded_scheduler.clock import SystemClock
from embedded_scheduler.config import Approval
from embedded_scheduler.domain.job import parse_job
from embedded_scheduler.domain.lifecycle import ApprovalState, JobState
from embedded_scheduler.domain.snapshot import PeerTraits
from embedded_scheduler.engine import jobs, policies, trials
from embedded_scheduler.engine.ports import Delivery, Reply
from embedded_scheduler.errors import Conflict, InvalidRequest, Refused
from embedded_scheduler.spi.connector import Column, Probe
from embedded_scheduler.store import datasets, ledger
from embedded_scheduler.store import policies as store
from embedded_scheduler.store.database import Reader

TWO = {"guest": ["alice"], "host": ["bob"]}

ALICE = """
[[rule]]
name = "alice's probes"
when = {partner = "alice", component = "nodeconsole/probe", version = ">=1,<2"}
then = "approve"
"""
NO_PROBES = """
[[rule]]
name = "no probes"
when = {component = "*/probe"}
then = "refuse"
"""
ASK = """
[[rule]]
name = "look at all"
then = "ask"
"""


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Cluster]:
    found = Cluster(tmp_path)
    for node in ("alice", "bob"):
        await found.start(node)
    found.partners["bob"].policy["alice"] = "manual"
    yield found
    await found.stop_all()


def job(**common: Any) -> dict[str, Any]:
    found = document(("a",), roles=TWO)
    found["config"]["job_params"]["common"].update(common)
    return found


async def set_policy(net: Cluster, text: str, at: str = "bob") -> None:
    await policies.put(net.engines[at], text, expected=None, actor="operator:olga")


async def submit(net: Cluster, given: dict[str, Any] | None = None) -> str:
    return (await jobs.submit(net.engines["alice"], given or job(), actor="platform", trace_id="")).job_id


async def create(net: Cluster, job_id: str, given: dict[str, Any] | None = None) -> str:
    return await jobs.create(net.engines["bob"], job_id, given or job(), source="alice", trace_id="t")


async def events(net: Cluster, name: str, at: str = "bob") -> list[ledger.EventRecord]:
    def look(reader: Reader) -> list[ledger.EventRecord]:
        return [event for event in ledger.page(reader, limit=500) if event.event == name]

    return await net.engines[at].db.read(look)


async def counted(net: Cluster, rule: str) -> int:
    return await net.engines["bob"].db.read(lambda reader: store.approvals_since(reader, rule, 0))


async def test_a_rule_approves_and_the_decision_says_why(net: Cluster) -> None:
    await set_policy(net, ALICE)
    job_id = await submit(net)
    await net.over("alice", job_id)
    own = (await net.view("bob", job_id)).approvals["bob"]
    assert own.state is ApprovalState.APPROVED
    assert own.reason == (
        "policy 1: rule 'alice's probes' says approve: partner alice is alice; "
        "component nodeconsole/probe 1.0.0 is nodeconsole/probe version >=1,<2"
    )
    approved = next(event for event in await events(net, "approval.approved") if event.subject_id.endswith("/bob"))
    assert approved.reason == own.reason
    (kept,) = await events(net, "policy.approved")
    assert (kept.job_id, kept.data["version"], kept.data["rule"]) == (job_id, 1, "alice's probes")
    report = await net.engines["bob"].db.read(ledger.verify)
    assert report.ok, report.fault


async def test_a_refused_partner_learns_nothing_but_the_operators_words(net: Cluster) -> None:
    await set_policy(net, NO_PROBES)
    with pytest.raises(Refused) as caught:
        await create(net, "job-1")
    assert caught.value.message == "refused by policy"
    await set_policy(
        net, NO_PROBES.replace('then = "refuse"', 'then = "refuse"\nreason = "{initiator}: ask Olga first"')
    )
    with pytest.raises(Refused) as caught:
        await create(net, "job-2")
    assert caught.value.message == "refused by policy: alice: ask Olga first"
    assert [event.data["reasoning"] for event in await events(net, "policy.refused")] == [
        ["rule 'no probes' says refuse: component nodeconsole/probe 1.0.0 is */probe"]
    ] * 2
    with pytest.raises(Refused, match="refused by policy: alice: ask Olga first"):
        await submit(net)


async def test_what_no_rule_covers_asks_as_the_partner_is_set(net: Cluster) -> None:
    await set_policy(net, ALICE.replace('partner = "alice"', 'partner = "carol"'))
    assert await create(net, "job-1") == JobState.PENDING
    (asked,) = await events(net, "policy.asked")
    assert asked.data["reasoning"] == [
        "rule 'alice's probes' does not apply: partner alice is not carol",
        "no rule applies",
    ]
    net.partners["bob"].policy["alice"] = "auto"
    assert await create(net, "job-2") == JobState.READY


async def test_a_rule_that_asks_does_so_whatever_the_partner_is_set_to(net: Cluster) -> None:
    net.partners["bob"].policy["alice"] = "auto"
    await set_policy(net, ASK)
    assert await create(net, "job-1") == JobState.PENDING
    net.partners["bob"].peer_traits["alice"] = PeerTraits(approval_channel=False)
    with pytest.raises(Refused, match="approves jobs by hand"):
        await create(net, "job-2")


async def test_a_quota_counts_each_job_once_and_then_asks(net: Cluster) -> None:
    await set_policy(net, ALICE.replace("{partner", '{quota = {count = 2, per = "day"}, partner'))
    for _ in range(3):
        assert await create(net, "job-1") == JobState.READY
    assert await counted(net, "alice's probes") == 1
    answers = await asyncio.gather(*(create(net, f"job-{number}") for number in range(2, 6)))
    assert sorted(answers) == [JobState.PENDING] * 3 + [JobState.READY]
    assert await counted(net, "alice's probes") == 2
    last = (await events(net, "policy.asked"))[-1]
    assert last.data["reasoning"][0].endswith("2 of 2 approvals per day are used")


class MovedClock(SystemClock):
    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


async def test_a_quota_is_of_the_last_hour_in_life_and_in_a_replay(tmp_path: Path) -> None:
    net, clock = Cluster(tmp_path), MovedClock()
    net.clock = clock
    try:
        await net.start("bob")
        net.strangers["alice"] = lambda message: Reply(Delivery.FAILED, {}, "down")
        net.partners["bob"].policy["alice"] = "manual"
        text = ALICE.replace("{partner", '{quota = {count = 1, per = "hour"}, partner')
        await set_policy(net, text)
        answers = []
        for number in range(4):
            answers.append(await create(net, f"job-{number}"))
            clock.ahead_ms += 31 * 60_000
        assert answers == [JobState.READY, JobState.PENDING] * 2
        found = await trials.try_last(net.engines["bob"], 4, text=text)
        assert [trial.ruling.action.value for trial in reversed(found)] == ["approve", "ask"] * 2
    finally:
        await net.stop_all()


async def test_the_same_create_gets_the_same_answer_after_a_restart_and_another_policy(net: Cluster) -> None:
    await set_policy(net, ALICE)
    assert await create(net, "job-1") == JobState.READY
    await set_policy(net, NO_PROBES)
    with pytest.raises(Refused):
        await create(net, "job-2")
    await set_policy(net, ALICE)
    await net.stop("bob")
    await net.start("bob")
    assert await create(net, "job-1") == JobState.READY
    with pytest.raises(Refused):
        await create(net, "job-2")
    assert await counted(net, "alice's probes") == 1
    with pytest.raises(Conflict):
        await create(net, "job-1", job(purpose="another"))


async def test_a_crash_between_ruling_and_job_counts_once(net: Cluster) -> None:
    await set_policy(net, ALICE.replace("{partner", '{quota = {count = 1, per = "day"}, partner'))
    bob = net.engines["bob"]
    spec = parse_job("job-1", job())
    first = await policies.decide(bob, spec, "alice", "alice")
    await net.stop("bob")
    bob = await net.start("bob")
    assert await policies.decide(bob, spec, "alice", "alice") == first
    assert await create(net, "job-1") == JobState.READY
    assert await create(net, "job-2") == JobState.PENDING


async def test_an_approval_is_refused_and_not_counted_while_the_node_cannot_run_its_part(net: Cluster) -> None:
    await set_policy(net, ALICE)
    missing = job()
    missing["config"]["task_params"] = {"host": {"0": {"a": {"dataset_id": "crm#none"}}}}
    with pytest.raises(Refused, match="cannot run its part"):
        await create(net, "job-1", missing)
    assert await counted(net, "alice's probes") == 0


async def test_data_and_purpose_of_a_job(net: Cluster) -> None:
    probe = Probe((Column("id", "string"), Column("phone", "string")), 40, 1000, "f")
    await net.engines["bob"].db.write(
        lambda tx: datasets.put(tx, namespace="crm", name="c", connector="csv", options={}, description="", probe=probe)
    )
    with_data = job(purpose="audit 7")
    with_data["config"]["task_params"] = {"host": {"0": {"a": {"dataset_id": "crm#c"}}}, "guest": {"0": {"a": {}}}}
    rule = """
[[rule]]
name = "small"
when = {partner = "alice", dataset = "crm#*", columns = ["id", "phone"], rows_at_most = 40, purpose = "audit*"}
then = "approve"
"""
    await set_policy(net, rule)
    assert await create(net, "job-1", with_data) == JobState.READY
    await set_policy(net, rule.replace('"id", "phone"', '"id"'))
    assert await create(net, "job-2", with_data) == JobState.PENDING
    await set_policy(net, rule.replace("purpose", "permit = true, purpose"))
    assert await create(net, "job-3", with_data) == JobState.PENDING
    bob = net.engines["bob"]
    spec = parse_job("job-4", with_data)
    assert (await policies.decide(bob, spec, "alice", "alice", permitted={"crm#c"})).rule == "small"


async def test_own_jobs_and_those_this_node_coordinates_go_by_the_policy_too(net: Cluster, tmp_path: Path) -> None:
    await set_policy(net, NO_PROBES, at="alice")
    with pytest.raises(Refused, match="policy 1: rule 'no probes' says refuse: component"):
        await submit(net)
    await set_policy(net, ASK, at="alice")
    own = await submit(net)
    assert (await net.view("alice", own)).approvals["alice"].state is ApprovalState.PENDING
    await set_policy(net, NO_PROBES)
    with pytest.raises(Refused, match="refused by policy"):
        await submit(net, document(("a",), roles=TWO, coordinator="bob"))


async def test_own_jobs_can_be_approved_by_a_rule_alone(tmp_path: Path) -> None:
    net = Cluster(tmp_path)
    try:
        await net.start("alice", approval=Approval(own_jobs="manual"))
        await set_policy(net, ALICE, at="alice")
        job_id = await submit(net, document(("a",), roles={"guest": ["alice"]}))
        await net.over("alice", job_id)
    finally:
        await net.stop_all()


async def test_setting_keeps_versions_and_notices_another_hand(net: Cluster) -> None:
    bob = net.engines["bob"]
    first = await policies.put(bob, ALICE, expected=0, actor="operator:olga")
    with pytest.raises(Conflict, match="version 1, set by operator:olga, not 0"):
        await policies.put(bob, ASK, expected=0, actor="operator:paul")
    assert await policies.put(bob, ALICE, expected=1, actor="operator:paul") == first
    second = await policies.put(bob, ASK, expected=1, actor="operator:paul")
    assert (second.version, await policies.current(bob)) == (2, second)
    changed = await events(net, "policy.changed")
    assert [(event.actor, event.data["version"], event.data["digest"]) for event in changed] == [
        ("operator:olga", 1, first.digest),
        ("operator:paul", 2, second.digest),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[rule]\n", r"not TOML: .*line 1"),
        (ALICE + '\n[[rule]]\nname = "b"\nthn = "ask"\n', r"line 9: rule 2 'b': unknown key 'thn'"),
        (ALICE.replace("version", "versoin"), r"line 4: rule 1 .*unknown key 'when.versoin'"),
        ('# x\n[[rule]]\nthen = "ask"\n', "line 2: rule 1: name"),
    ],
)
async def test_a_wrong_text_is_refused_with_its_line(net: Cluster, text: str, fault: str) -> None:
    with pytest.raises(InvalidRequest, match=fault):
        await policies.put(net.engines["bob"], text, expected=None, actor="operator:olga")
    assert await policies.current(net.engines["bob"]) is None


async def test_a_stored_policy_that_cannot_be_read_asks(net: Cluster) -> None:
    net.partners["bob"].policy["alice"] = "auto"
    await net.engines["bob"].db.write(lambda tx: store.set_text(tx, "[[rule]]\nfuture = 1", actor="operator:x"))
    assert await create(net, "job-1") == JobState.PENDING


async def test_a_replay_says_what_would_have_been_and_uses_nothing_up(net: Cluster) -> None:
    for number in (1, 2, 3):
        await create(net, f"job-{number}")
    bob = net.engines["bob"]
    await jobs.decide(bob, "job-2", approve=False, reason="not this one", actor="operator:olga")
    text = ALICE.replace("{partner", '{quota = {count = 2, per = "hour"}, partner')
    found = await trials.try_last(bob, 10, text=text)
    assert [(trial.job_id, trial.ruling.action.value, trial.decided) for trial in found] == [
        ("job-3", "ask", "PENDING"),
        ("job-2", "approve", "REJECTED"),
        ("job-1", "approve", "PENDING"),
    ]
    assert found[1].decided_by == "operator:olga"
    ruling, problems = await trials.try_document(bob, job(), text=text)
    assert (ruling.rule, problems) == ("alice's probes", ())
    assert (await trials.try_document(bob, job(), text=text, coordinator="mallory"))[0].rule == ""
    assert (await trials.try_last(bob, 1, text=None))[0].ruling == policies.NO_POLICY
    for trace in ("policy.approved", "policy.asked", "policy.changed"):
        assert await events(net, trace) == []
    assert await counted(net, "alice's probes") == 0
