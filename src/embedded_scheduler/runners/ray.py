"""Runs components as jobs of an existing Ray cluster, through the Jobs API of its dashboard.

An attempt is one job, whose submission id is made from the node's and the attempt's: submitted twice it runs once,
and another node process finds it again. The component, its environment and what starts it (`ray_entry.py`) travel as
the job's package. Ray shows the environment variables of a job (`runtime_env`) to whoever may look at the cluster, and
keeps them; so they are not given that way but in a file of the package, which the job removes before the component
begins. Who may submit jobs to the cluster can still get at a component that runs: Ray separates no users.

The Jobs API gives output as text, and fails over bytes that are none; the log endpoint of the dashboard's state API
gives the bytes.
"""

from __future__ import annotations

import asyncio
import math
import shlex
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from embedded_scheduler.domain.identifiers import shorten
from embedded_scheduler.errors import Refused, Unavailable
from embedded_scheduler.runners.address import Catalog
from embedded_scheduler.runners.attempt import Order
from embedded_scheduler.runners.following import FollowingRunner, Sighting
from embedded_scheduler.runners.ray_api import RayApi, UnknownJobError
from embedded_scheduler.runners.ray_entry import BEGIN, NOT_STARTED
from embedded_scheduler.runners.ray_package import pack
from embedded_scheduler.runners.variables import SEARCH_PATH, check
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.spi.runner import END_OF_LOG, Diagnosis, Exit, LaunchSpec, Outlook, RunHandle

_ENTRY = "embedded_scheduler.runners.ray_entry"
_PENDING, _RUNNING, _STOPPED = "PENDING", "RUNNING", "STOPPED"
_OVER = frozenset({"SUCCEEDED", "FAILED", _STOPPED})
_MOST_BEFORE_OUTPUT = 1 << 20
_DIAGNOSIS_S = 5
_ON_THIS_MACHINE = Outlook()
_FORCE_MARGIN_S = 15
"""Beyond the grace, so that the job's own first process ends what is left, and can say so."""


@dataclass(frozen=True, slots=True)
class RayCluster:
    """Where jobs go and what they get. `files`: a directory whose content every job finds in its working directory."""

    api: RayApi
    node_id: str
    python: str = "python3"
    resources: Mapping[str, float] = field(default_factory=dict)
    files: Path | None = None
    grace_s: float = 5.0
    """Between telling a component to end and forcing it. Fixed when the job is submitted."""


