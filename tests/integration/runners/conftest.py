"""A process runner over a temporary home, and programs for it to run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from embedded_scheduler.runners.process import ProcessRunner
from embedded_scheduler.runners.run_directory import Identity, RunDirectory
from embedded_scheduler.runners.sandbox import NoSandbox, Sandbox
from embedded_scheduler.spi.runner import LaunchSpec, Limits, Runner

PACKAGE = "trial_components"


@dataclass
class Harness:
    """`RunnerHarness` for the process runner, and shortcuts for the tests of what is its own."""

    root: Path
    allowed: list[str] = field(default_factory=list)
    containment: Sandbox | NoSandbox | None = None

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def runner(self, *, allow_exec: Sequence[str] | None = None, reserve_bytes: int = 0) -> Runner:
        return ProcessRunner(
            self.runs,
            allow_exec=self.allowed if allow_exec is None else allow_exec,
            components=PACKAGE,
            python_path=[str(self.root / "packages"), *sys.path],
            reserve_bytes=reserve_bytes,
            containment=self.containment,
        )

    def spec(
        self,
        attempt_id: str,
        program: str,
        *,
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> LaunchSpec:
        """Runs a Python program as an executable file."""
        return self.at(f"exec:{self.executable(attempt_id, program)}", attempt_id, environment, limits)

    def at(
        self,
        image_url: str,
        attempt_id: str,
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> LaunchSpec:
        return LaunchSpec(
            attempt_id,
            image_url,
            environment or {},
            self.runs / attempt_id,
            self.root / "logs" / f"{attempt_id}.log",
            limits or Limits(),
        )

    def executable(self, name: str, program: str) -> Path:
        path = self.root / "programs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{sys.executable} -I\n{program}")
        path.chmod(0o755)
        self.allowed.append(str(path))
        return path

    def builtin(self, name: str, source: str) -> str:
        """Address of a new built-in component with this `component.py`."""
        folder = self.root / "packages" / PACKAGE / name
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        (folder / "__init__.py").touch()
        (folder / "component.py").write_text(source)
        return f"builtin:{name}"

    def directory(self, attempt_id: str) -> RunDirectory:
        return RunDirectory(self.runs / attempt_id)

    def identity(self, attempt_id: str) -> Identity:
        found = self.directory(attempt_id).identity()
        assert found is not None
        return found

    def log(self, attempt_id: str) -> str:
        """What was logged so far."""
        path = self.root / "logs" / f"{attempt_id}.log"
        return path.read_text() if path.exists() else ""

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when another process has brought something about; it has 20 seconds."""
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    async def until_printed(self, text: str, attempt_id: str = "a") -> None:
        await self.until(lambda: text in self.log(attempt_id))


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    made = Harness(tmp_path)
    made.runs.mkdir()
    (tmp_path / "packages" / PACKAGE).mkdir(parents=True)
    (tmp_path / "packages" / PACKAGE / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    yield made
    left = [pid for run in made.runs.iterdir() if (found := RunDirectory(run).identity()) for pid in found.members()]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == [], "processes outlived the test"
