"""A Kubernetes API of one machine, for the tests of its runner: real HTTPS, a token, and objects held to the schemas.

It takes Jobs and Secrets, makes a pod of each Job that is not suspended, and runs the pod's "image" as a process with
exactly the environment that the manifest and the Secret give. What it is sent is checked against
`schema-v1.31.json`: the OpenAPI description of Kubernetes v1.31.0 (Apache License 2.0), without descriptions, in which
a member that the API does not know is a fault. Tests can hold pods back, change their state, and forget the past.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import signal
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema_rs

from tests.support.certificates import Authority

_SCHEMAS = json.loads(Path(__file__).with_name("schema-v1.31.json").read_text("utf-8"))
_JOBS, _SECRETS, _PODS = (
    "/apis/batch/v1/namespaces/ns/jobs",
    "/api/v1/namespaces/ns/secrets",
    "/api/v1/namespaces/ns/pods",
)
_KINDS = {
    "Job": "io.k8s.api.batch.v1.Job",
    "Secret": "io.k8s.api.core.v1.Secret",
    "DeleteOptions": "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
}
_VALIDATORS = {
    kind: jsonschema_rs.validator_for({**_SCHEMAS, "$ref": f"#/definitions/{name}"}) for kind, name in _KINDS.items()
}
_TICK_S = 0.02

Object = dict[str, Any]


def faults(document: Object) -> list[str]:
    """What the schemas have against a document; its kind must be one that the runner sends."""
    return [f"{error.instance_path}: {error.message}" for error in _VALIDATORS[document["kind"]].iter_errors(document)]


@dataclass
class Run:
    """The process of a pod, and its output as the kubelet keeps it: lines with the time when they came."""

    process: subprocess.Popen[bytes]
    lines: list[tuple[str, bytes]] = field(default_factory=list)
    closed: bool = False


class Kubernetes:
    """The state of the cluster. `images` says which program an image is; `held` keeps pods from beginning."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self.images: dict[str, Path] = {}
        self.held: Object | None = None
        self.jobs: dict[str, Object] = {}
        self.secrets: dict[str, Object] = {}
        self.pods: dict[str, Object] = {}
        self.requests: list[tuple[str, str]] = []
        self._runs: dict[str, Run] = {}
        self._events: list[tuple[int, str, Object]] = []
        self._version = 1
        self._oldest = 0
        self.changed = threading.Condition()

    # What tests do to it.

    def forget_the_past(self) -> None:
        """Watches that go on from before get 410."""
        with self.changed:
            self._oldest = self._version
            self.changed.notify_all()

    def set_status(self, pod: str, status: Object) -> None:
        with self.changed:
            self._update(pod, status)

    def stop(self) -> None:
        for run in self._runs.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()

    # What the API does.

    def create(self, kept: dict[str, Object], document: Object) -> tuple[int, Object]:
        wrong = faults(document)
        if wrong:
            return 422, _status(422, "; ".join(wrong))
        with self.changed:
            name = document["metadata"]["name"]
            if name in kept:
                return 409, _status(409, f"{name} already exists")
            document["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": _now()}
            kept[name] = document
            self._reconcile()
            return 201, document

    def patch_job(self, name: str, patch: Object) -> tuple[int, Object]:
        with self.changed:
            if name not in self.jobs:
                return 404, _status(404, f'jobs.batch "{name}" not found')
            merged = _merged(self.jobs[name], patch)
            wrong = faults(merged)
            if wrong:
                return 422, _status(422, "; ".join(wrong))
            self.jobs[name] = merged
            self._reconcile()
            return 200, merged

    def delete_job(self, name: str) -> tuple[int, Object]:
        with self.changed:
            if self.jobs.pop(name, None) is None:
                return 404, _status(404, f'jobs.batch "{name}" not found')
            self.secrets.pop(name, None)
            for pod in [pod for pod in self.pods if pod.startswith(name)]:
                self._end(pod, 0)
            return 200, _status(200, "")

    def delete_pod(self, name: str, grace_s: float) -> tuple[int, Object]:
        with self.changed:
            if name not in self.pods:
                return 404, _status(404, f'pods "{name}" not found')
            self._end(name, grace_s)
            return 200, self.pods.get(name, {})

    def listed(self, label: str) -> Object:
        with self.changed:
            items = [pod for pod in self.pods.values() if _matches(pod, label)]
            return {"kind": "PodList", "metadata": {"resourceVersion": str(self._version)}, "items": items}

    def watched(self, label: str, version: int, seconds: float) -> Iterator[Object]:
        if version < self._oldest:
            yield {"type": "ERROR", "object": _status(410, "too old resource version")}
            return
        yield {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": str(version)}}}
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self.changed:
                fresh = [event for event in self._events if event[0] > version]
                if not fresh:
                    if version < self._oldest:
                        yield {"type": "ERROR", "object": _status(410, "too old resource version")}
                        return
                    self.changed.wait(0.5)
                    continue
            for number, kind, pod in fresh:
                version = number
                if _matches(pod, label):
                    yield {"type": kind, "object": pod}

    def log(self, pod: str, since: str, *, follow: bool) -> Iterator[bytes]:
        at = 0
        while True:
            with self.changed:
                run = self._runs.get(pod)
                lines, closed = (list(run.lines), run.closed) if run else ([], True)
            for stamp, line in lines[at:]:
                if stamp >= since:
                    yield stamp.encode() + b" " + line
            at = len(lines)
            if closed or not follow:
                return
            time.sleep(_TICK_S)

    # What the cluster does by itself. The condition is held.

    def _reconcile(self) -> None:
        for name, job in self.jobs.items():
            pod = f"{name}-x1"
            if job["spec"].get("suspend") or pod in self.pods or name not in self.secrets:
                continue
            template = job["spec"]["template"]
            self._store(
                {
                    "kind": "Pod",
                    "metadata": {"name": pod, "labels": template["metadata"]["labels"], "creationTimestamp": _now()},
                    "spec": template["spec"],
                    "status": self.held or {"phase": "Pending"},
                },
                "ADDED",
            )
            if self.held is None:
                self._start(pod, template["spec"]["containers"][0], self.secrets[name]["data"])

    def _start(self, pod: str, container: Object, data: dict[str, str]) -> None:
        program = self.images.get(container["image"])
        if program is None:
            self._update(pod, waiting("ErrImagePull", f"{container['image']}: not found"))
            return
        given = {each["name"]: data[each["valueFrom"]["secretKeyRef"]["key"]] for each in container["env"]}
        environment = {name: base64.b64decode(value).decode() for name, value in given.items()}
        environment.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
        command = _limited(str(program), container.get("resources", {}).get("limits", {}))
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self._runs[pod] = Run(process)
        self._update(pod, {"phase": "Running", "containerStatuses": [_container({"running": {"startedAt": _now()}})]})
        threading.Thread(target=self._attend, args=(pod, self._runs[pod]), daemon=True).start()

    def _attend(self, pod: str, run: Run) -> None:
        """Collect the output, then what is left of the processes, then say how it ended."""
        assert run.process.stdout is not None
        ender = threading.Thread(target=self._kill_rest, args=(run,), daemon=True)
        ender.start()
        for line in run.process.stdout:
            with self.changed:
                run.lines.append((_now(), line))
        ender.join()
        run.process.stdout.close()
        code = run.process.wait()
        ended = {"exitCode": code if code >= 0 else 128 - code, "reason": "Completed" if code == 0 else "Error"}
        with self.changed:
            run.closed = True
            if pod in self.pods:
                phase = "Failed" if code else "Succeeded"
                self._update(pod, {"phase": phase, "containerStatuses": [_container({"terminated": ended})]})
                if self.pods[pod]["metadata"].get("deletionTimestamp"):
                    self._store(self.pods.pop(pod), "DELETED")
            self.changed.notify_all()

    @staticmethod
    def _kill_rest(run: Run) -> None:
        run.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)

    def _end(self, pod: str, grace_s: float) -> None:
        run = self._runs.get(pod)
        found = self.pods[pod]
        found["metadata"]["deletionTimestamp"] = _now()
        if run is None or run.closed:
            self._store(self.pods.pop(pod), "DELETED")
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGTERM if grace_s else signal.SIGKILL)
        if grace_s:
            timer = threading.Timer(grace_s, self._kill, args=(run,))
            timer.daemon = True
            timer.start()

    @staticmethod
    def _kill(run: Run) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)

    def _update(self, pod: str, status: Object) -> None:
        self.pods[pod] = {**self.pods[pod], "status": status}
        self._store(self.pods[pod], "MODIFIED")

    def _store(self, pod: Object, kind: str) -> None:
        self._version += 1
        pod["metadata"]["resourceVersion"] = str(self._version)
        if kind != "DELETED":
            self.pods[pod["metadata"]["name"]] = pod
        self._events.append((self._version, kind, json.loads(json.dumps(pod))))
        self.changed.notify_all()


