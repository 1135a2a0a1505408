"""One engine for all tests of containers, with an image that runs any Python program."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support import container_engine
from tests.support.container_engine import Engine
from tests.support.runs import Runs

from embedded_scheduler.config import ContainerSection
from embedded_scheduler.runners.attempt import SCRATCH
from embedded_scheduler.runners.container import ContainerRunner
from embedded_scheduler.spi.runner import LaunchSpec, Limits

PYTHON_IMAGE = "localhost/nodeconsole-test/python:1"


@dataclass(frozen=True, slots=True)
class Machine:
    """The engine, and an address on loopback where a registry without TLS may listen."""

    engine: Engine
    registry: str


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    reason = container_engine.missing()
    if reason:
        pytest.skip(reason)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        registry = f"127.0.0.1:{free.getsockname()[1]}"
    with container_engine.engine(insecure=[registry]) as engine:
        entry = ["/usr/bin/python3", "-I", "/tmp/program.py"]
        engine.load(PYTHON_IMAGE, container_engine.python_tree(), {"Entrypoint": entry, "WorkingDir": "/tmp"})
        yield Machine(engine, registry)


@dataclass
class Harness(Runs):
    """`RunnerHarness` for the container runner, and shortcuts for the tests of what is its own."""

    engine: Engine
    settings: ContainerSection = field(default_factory=ContainerSection)

    def runner(self) -> ContainerRunner:
        return ContainerRunner(
            self.runs, self.settings, node_id="alice", home=self.root, images=self.root / "images", reserve_bytes=0
        )

    def spec(
        self,
        attempt_id: str,
        program: str,
        *,
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> LaunchSpec:
        """Runs a Python program, which lies in the attempt's temporary directory already."""
        scratch = self.runs / attempt_id / SCRATCH
        scratch.mkdir(mode=0o700, parents=True)
        (scratch / "program.py").write_text(program)
        return self.at(PYTHON_IMAGE, attempt_id, environment, limits)


@pytest.fixture
def harness(machine: Machine, tmp_path: Path) -> Harness:
    (tmp_path / "runs").mkdir()
    settings = ContainerSection(allow=("localhost", machine.registry), socket=machine.engine.socket)
    return Harness(tmp_path, machine.engine, settings)


@contextmanager
def talker(word: bytes) -> Iterator[tuple[str, int]]:
    """Says one word to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    accepted, _ = listening.accept()
                    with accepted:
                        accepted.sendall(word)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
