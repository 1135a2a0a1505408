"""Where the runner of a test works: run directories and logs below one folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded_scheduler.runners.run_directory import RunDirectory
from embedded_scheduler.spi.runner import Exit, LaunchSpec, Limits, Runner


@dataclass
class Runs:
    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

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

    def directory(self, attempt_id: str) -> RunDirectory:
        return RunDirectory(self.runs / attempt_id)

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


async def end_of(runner: Runner, spec: LaunchSpec) -> Exit:
    await runner.launch(spec)
    return await runner.wait(runner.handle(spec))
