"""The app against a node on a real socket: every screen, every write, losing the node."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nodeconsole.app import NodeConsoleApp
from nodeconsole.client import ClientClosed
from nodeconsole.screens.jobs import JobsScreen
from nodeconsole.screens.log import LogScreen
from nodeconsole.widgets.table import VirtualTable
from tests.support.console import press, screen_text, until, until_gone, until_shown
from tests.support.fake_node import LOG_LINES, FakeNode, Problem, job_id

MakeApp = Callable[..., NodeConsoleApp]
SIZE = (80, 24)


async def test_job_list_shows_states_and_why_the_row_under_the_cursor_waits(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        shown = screen_text(pilot)
        assert "● running" in shown
        assert "✗ failed" in shown
        assert "bob → alice" in shown
        assert "waits for bob: binning of host.0, for 3m; poll in 3s" in shown
        assert "2 waiting for your decision" in shown
        await press(pilot, "j", "j")
        assert "column age has 2 nulls" in screen_text(pilot)


async def test_moving_down_loads_further_pages(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "G")
        await until_shown(pilot, "200 of 1,200")
        table = pilot.app.screen.query_one("#rows", VirtualTable)
        assert table.key == job_id(99)


async def test_filter_is_answered_by_the_node_over_all_jobs(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "/", *"waiting")
        await until_shown(pilot, "2 of 1,200")
        await press(pilot, "enter")
        assert "loan-score" in screen_text(pilot)
        assert any("q=waiting" in request for request in node.requests)
        await press(pilot, "escape")
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "、", *job_id(1100)[:14])
        await until_shown(pilot, "1 of 1,200")
        await press(pilot, "escape")
        await until_shown(pilot, "100 of 1,200")


async def test_unknown_state_word_is_said(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, ":", *"jobs state:sleeping", "enter")
        await until_shown(pilot, "state:sleeping: wants waiting pending ready")
        assert "100 of 1,200" in screen_text(pilot)


async def test_a_changed_job_alone_is_asked_for_again(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await until(pilot, lambda: any("events/stream" in request for request in node.requests))
        node.requests.clear()
        node.change(1, state="FINISHED", outcome="stopped", actions=[])
        await until_shown(pilot, "■ stopped   alice bob carl")
        await until(pilot, lambda: "GET /status" in node.requests)
        asked = [request for request in node.requests if request.startswith("GET /jobs")]
        assert asked == [f"GET /jobs?limit=1&q=%22{job_id(1)}%22"]


async def test_new_job_comes_on_top_and_the_cursor_stays_on_its_job(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "j", "j")
        table = pilot.app.screen.query_one("#rows", VirtualTable)
        assert table.key == job_id(2)
        node.add_job("brand-new-flow")
        await until_shown(pilot, "↑ 1 new")
        assert (table.key, table.cursor) == (job_id(2), 3)
        await press(pilot, "g", "g")
        await until_shown(pilot, "brand-new-flow")
        await until_gone(pilot, "1 new")


async def test_sorting_says_so_and_reads_all_pages(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "s")
        assert "a AGE" in screen_text(pilot)
        await press(pilot, "s")
        await until_shown(pilot, "STATE↑")
        await until(pilot, lambda: any("sort=status" in request for request in node.requests))
        table = pilot.app.screen.query_one("#rows", VirtualTable)
        assert [job.needs_decision for job in table.items[:3]] == [True, True, False]


async def test_approve_needs_the_end_of_the_id(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "g", "a")
        await until_shown(pilot, "risk-join-2026q4")
        await press(pilot, "enter")
        await until_shown(pilot, "WHAT LEAVES THIS NODE")
        shown = screen_text(pilot)
        assert "columns 3 of 8: uid age overdue" in shown
        assert "3 differences from the last approved run:  + component woe" in shown
        assert "NOT REGISTERED HERE" in shown
        assert "host.0" in shown
        await press(pilot, "enter", "enter")
        assert node.jobs[job_id(3)].needs_decision
        await press(pilot, "A", "enter", "enter")
        await until_shown(pilot, f"type exactly {job_id(3)[-4:]}")
        assert node.jobs[job_id(3)].needs_decision
        await press(pilot, *job_id(3)[-4:], "enter", *"checked", "enter")
        await until_shown(pilot, "approved job-")
        assert node.jobs[job_id(3)].state == "READY"
        assert not node.jobs[job_id(3)].needs_decision
        await until_gone(pilot, "differences from the last")
        assert "◐ ready" in screen_text(pilot)
        assert "WHAT LEAVES THIS NODE" in screen_text(pilot)


async def test_reject_needs_a_reason_and_a_capital_y(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "e", "e", "X")
        await until_shown(pilot, "WHAT LEAVES THIS NODE")
        await press(pilot, "X", "enter")
        await until_shown(pilot, "say why")
        await press(pilot, *"no contract", "enter")
        await until_shown(pilot, "press Y to reject")
        await press(pilot, "y", "space", "tab", "tab")
        assert node.jobs[job_id(3)].needs_decision
        await press(pilot, "Y")
        await until_shown(pilot, "rejected job-")
        assert (node.jobs[job_id(3)].state, node.jobs[job_id(3)].reason) == ("REJECTED", "no contract")


async def test_escape_leaves_a_question_without_doing_anything(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "S", "enter", "escape")
        await press(pilot, "Y")
        assert not any(request.startswith("POST") for request in node.requests)
        assert node.jobs[job_id(0)].state == "RUNNING"


async def test_stop_from_the_list_and_of_one_task(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "S", *"enough", "enter", "Y")
        await until_shown(pilot, "asked job-")
        assert (node.jobs[job_id(0)].outcome, node.jobs[job_id(0)].reason) == ("stopped", "enough")
        await press(pilot, "j", "enter")
        await until_shown(pilot, "alice:guest")
        await press(pilot, "S")
        await until_shown(pilot, "Stop the task binning and everything after it?")
        await press(pilot, "enter", "Y")
        await until(pilot, lambda: node.jobs[job_id(1)].outcome == "stopped")


async def test_refusal_of_the_node_is_shown(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        node.fail_next.append(Problem(title="x", status=409, detail="somebody else decided already", code="conflict"))
        await press(pilot, "S", "enter", "Y")
        await until_shown(pilot, "somebody else decided already")


async def test_what_the_node_does_not_offer_is_refused_with_a_reason(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "j", "j", "S")
        assert "stop: the node does not offer this" in screen_text(pilot)
        assert pilot.app.screen.query_one(VirtualTable).key == job_id(2)


async def test_job_shows_tasks_by_party_reasons_approvals_and_results(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "j", "j", "enter")
        await until_shown(pilot, "bob:host")
        await press(pilot, "t", "t")
        await until_shown(pilot, "exit 1")
        shown = screen_text(pilot)
        assert "binning" in shown
        assert "column age has 2 nulls" in shown
        await press(pilot, "d")
        await until_shown(pilot, "Approvals")
        assert "asked by" in screen_text(pilot)
        await press(pilot, "escape", *"jjj", "d")
        await until_shown(pilot, "样本对齐-日批")
        await press(pilot, "t", "r")
        await until_shown(pilot, "train_data")
        await press(pilot, "y")
        await until_shown(pilot, '"flow_id": "样本对齐-日批"')
        await press(pilot, "q", "q")
        assert isinstance(pilot.app.screen, JobsScreen)


async def test_waiting_task_says_what_for(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "enter")
        await until_shown(pilot, "vert_binning")
        await press(pilot, "G")
        await until_shown(pilot, "woe waits for binning: its output")


async def test_what_was_to_be_tried_again_by_now_is_asked_for(node: FakeNode, make_app: MakeApp) -> None:
    waiting = node.jobs[job_id(0)].waiting
    assert waiting is not None
    waiting.next_ms = 1
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        waiting.next, waiting.next_ms = "try 7", 9_999_999_999_999
        await until_shown(pilot, "try 7")
        asked = len(node.requests)
        app = pilot.app
        assert isinstance(app.screen, JobsScreen)
        # Not again: the next try is far away.
        app.screen.tick()
        await pilot.pause(0.1)
        assert len(node.requests) == asked


async def test_log_opens_at_its_end_and_pages_upwards(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "j", "j", "l")
        await until_shown(pilot, f"of {LOG_LINES:,}")
        shown = screen_text(pilot)
        assert "bucket 29998" in shown
        assert "evil name \\u202eabc\\u202c \\x07 end" in shown
        assert "\x1b" not in shown
        assert "样本对齐 完成 第 29996 批" in shown
        await press(pilot, "g", "g")
        await until_shown(pilot, "bucket 0 rows=0")
        assert "line 1 of 30,000" in screen_text(pilot)
        assert len([request for request in node.requests if "/logs?" in request]) <= 4


async def test_log_levels_and_wrapping(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "j", "j", "l")
        await until_shown(pilot, "4 error 30")
        assert "end-of-long-" not in screen_text(pilot)
        await press(pilot, "w")
        await until_shown(pilot, "end-of-long-")
        await press(pilot, "w", "4")
        await until_shown(pilot, "of 30 ")
        assert screen_text(pilot).count("ERROR") == 19


async def test_log_follows_what_is_written_until_one_scrolls_up(node: FakeNode, make_app: MakeApp) -> None:
    node.write_log(0, "binning", ["INFO first"])
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "l")
        await until_shown(pilot, "INFO first")
        assert "FOLLOWING" in screen_text(pilot)
        node.write_log(0, "binning", [f"INFO more {number}" for number in range(100)])
        await until_shown(pilot, "INFO more 99")
        await press(pilot, "k")
        await until_shown(pilot, "paused")
        node.write_log(0, "binning", ["INFO unseen"])
        await until_shown(pilot, "of 142")
        assert "INFO unseen" not in screen_text(pilot)
        await press(pilot, "F")
        await until_shown(pilot, "INFO unseen")
        node.write_log(0, "binning", ["INFO the end"], complete=True)
        await until_shown(pilot, "INFO the end")
        await until_shown(pilot, "complete")


async def test_lost_node_dims_the_data_and_comes_back_where_it_was(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "j")
        await until(pilot, lambda: any("events/stream" in request for request in node.requests))
        node.stop()
        await until_shown(pilot, "OFFLINE")
        shown = screen_text(pilot)
        assert "psi-credit-daily" in shown
        assert "data from" in shown
        assert "start it with" in shown
        assert pilot.app.screen.query_one(VirtualTable).stale
        await press(pilot, "S")
        assert "not while the node is offline" in screen_text(pilot)
        node.change(1, state="FINISHED", outcome="failed")
        node.requests.clear()
        node.start()
        await press(pilot, "r")
        await until_shown(pilot, "online")
        await until(pilot, lambda: screen_text(pilot).count("✗ failed  ") == 2)
        assert not pilot.app.screen.query_one(VirtualTable).stale
        assert pilot.app.screen.query_one(VirtualTable).key == job_id(1)
        assert "GET /events/stream?after=5000" in node.requests


async def test_when_the_console_has_ended_nothing_of_it_goes_on(node: FakeNode, make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.session.online)
        client = app.session.client
        assert list(app.workers)
    assert not list(app.workers)
    assert client is not None
    with pytest.raises(ClientClosed):
        await client.status()


async def test_log_is_taken_up_where_it_broke(node: FakeNode, make_app: MakeApp) -> None:
    node.write_log(0, "binning", ["INFO first"])
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "l")
        await until_shown(pilot, "INFO first")
        node.stop()
        await until_shown(pilot, "OFFLINE")
        node.write_log(0, "binning", ["INFO after the break"])
        node.start()
        await press(pilot, "r")
        await until_shown(pilot, "INFO after the break")
        assert isinstance(pilot.app.screen, LogScreen)


async def test_starts_without_a_node_and_finds_it_later(node: FakeNode, make_app: MakeApp) -> None:
    node.stop()
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "OFFLINE")
        node.start()
        await press(pilot, "r")
        await until_shown(pilot, "100 of 1,200")


async def test_sections_by_key_and_by_command(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "g", "o")
        await until_shown(pilot, "erin")
        await press(pilot, "G")
        await until_shown(pilot, "connect to 10.0.9.1:9380")
        await press(pilot, ":", *"components", "enter")
        await until_shown(pilot, "sample_alignment")
        await press(pilot, "：", *"da", "enter")
        await until_shown(pilot, "loans_2026")
        node.peers.pop()
        await press(pilot, "g", "o")
        node.emit(subject="peer", event="peer.removed")
        await until_gone(pilot, "erin")
        await press(pilot, ":", *"nonsense", "enter")
        await until_shown(pilot, "no command nonsense")
        await press(pilot, ":", "up")
        assert "nonsense" in screen_text(pilot)
        await press(pilot, "escape", ":", *f"job {job_id(7)[:10]}", "enter")
        await until_shown(pilot, "carl: no agreement for this data")


async def test_help_lists_the_keys_of_the_screen_and_then_those_of_all(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(100, 70)) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "？")
        await until_shown(pilot, "filter the list while typing")
        assert "leave the console" not in screen_text(pilot)
        await press(pilot, "?")
        await until_shown(pilot, "leave the console")
        await press(pilot, "?")
        assert isinstance(pilot.app.screen, JobsScreen)


async def test_palette_finds_and_does(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, ";", *"datase", "enter")
        await until_shown(pilot, "loans_2026")


async def test_language_theme_and_glyphs_change_while_running(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "f3")
        await until_shown(pilot, "? 待审批")
        await press(pilot, ":", *"lang en", "enter")
        await until_shown(pilot, "? waiting")
        await press(pilot, ":", *"theme mono", "enter")
        await until_shown(pilot, "R running")
        assert pilot.app.theme == "mono"
        await press(pilot, ":", *"theme pink", "enter")
        await until_shown(pilot, "there are: dark ")
        await press(pilot, ":", *"theme dark", "enter")
        await until_shown(pilot, "● running")
        await press(pilot, ":", *"glyphs safe", "enter")
        await until_shown(pilot, "bob -> alice")


async def test_small_terminals_do_not_break_anything(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(40, 10)) as pilot:
        await until_shown(pilot, "100 of")
        await press(pilot, "j", "j", "enter")
        await until_shown(pilot, "binning")
        await pilot.resize_terminal(20, 5)
        await press(pilot, "q", "j", "?")
        await pilot.resize_terminal(120, 40)
        await until_shown(pilot, "filter the list while typing")


async def test_full_width_colon_quits(node: FakeNode, make_app: MakeApp) -> None:
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "q", "escape")
        assert pilot.app.is_running
        await press(pilot, "：", "q", "enter")
        await until(pilot, lambda: not pilot.app.is_running)


async def test_a_write_that_is_not_for_ones_role_is_explained(node: FakeNode, make_app: MakeApp) -> None:
    node.role, node.read_only = "viewer", True
    for number in range(3):
        node.change(number, actions=[])
    async with make_app().run_test(size=SIZE) as pilot:
        await until_shown(pilot, "100 of 1,200")
        await press(pilot, "A")
        await until_shown(pilot, "not in your role on this node (viewer)")
        await press(pilot, "S")
        assert not any(request.startswith("POST") for request in node.requests)
