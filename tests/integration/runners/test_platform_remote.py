"""`platform.remote`: components on other machines find their node at its second address, and nobody else gets in."""

from __future__ import annotations

import json
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.hosted import hosted
from tests.support.kubernetes.server import Served, kubernetes
from tests.support.nodes import eventually
from tests.support.probe_jobs import fan, probe_job
from tests.support.self_descriptions import component

from embedded_scheduler.errors import NodeError
from nodeconsole.client import NodeClient

IMAGE = "registry.test/programs/remote:1"
PROGRAM = f"""#!{sys.executable} -I
import json, os, urllib.request
body = {{"task_id": os.environ["config.task_id"], "role": os.environ["config.self_role"], "status": "RUNNING"}}
headers = {{"Content-Type": "application/json", "x-ptp-token": os.environ["config.token"]}}
request = urllib.request.Request(os.environ["system.callback"], json.dumps(body).encode(), headers)
with urllib.request.urlopen(request, timeout=10) as answer:
    print("node at", os.environ["system.transport"], "says", json.load(answer)["code"], flush=True)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("kubernetes")
    with kubernetes(directory) as made:
        program = directory / "program"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        made.cluster.images[IMAGE] = program
        yield made


def _free_port(host: str) -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        port: int = free.getsockname()[1]
        return port


async def test_a_component_of_a_cluster_calls_its_node_at_the_second_address(served: Served, tmp_path: Path) -> None:
    remote = f"127.0.0.2:{_free_port('127.0.0.2')}"
    kubeconfig = served.kubeconfig(tmp_path / "kubeconfig")
    settings = (
        f'platform.remote = "{remote}"\nkubernetes.kubeconfig = "{kubeconfig}"\n'
        'kubernetes.allow = ["registry.test/programs"]\n'
    )
    async with hosted(tmp_path / "alice", settings=settings) as node, node.client() as client:
        await client.register_component(IMAGE, component(), "kubernetes")
        document = probe_job({"guest": "alice"}, fan(1))
        document["dag"]["components"][0] |= {"componentName": "thing", "provider": "acme", "version": "1"}
        job_id = (await client.submit(document)).job_id
        await _succeeds(client, job_id)
        log = "\n".join((await client.log(job_id, "probe_0")).lines)
        assert f"node at {remote} says 200" in log
        [attempt] = (await client.task(job_id, "probe_0")).attempts
        assert (attempt.runner, attempt.reported) == ("kubernetes", "RUNNING")
        # What opens the first address opens the second, and nothing else does.
        token = await node.platform_token("jobs:read")
        status, _ = _ask(remote, job_id, token)
        assert status == 200
        for shown in ("", "guessed"):
            status, answer = _ask(remote, job_id, shown)
            assert (status, job_id in answer) == (200, False), answer
            assert json.loads(answer)["code"] != 200


def _ask(address: str, job_id: str, token: str) -> tuple[int, str]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    body = json.dumps({"job_id": job_id}).encode()
    url = f"http://{address}/v1/platform/schedule/job/status_all"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def _succeeds(client: NodeClient, job_id: str) -> None:
    async def look() -> bool:
        return (await client.job(job_id)).job.outcome == "succeeded"

    await eventually(look, what="the job succeeds", within=20)


@pytest.mark.parametrize("address", ["0.0.0.0:9382", "[::]:9382", "127.0.0.2:0"])
async def test_an_address_that_says_nothing_to_others_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(NodeError, match=r"platform\.remote: other machines are told to call"):
        async with hosted(tmp_path / "alice", settings=f'platform.remote = "{address}"\n'):
            pass
