"""Two nodes' channel in one small HTTP server: push and pop in their deployed ("black box") form, and faults."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Key = tuple[str, str, str, str]
"""session, reader's node, sender's node, topic"""

Fault = Callable[[str, int], str]
"""(`push` or `pop`, how many there were before) -> "", `lose` (no answer, nothing done), `cut` (done, no answer),
`full`, `error` (HTTP 500), `twice` (a push that is stored twice), `refuse` (code 0403)."""


def outbound(code: str, message: str = "", payload: bytes = b"") -> bytes:
    """`TransportOutbound{payload=1, code=2, message=3}`."""

    def field(number: int, value: bytes) -> bytes:
        size, length = len(value), b""
        while size > 0x7F:
            length += bytes([size & 0x7F | 0x80])
            size >>= 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + value

    parts = ((1, payload), (2, code.encode()), (3, message.encode()))
    return b"".join(field(number, value) for number, value in parts if value)


class ChannelNode:
    """Serves on 127.0.0.1 between `start` and `stop`; can be stopped and started again on the same port."""

    def __init__(self, fault: Fault = lambda operation, number: "") -> None:
        self.fault = fault
        self.headers: list[dict[str, str]] = []
        self.calls: dict[str, int] = defaultdict(int)
        self.waiting: dict[Key, deque[bytes]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None
        self._stopping = False
        self._sockets: set[socket.socket] = set()
        self._port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self) -> ChannelNode:
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                node._serve(self)

            def log_message(self, *args: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = False
            request_queue_size = 64

            def process_request(self, request: Any, client_address: Any) -> None:
                node._sockets.add(request)
                super().process_request(request, client_address)

            def shutdown_request(self, request: Any) -> None:
                node._sockets.discard(request)
                super().shutdown_request(request)

        self._stopping = False
        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def stop(self) -> None:
        """As after a kill: nothing is answered any more, what was stored is kept."""
        assert self._server is not None
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._server.shutdown()
        for connection in list(self._sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    def __enter__(self) -> ChannelNode:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def put(self, key: Key, message: bytes) -> None:
        """As if a component of the sender had pushed it."""
        with self._changed:
            self.waiting[key].append(message)
            self._changed.notify_all()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        operation = url.path.rpartition("/")[2]
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        with self._changed:
            number = self.calls[operation]
            self.calls[operation] += 1
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
        fault = "lose" if self._stopping else self.fault(operation, number)
        headers = request.headers
        own, other = headers["x-ptp-source-node-id"], headers["x-ptp-target-node-id"]
        session, topic = headers["x-ptp-session-id"], headers["x-ptp-topic"]
        if fault == "lose":
            request.close_connection = True
            return
        if fault in ("full", "refuse", "error"):
            code = {"full": "E0000000700", "refuse": "E0000000403", "error": "E0000000500"}[fault]
            self._answer(request, outbound(code, fault), 500 if fault == "error" else 200)
            return
        if operation == "push":
            for _ in range(2 if fault == "twice" else 1):
                self.put((session, other, own, topic), body)
            answer = outbound("E0000000000")
        else:
            timeout = float(parse_qs(url.query)["timeout"][0])
            message = self._take((session, own, other, topic), timeout, keep=fault == "cut")
            answer = outbound("E0000000000", payload=message)
        if fault == "cut" or self._stopping:
            request.close_connection = True
            return
        self._answer(request, answer, 200)

    def _take(self, key: Key, timeout: float, *, keep: bool) -> bytes:
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self.waiting[key]:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or self._stopping:
                    return b""
                self._changed.wait(remaining)
            return self.waiting[key][0] if keep or self._stopping else self.waiting[key].popleft()

    @staticmethod
    def _answer(request: BaseHTTPRequestHandler, body: bytes, status: int) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/proto")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
