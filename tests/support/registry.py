"""A container registry on loopback without TLS that wants a login: the read half of the distribution API."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """`tags` maps `repository:tag` to a manifest's digest; `served` counts what was handed out, by path."""

    def __init__(self, login: str) -> None:
        self.login = login
        self.blobs: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.refused = 0
        self.served: list[str] = []

    def put(self, repository: str, tag: str, layer: bytes, config: Mapping[str, Any]) -> str:
        """An image of one layer (a tar archive) under a tag; its digest."""
        description = {
            "architecture": "amd64",
            "os": "linux",
            "config": dict(config),
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob("application/vnd.docker.container.image.v1+json", json.dumps(description).encode()),
            "layers": [self._blob("application/vnd.docker.image.rootfs.diff.tar", layer)],
        }
        raw = json.dumps(manifest).encode()
        digest = _digest(raw)
        self.blobs[digest] = raw
        self.tags[f"{repository}:{tag}"] = digest
        return digest

    def _blob(self, kind: str, content: bytes) -> dict[str, Any]:
        self.blobs[_digest(content)] = content
        return {"mediaType": kind, "size": len(content), "digest": _digest(content)}

    def find(self, path: str) -> tuple[str, bytes] | None:
        """Type and content of `/v2/<repository>/<manifests or blobs>/<reference>`."""
        repository, kind, reference = path.removeprefix("/v2/").rsplit("/", 2)
        digest = self.tags.get(f"{repository}:{reference}", reference) if kind == "manifests" else reference
        content = self.blobs.get(digest)
        if content is None:
            return None
        return (MANIFEST if kind == "manifests" else "application/octet-stream"), content


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextmanager
def registry(address: str, login: str) -> Iterator[Registry]:
    """Listens at `address` (`host:port`); `login` is `USER:PASSWORD`."""
    found = Registry(login)
    wanted = f"Basic {base64.b64encode(login.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.headers.get("Authorization") != wanted:
                found.refused += 1
                self._answer(401, "application/json", b"{}", {"WWW-Authenticate": 'Basic realm="test"'})
            elif self.path == "/v2/":
                self._answer(200, "application/json", b"{}")
            elif (item := found.find(self.path)) is None:
                self._answer(404, "application/json", b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')
            else:
                found.served.append(self.path)
                self._answer(200, *item, {"Docker-Content-Digest": _digest(item[1])})

        do_HEAD = do_GET  # noqa: N815 - the library's name

        def _answer(self, status: int, kind: str, content: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Nothing: the test looks at what was served."""

    host, port = address.split(":")
    server = ThreadingHTTPServer((host, int(port)), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
