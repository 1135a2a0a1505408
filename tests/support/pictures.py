"""The documentation's pictures, made from the seeded node: `make pictures`."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory

from nodeconsole.app import NodeConsoleApp
from tests.support.console import until_shown
from tests.support.fake_node import NOW_MS, FakeNode

SIZE = (96, 28)


async def draw(socket: Path, target: Path) -> None:
    """The job list, and the decision card of the first job that waits for one."""
    app = NodeConsoleApp(
        socket, now_ms=lambda: NOW_MS, zone=UTC, environ={}, language="en_US", glyphs="unicode", theme="dark"
    )
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "STATE")
        await pilot.pause()
        target.joinpath("jobs.svg").write_text(app.export_screenshot(title="nodeconsole"), "utf-8")
        await pilot.press("g", "a")
        await pilot.press("enter")
        await until_shown(pilot, "asked by")
        await pilot.pause()
        target.joinpath("decision.svg").write_text(app.export_screenshot(title="nodeconsole"), "utf-8")


def main() -> int:
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="nc") as directory:
        socket = Path(directory) / "s"
        with FakeNode(socket):
            asyncio.run(draw(socket, target))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
