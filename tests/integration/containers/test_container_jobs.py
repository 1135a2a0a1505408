"""Whole jobs of two nodes whose components are containers, in the styles of several makers; nodes that are killed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.containers import styles
from tests.support import container_engine
from tests.support.hosted import hosted
from tests.support.mesh import Mesh, mesh
from tests.support.nodes import QUICK, eventually
from tests.support.registry import registry

import algorithm_components
from embedded_scheduler.wire.console import DatasetRequest, JobDetail
from nodeconsole.client import NodeClient

if TYPE_CHECKING:
    from tests.integration.containers.conftest import Machine

IMAGE = "localhost/nodeconsole-test/styles:1"


@pytest.fixture(scope="module")
def image(machine: Machine) -> str:
    package = Path(algorithm_components.__file__).parent
    files: dict[str, bytes | Path] = dict(container_engine.python_tree())
    for path in package.rglob("*.py"):
        files |= container_engine.compiled(f"app/algorithm_components/{path.relative_to(package)}", path)
    files["app/algorithm_components/sdk/report.schema.json"] = package / "sdk" / "report.schema.json"
    files["app/main.py"] = Path(styles.__file__)
    machine.engine.load(IMAGE, files, {"Entrypoint": ["/usr/bin/python3", "/app/main.py"], "WorkingDir": "/app"})
    return IMAGE


def _manifest(name: str, inputs: list[str], outputs: list[str], **more: Any) -> dict[str, Any]:
    return {
        "componentName": name,
        "title": name,
        "provider": "styles",
        "version": "1.0",
        "roleList": ["guest", "host"],
        "storageEngine": ["local"],
        "inputParam": [],
        "inputData": [{"name": each, "category": "dataset"} for each in inputs],
        "outputData": [{"name": each, "category": "dataset"} for each in outputs],
        "result": [],
        **more,
    }


MANIFESTS = (
    _manifest("own_count", ["data"], ["counts"]),
    _manifest("guide_count", ["train_data"], ["train_data"], boolStyle="True"),
    _manifest("kuscia_swap", [], ["swapped"]),
)


def _job(tasks: dict[str, tuple[str, list[str], str]], parameters: dict[str, Any], **common: Any) -> dict[str, Any]:
    """`tasks`: name to component, producers and output."""
    return {
        "flow_id": "styles",
        "dag": {
            "version": "2.0",
            "components": [
                {
                    "name": name,
                    "componentName": component,
                    "provider": "styles",
                    "version": "1.0",
                    "input": [{"key": source, "type": "dataset"} for source in sources],
                    "output": [{"key": output, "type": "dataset"}],
                }
                for name, (component, sources, output) in tasks.items()
            ],
        },
        "config": {
            "version": "2.0.0",
            "initiator": {"role": "guest", "node_id": "alice"},
            "role": {"guest": ["alice"], "host": ["bob"]},
            "job_params": {"common": common},
            "task_params": {
                "common": parameters,
                **{role: {"0": {name: {} for name in tasks}} for role in ("guest", "host")},
            },
        },
    }


async def _prepare(net: Mesh, directory: Path, image: str) -> None:
    for name, rows in (("alice", 3), ("bob", 5)):
        source = directory / f"{name}.csv"
        source.write_text("id\n" + "".join(f"{number}\n" for number in range(rows)))
        client = net.clients[name]
        await client.add_dataset(
            DatasetRequest(name="rows", namespace="own", connector="csv", options={"path": str(source)})
        )
        for manifest in MANIFESTS:
            assert (await client.register_component(image, manifest)).why_not == ""


async def _log(net: Mesh, node: str, job_id: str, task: str) -> str:
    return "\n".join((await net.clients[node].log(job_id, task)).lines)


async def test_components_of_several_makers_run_in_containers_and_a_killed_node_takes_its_own_up_again(
    machine: Machine, tmp_path: Path, image: str
) -> None:
    settings = f'{QUICK}\ncontainer.allow = ["localhost"]\ncontainer.socket = "{machine.engine.socket}"\n'
    async with mesh(tmp_path, "alice", "bob", settings=settings) as net:
        await _prepare(net, tmp_path, image)
        alice = net.nodes["alice"]
        tasks = {"count": ("own_count", [], "counts"), "turn": ("guide_count", ["count.counts"], "train_data")}
        parameters = {"count": {"dataset_id": "own#rows", "beats": 40}, "turn": {"strict": True}}
        first = await net.submit("alice", _job(tasks, parameters))

        async def counts() -> bool:
            return "beat 5" in await _log(net, "alice", first, "count")

        await eventually(counts, what="the component of alice runs")
        alice.kill()
        await alice.start()
        swap = _job({"swap": ("kuscia_swap", [], "swapped")}, {"swap": {"strict": True}}, session_style="session_task")
        second = await net.submit("alice", swap)
        assert await net.agreement(first) == ("FINISHED", "succeeded"), await _log(net, "alice", first, "turn")
        assert await net.agreement(second) == ("FINISHED", "succeeded"), await _log(net, "alice", second, "swap")

        counted = await _log(net, "alice", first, "count")
        assert re.findall("^beat (.*)$", counted, re.MULTILINE) == [str(number) for number in range(40)]
        results = {path.name.rpartition("-")[2]: path.read_text() for path in _results(alice.home.path, first)}
        assert results["counts"].splitlines() == ["party,rows", "own,3", "other,5"]
        assert results["train_data"].splitlines() == ["other,5", "own,3", "party,rows"]
        assert [path.read_text() for path in _results(alice.home.path, second)] == ["hello from host.0"]
        swapped = await _log(net, "alice", second, "swap")
        assert "pushed 200" in swapped
        assert re.search(r'callback 200 .*"code": ?200', swapped), swapped
        assert machine.engine.api.containers("nodeconsole.node=alice") == []


async def test_a_node_pulls_with_the_secret_of_the_registry_and_says_when_it_has_none(
    machine: Machine, tmp_path: Path
) -> None:
    login = "puller:s3cret-word"
    settings = (
        f'container.allow = ["{machine.registry}"]\ncontainer.socket = "{machine.engine.socket}"\n'
        f'container.credentials."{machine.registry}" = "psi-registry"\napproval.own_jobs = "auto"\n'
    )
    job = _job({"once": ("own_count", [], "counts")}, {})
    job["config"]["role"] = {"guest": ["alice"]}
    del job["config"]["task_params"]["host"]
    with registry(machine.registry, login) as store:
        script = container_engine.shell_files("echo pulled and ran")
        store.put("team/once", "1", container_engine.layer_of(script), container_engine.SHELL_CONFIG)
        async with hosted(tmp_path / "alice", settings=settings) as node, node.client() as client:
            row = await client.register_component(
                f"{machine.registry}/team/once:1", MANIFESTS[2] | {"componentName": "own_count"}
            )
            assert row.why_not == ""
            denied = await client.register_component("elsewhere.example/psi:1", MANIFESTS[1])
            assert 'add "elsewhere.example"' in denied.why_not
            ended = await _over(client, (await client.submit(job)).job_id)
            assert "there is no secret 'psi-registry'" in ended.tasks[0].shares[0].reason
            await client.put_secret("psi-registry", login)
            ended = await _over(client, (await client.submit(job | {"flow_id": "again"})).job_id)
            assert ended.job.outcome == "succeeded"
            assert "pulled and ran" in (await client.log(ended.job.job_id, "once")).lines
            findings = {finding.check: finding for finding in (await client.doctor()).findings}
            assert (findings["runner"].level, findings["runner"].subject) == ("ok", "container")
    kept = b"".join(path.read_bytes() for path in (tmp_path / "alice").rglob("*") if path.is_file())
    assert b"s3cret-word" not in kept


async def _over(client: NodeClient, job_id: str) -> JobDetail:
    async def ended() -> JobDetail | None:
        detail = await client.job(job_id)
        return detail if detail.job.state == "FINISHED" else None

    return await eventually(ended, what=f"{job_id} is over")


def _results(home: Path, job_id: str) -> list[Path]:
    """Without the metadata beside them."""
    return sorted((home / "storage" / f"{job_id}-guest-0").glob("[!.]*"))
