"""Clusters that answer with rubbish or without end: an attempt that is followed there is given up, and says why."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from embedded_scheduler.errors import Refused, Unavailable
from embedded_scheduler.runners.following import FollowingRunner
from embedded_scheduler.runners.kubernetes import KubernetesRunner, _Lines, _Taken
from embedded_scheduler.runners.kubernetes_api import KubernetesApi
from embedded_scheduler.runners.kubernetes_manifest import PodSettings
from embedded_scheduler.runners.ray import RayCluster, RayRunner
from embedded_scheduler.runners.ray_api import RayApi
from embedded_scheduler.spi.runner import LaunchSpec

ENDLESS = "endless"
LIES: list[Any] = [
    b"\xff no JSON",
    b"[" * 100_000,
    [],
    7,
    None,
    "text",
    {"status": ["FAILED"], "metadata": 7, "items": [7], "spec": []},
    {"metadata": {"resourceVersion": "1"}, "items": [{"metadata": 1, "status": {"containerStatuses": [[]]}}]},
    (404, {"message": "\ud800 nothing here"}),
    (302, {}),
    (500, b"\xff"),
    ENDLESS,
]


class Liar:
    """Takes what it is given until it is told to lie; then `lie` is what it answers to every GET."""

    def __init__(self, lie: Any) -> None:
        self.lie = lie
        self.lies = False
        self.created = False

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        found: Any = {"metadata": {"uid": "u", "resourceVersion": "1"}, "items": []}
        if method == "GET" and self.lies:
            found = self.lie
        elif path.startswith("/api/jobs/") and not self.created:
            self.created = method == "POST"
            return (200, b"{}") if self.created else (404, b"{}")
        status, content = found if isinstance(found, tuple) else (200, found)
        return status, content if isinstance(content, bytes) else json.dumps(content).encode()


@pytest.fixture
def liars() -> Iterator[tuple[str, list[Liar]]]:
    """A server with a liar below `/<number>` of its address for each of LIES."""
    made, over = [Liar(lie) for lie in LIES], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            _, number, path = self.path.split("/", 2)
            liar = made[int(number)]
            # Whoever has heard enough, closes.
            with suppress(OSError):
                if self.command == "GET" and liar.lies and liar.lie == ENDLESS:
                    self._go_on()
                    return
                status, content = liar.answer(self.command, f"/{path}")
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the library's names

        def _go_on(self) -> None:
            self.send_response(200)
            self.end_headers()
            while not over.is_set():
                self.wfile.write(b"x" * (1 << 20))

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", made
    over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def _kubernetes(runs: Path, address: str) -> FollowingRunner:
    named = {"cluster": "c", "user": "u"}
    document = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": named}],
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    config = runs.parent / "kubeconfig"
    config.write_text(json.dumps(document))
    return KubernetesRunner(runs, KubernetesApi(str(config)), PodSettings("n"), allow=["localhost"], patience_s=0.5)


def _ray(runs: Path, address: str) -> FollowingRunner:
    return RayRunner(runs, RayCluster(RayApi(address), "n"), allow_exec=["/bin/true"], patience_s=0.5)


BOTH = pytest.mark.parametrize(("make", "image"), [(_ray, "exec:/bin/true"), (_kubernetes, "localhost/x:1")])


@BOTH
async def test_an_attempt_is_given_up_when_what_its_cluster_says_makes_no_sense(
    tmp_path: Path, liars: tuple[str, list[Liar]], make: Any, image: str
) -> None:
    address, made = liars

    async def given_up(number: int, liar: Liar) -> None:
        runs = tmp_path / str(number) / "runs"
        runs.mkdir(parents=True)
        runner = make(runs, f"{address}/{number}")
        spec = LaunchSpec("a", image, {}, runs / "a", runs.parent / "a.log")
        await runner.launch(spec)
        liar.lies = True
        handle = runner.handle(spec)
        ending = await runner.wait(handle)
        assert ending.code is None, liar.lie
        assert "lost" in ending.error, (liar.lie, ending)
        assert re.search("end of log, lost", spec.log_path.read_text()), liar.lie
        # Nothing of it keeps a node from telling what is wrong, or from ending and forgetting the attempt.
        assert (await runner.diagnose()).level in ("ok", "error")
        await runner.terminate(handle, 0.1)
        await runner.forget(handle)

    async with asyncio.timeout(40):
        await asyncio.gather(*(given_up(number, liar) for number, liar in enumerate(made)))


@BOTH
async def test_looking_and_ending_say_that_there_is_no_answer(
    tmp_path: Path, liars: tuple[str, list[Liar]], make: Any, image: str
) -> None:
    address, made = liars
    for number, liar in enumerate(made):
        if liar.lie == ENDLESS:
            continue
        runs = tmp_path / str(number) / "runs"
        runs.mkdir(parents=True)
        runner = make(runs, f"{address}/{number}")
        spec = LaunchSpec("a", image, {}, runs / "a", runs.parent / "a.log")
        await runner.launch(spec)
        # As after a crash: whether the cluster has it is not known.
        (spec.run_directory / "accepted").unlink()
        liar.lies = True
        assert await runner.observe(runner.handle(spec)) is None, liar.lie
        if isinstance(liar.lie, tuple) and liar.lie[0] == 404:
            # It says that there is no such attempt.
            await runner.terminate(runner.handle(spec), 0.0)
            continue
        with pytest.raises((Unavailable, Refused)):
            await runner.terminate(runner.handle(spec), 0.0)


def test_a_line_without_end_is_passed_on_and_not_kept() -> None:
    lines = _Lines(_Taken("", 0))
    stamp = b"2026-01-01T00:00:00.5Z "
    got = [lines.fresh(stamp + b"x" * (1 << 20) + b"y")]
    got += [lines.fresh(b"z" * (1 << 20)) for _ in range(20)]
    assert [len(each) for each in got] == [(1 << 20) + 1, *[1 << 20] * 20]
    assert lines.fresh(b"end\n2026-01-01T00:00:00.6Z next\n2026") == b"end\nnext\n"
    assert lines.fresh(b"-01-01T00:00:00.7Z last") == b""
    assert lines.rest() == b"last"


def test_a_line_without_end_that_was_taken_is_not_taken_again() -> None:
    taken = _Taken("", 0)
    long = b"2026-01-01T00:00:00.5Z " + b"x" * (2 << 20)
    assert len(_Lines(taken).fresh(long)) == 2 << 20
    again = _Lines(_Taken.at(taken.position()))
    assert again.fresh(long) + again.fresh(b"x" * 99) == b""
    assert again.fresh(b"x\n2026-01-01T00:00:00.6Z next\n") == b"next\n"
