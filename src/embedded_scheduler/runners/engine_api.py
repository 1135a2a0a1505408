"""The Docker Engine API over a unix socket, as far as attempts need it; Docker and Podman speak it.

Only the standard library: the keeper of a container (`keeper.py`) uses it in a bare interpreter. Calls block; the node
makes them in threads. Paths carry no version: each engine answers in the newest it knows, and what is used here is the
same in all.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode

from embedded_scheduler.errors import Spoken
from embedded_scheduler.sentences import Words, say

_PATIENCE_S = 10.0
_START_PATIENCE_S = 120.0
_FRAME = struct.Struct(">BxxxL")
_PIECE = 256 * 1024
_SHOWN = 400
_LONGEST_ANSWER = 16 * 1024 * 1024
_LONGEST_FAULT = 64 * 1024
_LONGEST_LINE = 1024 * 1024
_PULL_SILENCE_S = 900.0
"""Engines tell every second how a download goes, but not how a large layer is unpacked."""


class EngineGoneError(Spoken):
    """The engine does not answer (or stopped in the middle of an answer). `reason`: the system's word for it."""

    def __init__(self, words: Words, reason: str = "") -> None:
        super().__init__(words)
        self.reason = reason or words


class EngineSilentError(EngineGoneError):
    """It says nothing for longer than there is patience for."""


class EngineStrangeError(EngineGoneError):
    """What answers there is no engine, or lies."""


class EngineRefusalError(Spoken):
    """The engine answered that it cannot do it. `status` is HTTP's; 0 = said within a stream."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine says of itself. `memory`, `cpu`, `cpuset`, `pids`: whether it can limit them here."""

    product: str
    version: str
    rootless: bool = False
    memory: bool = False
    cpu: bool = False
    cpuset: bool = False
    pids: bool = False
    remapped: bool = False
    """Docker with `userns-remap`: users inside are others outside."""
    selinux: bool = False

    @property
    def is_podman(self) -> bool:
        return self.product == "Podman"

    def __str__(self) -> str:
        return f"{self.product} {self.version}, {'rootless' if self.rootless else 'rootful'}"


_KNOWN: dict[tuple[str, str], EngineFacts] = {}
"""By socket, and the name with the version by which the engine answers there."""

_LOOK_AGAIN = "100ms"
"""How often Podman looks whether a container has ended: by itself it never rests, at half a core for each that runs."""


