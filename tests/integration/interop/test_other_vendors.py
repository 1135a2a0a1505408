"""Whole jobs with nodes of other makes over real HTTP: they coordinate, we coordinate, they fail and come back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.faulty_proxy import Fault, FaultyProxy, Request, Treatment
from tests.support.hosted import Hosted, hosted
from tests.support.nodes import eventually
from tests.support.vendors.base import Asked, Mishap, Vendor
from tests.support.vendors.fate import FateNode
from tests.support.vendors.kuscia import KusciaNode
from tests.support.vendors.specified import SpecifiedNode

from embedded_scheduler.domain.identifiers import task_id_for
from embedded_scheduler.wire.console import JobDetail, PeerRequest
from nodeconsole.client import ClientError, NodeClient

SETTINGS = """
timing.poll_first = 0.1
timing.poll_longest = 0.3
timing.retry_first = 0.05
timing.retry_longest = 0.2
timing.call_timeout = 2.0
timing.partner_lost = {lost}
timing.submit_wait = {patience}
"""
OVER = {"FINISHED", "REJECTED"}
JOB_ID = "202611221604000000010"
CHAIN = {"a": [], "b": ["a"], "c": ["b"]}


def job(
    initiator: str,
    roles: Mapping[str, Sequence[str]],
    tasks: Mapping[str, Sequence[str]],
    *,
    only: Mapping[str, Sequence[str]] | None = None,
    common: Mapping[str, Mapping[str, Any]] | None = None,
    **job_params: Any,
) -> dict[str, Any]:
    """A job of `probe` tasks, each with those it reads from. `only` names the roles of a task that not all take part
    in, `common` holds parameters per task."""
    port = [{"key": "data", "type": "dataset"}]
    params: dict[str, Any] = {"common": {name: dict(given) for name, given in (common or {}).items()}}
    for role in ("guest", "host", "arbiter"):
        own = {name: {} for name in tasks if role in (only or {}).get(name, (role,))}
        params[role] = {str(index): dict(own) for index in range(len(roles.get(role, ())))}
    return {
        "flow_id": "",
        "dag": {
            "version": "2.0.0",
            "components": [
                {
                    "name": name,
                    "componentName": "probe",
                    "provider": "nodeconsole",
                    "version": "1.0.0",
                    "code": "nodeconsole-probe",
                    "module_name": "probe",
                    "input": [{"key": f"{up}.data", "type": "dataset"} for up in upstream],
                    "output": port,
                }
                for name, upstream in tasks.items()
            ],
        },
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": initiator},
            "role": {role: list(roles.get(role, ())) for role in ("guest", "host", "arbiter")},
            "job_params": {"common": job_params, "guest": {}, "host": {}, "arbiter": {}},
            "task_params": params,
        },
    }


class Us:
    """A real node of ours and its console."""

    def __init__(self, node: Hosted, client: NodeClient) -> None:
        self.node = node
        self.client = client

    @property
    def node_id(self) -> str:
        return self.node.running.node_id

    async def over(self, job_id: str, *, within: float = 15.0) -> JobDetail:
        async def ended() -> JobDetail | None:
            found = await self.client.job(job_id)
            return found if found.job.state in OVER else None

        return await eventually(ended, what=f"{job_id} over at {self.node_id}", within=within)

    async def succeeded(self, job_id: str) -> JobDetail:
        found = await self.over(job_id)
        assert (found.job.state, found.job.outcome) == ("FINISHED", "succeeded"), found.job.reason
        return found

    def sessions(self) -> dict[str, str]:
        """Channel session by task name, as handed to our components."""
        with sqlite3.connect(f"file:{self.node.home.database}?mode=ro", uri=True) as store:
            found = dict(store.execute("SELECT task_name, session_id FROM attempts").fetchall())
        store.close()
        return found

    def launches(self) -> list[str]:
        with sqlite3.connect(f"file:{self.node.home.database}?mode=ro", uri=True) as store:
            found = [name for (name,) in store.execute("SELECT task_name FROM attempts ORDER BY launched_ms")]
        store.close()
        return found


class Net:
    """Nodes that are introduced to one another as they are added."""

    def __init__(self, root: Path, stack: AsyncExitStack) -> None:
        self._root = root
        self._stack = stack
        self.ours: dict[str, Us] = {}
        self.vendors: dict[str, Vendor] = {}

    async def us(self, node_id: str = "alice", *, lost: float = 30.0, patience: float = 5.0) -> Us:
        text = SETTINGS.format(lost=lost, patience=patience)
        node = await self._stack.enter_async_context(hosted(self._root / node_id, node_id, settings=text))
        made = Us(node, await self._stack.enter_async_context(node.client()))
        for other in self.ours.values():
            await made.client.add_peer(
                PeerRequest(node_id=other.node_id, url=other.node.url, approval="auto", signing="off")
            )
            await other.client.add_peer(PeerRequest(node_id=node_id, url=node.url, approval="auto", signing="off"))
        self.ours[node_id] = made
        return made

    async def add(self, vendor: Vendor, profile: str, *, approval: str = "auto", **options: Any) -> None:
        await self._stack.enter_async_context(vendor)
        for other in self.vendors.values():
            other.peers[vendor.node_id] = vendor.url
            vendor.peers[other.node_id] = other.url
        for us in self.ours.values():
            vendor.peers[us.node_id] = us.node.url
            await us.client.add_peer(
                PeerRequest(
                    node_id=vendor.node_id,
                    url=vendor.url,
                    profile=profile,
                    approval=approval,
                    options=options,
                    signing="off",
                )
            )
        self.vendors[vendor.node_id] = vendor

    async def fate(self, node_id: str = "fate", **traits: Any) -> FateNode:
        made = FateNode(node_id, period=0.05, **traits)
        await self.add(made, "fate")
        return made

    async def kuscia(self, node_id: str = "kus", **traits: Any) -> KusciaNode:
        made = KusciaNode(node_id, **traits)
        await self.add(made, "kuscia")
        return made

    async def official(self, node_id: str = "offi", **traits: Any) -> SpecifiedNode:
        made = SpecifiedNode(node_id, "official", **traits)
        await self.add(made, "official-1.2")
        return made

    async def legacy(self, node_id: str = "lega", **traits: Any) -> SpecifiedNode:
        made = SpecifiedNode(node_id, "legacy", **traits)
        await self.add(made, "legacy")
        return made


@asynccontextmanager
async def network(root: Path) -> AsyncIterator[Net]:
    async with AsyncExitStack() as stack:
        net = Net(root, stack)
        yield net
        for vendor in net.vendors.values():
            assert vendor.crash is None, f"{vendor.node_id} crashed: {vendor.crash!r}"


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Net]:
    async with network(tmp_path) as made:
        yield made


async def reached(holds: Callable[[], bool], what: str) -> None:
    async def attempt() -> bool:
        return holds()

    await eventually(attempt, what=what, within=15, pause=0.02)


# -- they coordinate --------------------------------------------------------------------------------------------------


async def test_fate_coordinates_a_chain_with_a_task_we_have_no_part_in(net: Net) -> None:
    us, fate = await net.us(), await net.fate()
    fate.end_delay = 0.3
    document = job("fate", {"guest": ["fate"], "host": ["alice"]}, {"read": [], "b": ["read"], "c": ["b"]})
    document["config"]["task_params"]["guest"]["0"]["read"] = {"dataset_id": "bank#people"}
    # What the task without us would have left here; the probe reads what the flow gives it.
    stored = us.node.home.storage / f"{JOB_ID}-host-0" / f"{task_id_for(JOB_ID, 'read')}-data"
    stored.parent.mkdir(parents=True)
    stored.write_text("x\n")
    code, job_id = await fate.submit(document, job_id=JOB_ID)
    assert code == 0, job_id
    found = await us.succeeded(job_id)
    await reached(lambda: fate.states[job_id] == "FINISHED", "the end at FATE")
    assert fate.task_states[job_id] == {"read": "SUCCESS", "b": "SUCCESS", "c": "SUCCESS"}
    assert us.launches() == ["b", "c"]
    assert {task.state for task in found.tasks if task.name != "read"} == {"SUCCESS"}
    assert us.sessions() == dict.fromkeys(("b", "c"), f"session_{job_id}")


async def test_fate_coordinates_and_our_task_fails(net: Net) -> None:
    us, fate = await net.us(), await net.fate()
    document = job("fate", {"guest": ["fate"], "host": ["alice"]}, CHAIN, common={"b": {"fail": True}})
    _, job_id = await fate.submit(document)
    assert (await us.over(job_id)).job.outcome == "failed"
    await reached(lambda: fate.states[job_id] == "FINISHED", "the end at FATE")
    assert fate.task_states[job_id] == {"a": "SUCCESS", "b": "FAILED", "c": "READY"}


async def test_fate_tries_again_with_the_same_nonce_and_nothing_happens_twice(net: Net) -> None:
    us, fate = await net.us(), await net.fate(timeout=1.0)
    seen: dict[str, int] = {}

    def first_answer_lost(request: Request) -> Treatment:
        key = request.target + request.body.decode()
        seen[key] = seen.get(key, 0) + 1
        lost = seen[key] == 1 and not request.target.endswith("task/poll")
        return Treatment(Fault.LOSE_RESPONSE if lost else Fault.NONE)

    async with FaultyProxy(us.node.running.listen, first_answer_lost) as proxy:
        fate.peers["alice"] = proxy.url
        code, job_id = await fate.submit(job("fate", {"guest": ["fate"], "host": ["alice"]}, CHAIN))
        assert code == 0, job_id
        await us.succeeded(job_id)
        await reached(lambda: fate.states[job_id] == "FINISHED", "the end at FATE")
    assert proxy.treated[Fault.LOSE_RESPONSE] > 6
    assert us.launches() == ["a", "b", "c"]
    assert fate.refusals == []


async def test_a_fate_coordinator_whose_creation_failed_elsewhere_leaves_no_job_open_here(net: Net) -> None:
    us = await net.us(lost=0.5)
    fate, kuscia = await net.fate(), await net.kuscia()
    code, error = await fate.submit(
        job("fate", {"guest": ["fate"], "host": ["alice", "kus"]}, {"a": []}), job_id="2026112216"
    )
    assert code == 1, "Kuscia answers 404 to a request without its Host header"
    assert "kus" in error
    found = await us.over("2026112216")
    assert (found.job.state, found.job.outcome) == ("FINISHED", "stopped")
    assert "fate says nothing of job 2026112216: it does not know it" in found.job.reason
    assert kuscia.jobs == {}


async def test_kuscia_coordinates_a_chain(net: Net) -> None:
    us, kuscia = await net.us(), await net.kuscia()
    job_id = await kuscia.submit(job("kus", {"guest": ["kus"], "host": ["alice"]}, CHAIN))
    await us.succeeded(job_id)
    await reached(lambda: kuscia.jobs[job_id].phase == "SUCCESS", "the end at Kuscia")
    assert us.sessions() == {name: f"session_{task_id}" for name, task_id in kuscia.jobs[job_id].task_ids.items()}
    assert us.sessions() == {kuscia.computations[i].name: s for i, s in kuscia.session_ids.items()}


async def test_kuscia_coordinates_and_a_task_fails(net: Net) -> None:
    us, kuscia = await net.us(), await net.kuscia()
    kuscia.failing = {"b"}
    document = job("kus", {"guest": ["kus"], "host": ["alice"]}, CHAIN, common={"b": {"sleep": 30}})
    job_id = await kuscia.submit(document)
    found = await us.over(job_id)
    assert found.job.outcome == "failed"
    assert kuscia.jobs[job_id].phase == "FAILED"
    assert {task.name: task.state for task in found.tasks}["b"] == "FAILED"
    assert us.launches() == ["a", "b"]


@pytest.mark.parametrize("sync_type", ["poll", "callback"])
@pytest.mark.parametrize("text", ["official", "legacy"])
async def test_a_node_of_the_texts_coordinates(net: Net, text: str, sync_type: str) -> None:
    us = await net.us()
    node = await (net.official if text == "official" else net.legacy)("them")
    job_id = await node.submit(
        job("them", {"guest": ["them"], "host": ["alice"]}, {"a": [], "b": ["a"]}, sync_type=sync_type)
    )
    await us.succeeded(job_id)
    assert node.jobs[job_id].state == "FINISHED"
    assert {node._word(node.jobs[job_id], name) for name in "ab"} == {"SUCCESS"}
    assert node.refusals == []
    polls = [asked for asked in node.asked if asked.operation == "task/callback"]
    assert len(polls) == 2
    session = job_id if text == "legacy" else f"session_{job_id}"
    assert set(us.sessions().values()) == {session}


async def test_our_operator_refuses_a_job_of_a_legacy_coordinator(net: Net) -> None:
    us = await net.us()
    node = SpecifiedNode("lega", "legacy")
    await net.add(node, "legacy", approval="manual")
    job_id = await node.submit(job("lega", {"guest": ["lega"], "host": ["alice"]}, {"a": []}))

    async def asked() -> bool:
        return (await us.client.job(job_id)).job.needs_decision

    await eventually(asked, what="the decision", within=10)
    await us.client.reject(job_id, "not with this data")
    assert (await us.over(job_id)).job.state == "REJECTED"
    await reached(lambda: node.jobs[job_id].state == "REJECTED", "the refusal at the coordinator")


# -- we coordinate ----------------------------------------------------------------------------------------------------


async def test_fate_participates(net: Net) -> None:
    us, fate = await net.us(), await net.fate()
    submitted = await us.client.submit(
        job("alice", {"guest": ["alice"], "host": ["fate"]}, CHAIN, common={"a": {"echo": "x"}})
    )
    await us.succeeded(submitted.job_id)
    assert fate.starts == ["a", "b", "c"]
    assert fate.words_of(submitted.job_id) == {"a": "SUCCESS", "b": "SUCCESS", "c": "SUCCESS"}
    await reached(lambda: bool(fate.requests("job/stop")), "the end signal")


async def test_kuscia_participates_and_ends_right_by_itself(net: Net) -> None:
    us, kuscia = await net.us(), await net.kuscia(ask_every=1.0)
    document = job("alice", {"guest": ["alice"], "host": ["kus"]}, CHAIN, common={"b": {"list": [1, 2], "no": None}})
    submitted = await us.client.submit(document)
    await us.succeeded(submitted.job_id)
    theirs = kuscia.jobs[submitted.job_id]
    await reached(lambda: theirs.phase in ("SUCCESS", "FAILED"), "the end at Kuscia")
    assert (theirs.phase, theirs.reason) == ("SUCCESS", ""), "a job/stop would have ended it as stopped"
    assert us.sessions() == {kuscia.computations[i].name: s for i, s in kuscia.session_ids.items()}


@pytest.mark.parametrize("sync_type", ["poll", "callback"])
@pytest.mark.parametrize("text", ["official", "legacy"])
async def test_a_node_of_the_texts_participates(net: Net, text: str, sync_type: str) -> None:
    us = await net.us()
    node = await (net.official if text == "official" else net.legacy)("them")
    submitted = await us.client.submit(
        job("alice", {"guest": ["alice"], "host": ["them"]}, {"a": [], "b": ["a"]}, sync_type=sync_type)
    )
    await us.succeeded(submitted.job_id)
    await reached(lambda: node.jobs[submitted.job_id].state == "FINISHED", "the end there")
    assert node.words_of(submitted.job_id) == {"a": "SUCCESS", "b": "SUCCESS"}


async def test_a_legacy_participant_refuses(net: Net) -> None:
    us, node = await net.us(), SpecifiedNode("lega", "legacy")
    node.approves = False
    node.decided.clear()
    await net.add(node, "legacy")
    submitted = await us.client.submit(job("alice", {"guest": ["alice"], "host": ["lega"]}, {"a": []}))
    assert submitted.nodes["lega"] == "accepted"
    node.decided.set()
    found = await us.over(submitted.job_id)
    assert found.job.state == "REJECTED"
    assert "refused by lega" in found.job.reason
    await reached(lambda: node.jobs[submitted.job_id].state == "REJECTED", "the end there")
    assert us.launches() == []


@pytest.mark.parametrize("kind", ["fate", "kuscia", "official", "legacy"])
async def test_stopping_a_job_ends_what_runs_there(net: Net, kind: str) -> None:
    us = await net.us()
    node: Vendor = await getattr(net, kind)("them", work=60.0)
    submitted = await us.client.submit(
        job("alice", {"guest": ["alice"], "host": ["them"]}, {"a": []}, common={"a": {"sleep": 60}})
    )
    await reached(lambda: node.words_of(submitted.job_id) == {"a": "RUNNING"}, "the task running there")
    await us.client.stop(submitted.job_id, reason="enough")
    assert (await us.over(submitted.job_id)).job.outcome == "stopped"
    await reached(lambda: node.words_of(submitted.job_id) == {"a": "FAILED"}, "the task ended there")


@pytest.mark.parametrize("kind", ["fate", "kuscia", "official", "legacy"])
async def test_a_task_that_fails_there_ends_the_job_here(net: Net, kind: str) -> None:
    us = await net.us()
    node: Vendor = await getattr(net, kind)("them")
    node.failing = {"b"}
    submitted = await us.client.submit(job("alice", {"guest": ["alice"], "host": ["them"]}, CHAIN))
    found = await us.over(submitted.job_id)
    assert found.job.outcome == "failed"
    assert "task b failed: host.0: them says FAILED" in found.job.reason
    assert node.starts == ["a", "b"]


# -- others submit, a third node coordinates --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["official", "legacy"])
async def test_we_coordinate_what_another_node_submits(net: Net, kind: str) -> None:
    us, bob = await net.us("carol"), await net.us("bob")
    node: SpecifiedNode = await getattr(net, kind)("them")
    roles = {"guest": ["them"], "host": ["bob"], "arbiter": ["carol"]}
    document = job("them", roles, CHAIN, only=dict.fromkeys(CHAIN, ("guest", "host")))
    job_id = await node.submit(document, coordinator="carol")
    for ours in (us, bob):
        await ours.succeeded(job_id)
    await reached(lambda: node.heard.get(job_id, {}).get("data", {}).get("job_status") == "FINISHED", "the word there")
    assert node.refusals == []
    assert set(node.heard[job_id]["data"]["status"].values()) == {"SUCCESS"}
    assert us.launches() == [], "the arbiter has no part in the computation"
    assert bob.launches() == ["a", "b", "c"]


@pytest.mark.parametrize("kind", ["fate", "official", "legacy"])
async def test_another_make_coordinates_what_we_submit(net: Net, kind: str) -> None:
    us, bob = await net.us(), await net.us("bob")
    node: Any = await getattr(net, kind)("them")
    roles = {"guest": ["alice"], "host": ["bob"], "arbiter": ["them"]}
    submitted = await us.client.submit(job("alice", roles, {"a": [], "b": ["a"]}, coordinator="them"))
    for ours in (us, bob):
        found = await ours.succeeded(submitted.job_id)
        assert found.job.coordinator == "them"
        assert ours.launches() == ["a", "b"]
    assert node.words_of(submitted.job_id) == {"a": "SUCCESS", "b": "SUCCESS"}
    assert us.sessions() == bob.sessions()


async def test_what_a_coordinator_makes_of_our_job_must_still_be_our_job(net: Net) -> None:
    us = await net.us()
    node = await net.official("them")
    roles = {"guest": ["alice"], "host": ["them"]}
    submitted_elsewhere = job("alice", roles, {"a": []}, coordinator="them")
    node.peers["alice"] = us.node.url
    written = node._written

    def tampered(body: Mapping[str, Any]) -> dict[str, Any]:
        changed = json.loads(json.dumps(written(body)))
        changed["dag"]["components"][0]["componentName"] = "sample_alignment"
        return dict(changed)

    node._written = tampered  # type: ignore[method-assign]
    with pytest.raises(ClientError, match="other content"):
        await us.client.submit(submitted_elsewhere)
    assert us.launches() == []


# -- mixtures ---------------------------------------------------------------------------------------------------------


async def test_four_makes_in_one_job(net: Net) -> None:
    us, bob = await net.us(), await net.us("bob")
    fate, official = await net.fate(), await net.official()
    roles = {"guest": ["alice"], "host": ["bob", "fate"], "arbiter": ["offi"]}
    submitted = await us.client.submit(job("alice", roles, CHAIN))
    for ours in (us, bob):
        await ours.succeeded(submitted.job_id)
    for vendor in (fate, official):
        assert vendor.words_of(submitted.job_id) == dict.fromkeys(CHAIN, "SUCCESS")


async def test_a_kuscia_participant_decides_the_sessions_of_all_even_of_those_who_do_not_know_it(net: Net) -> None:
    us = await net.us()
    kuscia = await net.kuscia()
    bob = await net.us("bob")
    roles = {"guest": ["alice"], "host": ["kus", "bob"]}
    submitted = await us.client.submit(job("alice", roles, {"a": [], "b": ["a"]}))
    for ours in (us, bob):
        await ours.succeeded(submitted.job_id)
    told = {kuscia.computations[i].name: session for i, session in kuscia.session_ids.items()}
    assert told == us.sessions() == bob.sessions()
    assert all(session.startswith("session_task-") for session in told.values())


async def test_tasks_of_one_job_may_use_different_sessions(net: Net) -> None:
    us, kuscia, fate = await net.us(), await net.kuscia(), await net.fate()
    roles = {"guest": ["alice"], "host": ["kus"], "arbiter": ["fate"]}
    only = {"a": ("guest", "host"), "b": ("guest", "arbiter")}
    submitted = await us.client.submit(job("alice", roles, {"a": [], "b": ["a"]}, only=only))
    found = await us.succeeded(submitted.job_id)
    task_id = next(task.task_id for task in found.tasks if task.name == "a")
    assert us.sessions() == {"a": f"session_{task_id}", "b": f"session_{submitted.job_id}"}
    assert kuscia.starts == ["a"]
    assert fate.starts == ["b"]


async def test_arbiter_only_and_several_roles_under_a_fate_coordinator(net: Net) -> None:
    alice, bob, fate = await net.us(), await net.us("bob"), await net.fate()
    roles = {"guest": ["fate", "alice"], "host": ["alice"], "arbiter": ["bob"]}
    _, job_id = await fate.submit(job("fate", roles, {"a": [], "b": ["a"]}))
    for ours in (alice, bob):
        await ours.succeeded(job_id)
    assert sorted(alice.launches()) == ["a", "a", "b", "b"]
    assert bob.launches() == ["a", "b"]
    assert fate.refusals == []


async def test_several_roles_under_a_kuscia_coordinator(net: Net) -> None:
    alice, kuscia = await net.us(), await net.kuscia()
    roles = {"guest": ["kus"], "host": ["alice"], "arbiter": ["alice"]}
    job_id = await kuscia.submit(job("kus", roles, {"a": [], "b": ["a"]}))
    await alice.succeeded(job_id)
    assert sorted(alice.launches()) == ["a", "a", "b", "b"]


# -- bad days ---------------------------------------------------------------------------------------------------------


def troubled(*mishaps: Mishap) -> Callable[[Asked], Mishap]:
    """Every operation goes wrong as often as there are mishaps, in their order, then works."""
    tries: dict[str, int] = {}

    def rule(asked: Asked) -> Mishap:
        at = tries[asked.operation] = tries.get(asked.operation, 0) + 1
        return mishaps[at - 1] if at <= len(mishaps) else Mishap.NONE

    return rule


@pytest.mark.parametrize("kind", ["fate", "kuscia", "official", "legacy"])
async def test_a_participant_on_a_bad_day(net: Net, kind: str) -> None:
    us = await net.us()
    node: Vendor = await getattr(net, kind)("them")
    node.mishap = troubled(Mishap.ERROR, Mishap.GARBAGE, Mishap.SILENT, Mishap.SLOW)
    submitted = await us.client.submit(job("alice", {"guest": ["alice"], "host": ["them"]}, {"a": [], "b": ["a"]}))
    await us.succeeded(submitted.job_id)
    assert node.starts == ["a", "b"]
    assert node.words_of(submitted.job_id) == {"a": "SUCCESS", "b": "SUCCESS"}


@pytest.mark.parametrize("kind", ["fate", "official", "legacy"])
async def test_a_coordinator_on_a_bad_day(net: Net, kind: str) -> None:
    us = await net.us()
    node: Any = await getattr(net, kind)("them")
    node.mishap = lambda asked: Mishap.NONE if asked.header("x-node-id") == "them" else quirks(asked)
    quirks = troubled(Mishap.ERROR, Mishap.GARBAGE, Mishap.SILENT, Mishap.SLOW)
    made = await node.submit(job("them", {"guest": ["them"], "host": ["alice"]}, {"a": [], "b": ["a"]}))
    await us.succeeded(made[1] if isinstance(made, tuple) else made)
    assert us.launches() == ["a", "b"]


@pytest.mark.parametrize("kind", ["fate", "kuscia", "official", "legacy"])
async def test_a_participant_dies_and_comes_back(net: Net, kind: str) -> None:
    us = await net.us()
    node: Vendor = await getattr(net, kind)("them", work=0.2)
    submitted = await us.client.submit(
        job("alice", {"guest": ["alice"], "host": ["them"]}, {"a": [], "b": ["a"]}, common={"a": {"sleep": 0.5}})
    )
    await reached(lambda: node.starts == ["a"], "the first task there")
    await node.die()

    async def noticed() -> bool:
        return any("cannot be reached" in peer.last_error for peer in await us.client.peers())

    await eventually(noticed, what="the loss of the partner", within=10)
    await node.revive()
    await us.succeeded(submitted.job_id)
    assert node.starts == ["a", "b"]


@pytest.mark.parametrize("kind", ["fate", "kuscia"])
async def test_a_coordinator_is_away_when_its_job_ends(net: Net, kind: str) -> None:
    """Its process goes on calling; only nobody can reach it: what it is asked is asked again."""
    us = await net.us()
    node: Any = await getattr(net, kind)("them")
    await node.die()
    node.peers["them"] = "http://127.0.0.1:9"
    if kind == "fate":
        await node.revive()
        made = (await node.submit(job("them", {"guest": ["them"], "host": ["alice"]}, {"a": []})))[1]
        await reached(lambda: us.launches() == ["a"], "the task here")
        await node.die()
    else:
        made = await node.submit(job("them", {"guest": ["them"], "host": ["alice"]}, {"a": []}))
        await reached(lambda: node.jobs[made].phase == "SUCCESS", "the end there")
    assert (await us.client.job(made)).job.state == "RUNNING"
    await node.revive()
    await us.succeeded(made)


# -- who does not fit -------------------------------------------------------------------------------------------------


async def refusal(us: Us, document: Mapping[str, Any]) -> str:
    with pytest.raises(ClientError) as caught:
        await us.client.submit(document)
    assert us.launches() == []
    return str(caught.value)


async def test_what_cannot_work_is_said_when_the_job_is_submitted(net: Net) -> None:
    us, _, _ = await net.us(), await net.kuscia(), await net.fate()
    roles = {"guest": ["alice"], "host": ["kus"]}
    said = await refusal(us, job("alice", roles, {"a": []}, coordinator="kus"))
    assert "kus cannot coordinate a job: profile kuscia has no job/create_all" in said
    said = await refusal(us, job("alice", {"guest": ["alice"], "host": ["kus", "fate"]}, {"a": []}))
    assert "task a use different channel sessions (kus session_task, fate session_job)" in said
    assert "job_params.common.session_style" in said


async def test_a_partner_under_the_wrong_profile_is_named_with_what_it_said(net: Net) -> None:
    us = await net.us()
    node = KusciaNode("kus")
    await net.add(node, "official-1.2", host_header="interconn-scheduler.{node_id}.svc")
    said = await refusal(us, job("alice", {"guest": ["alice"], "host": ["kus"]}, {"a": []}))
    assert "refused by kus" in said
    assert "code 400: component code can't be empty" in said
    assert "profile official-1.2" in said


async def test_a_partner_that_has_no_such_address_under_this_profile_is_shown_with_what_to_check(net: Net) -> None:
    us = await net.us(patience=0.2)
    await net.add(KusciaNode("kus"), "seed")
    submitted = await us.client.submit(job("alice", {"guest": ["alice"], "host": ["kus"]}, {"a": []}))
    assert submitted.nodes["kus"] == "undelivered"
    peer = await us.client.peer("kus")
    assert peer.last_error == "kus answered job/create with HTTP 404: check its address and profile (here: seed)"
    assert (await us.client.stop(submitted.job_id)).outcome == "stopped"


async def test_a_fate_coordinator_is_told_that_decisions_by_hand_need_a_channel(net: Net) -> None:
    us, fate = await net.us(), FateNode("fate")
    await net.add(fate, "fate", approval="manual")
    code, error = await fate.submit(job("fate", {"guest": ["fate"], "host": ["alice"]}, {"a": []}))
    assert code == 1
    assert "alice approves jobs by hand, and fate cannot wait for that" in error
    assert (await us.client.jobs()).jobs == []
