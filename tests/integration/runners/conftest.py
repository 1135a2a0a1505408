"""A process runner over a temporary home, and programs for it to run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.runs import Runs

from embedded_scheduler.runners.process import ProcessRunner
from embedded_scheduler.runners.run_directory import Identity, RunDirectory
from embedded_scheduler.runners.sandbox import NoSandbox, Sandbox
from embedded_scheduler.spi.runner import END_OF_LOG, LaunchSpec, Limits, Runner

PACKAGE = "trial_components"


@dataclass
class Harness(Runs):
    """`RunnerHarness` for the process runner, and shortcuts for the tests of what is its own."""

    allowed: list[str] = field(default_factory=list)
    containment: Sandbox | NoSandbox | None = None

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

    def identity(self, attempt_id: str) -> Identity:
        found = self.directory(attempt_id).identity()
        assert found is not None
        return found


async def goes_on_with_the_log(harness: Harness, *, lines: int, pause_s: float) -> None:
    """A check of runners whose node follows: it may be killed at any line, also between the log and its journal."""
    program = f"import time\nfor i in range({lines}):\n    print('line', i, flush=True)\n    time.sleep({pause_s})\n"
    spec = harness.spec("resumed", program)
    runner = harness.runner()
    await runner.launch(spec)
    journal = spec.run_directory / "journal"
    async with asyncio.TaskGroup() as group:
        following = group.create_task(runner.wait(runner.handle(spec)))
        await harness.until_printed("line 50\n", "resumed")
        early = journal.read_bytes()
        await harness.until(lambda: journal.read_bytes() != early)
        following.cancel()
    journal.write_bytes(early)
    assert (await harness.runner().wait(runner.handle(spec))).ok
    wanted = "".join(f"line {i}\n" for i in range(lines))
    assert harness.log("resumed") == f"{wanted}{END_OF_LOG}, exit 0\n"


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