class EngineApi:
    """One engine. Every method raises `EngineGoneError` and `EngineRefusalError`."""

    def __init__(self, path: str) -> None:
        self._path = path

    def facts(self, *, fresh: bool = False) -> EngineFacts:
        """Asks whether it is there; what it is and can limit is remembered unless `fresh`: Podman takes long to say."""
        with self._stream("GET", "/_ping", patience_s=_PATIENCE_S) as response:
            name = response.headers.get("Server", "")
        known = (self._path, name)
        if fresh or not name or known not in _KNOWN:
            _KNOWN[known] = self._asked()
        return _KNOWN[known]

    def _asked(self) -> EngineFacts:
        answer = self._object("GET", "/version")
        names = " ".join(str(part.get("Name")) for part in _objects(answer.get("Components")))
        product, version = "Podman" if "Podman" in names else "Docker", str(answer.get("Version"))
        info = self._object("GET", "/info")
        options = [str(option) for option in _list(info.get("SecurityOptions"))]
        rootless = bool(info.get("Rootless")) or "name=rootless" in options
        # Without root there are limits only with the second kind of control groups, whatever the engine says.
        able = info.get("CgroupDriver") != "none" and (not rootless or str(info.get("CgroupVersion")) == "2")
        return EngineFacts(
            product=product,
            version=version,
            rootless=rootless,
            memory=able and bool(info.get("MemoryLimit")),
            cpu=able and bool(info.get("CpuCfsQuota")),
            cpuset=able and bool(info.get("CPUSet")),
            pids=able and bool(info.get("PidsLimit")),
            remapped="name=userns" in options,
            selinux=any(option.startswith("name=selinux") for option in options),
        )

    def image(self, reference: str) -> dict[str, Any] | None:
        found = self._found("GET", f"/images/{quote(reference)}/json")
        if found is not None and not isinstance(found.get("Id"), str):
            raise self._strange()
        return found

    @contextmanager
    def pull(
        self, reference: str, credentials: Mapping[str, str] | None, connected: Callable[[socket.socket], None]
    ) -> Iterator[Iterator[dict[str, Any]]]:
        """Lines of progress, an error among them (`error`).

        `connected` gets the socket, for another thread to shut down, before the engine is asked: it may take long to
        begin its answer.
        """
        headers = {}
        if credentials is not None:
            import base64  # noqa: PLC0415 - most pulls need none

            raw = json.dumps(dict(credentials)).encode()
            headers["X-Registry-Auth"] = base64.urlsafe_b64encode(raw).decode()
        path = f"/images/create?{urlencode({'fromImage': reference})}"
        with self._stream("POST", path, headers=headers, patience_s=_PULL_SILENCE_S, connected=connected) as response:
            yield _lines(response)

    def create(self, name: str, body: Mapping[str, Any]) -> None:
        """Create a container; one of that name is left as it is."""
        try:
            self._json("POST", f"/containers/create?{urlencode({'name': name})}", body, patience_s=_START_PATIENCE_S)
        except EngineRefusalError as refusal:
            if self.container(name) is None:
                raise refusal from None

    def container(self, name: str) -> dict[str, Any] | None:
        """What the engine knows of it; `State` has at least what is read of it here."""
        found = self._found("GET", f"/containers/{name}/json")
        if found is not None and not _is_state(found.get("State")):
            raise self._strange()
        return found

    def prepare(self, name: str, version: str) -> None:
        """Podman only: bring a created container so far that its network exists and its program has not begun."""
        self._call("POST", f"/v{version}/libpod/containers/{name}/init", patience_s=_START_PATIENCE_S)

    def start(self, name: str) -> None:
        self._call("POST", f"/containers/{name}/start", patience_s=_START_PATIENCE_S)

    def kill(self, name: str, signal: str) -> None:
        """Send a signal to a container; one that does not run is left alone."""
        try:
            self._call("POST", f"/containers/{name}/kill?signal={signal}")
        except EngineRefusalError as refusal:
            # 404 not there, 409 not running (Podman says 500 when it ends at this moment).
            found = self.container(name)
            if found is not None and found["State"]["Running"]:
                raise refusal from None

    def wait(self, name: str, patience_s: float, podman: str = "") -> bool:
        """Whether it has ended; False after the patience. `podman`: Podman's version, if it is one."""
        path = (
            f"/v{podman}/libpod/containers/{name}/wait?interval={_LOOK_AGAIN}" if podman else f"/containers/{name}/wait"
        )
        try:
            self._call("POST", path, patience_s=patience_s)
        except EngineSilentError:
            return False
        return True

    @contextmanager
    def logs(self, name: str, *, follow: bool) -> Iterator[tuple[Iterator[bytes], socket.socket]]:
        """What it has printed, in pieces, from the beginning; the socket is for another thread to shut down."""
        path = f"/containers/{name}/logs?stdout=1&stderr=1" + ("&follow=1" if follow else "")
        with self._stream("GET", path, patience_s=None if follow else _PATIENCE_S) as response:
            yield _frames(response), response.socket

    def remove(self, name: str) -> None:
        with suppress(EngineRefusalError):
            self._call("DELETE", f"/containers/{quote(name)}?force=1&v=1", patience_s=_START_PATIENCE_S)

    def containers(self, label: str) -> list[tuple[str, dict[str, str]]]:
        """Id and labels of all containers with a label (`name=value`), running or not."""
        filters = json.dumps({"label": [label]})
        found = self._json("GET", f"/containers/json?{urlencode({'all': '1', 'filters': filters})}")
        return [
            (str(each["Id"]), {str(name): str(value) for name, value in each["Labels"].items()})
            for each in _objects(found)
            if each.get("Id") and isinstance(each.get("Labels"), dict)
        ]

    def remove_image(self, reference: str) -> bool:
        """Whether it is gone; one that is in use stays."""
        try:
            self._call("DELETE", f"/images/{quote(reference)}", patience_s=_START_PATIENCE_S)
        except EngineRefusalError as refusal:
            return refusal.status == 404
        return True

    def _found(self, method: str, path: str) -> dict[str, Any] | None:
        try:
            return self._object(method, path)
        except EngineRefusalError as refusal:
            if refusal.status == http.client.NOT_FOUND:
                return None
            raise

    def _object(self, method: str, path: str) -> dict[str, Any]:
        found = self._json(method, path)
        if not isinstance(found, dict):
            raise self._strange()
        return found

    def _json(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, patience_s: float = _PATIENCE_S
    ) -> Any:
        raw = self._call(method, path, body, patience_s=patience_s)
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            raise self._strange() from None

    def _strange(self) -> EngineStrangeError:
        return EngineStrangeError(say("engine_no_api", path=self._path))

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, patience_s: float = _PATIENCE_S
    ) -> bytes:
        with self._stream(method, path, body, patience_s=patience_s) as response, _translated(self._path):
            answer = response.read(_LONGEST_ANSWER + 1)
        if len(answer) > _LONGEST_ANSWER:
            raise self._strange()
        return answer

    @contextmanager
    def _stream(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        patience_s: float | None = None,
        connected: Callable[[socket.socket], None] | None = None,
    ) -> Iterator[_Response]:
        connection, response = _Connection(self._path, patience_s), None
        try:
            with _translated(self._path):
                connection.connect()
                if connected is not None:
                    connected(connection.sock)
                content = None if body is None else json.dumps(body)
                connection.request(method, path, content, {"Content-Type": "application/json", **(headers or {})})
                response = cast("_Response", connection.getresponse())
                response.socket = connection.sock
                if response.status >= http.client.BAD_REQUEST:
                    raise EngineRefusalError(response.status, _message(response.read(_LONGEST_FAULT)))
            yield response
        finally:
            connection.close()
            if response is not None:
                # It may have taken the socket over.
                response.close()


