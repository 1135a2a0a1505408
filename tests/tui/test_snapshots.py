"""Pictures of the screens at 80x24.

After a change that is meant: `pytest tests/tui/test_snapshots.py --snapshot-update`, and look at them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from nodeconsole.app import NodeConsoleApp
from tests.support.console import press, until_shown
from tests.support.fake_node import FakeNode, add_trust

Compare = Callable[..., bool]


def _after(*steps: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """Wait for the list, then press keys (`key:x`) and wait for texts, in turn."""

    async def run(pilot: Pilot[Any]) -> None:
        await until_shown(pilot, "psi-credit-daily")
        for step in steps:
            if step.startswith("key:"):
                await press(pilot, step.removeprefix("key:"))
            else:
                await until_shown(pilot, step)

    return run


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        pytest.param({}, ("key:j",), id="jobs"),
        pytest.param({"language": "zh_CN", "glyphs": "safe"}, ("key:e",), id="jobs-zh"),
        pytest.param({"theme": "mono"}, ("key:j",), id="jobs-mono"),
        pytest.param({}, ("key:j", "key:j", "key:enter", "exit 1"), id="job"),
        pytest.param({}, ("key:j", "key:j", "key:l", "30,000", "complete"), id="log"),
        pytest.param({}, ("key:e", "key:e", "key:enter", "WHAT LEAVES"), id="card"),
        pytest.param(
            {"theme": "light"}, ("key:e", "key:e", "key:enter", "WHAT LEAVES", "key:X", "Reject this job"), id="reject"
        ),
    ],
)
def test_screen(
    node: FakeNode,
    make_app: Callable[..., NodeConsoleApp],
    snap_compare: Compare,
    options: dict[str, str],
    steps: tuple[str, ...],
) -> None:
    assert snap_compare(make_app(**options), terminal_size=(80, 24), run_before=_after(*steps))


_ZH = {"language": "zh_CN", "glyphs": "safe"}


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        pytest.param({}, ("key:g", "key:a", "compare words"), id="approvals"),
        pytest.param({}, ("key:g", "key:a", "compare words", "key:enter", "THE SIX WORDS", "key:A"), id="confirm"),
        pytest.param(_ZH, ("key:g", "key:a", "核对词语", "key:j", "key:enter", "我方数据"), id="grant-zh"),
        pytest.param({}, ("key:g", "key:o", "erin", "key:G"), id="partners"),
        pytest.param(_ZH, ("key:g", "key:o", "erin"), id="partners-zh"),
        pytest.param(_ZH, ("key:g", "key:w", "carl"), id="warnings-zh"),
    ],
)
def test_trust(
    node: FakeNode,
    make_app: Callable[..., NodeConsoleApp],
    snap_compare: Compare,
    options: dict[str, str],
    steps: tuple[str, ...],
) -> None:
    add_trust(node)
    assert snap_compare(make_app(**options), terminal_size=(80, 24), run_before=_after(*steps))
