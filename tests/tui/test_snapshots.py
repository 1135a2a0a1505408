"""Pictures of the screens on the shown node, at 80x24 and 132x40, in both languages and without colour.

After a change that is meant: `pytest tests/tui/test_snapshots.py --snapshot-update`, and look at them.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from embedded_scheduler.config import Home
from embedded_scheduler.provision import provision
from nodeconsole.app import NodeConsoleApp
from nodeconsole.first_run import FirstRunApp, look_around
from nodeconsole.viewmodels.node import Link, LinkState
from tests.support.console import press, until, until_shown
from tests.support.hosted import Hosted
from tests.support.showcase import NOW_MS, app_of, serving, still_node

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
    "difference": ("g", "a", ">risk-join-2026q4", "enter", ">job-6af0fe58", "=", ">01:19:38"),
    "grant": ("g", "a", ">risk-join-2026q4", "j", "enter", ">flow-d2f582ce"),
    "grants": ("g", "d", ">loans_2026", "tab", "tab", ">credit-2026"),
    "component": ("g", "c", ">lattice", "enter", ">seed"),
    "form": ("g", "c", ">lattice", "enter", ">seed", "enter", ">0.8"),
    "compose": ("g", "j", ">job-7df2fc58", "N", ">an empty job"),
    "event": ("g", "u", ">job-", "enter", ">e076"),
    "invite": ("g", "o", ">erin", "N", ">Invite a partner?"),
    "merged": (
        "g",
        "l",
        ">job-8306d03b",
        "enter",
        ">frame",
        "+",
        ">export-q4",
        "j",
        "enter",
        ">stats + export",
        ">sent 206.9",
    ),
    "log-filter": ("g", "l", ">job-8306d03b", "enter", ">frame", "/", *"income", "enter", ">filter: income"),
    "doctor": ("g", "h", ">dave", "/", *"dave", "enter", ">2026-12-07"),
    "dataset": ("g", "d", ">loans_2026", *"jjj", "enter", ">overdue"),
    "connectors": ("g", "d", ">loans_2026", "tab", ">sqlite"),
    "partner": ("g", "o", ">erin", "j", "enter", ">CONTRACTS"),
    "partner-down": ("g", "o", ">erin", "G", "enter", ">acdd 40dc"),
    "contract": ("g", "o", ">erin", "i", ">contract-6313", ">Fernhill"),
    "trial": (":", *"policy", "enter", "t", ">job-837a7935"),
    "tokens": (":", *"tokens", "enter", ">batch"),
    "composer": ("g", "j", ">job-7df2fc58", "N", ">an empty job", "enter", ">Nothing wrong"),
    "report": (*TRAINING, *("tab",) * 4, ">0.304171", "j", "j", ">957661"),
    "failed-task": ("g", "j", ">job-7df2fc58", *"jjjj", "enter", ">feature_binning", "enter", ">task-dc36"),
    "jump": ("g", "j", ">job-7df2fc58", "f", ">type the letters"),
    "which-key": ("g", "j", ">job-7df2fc58", "g", ">settings"),
    "command": ("g", "j", ">job-7df2fc58", ":", *"jobs status:", "tab", ">status:waiting"),
    "equivalents": ("g", "j", ">job-7df2fc58", "$", ">curl"),
    "set-stop": ("g", "j", ">job-7df2fc58", "space", "space", "S"),
    "tour": (":", *"tour", "enter", ">tour 1 of 6"),
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
    "merged",
    "doctor",
    "partner-down",
    "contract",
    "trial",
    "failed-task",
    "set-stop",
)
BROAD = (
    "pulse",
    "jobs",
    "graph",
    "timeline",
    "card",
    "partners",
    "data",
    "components",
    "statistics",
    "audit",
    "jump",
    "composer",
)
COLOURLESS = ("pulse", "jobs", "graph", "log", "card")


_PATH = re.compile(r"/tmp/nc[a-z0-9_]{8}/")
_WORDS = re.compile(r"(?:[a-z]{6}&#160;){5}[a-z]{6}(?![a-z])")
_CHECKS = re.compile(r"\d&#160;of&#160;\d\d&#160;need")
_CHECKS_ZH = re.compile(r"\d\d&#160;项中有&#160;\d")


class StillApp(NodeConsoleApp):
    """What is drawn by lot when a node is made, or tells about the machine, is replaced by something as long."""

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        picture = super().export_screenshot(title=title, simplify=simplify)
        picture = _PATH.sub("/srv/node-alice/", picture)
        picture = _CHECKS.sub("6&#160;of&#160;48&#160;need", picture)
        picture = _CHECKS_ZH.sub("48&#160;项中有&#160;6", picture)
        return _WORDS.sub("&#160;".join(["zalaza"] * 6), picture)


def still(node: Hosted, **options: Any) -> NodeConsoleApp:
    return app_of(node, StillApp, **options)


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
    app = still(node, **options)
    assert snap_compare(app, terminal_size=size, run_before=_after(*SCREENS[name]))


async def _lost(pilot: Pilot[Any]) -> None:
    """As after most of a minute without the node; nothing tries to reach it any more."""
    await _after("g", "j", ">job-7df2fc58")(pilot)
    session = pilot.app.session  # type: ignore[attr-defined]
    pilot.app.workers.cancel_group(pilot.app, "node")
    why = "cannot connect to the node: connection refused"
    session.link = Link(LinkState.OFFLINE, NOW_MS - 48_000, attempt=6, retry_ms=NOW_MS + 8_000, why=why)
    session.repaint_chrome()
    await pilot.pause()


@pytest.mark.parametrize("options", [{}, ZH, MONO], ids=["en", "zh", "mono"])
def test_offline(node: Hosted, snap_compare: Compare, options: dict[str, str]) -> None:
    assert snap_compare(still(node, **options), terminal_size=SMALL, run_before=_lost)


@pytest.fixture(scope="module")
def bare_node() -> Iterator[Hosted]:
    """A node on its first day: no job, partner or dataset yet."""
    with tempfile.TemporaryDirectory(prefix="nc") as directory:
        home = Home(Path(directory) / "h")
        provision(home, node_id="alice", listen="127.0.0.1:0", platform="127.0.0.1:0", tls="off")
        home.settings_file.write_text(home.settings_file.read_text() + '\ncomponents.sandbox = "off"\n')
        with still_node(home) as hosted:
            yield hosted


EMPTY = {
    "pulse": ("g", "p", ">NEEDS YOU"),
    "jobs": ("g", "j", ">No jobs yet"),
    "approvals": ("g", "a", ">Nothing waits"),
    "peers": ("g", "o", ">No partners yet"),
    "data": ("g", "d", ">No datasets yet"),
}


@pytest.mark.parametrize("name", EMPTY)
def test_first_day(bare_node: Hosted, snap_compare: Compare, name: str) -> None:
    assert snap_compare(still(bare_node), terminal_size=SMALL, run_before=_after(*EMPTY[name]))


FIRST_STEPS = ("language", "terminal", "connect", "keys", "tour")


@pytest.mark.parametrize(
    ("step", "language"),
    [*((step, "en") for step in range(len(FIRST_STEPS))), (1, "zh"), (2, "zh")],
    ids=[*FIRST_STEPS, "terminal-zh", "connect-zh"],
)
def test_first_run(snap_compare: Compare, step: int, language: str) -> None:
    environ = {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "zh_CN.UTF-8" if language == "zh" else "C.UTF-8",
    }
    app = FirstRunApp(look_around(Path("/home/li/.nodeconsole"), "alice", "", environ), environ)
    assert snap_compare(app, terminal_size=SMALL, press=["enter"] * step)
