"""The Kubernetes runner keeps the contract of every runner, against an API that holds it to the published schemas."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.integration.runners.conftest import Harness, goes_on_with_the_log
from tests.support.kubernetes.server import Served, faults, kubernetes, terminated, unplaced, waiting
from tests.support.runs import end_of

from embedded_scheduler.errors import Refused
from embedded_scheduler.runners.kubeconfig import read_cluster
from embedded_scheduler.runners.kubernetes import KubernetesRunner
from embedded_scheduler.runners.kubernetes_api import KubernetesApi
from embedded_scheduler.runners.kubernetes_manifest import PodSettings, job_manifest, secret_manifest
from embedded_scheduler.runners.kubernetes_pods import STOPPED_THERE
from embedded_scheduler.spi.conformance import RunnerConformance
from embedded_scheduler.spi.runner import END_OF_LOG, Exit, LaunchSpec, Limits

NOT_IN_KUBERNETES = {
    "disk_limit_holds": "the cluster evicts a pod some time after it has used more, so what is quick gets through",
    "core_limit_holds": "the cluster limits the time on processors; each of them is to be seen",
    "environment_is_exact": "it asks for a name that no container of Kubernetes can have; see the manifests below",
}
"""Checks of the kit that no cluster passes, and why. What the manifest asks for instead is tested below."""
CHECKS = sorted(set(RunnerConformance.checks()) - set(NOT_IN_KUBERNETES))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with kubernetes(tmp_path_factory.mktemp("kubernetes")) as made:
        yield made


@dataclass
class KubernetesHarness(Harness):
    served: Served | None = None
    node_id: str = field(default_factory=lambda: f"n{secrets.token_hex(4)}")

    @property
    def cluster(self) -> Any:
        assert self.served is not None
        return self.served.cluster

    def runner(
        self, *, kubeconfig: str = "", patience_s: float = 60.0, start_s: float = 60.0, **_: Any
    ) -> KubernetesRunner:
        assert self.served is not None
        path = kubeconfig or str(self.served.kubeconfig(self.root / "kubeconfig"))
        return KubernetesRunner(
            self.runs,
            KubernetesApi(path),
            PodSettings(self.node_id),
            allow=["registry.test/programs"],
            patience_s=patience_s,
            start_patience_s=start_s,
        )

    def spec(
        self, attempt_id: str, program: str, *, environment: Any = None, limits: Limits | None = None
    ) -> LaunchSpec:
        image = f"registry.test/programs/{self.node_id}-{attempt_id.lower()}:1"
        self.cluster.images[image] = self.executable(attempt_id, program)
        return self.at(image, attempt_id, environment, limits)

    def pod(self, spec: LaunchSpec) -> str:
        return f"{self.runner().handle(spec).data['job']}-x1"


@pytest.fixture
def harness(served: Served, tmp_path: Path) -> Iterator[KubernetesHarness]:
    made = KubernetesHarness(tmp_path, served=served)
    made.runs.mkdir()
    yield made
    served.cluster.held = None


@pytest.mark.parametrize("check", CHECKS)
async def test_runner_conformance(check: str, harness: KubernetesHarness) -> None:
    await RunnerConformance(harness).run(check)


async def test_the_environment_comes_from_a_secret_and_arrives_as_it_was(harness: KubernetesHarness) -> None:
    given = {
        "config.token": "tell-nobody",
        "system.storage": "file:///x?y=$(HOME)=z",
        "n": '{"a": [1, "ä\\n"]}',
        "e": "",
    }
    program = (
        "import json, os; print(json.dumps({n: os.environ[n] for n in ('config.token', 'system.storage', 'n', 'e')}))"
    )
    spec = harness.spec("variables", program, environment=given)
    assert await end_of(harness.runner(), spec) == Exit(code=0)
    assert json.loads(harness.log("variables").splitlines()[0]) == given
    shown = json.dumps([harness.cluster.pods, harness.cluster.jobs])
    assert "tell-nobody" not in shown
    assert base64.b64encode(b"tell-nobody").decode() not in shown


async def test_what_is_forgotten_takes_job_and_secret_with_it(harness: KubernetesHarness) -> None:
    spec = harness.spec("forgotten", "print('hello')")
    runner = harness.runner()
    await end_of(runner, spec)
    name = runner.handle(spec).data["job"]
    assert name in harness.cluster.jobs
    assert (
        harness.cluster.secrets[name]["metadata"]["ownerReferences"][0]["uid"]
        == harness.cluster.jobs[name]["metadata"]["uid"]
    )
    await runner.forget(runner.handle(spec))
    assert name not in harness.cluster.jobs
    assert not spec.run_directory.exists()


async def test_another_node_process_goes_on_with_the_log_where_it_stopped(harness: KubernetesHarness) -> None:
    await goes_on_with_the_log(harness, lines=2000, pause_s=0.0005)


async def test_a_watch_that_is_too_old_begins_anew(harness: KubernetesHarness) -> None:
    spec = harness.spec("watched", "import time; print('up', flush=True); time.sleep(0.5)")
    runner = harness.runner()
    await runner.launch(spec)
    async with asyncio.TaskGroup() as group:
        ending = group.create_task(runner.wait(runner.handle(spec)))
        await harness.until_printed("up\n", "watched")
        harness.cluster.forget_the_past()
    assert ending.result() == Exit(code=0)


@pytest.mark.parametrize(
    ("status", "said", "cause"),
    [
        (terminated(137, "OOMKilled"), "out of memory: it used more than its limit of 268435456 bytes", "memory"),
        (terminated(128, "ContainerCannotRun"), "the container could not run: ContainerCannotRun", ""),
        (waiting("InvalidImageName", "no such form"), "InvalidImageName: no such form", "image"),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on disk"}, "Evicted: low on disk", "disk"),
    ],
)
async def test_what_the_cluster_says_is_the_reason(
    harness: KubernetesHarness, status: dict[str, Any], said: str, cause: str
) -> None:
    harness.cluster.held = unplaced("0/3 nodes are available: 3 Insufficient memory.")
    spec = harness.spec("told", "print('ran')", limits=Limits(memory_bytes=256 << 20))
    runner = harness.runner()
    await runner.launch(spec)
    async with asyncio.TaskGroup() as group:
        ending = group.create_task(runner.wait(runner.handle(spec)))
        await harness.until_printed("waits for a place: Unschedulable: 0/3 nodes", "told")
        harness.cluster.set_status(harness.pod(spec), status)
    assert said in ending.result().error
    assert ending.result().cause == cause
    assert "ran" not in harness.log("told")


async def test_what_never_begins_fails_with_what_it_waits_for(harness: KubernetesHarness) -> None:
    spec = harness.at("registry.test/programs/nowhere:1", "nowhere")
    ending = await end_of(harness.runner(start_s=0.0), spec)
    assert not ending.ok
    assert "registry.test/programs/nowhere:1: not found" in ending.error
    assert "nodeconsole: ErrImagePull" in harness.log("nowhere") or "ErrImagePull" in ending.error


async def test_what_waits_can_be_stopped(harness: KubernetesHarness) -> None:
    harness.cluster.held = unplaced("no room")
    spec = harness.spec("waits", "print('ran')")
    runner = harness.runner()
    await runner.launch(spec)
    await runner.terminate(runner.handle(spec), 1.0)
    ending = await runner.observe(runner.handle(spec))
    assert ending is not None
    assert ending.error in (STOPPED_THERE, "the pod was removed from the cluster before its end was seen")


async def test_a_cluster_that_goes_away_is_an_honest_failure_in_bounded_time(
    harness: KubernetesHarness, tmp_path: Path
) -> None:
    spec = harness.spec("away", "import time; time.sleep(60)")
    runner = harness.runner()
    await runner.launch(spec)
    document = json.loads((harness.root / "kubeconfig").read_text())
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(json.dumps(document))
    lost = await harness.runner(kubeconfig=str(elsewhere), patience_s=0.3).wait(runner.handle(spec))
    assert "cannot be reached" in lost.error
    assert harness.log("away").splitlines()[-1] == f"{END_OF_LOG}, lost"
    await runner.forget(runner.handle(spec))


async def test_doctor_says_what_is_there_and_what_is_wrong(harness: KubernetesHarness, tmp_path: Path) -> None:
    assert harness.served is not None
    found = await harness.runner().diagnose()
    assert (found.level, str(found.text)) == ("ok", f"Kubernetes v1.31.0-stub at {harness.served.server}")
    wrong = harness.served.kubeconfig(tmp_path / "wrong", token="x")
    found = await harness.runner(kubeconfig=str(wrong)).diagnose()
    assert found.level == "error"
    assert "does not let this node in" in str(found.text)
    with pytest.raises(Refused, match="does not let this node in"):
        await harness.runner(kubeconfig=str(wrong)).launch(harness.spec("foreign", "print('ran')"))


# Manifests


FULL = PodSettings("alice", 7.5, "claim", "/storage", "runs", ("login",), {"disk": "fast"})


def _spec(**environment: str) -> LaunchSpec:
    limits = Limits(cpu=1.5, memory_bytes=1 << 30, disk_bytes=1 << 20)
    return LaunchSpec("task.guest.0.1", "registry.test/a:1", environment, Path("/run"), Path("/log"), limits)


@pytest.mark.parametrize("settings", [PodSettings("alice"), FULL])
def test_manifests_are_what_the_published_schemas_allow(settings: PodSettings) -> None:
    spec = _spec(**{"config.node_id.guest.0": "alice", "config.token": "t"})
    job = job_manifest(spec, "registry.test/a:1", "name", settings)
    assert faults(job) == []
    assert faults(secret_manifest(spec, "name", "uid")) == []
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {
        "cpu": "1500m",
        "memory": str(1 << 30),
        "ephemeral-storage": str(1 << 20),
    }
    assert container["env"][0]["name"] == "config.node_id.guest.0"


def test_the_schemas_refuse_what_kubernetes_does_not_know() -> None:
    job = job_manifest(_spec(), "registry.test/a:1", "name", FULL)
    job["spec"]["template"]["spec"]["containers"][0]["enviroment"] = []
    assert faults(job)


@pytest.mark.parametrize("name", ["runtime.component.parameter.名", "1st", "a b"])
def test_a_name_that_kubernetes_cannot_give_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="a name in Kubernetes has letters"):
        job_manifest(_spec(**{name: "x"}), "registry.test/a:1", "name", FULL)


# Kubeconfigs


def test_a_kubeconfig_may_be_yaml_and_hold_certificates(served: Served, tmp_path: Path) -> None:
    pem = base64.b64encode(served.authority.read_bytes()).decode()
    (tmp_path / "key.pem").write_text("KEY")
    (tmp_path / "config").write_text(
        "current-context: a\n"
        "contexts:\n"
        "- {name: a, context: {cluster: c, user: u}}\n"
        "- {name: b, context: {cluster: c, user: e, namespace: n}}\n"
        f"clusters: [{{name: c, cluster: {{server: 'https://k:6443/', certificate-authority-data: {pem}}}}}]\n"
        "users:\n"
        f"- {{name: u, user: {{client-certificate-data: {pem}, client-key: key.pem}}}}\n"
        "- {name: e, user: {exec: {}}}\n"
    )
    found = read_cluster(str(tmp_path / "config"))
    assert (found.server, found.namespace) == ("https://k:6443", "default")
    assert found.access.authorities == found.access.certificate == served.authority.read_text()
    assert found.access.key == "KEY"
    with pytest.raises(Refused, match="needs a program"):
        read_cluster(str(tmp_path / "config"), "b")
    with pytest.raises(Refused, match="no 'c' among its contexts"):
        read_cluster(str(tmp_path / "config"), "c")


@pytest.mark.parametrize("content", ["", "[]", "a: [", "current-context: x"])
def test_what_is_no_kubeconfig_is_said_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "config").write_text(content)
    with pytest.raises(Refused, match="cannot be used"):
        read_cluster(str(tmp_path / "config"))


def test_a_pod_of_the_cluster_finds_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    for name in ("token", "ca.crt", "namespace"):
        (tmp_path / name).write_text(f"{name}\n")
    found = read_cluster("in-cluster", pod=tmp_path)
    assert (found.server, found.namespace, found.access.token) == ("https://[fd00::1]:443", "namespace", "token")
