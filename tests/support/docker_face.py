"""Docker's manners before a real Podman: what the runner does differently for Docker is done with real containers.

Also for faults that the engine cannot be made to show: what `answers` holds for a path replaces its answer.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from embedded_scheduler.runners.engine_api import _Connection

_VERSION = {"Version": "27.5.1", "ApiVersion": "1.47", "Components": [{"Name": "Engine"}, {"Name": "runc"}]}
_INFO = {
    "MemoryLimit": True,
    "SwapLimit": True,
    "CpuCfsQuota": True,
    "CPUSet": True,
    "PidsLimit": True,
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
}
_PIECE = 65536


class Face:
    """`change` gets method, path, status and the parsed answer of every JSON call and gives what is sent instead.

    While `mute`, whoever follows a log is not even sent the head of an answer.
    """

    def __init__(self) -> None:
        self.mute = False
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.change: Callable[[str, str, int, Any], tuple[int, Any]] = lambda _method, _path, status, found: (
            status,
            found,
        )


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextmanager
def docker_face(engine: str, path: Path) -> Iterator[Face]:
    """Listens at `path` for what goes to the engine's socket `engine`."""
    face = Face()

    class Handler(BaseHTTPRequestHandler):
        def address_string(self) -> str:
            return "client"

        def do_GET(self) -> None:
            face.asked.append((self.command, self.path))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path in ("/version", "/info"):
                own = _VERSION if self.path == "/version" else _INFO
                self._send(*face.change(self.command, self.path, 200, own))
                return
            if face.mute and "follow=1" in self.path:
                self.rfile.read(1)
                return
            if self.path.startswith("/libpod") or "/libpod/" in self.path:
                self._send(404, {"message": "page not found"})
                return
            if self.path.startswith("/containers/create"):
                body = self._as_podman_takes_it(body)
            connection = _Connection(engine, None)
            try:
                passed = {"Content-Type": self.headers.get("Content-Type", "application/json")}
                connection.request(self.command, self.path, body, passed)
                self._pass(connection.getresponse())
            finally:
                connection.close()

        do_POST = do_DELETE = do_GET  # noqa: N815 - the library's names

        def _as_podman_takes_it(self, body: bytes) -> bytes:
            asked = json.loads(body)
            face.bodies.append(json.loads(body))
            asked["HostConfig"]["LogConfig"] = {"Type": "k8s-file", "Config": {}}
            return json.dumps(asked).encode()

        def _pass(self, answer: Any) -> None:
            if "/logs" not in self.path and answer.headers.get("Content-Type", "").startswith("application/json"):
                raw = answer.read()
                try:
                    found = json.loads(raw)
                except ValueError:
                    self._raw(answer.status, raw)
                else:
                    self._send(*face.change(self.command, self.path, answer.status, found))
                return
            self.send_response(answer.status)
            self.end_headers()
            while piece := answer.read1(_PIECE):
                self.wfile.write(piece)
                self.wfile.flush()

        def _send(self, status: int, found: Any) -> None:
            self._raw(status, json.dumps(found).encode())

        def _raw(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Nothing: the test looks at what was asked."""

    server = _Server(str(path), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield face
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        path.unlink(missing_ok=True)
