"""Runs components that are images as Jobs of a Kubernetes cluster, one pod for an attempt.

The Job's name is made from the node's and the attempt's, so a launch that is repeated finds it, and so does another
node process. It starts suspended and is let go when the Secret with its environment is there. The node watches the pod
and follows its log; lines come with their times, which are where the log goes on after an interruption.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import ClassVar

from embedded_scheduler.config import MIB
from embedded_scheduler.errors import Refused, Unavailable
from embedded_scheduler.runners.following import AwayError, FollowingRunner, Journal, Sighting
from embedded_scheduler.runners.images import ImageReference, parse_reference, require_allowed
from embedded_scheduler.runners.kubernetes_api import (
    KubernetesApi,
    UnknownObjectError,
    WatchTooOldError,
)
from embedded_scheduler.runners.kubernetes_manifest import (
    ATTEMPT_LABEL,
    CONTAINER,
    STOPPED,
    PodSettings,
    job_manifest,
    name_of,
    secret_manifest,
)
from embedded_scheduler.runners.kubernetes_pods import Object, ending_of_removed, is_begun, sighting
from embedded_scheduler.sentences import Words, say
from embedded_scheduler.spi.runner import Diagnosis, Exit, LaunchSpec, Outlook, RunHandle

_OWN_SCHEMES = ("builtin:", "exec:", "pack:")
_DIAGNOSIS_S = 5
_ON_THIS_MACHINE = Outlook()


class KubernetesRunner(FollowingRunner):
    """`spi.runner.Runner` over Jobs of a cluster.

    `allow` lists registries, parts of them and images as `container.allow` does. A pod that has not begun after
    `start_patience_s` ends its attempt, with what the cluster says about it.
    """

    name: ClassVar[str] = "kubernetes"
    output_ends: ClassVar[bool] = True
    advice: ClassVar[Words] = say("kubernetes_silent_fix")

    def __init__(
        self,
        runs: Path,
        api: KubernetesApi,
        pods: PodSettings,
        *,
        allow: Sequence[str] = (),
        patience_s: float = 300.0,
        start_patience_s: float = 600.0,
        outlook: Outlook = _ON_THIS_MACHINE,
    ) -> None:
        super().__init__(runs, patience_s=patience_s)
        self._api = api
        self._pods = pods
        self._allow = tuple(allow)
        self._start_patience_s = start_patience_s
        self._outlook = outlook

    def accepts(self, image_url: str) -> Words:
        try:
            self._image(image_url)
        except Refused as refusal:
            return refusal.words
        return ""

    def outlook(self) -> Outlook:
        return self._outlook

    async def diagnose(self) -> Diagnosis:
        try:
            async with asyncio.timeout(_DIAGNOSIS_S), self._api.session() as cluster:
                version = await cluster.version()
                await cluster.jobs(ATTEMPT_LABEL)
        except (Unavailable, Refused, UnknownObjectError) as fault:
            return Diagnosis("error", fault.words, self.advice)
        except TimeoutError:
            return Diagnosis("error", say("kubernetes_silent"), self.advice)
        return Diagnosis("ok", say("kubernetes_found", version=version, address=self._api.cluster().server))

    def handle(self, spec: LaunchSpec) -> RunHandle:
        name = name_of(self._pods.node_id, spec.attempt_id)
        return RunHandle(self.name, spec.attempt_id, {"job": name, "where": f"Kubernetes job {name}"})

    # What the cluster is asked

    async def _submit(self, spec: LaunchSpec, handle: RunHandle) -> None:
        name = _name(handle)
        manifest = job_manifest(spec, str(self._image(spec.image_url)), name, self._pods)
        async with self._api.session() as cluster:
            try:
                await cluster.create_job(manifest)
                job = await cluster.job(name)
                await cluster.create_secret(secret_manifest(spec, name, str(job["metadata"]["uid"])))
                if STOPPED not in (job["metadata"].get("annotations") or {}):
                    await cluster.patch_job(name, {"spec": {"suspend": False}})
            except UnknownObjectError as gone:
                raise AwayError(say("pod_removed", where=self._where(handle), error=gone.words)) from None

    async def _look(self, handle: RunHandle) -> Sighting | None:
        async with self._api.session() as cluster:
            try:
                job = await cluster.job(_name(handle))
            except UnknownObjectError:
                return None
            return sighting(job, (await cluster.pods(_label(handle)))[0])

    async def _sightings(self, handle: RunHandle, journal: Journal) -> AsyncGenerator[Sighting | None]:
        del journal
        begun = asyncio.get_running_loop().time()
        async with self._api.session() as cluster:
            while True:
                pods, version = await cluster.pods(_label(handle))
                try:
                    seen: Sighting | None = sighting(await cluster.job(_name(handle)), pods)
                except UnknownObjectError:
                    seen = None
                yield self._overdue(seen, begun)
                # A pod that never comes is told by nobody: look again while it is waited for.
                waiting = seen is not None and seen.waiting
                lasting = _LOOK_AGAIN_S if waiting else _WATCH_S
                try:
                    async for kind, pod in cluster.changes(_label(handle), version, lasting):
                        if kind == "DELETED":
                            yield Sighting(ending_of_removed(pod))
                        yield self._overdue(sighting({}, [pod]), begun)
                except WatchTooOldError:
                    continue

    async def _output(self, handle: RunHandle, position: str, *, follow: bool) -> AsyncGenerator[tuple[bytes, str]]:
        taken = _Taken.at(position)
        async with self._api.session() as cluster:
            pods, _ = await cluster.pods(_label(handle))
            pod = next(filter(is_begun, pods), None)
            if pod is None:
                return
            lines = _Lines(taken)
            try:
                async for piece in cluster.log(_pod_name(pod), CONTAINER, taken.time, follow=follow):
                    yield lines.fresh(piece), taken.position()
            except UnknownObjectError:
                return
            # While the component runs, the rest of a line may still come.
            if not follow and (output := lines.rest()):
                yield output, taken.position()

    async def _stop(self, handle: RunHandle, grace_seconds: float) -> None:
        async with self._api.session() as cluster:
            try:
                # First, or the Job would have another pod in place of the one that ends.
                await cluster.patch_job(
                    _name(handle), {"metadata": {"annotations": {STOPPED: "true"}}, "spec": {"suspend": True}}
                )
                for pod in (await cluster.pods(_label(handle)))[0]:
                    await cluster.delete_pod(_pod_name(pod), math.ceil(grace_seconds))
            except UnknownObjectError:
                return

    async def _remove(self, handle: RunHandle) -> None:
        async with self._api.session() as cluster:
            try:
                await cluster.delete_job(_name(handle))
            except UnknownObjectError:
                return

    def _where(self, handle: RunHandle) -> str:
        return str(handle.data.get("where") or "the Kubernetes job")

    def _overdue(self, seen: Sighting | None, begun: float) -> Sighting | None:
        """What has waited too long has failed, for the reason that it waits."""
        waited = asyncio.get_running_loop().time() - begun
        if seen is None or seen.ending is not None or not seen.waiting or waited < self._start_patience_s:
            return seen
        why = seen.note or "the cluster does not say why"
        return Sighting(Exit(code=None, error=say("not_begun", seconds=f"{waited:.0f}", why=why), cause="engine"))

    def _image(self, image_url: str) -> ImageReference:
        if image_url.startswith(_OWN_SCHEMES):
            raise Refused(say("kubernetes_images_only"))
        reference = parse_reference(image_url)
        require_allowed(reference, self._allow, "kubernetes.allow")
        return reference


_LOOK_AGAIN_S, _WATCH_S = 10, 240
_LONGEST_LINE = MIB


class _Taken:
    """How far the lines of a log were taken: the latest time, and how many lines of that time.

    What two streams of a component wrote may be out of order by a moment, so only what comes again is judged by time.
    """

    def __init__(self, time: str, count: int) -> None:
        self.time = time
        self._count = count
        self._again = count

    @classmethod
    def at(cls, position: str) -> _Taken:
        time, count = json.loads(position) if position else ("", 0)
        return cls(str(time), int(count))

    def position(self) -> str:
        return json.dumps([self.time, self._count])

    def fresh(self, line: bytes) -> bytes:
        """What the component wrote, without the time before it; empty if it was taken before."""
        stamp, _, content = line.partition(b" ")
        time = stamp.decode("ascii", "replace")
        order = _moment(time), _moment(self.time)
        if self._again:
            if order[0] < order[1]:
                return b""
            if order[0] == order[1]:
                self._again -= 1
                return b""
            self._again = 0
        if order[0] > order[1]:
            self.time, self._count = time, 1
        elif order[0] == order[1]:
            self._count += 1
        return content


class _Lines:
    """A log, as it comes, taken apart into its lines. One that is very long is passed on before it ends: a component
    may print for hours without a line break."""

    def __init__(self, taken: _Taken) -> None:
        self._taken = taken
        self._begun = b""
        self._within: bool | None = None
        """Within a very long line: whether its beginning was fresh."""

    def fresh(self, piece: bytes) -> bytes:
        found = []
        if self._within is not None:
            head, end, piece = piece.partition(b"\n")
            if self._within:
                found.append(head + end)
            if not end:
                return b"".join(found)
            self._within = None
        *lines, self._begun = (self._begun + piece).split(b"\n")
        found += [self._taken.fresh(line + b"\n") for line in lines]
        if len(self._begun) > _LONGEST_LINE:
            beginning, self._begun = self._taken.fresh(self._begun), b""
            self._within = bool(beginning)
            found.append(beginning)
        return b"".join(found)

    def rest(self) -> bytes:
        """What no line break ended."""
        return self._taken.fresh(self._begun) if self._begun else b""


def _moment(stamp: str) -> tuple[str, str]:
    """A time in UTC, comparable whether or not zeros at its end are left out."""
    seconds, _, fraction = stamp.rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


def _name(handle: RunHandle) -> str:
    return str(handle.data["job"])


def _label(handle: RunHandle) -> str:
    return f"{ATTEMPT_LABEL}={_name(handle)}"


def _pod_name(pod: Object) -> str:
    return str(pod["metadata"]["name"])
