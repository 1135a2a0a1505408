"""The part of the Kubernetes API that attempts need: jobs, secrets, pods, and their watch."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx

from embedded_scheduler.config import MIB
from embedded_scheduler.errors import NodeError
from embedded_scheduler.runners.engine_http import EngineHttp, error_text
from embedded_scheduler.runners.following import AwayError
from embedded_scheduler.runners.kubeconfig import Cluster, read_cluster
from embedded_scheduler.sentences import say

_LONGEST_EVENT = 16 * MIB
_PATCH = {"Content-Type": "application/merge-patch+json"}


class UnknownObjectError(NodeError):
    """The cluster has no object of this name."""


class WatchTooOldError(NodeError):
    """The cluster has forgotten the changes since then: look at everything again."""


class KubernetesApi:
    """`kubeconfig` and `context` as in `kubeconfig.read_cluster`; `namespace` "" = the one of the context."""

    def __init__(self, kubeconfig: str, context: str = "", namespace: str = "") -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._namespace = namespace

    def cluster(self) -> Cluster:
        return read_cluster(self._kubeconfig, self._context)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[KubernetesSession]:
        """`Refused` if the kubeconfig cannot be read."""
        found = self.cluster()
        http = EngineHttp("Kubernetes", found.server, lambda: found.access)
        async with http.client() as client:
            yield KubernetesSession(http, client, self._namespace or found.namespace)


class KubernetesSession:
    """Questions to one cluster. Each may raise `AwayError`; `Refused` if the cluster does not let this node."""

    def __init__(self, http: EngineHttp, client: httpx.AsyncClient, namespace: str) -> None:
        self._http = http
        self._client = client
        core, batch = f"/api/v1/namespaces/{quote(namespace)}", f"/apis/batch/v1/namespaces/{quote(namespace)}"
        self._pods, self._secrets, self._jobs = f"{core}/pods", f"{core}/secrets", f"{batch}/jobs"

    async def version(self) -> str:
        return str(self._http.document(await self._ask("GET", "/version")).get("gitVersion", ""))

    async def create_job(self, manifest: Mapping[str, Any]) -> None:
        await self._create(self._jobs, manifest)

    async def create_secret(self, manifest: Mapping[str, Any]) -> None:
        await self._create(self._secrets, manifest)

    async def job(self, name: str) -> Mapping[str, Any]:
        return self._http.document(await self._ask("GET", f"{self._jobs}/{name}"))

    async def jobs(self, label: str) -> None:
        """Whether this node may list jobs; `Refused` if not."""
        await self._ask("GET", self._jobs, params={"labelSelector": label, "limit": "1"})

    async def patch_job(self, name: str, patch: Mapping[str, Any]) -> None:
        await self._ask("PATCH", f"{self._jobs}/{name}", body=patch, headers=_PATCH)

    async def delete_job(self, name: str) -> None:
        """And what it owns."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        await self._ask("DELETE", f"{self._jobs}/{name}", body=options)

    async def delete_pod(self, name: str, grace_s: int) -> None:
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": grace_s}
        await self._ask("DELETE", f"{self._pods}/{quote(name)}", body=options)

    async def pods(self, label: str) -> tuple[list[Mapping[str, Any]], str]:
        """Those with a label, and the version to watch from."""
        found = self._http.document(await self._ask("GET", self._pods, params={"labelSelector": label}))
        return list(found.get("items") or ()), str(found["metadata"]["resourceVersion"])

    async def changes(self, label: str, version: str, seconds: int) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """Kind of change (ADDED, MODIFIED, DELETED) and pod, as they come, for some seconds.

        `WatchTooOldError`: the version is none to go on from.
        """
        parameters = {
            "labelSelector": label,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        rest = b""
        async for piece in self._http.stream(self._client, self._pods, parameters, silence_s=seconds + 30):
            *lines, rest = (rest + piece).split(b"\n")
            if len(rest) > _LONGEST_EVENT:
                raise AwayError(say("watch_endless"))
            for line in filter(None, lines):
                event = json.loads(line)
                kind, changed = str(event["type"]), event["object"]
                if kind == "ERROR":
                    if changed.get("code") == httpx.codes.GONE:
                        raise WatchTooOldError(str(changed.get("message")))
                    raise AwayError(say("watch_broken", error=str(changed.get("message"))))
                if kind != "BOOKMARK":
                    yield kind, changed

    async def log(self, pod: str, container: str, since: str, *, follow: bool) -> AsyncIterator[bytes]:
        """Lines with the time before each. `since`: RFC 3339, "" = all."""
        parameters = {"container": container, "timestamps": "true", "follow": "true" if follow else "false"}
        if since:
            parameters["sinceTime"] = since
        async for piece in self._http.stream(self._client, f"{self._pods}/{quote(pod)}/log", parameters):
            yield piece

    async def _create(self, path: str, manifest: Mapping[str, Any]) -> None:
        """Nothing happens if there is one of that name."""
        answer = await self._http.send(self._client, "POST", path, json=manifest)
        if answer.status_code != httpx.codes.CONFLICT:
            self._http.judge(answer)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        answer = await self._http.send(self._client, method, path, json=body, params=params, headers=headers)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise UnknownObjectError(error_text(answer))
        self._http.judge(answer)
        return answer
