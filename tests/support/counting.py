"""The component that the kit makes for an author, held to the conformance kit: the same one on every runner."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nodeconsole.kit.archives import build_program
from nodeconsole.kit.conformance import ComponentConformance
from nodeconsole.kit.project import open_project
from nodeconsole.kit.scaffold import create
from nodeconsole.kit.trial import Plan, RunnerOf

PARTIES = ("guest.0", "host.0")


def counting(directory: Path) -> Path:
    """A new folder `counting` with it."""
    project = directory / "counting"
    create("counting", "me", ("guest", "host"), project)
    return project


def program_of(project: Path, directory: Path) -> Path:
    """The component as one executable file."""
    return build_program(open_project(project), directory / "counting.pyz")


def plan_of(project: Path, image_url: str) -> Plan:
    """A trial of it at some address, with the data and a column of each party."""
    return Plan(
        open_project(project).manifest,
        image_url,
        PARTIES,
        {party: {"data": project / "data" / f"{party.partition('.')[0]}.csv"} for party in PARTIES},
        {party: {"column": "mean_radius"} for party in PARTIES},
    )


async def conforms(plan: Plan, runner_of: RunnerOf, directory: Path, *, at_once: int = 20, **options: Any) -> None:
    """Every check passes; `at_once` of them run at a time, each of which starts all parties."""
    gate = asyncio.Semaphore(at_once)

    async def one(check: str) -> None:
        async with gate:
            await ComponentConformance(plan, runner_of, directory / check, **options).run(check)

    async with asyncio.TaskGroup() as group:
        for check in ComponentConformance.checks():
            group.create_task(one(check))
