"""The documentation's pictures, made from the shown node: `make pictures`. The same node gives the same pictures."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.console import press, until, until_shown
from tests.support.hosted import Hosted
from tests.support.showcase import app_of, shown

SMALL = (96, 28)
WIDE = (132, 34)


@dataclass(frozen=True, slots=True)
class Picture:
    """One screen: `keys` lead to it from the list of jobs, `shows` tells that it is there."""

    name: str
    keys: tuple[str, ...]
    shows: str
    size: tuple[int, int] = SMALL
    theme: str = "dark"
    language: str = "en_US"


TO_FAILED = ("j",) * 4
PICTURES = (
    Picture("jobs", TO_FAILED, "failed"),
    Picture("jobs-zh", TO_FAILED, "失败", language="zh_CN"),
    Picture("pulse", ("g", "p"), "NEEDS YOU", WIDE),
    Picture("graph", ("j", "j", "enter"), "binning", WIDE),
    Picture("timeline", ("j", "j", "enter", "t", "l"), "binning", WIDE),
    Picture("log", (*TO_FAILED, "l", "E"), "null ratio"),
    Picture("decision", (*("j",) * 6, "A"), "asked by", (96, 36)),
    Picture("approvals", ("g", "a"), "frank"),
    Picture("partners", ("g", "o", "j"), "erin", WIDE, theme="ember"),
    Picture("components", ("g", "c"), "hetero_lr", WIDE),
    Picture("data", ("g", "d", *("j",) * 3), "loans_2026", WIDE, theme="paper"),
    Picture("audit", ("g", "u"), "job.", WIDE),
    Picture("help", ("?",), "Esc"),
)


async def draw(node: Hosted, picture: Picture, target: Path) -> None:
    app = app_of(node, theme=picture.theme, language=picture.language, section="jobs", clean=True)
    async with app.run_test(size=picture.size) as pilot:
        await until_shown(pilot, "psi-credit-daily")
        for key in picture.keys:
            await press(pilot, key)
            await until(pilot, lambda: getattr(app.screen, "has_data", True), f"{picture.name}: no data after {key}")
        await until_shown(pilot, picture.shows)
        # What it asks the node for after its first paint.
        await pilot.pause(1.0)
        target.joinpath(f"{picture.name}.svg").write_text(app.export_screenshot(title="nodeconsole"), "utf-8")


async def draw_all(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    async with shown() as node:
        for picture in PICTURES:
            await draw(node, picture, target)


def main() -> int:
    asyncio.run(draw_all(Path(sys.argv[1])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