class _Response(http.client.HTTPResponse):
    socket: socket.socket


class _Connection(http.client.HTTPConnection):
    response_class = _Response

    def __init__(self, path: str, patience_s: float | None) -> None:
        super().__init__("engine", timeout=patience_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_PATIENCE_S)
        self.sock.connect(self._path)
        self.sock.settimeout(self.timeout)


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise EngineSilentError(say("engine_late", path=path), say("timed_out")) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise EngineGoneError(say("engine_silent", path=path, why=reason), reason) from error


def _message(raw: bytes) -> str:
    try:
        found = json.loads(raw)
        text = str(found["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        text = raw.decode("utf-8", "replace")
    return " ".join(text.split())[:_SHOWN] or "no reason given"


def _lines(response: _Response) -> Iterator[dict[str, Any]]:
    with _translated("its socket"):
        while line := response.readline(_LONGEST_LINE):
            if line.strip():
                try:
                    found = json.loads(line)
                except (ValueError, RecursionError):
                    raise EngineStrangeError(say("engine_strange_progress")) from None
                if isinstance(found, dict):
                    yield found


def _frames(response: _Response) -> Iterator[bytes]:
    """Contents of the frames in which an engine sends both outputs over one connection."""
    with _translated("its socket"):
        while len(head := response.read(_FRAME.size)) == _FRAME.size:
            _, left = _FRAME.unpack(head)
            while left:
                piece = response.read(min(left, _PIECE))
                if not piece:
                    return
                left -= len(piece)
                yield piece


def _is_state(state: object) -> bool:
    """Whether the members of a container's state that are read are there, and what they should be."""
    wanted = {"Status": str, "Running": bool, "Pid": int, "ExitCode": int}
    return isinstance(state, dict) and all(isinstance(state.get(name), kind) for name, kind in wanted.items())


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in _list(value) if isinstance(each, dict)]
