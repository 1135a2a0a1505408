"""Trying a component without a node: the node's component interface on the loopback, and all parties in one process.

    ended = rehearse(count_rows, manifest, {"guest": [["id"], ["a"]], "host": [["id"], ["b"]]})
    assert ended["guest.0"].code == 0
    assert ended["guest.0"].table("summary")[0] == ["party", "rows"]

`nodeconsole component test` runs the finished program, each party in a process of its own, with the node's own
environment; this is for a component's unit tests.
"""

from __future__ import annotations

import contextlib
import csv
import json
import socket
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

from algorithm_components.sdk.environment import Environment
from algorithm_components.sdk.running import Task, run

Key = tuple[str, str, str, str]
"""session, reader's node, sender's node, topic"""

Fault = Callable[[str, int], str]
"""(`push` or `pop`, how many there were before) -> "", `lose` (no answer, nothing done), `cut` (done, no answer),
`full`, `error` (HTTP 500), `twice` (a push that is stored twice), `refuse` (code 0403)."""

CALLBACK = "/v1/platform/schedule/task/callback"


class LocalNode:
    """Serves what a component finds at its node: push and pop of the channel in their deployed form, and the callback.

    One serves all parties. It listens on 127.0.0.1 between `start` and `stop` and can be stopped and started again on
    the same port: what was stored is kept, as by a node that was killed. `tokens`: who may call, the secret of each
    node's component by node id; empty = anybody. `fault` may spoil any call.
    """

    def __init__(
        self, fault: Fault = lambda _operation, _number: "", *, tokens: Mapping[str, str] | None = None
    ) -> None:
        self.fault = fault
        self.tokens = dict(tokens or {})
        self.headers: list[dict[str, str]] = []
        self.calls: dict[str, int] = defaultdict(int)
        self.callbacks: list[dict[str, Any]] = []
        """What was told by callback, oldest first: `task_id`, `role`, `status`."""
        self.waiting: dict[Key, deque[bytes]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None
        self._stopping = False
        self._sockets: set[socket.socket] = set()
        self._port = 0

    @property
    def address(self) -> str:
        """`host:port`, as in `system.transport`."""
        return f"127.0.0.1:{self._port}"

    @property
    def callback_url(self) -> str:
        return f"http://{self.address}{CALLBACK}"

    def start(self) -> LocalNode:
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                node._serve(self)

            def log_message(self, *_: object) -> None:
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

            def handle_error(self, request: Any, client_address: Any) -> None:
                # A component that ends in the middle of a call is what nodes live with.
                if not isinstance(sys.exception(), ConnectionError):
                    super().handle_error(request, client_address)

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

    def __enter__(self) -> LocalNode:
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
        if operation == "callback":
            self._serve_callback(request, body)
        elif operation in ("push", "pop"):
            self._serve_channel(request, operation, number, body)
        else:
            _answer_json(request, 404, {"code": 404, "msg": f"there is no {url.path}"})

    def _serve_callback(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        secret = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.tokens and secret not in self.tokens.values():
            _answer_json(request, 401, {"code": 401, "msg": "the token is not that of a running component"})
            return
        try:
            told = json.loads(body)
        except ValueError:
            told = None
        if not isinstance(told, dict) or self._stopping:
            _answer_json(request, 400, {"code": 400, "msg": "a callback is a JSON object"})
            return
        self.callbacks.append(told)
        _answer_json(request, 200, {"code": 0, "msg": "success", "data": {}})

    def _serve_channel(self, request: BaseHTTPRequestHandler, operation: str, number: int, body: bytes) -> None:
        fault = "lose" if self._stopping else self.fault(operation, number)
        headers = request.headers
        own, other = headers.get("x-ptp-source-node-id", ""), headers.get("x-ptp-target-node-id", "")
        session, topic = headers.get("x-ptp-session-id", ""), headers.get("x-ptp-topic", "")
        if fault == "lose":
            request.close_connection = True
            return
        if self.tokens and headers.get("x-ptp-token") != self.tokens.get(own, ""):
            self._answer(request, outbound("E0000000403", f"the token is not that of a component of {own}"), 200)
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
            timeout = float(parse_qs(urlsplit(request.path).query).get("timeout", ["120"])[0])
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
        _answer_bytes(request, status, "application/proto", body)


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


def _answer_json(request: BaseHTTPRequestHandler, status: int, value: object) -> None:
    _answer_bytes(request, status, "application/json", json.dumps(value).encode())


def _answer_bytes(request: BaseHTTPRequestHandler, status: int, kind: str, body: bytes) -> None:
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


class Ended:
    """How one party's part ended: its exit code, and what it stored by formal name."""

    def __init__(self, code: int, outputs: Mapping[str, bytes]) -> None:
        self.code = code
        self.outputs = dict(outputs)

    def table(self, name: str) -> list[list[str]]:
        """A stored table, header first."""
        return list(csv.reader(self.outputs[name].decode().splitlines()))

    def document(self, name: str) -> dict[str, Any]:
        """A stored report."""
        found: dict[str, Any] = json.loads(self.outputs[name])
        return found


def rehearse(
    work: Callable[[Task], None],
    manifest: Mapping[str, Any],
    data: Mapping[str, Sequence[Sequence[object]]],
    parameters: Mapping[str, Any] | None = None,
    *,
    own: Mapping[str, Mapping[str, Any]] | None = None,
    node: LocalNode | None = None,
) -> dict[str, Ended]:
    """Run `work` for every party of `data` at once, each in a thread, and return how each ended.

    `data`: the rows of each party's table, header first, by role or `<role>.<index>`; `parameters` are common, `own`
    those of single parties. `node`: one that spoils calls, or that is to be looked at afterwards.
    """
    tables = {role if "." in role else f"{role}.0": rows for role, rows in data.items()}
    of_party = {role if "." in role else f"{role}.0": values for role, values in (own or {}).items()}
    with TemporaryDirectory() as directory, node or LocalNode() as serving, ThreadPoolExecutor(len(tables)) as threads:
        pending = {}
        for party, rows in tables.items():
            root = Path(directory) / party
            _store(root, manifest, rows)
            values = {**(parameters or {}), **of_party.get(party, {})}
            variables = environment_of(party, tuple(tables), root, serving, manifest, values)
            pending[party] = (root, threads.submit(run, work, manifest, Environment(variables)))
        return {party: Ended(future.result(), _stored(root, manifest)) for party, (root, future) in pending.items()}


def environment_of(
    party: str,
    parties: Sequence[str],
    root: Path,
    node: LocalNode,
    manifest: Mapping[str, Any],
    parameters: Mapping[str, Any],
) -> dict[str, str]:
    """What a node sets for `party`: the table `datasets/data` as the first input, every declared output asked for."""
    variables = {
        "system.storage": f"file://{root}",
        "system.callback": node.callback_url,
        "system.transport": node.address,
        "config.self_role": party,
        "config.task_id": "task-1",
        "config.session_id": "session-1",
        "config.trace_id": "trace-1",
        "config.token": node.tokens.get(f"node-{party}", f"token-of-{party}"),
        "config.log.path": str(root),
        "runtime.component.name": str(manifest.get("componentName", "")),
    }
    for each in parties:
        variables[f"config.node_id.{each}"] = variables[f"config.inst_id.{each}"] = f"node-{each}"
    for name in _names(manifest, "inputData")[:1]:
        variables[f"runtime.component.input.{name}"] = json.dumps({"namespace": "datasets", "name": "data"})
    for name in _names(manifest, "outputData"):
        variables[f"runtime.component.output.{name}"] = json.dumps({"namespace": "results", "name": name})
    for name, value in parameters.items():
        written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        variables[f"runtime.component.parameter.{name}"] = written
    return variables


def _names(manifest: Mapping[str, Any], member: str) -> list[str]:
    return [str(port["name"]) for port in manifest.get(member) or () if port.get("name")]


def _store(root: Path, manifest: Mapping[str, Any], rows: Sequence[Sequence[object]]) -> None:
    if not _names(manifest, "inputData"):
        root.mkdir(parents=True)
        return
    path = root / "datasets" / "data"
    path.parent.mkdir(parents=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _stored(root: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    found = {name: root / "results" / name for name in _names(manifest, "outputData")}
    return {name: path.read_bytes() for name, path in found.items() if path.exists()}
