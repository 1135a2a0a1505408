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

from embedded_scheduler.errors import Unavailable
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
    """`lie` is what it answers to every GET once it is set; before, it is a cluster that takes what it is given."""

    def __init__(self) -> None:
        self.lie: Any = ...
        self.created = False
        self.over = threading.Event()

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        found: Any = {"metadata": {"uid": "u", "resourceVersion": "1"}, "items": []}
        if method == "GET" and self.lie is not ...:
            found = self.lie
        elif path.startswith("/api/jobs/") and not self.created:
            self.created = method == "POST"
            return (200, b"{}") if self.created else (404, b"{}")
        status, content = found if isinstance(found, tuple) else (200, found)
        return status, content if isinstance(content, bytes) else json.dumps(content).encode()


@pytest.fixture(scope="module")
def liar_at() -> Iterator[tuple[Liar, str]]:
    liar = Liar()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with suppress(OSError):
                if self.command == "GET" and liar.lie == ENDLESS:
                    self.send_response(200)
                    self.end_headers()
                    while not liar.over.is_set() and liar.lie == ENDLESS:
                        self.wfile.write(b"x" * (1 << 20))
                    return
                status, content = liar.answer(self.command, self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the library's names

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield liar, f"http://127.0.0.1:{server.server_port}"
    liar.over.set()
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


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: str(lie)[:30])
@pytest.mark.parametrize(("make", "image"), [(_ray, "exec:/bin/true"), (_kubernetes, "localhost/x:1")])
async def test_an_attempt_is_given_up_when_what_its_cluster_says_makes_no_sense(
    tmp_path: Path, liar_at: tuple[Liar, str], make: Any, image: str, lie: Any
) -> None:
    liar, address = liar_at
    liar.lie, liar.created = ..., False
    (tmp_path / "runs").mkdir()
    runner = make(tmp_path / "runs", address)
    spec = LaunchSpec("a", image, {}, tmp_path / "runs" / "a", tmp_path / "a.log")
    await runner.launch(spec)
    liar.lie = lie
    handle = runner.handle(spec)
    async with asyncio.timeout(20):
        ending = await runner.wait(handle)
    assert ending.code is None
    assert "lost" in ending.error or "cluster" in ending.error, ending
    assert re.search("end of log|lost", spec.log_path.read_text())
    # Nothing of it keeps a node from telling what is wrong, or from ending and forgetting the attempt.
    found = await runner.diagnose()
    assert found.level in ("ok", "error")
    await runner.terminate(handle, 0.1)
    await runner.forget(handle)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: str(lie)[:30])
@pytest.mark.parametrize(("make", "image"), [(_ray, "exec:/bin/true"), (_kubernetes, "localhost/x:1")])
async def test_looking_and_ending_say_that_there_is_no_answer(
    tmp_path: Path, liar_at: tuple[Liar, str], make: Any, image: str, lie: Any
) -> None:
    liar, address = liar_at
    liar.lie, liar.created = ..., False
    (tmp_path / "runs").mkdir()
    runner = make(tmp_path / "runs", address)
    spec = LaunchSpec("a", image, {}, tmp_path / "runs" / "a", tmp_path / "a.log")
    await runner.launch(spec)
    (spec.run_directory / "accepted").unlink()
    liar.lie = lie
    async with asyncio.timeout(20):
        assert (await runner.observe(runner.handle(spec))) is None or lie is not None
    with pytest.raises(Unavailable) if not _is_nothing(lie) else suppress():
        async with asyncio.timeout(20):
            await runner.terminate(runner.handle(spec), 0.0)


def _is_nothing(lie: Any) -> bool:
    """An answer that says that there is no such attempt, or what became of it."""
    return isinstance(lie, tuple) and lie[0] == 404 or isinstance(lie, dict)


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
