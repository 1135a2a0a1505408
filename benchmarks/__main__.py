"""`python -m benchmarks [NAME …] [--json FILE]`: at most twelve minutes, then a table (docs/benchmarks.md)."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import (
    console,
    console_memory,
    jobs,
    lists,
    logs,
    packs,
    serving,
    signing,
    strangers,
    tables,
    templates,
    trust,
)
from benchmarks.pair import CONTAINED, Pair, pair
from benchmarks.rows import Row, table
from nodeconsole.node_process import NodeProcess, free_addresses

LIMIT_SECONDS = 720.0
LONG_LIMIT_SECONDS = 1800.0

PAIR_SECTIONS: dict[str, Callable[[Pair], Awaitable[list[Row]]]] = {
    "jobs": jobs.measure,
    "requests": serving.requests,
    "signing": signing.measure,
    "logs": logs.measure,
    "idle": serving.idle,
}
ALONE_SECTIONS: dict[str, Callable[[NodeProcess], Awaitable[list[Row]]]] = {
    "starts": serving.starts,
    "lists": lists.measure,
}
USUAL = ("templates", *PAIR_SECTIONS, "trust", "strangers", *ALONE_SECTIONS, "console")
SECTIONS = (*USUAL, "memory", "tables", "packs")
"""What is not usual takes minutes, some of it gigabytes of the disk: it is measured when it is named."""


async def run(only: list[str], directory: Path, rows: list[Row]) -> None:
    """Add the rows of the chosen sections (none named: the usual ones), every section on fresh nodes of its kind."""
    chosen = [name for name in SECTIONS if name in (only or USUAL)]
    if "templates" in chosen:
        rows += await _section("templates", templates.measure(directory / "templates"))
    if not {"trust", *PAIR_SECTIONS}.isdisjoint(chosen):
        async with pair(directory / "pair") as nodes:
            for name in chosen:
                if name in PAIR_SECTIONS:
                    rows += await _section(name, PAIR_SECTIONS[name](nodes))
            if "trust" in chosen:
                rows += await _trust(nodes, directory)
    if "strangers" in chosen:
        async with pair(directory / "strangers", trusted=True) as nodes:
            rows += await _section("strangers", strangers.measure(nodes))
    for name in chosen:
        if name in ALONE_SECTIONS:
            rows += await _alone(name, directory / name)
    if "console" in chosen:
        rows += await _section("console", console.measure(directory / "console"))
    if "memory" in chosen:
        rows += await _section("memory", console_memory.measure(directory / "memory"))
    if "tables" in chosen:
        rows += await _section("tables", tables.measure(directory / "tables"))
    if "packs" in chosen:
        async with (
            pair(directory / "sockets-plain") as plain,
            pair(directory / "sockets-trusted", trusted=True) as trusted,
        ):
            rows += await _section("packs", packs.measure(plain, trusted))


async def _trust(plain: Pair, directory: Path) -> list[Row]:
    async with (
        pair(directory / "trusted", trusted=True) as trusted,
        pair(directory / "contained", trusted=True, settings=CONTAINED) as contained,
    ):
        return await _section("trust", trust.measure(plain, trusted, contained))


async def _alone(name: str, directory: Path) -> list[Row]:
    listen, own = free_addresses(2)
    node = NodeProcess("alone", directory, listen=listen, platform=own)
    try:
        await node.create()
        return await _section(name, ALONE_SECTIONS[name](node))
    finally:
        await node.stop()


async def _section(name: str, work: Awaitable[list[Row]]) -> list[Row]:
    began = time.monotonic()
    sys.stderr.write(f"{name} ... ")
    sys.stderr.flush()
    rows = await work
    sys.stderr.write(f"{time.monotonic() - began:.0f} s\n")
    return rows


async def _bounded(only: list[str], directory: Path, rows: list[Row]) -> bool:
    """Whether everything was measured before the limit; what was by then is in `rows`."""
    limit = LIMIT_SECONDS if set(only) <= set(USUAL) else LONG_LIMIT_SECONDS
    try:
        async with asyncio.timeout(limit):
            await run(only, directory, rows)
    except TimeoutError:
        sys.stderr.write(f"\nnot done after {limit:.0f} seconds: the machine is too busy to measure on\n")
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What the node costs.")
    parser.add_argument("sections", nargs="*", metavar="NAME", help=f"a part: {', '.join(SECTIONS)}")
    parser.add_argument("--only", nargs="+", default=[], choices=SECTIONS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there as well")
    args = parser.parse_args()
    unknown = [name for name in args.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"no part is named {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(prefix="nodeconsole-bench-") as directory:
        rows: list[Row] = []
        done = asyncio.run(_bounded([*args.only, *args.sections], Path(directory), rows))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, {time.strftime('%Y-%m-%d %H:%M')}")
    print(table(rows))
    print("\nAims are for an otherwise idle machine; trust ratios, not seconds. How to read this: docs/benchmarks.md")
    if args.json:
        content = [{"name": row.name, "unit": row.unit, "rounds": row.rounds, "baseline": row.baseline} for row in rows]
        args.json.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
