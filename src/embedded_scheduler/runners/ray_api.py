"""The HTTP interface of a Ray cluster's dashboard, as far as jobs need it.

A cluster with token authentication (`RAY_AUTH_MODE=token`, Ray 2.52 and later) takes the token as a bearer token.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from embedded_scheduler.errors import NodeError
from embedded_scheduler.runners.engine_http import EngineHttp, access_of_files, error_text

_EXISTS = "already exists"


class UnknownJobError(NodeError):
    """The cluster knows no job of this submission id."""


class RayApi:
    """How a cluster is reached; `session()` opens a connection that lasts as long as one needs it."""

    def __init__(self, address: str, *, token_file: Path | None = None, ca_file: Path | None = None) -> None:
        self.address = address.rstrip("/")
        self._http = EngineHttp("Ray", self.address, lambda: access_of_files(token_file, ca_file))

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RaySession]:
        """`Refused` if the token cannot be read."""
        async with self._http.client() as client:
            yield RaySession(self._http, client)


class RaySession:
    """Questions to one cluster. Each may raise `AwayError`; `Refused` if the cluster does not let this node in."""

    def __init__(self, http: EngineHttp, client: httpx.AsyncClient) -> None:
        self._http = http
        self._client = client

    async def version(self) -> str:
        return str(self._http.document(await self._ask("GET", "/api/version")).get("ray_version", ""))

    async def known(self, submission: str) -> bool:
        try:
            await self.job(submission)
        except UnknownJobError:
            return False
        return True

    async def job(self, submission: str) -> Mapping[str, Any]:
        return self._http.document(await self._ask("GET", _path(submission)))

    async def upload(self, content: bytes) -> str:
        """The URI of a package with this content."""
        name = f"_ray_pkg_{hashlib.sha256(content).hexdigest()[:32]}.zip"
        await self._ask("PUT", f"/api/packages/gcs/{name}", content=content)
        return f"gcs://{name}"

    async def submit(self, request: Mapping[str, Any]) -> None:
        """Nothing happens if a job of the same submission id is there. `Refused` if the request cannot be met."""
        answer = await self._send("POST", "/api/jobs/", json=request)
        if answer.is_success or _EXISTS in answer.text:
            return
        self._http.judge(answer)

    async def stop(self, submission: str) -> None:
        await self._ask("POST", f"{_path(submission)}/stop")

    async def delete(self, submission: str) -> None:
        await self._ask("DELETE", _path(submission))

    async def output(self, submission: str, *, follow: bool) -> AsyncIterator[bytes]:
        """All that the job has written from its beginning, and with `follow` what it goes on to write, without end."""
        node = (await self.job(submission)).get("driver_node_id")
        if not isinstance(node, str) or not node:
            return
        media = "stream" if follow else "file"
        parameters = {"node_id": node, "submission_id": submission, "lines": "-1", "interval": "0.2", "timeout": "30"}
        if not follow:
            del parameters["interval"]
        async for piece in self._http.stream(self._client, f"/api/v0/logs/{media}", parameters):
            yield piece

    async def _ask(self, method: str, path: str, *, content: bytes | None = None) -> httpx.Response:
        answer = await self._send(method, path, content=content)
        if answer.status_code == httpx.codes.NOT_FOUND and path.startswith("/api/jobs/"):
            raise UnknownJobError(error_text(answer))
        self._http.judge(answer)
        return answer

    async def _send(
        self, method: str, path: str, *, content: bytes | None = None, json: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        return await self._http.send(self._client, method, path, content=content, json=json)


def _path(submission: str) -> str:
    return f"/api/jobs/{quote(submission, safe='')}"
