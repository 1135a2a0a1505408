"""Components put out of use, looked at before they are registered, and what forms ask a node for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.test_commands import run
from tests.support.hosted import Hosted
from tests.support.nodes import eventually
from tests.support.probe_jobs import chain, fan, probe_job
from tests.support.self_descriptions import SPECIFICATION_SAMPLE, component

from embedded_scheduler.wire.console import DatasetRequest
from nodeconsole.cli.exits import Exit
from nodeconsole.client import ClientError, NodeClient

PROBE = ("nodeconsole", "probe", "1.0.0")


def job(**changes: Any) -> dict[str, Any]:
    return probe_job({"guest": "alice"}, fan(1)) | changes


async def test_a_disabled_component_is_refused_with_the_reason(client: NodeClient) -> None:
    assert (await client.component(*PROBE)).actions == ["disable"]
    row = await client.set_component_enabled(*PROBE, enabled=False, reason="under review")
    assert (row.enabled, row.runnable, row.actions) == (False, False, ["enable"])
    with pytest.raises(ClientError, match=r"nodeconsole/probe 1\.0\.0 is disabled on this node"):
        await client.submit(job())
    assert any("disabled" in problem for problem in (await client.check_job(job())).problems)
    await client.set_component_enabled(*PROBE, enabled=False)
    events = [e for e in (await client.event_page(limit=500)).events if e.event == "component.disabled"]
    assert [(event.subject_id, event.reason) for event in events] == [("nodeconsole/probe/1.0.0", "under review")]
    assert (await client.set_component_enabled(*PROBE, enabled=True)).runnable
    await client.submit(job())
    with pytest.raises(ClientError, match="not registered"):
        await client.set_component_enabled("no", "such", "1", enabled=True)


async def test_a_task_whose_component_was_disabled_meanwhile_fails_with_the_reason(client: NodeClient) -> None:
    reply = await client.submit(probe_job({"guest": "alice"}, chain(2), parameters={"probe_0": {"sleep": 1.5}}))
    await client.set_component_enabled(*PROBE, enabled=False)

    async def over() -> Any:
        detail = await client.job(reply.job_id)
        return detail if detail.job.state == "FINISHED" else None

    detail = await eventually(over, what="the job is over")
    assert detail.job.outcome == "failed"
    assert "is disabled on this node" in json.dumps(detail.model_dump(mode="json"))


async def test_registering_again_leaves_a_component_as_it_was(client: NodeClient) -> None:
    address, manifest = "registry.example/thing:1", component({"name": "a"})
    await client.register_component(address, manifest)
    await client.set_component_enabled("acme", "thing", "1", enabled=False)
    again = await client.register_component(address, component({"name": "a"}, {"name": "b"}))
    assert not again.enabled
    assert (again.parameters, again.registered_by[:9]) == (2, "operator:")
    assert again.actions == ["enable", "register", "unregister"]


async def test_a_check_says_what_registering_would_do_and_stores_nothing(client: NodeClient) -> None:
    manifest = component({"name": "a", "optional": "maybe"})
    found = await client.check_component("", manifest)
    assert (found.replaces, found.unchanged, found.component.parameters) == (False, False, 1)
    assert any("optional" in warning for warning in found.component.warnings)
    with pytest.raises(ClientError, match="componentName"):
        await client.check_component("", {"provider": "x"})
    with pytest.raises(ClientError, match="spaces"):
        await client.check_component("a b", manifest)
    with pytest.raises(ClientError) as refused:
        await client.check_component("exec:/bin/sh", manifest)
    assert refused.value.status == 422
    with pytest.raises(ClientError, match="no component"):
        await client.component("acme", "thing", "1")
    registered = await client.register_component("registry.example/x:1", manifest)
    same = await client.check_component("registry.example/x:1", manifest)
    assert (same.unchanged, same.component.digest) == (True, registered.digest)
    assert (await client.check_component("registry.example/x:2", manifest)).replaces


async def test_providers_offer_what_the_node_knows_and_nothing_is_evaluated(client: NodeClient, tmp_path: Path) -> None:
    for name, text in (("people", "id,age\n1,2\n"), ("loans", "id,amount\n1,2\n")):
        (tmp_path / name).write_text(text)
        await client.add_dataset(DatasetRequest(name=name, connector="csv", options={"path": str(tmp_path / name)}))
    offered = [row.value for row in await client.choices("getDatasets", {})]
    assert offered == ["default#loans", "default#people"]
    assert [row.value for row in await client.choices("columns", {"dataset_id": "default#people"})] == ["id", "age"]
    assert [row.value for row in await client.choices("list_columns", {})] == ["id", "amount", "age"]
    assert [row.value for row in await client.choices("nodes", {})] == ["alice"]
    assert await client.choices("partners", {}) == []
    assert {row.value for row in await client.choices("connectors", {})} >= {"csv", "sqlite"}
    assert "nodeconsole/probe/1.0.0" in {row.value for row in await client.choices("components", {})}
    with pytest.raises(ClientError, match="no provider"):
        await client.choices("__import__", {})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"dag": {"components": []}}, "no components"),
        ({"config": {"initiator": {"node_id": "alice"}, "role": {"guest": ["alice"], "host": ["bob"]}}}, "no partner"),
        ({"config": {"initiator": {"node_id": "bob"}, "role": {"guest": ["bob"]}}}, "start at alice"),
    ],
)
async def test_a_job_is_checked_without_being_stored(client: NodeClient, changes: dict[str, Any], problem: str) -> None:
    found = await client.check_job(job(**changes))
    assert problem in " ".join(found.problems)
    assert bool(found.problems) is bool(problem)
    assert found.coordinator == ("" if problem else "alice")
    assert (await client.jobs()).jobs == []


async def test_required_parameters_and_data_are_missed_before_a_job_is_submitted(client: NodeClient) -> None:
    document = job()
    document["dag"]["components"][0] |= {"componentName": "sample_alignment"}
    found = await client.check_job(document)
    assert any("names no data for it" in problem for problem in found.problems)


async def test_the_same_by_command(node: Hosted, tmp_path: Path) -> None:
    file = tmp_path / "lr.json"
    file.write_text(SPECIFICATION_SAMPLE)
    home = node.home
    checked = await run("component", "check", str(file), home=home)
    assert checked.code == Exit.OK, checked
    assert "FATE/HeteroLR/2.0.0 is new; 9 parameters" in checked.out
    assert "it has commas, which JSON does not allow" in checked.out
    assert "(batch_size): validator (0,1000) refuses own choices" in checked.out
    done = await run("component", "register", str(file), "--image", "registry.example/lr:2", home=home)
    assert done.code == Exit.OK, done
    exported = await run("component", "export", "HeteroLR", home=home)
    assert exported.json["inputParam"][4]["validator"] == "(0,1000)"
    off = await run("component", "disable", "HeteroLR", "--reason", "no image yet", home=home)
    assert "is disabled" in off.out
    assert "disabled" in (await run("component", "list", home=home)).out
    assert (await run("component", "enable", "HeteroLR", "--json", home=home)).json["enabled"] is True
    good, bad = tmp_path / "job.json", tmp_path / "bad.json"
    good.write_text(json.dumps(job()))
    bad.write_text(json.dumps(job(dag={"components": []})))
    assert "it can be submitted; alice would drive it" in (await run("job", "check", str(good), home=home)).out
    refused = await run("job", "check", str(bad), "--json", home=home)
    assert (refused.code, refused.json["problems"]) == (Exit.UNSUCCESSFUL, ["the flow has no components"])
    bad.write_text("{")
    assert (await run("component", "check", str(bad), home=home)).code == Exit.USAGE
