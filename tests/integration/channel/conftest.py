from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SOURCES = HERE.parents[2] / "src"
SESSION = "session_job-1"
TOKEN = "token-of-the-attempt"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class NodeProcess:
    """One channel node as a process of its own."""

    def __init__(self, home: Path, node_id: str, **settings: Any) -> None:
        self.node_id = node_id
        self.home = home
        self.partner_port = free_port()
        self.platform_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.config_file = home / "config.json"
        home.mkdir()
        self.config: dict[str, Any] = {
            "home": str(home),
            "node_id": node_id,
            "partner_port": self.partner_port,
            "platform_port": self.platform_port,
            "peers": {},
            "tokens": {SESSION: TOKEN},
            "members": {SESSION: ["alice", "bob"]},
            **settings,
        }

    def write_config(self) -> None:
        temporary = self.config_file.with_suffix(".new")
        temporary.write_text(json.dumps(self.config))
        temporary.rename(self.config_file)

    @property
    def partner_url(self) -> str:
        return f"http://127.0.0.1:{self.partner_port}"

    def url(self, verb: str) -> str:
        return f"http://127.0.0.1:{self.platform_port}/v1/interconn/chan/{verb}"

    def invoke_url(self, verb: str = "invoke") -> str:
        return f"{self.partner_url}/v1/interconn/chan/{verb}"

    def start(self) -> None:
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        self.write_config()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(HERE / "channel_node.py"), str(self.config_file)],
            env={**os.environ, "PYTHONPATH": str(SOURCES)},
        )

    def await_ready(self) -> None:
        for port in (self.partner_port, self.platform_port):
            self._wait_for(port)

    def _wait_for(self, port: int) -> None:
        assert self.process is not None
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the node ended at its start"
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(f"{self.node_id} does not listen")

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def peak_memory(self) -> int:
        """Peak resident memory in bytes."""
        assert self.process is not None
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")


def acquaint(*nodes: NodeProcess) -> None:
    for node in nodes:
        node.config["peers"] = {other.node_id: other.partner_url for other in nodes if other is not node}


@contextmanager
def _pair(directory: Path) -> Iterator[tuple[NodeProcess, NodeProcess]]:
    pair = NodeProcess(directory / "alice", "alice"), NodeProcess(directory / "bob", "bob")
    acquaint(*pair)
    try:
        yield pair
    finally:
        for node in pair:
            if node.process is not None and node.process.poll() is None:
                node.process.kill()
                node.process.wait(10)


def start_all(*nodes: NodeProcess) -> None:
    for node in nodes:
        node.launch()
    for node in nodes:
        node.await_ready()


@pytest.fixture
def alice_and_bob(tmp_path: Path) -> Iterator[tuple[NodeProcess, NodeProcess]]:
    """Two nodes, acquainted, not started."""
    with _pair(tmp_path) as pair:
        yield pair


@pytest.fixture
def nodes(alice_and_bob: tuple[NodeProcess, NodeProcess]) -> tuple[NodeProcess, NodeProcess]:
    """Two nodes that serve."""
    start_all(*alice_and_bob)
    return alice_and_bob


@pytest.fixture(scope="module")
def lasting_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeProcess, NodeProcess]]:
    """Two nodes that serve a whole module: for tests that leave no message behind, or use a topic of their own."""
    with _pair(tmp_path_factory.mktemp("lasting")) as pair:
        start_all(*pair)
        yield pair
