"""A container engine that hangs, lies, answers with rubbish or without end, where a test says so.

It has no containers: what it says of the only one is what the test wants. It needs no root and no Podman.
"""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

HANG, HALF, GARBAGE, ENDLESS, LIST, CUT = "hang", "half", "garbage", "endless", "list", "cut"
"""Nothing; a head and nothing more; bytes that are no JSON; JSON without end; a list in place of an object; no answer,
and the connection is closed."""

_IMAGE = {"Id": "sha256:" + "1" * 64, "RepoDigests": []}
_RUNNING = {"Status": "running", "Running": True, "Pid": 0, "ExitCode": 0}
_CREATED = _RUNNING | {"Status": "created", "Running": False}
_EXITED = _RUNNING | {"Status": "exited", "Running": False}
_INFO = {"MemoryLimit": True, "CpuCfsQuota": True, "CPUSet": True, "PidsLimit": True, "CgroupVersion": "2"}


@dataclass
class HostileEngine:
    """`ways`: how it answers a call, by a regular expression over `METHOD /path`; the others it answers well."""

    path: str
    ways: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    state: dict[str, Any] | None = None
    let_go: threading.Event = field(default_factory=threading.Event)
    """Ends what hangs."""

    def was_asked(self, call: str) -> bool:
        return any(re.match(call, each) for each in self.asked)

    def way(self, call: str) -> Any:
        return next((way for sign, way in self.ways.items() if re.match(sign, call)), None)

    def answer(self, call: str) -> tuple[int, Any]:
        """As an engine that is in order."""
        if call.startswith("GET /version"):
            return 200, {"Version": "27.5.1", "Components": [{"Name": "Engine"}]}
        if call.startswith("GET /info"):
            return 200, _INFO
        if call.startswith("GET /images/"):
            return 200, _IMAGE
        if call.startswith("GET /containers/json"):
            return 200, []
        if call.startswith("POST /containers/create"):
            self.state = _CREATED
            return 201, {"Id": "1" * 64}
        if re.match("POST /containers/[^/]+/start", call):
            self.state = _RUNNING
        elif re.match("POST /containers/[^/]+/kill", call):
            self.state = _EXITED | {"ExitCode": 137}
        elif re.match("GET /containers/[^/]+/json", call):
            return (404, {"message": "no such container"}) if self.state is None else (200, {"State": self.state})
        elif call.startswith("DELETE"):
            self.state = None
        return 200, {}


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


@contextmanager
def hostile_engine(directory: Path) -> Iterator[HostileEngine]:
    engine = HostileEngine(str(directory / "engine.sock"))

    class Handler(BaseHTTPRequestHandler):
        def address_string(self) -> str:
            return "client"

        def do_GET(self) -> None:
            call = f"{self.command} {self.path}"
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            engine.asked.append(call)
            self.close_connection = True
            # Whoever has heard enough, closes.
            with suppress(OSError):
                self._go(engine.way(call), call)

        do_POST = do_DELETE = do_GET  # noqa: N815 - the library's names

        def _go(self, way: Any, call: str) -> None:
            if way == HANG:
                engine.let_go.wait(60)
            elif way == CUT:
                self.close_connection = True
            elif way == HALF:
                self._head(200, 100)
                self.wfile.flush()
                engine.let_go.wait(60)
            elif way == GARBAGE:
                self._whole(200, b"\xff\x00not JSON\n" * 3)
            elif way == LIST:
                self._whole(200, b"[1, null]")
            elif way == ENDLESS:
                self._head(200, None)
                self.wfile.write(b'{"message": "')
                while not engine.let_go.is_set():
                    self.wfile.write(b"x" * (1 << 20))
            elif isinstance(way, bytes):
                self._whole(200, way)
            elif way is not None:
                status, found = way() if callable(way) else way
                self._whole(status, json.dumps(found).encode())
            else:
                status, found = engine.answer(call)
                ends = "/wait" in call or "/logs" in call
                if ends:
                    # Both come to an end with the container.
                    while engine.state == _RUNNING and not engine.let_go.wait(0.02):
                        pass
                self._whole(status, b"" if "/logs" in call else json.dumps(found).encode())

        def _whole(self, status: int, content: bytes) -> None:
            self._head(status, len(content))
            self.wfile.write(content)

        def _head(self, status: int, length: int | None) -> None:
            self.send_response(status)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing: the test looks at what was asked."""

    server = _Server(engine.path, Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield engine
    finally:
        engine.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()