def _limited(program: str, limits: Object) -> list[str]:
    """What a machine of the cluster enforces before it is too late: memory. A pod that fills the disk is evicted some
    time later, and a share of processors is one of time, not of cores."""
    if "memory" not in limits:
        return [program]
    return ["prlimit", f"--as={int(limits['memory'])}", program]


def waiting(reason: str, message: str) -> Object:
    """Status of a pod whose container cannot begin."""
    return {
        "phase": "Pending",
        "containerStatuses": [_container({"waiting": {"reason": reason, "message": message}})],
    }


def unplaced(message: str) -> Object:
    """Status of a pod that no machine has room for."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [condition]}


def terminated(code: int, reason: str) -> Object:
    return {"phase": "Failed", "containerStatuses": [_container({"terminated": {"exitCode": code, "reason": reason}})]}


@dataclass(frozen=True, slots=True)
class Served:
    cluster: Kubernetes
    server: str
    authority: Path

    def kubeconfig(self, path: Path, **user: str) -> Path:
        """Written to `path`, in JSON."""
        reached = {"server": self.server, "certificate-authority": str(self.authority)}
        document = {
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u", "namespace": "ns"}}],
            "clusters": [{"name": "c", "cluster": reached}],
            "users": [{"name": "u", "user": user or {"token": self.cluster.token}}],
        }
        path.write_text(json.dumps(document))
        return path


@contextlib.contextmanager
def kubernetes(directory: Path) -> Iterator[Served]:
    authority = Authority(directory)
    certificate, key, _ = authority.issue("kubernetes")
    cluster = Kubernetes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cluster": cluster}))
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Served(cluster, f"https://127.0.0.1:{server.server_address[1]}", authority.file)
    finally:
        cluster.stop()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Kubernetes

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def do_PATCH(self) -> None:
        self._answer(self._body())

    def do_DELETE(self) -> None:
        self._answer(self._body())

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, body: bytes) -> None:
        address = urlsplit(self.path)
        path, query = unquote(address.path), {name: values[0] for name, values in parse_qs(address.query).items()}
        self.cluster.requests.append((self.command, path))
        if self.headers.get("Authorization") != f"Bearer {self.cluster.token}":
            self._send(401, _status(401, "Unauthorized"))
        elif path.startswith(_PODS) and path.endswith("/log"):
            name = path.removeprefix(f"{_PODS}/").removesuffix("/log")
            self._stream(self.cluster.log(name, query.get("sinceTime", ""), follow=query.get("follow") == "true"))
        elif path == _PODS and query.get("watch"):
            events = self.cluster.watched(
                query["labelSelector"], int(query["resourceVersion"]), float(query["timeoutSeconds"])
            )
            self._stream(json.dumps(event).encode() + b"\n" for event in events)
        else:
            self._send(*self._plain(path, query, json.loads(body) if body else {}))

    def _plain(self, path: str, query: dict[str, str], body: Object) -> tuple[int, Object]:
        cluster, name = self.cluster, path.rpartition("/")[2]
        if self.command == "DELETE" and (wrong := faults(body)):
            return 400, _status(400, "; ".join(wrong))
        match self.command, path.removesuffix(f"/{name}") if name not in ("jobs", "secrets", "pods") else path:
            case "GET", _ if path == "/version":
                return 200, {"gitVersion": "v1.31.0-stub"}
            case "GET", kind if kind == path == _PODS:
                return 200, cluster.listed(query["labelSelector"])
            case "GET", kind if kind == path == _JOBS:
                return 200, {"kind": "JobList", "metadata": {}, "items": []}
            case "GET", kind if kind == _JOBS and name in cluster.jobs:
                return 200, cluster.jobs[name]
            case "POST", kind if kind == _JOBS:
                return cluster.create(cluster.jobs, body)
            case "POST", kind if kind == _SECRETS:
                return cluster.create(cluster.secrets, body)
            case "PATCH", kind if kind == _JOBS and "merge-patch" in self.headers["Content-Type"]:
                return cluster.patch_job(name, body)
            case "DELETE", kind if kind == _JOBS:
                return cluster.delete_job(name)
            case "DELETE", kind if kind == _PODS:
                return cluster.delete_pod(name, float(body.get("gracePeriodSeconds", 30)))
        return 404, _status(404, f"{path} not found")

    def _send(self, code: int, document: Object) -> None:
        content = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, pieces: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            for piece in pieces:
                if piece:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")


def _container(state: Object) -> Object:
    return {"name": "component", "state": state}


def _matches(pod: Object, label: str) -> bool:
    name, _, value = label.partition("=")
    return bool(pod["metadata"]["labels"].get(name) == value)


def _merged(old: Object, patch: Object) -> Object:
    """A JSON merge patch (RFC 7396) without removals."""
    return old | {
        name: _merged(old.get(name) or {}, value) if isinstance(value, dict) else value for name, value in patch.items()
    }


def _status(code: int, message: str) -> Object:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "message": message}


def _now() -> str:
    """With nine digits, as the kubelet writes it, and later than any before."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}{time.monotonic_ns() % 1000:03}Z"
