"""Before and after a write: the three levels of confirmation, the undo window, the read-only console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

from nodeconsole.app import NodeConsoleApp
from nodeconsole.screens.base import ConsoleScreen
from nodeconsole.screens.confirm import at_once, typed_count, typed_id
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.fake_node import FakeNode, job_id

MakeApp = Callable[..., NodeConsoleApp]
SIZE = (80, 24)


def _top(pilot: Pilot[Any]) -> ConsoleScreen:
    screen = pilot.app.screen
    assert isinstance(screen, ConsoleScreen)
    return screen


async def _reject(pilot: Pilot[Any]) -> None:
    """The first job that waits for a decision, up to the last key."""
    await until_shown(pilot, "100 of 1,200")
    await press(pilot, "g", "a", "X")
    await until_shown(pilot, "WHAT LEAVES THIS NODE")
    await press(pilot, "X", *"no contract", "enter", "Y")


async def test_enter_alone_means_no(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "S", "enter")
        await until_shown(pilot, "▌[ No ]")
        await press(pilot, "enter")
        await until_gone(pilot, "Stop this job?")
        assert not any(request.startswith("POST") for request in node.requests)
        await press(pilot, "S", "enter", "right")
        await until_shown(pilot, "▌[ stop ]")
        await press(pilot, "enter")
        await until(pilot, lambda: node.jobs[job_id(0)].outcome == "stopped")


async def test_a_decision_is_held_back_and_then_sent(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app(undo_seconds=0.5).run_test(size=SIZE) as pilot:
        await _reject(pilot)
        await until_shown(pilot, "(u takes it back)")
        assert node.jobs[job_id(3)].needs_decision
        await until_shown(pilot, "rejected job-")
        assert not node.jobs[job_id(3)].needs_decision
        assert "takes it back" not in screen_text(pilot)


async def test_u_takes_the_decision_back(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app(undo_seconds=60).run_test(size=SIZE) as pilot:
        await _reject(pilot)
        await until_shown(pilot, f"reject {job_id(3)[:12]}")
        await press(pilot, "u")
        await until_shown(pilot, "taken back, nothing was sent: reject job-")
        assert not any(request.startswith("POST") for request in node.requests)
        await press(pilot, "u")
        await until_shown(pilot, "nothing is held back")


async def test_a_node_lost_within_the_window_gets_nothing_later(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app(undo_seconds=1.5).run_test(size=SIZE) as pilot:
        await _reject(pilot)
        node.stop()
        await until_shown(pilot, "NOT DONE: reject job-")
        node.start()
        await press(pilot, "r")
        await until_shown(pilot, "online")
        assert not any(request.startswith("POST") for request in node.requests)


async def test_leaving_within_the_window_says_so_and_then_sends(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app(undo_seconds=60).run_test(size=SIZE) as pilot:
        await _reject(pilot)
        await press(pilot, "ctrl+q")
        await until_shown(pilot, "not sent yet")
        assert pilot.app.is_running
        await press(pilot, "X", "ctrl+q")
        await until(pilot, lambda: not pilot.app.is_running)
        assert not node.jobs[job_id(3)].needs_decision


async def test_what_is_done_at_once_can_be_taken_back(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app(undo_seconds=60).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        done: list[str] = []
        for number in (0, 1):
            what, job = f"hurry {number}", job_id(number)
            at_once(
                _top(pilot),
                _top(pilot).session,
                what,
                lambda client, job=job: client.stop(job),  # type: ignore[misc]
                lambda row: done.append(row.job_id),
            )
        await until_shown(pilot, "hurry 1   (u takes it back) (+1)")
        await press(pilot, "u")
        _top(pilot).session.held.seconds = 0
        await _top(pilot).session.held.flush()
        await until(pilot, lambda: done)
        assert done == [job_id(0)]


async def test_the_end_of_an_id_or_the_number_of_marks_is_typed(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        session = _top(pilot).session
        assert typed_id(session, "job-12345678").fault("1234")
        assert not typed_id(session, "job-12345678").fault("5678")
        assert typed_count(session, 12).fault("2") == "type exactly 12"
        assert not typed_count(session, 12).fault("12")


async def test_a_read_only_console_changes_nothing(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app(read_only=True).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        assert "read-only" in screen_text(pilot)
        await press(pilot, "S")
        await until_shown(pilot, "stop: this console is read-only (:ro off)")
        # Also what does not go through a key.
        session = _top(pilot).session
        await session.ask(lambda client: client.stop(job_id(0)))
        await until_shown(pilot, "nothing was sent")
        await press(pilot, ":", *"ro off", "enter")
        await until_shown(pilot, "changes are possible again")
        await press(pilot, "S", "enter", "Y")
        await until(pilot, lambda: node.jobs[job_id(0)].outcome == "stopped")
        await press(pilot, ":", *"ro", "enter")
        await until_shown(pilot, "nothing is changed from here")


async def test_turning_read_only_stops_what_is_held_back(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app(undo_seconds=1.5).run_test(size=SIZE) as pilot:
        await _reject(pilot)
        _top(pilot).session.read_only = True
        await until_shown(pilot, "NOT DONE: reject job-")
        assert node.jobs[job_id(3)].needs_decision


async def test_a_role_that_may_not_write_stays_read_only(node: FakeNode, make_app: MakeApp) -> None:
    node.role, node.read_only = "viewer", True
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, ":", *"ro off", "enter")
        await until_shown(pilot, "it stays read-only: your role on this node is viewer")
