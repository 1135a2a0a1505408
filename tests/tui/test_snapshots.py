"""Pictures of the screens on the shown node, at 80x24 and 132x40, in both languages and without colour.

After a change that is meant: `pytest tests/tui/test_snapshots.py --snapshot-update`, and look at them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.support.console import press, until, until_shown
from tests.support.hosted import Hosted
from tests.support.showcase import app_of, serving

Compare = Callable[..., bool]
SMALL, WIDE = (80, 24), (132, 40)
ZH = {"language": "zh_CN", "glyphs": "safe"}
MONO = {"theme": "mono", "glyphs": "ascii"}

TRAINING = ("g", "j", ">job-00a61f93", "j", "j", "enter", ">train_sgb")
# Keys, one by one; `>` before a text waits until it is shown.
SCREENS: dict[str, tuple[str, ...]] = {
    "pulse": ("g", "p", ">psi-credit-daily"),
    "jobs": ("g", "j", ">job-7df2fc58", "j"),
    "jobs-menu": ("g", "j", ">job-7df2fc58", "x"),
    "jobs-sort": ("g", "j", ">job-7df2fc58", "s"),
    "graph": TRAINING,
    "tasks": (*TRAINING, "t", "t", ">read_c"),
    "timeline": (*TRAINING, "t", "l", ">binning"),
    "logs": ("g", "l", ">job-8306d03b"),
    "log": ("g", "l", ">job-8306d03b", "enter", ">frame"),
    "approvals": ("g", "a", ">risk-join-2026q4"),
    "card": ("g", "a", ">risk-join-2026q4", "enter", ">job-6af0fe58"),
    "partners": ("g", "o", ">erin"),
    "data": ("g", "d", ">loans_2026"),
    "components": ("g", "c", ">lattice"),
    "statistics": ("g", "s", ">psi-credit-daily"),
    "audit": ("g", "u", ">job-"),
    "help": ("g", "j", ">job-7df2fc58", "?", ">waits for you"),
    "palette": ("g", "j", ">job-7df2fc58", ";", ">Enter"),
    "settings": ("g", ",", ">k9s"),
    "warnings": ("g", "w", ">dave"),
    "jobs-preview": ("g", "j", ">job-7df2fc58", "p", ">asked by"),
    "jobs-columns": ("g", "j", ">job-7df2fc58", "o", ">WIDTH"),
    "jobs-filter": ("g", "j", ">job-7df2fc58", "/", *"status:r", "tab", ">status:running"),
    "job-events": (*TRAINING, *("tab",) * 3, ">68 events"),
    "job-results": (*TRAINING, *("tab",) * 4, ">0.304171"),
    "job-spec": (*TRAINING, *("tab",) * 5, ">table_reader"),
    "task": (*TRAINING, "enter", ">compute"),
    "runs": ("g", "j", ">job-8306d03b", "j", "t", ">export-q4"),
    "reject": ("g", "a", ">risk-join-2026q4", "enter", ">job-6af0fe58", "X", ">Reject this job?"),
    "difference": ("g", "a", ">risk-join-2026q4", "enter", ">job-6af0fe58", "=", ">e35dac4e95"),
    "grant": ("g", "a", ">risk-join-2026q4", "j", "enter", ">flow-d2f582ce"),
    "grants": ("g", "d", ">loans_2026", "tab", "tab", ">credit-2026"),
    "component": ("g", "c", ">lattice", "enter", ">seed"),
    "form": ("g", "c", ">lattice", "enter", ">seed", "enter", ">0.8"),
    "compose": ("g", "j", ">job-7df2fc58", "N", ">an empty job"),
    "event": ("g", "u", ">job-", "enter", ">e076"),
    "invite": ("g", "o", ">erin", "N", ">Invite a partner?"),
}
CHINESE = (
    "pulse",
    "jobs",
    "graph",
    "tasks",
    "timeline",
    "log",
    "approvals",
    "card",
    "partners",
    "data",
    "components",
    "statistics",
    "audit",
    "settings",
    "runs",
    "difference",
    "component",
    "warnings",
)
BROAD = ("pulse", "jobs", "graph", "timeline", "card", "partners", "data", "components", "statistics", "audit")
COLOURLESS = ("pulse", "jobs", "graph", "log", "card")


@pytest.fixture(scope="module")
def node() -> Iterator[Hosted]:
    with serving() as running:
        yield running


def _after(*steps: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def run(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: pilot.app.session.online)  # type: ignore[attr-defined]
        for step in steps:
            if step.startswith(">"):
                await until_shown(pilot, step[1:])
            else:
                await press(pilot, step)
        # The workers of all screens are in one place, and the home screen behind this one waits between its reads.
        shown = pilot.app.screen_stack
        await until(
            pilot, lambda: not any(worker.group == "reload" and worker.node in shown for worker in pilot.app.workers)
        )
        await pilot.pause()

    return run


def _cases() -> Iterator[Any]:
    for name in SCREENS:
        yield pytest.param(name, SMALL, {}, id=name)
    for name in CHINESE:
        yield pytest.param(name, SMALL, ZH, id=f"{name}-zh")
    for name in BROAD:
        yield pytest.param(name, WIDE, {}, id=f"{name}-wide")
    for name in COLOURLESS:
        yield pytest.param(name, SMALL, MONO, id=f"{name}-mono")
    for name in ("pulse", "jobs", "card", "data"):
        yield pytest.param(name, WIDE, ZH, id=f"{name}-wide-zh")


@pytest.mark.parametrize(("name", "size", "options"), _cases())
def test_screen(node: Hosted, snap_compare: Compare, name: str, size: tuple[int, int], options: dict[str, str]) -> None:
    app = app_of(node, **options)
    assert snap_compare(app, terminal_size=size, run_before=_after(*SCREENS[name]))