class RayRunner(FollowingRunner):
    """`spi.runner.Runner` over the jobs of a Ray cluster.

    `allow_exec` are the paths and `module:<name>` entries that jobs may start; they have to be there on the cluster.
    """

    name: ClassVar[str] = "ray"
    output_ends: ClassVar[bool] = False
    advice: ClassVar[Words] = say("ray_silent_fix")

    def __init__(
        self,
        runs: Path,
        cluster: RayCluster,
        *,
        allow_exec: Collection[str] = (),
        components: str = "algorithm_components",
        patience_s: float = 300.0,
        outlook: Outlook = _ON_THIS_MACHINE,
    ) -> None:
        super().__init__(runs, patience_s=patience_s)
        self._outlook = outlook
        self._cluster = cluster
        self._api = cluster.api
        self._components = components
        self._catalog = Catalog(components, allow_exec, has_interpreter=True, elsewhere=True)

    def accepts(self, image_url: str) -> Words:
        try:
            self._catalog.find(image_url)
        except Refused as refusal:
            return refusal.words
        return ""

    def handle(self, spec: LaunchSpec) -> RunHandle:
        submission = f"{self._cluster.node_id}-{spec.attempt_id}"
        where = f"Ray job {submission} at {self._api.address}"
        return RunHandle(self.name, spec.attempt_id, {"submission": submission, "where": where})

    def outlook(self) -> Outlook:
        return self._outlook

    async def diagnose(self) -> Diagnosis:
        try:
            async with asyncio.timeout(_DIAGNOSIS_S), self._api.session() as ray:
                version = await ray.version()
                # The version is told to everybody who has the token; jobs are what matters.
                await ray.known(self._cluster.node_id)
        except (Unavailable, Refused) as fault:
            return Diagnosis("error", fault.words, self.advice)
        except TimeoutError:
            return Diagnosis("error", say("ray_silent", address=self._api.address), self.advice)
        return Diagnosis("ok", say("ray_found", version=version, address=self._api.address))

    # What the cluster is asked

    async def _submit(self, spec: LaunchSpec, handle: RunHandle) -> None:
        order = self._order(spec)
        submission = _submission(handle)
        content = pack(order, self._components, self._cluster.files)
        async with self._api.session() as ray:
            if await ray.known(submission):
                return
            package = await ray.upload(content)
            await ray.submit(self._request(spec, submission, package))

    async def _look(self, handle: RunHandle) -> Sighting | None:
        async with self._api.session() as ray:
            try:
                return _sighting(await ray.job(_submission(handle)))
            except UnknownJobError:
                return None

    async def _output(self, handle: RunHandle, position: str, *, follow: bool) -> AsyncGenerator[tuple[bytes, str]]:
        known = int(position or 0)
        begin = f"{BEGIN}{handle.attempt_id}\n".encode()
        read, before = 0, b""
        async with self._api.session() as ray:
            async for piece in ray.output(_submission(handle), follow=follow):
                output = piece
                read += len(piece)
                if not known:
                    before += piece
                    head, found, output = before.partition(begin)
                    if not found:
                        if len(before) > _MOST_BEFORE_OUTPUT:
                            return
                        continue
                    known = len(head) + len(begin)
                elif read - len(piece) < known:
                    output = piece[known - (read - len(piece)) :]
                if output:
                    known = read
                    yield output, str(read)

    async def _stop(self, handle: RunHandle, grace_seconds: float) -> None:
        del grace_seconds
        async with self._api.session() as ray:
            try:
                await ray.stop(_submission(handle))
            except UnknownJobError:
                return

    async def _remove(self, handle: RunHandle) -> None:
        async with self._api.session() as ray:
            try:
                await ray.delete(_submission(handle))
            except UnknownJobError:
                return

    def _where(self, handle: RunHandle) -> str:
        return str(handle.data.get("where") or "the Ray job")

    def _ending(self, ending: Exit, end_line: str) -> Exit:
        """Ray tells the exit code of what ended by itself; of what was stopped, only the attempt's first process."""
        word, _, number = end_line.partition(" ")
        if end_line == "not started" and ending.code == NOT_STARTED:
            return Exit(code=None, error=say("program_not_run"))
        if not ending.error or ending.error != _STOPPED_THERE or not number.isdigit():
            return ending
        return Exit(code=int(number)) if word == "exit" else Exit(code=None, signal=int(number))

    # Submitting

    def _order(self, spec: LaunchSpec) -> Order:
        program = self._catalog.find(spec.image_url)
        environment = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8", **spec.environment}
        check(environment)
        return Order(
            kind=program.kind,
            target=program.target,
            log=spec.attempt_id,
            end_of_log=END_OF_LOG,
            python="",
            package=self._components,
            path=(),
            environment=environment,
            memory_bytes=spec.limits.memory_bytes or 0,
            disk_bytes=spec.limits.disk_bytes or 0,
            cpu=0 if spec.limits.cpu is None else max(1, math.ceil(spec.limits.cpu)),
        )

    def _request(self, spec: LaunchSpec, submission: str, package: str) -> dict[str, Any]:
        cluster, limits = self._cluster, spec.limits
        words = [cluster.python, "-m", _ENTRY, spec.attempt_id, f"{cluster.grace_s:g}"]
        request: dict[str, Any] = {
            "entrypoint": f"exec {shlex.join(words)}",
            "submission_id": submission,
            "metadata": {"nodeconsole_node": cluster.node_id, "nodeconsole_attempt": spec.attempt_id},
            "runtime_env": {
                "working_dir": package,
                "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(math.ceil(cluster.grace_s) + _FORCE_MARGIN_S)},
            },
        }
        if limits.cpu is not None:
            request["entrypoint_num_cpus"] = limits.cpu
        if limits.memory_bytes is not None:
            request["entrypoint_memory"] = limits.memory_bytes
        if cluster.resources:
            request["entrypoint_resources"] = dict(cluster.resources)
        return request


_STOPPED_THERE = say("stopped_in_cluster")


def _submission(handle: RunHandle) -> str:
    return str(handle.data["submission"])


def _sighting(job: Mapping[str, Any]) -> Sighting:
    status = str(job.get("status"))
    if status not in (*_OVER, _PENDING, _RUNNING):
        raise ValueError(f"no job is {shorten(status)}")
    if status not in _OVER:
        return Sighting(waiting=status == _PENDING)
    if status == _STOPPED:
        return Sighting(Exit(code=None, error=_STOPPED_THERE))
    code = job.get("driver_exit_code")
    if isinstance(code, int):
        return Sighting(Exit(code=code) if code >= 0 else Exit(code=None, signal=-code))
    said = str(job.get("message") or status).strip().splitlines()
    return Sighting(Exit(code=None, error=say("cluster_not_run", why=said[-1] if said else str(status))))
